#!/usr/bin/env python3
"""Compares the translated template with the contract, and runs its alarms on invented data.

    check_template.py TRANSLATED.json LOG_ENTRIES.jsonl

The first comes from translate_template.py, the second from `cargo test --test contract logs`. Prints every problem that it finds.
What would break a deployment, a response or a test isn't checked here: the tables' keys, the alias, the route.
"""

import json
import pathlib
import sys

template = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
entries = [json.loads(line) for line in pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()]
resources = template["Resources"]
problems = []


def check(holds, problem):
    if not holds:
        problems.append(problem)


def of_type(kind):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def listed(value):
    return value if isinstance(value, list) else [value]


def text(value):
    """A value of the template as Fn::Sub would have it."""
    if isinstance(value, list):
        return ", ".join(map(text, value))
    if not isinstance(value, dict):
        return str(value)
    ((function, argument),) = value.items()
    return argument if function == "Fn::Sub" else "${" + ".".join(listed(argument)) + "}"


def compare(expected, found, path):
    """Everything that is expected is there; a dictionary may have more."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            compare(value, found.get(name), f"{path}.{name}")
    else:
        check(expected == found, f"{path} is {found}, not {expected}")


# ---- Permissions: these and no others (contract, section 6).

PERMISSIONS = [
    "CreateContactRole: dynamodb:PutItem on ${ContactsTable.Arn}",
    "CreateContactRole: dynamodb:BatchGetItem, dynamodb:GetItem on ${ApiKeysTable.Arn}, ${WorkspacesTable.Arn}",
    "CreateContactRole: logs:CreateLogStream, logs:PutLogEvents on ${CreateContactLogs.Arn}",
    # Those that AWS's CDK grants to whoever reads and writes such a table (aws-cdk-lib, aws-dynamodb/lib/perms.ts).
    "CreateContactRole, HasTablesKmsKey: kms:Encrypt, kms:Decrypt, kms:ReEncrypt*, kms:GenerateDataKey*, kms:DescribeKey on "
    "${TablesKmsKeyArn} if StringEquals kms:ViaService dynamodb.${AWS::Region}.${AWS::URLSuffix}",
    "CreateContactRole, HasTracing: xray:PutTraceSegments, xray:PutTelemetryRecords on *",
    "DeploymentRole: lambda:GetAlias, lambda:GetProvisionedConcurrencyConfig, lambda:UpdateAlias on "
    "${CreateContactFunction.Arn}, ${CreateContactFunction.Arn}:live",
    "DeploymentRole: cloudwatch:DescribeAlarms on arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*",
]
permissions = []
for name, role in of_type("AWS::IAM::Role").items():
    check("ManagedPolicyArns" not in role, f"{name} has managed policies")
    for policy in role["Policies"]:
        condition, policy, otherwise = policy.get("Fn::If", (None, policy, {"Ref": "AWS::NoValue"}))
        check(otherwise == {"Ref": "AWS::NoValue"}, f"{name} has another policy without {condition}")
        for statement in policy["PolicyDocument"]["Statement"]:
            check(statement.pop("Effect") == "Allow", f"{name} denies something")
            permission = f"{name}, {condition}" if condition else name
            permission += f": {text(statement.pop('Action', '?'))} on {text(statement.pop('Resource', '?'))}"
            for test, operands in statement.pop("Condition", {}).items():
                permission += f" if {test} " + ", ".join(f"{key} {text(value)}" for key, value in operands.items())
            permissions.append(permission + "".join(statement))
for permission in set(PERMISSIONS) ^ set(permissions):
    check(False, f"{'missing' if permission in PERMISSIONS else 'unexpected'} permission: {permission}")
check(not any("Policy" in resource["Type"] for resource in resources.values()), "a policy is outside the roles")

# ---- Settings: what keeps data from being lost, costs from growing, and an operator from having no alarms, metrics or logs.


def trusted_by(service):
    boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
    trusted = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"PermissionsBoundary": boundary, "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trusted]}}


def metric_filter(log, **transformation):
    transformation = {"MetricNamespace": {"Fn::Sub": NAMESPACE}, "MetricValue": "1", "Unit": "Count", **transformation}
    return {"LogGroupName": {"Ref": log}, "MetricTransformations": [transformation]}


NAMESPACE = "create-contact/${AWS::StackName}"
units, days = {"Ref": "TableUnitsPerSecond"}, {"Ref": "RecoveryPeriodInDays"}
own_key = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "TablesKmsKeyArn"}}
endpoint = {"disableExecuteApiEndpoint": {"Ref": "DisableExecuteApiEndpoint"}}
throttling = {"ThrottlingRateLimit": {"Ref": "RequestsPerSecond"}, "ThrottlingBurstLimit": {"Ref": "RequestBurst"}}
steps = {"ConfigName": "Canary10Percent10Minutes"}
levels = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN"}
by_outcome = [{"Key": "Outcome", "Value": "$.outcome"}]
watched = "FaultsAlarm", "UnavailableAlarm", "NewVersionErrorsAlarm", "NewVersionLatencyAlarm"
TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "OnDemandThroughput": {"MaxReadRequestUnits": units, "MaxWriteRequestUnits": units},
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days},
    "SSESpecification": {"Fn::If": ["HasTablesKmsKey", own_key, {"SSEEnabled": True}]},
    "DeletionProtectionEnabled": {"Ref": "DeletionProtection"},
    "GlobalSecondaryIndexes": None,
}
PROPERTIES = {
    "ContactsTable": {**TABLE, "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}},
    "ApiKeysTable": {**TABLE, "TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": True}},
    "WorkspacesTable": TABLE,
    "CreateContactRole": trusted_by("lambda.amazonaws.com"),
    "DeploymentRole": trusted_by("codedeploy.amazonaws.com"),
    "CreateContactFunction": {
        "Architectures": ["arm64"],
        # The function answers within 6 seconds; API Gateway waits for 30.
        "Timeout": 10,
        "LoggingConfig": {**levels, "LogGroup": {"Ref": "CreateContactLogs"}},
    },
    "CreateContactLogs": {"RetentionInDays": {"Ref": "LogRetentionDays"}},
    "AccessLogs": {"RetentionInDays": {"Ref": "LogRetentionDays"}},
    "HttpApi": {"Body": {"servers": [{"x-amazon-apigateway-endpoint-configuration": endpoint}]}},
    "HttpApiApiGatewayDefaultStage": {
        "AccessLogSettings": {"DestinationArn": {"Fn::GetAtt": ["AccessLogs", "Arn"]}},
        "DefaultRouteSettings": throttling,
    },
    "CreateContactFunctionDeploymentGroup": {
        "DeploymentConfigName": {"Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", steps]},
        "ServiceRoleArn": {"Fn::GetAtt": ["DeploymentRole", "Arn"]},
        "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": {"Ref": name}} for name in watched]},
    },
    "RequestsMetric": metric_filter("CreateContactLogs", MetricName="requests", Dimensions=by_outcome),
    "ThrottledRequestsMetric": metric_filter("AccessLogs", MetricName="throttledByApiGateway"),
    # The name is one of the whole account.
    "Dashboard": {"DashboardName": {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}},
}
for name, properties in PROPERTIES.items():
    compare(properties, resources[name]["Properties"], name)
for name in of_type("AWS::DynamoDB::Table"):
    compare({"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}, resources[name], name)
for name, default in {"Environment": "prod", "DeletionProtection": "true", "Tracing": "PassThrough"}.items():
    compare({"Default": default}, template["Parameters"][name], name)
outcomes = {entry["outcome"] for entry in entries}
widget = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"][0]
shown = [row[-1] for row in widget["properties"]["metrics"]]
check(sorted(shown) == sorted(outcomes), f"the dashboard's outcomes aren't those of the log: {outcomes ^ set(shown)}")

# ---- Alarms: the metrics of each, and for series of data whether it is in ALARM at the end. A series has a tuple for each period, with
# the value of each metric, or None where there is no data.


def requests(outcome, period):
    check(outcome in outcomes, f"an alarm waits for {outcome}, which the function doesn't write")
    return f"{NAMESPACE} requests, Outcome={outcome}: Sum of {period}"


def of_lambda(metric, statistic, also=""):
    return f"AWS/Lambda {metric}, FunctionName=${{CreateContactFunction}}{also}: {statistic} of 60"


def of_new_version(metric, statistic):
    return of_lambda(metric, statistic, ", Resource=${CreateContactFunction}:live, ExecutedVersion=new")


def of_api(metric):
    return f"AWS/ApiGateway {metric}, ApiId=${{HttpApi}}: Sum of 300"


ANY = [([(0,)], False), ([(1,)], True), ([(1,), (0,)], False)]
# The p99, and the number of requests.
SLOW, FAST, FEW = (1001, 20), (1000, 20), (1001, 19)
LATENCY = [
    ([SLOW] * 3, True),
    ([SLOW, FAST, SLOW, None, SLOW], True),
    ([SLOW, SLOW, SLOW, FAST, FAST, FAST], False),
    ([SLOW, SLOW, FAST, FEW, None], False),
    ([FEW] * 5, False),
]
ALARMS = {
    "FaultsAlarm": ([requests("fault", 60)], ANY),
    "UnavailableAlarm": ([requests("unavailable", 300)], [([(4,), (4,)], False), ([(5,)], True), ([(5,), (0,)], False)]),
    "DatabaseThrottledAlarm": ([requests("throttled", 60)], ANY),
    "RefusedKeysAlarm": (
        [requests("unauthenticated", 300)],
        [([(100,)] * 2, False), ([(100,), (99,), (100,)], False), ([(100,)] * 3, True), ([(100,)] * 3 + [(99,)], False)],
    ),
    "FunctionErrorsAlarm": ([of_lambda("Errors", "Sum")], ANY),
    "FunctionThrottlesAlarm": ([of_lambda("Throttles", "Sum")], ANY),
    "NewVersionErrorsAlarm": ([of_new_version("Errors", "Sum")], ANY),
    "NearTimeoutAlarm": ([of_lambda("Duration", "Maximum")], [([(7999,)], False), ([(8000,)], True)]),
    # Five or more, and 1%.
    "GatewayErrorsAlarm": (
        [of_api("5xx"), of_api("Count")],
        [([(4, 4)], False), ([(5, 501)], False), ([(5, 500)], True), ([(5, 500), (0, 500)], False)],
    ),
    # 50 or more, and 5%, in two of three periods.
    "ThrottledRequestsAlarm": (
        [f"{NAMESPACE} throttledByApiGateway: Sum of 300", of_api("Count")],
        [([(49, 49)] * 3, False), ([(50, 1001)] * 3, False), ([(50, 1000)], False), ([(50, 1000), None, (50, 1000)], True)],
    ),
    "LatencyAlarm": ([of_lambda("Duration", "p99"), of_lambda("Duration", "SampleCount")], LATENCY),
    "NewVersionLatencyAlarm": ([of_new_version("Duration", "p99"), of_new_version("Duration", "SampleCount")], LATENCY),
}
BREACHES = {"GreaterThanOrEqualToThreshold": float.__ge__, "GreaterThanThreshold": float.__gt__}
MATH = {"IF": lambda condition, then, otherwise: then if condition else otherwise}
(version,) = of_type("AWS::Lambda::Version")
runbook = pathlib.Path("docs/operations/runbook.md").read_text(encoding="utf-8")


def described(statistic):
    metric = statistic["Metric"]
    dimensions = [f", {one['Name']}={text(one['Value'])}" for one in metric.get("Dimensions", [])]
    name = f"{text(metric['Namespace'])} {metric['MetricName']}{''.join(dimensions)}".replace("${" + version + ".Version}", "new")
    return f"{name}: {statistic['Stat']} of {statistic['Period']}"


def fires(alarm, expression, names, series):
    """By the rules of the Amazon CloudWatch User Guide, "Alarm evaluation". An alarm also looks at older data where newer is missing,
    but no series here depends on that."""
    threshold = alarm["Threshold"]
    threshold = float(template["Parameters"][threshold["Ref"]]["Default"] if isinstance(threshold, dict) else threshold)
    evaluated = alarm["EvaluationPeriods"]
    values = [float(eval(expression, MATH, dict(zip(names, one)))) for one in series[-evaluated:] if one is not None]
    breaching = [value for value in values if BREACHES[alarm["ComparisonOperator"]](value, threshold)]
    return len(breaching) >= alarm.get("DatapointsToAlarm", evaluated)


alarms = of_type("AWS::CloudWatch::Alarm")
check(set(alarms) == set(ALARMS), f"not in the template, or not here: {set(alarms) ^ set(ALARMS)}")
for name, (metrics, scenarios) in ALARMS.items():
    alarm = alarms[name]
    single = {"Metric": alarm, "Stat": alarm.get("Statistic"), "Period": alarm.get("Period")}
    queries = alarm.get("Metrics", [{"Expression": "metric"}, {"Id": "metric", "MetricStat": single}])
    statistics = {query["Id"]: query["MetricStat"] for query in queries if "MetricStat" in query}
    (expression,) = [query["Expression"] for query in queries if "Expression" in query]
    compare(metrics, [described(statistic) for statistic in statistics.values()], name)
    for series, expected in scenarios:
        check(fires(alarm, expression, statistics, series) == expected, f"{name} is {'not ' * expected}in ALARM after {series}")
    check(alarm["TreatMissingData"] == "notBreaching", f"{name} fires when nothing happens")
    check(f"docs/operations/runbook.md, {name}." in alarm["AlarmDescription"], f"{name} doesn't name the runbook")
    check(f"## {name}\n" in runbook, f"docs/operations/runbook.md doesn't tell what to do about {name}")
    # deploy_to_emulator.sh shows where these two send theirs.
    like = "GatewayErrorsAlarm" if name in ("GatewayErrorsAlarm", "ThrottledRequestsAlarm") else "RefusedKeysAlarm"
    check(alarm["AlarmActions"] == alarm["OKActions"] == alarms[like]["AlarmActions"], f"{name} doesn't tell all who are named")

if problems:
    sys.exit("\n".join(problems))
print(f"permissions, settings, {len(outcomes)} outcomes and {len(alarms)} alarms are as they should be")
