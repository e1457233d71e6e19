#!/bin/sh
# Mutated input for every reader, a few seconds in all, always the same: what a change breaks is seen, and what it did not
# break does not look like it. make torture takes longer, and another seed each time.
SEED=${SEED:-20261121} FUZZ_SECONDS=${FUZZ_SECONDS:-8} exec Tests/Fuzz/fuzz.py
