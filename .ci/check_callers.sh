#!/usr/bin/env bash
# What callers rely on, tested against the running service: openapi.yaml, the import, the clients of docs/clients.md and the
# local run's start page. Works on a fresh checkout of a Debian machine with Rust, Node, Python and Java; stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
work=$target/callers
mkdir -p "$work"
node_bin=$PWD/tests/callers/node_modules/.bin

# The programs get these from the local run, and from nowhere else.
unset CONTACTS_BASE_URL CONTACTS_API_KEY CONTACTS_WORKSPACE
workspace=0198c1a5-6f00-7000-8000-000000000001
key=sf_test_v1_LocalDemoKeyLocalDemoKey

say() { printf '\n== %s\n' "$*"; }

say "tools: chromium, curl and jq, npm's and PyPI's packages"
if ! type chromium curl jq > /dev/null 2>&1; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium curl jq > /dev/null
fi
npm install --prefix tests/callers --no-package-lock --no-audit --no-fund --silent
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/callers/requirements.txt

say "redocly lint openapi.yaml: no error, no warning"
lint=$(REDOCLY_TELEMETRY=off "$node_bin/redocly" lint --extends=recommended --format=json openapi.yaml 2> /dev/null) || true
jq -e '.totals | .errors == 0 and .warnings == 0' <<< "$lint" > /dev/null || { echo "$lint"; exit 1; }

say "spectral lint openapi.yaml: no error, no warning"
"$node_bin/spectral" lint --fail-severity warn openapi.yaml

say "cargo test --test openapi: every example is sent and gets what it promises"
cargo test --quiet --test openapi

say "the local run"
trap 'kill $(jobs -p) || true' EXIT
start_local_run "$work/local.log"

say "its tables, with the command of docs/development.md"
scan=$(grep --only-matching 'AWS_ACCESS_KEY_ID=local .* aws dynamodb scan .*' docs/development.md)
PATH=$work/venv/bin:$PATH bash -c "${scan/http:\/\/127.0.0.1:46703/$local_dynamodb}" | jq --exit-status '.Items[0].email.S == "Ada@analytical-engines.co.uk"'

say "its start page in Chromium; to renew docs/reference.png, copy target/callers/desktop.png"
node tests/callers/page.mjs "$local_url/" "$work"

say "the import: its rules, a corpus of files, 2,000 rows through faults, kills, 20,000 rows through a stub"
cargo test --quiet -p tools --bin import --test import

say "the programs of docs/clients.md, and what the generators make of openapi.yaml"
PATH=$work/venv/bin:$PATH python tests/callers/clients.py "$local_url" "$key" "$workspace" "$work/clients"

say "schemathesis, all checks, fixed seed"
root=$PWD
# schemathesis writes files to the current directory.
cd "$work"
CONTACTS_WORKSPACE=$workspace SCHEMATHESIS_HOOKS=$root/tests/callers/schemathesis_hooks.py \
  "$work/venv/bin/schemathesis" run "$root/openapi.yaml" --url "$local_url" --checks all --seed 20260210 --max-examples 300 \
  --generation-database none --header "Authorization: Bearer $key"

say "callers: all of it holds"
