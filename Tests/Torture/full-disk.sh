#!/bin/sh
# A disk that fills up ten times, ext4 and tmpfs.
for kind in ext4 tmpfs; do
  mkdir "$SCRATCH/$kind"
  SCRATCH=$SCRATCH/$kind FILESYSTEM=$kind ROUNDS=10 PATIENCE=120 Tests/EndToEnd/full-disk.py || exit
done
