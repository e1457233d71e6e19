#!/bin/sh
# Floods of 20,000 into a queue of 16.
DROPS=20000 PATIENCE=300 exec Tests/EndToEnd/lost-events.py
