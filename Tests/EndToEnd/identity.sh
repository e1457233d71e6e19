#!/bin/sh
# Who may submit, whom a handler runs as, and what it may use; as root, because only root can be two users.
set -u
failures=0
bin=${JOBSPOOL_BIN:-$PWD/.build/debug}
for need in "$bin/jobspoold" "$bin/jobspool" "$bin/jobspool-watch"; do
  [ -x "$need" ] || { echo "$need is not built"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "needs root, to be two users"; exit 77; }
command -v setpriv >/dev/null || { echo "setpriv is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
id daemon >/dev/null 2>&1 && id nobody >/dev/null 2>&1 || { echo "the users daemon and nobody are missing"; exit 77; }
# Other users must reach the programs and the spool.
chmod 755 "$SCRATCH"
mkdir "$SCRATCH/bin" && cp "$bin/jobspool" "$SCRATCH/bin/" || exit 1
spool=$SCRATCH/spool
daemon=
trap 'kill $daemon 2>/dev/null; wait' EXIT
wrong() { echo "$*"; failures=$((failures + 1)); }
js() { "$bin/jobspool" "$@" --spool "$spool"; }
as() {
  user=$1
  shift
  setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
}
until_true() {
  tries=$(($1 * 20))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}
# of FILE PYTHON-EXPRESSION over j, the job, and r, its record
of() {
  python3 -c 'import json,sys
j = json.load(open(sys.argv[1])); r = j["jobspool"]; print(eval("(" + sys.argv[2] + ")"))' "$1" "$2"
}

"$bin/jobspool" init "$spool" >/dev/null || exit 1
rm -f "$spool"/handlers/*.toml "$spool"/schedules/*.toml
chmod 1777 "$spool/tmp" "$spool/new"
chmod 755 "$spool" "$spool/cur" "$spool/done" "$spool/dead" "$spool/hold" "$spool/log" "$spool/ctl"
group=$(id -gn nobody)
printf 'command = ["/bin/true"]\nallow = ["daemon", "@%s"]\n' "$group" > "$spool/handlers/ours.toml"
printf 'command = ["/bin/true"]\nallow = ["daemon"]\n' > "$spool/handlers/theirs.toml"
printf 'command = ["/bin/sh", "-c", "id -un; id -gn; id -G; echo $HOME"]\nuser = "nobody"\n' > "$spool/handlers/as-nobody.toml"
cat > "$spool/handlers/bounds.toml" <<'END'
command = ["/bin/sh", "-c", "ulimit -n; ulimit -t; ulimit -d; nice"]
limits = { memory = "64M", cpu = "7s", files = 33, nice = 3 }
END
cat > "$spool/handlers/eats.toml" <<'END'
command = ["python3", "-c", "b = bytearray(200 << 20); print(len(b))"]
limits = { memory = "96M" }
max_attempts = 1
END
cat > "$spool/handlers/spins.toml" <<'END'
command = ["/bin/sh", "-c", "while :; do :; done"]
limits = { cpu = "1s" }
max_attempts = 1
END
"$bin/jobspoold" --spool "$spool" --no-web 2> "$SCRATCH/daemon.log" & daemon=$!
until_true 10 test -s "$spool/status.json" || { echo "the daemon did not start"; cat "$SCRATCH/daemon.log"; exit 1; }

# drop USER TYPE ID: as any program of that user would.
drop() {
  as "$1" sh -c 'umask 022; printf "{\"type\":\"%s\"}" "$2" > "$1/tmp/$3.json" && mv -n "$1/tmp/$3.json" "$1/new/"' \
    sh "$spool" "$2" "$3"
}
drop daemon ours o1
drop nobody ours o2
drop daemon theirs t1
drop nobody theirs t2
printf '{"type":"theirs"}' > "$spool/tmp/t3.json" && mv "$spool/tmp/t3.json" "$spool/new/"
for id in o1 o2 t1 t3; do
  until_true 10 test -e "$spool/done/$id.json" || wrong "$id was not done: $(ls "$spool"/*/"$id".json)"
done
until_true 10 test -e "$spool/dead/t2.json" || wrong "t2 was taken from a user who may not"
[ "$(of "$spool/dead/t2.json" '(r["outcome"], r["error"]["code"], r["submitted_by"]["user"], r["attempts"])')" \
  = "('rejected', 'not_allowed', 'nobody', [])" ] || wrong "t2: $(cat "$spool/dead/t2.json")"
# Requeued it is judged again, by who submitted it and not by who requeued it.
js requeue t2 >/dev/null
until_true 10 sh -c "[ \$(grep -c '\"event\":\"rejected\",\"job\":\"t2\"' '$spool'/log/audit-*) = 2 ]" \
  || wrong "a requeue lets t2 through"
as nobody "$SCRATCH/bin/jobspool" submit theirs --spool "$spool" 2> "$SCRATCH/said"
[ $? = 77 ] || wrong "submit did not end with 77: $(cat "$SCRATCH/said")"
grep -q 'nobody may not submit jobs of the type theirs' "$SCRATCH/said" || wrong "submit said: $(cat "$SCRATCH/said")"
[ "$(ls "$spool/new" | grep -vc gitkeep)" = 0 ] || wrong "left in new: $(ls "$spool/new")"

# Another user, with his groups and his home.
js submit as-nobody --id n1 --wait >/dev/null || wrong "n1 is not done: $(cat "$spool"/*/n1.json)"
expected="$(id -un nobody)
$(id -gn nobody)
$(id -G nobody)
$(getent passwd nobody | cut -d: -f6)"
[ "$(of "$spool/done/n1.json" 'r["result"].strip()')" = "$expected" ] || wrong "n1 ran as $(of "$spool/done/n1.json" 'r["result"]')"

# Bounds, what happens beyond them, and what a run used.
js submit bounds --id l1 --wait >/dev/null || wrong "l1 is not done: $(cat "$spool"/*/l1.json)"
[ "$(of "$spool/done/l1.json" 'r["result"].split()')" = "['33', '7', '65536', '3']" ] \
  || wrong "bounds: $(of "$spool/done/l1.json" 'r["result"].split()')"
js submit eats --id m1 --wait >/dev/null 2>&1
[ "$(of "$spool/dead/m1.json" '"MemoryError" in r["error"]["message"]')" = True ] || wrong "m1: $(cat "$spool"/*/m1.json)"
js submit spins --id c1 --wait >/dev/null 2>&1
[ "$(of "$spool/dead/c1.json" 'r["attempts"][0]["signal"] in (9, 24) and 900 <= r["attempts"][0]["cpu_ms"] <= 5000
  and r["attempts"][0]["peak_memory"] > 100000')" = True ] || wrong "c1: $(cat "$spool"/*/c1.json)"
kill "$daemon"
wait "$daemon"
"$bin/jobspool" fsck --spool "$spool" || wrong "fsck"

# A daemon without the right pauses the type and says so; no attempt is burnt.
chown -R daemon: "$spool"
cp "$bin/jobspoold" "$bin/jobspool-watch" "$SCRATCH/bin/"
# Not by `as`: the pid would be that of a shell that waits for it.
setpriv --reuid=daemon --regid="$(id -g daemon)" --init-groups -- \
  "$SCRATCH/bin/jobspoold" --spool "$spool" --no-web 2>> "$SCRATCH/daemon.log" & daemon=$!
until_true 10 test -s "$spool/status.json" || wrong "no start as daemon: $(tail -n 3 "$SCRATCH/daemon.log")"
as daemon "$SCRATCH/bin/jobspool" submit as-nobody --id n2 --spool "$spool" >/dev/null
until_true 10 grep -q 'may not become ..nobody' "$spool/status.json" || wrong "no alert: $(cat "$spool/status.json")"
until_true 5 test -e "$spool/new/n2.json" || wrong "n2 did not go back"
kill "$daemon"
wait "$daemon"
[ "$(of "$spool/new/n2.json" '(r["attempt"], r["attempts"])')" = "(0, [])" ] || wrong "n2: $(cat "$spool/new/n2.json")"
[ "$failures" = 0 ] || tail -n 20 "$SCRATCH/daemon.log"
exit "$failures"
