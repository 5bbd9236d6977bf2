#!/usr/bin/env bash
# Deploys the service and operates it as docs/operations says, where possible with the pages' own commands, on ministack: an emulator
# of AWS that supports CloudFormation, enforces IAM and runs the function. The release build runs, whatever architecture the template
# names. Everything listens on 127.0.0.1 and ends with this script.
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
    [ $code = 0 ] || tail -n 5 "$work"/{sam,emulator,smoke}.log >&2 || true
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
    ' docs/operations/*.md | grep . || die "docs/operations has no block ${2:-1} of commands under \"$1\""
}
physical() {
    aws cloudformation describe-stack-resource --stack-name "$STACK" --logical-resource-id "$1" \
        --query StackResourceDetail.PhysicalResourceId --output text
}
use_stack() {
    STACK=create-contact-dev
    eval "$(page 'The names of your stack')"
    API=$(physical HttpApi)
    CONTACTS_URL=$AWS_ENDPOINT_URL/_aws/execute-api/$API/\$default/api/contacts
    export CONTACTS_URL API_KEYS_TABLE WORKSPACES_TABLE
}
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
# Runs the smoke test: its exit code and a part of its verdict must be these.
smoke() {
    local expected=$1 part=$2 code=0
    tools/smoke "${@:3}" "$STACK" >"$work/smoke.log" 2>&1 || code=$?
    tail -n 1 "$work/smoke.log"
    [ $code = "$expected" ] || die "the smoke test ended with $code instead of $expected"
    tail -n 1 "$work/smoke.log" | grep -qF -- "$part" || die "the smoke test didn't say: $part"
}
# The emulator's gateway doesn't check the permission to invoke the function, so the permission is read instead.
gateway_may_invoke() {
    aws lambda get-policy --function-name "$FUNCTION" --qualifier live --query Policy --output text 2>/dev/null |
        jq --exit-status --arg api ":$API/" '.Statement | any(.Effect == "Allow"
            and .Action == "lambda:InvokeFunction" and .Principal.Service == "apigateway.amazonaws.com"
            and (.Condition.ArnLike["AWS:SourceArn"] | contains($api)))' >/dev/null
}
live_version() {
    aws lambda get-alias --function-name "$FUNCTION" --name live --query FunctionVersion --output text
}
code_of() { aws lambda get-function-configuration --function-name "$FUNCTION:$1" --query CodeSha256 --output text; }

# ---- The pages, step by step

say "parameters that would leave somebody without alarms, or callers without an endpoint"
for_the_emulator "$work/code" "$work/template.json"
refused() {
    local reason=$1
    shift
    if sam deploy --config-env prod --config-file "$root/samconfig.toml" --template-file "$work/template.json" \
        --no-confirm-changeset --parameter-overrides "$*" >"$work/refused.log" 2>&1; then
        die "$* was accepted"
    fi
    grep -q "$reason" "$work/refused.log" || die "$* was refused for another reason: $(tail -n 3 "$work/refused.log")"
    echo "refused: $*"
}
refused 'AlarmEmail or AlarmTopicArn' Environment=prod
refused 'in CertificateArn' Environment=dev DomainName=api.example.com
refused 'DisableExecuteApiEndpoint turns off' Environment=dev DisableExecuteApiEndpoint=true
refused 'clients without a certificate' Environment=dev DomainName=api.example.com CertificateArn=arn TruststoreUri=s3://ca/ca.pem

say "the first deployment"
deploy "$work/template.json"
use_stack
smoke 0 'live is version 1;'
topics_of() { aws cloudwatch describe-alarms --alarm-names "$(physical "$1")" --query 'MetricAlarms[0].AlarmActions' --output text; }
[ "$(topics_of GatewayErrorsAlarm)" = "$(output AlarmTopic)" ] || die "an alarm has another topic than the stack"
gateway_may_invoke || die "API Gateway may not invoke the function"

say "the first workspace, key and contact; each response of the gateway and the function"
eval "$(page 'First key, first contact')"
keys() { "$target/debug/keys" "$@"; }
first=$(page 'First key, first contact' 2)
URL=$CONTACTS_URL
eval "${first#*ContactsUrl)}" >"$work/body" 2>/dev/null
grep -q ' 201 ' "$work/body" || die "the page's first contact: $(cat "$work/body")"
contact() {
    jq -nc --arg workspace "$WORKSPACE" --arg name "$1" --arg email "${2:-henrik@acme-customer.de}" \
        '{workspaceId: $workspace, name: $name, email: $email}'
}
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

say "what a leaked key did"
leaked=$(page 'A key has leaked' | sed "s/…/$WORKSPACE/; s/2026-02-10T14:00/2000/; s/2026-02-10T15:00/3000/")
[ "$(eval "$leaked" | jq --raw-output '.Items[].emailKey.S')" = henrik@acme-customer.de ] || die "the page's query doesn't find the contact"

say "the policy for whoever runs keys"
(cd "$work" && eval "$(cd "$root" && page 'Who may run it')")
aws iam create-user --user-name keys >/dev/null
aws iam put-user-policy --user-name keys --policy-name keys --policy-document "file://$work/keys-policy.json"
read -r id secret < <(aws iam create-access-key --user-name keys --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text)
as_the_user() { AWS_ACCESS_KEY_ID=$id AWS_SECRET_ACCESS_KEY=$secret aws "$@" >"$work/body" 2>&1; }
# `keys` itself has fixed credentials for an endpoint on this machine, so these are its calls.
probe='{"keyHash": {"S": "probe"}}'
as_the_user dynamodb put-item --table-name "$API_KEYS_TABLE" --item "$probe" || die "keys can't issue: $(cat "$work/body")"
as_the_user dynamodb scan --table-name "$API_KEYS_TABLE" || die "keys can't list: $(cat "$work/body")"
as_the_user dynamodb get-item --table-name "$API_KEYS_TABLE" --key "$probe" || die "keys can't read: $(cat "$work/body")"
as_the_user dynamodb delete-item --table-name "$API_KEYS_TABLE" --key "$probe" || die "keys can't revoke: $(cat "$work/body")"
as_the_user dynamodb get-item --table-name "$WORKSPACES_TABLE" --key "{\"workspaceId\": {\"S\": \"$WORKSPACE\"}}" ||
    die "keys can't read a workspace: $(cat "$work/body")"
as_the_user cloudformation describe-stacks --stack-name "$STACK" || die "the names of the stack can't be read: $(cat "$work/body")"
if as_the_user dynamodb scan --table-name "$CONTACTS"; then die "whoever runs keys can read contacts"; fi
grep -q AccessDenied "$work/body" || die "that was refused for another reason: $(cat "$work/body")"

say "the runbook's queries run (check_logs.py says what they find)"
eval "$(page 'Read the logs')" >"$work/entries"
grep -q '"outcome"' "$work/entries" || die "the runbook's queries find nothing"

say "the smoke test notices what is broken"
role=$(physical CreateContactRole)
policy=$(aws iam get-role-policy --role-name "$role" --policy-name create-contact --query PolicyDocument --output json)
put_policy() { aws iam put-role-policy --role-name "$role" --policy-name create-contact --policy-document "$1"; }
while IFS='|' read -r response edit; do
    changed=$(jq "$edit" <<<"$policy")
    [ "$(jq --sort-keys . <<<"$changed")" != "$(jq --sort-keys . <<<"$policy")" ] || die "\"$edit\" changes nothing"
    put_policy "$changed"
    smoke 1 "the API responds with 500$response"
done <<'EDITS'
: |.Statement |= map(select(.Action != "dynamodb:PutItem"))
: |.Statement[1].Action -= ["dynamodb:BatchGetItem"]
 to an empty object|.Statement[1].Action -= ["dynamodb:GetItem"]
 to an empty object|.Statement[1].Resource |= .[1:]
: |.Statement[1].Resource |= .[:1]
EDITS
put_policy "$policy"
route=$(aws apigatewayv2 get-routes --api-id "$API" --query 'Items[0].RouteId' --output text)
aws apigatewayv2 update-route --api-id "$API" --route-id "$route" --route-key 'ANY /api/elsewhere' >/dev/null
smoke 1 'the API responds with 404'
aws apigatewayv2 update-route --api-id "$API" --route-id "$route" --route-key 'ANY /api/contacts' >/dev/null
alarm() { aws cloudwatch set-alarm-state --alarm-name "$(physical FaultsAlarm)" --state-value "$1" --state-reason test; }
alarm ALARM
smoke 3 'ALARMS ARE FIRING: create-contact-dev-FaultsAlarm'
alarm OK
statement=$(aws lambda get-policy --function-name "$FUNCTION" --qualifier live --query Policy --output text | jq --raw-output '.Statement[0].Sid')
aws lambda remove-permission --function-name "$FUNCTION" --qualifier live --statement-id "$statement"
if gateway_may_invoke; then die "the missing permission wasn't noticed"; fi
eval "$(page GatewayErrorsAlarm | sed "s/REGION:ACCOUNT:API_ID/$AWS_REGION:000000000000:$API/")" >/dev/null
gateway_may_invoke || die "the page's command doesn't give the permission back"

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
else
    echo "no arm64 artifact: check_operations.sh builds it, performance installs qemu"
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
longer_timeout() { sed 's/Timeout: 10/Timeout: 11/'; }
for_the_emulator "$work/next.zip" "$work/update.json" longer_timeout
deploy "$work/update.json"
updated=$(live_version)
[ "$updated" -gt "$before" ] || die "the new code isn't live"
timeout=$(aws lambda get-function-configuration --function-name "$FUNCTION:live" --query Timeout)
[ "$timeout" = 11 ] || die "the live timeout is $timeout"

say "the fast way back: the alias, then the same code again"
commands=$(page 'Roll back')
eval "${commands//create-contact/$STACK}" >"$work/rollback"
grep "^live is version $before, .*; before it was version $updated, " "$work/rollback" || die "rollback said: $(cat "$work/rollback")"
grep -q "$STACK works: live is version $before, newest is version $updated with 0% of the traffic" "$work/rollback" ||
    die "the smoke test said: $(cat "$work/rollback")"
[ "$(live_version)" = "$before" ] || die "version $(live_version) is live"
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
if tools/rollback "$STACK" 99 2>"$work/rollback"; then die "there is a version 99"; fi
grep -q 'nothing was changed: there is no version 99' "$work/rollback" || die "rollback said: $(cat "$work/rollback")"
if tools/rollback "$STACK" 2>"$work/rollback"; then die "there is a version before the first"; fi
grep -q 'nothing was changed: there is no version before' "$work/rollback" || die "rollback said: $(cat "$work/rollback")"
# The emulator hands out the newest code, whichever version is asked for. So the old code comes from here.
commands=$(page 'Roll back' 2 | sed '/^sam deploy/d')
(cd "$work" && rm -f bootstrap.zip && eval "$commands" 2>/dev/null)
python3 -m zipfile -l "$work/bootstrap.zip" | grep -q bootstrap || die "the page's command got no bootstrap.zip"
for_the_emulator "$work/code" "$work/good.json"
deploy "$work/good.json"
[ "$(live_version)" -gt "$updated" ] || die "the deployment after a rollback isn't live"
[ "$(code_of live)" = "$(code_of "$before")" ] || die "the live code isn't the one that was rolled back to"

say "a newest version that can't start: without traffic, with some of it, with all of it"
good=$(live_version)
variables=$(aws lambda get-function-configuration --function-name "$FUNCTION" --query Environment --output json)
aws lambda update-function-configuration --function-name "$FUNCTION" --environment "$(jq 'del(.Variables.CONTACTS_TABLE)' <<<"$variables")" >/dev/null
broken=$(aws lambda publish-version --function-name "$FUNCTION" --query Version --output text)
move_alias() { aws lambda update-alias --function-name "$FUNCTION" --name live "$@" >/dev/null; }
smoke 4 "the NEWEST VERSION DOESN'T: version $broken responds with"
move_alias --routing-config "AdditionalVersionWeights={$broken=0.1}"
if tools/rollback "$STACK" 2>"$work/rollback"; then die "rollback moved the alias of a gradual deployment"; fi
grep -q 'nothing was changed: a gradual deployment is in progress' "$work/rollback" || die "rollback said: $(cat "$work/rollback")"
smoke 1 "newest is version $broken with 10% of the traffic"
move_alias --function-version "$broken" --routing-config 'AdditionalVersionWeights={}'
smoke 1 'the API responds with 5'
tools/rollback "$STACK" | grep "^live is version $good, "
aws lambda update-function-configuration --function-name "$FUNCTION" --environment "$variables" >/dev/null
aws lambda delete-function --function-name "$FUNCTION" --qualifier "$broken" >/dev/null
smoke 0 "live is version $good;"

say "items are restored, but not who was erased since"
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
lost=$(jq --raw-output .id "$work/body")
expect 201 post "$KEY" "$(contact 'Jane Doe' jane@example.com)"
# The page's point in time is before this table existed.
eval "$(page 'Restore items' 1 | sed 's/--restore-date-time [^ ]*/--use-latest-restorable-time/')" >/dev/null
aws dynamodb delete-item --table-name "$CONTACTS" \
    --key "{\"workspaceId\": {\"S\": \"$WORKSPACE\"}, \"emailKey\": {\"S\": \"henrik@acme-customer.de\"}}"
erase=$(page 'Erase a person' 1; page 'Erase a person' 2)
restore=$(page 'Restore items' 2)
cd "$work"
eval "$erase"
[ "$(wc -l <erased.txt)" = 1 ] || die "the list of the erased is: $(cat erased.txt)"
(aws() { false; } && eval "$restore") >failed 2>&1
grep -q '^[1-9][0-9]* failed' failed || die "a restore that failed said: $(cat failed)"
eval "$restore"
cd "$root"
eval "$(page 'Restore items' 3)" >/dev/null
if aws dynamodb describe-table --table-name "$RESTORED" >/dev/null 2>&1; then die "$RESTORED is still there"; fi
expect 200 post "$KEY" "$(contact 'Henrik Larsen')"
[ "$(jq --raw-output .id "$work/body")" = "$lost" ] || die "the restored contact isn't there"
expect 201 post "$KEY" "$(contact 'Jane Doe' jane@example.com)"

say "every optional parameter"
topic() { aws sns create-topic --name "$1" --query TopicArn --output text; }
at_once=$(topic at-once) in_the_morning=$(topic in-the-morning)
kms_key=$(aws kms create-key --query KeyMetadata.Arn --output text)
deploy "$work/good.json" --parameter-overrides Environment=prod GradualDeployment=false DeletionProtection=false TableUnitsPerSecond=50 \
    "AlarmTopicArn=$at_once" "MorningAlarmTopicArn=$in_the_morning" "TablesKmsKeyArn=$kms_key" Tracing=Active \
    DomainName=api.example.com "CertificateArn=arn:aws:acm:$AWS_REGION:000000000000:certificate/1" ApiMappingKey=crm/v1 \
    TruststoreUri=s3://ca/ca.pem DisableExecuteApiEndpoint=true
is() {
    local what=$1 expected=$2 found
    found=$("${@:3}")
    [ "$found" = "$expected" ] || die "$what: expected $expected, found $found"
}
is ContactsUrl https://api.example.com/crm/v1/api/contacts output ContactsUrl
is 'the mapping key' crm/v1 aws apigatewayv2 get-api-mappings --domain-name api.example.com --query 'Items[0].ApiMappingKey' --output text
is 'the trust store' s3://ca/ca.pem aws apigatewayv2 get-domain-name --domain-name api.example.com \
    --query MutualTlsAuthentication.TruststoreUri --output text
[ -n "$(output ApiDomainHostedZoneId)" ] || die "no hosted zone"
is 'tracing of the live version' Active aws lambda get-function-configuration --function-name "$FUNCTION:live" \
    --query TracingConfig.Mode --output text
is 'the key of the tables' "$kms_key" aws dynamodb describe-table --table-name "$CONTACTS" --query Table.SSEDescription.KMSMasterKeyArn --output text
is 'the role' 'create-contact key-of-the-tables tracing' \
    bash -c "aws iam list-role-policies --role-name '$role' --query PolicyNames --output json | jq -r 'sort | join(\" \")'"
is 'who is woken' "$at_once" topics_of GatewayErrorsAlarm
is 'who reads it in the morning' "$in_the_morning" topics_of RefusedKeysAlarm

say "who hears the alarms"
smoke 3 'NOBODY HEARS THE ALARMS'
# The AWS CLI has an address of its own for SQS.
sqs() { aws --endpoint-url "$AWS_ENDPOINT_URL" sqs "$@"; }
may_send='{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}]}'
queue=$(sqs create-queue --queue-name pager --query QueueUrl --output text \
    --attributes "$(jq -n --arg policy "$may_send" '{Policy: $policy}')")
queue_arn=$(sqs get-queue-attributes --queue-url "$queue" --attribute-names QueueArn --query Attributes.QueueArn --output text)
for topic in "$at_once" "$in_the_morning"; do
    aws sns subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$queue_arn" >/dev/null
done
smoke 0 "the metric requests isn't there yet" --drill
sqs receive-message --queue-url "$queue" --max-number-of-messages 10 --output json |
    jq --raw-output '.Messages[].Body | fromjson.Message | fromjson | [(.AlarmName | split("-")[3]), .NewStateValue] | join(" ")' |
    sort >"$work/heard"
diff - "$work/heard" <<'HEARD' || die "the drill wasn't heard as expected"
GatewayErrorsAlarm ALARM
GatewayErrorsAlarm OK
RefusedKeysAlarm ALARM
RefusedKeysAlarm OK
HEARD

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
aws cloudwatch put-metric-data --namespace "create-contact/$STACK" --metric-name requests --value 0
smoke 0 'the metric requests exists'

say "everything is deleted"
sam delete --stack-name "$STACK" --no-prompts >>"$work/sam.log" 2>&1
eval "$(page 'Take it down' 2)" >/dev/null
if aws dynamodb describe-table --table-name "$CONTACTS" >/dev/null 2>&1; then die "$CONTACTS is still there"; fi
echo "deployed, called, updated, rolled back, restored, taken over and deleted"
