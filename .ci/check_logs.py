#!/usr/bin/env python3
"""Checks what operators find in the logs, and that nothing there is more than it should be.

    check_logs.py TRANSLATED.json LOG_ENTRIES.jsonl

The first comes from translate_template.py, the second from `cargo test --test contract logs`. Runs the CloudWatch Logs filter patterns
of the pages, of tools/smoke and of the template over entries: the emulator can't show that a pattern is right, because it takes each
as one that matches everything.
"""

import fnmatch
import json
import operator
import pathlib
import re
import sys

# The most that one created contact may write to the logs, in bytes: docs/operations/scale-and-cost.md counts with it.
LOG_LIMIT = 600

template, entries = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:])
lines = [json.loads(line) for line in entries.splitlines()]
access_format = json.loads(template)["Resources"]["HttpApiApiGatewayDefaultStage"]["Properties"]["AccessLogSettings"]["Format"]
CONDITION = re.compile(r'\$\.([\w.]+) (=|!=|>) (?:"([^"]*)"|(\d+))')
COMPARE = {"=": fnmatch.fnmatchcase, "!=": lambda found, pattern: not fnmatch.fnmatchcase(found, pattern), ">": operator.gt}


def holds(entry, path, compare, text, number):
    for name in path.split("."):
        entry = entry.get(name) if isinstance(entry, dict) else None
    expected = text if number is None else int(number)
    return isinstance(entry, (int, float) if number else str) and COMPARE[compare](entry, expected)


def matches(pattern, entry):
    """The part of the syntax that is used here (Amazon CloudWatch Logs User Guide, "Using filter patterns to match terms in
    JSON log events"): conditions joined by &&, with text in quotes, in which * is a wildcard, or with numbers."""
    return all(holds(entry, *CONDITION.fullmatch(one).groups()) for one in pattern[2:-2].split(" && "))


def access_entry(status, request):
    """An entry of the access log, with values of the usual length."""
    values = {"requestId": request, "httpMethod": "POST", "routeKey": "ANY /api/contacts", "status": status}
    return re.sub(r"\$context\.([\w.]+)", lambda name: values.get(name[1], "19"), access_format.strip())


def of_lambda(kind, status):
    """One of Lambda's own entries (Lambda Developer Guide, "Lambda Telemetry API Event schema reference")."""
    return {"type": kind, "record": {"requestId": "0198c1a5", "status": status}}


created = lines[0]
# One that waited for the database until the function gave up, and one that hung.
waited, slow = ({**created, "durationMs": milliseconds, "apiRequestId": "slow="} for milliseconds in (6010.5, 7500.5))
timeout = of_lambda("platform.report", "timeout")
function = [*lines, waited, slow, of_lambda("platform.report", "success"), timeout, of_lambda("platform.initReport", "error")]
access_201 = access_entry("201", created["apiRequestId"])
access = [json.loads(access_201), *(json.loads(access_entry(status, f"{status}=")) for status in ("404", "429", "500", "503"))]
# What the pages' variables and "…" stand for.
VALUES = {
    "key_…": created["keyId"],
    "$workspace": created["workspaceId"],
    "$api_request": created["apiRequestId"],
    "$ID": created["apiRequestId"],
}
# For each pattern, the log, and which of its entries it must find.
EXPECTED = {
    '{ $.level = "ERROR" }': (function, lambda one: one.get("status", 0) >= 500),
    '{ $.type = "platform.report" && $.record.status != "success" }': (function, lambda one: one is timeout),
    '{ $.outcome = "*" }': (function, lambda one: "outcome" in one),
    '{ $.outcome = "invalid" }': (function, lambda one: one.get("status") == 400),
    "{ $.durationMs > 7000 }": (function, lambda one: one is slow),
    '{ $.keyId = "key_…" }': (function, lambda one: "keyId" in one),
    '{ $.workspaceId = "$workspace" }': (function, lambda one: one.get("workspaceId") == created["workspaceId"]),
    '{ $.apiRequestId = "$ID" }': (function, lambda one: one.get("apiRequestId") == created["apiRequestId"]),
    '{ $.requestId = "$ID" }': (access, lambda one: one is access[0]),
    '{ $.status = "5*" }': (access, lambda one: int(one["status"]) >= 500),
    '{ $.status = "429" }': (access, lambda one: one["status"] == "429"),
    '{ $.requestId = "$api_request" }': (access, lambda one: one is access[0]),
}
problems = []
paths = [*pathlib.Path("docs/operations").glob("*.md"), pathlib.Path("tools/smoke"), pathlib.Path("template.yaml")]
# Line breaks inside inline code, and the shell's backslashes.
pages = re.sub(r"\s+", " ", " ".join(path.read_text(encoding="utf-8") for path in paths).replace("\\", ""))
used = set(re.findall(r"\{ \$\.[^}]*\}", pages))
problems += [f"a page and EXPECTED differ: {pattern}" for pattern in used ^ set(EXPECTED)]
for pattern, (log, wanted) in EXPECTED.items():
    real = pattern
    for placeholder, value in VALUES.items():
        real = real.replace(placeholder, value)
    found = [one for one in log if matches(real, one)]
    if not found or found != [one for one in log if wanted(one)]:
        problems.append(f"{pattern} finds {found}")
# Nothing here runs the queries of Logs Insights. At least the members that they group by exist.
for names in re.findall(r"--query-string '[^']* by ([\w, ]+) \|", pages):
    problems += [f"a query groups by {name}, which no entry has" for name in names.split(", ") if name not in created]
# The access log has no address, user agent or path: a path holds whatever somebody typed.
problems += re.findall(r"\$context\.(?:identity|path|authorizer|domain)\S*", access_format)
# Lambda writes nothing of its own about a created contact (SystemLogLevel).
size = max(len(line) for line in entries.splitlines() if '"outcome":"created"' in line) + len(access_201)
if size > LOG_LIMIT:
    problems.append(f"a created contact writes {size} bytes of logs, more than {LOG_LIMIT}")
if problems:
    sys.exit("\n".join(problems))
print(f"{len(EXPECTED)} filter patterns find the entries that they are for; a created contact writes {size} bytes of logs")
