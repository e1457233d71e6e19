/*
 * The same file work as jobspool does, in C and with nothing else: what this machine can do at best. bench.py compiles it
 * with plain cc. Prints one JSON line with what it measured.
 *
 *     limits submit SPOOL COUNT CLIENTS   one at a time by each client: write, fsync, rename, fsync of the folder
 *     limits after SPOOL COUNT            one at a time: write, rename, one fsync of the file (not promised by POSIX)
 *     limits batch SPOOL COUNT SIZE       SIZE files, one syncfs, SIZE renames, one fsync of the folder
 *     limits drain SPOOL COUNT SIZE       SIZE at a time: rename, read, record in place, two lines each in a log, one
 *                                         fdatasync, rename
 *     limits drain-renames …              no records and no log: rename, read, rename, one fsync of done/ for SIZE
 *     limits drain-fs, drain-files …      the same with one syncfs, or with a sync of every file besides the log
 *     limits adopt SPOOL COUNT SIZE       as drain, each file copied first, one syncfs for the copies
 *     limits adopt-files …                the same with a sync of every copy, all their writes begun before
 *     limits exec SPOOL COUNT AT_ONCE     COUNT times /bin/true, AT_ONCE at a time, with the files' two renames
 *     limits wake SPOOL COUNT [exec]      from the rename to a process that has the job: inotify, rename, pipe or start
 *     limits list FOLDER                  names of a folder, counted
 *     limits fill SPOOL COUNT             COUNT waiting jobs, not synced one by one
 *
 * and two handlers that do nothing, so that no handler is what is measured:
 *
 *     limits worker [FILE]    answers every job; notes its id and the moment in FILE
 *     limits once FILE        notes the id in its environment and the moment
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int tmp, new, cur, done, log_file;
static const char *spool;

static void die(const char *what) {
  fprintf(stderr, "limits: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int folder(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", spool, name);
  if (mkdir(spool, 0755) != 0 && errno != EEXIST) die(spool);
  if (mkdir(path, 0755) != 0 && errno != EEXIST) die(path);
  const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) die(path);
  return fd;
}

static void open_spool(const char *path) {
  spool = path;
  tmp = folder("tmp"), new = folder("new"), cur = folder("cur"), done = folder("done");
  char log[4096];
  snprintf(log, sizeof log, "%s/limit.log", spool);
  log_file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_file < 0) die(log);
}

static void name_of(char *name, int client, int number) { sprintf(name, "limit-%d-%07d.json", client, number); }

/* As long as what spoolbench submits. */
static int job_text(char *text, int number) {
  return sprintf(text, "{\"type\":\"noop\",\"payload\":{\"n\":%d,\"to\":\"ada@example.org\",\"subject\":\"hello\"}}\n", number);
}

static int stage(const char *name, int number) {
  char text[256];
  const int length = job_text(text, number);
  const int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (fd < 0) die(name);
  if (write(fd, text, (size_t)length) != length) die("write");
  return fd;
}

static void move(int from, int to, const char *name) {
  if (renameat2(from, name, to, name, RENAME_NOREPLACE) != 0) die(name);
}

static void result(const char *what, int count, double took) {
  printf("{\"what\":\"%s\",\"count\":%d,\"seconds\":%.4f,\"per_second\":%.1f}\n", what, count, took, count / took);
}

struct client {
  pthread_t thread;
  int number, count;
};

static void *submit_client(void *argument) {
  const struct client *client = argument;
  char name[64];
  for (int i = 0; i < client->count; i++) {
    name_of(name, client->number, i);
    const int fd = stage(name, i);
    if (fsync(fd) != 0) die("fsync");
    close(fd);
    move(tmp, new, name);
    if (fsync(new) != 0) die("fsync of new");
  }
  return NULL;
}

static int submit(int count, int clients) {
  struct client all[64];
  if (clients > 64) clients = 64;
  const double began = now();
  for (int i = 0; i < clients; i++) {
    all[i] = (struct client){.number = i, .count = count / clients};
    if (pthread_create(&all[i].thread, NULL, submit_client, &all[i]) != 0) die("thread");
  }
  for (int i = 0; i < clients; i++) pthread_join(all[i].thread, NULL);
  result("submit", count / clients * clients, now() - began);
  return 0;
}

static int submit_after(int count) {
  const double began = now();
  char name[64];
  for (int i = 0; i < count; i++) {
    name_of(name, 0, i);
    const int fd = stage(name, i);
    move(tmp, new, name);
    if (fsync(fd) != 0) die("fsync");
    close(fd);
  }
  result("after", count, now() - began);
  return 0;
}

static int batches(int count, int size) {
  const double began = now();
  char name[64];
  for (int start = 0; start < count; start += size) {
    const int end = start + size < count ? start + size : count;
    for (int i = start; i < end; i++) {
      name_of(name, 0, i);
      close(stage(name, i));
    }
    if (syncfs(tmp) != 0) die("syncfs");
    for (int i = start; i < end; i++) {
      name_of(name, 0, i);
      move(tmp, new, name);
    }
    if (fsync(new) != 0) die("fsync");
  }
  result("batch", count, now() - began);
  return 0;
}

static void fill(int count) {
  char name[64];
  for (int i = 0; i < count; i++) {
    name_of(name, 0, i);
    close(stage(name, i));
    move(tmp, new, name);
  }
  sync();
}

/* What jobspool writes for a no-op job, in its length. */
static const char record[] =
    ",\"jobspool\":{\"id\":\"limit-0-0000000\",\"state\":\"done\",\"outcome\":\"done\",\"submitted_at\":\"2026-01-01T00:00:00.000Z\","
    "\"submitted_by\":{\"uid\":0,\"user\":\"root\"},\"attempt\":1,\"attempts\":[{\"n\":1,\"started_at\":\"2026-01-01T00:00:00.000Z\","
    "\"ended_at\":\"2026-01-01T00:00:00.000Z\",\"outcome\":\"done\"}],\"spent\":true,\"updated_at\":\"2026-01-01T00:00:00.000Z\","
    "\"finished_at\":\"2026-01-01T00:00:00.000Z\",\"node\":\"node\",\"sha256\":"
    "\"0000000000000000000000000000000000000000000000000000000000000000\"}}\n";

enum { sync_log, sync_fs, sync_files };
enum { no_copies, copies_by_fs, copies_one_by_one };

static int drain(const char *what, int count, int size, int copies, int how) {
  fill(count);
  char *lines = malloc((size_t)size * 2048 + 1), name[64], text[512];
  int *files = malloc(sizeof *files * (size_t)size);
  if (lines == NULL || files == NULL) die("memory");
  const double began = now();
  for (int start = 0; start < count; start += size) {
    const int end = start + size < count ? start + size : count;
    size_t length = 0;
    for (int i = start; i < end; i++) {
      name_of(name, 0, i);
      move(new, cur, name);
      int fd = openat(cur, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
      struct stat status;
      if (fd < 0 || fstat(fd, &status) != 0) die(name);
      const ssize_t got = pread(fd, text, sizeof text, 0);
      if (got < 2) die("read");
      if (copies) {
        close(fd);
        fd = openat(tmp, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd < 0 || write(fd, text, (size_t)got) != got) die("copy");
      }
      files[i - start] = fd;
      memset(lines + length, 'c', 330);
      length += 330;
      lines[length++] = '\n';
    }
    if (copies) {
      if (copies == copies_by_fs && syncfs(tmp) != 0) die("syncfs");
      for (int i = start; copies == copies_one_by_one && i < end; i++)
        if (sync_file_range(files[i - start], 0, 0, SYNC_FILE_RANGE_WRITE) != 0) die("begin");
      for (int i = start; copies == copies_one_by_one && i < end; i++)
        if (fdatasync(files[i - start]) != 0) die("fdatasync");
      for (int i = start; i < end; i++) {
        name_of(name, 0, i);
        if (renameat(tmp, name, cur, name) != 0) die("adopt");
      }
    }
    for (int i = start; i < end; i++) {
      struct stat status;
      if (fstat(files[i - start], &status) != 0) die("fstat");
      if (pwrite(files[i - start], record, sizeof record - 1, status.st_size - 2) < 0) die("record");
      if (how == sync_files && fdatasync(files[i - start]) != 0) die("sync");
      close(files[i - start]);
      memset(lines + length, 'f', 300);
      memcpy(lines + length + 300, record, sizeof record - 2);
      length += 300 + sizeof record - 2;
      lines[length++] = '\n';
    }
    if (write(log_file, lines, length) != (ssize_t)length) die("log");
    if ((how == sync_fs ? syncfs(log_file) : fdatasync(log_file)) != 0) die("sync of the log");
    for (int i = start; i < end; i++) {
      name_of(name, 0, i);
      move(cur, done, name);
    }
  }
  result(what, count, now() - began);
  return 0;
}

static int drain_renames(const char *what, int count, int size) {
  fill(count);
  char name[64], text[512];
  const double began = now();
  for (int i = 0; i < count; i++) {
    name_of(name, 0, i);
    move(new, cur, name);
    const int fd = openat(cur, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || pread(fd, text, sizeof text, 0) < 2) die(name);
    close(fd);
    move(cur, done, name);
    if ((i + 1) % size == 0 && fsync(done) != 0) die("fsync of done");
  }
  if (fsync(done) != 0) die("fsync of done");
  result(what, count, now() - began);
  return 0;
}

static pid_t start(char *const command[]) {
  pid_t pid;
  const int failure = posix_spawn(&pid, command[0], NULL, NULL, command, environ);
  if (failure != 0) {
    errno = failure;
    die(command[0]);
  }
  return pid;
}

static int exec_jobs(int count, int at_once) {
  fill(count);
  char *const command[] = {"/bin/true", NULL};
  char name[64];
  int running = 0, started = 0, ended = 0;
  const double began = now();
  while (ended < count) {
    while (running < at_once && started < count) {
      name_of(name, 0, started++);
      move(new, cur, name);
      start(command);
      running += 1;
    }
    if (waitpid(-1, NULL, 0) < 0) die("wait");
    running -= 1;
    name_of(name, 0, ended++);
    move(cur, done, name);
  }
  result("exec", count, now() - began);
  return 0;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void times(const char *what, double *all, int count) {
  qsort(all, (size_t)count, sizeof *all, by_size);
  printf("{\"what\":\"%s\",\"count\":%d,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", what, count, all[count / 2] * 1e3,
         all[count * 99 / 100] * 1e3);
}

static int wake(int count, int execs) {
  int to_watcher[2], to_worker[2], back[2];
  if (pipe2(to_watcher, O_CLOEXEC) || pipe2(to_worker, O_CLOEXEC) || pipe2(back, 0)) die("pipe");
  const int notify = inotify_init1(IN_CLOEXEC);
  char path[4096];
  snprintf(path, sizeof path, "%s/new", spool);
  if (notify < 0 || inotify_add_watch(notify, path, IN_MOVED_TO) < 0) die("inotify");
  const pid_t worker = execs ? 0 : fork();
  if (!execs && worker == 0) {
    char line[256];
    while (read(to_worker[0], line, sizeof line) > 0)
      if (write(back[1], "\n", 1) != 1) _exit(1);
    _exit(0);
  }
  const pid_t watcher = fork();
  if (watcher == 0) {
    char events[8192] __attribute__((aligned(8))), text[512];
    ssize_t got;
    while ((got = read(notify, events, sizeof events)) > 0) {
      for (char *at = events; at < events + got;) {
        const struct inotify_event *event = (const void *)at;
        at += sizeof *event + event->len;
        move(new, cur, event->name);
        const int fd = openat(cur, event->name, O_RDWR | O_CLOEXEC);
        const ssize_t size = pread(fd, text, sizeof text, 0);
        close(fd);
        if (execs) {
          /* The started program says that it runs by writing to the descriptor it inherits. */
          char number[16];
          sprintf(number, "%d", back[1]);
          char self[4096];
          const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
          self[length > 0 ? length : 0] = 0;
          char *const command[] = {self, "here", number, NULL};
          waitpid(start(command), NULL, 0);
        } else if (write(to_worker[1], text, (size_t)size) != size) {
          _exit(1);
        }
      }
    }
    _exit(0);
  }
  double *all = malloc(sizeof *all * (size_t)count);
  char name[64], byte;
  for (int i = 0; i < count; i++) {
    name_of(name, 0, i);
    close(stage(name, i));
    usleep(3000);
    const double dropped = now();
    move(tmp, new, name);
    if (read(back[0], &byte, 1) != 1) die("answer");
    all[i] = now() - dropped;
  }
  kill(watcher, SIGKILL);
  if (worker > 0) kill(worker, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0) {
  }
  times(execs ? "wake exec" : "wake", all, count);
  return 0;
}

static int list(const char *path) {
  const double began = now();
  const int fd = open(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) die(path);
  static char buffer[1 << 18];
  int count = 0;
  long got;
  while ((got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < got; at += *(uint16_t *)(buffer + at + 16)) count += 1;
  close(fd);
  result("list", count, now() - began);
  return 0;
}

/* "id TIME\n" in one write, so that lines of several processes do not mix. */
static void stamp(int fd, const char *id, size_t length) {
  char line[256];
  if (length > 160) length = 160;
  memcpy(line, id, length);
  const int size = (int)length + sprintf(line + length, " %.9f\n", now());
  if (write(fd, line, (size_t)size) != size) die("stamp");
}

static int open_stamps(const char *path) {
  const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) die(path);
  return fd;
}

/* Every line begins with {"id":"…". Answers are written when there is nothing more to read, as a stream's buffer does. */
static int worker(const char *path) {
  static char in[1 << 18], out[1 << 18];
  const int stamps = path ? open_stamps(path) : -1;
  size_t have = 0;
  ssize_t got;
  while ((got = read(0, in + have, sizeof in - have)) > 0) {
    have += (size_t)got;
    char *at = in, *newline;
    size_t length = 0;
    while ((newline = memchr(at, '\n', have - (size_t)(at - in))) != NULL) {
      char *id = at + 7, *quote = memchr(id, '"', (size_t)(newline - id));
      if (quote == NULL) die("a line without an id");
      if (stamps >= 0) stamp(stamps, id, (size_t)(quote - id));
      length += (size_t)sprintf(out + length, "{\"id\":\"%.*s\",\"ok\":true}\n", (int)(quote - id), id);
      at = newline + 1;
    }
    if (length > 0 && write(1, out, length) != (ssize_t)length) die("answer");
    have -= (size_t)(at - in);
    memmove(in, at, have);
  }
  return 0;
}

static int once(const char *path) {
  const char *id = getenv("JOBSPOOL_ID");
  stamp(open_stamps(path), id ? id : "-", strlen(id ? id : "-"));
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "worker") == 0) return worker(argc > 2 ? argv[2] : NULL);
  if (argc == 3 && strcmp(what, "once") == 0) return once(argv[2]);
  if (argc == 3 && strcmp(what, "here") == 0) return write(atoi(argv[2]), "\n", 1) == 1 ? 0 : 1;
  if (argc == 3 && strcmp(what, "list") == 0) return list(argv[2]);
  if (argc < 4) {
    fprintf(stderr, "usage: limits WHAT SPOOL COUNT [N]\n");
    return 64;
  }
  const int count = atoi(argv[3]), number = argc > 4 ? atoi(argv[4]) : 0;
  open_spool(argv[2]);
  if (strcmp(what, "submit") == 0) return submit(count, number ? number : 1);
  if (strcmp(what, "after") == 0) return submit_after(count);
  if (strcmp(what, "batch") == 0) return batches(count, number > 0 ? number : 64);
  const int size = number > 0 ? number : 64;
  if (strcmp(what, "drain") == 0) return drain(what, count, size, no_copies, sync_log);
  if (strcmp(what, "drain-renames") == 0) return drain_renames(what, count, size);
  if (strcmp(what, "drain-fs") == 0) return drain(what, count, size, no_copies, sync_fs);
  if (strcmp(what, "drain-files") == 0) return drain(what, count, size, no_copies, sync_files);
  if (strcmp(what, "adopt") == 0) return drain(what, count, size, copies_by_fs, sync_log);
  if (strcmp(what, "adopt-files") == 0) return drain(what, count, size, copies_one_by_one, sync_log);
  if (strcmp(what, "exec") == 0) return exec_jobs(count, number ? number : 4);
  if (strcmp(what, "wake") == 0) return wake(count, argc > 4);
  if (strcmp(what, "fill") == 0) return fill(count), 0;
  fprintf(stderr, "limits: nothing is called %s\n", what);
  return 64;
}
