#!/bin/sh
# What a producer may try against others and the daemon: the short form of the torture.
SHORT=1 exec Tests/Torture/hostile-producers.py
