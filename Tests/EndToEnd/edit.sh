#!/bin/sh
# `jobspool edit`: which jobs, what stays, what is refused, with a daemon and without one.
set -u
failures=0
bin=${JOBSPOOL_BIN:-$PWD/.build/debug}
for need in "$bin/jobspoold" "$bin/jobspool" "$bin/jobspool-watch"; do
  [ -x "$need" ] || { echo "$need is not built"; exit 77; }
done
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
spool=$SCRATCH/spool
daemon=
trap 'kill $daemon 2>/dev/null; wait' EXIT
wrong() { echo "$*"; failures=$((failures + 1)); }
js() { "$bin/jobspool" "$@" --spool "$spool"; }
until_true() {
  tries=$(($1 * 20))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}
of() {
  python3 -c 'import json,sys
j = json.load(open(sys.argv[1])); r = j.get("jobspool", {}); print(eval("(" + sys.argv[2] + ")"))' "$1" "$2"
}
edit() { printf '%s' "$2" | js edit "$1" --file - 2> "$SCRATCH/said"; }
start() {
  "$bin/jobspoold" --spool "$spool" --no-web 2>> "$SCRATCH/daemon.log" & daemon=$!
  until_true 10 test -s "$spool/status.json" || { echo "the daemon did not start"; cat "$SCRATCH/daemon.log"; exit 1; }
}
stop() { kill "$daemon"; wait "$daemon"; }

"$bin/jobspool" init "$spool" >/dev/null || exit 1
rm -f "$spool"/handlers/*.toml "$spool"/schedules/*.toml
printf 'command = ["/bin/cat"]\n' > "$spool/handlers/echo.toml"
printf 'command = ["/bin/sh", "-c", "grep -q good || exit 65"]\n' > "$spool/handlers/picky.toml"
printf 'command = ["/bin/sleep", "60"]\n' > "$spool/handlers/slow.toml"
start

# Waiting: not yet due, edited, and then run as edited by the one who submitted it.
js submit echo --id w1 --payload '"old"' --delay 1h >/dev/null
until_true 5 sh -c "grep -q '\"job\":\"w1\"' '$spool'/log/audit-*" || wrong "w1 is not known"
edit w1 '{"type":"echo","payload":"new"}' || wrong "edit w1: $(cat "$SCRATCH/said")"
until_true 10 test -e "$spool/done/w1.json" || wrong "w1 did not run at once: $(cat "$spool"/*/w1.json)"
[ "$(of "$spool/done/w1.json" '(j["payload"], r["result"]["payload"], r["submitted_by"]["uid"], r["attempt"])')" \
  = "('new', 'new', $(id -u), 1)" ] || wrong "w1: $(cat "$spool/done/w1.json")"
[ "$(grep -c '"event":"submitted","job":"w1"' "$spool"/log/audit-*.jsonl)" = 1 ] || wrong "w1 was submitted again"
before=$(printf '%s' '{"type":"echo","payload":"new"}' | sha256sum | cut -d' ' -f1)
grep '"event":"edited","job":"w1"' "$spool"/log/audit-*.jsonl | grep "\"after\":\"$before\"" | grep -q "(uid $(id -u))" \
  || wrong "the audit log: $(grep edited "$spool"/log/audit-*)"

# Dead: stays dead, with its history, until it is requeued.
js submit picky --id d1 --payload '"bad"' --wait >/dev/null
record=$(of "$spool/dead/d1.json" r)
edit d1 '{"type":"picky", "payload":"good", "tags":["mended"]}' || wrong "edit d1: $(cat "$SCRATCH/said")"
[ "$(of "$spool/dead/d1.json" r)" = "$record" ] || wrong "the record of d1 changed"
[ "$(of "$spool/dead/d1.json" 'j["payload"]')" = good ] || wrong "d1: $(cat "$spool/dead/d1.json")"
"$bin/jobspool" fsck --spool "$spool" || wrong "fsck after an edit of a dead job"
js requeue d1 >/dev/null
until_true 10 test -e "$spool/done/d1.json" || wrong "d1 did not run: $(cat "$spool"/*/d1.json)"
[ "$(of "$spool/done/d1.json" 'len(r["attempts"])')" = 2 ] || wrong "d1 lost its history"

# Rejected: what was dropped is no JSON at all; mended and requeued it runs.
printf '{"type":"echo",}' > "$spool/tmp/r1.json" && mv "$spool/tmp/r1.json" "$spool/new/"
until_true 10 test -e "$spool/dead/r1.bad" || wrong "r1 was not refused"
edit r1 '{"type":"echo"}' || wrong "edit r1: $(cat "$SCRATCH/said")"
[ ! -e "$spool/dead/r1.bad" ] || wrong "the bad bytes of r1 stay"
js requeue r1 >/dev/null
until_true 10 test -e "$spool/done/r1.json" || wrong "r1 did not run: $(cat "$spool"/*/r1.*)"

# Held; then what is refused: bad JSON with its place, a record, another id, a running job, a finished one.
js submit echo --id h1 --delay 1h >/dev/null
js hold h1 >/dev/null || wrong "hold h1"
edit h1 '{"type":"echo","payload":"held"}' || wrong "edit h1: $(cat "$SCRATCH/said")"
[ "$(of "$spool/hold/h1.json" 'j["payload"]')" = held ] || wrong "h1: $(cat "$spool"/*/h1.json)"
sum=$(sha256sum < "$spool/hold/h1.json")
for text in '{"type":"echo",}' '' '{"typ":"echo"}' '{"type":"echo","id":"h2"}' '{"type":"echo","jobspool":{}}' \
  '{"type":"jobspool.notify"}'; do
  edit h1 "$text"
  code=$?
  [ "$code" = 65 ] || wrong "exit $code for $text: $(cat "$SCRATCH/said")"
done
edit h1 '{"type":"echo",}'
grep -q 'line 1, column 16' "$SCRATCH/said" || wrong "no place: $(cat "$SCRATCH/said")"
[ "$(sha256sum < "$spool/hold/h1.json")" = "$sum" ] || wrong "h1 changed"
js release h1 >/dev/null
until_true 10 test -e "$spool/done/h1.json" || wrong "h1 did not run: $(cat "$spool"/*/h1.json)"
js submit slow --id s1 >/dev/null
until_true 10 test -e "$spool/cur/s1.json" || wrong "s1 does not run"
edit s1 '{"type":"echo"}'
code=$?
[ "$code" = 65 ] || wrong "exit $code for a running job"
edit w1 '{"type":"echo"}'
code=$?
[ "$code" = 65 ] || wrong "exit $code for a finished job"
edit nobody-knows '{"type":"echo"}'
code=$?
[ "$code" = 66 ] || wrong "exit $code for no job"
js cancel s1 >/dev/null

# An editor; unchanged text changes nothing.
js submit echo --id e1 --payload '"old"' --delay 1h >/dev/null
EDITOR="sed -i s/old/new/" js edit e1 || wrong "edit with an editor"
EDITOR=true js edit e1 || wrong "edit without a change"
[ "$(grep -c '"event":"edited","job":"e1"' "$spool"/log/audit-*.jsonl)" = 1 ] || wrong "an edit of nothing was noted"
[ "$(of "$spool/new/e1.json" 'j["payload"]')" = new ] || wrong "e1: $(cat "$spool/new/e1.json")"
stop

# Without a daemon, and found again by the next one.
edit e1 '{"type":"echo","payload":"newest"}' || wrong "edit e1 without a daemon: $(cat "$SCRATCH/said")"
"$bin/jobspool" fsck --spool "$spool" || wrong "fsck without a daemon"
start
until_true 10 test -e "$spool/done/e1.json" || wrong "e1 did not run: $(cat "$spool"/*/e1.json)"
[ "$(of "$spool/done/e1.json" '(r["result"]["payload"], r["submitted_by"]["uid"])')" = "('newest', $(id -u))" ] \
  || wrong "e1: $(cat "$spool/done/e1.json")"
stop
"$bin/jobspool" fsck --spool "$spool" || wrong "fsck at the end"
"$bin/jobspool" audit verify --spool "$spool" >/dev/null || wrong "audit verify"
[ "$failures" = 0 ] || tail -n 20 "$SCRATCH/daemon.log"
exit "$failures"
