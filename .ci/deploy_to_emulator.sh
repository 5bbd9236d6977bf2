#!/usr/bin/env bash
# Deploys the service and operates it as docs/operations says, on ministack: an emulator of AWS that supports CloudFormation,
# enforces IAM and runs the function. The release build runs, whatever architecture the template names.
#
#     .ci/deploy_to_emulator.sh              runs the steps below, where possible with the page's own commands
#     .ci/deploy_to_emulator.sh mutations    removes each permission, variable and route, one at a time: each removal must be detected
#
# Everything listens on 127.0.0.1 and ends with this script.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tools=$(realpath -m "${CI_TOOLS:-.ci/tools}")
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$(mktemp -d)
processes=()

end() {
    local code=$?
    [ ${#processes[@]} = 0 ] || kill "${processes[@]}" 2>/dev/null || true
    [ $code = 0 ] || tail -n 5 "$work/sam.log" "$work/emulator.log" >&2 || true
    rm -rf "$work"
}
trap end EXIT
say() { printf '\n-- %s\n' "$*"; }
die() {
    echo "deploy_to_emulator.sh: $*" >&2
    exit 1
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Waits until a URL gives any response.
await() {
    for _ in $(seq 240); do
        if curl --silent --output /dev/null "$1"; then return; fi
        sleep 0.25
    done
    die "$1 never responded"
}
# Waits until a line of a file matches, and prints the match.
await_line() {
    for _ in $(seq 240); do
        if grep --only-matching --max-count=1 --perl-regexp "$2" "$1" 2>/dev/null; then return; fi
        sleep 0.25
    done
    die "$1 never said $2"
}

# ---- Tools and builds

# Each in an environment of its own, because they want different versions of botocore.
install() {
    local name=$1
    shift
    [ ! -e "$tools/$name/installed" ] || return 0
    python3 -m venv "$tools/$name"
    "$tools/$name/bin/pip" install --quiet "$@"
    touch "$tools/$name/installed"
}
# The SAM translator lets ministack create the bucket of `resolve_s3`, which is a SAM template of its own.
install ministack ministack==1.5.33 aws-sam-translator==1.109.0
install awscli awscli
if [ ! -x "$tools/operators/bin/sam" ]; then
    python3 -m venv "$tools/operators"
    "$tools/operators/bin/pip" install --quiet aws-sam-cli cfn-lint cargo-lambda ziglang
fi
PATH=$tools/awscli/bin:$tools/operators/bin:$PATH
python=$tools/operators/bin/python
for tool in jq openssl curl; do
    command -v $tool >/dev/null || { apt-get update -q && apt-get install -q --yes jq openssl curl; }
done
cargo build --locked --quiet --release
cargo build --locked --quiet --example local
cargo build --locked --quiet --package tools --bin keys
mkdir "$work/code" "$work/next"
cp "$target/release/create-contact" "$work/code/bootstrap"

# ---- The emulator

# The credentials that `keys` uses for any endpoint on this machine.
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1
export SAM_CLI_TELEMETRY=0 AWS_PAGER='' NO_PROXY=127.0.0.1
# The emulator passes its own environment to the function.
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_DYNAMODB CONTACTS_TABLE API_KEYS_TABLE WORKSPACES_TABLE
port=$(free_port)
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
BIND_HOST=127.0.0.1 GATEWAY_PORT=$port AUTH=true MINISTACK_REGION=$AWS_REGION \
    "$tools/ministack/bin/ministack" >"$work/ministack.log" 2>&1 &
processes+=($!)
await "$AWS_ENDPOINT_URL/_ministack/health"

# Writes the template in the form that ministack accepts. Arguments: the code, the file, and optionally a command that edits the template first.
for_the_emulator() {
    ${3:-cat} <template.yaml | "$python" .ci/translate_template.py --emulator "$1" GradualDeployment=false >"$2"
}
# What the page calls `sam deploy --config-env dev`.
deploy() {
    sam deploy --config-env dev --config-file "$root/samconfig.toml" --template-file "$1" --no-progressbar "${@:2}" \
        >>"$work/sam.log" 2>&1
}
# The commands of a page's section: its first block, or the one with that number.
page() {
    awk -v heading="$1" -v wanted="${2:-1}" '
        /^#/ { inside = ($0 ~ "^#+ " heading "$"); block = 0; code = 0; next }
        inside && /^    / { if (!code) { block++; code = 1 } if (block == wanted) print substr($0, 5); next }
        inside && !/^$/ { code = 0 }
    ' docs/operations/*.md | grep . || die "docs/operations has no commands under \"$1\""
}
use_stack() {
    STACK=create-contact-dev
    eval "$(page 'The names of your stack')"
    CONTACTS_URL=$AWS_ENDPOINT_URL/_aws/execute-api/$(aws cloudformation describe-stack-resource --stack-name "$STACK" \
        --logical-resource-id HttpApi --query StackResourceDetail.PhysicalResourceId --output text)/\$default/api/contacts
    export CONTACTS_URL API_KEYS_TABLE WORKSPACES_TABLE
}
keys() { "$target/debug/keys" "$@"; }
# Sends a contact with a key; prints the status.
post() {
    printf 'Authorization: Bearer %s\n' "$1" | curl --silent --output "$work/body" --write-out '%{http_code}' --max-time 30 \
        --header @- --header "Content-Type: ${3:-application/json}" --data "$2" "${4:-$CONTACTS_URL}" "${@:5}"
}
expect() {
    local expected=$1 found
    found=$("${@:2}")
    [ "$found" = "$expected" ] || die "expected $expected, found $found: $(cat "$work/body")"
}
# The emulator's gateway doesn't check the permission to invoke the function, so the permission is read instead.
gateway_may_invoke() {
    aws lambda get-policy --function-name "$FUNCTION" --qualifier live --query Policy --output text 2>/dev/null |
        jq --exit-status --arg api "${CONTACTS_URL#*execute-api/}" '.Statement | any(.Effect == "Allow"
            and .Action == "lambda:InvokeFunction" and .Principal.Service == "apigateway.amazonaws.com"
            and (.Condition.ArnLike["AWS:SourceArn"] | contains($api | split("/")[0])))' >/dev/null
}
live_version() {
    aws lambda get-alias --function-name "$FUNCTION" --name live --query FunctionVersion --output text
}

# ---- What must be noticed

# The permissions for the log are left out, because the emulator doesn't check them. check_template.py does.

mutations() {
    say "each part that is taken away is noticed"
    for_the_emulator "$work/code" "$work/template.json"
    deploy "$work/template.json"
    use_stack
    tools/smoke "$STACK"
    noticed=0
    while IFS='|' read -r what change; do
        jq "$change" "$work/template.json" >"$work/mutant.json"
        if cmp --silent <(jq --sort-keys . "$work/template.json") <(jq --sort-keys . "$work/mutant.json"); then
            die "\"$what\" changes nothing"
        fi
        # A changed variable needs a new version, which the translator would create.
        case $what in variable*)
            jq "(.Resources | keys[] | select(startswith(\"CreateContactFunctionVersion\"))) as \$old
                | (\$old + \"$noticed\") as \$new | .Resources[\$new] = .Resources[\$old] | del(.Resources[\$old])
                | .Resources.CreateContactFunctionAliaslive.Properties.FunctionVersion = {\"Fn::GetAtt\": [\$new, \"Version\"]}
                | .Resources.NewVersionErrorsAlarm.Properties.Dimensions[2].Value = {\"Fn::GetAtt\": [\$new, \"Version\"]}" \
                "$work/mutant.json" >"$work/mutant2.json" && mv "$work/mutant2.json" "$work/mutant.json" ;;
        esac
        deploy "$work/mutant.json" || die "\"$what\" can't be deployed"
        if tools/smoke "$STACK" >"$work/smoke" 2>&1 && read_alone && gateway_may_invoke; then
            die "\"$what\" was not noticed: $(tail -n 1 "$work/smoke")"
        fi
        gateway_may_invoke || echo "API Gateway may not invoke the function" >>"$work/smoke"
        echo "without $what: $(tail -n 1 "$work/smoke")"
        noticed=$((noticed + 1))
        deploy "$work/template.json"
    done <<'MUTATIONS'
dynamodb:PutItem|.Resources.CreateContactRole.Properties.Policies[0].PolicyDocument.Statement |= map(select(.Action != "dynamodb:PutItem"))
dynamodb:BatchGetItem|.Resources.CreateContactRole.Properties.Policies[0].PolicyDocument.Statement[1].Action -= ["dynamodb:BatchGetItem"]
dynamodb:GetItem|.Resources.CreateContactRole.Properties.Policies[0].PolicyDocument.Statement[1].Action -= ["dynamodb:GetItem"]
the keys table in the role|.Resources.CreateContactRole.Properties.Policies[0].PolicyDocument.Statement[1].Resource |= .[1:]
the workspaces table in the role|.Resources.CreateContactRole.Properties.Policies[0].PolicyDocument.Statement[1].Resource |= .[:1]
the API's permission to invoke the function|del(.Resources.CreateContactFunctionContactsPermission)
variable CONTACTS_TABLE|del(.Resources.CreateContactFunction.Properties.Environment.Variables.CONTACTS_TABLE)
variable API_KEYS_TABLE|del(.Resources.CreateContactFunction.Properties.Environment.Variables.API_KEYS_TABLE)
variable WORKSPACES_TABLE|del(.Resources.CreateContactFunction.Properties.Environment.Variables.WORKSPACES_TABLE)
the route|del(.Resources.Route)
MUTATIONS
    echo "$noticed mutations, all noticed"
}
# A request with an invalid body reads only the key, with GetItem.
read_alone() {
    local status
    status=$(post "$(keys issue --tenant "$(keys tenant new)" --expires 1d --json 2>/dev/null | jq --raw-output .key)" '{}')
    [ "$status" = 400 ] && return
    echo "a request with an empty body gets $status: $(cat "$work/body")" >>"$work/smoke"
    return 1
}
if [ "${1:-}" = mutations ]; then
    mutations
    exit
fi

# ---- The page, step by step

say "a deployment of prod that names nobody for its alarms"
for_the_emulator "$work/code" "$work/template.json"
if sam deploy --config-env prod --config-file "$root/samconfig.toml" --template-file "$work/template.json" \
    --no-confirm-changeset >"$work/prod.log" 2>&1; then
    die "it was accepted"
fi
grep -q 'AlarmEmail or AlarmTopicArn' "$work/prod.log" || die "it was refused for another reason"

say "the first deployment"
deploy "$work/template.json"
use_stack
tools/smoke "$STACK"
gateway_may_invoke || die "API Gateway may not invoke the function"

say "the first workspace, key and contact; each response of the gateway and the function"
TENANT=$(keys tenant new)
WORKSPACE=$(keys workspace add --tenant "$TENANT" --json | jq --raw-output .workspaceId)
KEY=$(keys issue --tenant "$TENANT" --expires 90d --json | jq --raw-output .key)
contact() { jq -nc --arg workspace "$WORKSPACE" --arg name "$1" '{workspaceId: $workspace, name: $name, email: "henrik@acme-customer.de"}'; }
expect 201 post "$KEY" "$(contact 'Henrik Larsen')"
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
expect 409 post "$KEY" "$(contact 'Hanne Larsen')"
expect 400 post "$KEY" '{}'
expect 401 post sf_test_v1_UnknownUnknownUnknown "$(contact 'Henrik Larsen')"
expect 415 post "$KEY" "$(contact 'Henrik Larsen')" text/plain
head -c 65537 /dev/zero | tr '\0' x >"$work/large"
expect 413 post "$KEY" "@$work/large"
expect 404 post "$KEY" "$(contact 'Henrik Larsen' | jq -c '.workspaceId = "00000000-0000-4000-8000-000000000001"')"
expect 405 post "$KEY" '{}' application/json "$CONTACTS_URL" --request PUT
expect 404 post "$KEY" '{}' application/json "${CONTACTS_URL%contacts}elsewhere"
grep -q '"message"' "$work/body" || die "that was not the gateway's own 404: $(cat "$work/body")"

say "a key is rotated"
NEW=$(keys issue --tenant "$TENANT" --json | jq --raw-output .key)
expect 200 post "$NEW" "$(contact 'Henrik Larsen')"
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
printf '%s' "$KEY" | keys revoke >/dev/null
expect 401 post "$KEY" "$(contact 'Henrik Larsen')"
expect 200 post "$NEW" "$(contact 'Henrik Larsen')"
KEY=$NEW

say "the runbook's queries"
eval "$(page 'Read the logs')" >"$work/entries"
grep -q . "$work/entries" || die "the runbook's queries find nothing"

say "the local run, and events/ under AWS's Runtime Interface Emulator"
"$target/debug/examples/local" --port 0 >"$work/local.log" 2>&1 &
processes+=($!)
local_dynamodb=$(await_line "$work/local.log" 'DynamoDB +\Khttp://[0-9.:]+')
emulator=$(echo "$tools"/operators/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64)
chmod +x "$emulator"
# Runs a program under the emulator and replays the events with the local run's database.
under_the_emulator() {
    local events
    events=$(free_port)
    CONTACTS_TABLE=ContactsTable API_KEYS_TABLE=ApiKeysTable WORKSPACES_TABLE=WorkspacesTable \
        AWS_ENDPOINT_URL_DYNAMODB=$local_dynamodb "$emulator" --runtime-interface-emulator-address "127.0.0.1:$events" \
        --runtime-api-address "127.0.0.1:$(free_port)" "$1" >"$work/emulator.log" 2>&1 &
    processes+=($!)
    await "http://127.0.0.1:$events"
    AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:$events AWS_ENDPOINT_URL_DYNAMODB=$local_dynamodb \
        "$python" .ci/replay_events.py function ContactsTable
}
under_the_emulator "$work/code/bootstrap"
arm64=.aws-sam/build/CreateContactFunction/bootstrap
if command -v qemu-aarch64 >/dev/null && [ -d /usr/aarch64-linux-gnu/lib ] && [ -x $arm64 ]; then
    printf '#!/bin/sh\nexec qemu-aarch64 -L /usr/aarch64-linux-gnu %s\n' "$root/$arm64" >"$work/arm64"
    chmod +x "$work/arm64"
    echo "the arm64 artifact:"
    under_the_emulator "$work/arm64"
fi

say "events/ against the deployed function"
for table in ContactsTable:$CONTACTS ApiKeysTable:$API_KEYS_TABLE WorkspacesTable:$WORKSPACES_TABLE; do
    aws --endpoint-url "$local_dynamodb" dynamodb scan --table-name "${table%%:*}" --output json | jq -c '.Items[]' |
        while read -r item; do aws dynamodb put-item --table-name "${table#*:}" --item "$item"; done
done
"$python" .ci/replay_events.py "$FUNCTION:live" "$CONTACTS"

say "an update: other code, out of a bootstrap.zip, and a setting"
before=$(live_version)
{ cat "$work/code/bootstrap"; echo; } >"$work/next/bootstrap"
chmod +x "$work/next/bootstrap"
python3 -m zipfile -c "$work/bootstrap.zip" "$work/next/bootstrap"
cp "$work/bootstrap.zip" "$work/next.zip"
(cd "$work" && eval "$(cd "$root" && page 'Without Rust' | sed '/^sam deploy/d' | sed "s|template.yaml|$root/template.yaml|")")
grep -q 'CodeUri: bootstrap.zip' "$work/template-zip.yaml" || die "the page's command doesn't name the archive"
for_the_emulator "$work/next.zip" "$work/update.json"
deploy "$work/update.json"
[ "$(live_version)" -gt "$before" ] || die "the new code isn't live"
updated=$(live_version)
tools/smoke "$STACK"
longer_timeout() { sed 's/Timeout: 10/Timeout: 11/'; }
for_the_emulator "$work/next.zip" "$work/setting.json" longer_timeout
deploy "$work/setting.json"
[ "$(live_version)" -gt "$updated" ] || die "a changed timeout isn't live"
timeout=$(aws lambda get-function-configuration --function-name "$FUNCTION:live" --query Timeout)
[ "$timeout" = 11 ] || die "the live timeout is $timeout"

say "the rollback: the old commit, at once"
deploy "$work/template.json"
code_of() { aws lambda get-function-configuration --function-name "$FUNCTION:$1" --query CodeSha256 --output text; }
[ "$(code_of live)" = "$(code_of "$before")" ] || die "the old code isn't live"
tools/smoke "$STACK"

say "items are restored"
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
lost=$(jq --raw-output .id "$work/body")
# The page's point in time is before this table existed.
eval "$(page 'Restore items' 1 | sed 's/--restore-date-time [^ ]*/--use-latest-restorable-time/')" >/dev/null
aws dynamodb delete-item --table-name "$CONTACTS" \
    --key "{\"workspaceId\": {\"S\": \"$WORKSPACE\"}, \"emailKey\": {\"S\": \"henrik@acme-customer.de\"}}"
eval "$(page 'Restore items' 2)"
eval "$(page 'Restore items' 3)" >/dev/null
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
[ "$(jq --raw-output .id "$work/body")" = "$lost" ] || die "the restored contact isn't there"

say "the stack is taken down, the data stays, a new stack takes it over"
sam delete --stack-name "$STACK" --no-prompts >>"$work/sam.log" 2>&1
count=$(aws dynamodb scan --table-name "$CONTACTS" --select COUNT --query Count)
[ "$count" -gt 1 ] || die "$count contacts are left"
old=$CONTACTS
cp template.yaml "$work"
commands=$(page 'Data that a stack left behind')
(cd "$work" && eval "$commands") >/dev/null
deploy "$work/template.json"
use_stack
[ "$CONTACTS" = "$old" ] || die "the new stack has another table"
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
tools/smoke "$STACK"

say "everything is deleted"
sam delete --stack-name "$STACK" --no-prompts >>"$work/sam.log" 2>&1
eval "$(page 'Take it down' 2)" >/dev/null
if aws dynamodb describe-table --table-name "$CONTACTS" >/dev/null 2>&1; then die "$CONTACTS is still there"; fi
echo "deployed, called, updated, rolled back, restored, taken over and deleted"
