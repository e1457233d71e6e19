#!/usr/bin/env python3
"""Handlers that leave a grandchild of a session of its own behind at the very moment they end, hundreds of times and several at
once: whatever the timing, none of them outlives its job. JOBS says how many (400)."""

import os
import subprocess

from daemon import Spool, alive, check, finish, marked, same, say, skip, until

COUNT = int(os.environ.get("JOBS", "400"))

# Compiled, because the races are of microseconds: the handler ends while the process between is still on its way out.
PROGRAM = rb"""
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
  const char *id = getenv("JOBSPOOL_ID");
  unsigned number = atoi(strrchr(id, '-') + 1);
  int ready[2];
  if (pipe(ready)) return 1;
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      char path[4096];
      snprintf(path, sizeof path, "%s/../pids", getenv("JOBSPOOL_DIR"));
      int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
      dprintf(file, "%d\n", getpid());
      for (int fd = 0; fd < 5; fd++) close(fd);
      if (ready[1] > 4 && write(ready[1], "", 1) < 0) return 1;
      signal(SIGTERM, SIG_IGN);
      sleep(60);
      _exit(0);
    }
    /* Some memory to give back, so that this end takes its time. */
    size_t size = (number % 8) << 20;
    if (size) memset(malloc(size), 1, size);
    if (number % 3 == 0) usleep(number * 7 % 500);
    _exit(0);
  }
  if (number % 5 == 0) { char c; close(ready[1]); if (read(ready[0], &c, 1) < 0) return 1; }
  if (number % 2) usleep(number * 13 % 700);
  return 0;
}
"""

with Spool(config="max_jobs = 8") as spool:
    program = spool.at("handlers", "bin", "hides")
    if subprocess.run(["cc", "-O1", "-x", "c", "-o", program, "-"], input=PROGRAM).returncode != 0:
        skip("no C compiler here")
    spool.configure(f'command = ["{program}"]\nconcurrency = 8\n', "handlers/hides.toml")
    spool.start()
    for number in range(COUNT):
        spool.drop(f"hides-{number}", {"type": "hides"})
    until(lambda: spool.count("done") == COUNT, "all done", every=0.05)
    left = marked(spool.mark())
    with open(spool.at("..", "pids")) as file:
        hidden = file.read().split()
    say(f"{COUNT} handlers hid a process each; {len(hidden)} of these had begun before they were ended, {len(left)} are left")
    same(left, [], "processes left")
    same(spool.stop(), 0, "exit")
    spool.verify()
finish()
