#!/bin/sh
# Every spool ever written opens: the fixtures are checked, read, and run on, and nothing that was in them is lost.
bin=${JOBSPOOL_BIN:-$PWD/.build/debug}
for fixture in Tests/Fixtures/spool-v*; do
  spool=$SCRATCH/$(basename "$fixture")
  cp -r "$fixture" "$spool" || exit 1
  mkdir -p "$spool/secret"
  job() { "$bin/jobspool" --spool "$spool" "$@"; }
  job fsck || { echo "fsck of the untouched $fixture: $?"; exit 1; }
  job audit verify || { echo "audit verify of $fixture: $?"; exit 1; }
  before=$(cd "$spool" && ls new done dead hold | grep -c json)

  "$bin/jobspoold" --spool "$spool" 2> "$SCRATCH/err" &
  daemon=$!
  trap 'kill $daemon 2>/dev/null' EXIT
  # A job from then and one from now, to the end.
  job requeue done-1 || exit 1
  job wait done-1 || { echo "a requeued job of $fixture did not end"; cat "$SCRATCH/err"; exit 1; }
  job submit echo --id fresh --payload '{"a":1}' --wait > /dev/null || { echo "a new job did not end"; exit 1; }
  # The history of before is still there, the payload untouched.
  job show done-1 --json | grep -q '"payload":{"a":1.0}' || { echo "the payload of done-1 changed"; exit 1; }
  [ "$(job show done-1 --json | grep -o '"n":1' | wc -l)" -eq 2 ] || { echo "the history of done-1 is gone"; exit 1; }
  job requeue dead-1 || exit 1
  job wait dead-1
  [ $? -eq 1 ] || { echo "dead-1 should fail again"; exit 1; }
  job release held-1 || exit 1
  kill -TERM "$daemon"
  wait "$daemon" || { echo "the daemon ended with $?"; exit 1; }
  after=$(cd "$spool" && ls new done dead hold | grep -c json)
  [ "$after" -eq $((before + 1)) ] || { echo "$before jobs before, $after after one more"; exit 1; }
  [ -e "$spool/new/held-1.json" ] && [ -e "$spool/new/later-1.json" ] || { echo "a waiting job left"; exit 1; }
  job fsck || { echo "fsck of $fixture after use: $?"; exit 1; }
  job audit verify || { echo "audit verify of $fixture after use: $?"; exit 1; }
  echo "= $fixture: $before jobs opened, two run again, one more submitted, nothing lost"
done
