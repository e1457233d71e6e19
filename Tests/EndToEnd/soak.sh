#!/bin/sh
# Ten seconds of the soak, too short to show growth: the load, the kills, midnight and the books are the same.
SOAK=10 exec Tests/Torture/soak.py
