#define _GNU_SOURCE
#include "include/spool_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

int spool_openat(int directory, const char *name, int flags, mode_t mode) {
  return openat(directory, name, flags, mode);
}

int spool_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
  return renameat2(from_directory, from, to_directory, to, flags);
}

int spool_temporary_file(void) { return memfd_create("jobspool", MFD_CLOEXEC); }

int64_t spool_file_system(int fd) {
  struct statfs status;
  return fstatfs(fd, &status) == 0 ? (int64_t)(uint32_t)status.f_type : -1;
}

int spool_clock_is_kept(void) {
  struct timex clock = {.modes = 0};
  int state = adjtimex(&clock);
  if (state < 0) return -1;
  return state != TIME_ERROR && !(clock.status & STA_UNSYNC);
}

int spool_syncfs(int fd) { return syncfs(fd); }


ssize_t spool_getdents(int fd, void *buffer, size_t size) { return syscall(SYS_getdents64, fd, buffer, size); }

int spool_lock(int fd) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_SETLK, &lock);
}

int spool_is_locked(int fd) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return -1;
  return lock.l_type != F_UNLCK;
}

int spool_o_path(void) { return O_PATH; }

uint64_t spool_random(void) {
  uint64_t value = 0;
  while (getrandom(&value, sizeof value, 0) != sizeof value) {
  }
  return value;
}

const void *spool_memrchr(const void *bytes, int byte, size_t size) { return memrchr(bytes, byte, size); }

const void *spool_memmem(const void *bytes, size_t size, const void *wanted, size_t length) {
  return memmem(bytes, size, wanted, length);
}
