#!/bin/sh
# Ten minutes of mutated input over all readers, or FUZZ_SECONDS, and as long again by coverage-fuzz.sh. SEED repeats a run.
FUZZ_SECONDS=${FUZZ_SECONDS:-600} exec Tests/Fuzz/fuzz.py
