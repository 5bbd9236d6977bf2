#!/usr/bin/env python3
"""Translates template.yaml from standard input to what CloudFormation would get, with the parameters' defaults.

    translate_template.py [--emulator CODE] [Name=Value…] < template.yaml > translated.json

Runs in an environment that has aws-sam-cli. `Name=Value` sets a parameter. `--emulator` prints the form that ministack, an emulator
of AWS, accepts. It differs in three things. The code is in a directory or an archive of this machine, CODE, from which `sam deploy`
uploads it. ministack ignores the OpenAPI document of an HTTP API: its one route becomes a separate route and integration. It has no
alarms with metric math, and ignores an alarm's dimensions: alarms watch a metric that nothing writes, and check_template.py tests
them as they are.
"""

import argparse
import hashlib
import json
import logging
import os
import pathlib
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
logging.disable(logging.CRITICAL)

from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("--emulator", metavar="CODE", type=pathlib.Path)
arguments.add_argument("parameters", metavar="Name=Value", nargs="*")
arguments = arguments.parse_args()

template = yaml_parse(sys.stdin.read())
code = arguments.emulator
# As after `sam package`: the code is in a bucket, under a name that its content decides. Another name makes another version.
key = hashlib.sha256((code / "bootstrap" if code.is_dir() else code).read_bytes()).hexdigest() if code else "key"
template["Resources"]["CreateContactFunction"]["Properties"]["CodeUri"] = f"s3://bucket/{key}"
parameters = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
parameters.update(argument.split("=", 1) for argument in arguments.parameters)
translated = Translator({}, Parser()).translate(sam_template=template, parameter_values=parameters)
if code:
    resources = translated["Resources"]
    resources["CreateContactFunction"]["Properties"]["Code"] = str(code)
    for alarm in (one["Properties"] for one in resources.values() if one["Type"] == "AWS::CloudWatch::Alarm"):
        alarm.pop("Metrics", None)
        alarm.update(Namespace="emulator", MetricName="none", Statistic="Sum", Period=60)
    ((path, methods),) = resources["HttpApi"]["Properties"]["Body"]["paths"].items()
    integration = methods["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
    route = {"ApiId": {"Ref": "HttpApi"}, "RouteKey": f"ANY {path}", "Target": {"Fn::Sub": "integrations/${Integration}"}}
    target = {"IntegrationUri": integration["uri"], "PayloadFormatVersion": integration["payloadFormatVersion"]}
    resources["HttpApi"]["Properties"] = {"Name": {"Ref": "AWS::StackName"}, "ProtocolType": "HTTP"}
    resources["Route"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": route}
    resources["Integration"] = {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {"ApiId": {"Ref": "HttpApi"}, "IntegrationType": "AWS_PROXY", **target},
    }
json.dump(translated, sys.stdout, indent=2)
