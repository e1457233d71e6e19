#!/bin/sh
# Ten seconds of the soak, too short to show growth: the load, the kills and the books are the same. Not midnight: with
# libfaketime loaded one start of the web program in thirty finds no arguments (4 of 120, without it none), and a run hangs.
SOAK=10 ROTATE=0 exec Tests/Torture/soak.py
