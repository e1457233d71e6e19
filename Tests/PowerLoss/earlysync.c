// SPDX-License-Identifier: Apache-2.0
/*
 * earlysync FOLDER ROUNDS: does fsync of a folder return while somebody else's, begun before, is still being written? Prints
 * four numbers: how often that of the folder did, how often one of a file that was moved there did after it, how often the
 * first was under way when the second began, and of how many. For a disk whose flushes take some time.
 *
 * The order is the one in which btrfs does so: names changed before the first fsync of a transaction, more fsyncs in it than
 * in the transaction before, then two of the folder at once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int tmp, published;
static atomic_int under_way;

static void need(int is_fine, const char *what) {
  if (is_fine) return;
  perror(what);
  exit(1);
}

static int stage(const char *name) {
  const int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
  need(fd >= 0 && write(fd, name, strlen(name)) > 0 && fsync(fd) == 0, "staging a file");
  return fd;
}

static void touch(int fd) { need(write(fd, "x", 1) == 1 && fsync(fd) == 0, "syncing another file"); }

/* Whoever was woken by the same flush has some time to say so. */
static int is_under_way(void) {
  usleep(10000);
  return atomic_load(&under_way);
}

static void *sync_first(void *nothing) {
  (void)nothing;
  need(fsync(published) == 0, "syncing the folder");
  atomic_store(&under_way, 0);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: earlysync FOLDER ROUNDS\n");
    return 64;
  }
  need(chdir(argv[1]) == 0 && mkdir("tmp", 0755) == 0 && mkdir("new", 0755) == 0, "making the folders");
  tmp = open("tmp", O_RDONLY);
  published = open("new", O_RDONLY);
  const int other = open("other", O_WRONLY | O_CREAT, 0644);
  need(tmp >= 0 && published >= 0 && other >= 0, "opening the folders");
  const int rounds = atoi(argv[2]);
  int by_folder = 0, by_file = 0, both = 0;
  for (int round = 0; round < rounds; round++) {
    char first[32], second[32];
    snprintf(first, sizeof first, "a%d", round);
    snprintf(second, sizeof second, "b%d", round);
    const int one = stage(first), two = stage(second);
    need(syncfs(tmp) == 0, "syncing the file system");
    touch(other);
    need(syncfs(tmp) == 0, "syncing the file system");
    need(renameat(tmp, first, published, first) == 0 && renameat(tmp, second, published, second) == 0, "moving");
    touch(other);
    touch(other);
    atomic_store(&under_way, 1);
    pthread_t thread;
    need(pthread_create(&thread, NULL, sync_first, NULL) == 0, "starting a thread");
    usleep(5000);
    both += atomic_load(&under_way);
    need(fsync(published) == 0, "syncing the folder");
    by_folder += is_under_way();
    need(fsync(two) == 0, "syncing the file");
    by_file += is_under_way();
    need(pthread_join(thread, NULL) == 0, "waiting for the thread");
    need(close(one) == 0 && close(two) == 0, "closing the files");
  }
  printf("%d %d %d %d\n", by_folder, by_file, both, rounds);
  return 0;
}
