#!/bin/sh
# kill -9 of the daemon under load, a hundred times. SEED repeats a run as far as its random choices go.
ROUNDS=100 PATIENCE=180 exec Tests/EndToEnd/killed-daemon.py
