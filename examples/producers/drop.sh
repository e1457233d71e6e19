#!/bin/sh
# drop.sh SPOOL ID JOB: hands the JSON text JOB to the spool. Exit 73: a job of that id waits there already.
# The id is the key: drop the same id twice and it runs once, so a producer may repeat itself after a crash.
set -eu
spool=$1 id=$2 job=$3

# A fresh name in tmp/ each time, so that what a crash left there is never in the way.
staged=$(mktemp "$spool/tmp/$id.XXXXXX")
chmod 640 "$staged"
printf '%s\n' "$job" > "$staged"         # 1. write where nobody looks
sync "$staged"                           # 2. the bytes are on the disk
mv -n "$staged" "$spool/new/$id.json"    # 3. publish; -n: never over another job
if [ -e "$staged" ]; then                # mv -n says nothing when it did nothing
  rm "$staged"
  echo "drop: $id is waiting already" >&2
  exit 73
fi
sync "$spool/new" 2>/dev/null || sync    # 4. the name is on the disk (no right to read new/: sync everything)
                                         #    on btrfs: sync -f "$spool/new"
echo "$id"
