#!/usr/bin/env python3
"""Runs every alarm of the translated template on invented data: quiet ones, bursts, slow ones, a recovery.

    check_alarms.py TRANSLATED.json

The rules are CloudWatch's (Amazon CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat
missing data"): an alarm looks at more periods than it evaluates, takes the newest that have data, and treats the rest as
TreatMissingData says. It is evaluated every minute.
"""

import ast
import json
import math
import operator
import pathlib
import sys

# How many more periods than EvaluationPeriods an alarm looks at, as in the user guide's examples.
LOOKS_FURTHER = 2
MINUTES = 60


def percentile(values, share):
    """Of the sorted values the one at this share; CloudWatch interpolates, which no scenario here depends on."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def statistic(name, values):
    if not values:
        return None
    if name.startswith("p"):
        return percentile(values, float(name[1:]) / 100)
    return {"Sum": sum, "Maximum": max, "SampleCount": len}[name](values)


COMPARISONS = {ast.GtE: operator.ge, ast.Gt: operator.gt, ast.LtE: operator.le, ast.Lt: operator.lt}
ARITHMETIC = {ast.Mult: operator.mul, ast.Div: operator.truediv}


def value(node, known):
    """The part of CloudWatch's metric math that the template uses. None is "no data"."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = value(node.left, known), value(node.comparators[0], known)
        return None if left is None or right is None else COMPARISONS[type(node.ops[0])](left, right)
    if isinstance(node, ast.BinOp):
        left, right = value(node.left, known), value(node.right, known)
        return None if left is None or right is None else ARITHMETIC[type(node.op)](left, right)
    if isinstance(node, ast.Call) and node.func.id == "IF":
        condition, then, otherwise = (value(argument, known) for argument in node.args)
        return None if condition is None else then if condition else otherwise
    raise ValueError(f"{ast.unparse(node)} isn't metric math that is known here")


def number(threshold, parameters):
    return float(parameters[threshold["Ref"]]["Default"]) if isinstance(threshold, dict) else float(threshold)


def states(alarm, minutes, parameters):
    """Whether the alarm is in ALARM after each minute. `minutes` has, for each minute with data, the metric's samples, or those of
    each metric by its name."""
    queries = alarm.get("Metrics")
    if queries:
        (expression,) = (query["Expression"] for query in queries if "Expression" in query)
        metrics = {query["Id"]: query["MetricStat"]["Stat"] for query in queries if "MetricStat" in query}
        (period,) = {query["MetricStat"]["Period"] for query in queries if "MetricStat" in query}
    else:
        expression, metrics = "metric", {"metric": alarm.get("Statistic") or alarm["ExtendedStatistic"]}
        period = alarm["Period"]
    tree = ast.parse(expression, mode="eval").body
    data = {name: minutes.get(name, minutes) for name in metrics}
    breaches = {"GreaterThanOrEqualToThreshold": operator.ge, "GreaterThanThreshold": operator.gt}[
        alarm["ComparisonOperator"]
    ]
    threshold = number(alarm["Threshold"], parameters)
    evaluated = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm", evaluated)
    length = int(period) // 60

    def point(end):
        samples = {
            name: [sample for minute in range(end - length, end) for sample in data[name].get(minute, [])] for name in metrics
        }
        return value(tree, {name: statistic(stat, samples[name]) for name, stat in metrics.items()})

    def fires(now):
        points = [point(now - back * length) for back in range(evaluated + LOOKS_FURTHER)]
        real = [one for one in points if one is not None][:evaluated]
        # notBreaching: missing data adds no breach.
        return sum(breaches(one, threshold) for one in real) >= needed

    assert alarm["TreatMissingData"] == "notBreaching"
    return [fires(now) for now in range(1, MINUTES + 1)]


def every(minutes, samples):
    return dict.fromkeys(minutes, samples)


QUIET = {}
RARE = every(range(0, MINUTES, 10), [12])
BURST = {20: [15] * 3000}
STEADY = every(range(MINUTES), [12] * 100)
SLOW = {**STEADY, **every(range(20, 30), [12] * 90 + [3000] * 10)}
# A few requests a minute, all slow, as without an import.
FEW_AND_SLOW = every(range(MINUTES), [3000] * 3)
ONE_SLOW_MINUTE = {**STEADY, 20: [3000] * 100}
SLOW_NOW_AND_THEN = {**STEADY, **every([20, 23, 25], [3000] * 100)}
SLOW_THEN_NOTHING = every(range(20, 30), [3000] * 100)


def counts(threshold, minutes=1):
    """What an alarm that fires at `threshold` events in `minutes` must do, with or without zeros in between."""
    zeros = every(range(MINUTES), [0])
    below = [1] * (threshold - 1) or [0]
    return [
        (QUIET, None),
        (zeros, None),
        ({20: below}, None),
        # Again and again: more than the threshold in all, never within the period.
        (every(range(0, MINUTES, 2 * minutes), below), None),
        ({20: [1] * threshold}, (20, 30 + 2 * minutes)),
        # Spread over the period.
        (every(range(20, 20 + minutes), [1] * (threshold // minutes)), (19 + minutes, 30 + 3 * minutes)),
        ({**zeros, 20: [1] * threshold}, (20, 20 + 2 * minutes)),
        (every(range(20, 30), [1] * threshold), (20, 40 + 2 * minutes)),
    ]


def share(name, few, many):
    """What must not set off an alarm on a share of the requests: a few although they are all, and many although they are few."""
    return [
        (QUIET, None),
        ({"requests": every(range(0, MINUTES, 5), [1] * few), name: every(range(0, MINUTES, 5), [1] * few)}, None),
        (incident(name, [1] * (many // 5), requests=10000, minutes=range(MINUTES)), None),
    ]


def incident(name, samples, requests=100, minutes=range(20, 40)):
    return {"requests": every(range(MINUTES), [1] * requests), name: every(minutes, samples)}


LATENCY = [
    (QUIET, None),
    (RARE, None),
    (BURST, None),
    (STEADY, None),
    (FEW_AND_SLOW, None),
    (ONE_SLOW_MINUTE, None),
    (SLOW_NOW_AND_THEN, None),
    (SLOW, (22, 34)),
    (SLOW_THEN_NOTHING, (22, 38)),
]
# For each alarm: the data, and the minute in which it must enter ALARM with the last in which it may still be there; None means never.
SCENARIOS = {
    "FaultsAlarm": counts(1),
    "UnavailableAlarm": counts(5, 5),
    "DatabaseThrottledAlarm": counts(1),
    "RefusedKeysAlarm": [
        (QUIET, None),
        # A hundred at night, once, and a hundred in each of two periods.
        ({20: [1] * 100}, None),
        ({20: [1] * 100, 25: [1] * 100}, None),
        (every(range(MINUTES), [1] * 19), None),
        (every(range(20, 40), [1] * 20), (34, 52)),
    ],
    "FunctionErrorsAlarm": counts(1),
    "FunctionThrottlesAlarm": counts(1),
    "GatewayErrorsAlarm": [
        *share("errors", 4, 25),
        (incident("errors", [1], minutes=[20]), None),
        (incident("errors", [1] * 5, minutes=[20]), (20, 34)),
        (incident("errors", [1] * 100), (20, 54)),
        # The only five requests of an hour. Without data, an alarm keeps what it saw.
        ({"requests": {20: [1] * 5}, "errors": {20: [1] * 5}}, (20, 36)),
    ],
    "ThrottledRequestsAlarm": [
        *share("throttled", 49, 100),
        # A burst.
        (incident("throttled", [1] * 400, requests=3000, minutes=[20, 21]), None),
        (incident("throttled", [1] * 400, requests=3000), (26, 58)),
        # 50 in five minutes, and 5%.
        (incident("throttled", [1] * 10, requests=200), (29, 55)),
        # One importer at the limit all the time.
        (incident("throttled", [1] * 200, requests=3000, minutes=range(20, MINUTES)), (28, MINUTES)),
    ],
    "NewVersionErrorsAlarm": counts(1),
    "LatencyAlarm": LATENCY,
    "NewVersionLatencyAlarm": LATENCY,
    "NearTimeoutAlarm": [
        (QUIET, None),
        (BURST, None),
        (SLOW, None),
        ({**STEADY, 20: [12] * 99 + [8100]}, (20, 22)),
        ({20: [8100]}, (20, 24)),
    ],
}

template = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
alarms = {
    name: resource["Properties"]
    for name, resource in template["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
problems = []
if set(alarms) != set(SCENARIOS):
    problems.append(f"alarms without scenarios, or scenarios without alarms: {sorted(set(alarms) ^ set(SCENARIOS))}")
tried = 0
for name in sorted(set(alarms) & set(SCENARIOS)):
    for number_of_scenario, (minutes, expected) in enumerate(SCENARIOS[name], 1):
        tried += 1
        in_alarm = [at for at, fires in enumerate(states(alarms[name], minutes, template["Parameters"])) if fires]
        if expected is None:
            right = not in_alarm
        else:
            right = in_alarm and in_alarm[0] == expected[0] and in_alarm[-1] <= expected[1]
        if not right:
            problems.append(f"{name}, scenario {number_of_scenario}: in ALARM after minutes {in_alarm}, expected {expected}")
if problems:
    sys.exit("\n".join(problems))
print(f"{len(alarms)} alarms fire when they should, not otherwise, and recover, in {tried} scenarios")
