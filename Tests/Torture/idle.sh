#!/bin/sh
# A minute of idling, and the latency of 2,000 drops.
SECONDS_IDLE=60 DROPS=2000 exec Tests/EndToEnd/idle.py
