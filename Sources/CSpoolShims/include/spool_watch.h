/* What SpoolWatch needs to run jobspool-watch and Glibc's Swift module lacks. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

/* Starts `path` with standard input from /dev/null, both its outputs into one new pipe, every other descriptor closed,
   signals as by default, in a process group of its own (a ^C at the terminal is for us).
   On success 0; *output is the pipe's non-blocking read end, *process a pidfd of the child; both close on exec.
   Otherwise an errno, and nothing was started. */
int spool_watch_start(const char *path, char *const arguments[], int *output, int *process, pid_t *pid);

/* Kills the child and waits for its end, which is then in *code (exit code, or minus the signal).
   Returns 0 or an errno: ECHILD when somebody else has reaped it. Closes `process`. */
int spool_watch_finish(int process, int *code);
