#!/bin/sh
# Every kind of disk that refuses, and every folder of the spool that goes.
FOLDERS="new cur done dead tmp log ctl hold" exec Tests/EndToEnd/failing-disk.py inodes quota device readonly folders
