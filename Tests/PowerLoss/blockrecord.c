// SPDX-License-Identifier: Apache-2.0
/*
 * blockrecord IMAGE LOG FOLDER: a FUSE file system with one file in it, FOLDER/disk, which is IMAGE. A loop device on that
 * file is a disk whose every write and every cache flush is written down in LOG, in order, so that blockreplay can rebuild
 * what the disk would hold had the power been cut at any of them.
 *
 * FOLDER/seq, read, is the number of entries so far. Whoever has just been told that something is durable reads it: a disk
 * cut anywhere from that entry on has to have it. Runs in the foreground until unmounted, on one thread, so entries have one order.
 *
 * With FLUSH_MS set, a flush takes so many milliseconds.
 *
 * An entry: four 64-bit words (CLOCK_MONOTONIC in ns, kind W|F|D, offset, length), after a W the bytes. D is a discarded or zeroed range.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

static int image;
static FILE *entries;
static uint64_t count;
static off_t image_size;
static useconds_t flush_time; /* microseconds */

static int note(char kind, uint64_t offset, uint64_t length, const void *bytes) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t head[4] = {(uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, (uint64_t)kind, offset, length};
  if (fwrite(head, sizeof head, 1, entries) != 1) return -EIO;
  if (bytes != NULL && length > 0 && fwrite(bytes, length, 1, entries) != 1) return -EIO;
  count += 1;
  return 0;
}

static int is_disk(const char *path) { return strcmp(path, "/disk") == 0; }

static int get_status(const char *path, struct stat *status, struct fuse_file_info *file) {
  (void)file;
  memset(status, 0, sizeof *status);
  status->st_nlink = 1;
  if (strcmp(path, "/") == 0) {
    status->st_mode = S_IFDIR | 0755;
    status->st_nlink = 2;
  } else if (is_disk(path)) {
    status->st_mode = S_IFREG | 0600;
    status->st_size = image_size;
  } else if (strcmp(path, "/seq") == 0) {
    status->st_mode = S_IFREG | 0644;
    status->st_size = 32;
  } else {
    return -ENOENT;
  }
  return 0;
}

static int list(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file,
                enum fuse_readdir_flags flags) {
  (void)path, (void)offset, (void)file, (void)flags;
  for (const char *const *name = (const char *const[]){".", "..", "disk", "seq", NULL}; *name; name++)
    fill(buffer, *name, NULL, 0, 0);
  return 0;
}

static int open_file(const char *path, struct fuse_file_info *file) {
  (void)path;
  file->direct_io = 1; /* nothing may be answered from, or held back in, a cache between the loop device and us */
  return 0;
}

static int read_file(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *file) {
  (void)file;
  if (is_disk(path)) {
    const ssize_t got = pread(image, buffer, size, offset);
    return got < 0 ? -errno : (int)got;
  }
  char text[32];
  const int length = snprintf(text, sizeof text, "%llu\n", (unsigned long long)count);
  if (offset >= length) return 0;
  if (size > (size_t)(length - offset)) size = (size_t)(length - offset);
  memcpy(buffer, text + offset, size);
  return (int)size;
}

static int write_file(const char *path, const char *bytes, size_t size, off_t offset, struct fuse_file_info *file) {
  (void)file;
  if (!is_disk(path)) return -EPERM;
  const ssize_t put = pwrite(image, bytes, size, offset);
  if (put < 0) return -errno;
  const int failure = note('W', (uint64_t)offset, (uint64_t)put, bytes);
  return failure ? failure : (int)put;
}

static int flush_disk(const char *path, int data_only, struct fuse_file_info *file) {
  (void)data_only, (void)file;
  if (flush_time > 0) usleep(flush_time);
  return is_disk(path) ? note('F', 0, 0, NULL) : 0;
}

static int discard(const char *path, int mode, off_t offset, off_t length, struct fuse_file_info *file) {
  (void)file;
  if (!is_disk(path)) return -EPERM;
  if (fallocate(image, mode, offset, length) != 0) return -errno;
  return note('D', (uint64_t)offset, (uint64_t)length, NULL);
}

static void *begin(struct fuse_conn_info *connection, struct fuse_config *config) {
  (void)connection;
  config->kernel_cache = 0;
  config->attr_timeout = 0;
  return NULL;
}

static void end(void *nothing) {
  (void)nothing;
  if (fclose(entries) != 0) perror("blockrecord: the log");
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: blockrecord IMAGE LOG FOLDER\n");
    return 64;
  }
  if (getenv("FLUSH_MS") != NULL) flush_time = (useconds_t)atoi(getenv("FLUSH_MS")) * 1000;
  struct stat status;
  image = open(argv[1], O_RDWR);
  entries = fopen(argv[2], "w");
  if (image < 0 || entries == NULL || fstat(image, &status) != 0) {
    perror("blockrecord");
    return 1;
  }
  setvbuf(entries, NULL, _IOFBF, 1 << 20);
  image_size = status.st_size;
  static const struct fuse_operations operations = {
      .getattr = get_status, .readdir = list, .open = open_file, .read = read_file, .write = write_file,
      .fsync = flush_disk, .fallocate = discard, .init = begin, .destroy = end};
  char *arguments[] = {argv[0], "-f", "-s", argv[3], NULL};
  return fuse_main(4, arguments, &operations, NULL);
}
