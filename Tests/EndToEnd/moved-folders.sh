#!/bin/sh
# Folders of the spool, and its disk, that go under the daemon and come back.
exec Tests/EndToEnd/failing-disk.py folders
