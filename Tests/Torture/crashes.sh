#!/bin/sh
# 1,000 kills of everything, and 25 chosen calls of each kind as the daemon's last one.
ROUNDS=1000 POINTS=25 PATIENCE=300 exec Tests/EndToEnd/crashes.py
