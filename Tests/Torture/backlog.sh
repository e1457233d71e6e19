#!/bin/sh
# 20,000 jobs dropped while the daemon was down.
JOBS=20000 exec Tests/EndToEnd/backlog.py
