// File calls of Linux: all return -1 with errno set, as the calls they stand for.
#ifndef SPOOL_FILES_H
#define SPOOL_FILES_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SPOOL_RENAME_REPLACE 0u
#define SPOOL_RENAME_NOREPLACE 1u

int spool_openat(int directory, const char *name, int flags, mode_t mode);
int spool_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags);
int spool_syncfs(int fd);
// getdents64(2).
ssize_t spool_getdents(int fd, void *buffer, size_t size);
// Takes the OFD write lock of the whole file; EAGAIN when another holds it.
int spool_lock(int fd);
// 1: another open file holds a write lock, 0: nobody does.
int spool_is_locked(int fd);
int spool_o_path(void);
// An open file without a name, in memory (memfd_create(2)).
int spool_temporary_file(void);
// The magic number of the file system the file lies on (statfs(2)); -1 on failure.
int64_t spool_file_system(int fd);
// 1: the kernel's clock is kept by something (adjtimex(2)), 0: by nothing, -1: it does not say.
int spool_clock_is_kept(void);
uint64_t spool_random(void);
const void *spool_memrchr(const void *bytes, int byte, size_t size);
const void *spool_memmem(const void *bytes, size_t size, const void *wanted, size_t length);
#endif
