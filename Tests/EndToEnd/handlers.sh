#!/bin/sh
# The sample handlers, run by hand as the daemon runs them: the job as a line on standard input, descriptor 3 open.
set -u
failures=0
JOBSPOOL_DIR=$SCRATCH/spool JOBSPOOL_ID=t1
export JOBSPOOL_DIR JOBSPOOL_ID
mkdir "$JOBSPOOL_DIR"
bin=$PWD/spool/handlers/bin
printf 'hello\n' > "$JOBSPOOL_DIR/a b.txt"
sum=$(printf 'hello\n' | sha256sum)
sum=${sum%% *}

# run HANDLER PAYLOAD: leaves the exit code in $code, standard output in $out, descriptor 3 in $control.
run() {
  printf '{"id":"t1","type":"%s","attempt":1,"payload":%s}\n' "$1" "$2" > "$SCRATCH/job"
  "$bin/$1" < "$SCRATCH/job" > "$SCRATCH/out" 2> "$SCRATCH/err" 3> "$SCRATCH/control"
  code=$?
  out=$(cat "$SCRATCH/out")
  control=$(cat "$SCRATCH/control")
}
# check WHAT ACTUAL EXPECTED
check() {
  [ "$2" = "$3" ] && return
  echo "$1: '$2' instead of '$3'; standard error: $(cat "$SCRATCH/err")"
  failures=$((failures + 1))
}

run checksum '{ "x": {"path": "no"}, "path" : "a\u0020b.txt"}'
check "checksum exit" "$code" 0
check "checksum result" "$out" "{\"path\":\"a b.txt\",\"size\":6,\"sha256\":\"$sum\"}"
check "checksum control lines" "$(echo "$control" | tail -n 1)" '{"progress":100}'
run checksum '{"path":"a b.txt","algorithm":"md5"}'
check "checksum md5" "$out" '{"path":"a b.txt","size":6,"md5":"b1946ac92492d2347c6235b4d2611184"}'
run checksum '{"path":"missing"}'
check "checksum of a missing file" "$code" 66
check "its error" "$control" "{\"error\":{\"code\":\"no_such_file\",\"message\":\"$JOBSPOOL_DIR/missing does not exist\"}}"
for payload in '{}' 'null' '"a"' '{"path":"a b.txt","algorithm":"crc32; id"}' '{"path":"a\u0000b"}'; do
  run checksum "$payload"
  check "checksum of $payload" "$code" 65
done

run http-get '{"url":"file:///etc/passwd"}'
check "http-get of a file" "$code" 65
if command -v curl >/dev/null; then
  run http-get '{"url":"http://127.0.0.1:1/"}'
  check "http-get without a server" "$code" 75
  if command -v python3 >/dev/null; then
    python3 -u -m http.server --bind 127.0.0.1 --directory "$JOBSPOOL_DIR" 0 > "$SCRATCH/server" 2>/dev/null &
    server=$!
    trap 'kill $server' EXIT
    until port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$SCRATCH/server") && [ -n "$port" ]; do
      kill -0 $server || exit 1
      sleep 0.05
    done
    no_proxy=127.0.0.1 && export no_proxy
    run http-get "{\"url\":\"http://127.0.0.1:$port/a%20b.txt\",\"save\":true}"
    check "http-get exit" "$code" 0
    check "http-get body" "$(cat "$JOBSPOOL_DIR/downloads/t1")" hello
    check "http-get status" "$(printf %s "$out" | "$bin/json" get /status)" 200
    run http-get "{\"url\":\"http://127.0.0.1:$port/none\",\"save\":true}"
    check "http-get of what is not there" "$code" 65
    check "files left" "$(ls "$JOBSPOOL_DIR/downloads")" t1
  fi
else
  run http-get '{"url":"http://127.0.0.1:1/"}'
  check "http-get without curl" "$code" 78
fi

run thumbnail '{"path":"a b.txt"}'
check "thumbnail of a text" "$code" 65
run thumbnail '{"path":"missing.png"}'
check "thumbnail of nothing" "$code" 66

for text in '[1,]' '{"a" 1}' '{"a":01}' '"\x"' '{} {}' '' '["a'; do
  printf '%s' "$text" | "$bin/json" get '' >/dev/null 2>&1
  check "json get of $text" $? 65
done
check "a pointer" "$(printf '%s' '{"a/b":[{"~":"\ud83d\ude00\n"}]}' | "$bin/json" get '/a~1b/0/~0')" '😀'
check "quoting" "$("$bin/json" quote 'a"\	ä')" '"a\"\\\u0009ä"'

exit "$failures"
