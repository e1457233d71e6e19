// SPDX-License-Identifier: Apache-2.0
/*
 * blockreplay IMAGE LOG CUT MODE SEED: makes of IMAGE, which is the disk before the recording, what a power cut after entry
 * CUT would have left. Everything before the last flush is there. What came after it lay in the disk's cache, and MODE says
 * what became of it:
 *
 *     flush   all of it was lost                          rand   any part of it got to the disk, in pieces of 4 KiB
 *     all     all of it got there                         torn   the same, in sectors of 512 bytes
 *
 * Pieces stay in the order of their writes: a later write to the same place wins if both got there.
 * Without CUT: prints how many entries and flushes the log has.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { time_of, kind, offset, length };

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void put(int image, const void *bytes, size_t size, uint64_t at) {
  if (pwrite(image, bytes, size, (off_t)at) != (ssize_t)size) die("blockreplay: writing the image");
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 6) {
    fprintf(stderr, "usage: blockreplay IMAGE LOG [CUT flush|rand|torn|all SEED]\n");
    return 64;
  }
  FILE *log = fopen(argv[2], "r");
  if (log == NULL) die(argv[2]);
  const uint64_t wanted = argc > 3 ? strtoull(argv[3], NULL, 10) : UINT64_MAX;
  uint64_t head[4], entries = 0, flushes = 0, last_flush = 0, largest = 0;
  while (entries < wanted && fread(head, sizeof head, 1, log) == 1) {
    entries += 1;
    if (head[kind] == 'F') flushes += 1, last_flush = entries;
    if (head[kind] != 'W') continue;
    if (head[length] > largest) largest = head[length];
    if (fseek(log, (long)head[length], SEEK_CUR) != 0) die("blockreplay: the log");
  }
  if (argc == 3) {
    printf("%llu entries, %llu flushes\n", (unsigned long long)entries, (unsigned long long)flushes);
    return 0;
  }
  const int keep_all = strcmp(argv[4], "all") == 0, lose_all = strcmp(argv[4], "flush") == 0;
  const uint64_t piece = strcmp(argv[4], "torn") == 0 ? 512 : 4096;
  srandom((unsigned)atoi(argv[5]));
  const int image = open(argv[1], O_RDWR);
  char *bytes = malloc(largest + 1);
  if (image < 0 || bytes == NULL) die(argv[1]);
  rewind(log);
  for (uint64_t index = 1; index <= entries && fread(head, sizeof head, 1, log) == 1; index++) {
    const int safe = index <= last_flush || keep_all;
    if (head[kind] == 'D' && safe) {
      /* 3: FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE; what is discarded reads as zeros here */
      if (fallocate(image, 3, (off_t)head[offset], (off_t)head[length]) != 0) die("blockreplay: discarding");
    }
    if (head[kind] != 'W') continue;
    if (head[length] > 0 && fread(bytes, head[length], 1, log) != 1) die("blockreplay: the log ends within an entry");
    if (safe) {
      put(image, bytes, head[length], head[offset]);
    } else if (!lose_all) {
      const long fate = random() % 3; /* whole, not at all, or piece by piece */
      for (uint64_t at = 0; at < head[length]; at += piece) {
        const uint64_t size = head[length] - at < piece ? head[length] - at : piece;
        if (fate == 0 || (fate == 2 && random() % 2)) put(image, bytes + at, size, head[offset] + at);
      }
    }
  }
  return close(image) == 0 ? 0 : 1;
}
