#!/usr/bin/env python3
"""Computes every number of docs/operations/scale-and-cost.md that isn't a quota of AWS, and writes it into the page.

    .ci/compute_costs.py            writes the parts of the page between <!-- NAME --> and <!-- /NAME -->
    .ci/compute_costs.py --check    fails if they would change

CPU times and the log's size are those of create-contact in benches/README.md: run this after each measurement. It needs PyYAML, which
aws-sam-cli has.
"""

import math
import pathlib
import sys

import yaml

# US dollars, us-east-1, on demand, without free tiers and volume discounts: the services' pricing pages, as of PRICES_READ.
PRICES_READ = "December 2025"
MILLION = 1_000_000
HTTP_API = 1.00 / MILLION  # a request, for each 512 KB of it
REST_API = 3.50 / MILLION
LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000133334  # arm64
WRITE_UNIT = 0.625 / MILLION
READ_UNIT = 0.125 / MILLION
LOG_GB = 0.50  # ingested, log groups of the Standard class
TRANSFER_GB = 0.09  # out to the internet
STORAGE_GB, RECOVERY_GB, LOGS_KEPT_GB = 0.25, 0.20, 0.03  # a month
ALARM_METRIC, CUSTOM_METRIC, DASHBOARD = 0.10, 0.30, 3.00  # a month
CLOUDFRONT, WAF, WAF_MONTH = 1.00 / MILLION, 0.60 / MILLION, 6.00  # a month: a web ACL with one rule

# Assumed.
WAIT = 0.005  # seconds for each response of DynamoDB; AWS says "single-digit milliseconds"
COLD_STARTS = 0.001  # of the requests
HEADROOM = 1.2
ITEM = 500  # bytes of a stored contact
REFUSED_LOG_ENTRY = 250  # bytes
RESPONSE = 396 + 400  # bytes: a contact's JSON, and an assumption for headers and TLS
# An access log entry of a created contact has values of this length.
ACCESS_LOG = {
    "$context.requestId": "JKJaXmPLvHcESHA=",
    "$context.httpMethod": "POST",
    "$context.routeKey": "ANY /api/contacts",
    "$context.status": "201",
    "$context.responseLatency": "21",
    "$context.integrationLatency": "19",
    "$context.error.responseType": "-",
    "$context.integrationErrorMessage": "-",
}

# Quotas; the page names the AWS page of each.
PER_UNIT = 10  # requests a second for each unit of concurrency
UNRESERVED = 100  # units that Lambda keeps for other functions
API_RATE, API_BURST = 10_000, 5_000
CONCURRENCY = 1_000
NEW_TABLE_WRITES, NEW_TABLE_READS = 4_000, 12_000
PARTITION_WRITES, PARTITION_READS = 1_000, 3_000
CPU_MEGABYTES = 1769  # the memory that buys one CPU
BODY_STEPS = 20  # steps of 512 KB in API Gateway's largest body, 10 MB

RATES = 1_000, 10_000
HOURS = 730  # of a month

root = pathlib.Path(__file__).resolve().parent.parent


class Template(yaml.SafeLoader):
    """Takes no interest in what CloudFormation's functions would give."""


Template.add_multi_constructor("!", lambda *_: None)
template = yaml.load((root / "template.yaml").read_text(encoding="utf-8"), Template)
benchmark = (root / "benches/README.md").read_text(encoding="utf-8")


def measured(row):
    """The median that the benchmark's table has for create-contact."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in benchmark.splitlines() if line.startswith("|")]
    header = next(cells for cells in lines if {"floor", "create-contact"} <= set(cells))
    cells = next(cells for cells in lines if cells[0] == row)
    return float(cells[header.index("create-contact")].split()[0])


def parameter(name):
    return template["Parameters"][name]["Default"]


MEMORY = template["Resources"]["CreateContactFunction"]["Properties"]["MemorySize"]
WARM_CPU = measured("warm request: CPU, µs") / MILLION
FIRST_CPU = measured("first request: CPU, ms") / 1000
LOG_ENTRY = measured("log of a request, bytes")
READY = measured("ready: wall time from exec, ms") / 1000
access_entry = template["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"].strip()
for variable, value in ACCESS_LOG.items():
    access_entry = access_entry.replace(variable, value)


def share(memory):
    return min(memory / CPU_MEGABYTES, 1)


def warm(memory, calls=2):
    return calls * WAIT + WARM_CPU / share(memory)


def cold(memory):
    """A start, with a full CPU and one call that opens the connection, and its first request."""
    return READY + WAIT + 2 * WAIT + FIRST_CPU / share(memory)


def duration(memory, calls=2):
    """What the time of one request costs, with its share of the cold starts; billed in whole milliseconds."""
    seconds = math.ceil(warm(memory, calls) * 1000) / 1000 + COLD_STARTS * math.ceil(cold(memory) * 1000) / 1000
    return seconds * memory / 1024 * LAMBDA_GB_SECOND


def logs(size):
    return size / 1e9 * LOG_GB


def transfer(size):
    return size / 1e9 * TRANSFER_GB


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


PARTS = [
    ("API Gateway: one request of up to 512 KB to an HTTP API", HTTP_API),
    ("DynamoDB: one write unit", WRITE_UNIT),
    ("DynamoDB: two strongly consistent reads", 2 * READ_UNIT),
    ("Lambda: one request", LAMBDA_REQUEST),
    (f"Lambda: {MEMORY} MB for {warm(MEMORY) * 1000:.0f} ms, arm64", duration(MEMORY)),
    (f"the function's log entry, {LOG_ENTRY:.0f} bytes", logs(LOG_ENTRY)),
    (f"the access log entry, {len(access_entry)} bytes", logs(len(access_entry))),
    (f"data transfer out, about {RESPONSE} bytes", transfer(RESPONSE)),
]
CONTACT = sum(dollars for _, dollars in PARTS)
# A key that doesn't exist: one call that reads two items, no write.
REFUSED = HTTP_API + 2 * READ_UNIT + LAMBDA_REQUEST + duration(MEMORY, 1) + logs(REFUSED_LOG_ENTRY + len(access_entry))
RATE = parameter("RequestsPerSecond")
MONTH = RATE * HOURS * 3600


def needed(rate):
    return math.ceil(rate * HEADROOM)


def plan():
    units = [math.ceil(needed(rate) / PER_UNIT) for rate in RATES]
    quota = [unit + UNRESERVED for unit in units]

    def compared(values, limit, text):
        return ["enough" if value <= limit else text.format(value) for value in values]

    rows = [
        ["the API's rate, for all callers together", f"`RequestsPerSecond`: {RATE}", *(f"{needed(rate):,}" for rate in RATES)],
        [
            "requests at the same moment",
            f"`RequestBurst`: {parameter('RequestBurst')}",
            *(f"{min(2 * needed(rate), API_BURST):,}" for rate in RATES),
        ],
        [
            "all APIs of an account in a region ¹",
            f"{API_RATE:,} a second, {API_BURST:,} at once; in some regions 2,500 and 1,250",
            *compared(map(needed, RATES), API_RATE, "quota: {:,}"),
        ],
        [
            f"concurrency: {PER_UNIT} requests a second for each unit ²",
            "`ReservedConcurrency`: none",
            *(f"{unit:,}" for unit in units),
        ],
        [
            f"an account's concurrency, {UNRESERVED} of it not reserved ³",
            f"{CONCURRENCY:,}; less in a new account",
            *compared(quota, CONCURRENCY, "quota: {:,}"),
        ],
        ["growth of a function ⁴", "10,000 requests a second more every 10 seconds", "enough", "enough"],
        [
            "units of each table",
            f"`TableUnitsPerSecond`: {parameter('TableUnitsPerSecond'):,}",
            *(f"{needed(rate):,}" for rate in RATES),
        ],
        [
            "a new table, before it has grown ⁵",
            f"{NEW_TABLE_WRITES:,} write and {NEW_TABLE_READS:,} read units",
            *compared(map(needed, RATES), NEW_TABLE_WRITES, "warm throughput: {:,}"),
        ],
        ["one table ⁶", "40,000 read and 40,000 write units", "enough", "enough"],
        [
            "writes to one workspace, reads of one key ⁷",
            f"{PARTITION_WRITES:,} and {PARTITION_READS:,}",
            *(
                f"at least {math.ceil(needed(rate) / PARTITION_WRITES)} and {math.ceil(needed(rate) / PARTITION_READS)}"
                for rate in RATES
            ),
        ],
        [
            "a million contacts take",
            f"{MILLION / RATE / 3600:.1f} hours",
            *(f"{MILLION / rate / 60:.1f} minutes" for rate in RATES),
        ],
        [
            "an hour without a pause costs",
            f"{CONTACT * RATE * 3600:.2f} dollars",
            *(f"{CONTACT * rate * 3600:,.0f} dollars" for rate in RATES),
        ],
    ]
    headings = [f"for {rate:,} a second" for rate in RATES]
    busy = ", ".join(f"{math.ceil(rate * warm(MEMORY))}" for rate in RATES)
    return (
        table(["limit", "default", *headings], rows)
        + f"\n\nThe values have {HEADROOM * 100 - 100:.0f}% of headroom. Measured by their time, {warm(MEMORY) * 1000:.0f} ms each, "
        f"these requests keep only {busy.replace(', ', ' and ')} environments busy."
    )


def designs():
    authorizer = LAMBDA_REQUEST + duration(MEMORY, 1)
    rows = [
        [
            "an HTTP API of its own for imports, with another `RequestsPerSecond`",
            "0",
            "Nothing makes an importer use it. The template doesn't have it.",
        ],
        [
            "the function counts each key's requests in DynamoDB",
            f"{WRITE_UNIT * MILLION:.3f}",
            "A third call (about 5 ms), a role that may write, one item that takes 1,000 writes a second. What it refuses has "
            "already used the API's rate and costs as much as any refused request.",
        ],
        [
            "a REST API with usage plans",
            f"{(REST_API - HTTP_API) * MILLION:.2f}, and {authorizer * MILLION:.2f} for an authorizer",
            "API Gateway must know each key: callers send `x-api-key` too, or a second function translates. If its result is "
            "cached, a revoked key keeps working. 300 plans and 10,000 keys an account. AWS calls the limits best effort.",
        ],
        [
            "CloudFront with an AWS WAF rate-based rule for each value of `Authorization`",
            f"{(CLOUDFRONT + WAF) * MILLION:.2f}, and {WAF_MONTH:.0f} a month",
            "Counts over one to ten minutes, not seconds. Whoever changes the key with each request needs a second rule, by "
            "address. WAF's logs and sampled requests hold headers, so redact that one and switch sampling off.",
        ],
    ]
    return table(["design", "more for a million requests, $", "what it breaks or leaves open"], rows)


def cost():
    alarms = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    metrics = sum(len([one for one in alarm.get("Metrics", [{"MetricStat"}]) if "MetricStat" in one]) for alarm in alarms)
    rows = [[what, f"{dollars * MILLION:.3f}"] for what, dollars in PARTS]
    month = [
        [f"alarms on {metrics} metrics", f"{ALARM_METRIC:.2f} each", f"{metrics * ALARM_METRIC:.2f}"],
        ["one metric for each of 14 outcomes, and one for 429", f"{CUSTOM_METRIC:.2f} each, for the hours with data", f"up to {15 * CUSTOM_METRIC:.2f}"],
        ["the dashboard", f"{DASHBOARD:.2f}, the first three of an account free", f"0 to {DASHBOARD:.2f}"],
        [
            "a million stored contacts, with point-in-time recovery",
            f"{STORAGE_GB:.2f} and {RECOVERY_GB:.2f} a GB",
            f"{MILLION * ITEM / 1e9 * (STORAGE_GB + RECOVERY_GB):.2f}",
        ],
        ["logs kept", f"{LOGS_KEPT_GB:.2f} a GB, compressed", "by use"],
        ["encryption with the AWS managed key, CodeDeploy, SNS by e-mail, the stream unless read", "0, or cents", ""],
    ]
    sizes = [
        [f"{memory}", f"{warm(memory) * 1000:.0f}", f"{cold(memory) * 1000:.0f}", f"{duration(memory) * MILLION:.3f}"]
        for memory in (128, 256, 512, 1024)
    ]
    return "\n\n".join(
        [
            table(["a million contacts", "$"], [*rows, ["**all**", f"**{CONTACT * MILLION:.2f}**"]]),
            table(["a month, whatever the traffic", "price, $", "here, $"], month),
            f"""\
US dollars, us-east-1, public on-demand prices of {PRICES_READ} (the services' pricing pages), no free tier, no discount by
volume. A retry that gets `200` costs the same. A request with an unknown key costs no write: {REFUSED * MILLION:.2f} dollars a
million. Times: the CPU time that [the benchmark](../../benches/README.md) measured, divided by the memory's share of a CPU, plus
{WAIT * 1000:.0f} ms of waiting for each response of DynamoDB (assumed). A cold start is the process's start, with a full CPU, and its first
request, without the time that Lambda needs to set up the environment. One request in {1 / COLD_STARTS:.0f} meets one (assumed).""",
            table(["memory, MB", "warm, ms", "cold start, ms", "duration of a million requests, $"], sizes),
            f"The template gives the function {MEMORY} MB.",
        ]
    )


def attack():
    return f"""\
If somebody uses the whole default rate with unknown keys for a month, these {MONTH / MILLION:.0f} million requests cost about {REFUSED * MONTH:.0f}
dollars. HTTP APIs are metered in steps of 512 KB (AWS whitepaper "Best Practices for Designing Amazon API Gateway Private APIs and
Private Integration", "Cost optimization"). So with bodies of 10 MB, API Gateway's part can be {BODY_STEPS} times as much: {HTTP_API * BODY_STEPS * MONTH:,.0f} dollars. No page
says whether it bills requests that it refuses itself. Set a budget alarm on the account."""


page = root / "docs/operations/scale-and-cost.md"
before = after = page.read_text(encoding="utf-8")
for write in plan, designs, attack, cost:
    name = write.__name__
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    head, rest = after.split(start)
    after = f"{head}{start}\n{write()}\n\n{end}{rest.split(end)[1]}"
if "--check" in sys.argv[1:]:
    if before != after:
        sys.exit(f"{page.relative_to(root)} is out of date: run .ci/compute_costs.py")
else:
    page.write_text(after, encoding="utf-8")
print(f"a million contacts: {CONTACT * MILLION:.2f} dollars; {page.relative_to(root)} has the rest")
