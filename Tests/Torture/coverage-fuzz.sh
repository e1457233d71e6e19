#!/bin/sh
# All fuzzing targets under libFuzzer (it comes with the Swift compiler), for FUZZ_SECONDS in all, ten minutes. What it
# learned stays in .build/libfuzzer/corpus, so that the next run goes on from there.
set -eu
SCRATCH=${SCRATCH:-$(mktemp -d)}
scratch=.build/libfuzzer
echo "building with coverage, which takes some minutes"
swift build -c release --scratch-path "$scratch" --product spoolfuzz \
  -Xswiftc -sanitize=fuzzer -Xswiftc -DLIBFUZZER -Xswiftc -use-ld=lld > "$SCRATCH/build.log" 2>&1 || { cat "$SCRATCH/build.log"; exit 1; }
binary=$scratch/release/spoolfuzz
targets=${TARGETS:-$("$binary" --list)}
each=$((${FUZZ_SECONDS:-600} / $(echo "$targets" | wc -w)))
# To libFuzzer 0 is without end.
[ "$each" -gt 0 ] || each=1
failed=0
for target in $targets; do
  found=$scratch/corpus/$target
  mkdir -p "$found"
  if [ "$target" = zone ]; then
    for zone in UTC Europe/Berlin Australia/Lord_Howe Africa/Casablanca; do
      cp -n "/usr/share/zoneinfo/$zone" "$found/$(echo "$zone" | tr / -)" 2>/dev/null || true
    done
  fi
  kept=$(ls -d "Tests/Fuzz/corpus/$target" 2>/dev/null || true)
  if "$binary" "$target" --coverage "$found" $kept -max_total_time="$each" -max_len=65536 -timeout=5 -rss_limit_mb=2048 \
    -artifact_prefix="$scratch/$target." -print_final_stats=1 > "$SCRATCH/$target.log" 2>&1; then
    echo "= $target: $(grep -E '^stat::number_of_executed_units' "$SCRATCH/$target.log" | tr -s ' ' | cut -d' ' -f2) inputs," \
      "$(grep -oE 'cov: [0-9]+' "$SCRATCH/$target.log" | tail -n 1 | cut -d' ' -f2) places reached," \
      "$(ls "$found" | wc -l) in the corpus"
  else
    failed=1
    tail -n 25 "$SCRATCH/$target.log"
    echo "$target failed; repeat: $binary $target --coverage FILE"
  fi
  sed -n 's/^scratch //p' "$SCRATCH/$target.log" | xargs -r rm -rf
done
exit $failed
