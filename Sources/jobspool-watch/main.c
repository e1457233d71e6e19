/* SPDX-License-Identifier: GPL-2.0-only
 *
 * jobspool-watch: prints a line for each file that appears in the directories it is given.
 *
 * Started by the other programs of jobspool, which read its lines as hints of where to look. Promised:
 *
 *   ready           once, when every watch stands: what appears from now on is reported
 *   NAME FILE       FILE appeared in the directory NAME (renamed into it, created in it, or closed after writing)
 *   -NAME FILE      FILE left it (with --removals); up to 10 ms late, but never behind what happened after it
 *                   (with --writes, NAME FILE also whenever something was written to FILE)
 *   NAME ?          something appeared there whose name holds control characters: look again
 *   overflow        events were lost, in the kernel or because nobody read this output: look everywhere again
 *   gone NAME       the directory was moved, deleted or unmounted and is no longer watched
 *
 * It does nothing when nothing happens, never outlives its parent, never stops emptying the kernel's queue because
 * its reader is slow, and holds at most BACKLOG bytes for that reader. It opens, changes and decides nothing.
 *
 * libinotifytools keeps one set of static variables per process, so only the main thread calls it, once initialised
 * it is never cleaned up, and its descriptor is never polled by us (it holds events of its own that poll cannot see).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#ifndef JOBSPOOL_VERSION
#define JOBSPOOL_VERSION "0.1.0"
#endif

#define BACKLOG (1 << 20)
#define DELAY 10000000 /* ns; for what left a directory */
#define MAX_PLACES 64
#define ARRIVALS (IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE)
#define REMOVALS (IN_MOVED_FROM | IN_DELETE)
#define WRITES IN_MODIFY
#define VANISHED (IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT)

struct place {
  const char *name; /* as printed */
  int wd;           /* -1: no longer watched */
  dev_t device;
  ino_t inode;
};

static struct place places[MAX_PLACES];
static int place_count;
static pid_t parent;

/* The backlog: what the pipe would not take at once, and what need not be printed at once. Lines leave it in order. */
static char backlog[BACKLOG];
static size_t backlog_length;
static int pressing; /* something in it is to be written at once */
static int draining; /* `drain_backlog` is writing */
static int lost; /* lines were dropped; `overflow` is owed once the backlog is out */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;

/* One write, so that the message stays in one piece on a pipe shared with the events. */
static _Noreturn void die(int code, const char *format, ...) {
  char text[PIPE_BUF] = "jobspool-watch: ";
  size_t start = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + start, sizeof text - start - 1, format, arguments);
  va_end(arguments);
  strcat(text, "\n");
  if (write(STDERR_FILENO, text, strlen(text)) < 0) code = EX_IOERR;
  _exit(code);
}

/* The reader is gone: that is how this program normally ends. Anything else is worth a word. */
static _Noreturn void output_failed(int error) {
  if (error == EPIPE) _exit(0);
  die(EX_IOERR, "cannot write to standard output: %s", strerror(error));
}

/* PDEATHSIG also comes when only the *thread* that started us ends; then the parent is still the same process. */
static void on_parent_death(int signal) {
  (void)signal;
  if (getppid() != parent) _exit(0);
}

/* Waits for the other end of standard output, or of a standard input that is a pipe, to close. */
static void *await_hangup(void *unused) {
  (void)unused;
  struct stat input;
  struct pollfd ends[2] = {{.fd = STDOUT_FILENO}, {.fd = -1}};
  if (fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode)))
    ends[1].fd = STDIN_FILENO;
  while (poll(ends, 2, -1) < 0 && errno == EINTR) {
  }
  _exit(0);
}

/* Forgets the first bytes of the backlog, which are written. Called with the lock held. */
static void take_out(size_t length) {
  backlog_length -= length;
  memmove(backlog, backlog + length, backlog_length);
  if (backlog_length > 0) return;
  pressing = 0;
  if (lost) {
    lost = 0;
    pressing = 1;
    backlog_length = strlen("overflow\n");
    memcpy(backlog, "overflow\n", backlog_length);
  }
}

/* Writes the backlog out, waiting as long as the reader likes. What may come together gets DELAY to do so. */
static void *drain_backlog(void *unused) {
  static char batch[1 << 16];
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (backlog_length == 0) pthread_cond_wait(&filled, &lock);
    if (!pressing && backlog_length < sizeof batch) {
      struct timespec until;
      clock_gettime(CLOCK_MONOTONIC, &until);
      until.tv_nsec += DELAY;
      until.tv_sec += until.tv_nsec / 1000000000;
      until.tv_nsec %= 1000000000;
      while (!pressing && pthread_cond_clockwait(&filled, &lock, CLOCK_MONOTONIC, &until) == 0) {
      }
      if (backlog_length == 0) continue;
    }
    size_t length = backlog_length < sizeof batch ? backlog_length : sizeof batch;
    memcpy(batch, backlog, length);
    /* The bytes stay in the backlog while they are written, so that no new line can overtake them. */
    draining = 1;
    pthread_mutex_unlock(&lock);
    size_t written = 0;
    while (written < length) {
      ssize_t n = write(STDOUT_FILENO, batch + written, length - written);
      if (n < 0 && errno != EINTR && errno != EAGAIN) output_failed(errno);
      if (n < 0 && errno == EAGAIN) {
        struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
        poll(&out, 1, -1);
      }
      if (n > 0) written += (size_t)n;
    }
    pthread_mutex_lock(&lock);
    draining = 0;
    take_out(length);
  }
}

/* Writes the backlog out if that cannot block: a pipe that is ready takes PIPE_BUF bytes. Called with the lock held. */
static void write_now(void) {
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  if (draining || backlog_length > PIPE_BUF || poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT)) return;
  ssize_t n = write(STDOUT_FILENO, backlog, backlog_length);
  if (n < 0 && errno != EINTR && errno != EAGAIN) output_failed(errno);
  if (n > 0) take_out((size_t)n);
}

/* Prints a line at once where that cannot block, with what was left for later before it. `later` leaves it to
   `drain_backlog`: in a drain a file leaves a thousand times a second, and each line alone would wake the reader. */
static void print_line(const char *line, size_t length, int later) {
  pthread_mutex_lock(&lock);
  const int was_empty = backlog_length == 0;
  if (lost || backlog_length + length > BACKLOG) {
    lost = 1;
  } else {
    memcpy(backlog + backlog_length, line, length);
    backlog_length += length;
  }
  if (!later) {
    pressing = 1;
    write_now();
  }
  if (backlog_length > 0 && (was_empty || pressing)) pthread_cond_signal(&filled);
  pthread_mutex_unlock(&lock);
}

static int printable(const char *name) {
  for (const unsigned char *c = (const unsigned char *)name; *c; c++)
    if (*c < ' ' || *c == 127) return 0;
  return 1;
}

static void print_event(const char *before, const char *name, const char *after, int later) {
  char line[2 * NAME_MAX + 16];
  int length = snprintf(line, sizeof line, "%s%s%s%s\n", before, name, *after ? " " : "", after);
  if (length > 0 && (size_t)length < sizeof line) print_line(line, (size_t)length, later);
}

static void handle(const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) {
    print_event("overflow", "", "", 0);
    return;
  }
  struct place *place = NULL;
  for (int i = 0; i < place_count; i++)
    if (places[i].wd == event->wd) place = &places[i];
  if (!place) return; /* the tail of a directory already reported as gone */
  if (event->mask & VANISHED) {
    int wd = place->wd;
    place->wd = -1;
    print_event("gone ", place->name, "", 0);
    /* A moved directory would go on sending events under a name that no longer leads to it. */
    if (event->mask & IN_MOVE_SELF) inotifytools_remove_watch_by_wd(wd);
    return;
  }
  if (event->len == 0) return;
  const char *name = printable(event->name) ? event->name : "?";
  if (event->mask & (ARRIVALS | WRITES)) print_event("", place->name, name, 0);
  if (event->mask & REMOVALS) print_event("-", place->name, name, 1);
}

static void add_place(const char *directory, const char *name, int events) {
  char path[PATH_MAX], cut[PATH_MAX];
  struct stat status;
  /* The slash makes the kernel and the library follow a symbolic link and refuse what is no directory. */
  if (snprintf(path, sizeof path, "%s/", directory) >= (int)sizeof path)
    die(EX_USAGE, "%s: the path is too long", directory);
  if (!name) {
    strcpy(cut, directory);
    for (size_t n = strlen(cut); n > 1 && cut[n - 1] == '/'; n--) cut[n - 1] = 0;
    const char *slash = strrchr(cut, '/');
    name = strdup(slash && slash[1] ? slash + 1 : cut);
    if (!name) die(EX_OSERR, "out of memory");
  }
  if (!*name || !printable(name) || strchr(name, ' ') || strlen(name) > NAME_MAX || *name == '-')
    die(EX_USAGE, "%s: cannot print events under the name '%s'; give another with --name NAME", directory,
        printable(name) ? name : "?");
  if (place_count == MAX_PLACES) die(EX_USAGE, "more than %d directories", MAX_PLACES);
  if (stat(path, &status) < 0)
    die(errno == EACCES ? EX_NOPERM : EX_NOINPUT, "cannot watch %s: %s", directory, strerror(errno));
  for (int i = 0; i < place_count; i++) {
    if (strcmp(places[i].name, name) == 0) die(EX_USAGE, "two directories are called %s; use --name NAME", name);
    if (places[i].device == status.st_dev && places[i].inode == status.st_ino)
      die(EX_USAGE, "%s: this directory is already watched as %s", directory, places[i].name);
  }
  if (!inotifytools_watch_file(path, events | VANISHED | IN_ONLYDIR)) {
    int error = inotifytools_error();
    if (error == ENOSPC)
      die(EX_TEMPFAIL,
          "cannot watch %s: this user's watches are used up; raise sysctl fs.inotify.max_user_watches (now %d)",
          directory, inotifytools_get_max_user_watches());
    die(error == EACCES ? EX_NOPERM : error == ENOENT || error == ENOTDIR ? EX_NOINPUT : EX_OSERR,
        "cannot watch %s: %s%s", directory, strerror(error), error == EACCES ? " (reading it takes permission r)" : "");
  }
  places[place_count++] = (struct place){name, inotifytools_wd_from_filename(path), status.st_dev, status.st_ino};
  if (places[place_count - 1].wd < 0) die(EX_SOFTWARE, "%s: the library lost the watch", directory);
}

static void print_help(void) {
  static const char text[] =
      "usage: jobspool-watch [--removals] [--writes] [--name NAME] DIR...\n"
      "\n"
      "Prints a line for each file that appears in the directories, until its parent or its reader is gone.\n"
      "\n"
      "  --removals    also print what leaves them, as \"-NAME FILE\"\n"
      "  --writes      also print \"NAME FILE\" when something is written to a file\n"
      "  --name NAME   print the next DIR as NAME instead of the last part of its path\n"
      "  --help        print this\n"
      "  --version     print the version\n"
      "\n"
      "output: \"ready\" once all watches stand, then \"NAME FILE\", \"NAME ?\" (a name with control characters:\n"
      "look again), \"overflow\" (events were lost: look everywhere again), \"gone NAME\" (moved or deleted).\n"
      "exit:   0 reader or parent gone, 64 usage, 66 no such directory, 71 system error, 75 inotify limit, 77 denied\n";
  if (write(STDOUT_FILENO, text, sizeof text - 1) < 0) output_failed(errno);
}

static void start_thread(void *(*body)(void *)) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  int error = pthread_create(&thread, &attributes, body, NULL);
  if (error) die(EX_OSERR, "cannot start a thread: %s", strerror(error));
  pthread_attr_destroy(&attributes);
}

int main(int argc, char *argv[]) {
  int events = ARRIVALS, i = 1;
  for (; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--name") != 0; i++) {
    if (strcmp(argv[i], "--help") == 0) return print_help(), 0;
    if (strcmp(argv[i], "--version") == 0) return dprintf(STDOUT_FILENO, "jobspool-watch %s\n", JOBSPOOL_VERSION) < 0;
    if (strcmp(argv[i], "--removals") == 0)
      events |= REMOVALS;
    else if (strcmp(argv[i], "--writes") == 0)
      events |= WRITES;
    else
      die(EX_USAGE, "unknown option %s (see --help)", argv[i]);
  }
  if (i == argc) die(EX_USAGE, "no directory given (see --help)");

  parent = getppid();
  /* The library's descriptor must stay below 1024, whatever we have inherited: it aborts otherwise. */
  closefrom(STDERR_FILENO + 1);
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {.sa_handler = on_parent_death, .sa_flags = SA_RESTART};
  sigaction(SIGHUP, &action, NULL);
  prctl(PR_SET_PDEATHSIG, SIGHUP);
  if (getppid() != parent) return 0; /* it died before prctl; dead before getppid, it has closed our output */

  if (!inotifytools_initialize()) {
    if (errno == EMFILE)
      die(EX_TEMPFAIL,
          "cannot use inotify: this user's instances are used up; raise sysctl fs.inotify.max_user_instances (now %d)",
          inotifytools_get_max_user_instances());
    die(EX_OSERR, "cannot use inotify: %s", strerror(errno));
  }
  for (; i < argc; i++) {
    const char *name = NULL;
    if (strcmp(argv[i], "--name") == 0) {
      if (i + 2 >= argc) die(EX_USAGE, "--name takes a NAME and a DIR");
      name = argv[i + 1];
      i += 2;
    }
    add_place(argv[i], name, events);
  }
  start_thread(await_hangup);
  start_thread(drain_backlog);
  print_event("ready", "", "", 0);
  for (;;) {
    const struct inotify_event *event = inotifytools_next_event(-1);
    if (event)
      handle(event);
    else if (inotifytools_error() != EINTR)
      die(EX_OSERR, "cannot read events: %s", strerror(inotifytools_error()));
  }
}
