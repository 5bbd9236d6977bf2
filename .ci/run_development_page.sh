#!/usr/bin/env bash
# Runs the commands of docs/development.md for Lambda's own tools, as the page prints them: `cargo lambda watch` and `invoke`, curl,
# and the Runtime Interface Emulator. Only the URL of the local run's database differs each time.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
sam_tools
# Each job is a process group of its own.
set -m
trap 'for job in $(jobs -p); do kill -- "-$job" || true; done' EXIT

# Runs commands. Their output has texts like these.
expect() {
    output=$(eval "$2")
    printf '$ %s\n%s\n' "$2" "$output"
    grep --quiet --null-data --perl-regexp "(?s)$1" <<<"$output"
}
output=$(mktemp)
start_local_run "$output"
watch=$(page "Lambda's own tools" | sed "s|http://127.0.0.1:46703|$local_dynamodb|")
eval "$(grep '^export' <<<"$watch")"
eval "$(grep -v '^export' <<<"$watch")" &
await http://127.0.0.1:9000
expect '"statusCode": ?201.*"statusCode": ?200.*HTTP/1.1 200 OK.*"firstName":"Henrik"' "$(page "Lambda's own tools" 2)"
kill -- -$!
wait $! || true

emulator=$(page "Lambda's own tools" 3)
eval "$(sed '/^curl/d' <<<"$emulator")" &
await http://127.0.0.1:9001
expect '"statusCode": ?200' "$(grep '^curl' <<<"$emulator")"
