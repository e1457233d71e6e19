// SPDX-License-Identifier: Apache-2.0
/*
 * LD_PRELOAD=nosync.so NOSYNC=WHAT PROGRAM: the program believes that it has synced. WHAT is a comma-separated list of
 *
 *     file       fsync(2) of regular files             data    fdatasync(2)
 *     folder     fsync(2) of directories                fs      syncfs(2)
 *
 * For the controls of the power-loss tests: a step taken away has to show as a loss, or the tests prove nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int is_off(const char *what) {
  const char *list = getenv("NOSYNC");
  if (list == NULL) return 0;
  const size_t length = strlen(what);
  for (const char *at = list; (at = strstr(at, what)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return 1;
  return 0;
}

static int real(const char *name, int fd) {
  int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return call(fd);
}

int fsync(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  return is_off(S_ISDIR(status.st_mode) ? "folder" : "file") ? 0 : real("fsync", fd);
}

int fdatasync(int fd) { return is_off("data") ? 0 : real("fdatasync", fd); }

int syncfs(int fd) { return is_off("fs") ? 0 : real("syncfs", fd); }
