#!/usr/bin/env python3
"""Invokes a function with every event of `events/` and compares each response with the one beside it.

    replay_events.py FUNCTION CONTACTS_TABLE

boto3 finds Lambda and DynamoDB as it always does: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL_DYNAMODB.
The tables contain what the local run puts into them.
"""

import base64
import datetime
import json
import pathlib
import sys
import uuid

import boto3

function, contacts_table = sys.argv[1:]
awslambda = boto3.client("lambda")
contacts = boto3.resource("dynamodb").Table(contacts_table)
stored = {(item["workspaceId"], item["emailKey"]) for item in contacts.scan()["Items"]}


def shape(part):
    """The placeholder for a value that is new in every run, or the value itself."""
    for name, parse in [("uuid", uuid.UUID), ("date-time", datetime.datetime.fromisoformat)]:
        try:
            parse(part.replace("Z", "+00:00"))
            return f"{{{name}}}"
        except ValueError:
            pass
    return part


def same(expected, found):
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(same(expected[name], found[name]) for name in expected)
    if isinstance(expected, str) and isinstance(found, str) and "{" in expected:
        return expected == "/".join(shape(part) for part in found.split("/"))
    return expected == found


def forget_what_is_new():
    for item in contacts.scan(ConsistentRead=True)["Items"]:
        key = item["workspaceId"], item["emailKey"]
        if key not in stored:
            contacts.delete_item(Key=dict(zip(["workspaceId", "emailKey"], key)))


events = sorted(path for path in pathlib.Path("events").glob("*.json") if not path.name.endswith(".response.json"))
assert events, "there are no events"
wrong = 0
for path in events:
    forget_what_is_new()
    response = json.loads(awslambda.invoke(FunctionName=function, Payload=path.read_bytes())["Payload"].read())
    headers = response.get("headers") or {}
    # Responses to payload format 1.0 have all their headers in lists.
    headers.update({name: values[0] for name, values in (response.get("multiValueHeaders") or {}).items()})
    body = response.get("body") or ""
    if response.get("isBase64Encoded"):
        body = base64.b64decode(body)
    found = {"status": response.get("statusCode"), "headers": headers, "body": json.loads(body or "null")}
    expected = json.loads(path.with_suffix(".response.json").read_text(encoding="utf-8"))
    if not same(expected, found):
        wrong += 1
        print(f"{path}\n  expected {json.dumps(expected)}\n  found    {json.dumps(found)}")
forget_what_is_new()
print(f"{function}: {len(events) - wrong} of {len(events)} events get the response beside them")
sys.exit(wrong > 0)
