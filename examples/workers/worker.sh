#!/bin/sh
# A worker: a job per line in, an answer per line out, until the input ends. Needs jq.
handle() {
  say '{"progress":50,"stage":"greeting"}'
  name=$(printf '%s' "$1" | jq -er .payload.name) || return 65
  jq -cn --arg name "$name" '{greeting: "Hello, \($name)"}'
}
say() { printf '%s\n' "$1" | jq -c --arg id "$id" '{id: $id} + .' >&3; }

exec 3>&1 # say writes here, also while the output of handle is caught
while read -r job; do
  id=$(printf '%s' "$job" | jq -r .id)
  result=$(handle "$job")
  case $? in
    0) say "{\"ok\":true,\"result\":$result}" ;;
    65) say '{"ok":false,"retry":false,"error":{"code":"bad_payload","message":"payload.name is missing"}}' ;;
    *) say '{"ok":false,"error":"it did not work"}' ;;
  esac
done
