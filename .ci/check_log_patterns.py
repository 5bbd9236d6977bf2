#!/usr/bin/env python3
"""Runs the CloudWatch Logs filter patterns of the pages, of tools/smoke and of the template over log entries.

    check_log_patterns.py TRANSLATED.json REQUEST_LINES.jsonl

The first comes from translate_template.py. The second has what the real function wrote, from `cargo test --test contract logs`. The
emulator can't show that a pattern is right: it takes every JSON pattern as one that matches everything. check_template.py uses
`matches` for the metric filters.
"""

import json
import operator
import pathlib
import re
import sys

CONDITION = re.compile(r'\$\.([\w.]+) *(=|!=|>=|<=|>|<) *(?:"([^"]*)"|(-?\d+(?:\.\d+)?))')
COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def member(entry, path):
    for name in path.split("."):
        entry = entry.get(name) if isinstance(entry, dict) else None
    return entry


def holds(entry, path, compare, text, number):
    found = member(entry, path)
    if text is None:
        return isinstance(found, (int, float)) and COMPARE[compare](found, float(number))
    assert compare in ("=", "!="), f"text can't be compared with {compare}"
    # What `!=` does without the member isn't documented. No pattern here depends on it.
    assert compare == "=" or found is not None, f"{path} is compared with !=, but {entry} doesn't have it"
    equal = isinstance(found, str) and re.fullmatch(".*".join(map(re.escape, text.split("*"))), found, re.DOTALL)
    return bool(equal) == (compare == "=")


def matches(pattern, entry):
    """The part of the syntax that is used here (Amazon CloudWatch Logs User Guide, "Using filter patterns to match terms in
    JSON log events"): conditions joined by &&, with text in quotes, in which * is a wildcard, or with numbers."""
    inside = re.fullmatch(r"\{(.*)\}", pattern.strip())
    conditions = [CONDITION.fullmatch(one.strip()) for one in inside[1].split("&&")] if inside else [None]
    assert all(conditions), f"not a pattern that is known here: {pattern}"
    return all(holds(entry, *condition.groups()) for condition in conditions)


def access_entry(translated, **values):
    """An entry of the access log, in the template's format, with values of the usual length."""
    usual = {
        "requestId": "JKJaXmPLvHcESHA=",
        "httpMethod": "POST",
        "routeKey": "ANY /api/contacts",
        "status": "201",
        "responseLatency": "21",
        "integrationLatency": "19",
        "error.responseType": "-",
        "integrationErrorMessage": "-",
    }
    (stage,) = (one for one in translated["Resources"].values() if one["Type"] == "AWS::ApiGatewayV2::Stage")
    template = stage["Properties"]["AccessLogSettings"]["Format"].strip()
    return re.sub(r"\$context\.([\w.]+)", lambda name: {**usual, **values}[name[1]], template)


# The examples of the user guide that use this part of the syntax.
EVENT = {"eventType": "UpdateTrail", "sourceIPAddress": "123.123.1.1", "bandwidth": 80, "user": {"id": 1, "email": "a@x.com"}}
DOCUMENTED = {
    '{ $.eventType = "UpdateTrail" }': True,
    '{ $.eventType = "Trail" }': False,
    '{ $.eventType = "*Trail" }': True,
    '{ $.eventType != "UpdateTrail" }': False,
    '{ $.sourceIPAddress = "123.123.*" }': True,
    "{ $.bandwidth > 75 }": True,
    "{ $.bandwidth > 80 }": False,
    '{ $.user.id = 1 && $.user.email = "a@*" }': True,
    '{ $.user.id = 2 && $.user.email = "a@*" }': False,
    '{ $.nosuch = "*" }': False,
}


def lambda_entry(kind, status):
    return {"type": kind, "record": {"requestId": "0198c1a5", "status": status}}


def main(translated, lines):
    for pattern, expected in DOCUMENTED.items():
        assert matches(pattern, EVENT) == expected, pattern

    slow = {**lines[0], "durationMs": 6500.0, "apiRequestId": "slow="}
    # Lambda's own entries (Lambda Developer Guide, "Lambda Telemetry API Event schema reference").
    failures = [lambda_entry("platform.report", "timeout"), lambda_entry("platform.initReport", "error")]
    function = [*lines, slow, lambda_entry("platform.report", "success"), *failures]
    access = [json.loads(access_entry(translated))]
    access += [json.loads(access_entry(translated, status=one, requestId=f"{one}=")) for one in ("404", "429", "500", "503")]
    # For each pattern, the log and what it must find there. Its "…" and variables stand for the values of a real request.
    created = lines[0]
    values = {
        "key_…": created["keyId"],
        "$workspace": created["workspaceId"],
        "$api_request": access[0]["requestId"],
        "$ID": created["apiRequestId"],
    }
    expected = {
        '{ $.level = "ERROR" }': (function, lambda one: one.get("status", 0) >= 500),
        '{ $.type = "platform.report" && $.record.status != "success" }': (function, lambda one: one is failures[0]),
        '{ $.outcome = "*" }': (function, lambda one: "outcome" in one),
        '{ $.outcome = "invalid" }': (function, lambda one: one.get("status") == 400),
        "{ $.durationMs > 6000 }": (function, lambda one: one is slow),
        '{ $.keyId = "key_…" }': (function, lambda one: "keyId" in one),
        '{ $.workspaceId = "$workspace" }': (function, lambda one: one.get("workspaceId") == created["workspaceId"]),
        '{ $.status = "5*" }': (access, lambda one: int(one["status"]) >= 500),
        '{ $.requestId = "$api_request" }': (access, lambda one: one is access[0]),
        '{ $.requestId = "$ID" }': (access, lambda one: one is access[0]),
        '{ $.apiRequestId = "$ID" }': (function, lambda one: one.get("apiRequestId") == created["apiRequestId"]),
    }
    paths = [*pathlib.Path("docs/operations").glob("*.md"), pathlib.Path("tools/smoke")]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    used = {}
    for path, text in texts.items():
        # Line breaks inside inline code, and the shell's backslashes.
        for pattern in re.findall(r"\{ \$\.[^}]*\}", re.sub(r"\s+", " ", text.replace("\\", ""))):
            used.setdefault(pattern, path)
    problems = [f"{used[pattern]}: nothing says what {pattern} must find" for pattern in set(used) - set(expected)]
    problems += [f"nothing uses {pattern}" for pattern in set(expected) - set(used)]
    for pattern, (log, wanted) in expected.items():
        real = pattern
        for placeholder, value in values.items():
            real = real.replace(placeholder, value)
        found = [one for one in log if matches(real, one)]
        if not found or found != [one for one in log if wanted(one)]:
            problems.append(f"{pattern} finds {found}")

    # Logs Insights: nothing here runs its queries. At least the members that they name exist.
    queries = re.findall(r"--query-string '([^']*)'", "\n".join(texts.values()))
    words = set("filter ispresent stats count max by sort last asc desc fields limit".split())
    for query in queries:
        named = set(re.findall(r"[a-zA-Z]+", re.sub(r"\bas \w+|@\w+", "", query))) - words
        unknown = sorted(name for name in named if all(name not in line for line in lines))
        problems += [f"the query {query} names {name}, which no log entry has" for name in unknown]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(expected)} filter patterns find the entries that they are for, and {len(queries)} queries name members that exist")


if __name__ == "__main__":
    main(
        json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")),
        [json.loads(line) for line in pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()],
    )
