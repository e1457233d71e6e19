/* drop SPOOL ID JOB: hands the JSON text JOB to the spool. Exit 73: a job of that id waits there already.
   cc -o drop drop.c (Linux 3.15, glibc 2.28) */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        count -= (size_t) n;
    }
    return 0;
}

/* 0 when the job is on the disk, else -1 and errno: EEXIST when a job of that id waits already. */
static int drop(const char *spool, const char *id, const char *job)
{
    char staged[PATH_MAX], new_dir[PATH_MAX], published[PATH_MAX];
    int fd, dir, error;

    if (snprintf(staged, sizeof staged, "%s/tmp/%s.XXXXXX", spool, id) >= (int) sizeof staged) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(new_dir, sizeof new_dir, "%s/new", spool);
    snprintf(published, sizeof published, "%s/new/%s.json", spool, id);

    /* A fresh name in tmp/ each time, so that what a crash left there is never in the way. */
    if ((fd = mkostemp(staged, O_CLOEXEC)) < 0)
        return -1;
    if ((dir = open(new_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        goto fail;
    if (write_all(fd, job, strlen(job)) != 0 || write_all(fd, "\n", 1) != 0 || fchmod(fd, 0640) != 0
        || fsync(fd) != 0 || renameat2(AT_FDCWD, staged, AT_FDCWD, published, RENAME_NOREPLACE) != 0
        || fsync(dir) != 0 || fsync(fd) != 0) /* again: on btrfs a folder's alone may return too early */
        goto fail;
    close(dir);
    close(fd);
    return 0;

fail:
    error = errno;
    unlink(staged);
    if (dir >= 0)
        close(dir);
    close(fd);
    errno = error;
    return -1;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: drop SPOOL ID JOB\n");
        return 64;
    }
    if (drop(argv[1], argv[2], argv[3]) != 0) {
        if (errno == EEXIST) {
            fprintf(stderr, "drop: %s is waiting already\n", argv[2]);
            return 73;
        }
        fprintf(stderr, "drop: %s: %s\n", argv[1], strerror(errno));
        return 75;
    }
    puts(argv[2]);
    return 0;
}
