#!/usr/bin/env python3
"""Compares the translated template with the contract and with what the function really wrote.

    check_template.py TRANSLATED.json REQUEST_LINES.jsonl

The first comes from translate_template.py, the second from `cargo test --test contract logs`. Prints every problem that it finds.
check_alarms.py checks the alarms' thresholds and expressions. What would break a deployment, a response or a test isn't checked here:
the tables' keys, the alias, the route.
"""

import json
import pathlib
import re
import sys

from check_log_patterns import access_entry, matches

# The most that one created contact may write to the logs, in bytes: docs/operations/scale-and-cost.md counts with it.
LOG_LIMIT = 600

template = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
lines = [json.loads(line) for line in pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()]
resources = template["Resources"]
problems = []


def check(holds, problem):
    if not holds:
        problems.append(problem)


def of_type(kind):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def listed(value):
    return value if isinstance(value, list) else [value]


def arn(name):
    return {"Fn::GetAtt": [name, "Arn"]}


# Permissions: these statements and no others (contract, section 6). Each is an action list, the resources, and what it depends on: a
# condition of the template, and one of the statement.
PERMISSIONS = {
    "CreateContactRole": [
        ({"dynamodb:PutItem"}, [arn("ContactsTable")], None, None),
        ({"dynamodb:BatchGetItem", "dynamodb:GetItem"}, [arn("ApiKeysTable"), arn("WorkspacesTable")], None, None),
        ({"logs:CreateLogStream", "logs:PutLogEvents"}, [arn("CreateContactLogs")], None, None),
        # Those that AWS's CDK grants to whoever reads and writes such a table (aws-cdk-lib, aws-dynamodb/lib/perms.ts).
        (
            {"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"},
            [{"Ref": "TablesKmsKeyArn"}],
            "HasTablesKmsKey",
            {"StringEquals": {"kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}}},
        ),
        ({"xray:PutTraceSegments", "xray:PutTelemetryRecords"}, ["*"], "HasTracing", None),
    ],
    "DeploymentRole": [
        (
            {"lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"},
            [arn("CreateContactFunction"), {"Fn::Sub": "${CreateContactFunction.Arn}:live"}],
            None,
            None,
        ),
        (
            {"cloudwatch:DescribeAlarms"},
            [{"Fn::Sub": "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"}],
            None,
            None,
        ),
    ],
}
SERVICES = {"CreateContactRole": "lambda.amazonaws.com", "DeploymentRole": "codedeploy.amazonaws.com"}

roles = of_type("AWS::IAM::Role")
check(set(roles) == set(PERMISSIONS), f"the roles are {sorted(roles)}")
check(not of_type("AWS::IAM::Policy") and not of_type("AWS::IAM::ManagedPolicy"), "a policy is outside the roles")
for name, role in roles.items():
    check("ManagedPolicyArns" not in role, f"{name} has managed policies")
    check("PermissionsBoundaryArn" in json.dumps(role.get("PermissionsBoundary")), f"{name} has no boundary")
    trusted = [statement["Principal"] for statement in role["AssumeRolePolicyDocument"]["Statement"]]
    check(trusted == [{"Service": SERVICES.get(name)}], f"{name} is trusted to {trusted}")
    allowed = []
    for policy in role.get("Policies", []):
        condition, policy, otherwise = policy.get("Fn::If", (None, policy, {"Ref": "AWS::NoValue"}))
        check(otherwise == {"Ref": "AWS::NoValue"}, f"{name} has another policy without {condition}")
        for one in policy["PolicyDocument"]["Statement"]:
            check(one["Effect"] == "Allow" and "NotAction" not in one and "NotResource" not in one, f"{name}: {one}")
            allowed.append((set(listed(one["Action"])), listed(one["Resource"]), condition, one.get("Condition")))
    check(allowed == PERMISSIONS.get(name), f"{name} may {allowed}")
for name, permission in of_type("AWS::Lambda::Permission").items():
    check(permission["Principal"] == "apigateway.amazonaws.com", f"{name} lets {permission['Principal']} call")
    check("${__ApiId__}" in permission["SourceArn"]["Fn::Sub"][0], f"{name} lets any API call")

# Tables: everything that keeps data from being lost, and their cost from growing.
tables = of_type("AWS::DynamoDB::Table")
for name, table in tables.items():
    check(table["BillingMode"] == "PAY_PER_REQUEST", f"{name} is not billed on demand")
    check(len(table.get("OnDemandThroughput", {})) == 2, f"{name} has no ceiling")
    recovery = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": {"Ref": "RecoveryPeriodInDays"}}
    check(table.get("PointInTimeRecoverySpecification") == recovery, f"{name}: no recovery")
    own_key = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "TablesKmsKeyArn"}}
    encrypted = {"Fn::If": ["HasTablesKmsKey", own_key, {"SSEEnabled": True}]}
    check(table.get("SSESpecification") == encrypted, f"{name} is not encrypted")
    check(table.get("DeletionProtectionEnabled") == {"Ref": "DeletionProtection"}, f"{name} is not protected")
    check("GlobalSecondaryIndexes" not in table, f"{name} has an index")
    check(resources[name].get("DeletionPolicy") == "RetainExceptOnCreate", f"{name} is deleted with the stack")
    check(resources[name].get("UpdateReplacePolicy") == "Retain", f"{name} is deleted when it is replaced")
    stream = {"StreamViewType": "NEW_AND_OLD_IMAGES"} if name == "ContactsTable" else None
    check(table.get("StreamSpecification") == stream, f"{name} has the stream {table.get('StreamSpecification')}")
check(template["Parameters"]["DeletionProtection"]["Default"] == "true", "deletion protection is off by default")
ttl = tables["ApiKeysTable"].get("TimeToLiveSpecification")
check(ttl == {"AttributeName": "expiresAt", "Enabled": True}, f"ApiKeysTable has the TTL {ttl}")

# The function and its deployment.
function = resources["CreateContactFunction"]["Properties"]
check(8 < function["Timeout"] < 30, "Lambda or API Gateway gives up before the function does")
check(function["Architectures"] == ["arm64"], "the function is not on arm64")
check(function["LoggingConfig"]["LogFormat"] == "JSON", "the function's log is not JSON")
check(function["LoggingConfig"]["ApplicationLogLevel"] == "INFO", "the entries of requests would be dropped")
check(function["LoggingConfig"]["SystemLogLevel"] == "WARN", "each invocation writes START and REPORT")
check(function["LoggingConfig"]["LogGroup"] == {"Ref": "CreateContactLogs"}, "the function has another log group")
check(template["Parameters"]["Tracing"]["Default"] == "PassThrough", "the function is traced by default")
variables = {"CONTACTS_TABLE", "API_KEYS_TABLE", "WORKSPACES_TABLE", "GLIBC_TUNABLES"}
check(set(function["Environment"]["Variables"]) == variables, "variables")
for name, group in of_type("AWS::Logs::LogGroup").items():
    check("RetentionInDays" in group, f"{name} is kept for ever")
    check(group.get("LogGroupClass", "STANDARD") == "STANDARD", f"{name}: its class has no metric filters")
aliases = [resource for resource in resources.values() if resource["Type"] == "AWS::Lambda::Alias"]
check(all("CodeDeployLambdaAliasUpdate" in alias.get("UpdatePolicy", {}) for alias in aliases), "the alias moves at once")
(group,) = of_type("AWS::CodeDeploy::DeploymentGroup").values()
canary = group["DeploymentConfigName"]["Fn::Sub"][1]["ConfigName"]
check(canary.startswith("Canary"), f"the default deployment is {canary}")
check("DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"], "an alarm rolls nothing back")
check(group["ServiceRoleArn"] == arn("DeploymentRole"), "the deployment has another role")
rollback = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]

# The API.
integration = json.dumps(resources["HttpApi"]["Properties"]["Body"]["paths"])
check("${CreateContactFunctionAliaslive}" in integration, "the API doesn't call the alias")
(stage,) = of_type("AWS::ApiGatewayV2::Stage").values()
limits = {"ThrottlingRateLimit": {"Ref": "RequestsPerSecond"}, "ThrottlingBurstLimit": {"Ref": "RequestBurst"}}
check(stage["DefaultRouteSettings"].items() >= limits.items(), "the API is not throttled")
(server,) = resources["HttpApi"]["Properties"]["Body"].get("servers", [{}])
closed = {"disableExecuteApiEndpoint": {"Ref": "DisableExecuteApiEndpoint"}}
check(server.get("x-amazon-apigateway-endpoint-configuration") == closed, "the API's own endpoint can't be closed")
(tls,) = resources["ApiDomain"]["Properties"]["DomainNameConfigurations"]
check(tls["SecurityPolicy"] == "TLS_1_2", f"the domain name accepts {tls['SecurityPolicy']}")
check(stage["AccessLogSettings"]["DestinationArn"] == arn("AccessLogs"), "the access log goes elsewhere")
logged = set(re.findall(r"\$context\.([\w.]+)", stage["AccessLogSettings"]["Format"]))
check(not {name for name in logged if re.search("identity|path|authorizer|domain", name)}, f"the access log has {logged}")
json.loads(stage["AccessLogSettings"]["Format"])

# The metrics that the filters make from the lines that the function really wrote: (namespace, name, dimensions).

NAMESPACE = "create-contact/${AWS::StackName}"
access = [json.loads(access_entry(template, status=status)) for status in ("201", "400", "403", "429", "500")]
# For each filter, its log, the entries there, and those that it must count.
FILTERS = {
    "RequestsMetric": ("CreateContactLogs", lines, lines),
    "ThrottledRequestsMetric": ("AccessLogs", access, [access[3]]),
}
filters = of_type("AWS::Logs::MetricFilter")
check(set(filters) == set(FILTERS), f"the metric filters are {sorted(filters)}")
written = set()
for name, metric_filter in filters.items():
    log, entries, expected = FILTERS[name]
    check(metric_filter["LogGroupName"] == {"Ref": log}, f"{name} reads another log group")
    (transformation,) = metric_filter["MetricTransformations"]
    check(transformation["MetricNamespace"] == {"Fn::Sub": NAMESPACE}, f"{name}: two stacks would share their metrics")
    check(transformation["MetricValue"] == "1", f"{name} doesn't count")
    dimensions = {item["Key"]: item["Value"].removeprefix("$.") for item in transformation.get("Dimensions", [])}
    # Amazon CloudWatch Logs User Guide, "Creating metric filters": dimensions and a default value exclude each other.
    check(not dimensions or "DefaultValue" not in transformation, f"{name} has a default value beside its dimensions")
    counted = [entry for entry in entries if matches(metric_filter["FilterPattern"], entry)]
    check(counted == expected, f"{name} counts {counted}")
    for entry in counted:
        values = {key: entry.get(member) for key, member in dimensions.items()}
        written.add((transformation["MetricName"], *sorted(values.items())))

# What a created contact writes to the logs: the function's entry, and the access log's. Lambda writes nothing of its own about it
# (SystemLogLevel).
access_line = access_entry(template)
json.loads(access_line)
created = [line for line in lines if line["outcome"] == "created"]
function_bytes = [len(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()) for line in created]
log_bytes = max(function_bytes) + len(access_line)
check(log_bytes <= LOG_LIMIT, f"a created contact writes {log_bytes} bytes of logs, more than {LOG_LIMIT}")

# AWS's own metrics, which nothing on one machine writes. Names and dimensions are from the services' user guides.
OF_AWS = {
    "AWS/Lambda": (
        [{"FunctionName"}, {"FunctionName", "Resource", "ExecutedVersion"}],
        {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
    ),
    "AWS/ApiGateway": ([{"ApiId"}], {"Count", "4xx", "5xx", "Latency"}),
    "AWS/DynamoDB": (
        [{"TableName"}, {"TableName", "Operation"}],
        {
            "SuccessfulRequestLatency",
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadMaxOnDemandThroughputThrottleEvents",
            "ReadKeyRangeThroughputThrottleEvents",
            "ReadAccountLimitThrottleEvents",
            "WriteMaxOnDemandThroughputThrottleEvents",
            "WriteKeyRangeThroughputThrottleEvents",
            "WriteAccountLimitThrottleEvents",
        },
    ),
    "AWS/Logs": ([{"LogGroupName"}], {"IncomingBytes"}),
}
OF_THIS_STACK = {
    "FunctionName": [{"Ref": "CreateContactFunction"}, "${CreateContactFunction}"],
    "ApiId": [{"Ref": "HttpApi"}, "${HttpApi}"],
    "Resource": [{"Fn::Sub": "${CreateContactFunction}:live"}],
    "TableName": ["${ContactsTable}", "${ApiKeysTable}", "${WorkspacesTable}"],
    "LogGroupName": ["${CreateContactLogs}", "${AccessLogs}"],
}


def exists(namespace, name, dimensions):
    namespace = namespace["Fn::Sub"] if isinstance(namespace, dict) else namespace
    if any(value not in OF_THIS_STACK[key] for key, value in dimensions.items() if key in OF_THIS_STACK):
        return False
    if namespace in OF_AWS:
        names, metrics = OF_AWS[namespace]
        return set(dimensions) in names and name in metrics
    return namespace == NAMESPACE and (name, *sorted(dimensions.items())) in written


# Alarms.
version = {"Fn::GetAtt": [next(iter(of_type("AWS::Lambda::Version"))), "Version"]}
alarms = of_type("AWS::CloudWatch::Alarm")
nobody = {"Ref": "AWS::NoValue"}
of_the_caller = {"Fn::If": ["HasAlarmTopicArn", {"Ref": "AlarmTopicArn"}, nobody]}
of_the_stack = {"Fn::If": ["NeedsAlarmTopic", {"Ref": "AlarmTopic"}, nobody]}
at_once = [of_the_caller, of_the_stack]
in_the_morning = [
    {"Fn::If": ["HasMorningAlarmTopic", {"Ref": "MorningAlarmTopicArn"}, of_the_caller]},
    {"Fn::If": ["HasMorningAlarmTopic", nobody, of_the_stack]},
]
watching_a_version = set()
for name, alarm in alarms.items():
    metrics = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    for metric in metrics or [alarm]:
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}
        check(exists(metric["Namespace"], metric["MetricName"], dimensions), f"{name}: nobody writes its metric")
        # Amazon CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data".
        check(metric["Namespace"] != "AWS/DynamoDB", f"{name}: alarms on DynamoDB's metrics may keep their state without data")
        if "ExecutedVersion" in dimensions:
            check(dimensions["ExecutedVersion"] == version, f"{name} watches another version")
            watching_a_version.add(name)
    check(alarm["TreatMissingData"] == "notBreaching", f"{name} fires when nothing happens")
    check(f"docs/operations/runbook.md, {name}." in alarm["AlarmDescription"], f"{name} has no entry in the runbook")
    tells = at_once if name in ("GatewayErrorsAlarm", "ThrottledRequestsAlarm") else in_the_morning
    check(alarm["AlarmActions"] == tells and alarm["OKActions"] == tells, f"{name} doesn't tell all who are named")
check(watching_a_version == {"NewVersionErrorsAlarm", "NewVersionLatencyAlarm"}, f"a version has {watching_a_version}")
check(set(rollback) == watching_a_version | {"FaultsAlarm", "UnavailableAlarm"}, f"a deployment watches {rollback}")
runbook = pathlib.Path("docs/operations/runbook.md").read_text(encoding="utf-8")
for name in alarms:
    check(f"## {name}\n" in runbook, f"docs/operations/runbook.md doesn't tell what to do about {name}")
rule = template["Rules"]["InProductionSomebodyGetsTheAlarms"]
check(rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Environment"}, "prod"]}, "prod may have alarms for nobody")
check(template["Parameters"]["Environment"]["Default"] == "prod", "the rules for prod aren't the default")

# The dashboard: every metric of every widget; "." repeats the one above, "..." all of them up to the last.
shown = set()
for widget in json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]:
    previous = []
    for row in widget["properties"]["metrics"]:
        row = [part for part in row if not isinstance(part, dict)]
        if row[0] == "...":
            row = previous[: len(previous) - len(row) + 1] + row[1:]
        row = [previous[at] if part == "." else part for at, part in enumerate(row)]
        previous = row
        dimensions = dict(zip(row[2::2], row[3::2]))
        check(exists(row[0], row[1], dimensions), f"the dashboard shows {row}, which nobody writes")
        if row[0] == NAMESPACE:
            shown.add((row[1], *sorted(dimensions.items())))
check("${AWS::Region}" in json.dumps(resources["Dashboard"]["Properties"]["DashboardName"]), "regions share a dashboard")
check(shown == written, f"the dashboard lacks {written - shown}")

if problems:
    sys.exit("\n".join(problems))
print(f"{len(lines)} log entries are counted by {len(filters)} filters; {len(alarms)} alarms watch metrics that exist;")
print(f"the dashboard has our {len(shown)} metrics; a created contact writes {log_bytes} bytes of logs;")
print("permissions, tables, deployment and API are as the contract has them.")
