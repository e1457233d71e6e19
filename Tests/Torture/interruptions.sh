#!/bin/sh
# Fifty changes of the daemon's build under load; JOBSPOOL_OTHER is the folder of the other one.
TURNS=50 PATIENCE=180 exec Tests/EndToEnd/interruptions.py
