#!/bin/sh
# Notices from end to end: signed webhooks, what each answer means, commands, jobs that ask for themselves, and that a
# notice of a full disk or a broken handler comes while nothing else may run.
set -u
failures=0
bin=${JOBSPOOL_BIN:-$PWD/.build/debug}
for need in "$bin/jobspoold" "$bin/jobspool" "$bin/jobspool-watch"; do
  [ -x "$need" ] || { echo "$need is not built"; exit 77; }
done
command -v curl >/dev/null || { echo "curl is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
spool=$SCRATCH/spool
requests=$SCRATCH/requests
secret=whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
no_proxy=127.0.0.1 && export no_proxy
daemon=
receiver=
trap 'kill $daemon $receiver 2>/dev/null; wait' EXIT
wrong() { echo "$*"; failures=$((failures + 1)); }
js() { "$bin/jobspool" "$@" --spool "$spool"; }
# until_true SECONDS COMMAND...: waits for it.
until_true() {
  tries=$(($1 * 20))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}
# requested PYTHON-EXPRESSION over r, a request: how many fit.
requested() {
  touch "$requests"
  python3 -c 'import json,sys
print(sum(1 for r in map(json.loads, open(sys.argv[1])) if eval("(" + sys.argv[2] + ")")))' "$requests" "$1"
}
one() { [ "$(requested "$1")" = 1 ]; }

python3 Tests/EndToEnd/receiver.py "$SCRATCH" "$secret" & receiver=$!
until_true 10 test -s "$SCRATCH/port" || { echo "the receiver did not start"; exit 1; }
url=http://127.0.0.1:$(cat "$SCRATCH/port")

"$bin/jobspool" init "$spool" >/dev/null || exit 1
rm -f "$spool"/handlers/*.toml "$spool"/schedules/*.toml
cat > "$spool/jobspool.toml" <<END
max_jobs = 1
rescan = "1s"
[[notify]]
on = ["done", "dead"]
types = ["good", "bad"]
webhook = "$url/flaky"
secret = "$secret"
[[notify]]
on = ["recovered", "sla", "handler_broken"]
webhook = "$url/ok"
secret = "$secret"
[[notify]]
on = ["dead"]
types = ["bad"]
webhook = "$url/gone"
[[notify]]
on = ["dead"]
types = ["bad"]
webhook = "$url/bad"
[[notify]]
on = ["dead"]
types = ["bad"]
webhook = "$url/slack"
format = "slack"
[[notify]]
on = ["dead"]
types = ["bad"]
webhook = "$url/discord"
format = "discord"
[[notify]]
on = []
command = ["/bin/sh", "-c", "{ printf '%s|%s|' \"\$JOBSPOOL_NOTICE_OCCASION\" \"\$JOBSPOOL_NOTICE_JOB\"; cat; } >> '$SCRATCH/told'"]
END
printf 'command = ["/bin/true"]\n' > "$spool/handlers/good.toml"
printf 'command = ["/bin/sh", "-c", "echo \\"<!channel> \\\\\\"no\\\\\\"\\" >&2; exit 65"]\n' > "$spool/handlers/bad.toml"
cat > "$spool/handlers/second.toml" <<'END'
command = ["/bin/sh", "-c", "test \"$JOBSPOOL_ATTEMPT\" = 2"]
delays = ["100ms"]
END
printf 'command = ["/bin/sleep", "30"]\nsla = "1s"\n' > "$spool/handlers/slow.toml"
printf 'command = ["/nowhere/at-all"]\n' > "$spool/handlers/broken.toml"
"$bin/jobspoold" --spool "$spool" --no-web 2> "$SCRATCH/daemon.log" & daemon=$!
until_true 10 test -s "$spool/status.json" || { echo "the daemon did not start"; cat "$SCRATCH/daemon.log"; exit 1; }

# A job that is done: refused with 500 and Retry-After, then accepted, signed both times, with one id.
js submit good --id g1 --wait >/dev/null || wrong "g1 is not done"
until_true 15 one 'r["path"] == "/flaky" and r["count"] == 2' || wrong "a 500 was not tried again"
[ "$(requested 'r["path"] == "/flaky" and r["signed"] and r["body"]["type"] == "job.done"
  and r["body"]["data"]["job"]["id"] == "g1"')" = 2 ] || wrong "not two signed notices of g1: $(cat "$requests")"
[ "$(sed -n 's/.*"\/flaky", "id": "\([^"]*\)".*/\1/p' "$requests" | sort -u | wc -l)" = 1 ] || wrong "webhook-id changed"
notice=$(ls "$spool/done" | grep '^notify-done-')
until_true 5 test -e "$spool/done/$notice" || wrong "the notice is not in done/"

# A dead one: every form; 404 is final; 410 ends its entry with an alert and nobody is told of that.
js submit bad --id b1 --wait >/dev/null && wrong "b1 is not dead"
for path in flaky gone bad slack discord; do
  until_true 15 one "r['path'] == '/$path' and 'b1' in json.dumps(r['body'])" || wrong "/$path was not told of b1"
done
one 'r["path"] == "/slack" and "&lt;!channel&gt;" in r["body"]["text"]' || wrong "slack: $(grep '"/slack"' "$requests")"
one 'r["path"] == "/discord" and r["body"]["allowed_mentions"] == {"parse": []}' || wrong "discord may mention"
until_true 10 grep -q '"notify:127.0.0.1' "$spool/status.json" || wrong "no alert after 410"
until_true 10 sh -c "[ \$(ls '$spool/dead' | grep -c '^notify-dead-') = 2 ]" || wrong "404 and 410 are not in dead/"
js submit bad --id b2 --wait >/dev/null
until_true 15 one "r['path'] == '/bad' and 'b2' in json.dumps(r['body'])" || wrong "/bad was not told of b2"
[ "$(requested 'r["path"] == "/gone"')" = 1 ] || wrong "a receiver that is gone was asked again"
printf '# touched\n' >> "$spool/jobspool.toml"
sed -i 's/^max_jobs = 1/max_jobs = 2/' "$spool/jobspool.toml"
until_true 10 grep -q '"max_jobs":2' "$spool/status.json" || wrong "not reloaded"
js submit bad --id b3 --wait >/dev/null
until_true 15 one "r['path'] == '/gone' and 'b3' in json.dumps(r['body'])" || wrong "a reload did not forgive"

# A job that failed before; one that asks for itself; one that is late while it runs; a handler that is broken.
js submit second --id s1 --wait >/dev/null || wrong "s1 is not done"
until_true 10 one 'r["body"].get("type") == "job.recovered" and r["body"]["data"]["job"]["id"] == "s1"' \
  || wrong "no notice of s1"
js submit good --id g2 --notify dead --wait >/dev/null
js submit good --id g3 --notify done --wait >/dev/null
until_true 10 grep -q '^done|g3|{"type":"job.done"' "$SCRATCH/told" || wrong "the command was not told: $(cat "$SCRATCH/told")"
until_true 10 one '"g3" in json.dumps(r["body"]) and r["path"] == "/flaky"' || wrong "g3 did not ask the webhook"
[ "$(requested '"g2" in json.dumps(r["body"])')" = 0 ] || wrong "g2 asked for dead only"
js submit slow --id late1 >/dev/null
js submit slow --id late2 >/dev/null
js submit slow --id late3 >/dev/null
for id in late1 late2 late3; do
  until_true 10 one "r['body'].get('type') == 'job.sla' and r['body']['data']['job']['id'] == '$id'" \
    || wrong "no notice of $id, which waits or runs too long"
done
js cancel late1 late2 late3 >/dev/null
js submit broken --id x1 >/dev/null
until_true 10 one 'r["body"].get("type") == "handler.broken" and "broken" in r["body"]["data"]["message"]' \
  || wrong "no notice of the broken handler"
js cancel x1 >/dev/null

# Paused, and still told.
touch "$spool/ctl/pause"
js submit good --id g4 >/dev/null
js cancel g4 >/dev/null
until_true 10 one '"g4" in json.dumps(r["body"])' || wrong "a pause holds up notices"
rm -f "$spool/ctl/pause"

# Nobody else may use the type, nothing secret is in any job, and notices raised none.
if [ "$(id -u)" = 0 ]; then
  printf '{"type":"jobspool.notify","payload":null}' > "$spool/tmp/forged.json"
  chown 65534 "$spool/tmp/forged.json"
  mv "$spool/tmp/forged.json" "$spool/new/"
  until_true 10 test -e "$spool/dead/forged.json" || wrong "a forged notice was taken"
  grep -q '"reserved_type"' "$spool/dead/forged.json" || wrong "a forged notice: $(cat "$spool/dead/forged.json")"
fi
grep -rlE 'MDEyMzQ1|/flaky' "$spool/done" "$spool/dead" "$spool/log" && wrong "an address or a secret is in these files"
[ "$(requested '"notify-" in r["body"].get("data", {}).get("job", {}).get("id", "")')" = 0 ] || wrong "a notice of a notice"

# A crash after the end: told, by this daemon or the next.
js submit good --id g5 --wait >/dev/null
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
"$bin/jobspoold" --spool "$spool" --no-web 2>> "$SCRATCH/daemon.log" & daemon=$!
until_true 10 sh -c "[ \$(grep -c ' runs on ' '$SCRATCH/daemon.log') = 2 ]" || wrong "no second start"
until_true 15 grep -q '"/flaky".*"g5"' "$requests" || wrong "g5 was not told"
# It may be told twice, when the crash came before the answer: then with the same id.
[ "$(grep '"/flaky".*"g5"' "$requests" | sed 's/.*"id": "\(notify-[^"]*\)", "times.*/\1/' | sort -u | wc -l)" = 1 ] \
  || wrong "g5 was told under two ids"
until_true 20 sh -c "! ls '$spool/new' '$spool/cur' | grep -q notify-" || wrong "notices wait: $(ls "$spool/new")"
kill "$daemon"
wait "$daemon"
"$bin/jobspool" fsck --spool "$spool" || wrong "fsck: $(ls "$spool"/*)"
"$bin/jobspool" audit verify --spool "$spool" >/dev/null || wrong "audit verify"
[ "$failures" = 0 ] || tail -n 20 "$SCRATCH/daemon.log"
exit "$failures"
