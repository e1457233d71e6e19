#!/bin/sh
# Twelve backups of a spool under a load of 500 jobs a second, each restored and run to its end. SEED repeats a run as far
# as its random choices go.
BACKUPS=12 RATE=500 SPAN=4 PATIENCE=300 exec Tests/EndToEnd/backup.py
