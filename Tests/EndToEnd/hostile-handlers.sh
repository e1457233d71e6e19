#!/bin/sh
# Handlers that flood, cling, slip away and lie: the short form of the torture.
SHORT=1 exec Tests/Torture/hostile-handlers.py
