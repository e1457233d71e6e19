#!/bin/sh
# Duplicates, stops and hostile input again and again: what goes wrong once in twenty times.
for round in 1 2 3 4 5 6 7 8 9 10; do
  for script in duplicates stopping bad-input handlers-live control-files hidden-children; do
    mkdir "$SCRATCH/$round-$script"
    SCRATCH=$SCRATCH/$round-$script "Tests/EndToEnd/$script.py" || exit
    rm -rf "${SCRATCH:?}/$round-$script"
  done
done
