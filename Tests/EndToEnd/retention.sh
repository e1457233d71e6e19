#!/bin/sh
# Retention by age and count, rollups and reports, with the real programs: 20,000 finished jobs of earlier days (made by
# audit_days.py with a log that verifies) are purged while new jobs run; what must stay stays; the numbers of the days
# outlive their files.
set -u
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
bin=${JOBSPOOL_BIN:-$PWD/.build/debug}
PATH=$bin:$PATH
failures=0
spool=$SCRATCH/spool
export JOBSPOOL_DIR="$spool"
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; wait' EXIT

# check WHAT ACTUAL EXPECTED
check() {
  [ "$2" = "$3" ] && return
  echo "$1: '$2' instead of '$3'"
  failures=$((failures + 1))
}
# eventually WHAT COMMAND...: until it succeeds, for a minute at most.
eventually() {
  what=$1; shift
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo "$what: not within a minute"; cat "$SCRATCH/daemon.log"; failures=$((failures + 1)); return; }
    sleep 0.1
  done
}
count() { find "$spool/$1" -name "$2" -type f | wc -l; }
holds() { [ "$(count "$1" "$2")" -eq "$3" ]; }
start() {
  jobspoold --spool "$spool" --no-web 2>> "$SCRATCH/daemon.log" &
  daemon=$!
  eventually "the daemon starts" grep -q "runs on" "$SCRATCH/daemon.log"
}
stop() { kill "$daemon"; wait "$daemon"; daemon=; : > "$SCRATCH/daemon.log"; }

jobspool init "$spool" >/dev/null
rm -f "$spool"/handlers/*.toml "$spool"/schedules/*.toml
cat > "$spool/jobspool.toml" <<'TOML'
rescan = "1s"
node = "n1"
[retain]
done = "2d"
TOML
printf 'command = ["/bin/true"]\n' > "$spool/handlers/work.toml"
printf 'command = ["/bin/true"]\nretain = { done_max = 3 }\n' > "$spool/handlers/few.toml"
printf 'command = ["/bin/false"]\nmax_attempts = 1\nretain = { dead = "2s" }\n' > "$spool/handlers/bad.toml"
printf 'command = ["/bin/sh", "-c", "echo said >&2"]\nretain = { log = "2s" }\n' > "$spool/handlers/talk.toml"

python3 Tests/EndToEnd/audit_days.py "$spool" n1 work 5 4000 || exit 1
check "the made log verifies" "$(jobspool audit verify >/dev/null; echo $?)" 0
check "made jobs" "$(count done '*.json')" 20000
# What the log does not know: old files put there by hand.
printf '{"type":"work"}\n' > "$spool/done/by-hand.json"
touch -d '10 days ago' "$spool/done/by-hand.json"
printf '{"type":"work"}\n' > "$spool/hold/held.json"
touch -d '900 days ago' "$spool/hold/held.json"

start
for n in 1 2 3 4 5 6 7; do jobspool submit few --id "few-$n" --wait >/dev/null || failures=$((failures + 1)); done
jobspool submit bad --id bad-1 --wait >/dev/null
check "exit of a dead job" $? 1
jobspool submit talk --id talk-1 --wait >/dev/null
check "jobs run meanwhile" "$?" 0
# Days 5, 4 and 3 are over their two days, 2 in part, 1 not: the log says when each ended.
left=$(python3 Tests/EndToEnd/audit_days.py --younger "$spool" 172800 work)
eventually "20,000 finished jobs are purged by age" holds done 'work-*.json' "$left"
eventually "the newest three stay" holds done 'few-*.json' 3
check "which three" "$(ls "$spool/done" | grep few | tr '\n' ' ')" "few-5.json few-6.json few-7.json "
eventually "a dead job goes after its handler's time" holds dead 'bad-1.json' 0
eventually "a log goes before its job" holds log/jobs 'talk-1.log' 0
check "its job" "$(count done 'talk-1.json')" 1
check "a file the log does not know" "$(count done by-hand.json)" 0
check "hold/ is never purged" "$(count hold held.json)" 1
check "purged lines" "$(cat "$spool"/log/audit-*.jsonl | grep -c '"event":"purged".*"reason":"retention: done jobs are kept for 2d"')" \
  $((20001 - left))
check "verify after the purge" "$(jobspool audit verify >/dev/null; echo $?)" 0
check "fsck after the purge" "$(jobspool fsck >/dev/null; echo $?)" 0

# Rollups of the five days; made again they are the same.
eventually "rollups are written" holds log 'rollup-n1-*.json' 5
cat "$spool"/log/rollup-n1-*.json > "$SCRATCH/rollups"
stop
rm "$spool"/log/rollup-n1-*.json "$spool/log/retention.json"
start
eventually "rollups are made again" holds log 'rollup-n1-*.json' 5
cat "$spool"/log/rollup-n1-*.json | cmp - "$SCRATCH/rollups" || failures=$((failures + 1))

# Numbers outlive the log: audit files older than retain.log go, oldest first, and what is left verifies.
report=$(jobspool report --since 7d --format json)
number() { printf %s "$report" | "$PWD/spool/handlers/bin/json" get "$1"; }
for line in /total/submitted=20009 /types/work/done=20000 /types/work/retried=200 /types/work/success=1 \
  /types/work/sla/kept=19600 /types/work/sla/missed=400 /types/work/sla/share=0.98 /types/work/run_ms/max=200 \
  /types/work/wait_ms/count=20200 /types/bad/failed=1 /types/bad/success=0; do
  check "report ${line%=*}" "$(number "${line%=*}")" "${line#*=}"
done
check "top error" "$(jobspool report --weekly | grep -c '200 *work *exit_75 *connection N refused')" 1
check "shape" "$(jobspool shape done | awk '/^few/ {print $2, $3}')" "3 3"
lifetime=$(jobspool stats --json | "$PWD/spool/handlers/bin/json" get /lifetime/submitted)
check "lifetime" "$lifetime" 20009
printf '[retain]\nlog = "3d"\ndone = "2d"\n' | sed '1i rescan = "1s"\nnode = "n1"' > "$spool/jobspool.toml"
kill -HUP "$daemon"
eventually "old audit files go" holds log 'audit-n1-*.jsonl' 4
check "verify without them" "$(jobspool audit verify | grep -c 'retention removed what came before')" 1
check "lifetime without the log" "$(jobspool stats --json | "$PWD/spool/handlers/bin/json" get /lifetime/submitted)" 20009
check "report without the log" "$(jobspool report --since 7d --format json | "$PWD/spool/handlers/bin/json" get /total/done)" \
  "$(printf %s "$report" | "$PWD/spool/handlers/bin/json" get /total/done)"
# What handlers say reaches the page as text.
printf 'command = ["/bin/sh", "-c", "echo \\"$E\\" >&3; exit 64"]\n[env]\nE = %s\n' \
  "'{\"error\":{\"code\":\"x\",\"message\":\"<script>alert(1)</script>\"}}'" > "$spool/handlers/html.toml"
eventually "the new handler loads" sh -c 'jobspool submit html --id html-1 2>/dev/null && jobspool wait html-1; [ $? -eq 1 ]'
jobspool report --format html > "$SCRATCH/page.html"
check "escaped" "$(grep -c '&lt;script&gt;alert(N)&lt;/script&gt;' "$SCRATCH/page.html")" 1
check "no script" "$(grep -ci '<script\|src=\|href=' "$SCRATCH/page.html")" 0
stop
exit "$failures"
