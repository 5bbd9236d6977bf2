#!/usr/bin/env bash
# Deploys the service and operates it as docs/operations says, where possible with the pages' own commands, on ministack: an emulator
# of AWS that supports CloudFormation, enforces IAM and runs the function. The release build runs, whatever architecture the template
# names. Everything listens on 127.0.0.1 and ends with this script.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
. .ci/tools.sh
work=$(mktemp -d)
touch "$work/sam.log" "$work/output"

end() {
    [ $? = 0 ] || tail -n 5 "$work/sam.log" "$work/output" >&2 || true
    kill "$(jobs -p)" || true
    rm -rf "$work"
}
trap end EXIT
say() { printf '\n-- %s\n' "$*"; }
die() {
    echo "deploy_to_emulator.sh: $*" >&2
    exit 1
}
same() { [ "$1" = "$2" ] || die "expected $1, found $2"; }
# Runs a command. It ends with this exit code, and its last line has this text.
says() {
    local code=0 last
    "${@:3}" >"$work/output" 2>&1 || code=$?
    last=$(tail -n 1 "$work/output")
    echo "$last"
    [[ $code = "$1" && $last = *"$2"* ]] || die "that ended with $code instead of $1, or didn't say: $2"
}

# ---- Tools, builds, the emulator

# Each in an environment of its own, because they want different versions of botocore. The SAM translator lets ministack create the
# bucket of `resolve_s3`, which is a SAM template of its own.
python_tools ministack ministack==1.5.33 aws-sam-translator==1.109.0
python_tools awscli awscli
sam_tools
type jq openssl curl >/dev/null 2>&1 || { apt-get update -q && apt-get install -q --yes jq openssl curl; }
cargo build --locked --quiet --release
cargo build --locked --quiet --package tools --bin keys
mkdir "$work/code"
cp "$target/release/create-contact" "$work/code/bootstrap"

# The credentials that `keys` uses for any endpoint on this machine.
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1
export SAM_CLI_TELEMETRY=0 AWS_PAGER='' NO_PROXY=127.0.0.1
# The emulator passes its own environment to the function.
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_DYNAMODB CONTACTS_TABLE API_KEYS_TABLE WORKSPACES_TABLE
port=$(free_port)
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
BIND_HOST=127.0.0.1 GATEWAY_PORT=$port AUTH=true MINISTACK_REGION=$AWS_REGION ministack >"$work/ministack.log" 2>&1 &
await "$AWS_ENDPOINT_URL/_ministack/health"

# Writes the template on standard input in the form that ministack accepts: for_the_emulator CODE FILE
for_the_emulator() { python "$root/.ci/translate_template.py" --emulator "$1" GradualDeployment=false >"$2"; }
# What the page calls `sam deploy --config-env dev`.
deploy() {
    sam deploy --config-env dev --config-file "$root/samconfig.toml" --template-file "$1" --no-progressbar "${@:2}" \
        >>"$work/sam.log" 2>&1
}
physical() {
    aws cloudformation describe-stack-resource --stack-name "$STACK" --logical-resource-id "$1" \
        --query StackResourceDetail.PhysicalResourceId --output text
}
use_stack() {
    STACK=create-contact-dev
    eval "$(page 'The names of your stack')"
    API=$(physical HttpApi)
    export API_KEYS_TABLE WORKSPACES_TABLE CONTACTS_URL=$AWS_ENDPOINT_URL/_aws/execute-api/$API/\$default/api/contacts
}
# Creates a contact with the page's command, whose first line asks for the URL. It gets this status; another person is optional.
contact() {
    local command URL=$CONTACTS_URL
    command=$(page 'First key, first contact' 2 | sed "1d; s/Henrik Larsen/${2:-&}/; s/henrik@acme-customer.de/${3:-&}/")
    eval "$command" >"$work/output" 2>/dev/null
    grep --quiet "^HTTP/.* $1 " "$work/output" || die "a contact got no $1"
}
smoke() { says "$1" "$2" tools/smoke "${@:3}" "$STACK"; }
# The emulator's gateway doesn't check the permission to invoke the function, so the permission is read instead.
gateway_may_invoke() {
    aws lambda get-policy --function-name "$FUNCTION" --qualifier live --query Policy --output text 2>/dev/null |
        jq --exit-status --arg api ":$API/" '.Statement | any(.Effect == "Allow"
            and .Action == "lambda:InvokeFunction" and .Principal.Service == "apigateway.amazonaws.com"
            and (.Condition.ArnLike["AWS:SourceArn"] | contains($api)))' >/dev/null
}
configuration() { aws lambda get-function-configuration --function-name "$FUNCTION:$1" --query "$2" --output text; }
live_version() { aws lambda get-alias --function-name "$FUNCTION" --name live --query FunctionVersion --output text; }
topic_of() { aws cloudwatch describe-alarms --alarm-names "$(physical "$1")" --query 'MetricAlarms[0].AlarmActions' --output text; }

# ---- The pages, step by step

say "parameters that would leave somebody without alarms, or callers without an endpoint"
for_the_emulator "$work/code" "$work/template.json" <template.yaml
refused() {
    if deploy "$work/template.json" --parameter-overrides "${@:2}"; then die "${*:2} was accepted"; fi
    grep --quiet "$1" "$work/sam.log" || die "${*:2} was refused for another reason"
}
refused 'AlarmEmail or AlarmTopicArn' Environment=prod
refused 'in CertificateArn' Environment=dev DomainName=api.example.com
refused 'DisableExecuteApiEndpoint turns off' Environment=dev DisableExecuteApiEndpoint=true
refused 'clients without a certificate' Environment=dev DomainName=api.example.com CertificateArn=arn TruststoreUri=s3://ca/ca.pem

say "the first deployment, workspace, key and contact"
deploy "$work/template.json"
use_stack
smoke 0 'live is version 1;'
same "$(output AlarmTopic)" "$(topic_of GatewayErrorsAlarm)"
gateway_may_invoke || die "API Gateway may not invoke the function"
eval "$(page 'First key, first contact' | sed 's/cargo run .* --bin keys --/"$target\/debug\/keys"/')"
contact 201
contact 200
contact 409 'Hanne Larsen'
same 405 "$(curl --silent --output "$work/output" --write-out '%{http_code}' --request PUT "$CONTACTS_URL")"
same '{"message":"Not Found"}' "$(curl --silent "${CONTACTS_URL%contacts}elsewhere" | jq -c .)"

say "what a leaked key did, and the runbook's queries (check_logs.py says what they find)"
leaked=$(page 'A key has leaked' | sed "s/…/$WORKSPACE/; s/2026-02-10T14:00/2000/; s/2026-02-10T15:00/3000/")
same henrik@acme-customer.de "$(eval "$leaked" | jq --raw-output '.Items[].emailKey.S')"
eval "$(page 'Read the logs')" | grep '"outcome"' >"$work/output"

say "the policy for whoever runs keys"
(cd "$work" && eval "$(cd "$root" && page 'Who may run it')")
aws iam create-user --user-name keys >/dev/null
aws iam put-user-policy --user-name keys --policy-name keys --policy-document "file://$work/keys-policy.json"
read -r id secret < <(aws iam create-access-key --user-name keys --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text)
as_the_user() { AWS_ACCESS_KEY_ID=$id AWS_SECRET_ACCESS_KEY=$secret aws "$@" >"$work/output" 2>&1; }
# `keys` itself has fixed credentials for an endpoint on this machine, so these are its calls.
probe='{"keyHash": {"S": "probe"}}'
as_the_user dynamodb put-item --table-name "$API_KEYS_TABLE" --item "$probe"
as_the_user dynamodb scan --table-name "$API_KEYS_TABLE"
as_the_user dynamodb get-item --table-name "$API_KEYS_TABLE" --key "$probe"
as_the_user dynamodb delete-item --table-name "$API_KEYS_TABLE" --key "$probe"
as_the_user dynamodb get-item --table-name "$WORKSPACES_TABLE" --key "{\"workspaceId\": {\"S\": \"$WORKSPACE\"}}"
as_the_user cloudformation describe-stacks --stack-name "$STACK"
if as_the_user dynamodb scan --table-name "$CONTACTS"; then die "whoever runs keys can read contacts"; fi
grep --quiet AccessDenied "$work/output"

say "the smoke test notices what is broken"
role=$(physical CreateContactRole)
policy=$(aws iam get-role-policy --role-name "$role" --policy-name create-contact --query PolicyDocument --output json)
put_policy() { aws iam put-role-policy --role-name "$role" --policy-name create-contact --policy-document "$1"; }
while IFS='|' read -r response edit; do
    put_policy "$(jq "$edit" <<<"$policy")"
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
put_route() { aws apigatewayv2 update-route --api-id "$API" --route-id "$route" --route-key "ANY /api/$1" >/dev/null; }
put_route elsewhere
smoke 1 'the API responds with 404'
put_route contacts
alarm() { aws cloudwatch set-alarm-state --alarm-name "$(physical FaultsAlarm)" --state-value "$1" --state-reason test; }
alarm ALARM
smoke 3 'ALARMS ARE FIRING: create-contact-dev-FaultsAlarm'
alarm OK
statement=$(aws lambda get-policy --function-name "$FUNCTION" --qualifier live --query Policy --output text | jq --raw-output '.Statement[0].Sid')
aws lambda remove-permission --function-name "$FUNCTION" --qualifier live --statement-id "$statement"
if gateway_may_invoke; then die "the missing permission wasn't noticed"; fi
eval "$(page GatewayErrorsAlarm | sed "s/REGION:ACCOUNT:API_ID/$AWS_REGION:000000000000:$API/")" >/dev/null
gateway_may_invoke || die "the page's command doesn't give the permission back"

say "an update: other code, out of a bootstrap.zip, and a setting"
cd "$work"
before=$(live_version)
{ cat code/bootstrap; echo; } >bootstrap
chmod +x bootstrap
python -m zipfile -c bootstrap.zip bootstrap
ln -s "$root/template.yaml" .
eval "$(cd "$root" && page 'Without Rust' | sed '/^sam deploy/d')"
grep --quiet 'CodeUri: bootstrap.zip' template-zip.yaml
sed 's/Timeout: 10/Timeout: 11/' template-zip.yaml | for_the_emulator "$work/bootstrap.zip" update.json
deploy update.json
cd "$root"
updated=$(live_version)
[ "$updated" -gt "$before" ] || die "the new code isn't live"
same 11 "$(configuration live Timeout)"

say "the fast way back: the alias, then the same code again"
commands=$(page 'Roll back')
says 0 "$STACK works: live is version $before, newest is version $updated with 0% of the traffic" eval "${commands//create-contact/$STACK}"
grep "^live is version $before, .*; before it was version $updated, " "$work/output"
same "$before" "$(live_version)"
contact 200
says 1 'nothing was changed: there is no version 99' tools/rollback "$STACK" 99
says 1 'nothing was changed: there is no version before' tools/rollback "$STACK"
# The emulator hands out the newest code, whichever version is asked for. So the old code comes from here.
commands=$(page 'Roll back' 2 | sed '/^sam deploy/d')
(cd "$work" && rm bootstrap.zip && eval "$commands" 2>/dev/null)
python -m zipfile -l "$work/bootstrap.zip" | grep --quiet bootstrap
deploy "$work/template.json"
[ "$(live_version)" -gt "$updated" ] || die "the deployment after a rollback isn't live"
same "$(configuration "$before" CodeSha256)" "$(configuration live CodeSha256)"

say "a newest version that can't start: without traffic, with some of it, with all of it"
good=$(live_version)
variables=$(aws lambda get-function-configuration --function-name "$FUNCTION" --query Environment --output json)
configure() { aws lambda update-function-configuration --function-name "$FUNCTION" --environment "$1" >/dev/null; }
move_alias() { aws lambda update-alias --function-name "$FUNCTION" --name live "$@" >/dev/null; }
configure "$(jq 'del(.Variables.CONTACTS_TABLE)' <<<"$variables")"
broken=$(aws lambda publish-version --function-name "$FUNCTION" --query Version --output text)
smoke 4 "the NEWEST VERSION DOESN'T: version $broken responds with"
move_alias --routing-config "AdditionalVersionWeights={$broken=0.1}"
says 1 'nothing was changed: a gradual deployment is in progress' tools/rollback "$STACK"
smoke 1 "newest is version $broken with 10% of the traffic"
move_alias --function-version "$broken" --routing-config 'AdditionalVersionWeights={}'
smoke 1 'the API responds with 5'
says 0 "live is version $good, " tools/rollback "$STACK"
configure "$variables"
aws lambda delete-function --function-name "$FUNCTION" --qualifier "$broken" >/dev/null
smoke 0 "live is version $good;"

say "items are restored, but not who was erased since"
contact 200
lost=$(tail -n 1 "$work/output" | jq --raw-output .id)
contact 201 'Jane Doe' jane@example.com
# The page's point in time is before this table existed.
eval "$(page 'Restore items' | sed 's/--restore-date-time [^ ]*/--use-latest-restorable-time/')" >/dev/null
aws dynamodb delete-item --table-name "$CONTACTS" \
    --key "{\"workspaceId\": {\"S\": \"$WORKSPACE\"}, \"emailKey\": {\"S\": \"henrik@acme-customer.de\"}}"
erase=$(page 'Erase a person'; page 'Erase a person' 2)
restore=$(page 'Restore items' 2)
cd "$work"
eval "$erase"
same 1 "$(wc -l <erased.txt)"
(aws() { false; } && eval "$restore") 2>/dev/null | grep '^[1-9][0-9]* failed'
eval "$restore"
cd "$root"
eval "$(page 'Restore items' 3)" >/dev/null
if aws dynamodb describe-table --table-name "$RESTORED" >/dev/null 2>&1; then die "$RESTORED is still there"; fi
contact 200
same "$lost" "$(tail -n 1 "$work/output" | jq --raw-output .id)"
contact 201 'Jane Doe' jane@example.com

say "every optional parameter, and who gets the alarms"
topic() { aws sns create-topic --name "$1" --query TopicArn --output text; }
at_once=$(topic at-once) in_the_morning=$(topic in-the-morning)
deploy "$work/template.json" --parameter-overrides Environment=prod GradualDeployment=false DeletionProtection=false \
    TableUnitsPerSecond=50 "AlarmTopicArn=$at_once" "MorningAlarmTopicArn=$in_the_morning" Tracing=Active \
    "TablesKmsKeyArn=$(aws kms create-key --query KeyMetadata.Arn --output text)" DomainName=api.example.com \
    "CertificateArn=arn:aws:acm:$AWS_REGION:000000000000:certificate/1" ApiMappingKey=crm/v1 \
    TruststoreUri=s3://ca/ca.pem DisableExecuteApiEndpoint=true
same https://api.example.com/crm/v1/api/contacts "$(output ContactsUrl)"
same "$at_once" "$(topic_of GatewayErrorsAlarm)"
same "$in_the_morning" "$(topic_of RefusedKeysAlarm)"
smoke 3 'NOBODY IS SUBSCRIBED TO THE ALARMS'
# The AWS CLI has an address of its own for SQS.
sqs() { aws --endpoint-url "$AWS_ENDPOINT_URL" sqs "$@" --output text; }
may_send='{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}]}'
queue=$(sqs create-queue --queue-name pager --query QueueUrl --attributes "$(jq -n --arg policy "$may_send" '{Policy: $policy}')")
queue_arn=$(sqs get-queue-attributes --queue-url "$queue" --attribute-names QueueArn --query Attributes.QueueArn)
for topic in "$at_once" "$in_the_morning"; do
    aws sns subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$queue_arn" >/dev/null
done
smoke 0 "the metric requests isn't there yet" --drill
heard=$(sqs receive-message --queue-url "$queue" --max-number-of-messages 10 --query 'Messages[].[Body]' |
    jq --raw-output '.Message | fromjson | "\(.AlarmName | split("-")[3]) \(.NewStateValue)"' | sort | paste --serial --delimiters ,)
same 'GatewayErrorsAlarm ALARM,GatewayErrorsAlarm OK,RefusedKeysAlarm ALARM,RefusedKeysAlarm OK' "$heard"

say "the stack is taken down, the data stays, a new stack takes it over"
sam delete --stack-name "$STACK" --no-prompts >>"$work/sam.log" 2>&1
old=$CONTACTS
commands=$(page 'Data that a stack left behind')
(cd "$work" && eval "$commands") >/dev/null
deploy "$work/template.json"
use_stack
same "$old" "$CONTACTS"
contact 200
aws cloudwatch put-metric-data --namespace "create-contact/$STACK" --metric-name requests --value 0
smoke 0 'the metric requests exists'

say "everything is deleted"
sam delete --stack-name "$STACK" --no-prompts >>"$work/sam.log" 2>&1
eval "$(page 'Take it down' 2)" >/dev/null
if aws dynamodb describe-table --table-name "$CONTACTS" >/dev/null 2>&1; then die "$CONTACTS is still there"; fi
echo "deployed, called, updated, rolled back, restored, taken over and deleted"
