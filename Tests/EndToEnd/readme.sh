#!/bin/sh
# The snippets of README.md work as they stand: each is run in a folder with an empty spool and must leave exactly one
# job in new/, the same one each time, and nothing in tmp/. `<!-- runs: COMMAND -->` says what runs the block below it.
set -u
failures=0
top=$PWD
cd "$SCRATCH" || exit 1
awk '
  /^<!-- runs: .* -->$/ { sub(/^<!-- runs: /, ""); sub(/ -->$/, ""); command = $0; next }
  /^```/ && file { close(file); file = ""; command = ""; next }
  /^```/ && command != "" { file = ++count ".block"; print command > (count ".command"); close(count ".command"); next }
  file { print > file }
' "$top/README.md"

blocks=$(ls ./*.block | wc -l)
[ "$blocks" -eq 5 ] || { echo "README.md has $blocks snippets that run; 5 were expected"; failures=1; }

for block in ./*.block; do
  command=$(cat "${block%.block}.command")
  command -v "${command%% *}" >/dev/null || { echo "skipped: $command is not installed"; continue; }
  rm -rf spool
  mkdir -p spool/tmp spool/new
  sh -c "$command" < "$block" || { echo "$command: exit $?"; failures=1; }
  [ "$(ls spool/new | wc -l)" -eq 1 ] || { echo "$command: new/ has $(ls spool/new)"; failures=1; }
  path=$("$top/spool/handlers/bin/json" get /payload/path < "$(ls spool/new/order-*.json)")
  [ "$path" = README.md ] || { echo "$command: the job reads $(cat spool/new/*)"; failures=1; }
  [ -z "$(ls spool/tmp)" ] || { echo "$command: left $(ls spool/tmp) in tmp/"; failures=1; }
done
exit "$failures"
