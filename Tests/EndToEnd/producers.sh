#!/bin/sh
# The producers in examples/producers hand over a job whole, once, never over another one, and leave nothing in tmp/.
set -u
failures=0
wrong() { echo "$name: $*"; failures=$((failures + 1)); }
job='{"type":"echo","payload":{"text":"Grüße \"ä\" \\ %s $HOME","n":1.0}}'

try() {
  name=$1
  shift
  command -v "$1" >/dev/null || { echo "$name: $1 is not installed"; return; }
  spool=$SCRATCH/$name
  mkdir -p "$spool/tmp" "$spool/new" "$spool/cur" "$spool/done" "$spool/dead"

  # What an earlier producer left when it died must not be in the way.
  : > "$spool/tmp/order-1.json"

  said=$("$@" "$spool" order-1 "$job") || wrong "exit $? for a new id"
  [ "$said" = order-1 ] || wrong "printed '$said', not the id"
  printf '%s\n' "$job" | cmp - "$spool/new/order-1.json" || wrong "other bytes in new/ than were handed over"
  case $(stat -c %a "$spool/new/order-1.json") in 640 | 600) ;; *) wrong "the file may be read by anyone" ;; esac
  [ "$(stat -c %h "$spool/new/order-1.json")" = 1 ] || wrong "the file has a second name"

  "$@" "$spool" order-1 '{"type":"other"}' 2>/dev/null
  [ $? = 73 ] || wrong "exit $? instead of 73 for an id that waits"
  printf '%s\n' "$job" | cmp - "$spool/new/order-1.json" || wrong "a second drop changed the first job"
  [ "$(ls -A "$spool/tmp")" = order-1.json ] || wrong "left $(ls -A "$spool/tmp") in tmp/"

  "$@" "$SCRATCH/no-such-spool" order-1 "$job" >/dev/null 2>&1
  case $? in 0 | 73) wrong "exit $? for a spool that is not there" ;; esac
}

try sh sh examples/producers/drop.sh
try python python3 -B examples/producers/drop.py
try php php examples/producers/drop.php
try node node examples/producers/drop.mjs
if command -v cc >/dev/null; then
  name=c
  cc -Wall -Wextra -Werror -o "$SCRATCH/drop" examples/producers/drop.c || wrong "drop.c does not compile"
  try c "$SCRATCH/drop"
fi
exit "$failures"
