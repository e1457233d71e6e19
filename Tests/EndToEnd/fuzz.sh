#!/bin/sh
# Mutated input for every reader, a few seconds in all, each time from another seed; make torture takes longer.
FUZZ_SECONDS=${FUZZ_SECONDS:-8} exec Tests/Fuzz/fuzz.py
