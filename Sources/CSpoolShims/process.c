#define _GNU_SOURCE
#include "spool_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
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

static int add_actions(posix_spawn_file_actions_t *actions, const char *directory, const int sources[MAPPED]) {
  int error = posix_spawn_file_actions_addchdir_np(actions, directory);
  for (int target = 0; target < MAPPED && error == 0; target++) {
    if (sources[target] >= 0)
      error = posix_spawn_file_actions_adddup2(actions, sources[target], target);
    else if (target < 3)
      error = posix_spawn_file_actions_addopen(actions, target, "/dev/null", O_RDWR, 0);
  }
  if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(actions, sources[3] >= 0 ? 4 : 3);
  return error;
}

static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, standard;
  sigemptyset(&none);
  sigemptyset(&standard);
  for (int number = 1; number < 32; number++)
    if (number != SIGKILL && number != SIGSTOP) sigaddset(&standard, number);
  int error = posix_spawnattr_setsigmask(attributes, &none);
  if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &standard);
  if (error == 0)
    error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  return error;
}

int spool_spawn(const char *path, char *const argv[], char *const envp[], const char *directory, const int fds[4],
                pid_t *pid) {
  int sources[MAPPED], lifted[MAPPED] = {-1, -1, -1, -1};
  int error = 0;

  /* A source numbered 0 to 3 would be overwritten by an earlier dup2, and dup2 onto itself keeps FD_CLOEXEC away from
     us only in newer glibc: such sources are lifted out of the way first. */
  for (int i = 0; i < MAPPED; i++) {
    sources[i] = fds[i];
    if (fds[i] < 0 || fds[i] >= MAPPED) continue;
    lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, MAPPED);
    if (lifted[i] < 0) error = errno;
    sources[i] = lifted[i];
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (error == 0 && (error = posix_spawn_file_actions_init(&actions)) == 0) {
    if ((error = posix_spawnattr_init(&attributes)) == 0) {
      error = add_actions(&actions, directory, sources);
      if (error == 0) error = set_attributes(&attributes);
      if (error == 0) error = posix_spawn(pid, path, &actions, &attributes, argv, envp);
      posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  for (int i = 0; i < MAPPED; i++)
    if (lifted[i] >= 0) close(lifted[i]);
  return error;
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
