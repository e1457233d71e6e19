#define _GNU_SOURCE
#include "spool_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int spool_watch_start(const char *path, char *const arguments[], int *output, int *process, pid_t *pid) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return errno;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawn_file_actions_init(&actions);
  /* 1 and 2 first: if our own 0 is closed, the pipe may be sitting there. */
  int error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  if (!error) error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!error) error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  if (!error) error = posix_spawn(pid, path, &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  if (!error && (*process = (int)syscall(SYS_pidfd_open, *pid, 0)) < 0) {
    error = errno;
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
  }
  if (error) {
    close(ends[0]);
    return error;
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  *output = ends[0];
  return 0;
}

int spool_watch_finish(int process, int *code) {
  siginfo_t info = {0};
  int result;
  syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
  while ((result = waitid(P_PIDFD, (id_t)process, &info, WEXITED)) < 0 && errno == EINTR) {
  }
  int error = result < 0 ? errno : 0;
  close(process);
  *code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
  return error;
}
