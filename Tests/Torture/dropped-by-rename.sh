#!/bin/sh
# 10,000 jobs dropped by a program that knows nothing of jobspool.
JOBS=10000 PATIENCE=600 exec Tests/EndToEnd/dropped-by-rename.py
