#!/bin/sh
# Twenty minutes of mutated input over all readers, or FUZZ_SECONDS. SEED repeats a run.
FUZZ_SECONDS=${FUZZ_SECONDS:-1200} exec Tests/Fuzz/fuzz.py
