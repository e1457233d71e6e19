#!/bin/sh
# The workers of examples/workers, run by hand as the daemon runs them: two jobs in, their answers out.
set -u
failures=0
tried=0
for worker in examples/workers/worker.*; do
  case $worker in
    *.py) needs=python3 ;;
    *.mjs) needs=node ;;
    *.php) needs=php ;;
    *.sh) needs=jq ;;
  esac
  command -v $needs >/dev/null || continue
  tried=$((tried + 1))
  printf '%s\n' '{"id":"t1","type":"greet","attempt":1,"payload":{"name":"A \"B\""}}' \
    '{"id":"t2","type":"greet","attempt":1,"payload":null}' | "$worker" > "$SCRATCH/out" 2> "$SCRATCH/err"
  # Spaces between tokens are the worker's own business; the two jobs may overtake each other.
  sed 's/\([:,]\) /\1/g' "$SCRATCH/out" | grep '"id":"t1"' | tail -n 1 > "$SCRATCH/first"
  grep -q '"ok":true' "$SCRATCH/first" && grep -q '"greeting":"Hello,' "$SCRATCH/first" &&
    grep -q '"id": *"t1", *"progress"' "$SCRATCH/out" &&
    grep '"id": *"t2"' "$SCRATCH/out" | tail -n 1 | grep -q '"retry": *false' && continue
  echo "$worker answered:"
  cat "$SCRATCH/out" "$SCRATCH/err"
  failures=$((failures + 1))
done
[ "$tried" -gt 0 ] || { echo "none of python3, node, php and jq is installed"; exit 77; }
exit "$failures"
