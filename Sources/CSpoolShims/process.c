#define _GNU_SOURCE
#include "spool_process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAPPED 4

/* What a start hands to the child, which runs in the same memory until it has become the program. */
struct launch {
  const char *path;
  char *const *argv;
  char *const *envp;
  const char *directory;
  const int *sources;
  int error;
};

/* rt_sigaction(2) past glibc, which keeps signals 32 and 33 to itself: whoever started us with them ignored would have them so
   in every child. Nothing but zeros is the default; what is first in it is the handler. */
struct raw_action {
  uintptr_t words[8];
};

static int set_action(int number, const struct raw_action *new, struct raw_action *old) {
  return (int)syscall(SYS_rt_sigaction, number, new, old, (size_t)8);
}

/* Signals that are not at their defaults in this process, since it was started or by its own doing before its first child. */
static uint64_t changed;

static void note_changed(void) {
  for (int number = 1; number <= 64; number++) {
    struct raw_action action = {{0}};
    /* SIGPIPE may come to be ignored later. */
    if (number == SIGPIPE || (set_action(number, NULL, &action) == 0 && action.words[0] != 0))
      changed |= (uint64_t)1 << (number - 1);
  }
}

/* Closes all from `first` on where there is no close_range(2): before Linux 5.9, or in a container that knows it not. */
static int close_one_by_one(int first) {
  _Alignas(8) char entries[1024];
  int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int found;
  if (folder < 0) return -1;
  do {
    long size;
    found = 0;
    if (lseek(folder, 0, SEEK_SET) < 0) return -1;
    while ((size = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
      for (long at = 0; at < size;) {
        /* struct linux_dirent64: inode, offset, length, kind, name */
        unsigned short length;
        memcpy(&length, entries + at + 16, sizeof length);
        int number = 0;
        const char *digit = entries + at + 19;
        while (*digit >= '0' && *digit <= '9') number = number * 10 + (*digit++ - '0');
        if (*digit == 0 && digit != entries + at + 19 && number >= first && number != folder && close(number) == 0) found = 1;
        at += length;
      }
    if (size < 0) return -1;
  } while (found);
  /* It goes with the start of the program. */
  return 0;
}

/* Only system calls from here on: no lock may be taken, and nothing changed that the parent would find. */
static int become(void *argument) {
  struct launch *launch = argument;
  const struct raw_action standard = {{0}};
  sigset_t none;
  int count = launch->sources[3] >= 0 ? 4 : 3;

  for (int number = 1; number <= 64; number++)
    if (changed >> (number - 1) & 1) set_action(number, &standard, NULL);
  if (setsid() < 0 || chdir(launch->directory) != 0) goto failed;
  for (int target = 0; target < count; target++) {
    int source = launch->sources[target];
    if (source < 0) {
      close(target);
      if ((source = open("/dev/null", O_RDWR)) < 0) goto failed;
    }
    if (source != target && dup2(source, target) < 0) goto failed;
  }
  if (close_range((unsigned)count, ~0U, 0) != 0 && close_one_by_one(count) != 0) goto failed;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(launch->path, launch->argv, launch->envp);
failed:
  launch->error = errno != 0 ? errno : ENOEXEC;
  _exit(127);
}

/*
 * posix_spawn(3) does the same, and for a short program a good part of what its start costs is what it does besides: it sets
 * every signal one by one, and maps a stack for each child and takes it away, of which other processors have to be told.
 * Here the child has a piece of the caller's stack, who stands still until it is done with it (CLONE_VFORK).
 */
int spool_spawn(const char *path, char *const argv[], char *const envp[], const char *directory, const int fds[4],
                pid_t *pid) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int sources[MAPPED], lifted[MAPPED] = {-1, -1, -1, -1};
  struct launch launch = {path, argv, envp, directory, sources, 0};

  pthread_once(&once, note_changed);
  /* A source numbered 0 to 3 would be overwritten by an earlier dup2: such sources are lifted out of the way first. */
  for (int i = 0; i < MAPPED; i++) {
    sources[i] = fds[i];
    if (fds[i] < 0 || fds[i] >= MAPPED) continue;
    lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, MAPPED);
    if (lifted[i] < 0) launch.error = errno;
    sources[i] = lifted[i];
  }
  if (launch.error == 0) {
    _Alignas(16) char stack[16384];
    sigset_t all, before;
    /* A handler of ours must not run in the child. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t child = clone(become, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &launch);
    if (child < 0)
      launch.error = errno;
    else if (launch.error != 0)
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
      }
    else
      *pid = child;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  for (int i = 0; i < MAPPED; i++)
    if (lifted[i] >= 0) close(lifted[i]);
  return launch.error;
}

int spool_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int spool_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

pid_t spool_reap(pid_t pid, int *status, struct rusage *usage) {
  pid_t reaped;
  do reaped = wait4(pid, status, WNOHANG, usage);
  while (reaped < 0 && errno == EINTR);
  return reaped;
}

int spool_status_exited(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
int spool_status_signalled(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : -1; }

int spool_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

char **spool_environment(void) { return environ; }

int spool_contains(const void *bytes, size_t size, const void *part, size_t part_size) {
  return memmem(bytes, size, part, part_size) != NULL;
}

int spool_pipe(int fds[2]) { return pipe2(fds, O_CLOEXEC); }

int spool_set_nonblocking(int fd) { return fcntl(fd, F_SETFL, O_NONBLOCK); }

int spool_unread(int fd) {
  int count = 0;
  return ioctl(fd, FIONREAD, &count) == 0 ? count : -1;
}

int spool_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int spool_epoll_add(int epoll, int fd, uint32_t events, uint64_t tag) {
  struct epoll_event event = {.events = events, .data.u64 = tag};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int spool_epoll_change(int epoll, int fd, uint32_t events, uint64_t tag) {
  struct epoll_event event = {.events = events, .data.u64 = tag};
  return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

int spool_epoll_remove(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); }

int spool_epoll_wait(int epoll, struct spool_event *events, int count, int64_t nanoseconds) {
  struct epoll_event ready[128];
  if (count > 128) count = 128;
  struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  int found = epoll_pwait2(epoll, ready, count, nanoseconds < 0 ? NULL : &limit, NULL);
  if (found < 0 && errno == ENOSYS) { /* Linux before 5.11: whole milliseconds, rounded up */
    int64_t milliseconds = nanoseconds < 0 ? -1 : (nanoseconds + 999999) / 1000000;
    found = epoll_wait(epoll, ready, count, milliseconds > 86400000 ? 86400000 : (int)milliseconds);
  }
  for (int i = 0; i < found; i++) {
    events[i].events = ready[i].events;
    events[i].tag = ready[i].data.u64;
  }
  return found;
}

int spool_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int spool_signalfd(int fd, const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return signalfd(fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int spool_signalfd_next(int fd) {
  struct signalfd_siginfo info;
  ssize_t count;
  do count = read(fd, &info, sizeof info);
  while (count < 0 && errno == EINTR);
  if (count == (ssize_t)sizeof info) return (int)info.ssi_signo;
  return count < 0 && errno == EAGAIN ? 0 : -1;
}

int spool_wall_timer(void) { return timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK); }

int spool_wall_timer_set(int fd, int64_t seconds, int64_t nanoseconds) {
  struct itimerspec when = {.it_value = {.tv_sec = seconds, .tv_nsec = nanoseconds}};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

void spool_yield_to_others(void) { setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10); }
