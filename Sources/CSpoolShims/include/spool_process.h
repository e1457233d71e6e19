/*
 * Processes and waiting for them: clone(2), pidfd_open(2), wait4(2), epoll(7), eventfd(2), signalfd(2),
 * timerfd_create(2), pipe2(2), prctl(2). Thin: each function is one call, or one call and the set-up that C macros or
 * unions would ask of Swift. Every function returns -1 and sets errno on failure unless it says otherwise; every
 * descriptor made here has FD_CLOEXEC.
 */
#ifndef SPOOL_PROCESS_H
#define SPOOL_PROCESS_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/*
 * Starts a program in a session (and so a process group) of its own, in `directory`, with fds[0...3] as its descriptors 0 to 3
 * and every other descriptor closed. All signals are unblocked and at their defaults, as far as they were changed before the
 * first start (SIGPIPE: always). The numbers in `fds` may be anything, 0 to 3 included. A -1 means /dev/null for 0 to 2 and
 * no descriptor for 3. Returns 0 and the pid, or the error number (posix_spawn's way); a failed exec is reported here too.
 */
int spool_spawn(const char *path, char *const argv[], char *const envp[], const char *directory, const int fds[4],
                pid_t *pid);

/* A descriptor that polls readable once `pid` has ended; for any process, child or not. */
int spool_pidfd_open(pid_t pid);
/* kill(2) without the danger of a recycled pid. */
int spool_pidfd_send_signal(int pidfd, int signal);
/* wait4(2) with WNOHANG: the pid, 0 while it lives, -1 on error (ECHILD: not our child). Retries EINTR. */
pid_t spool_reap(pid_t pid, int *status, struct rusage *usage);
/* waitpid(2)'s status macros. */
int spool_status_exited(int status);   /* the exit code, or -1 */
int spool_status_signalled(int status); /* the signal, or -1 */

/* From now on orphans of our descendants become our children (PR_SET_CHILD_SUBREAPER). */
int spool_become_subreaper(void);

/* environ(7), which Swift 6 will not touch: a mutable global. Read it before other threads may call setenv. */
char **spool_environment(void);

/* Whether `part` occurs in `bytes` (memmem(3)). */
int spool_contains(const void *bytes, size_t size, const void *part, size_t part_size);

/* A pipe; its read end is fds[0]. */
int spool_pipe(int fds[2]);
/* For a fresh descriptor: other status flags (O_APPEND, say) are taken away. */
int spool_set_nonblocking(int fd);

/* Bytes in a pipe that nobody has read yet, asked at either end (FIONREAD); -1 on failure. */
int spool_unread(int fd);

/* epoll(7), level-triggered. */
struct spool_event {
  uint32_t events;
  uint64_t tag;
};

enum {
  SPOOL_EVENT_READ = 0x001,
  SPOOL_EVENT_WRITE = 0x004,
  SPOOL_EVENT_ERROR = 0x008,
  SPOOL_EVENT_HANGUP = 0x010,
};

int spool_epoll_create(void);
int spool_epoll_add(int epoll, int fd, uint32_t events, uint64_t tag);
int spool_epoll_change(int epoll, int fd, uint32_t events, uint64_t tag);
int spool_epoll_remove(int epoll, int fd);
/* Waits at most `nanoseconds` (-1: for ever); returns how many of `events` (at most 128) were filled. */
int spool_epoll_wait(int epoll, struct spool_event *events, int count, int64_t nanoseconds);

/* eventfd(2), non-blocking. */
int spool_eventfd(void);

/* Blocks `signals` in this thread and returns a signalfd for them; `fd` is -1 or an earlier one to be changed. */
int spool_signalfd(int fd, const int *signals, int count);
/* The next signal that arrived, or 0 when there is none. */
int spool_signalfd_next(int fd);

/* A timer by the wall clock: it fires at the given time, and at once when the clock is set (read: ECANCELED). */
int spool_wall_timer(void);
int spool_wall_timer_set(int fd, int64_t seconds, int64_t nanoseconds);

/* Lets go of the pages of program text that only the start needed (MADV_DONTNEED on read-only, file-backed segments:
   what is used again comes back from the page cache). Returns how many segments were let go. */
int spool_release_text(void);

/* Gives the calling thread less of the processor than others (nice 10). */
void spool_yield_to_others(void);

#endif
