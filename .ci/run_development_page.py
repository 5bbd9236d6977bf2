#!/usr/bin/env python3
"""Runs the commands of docs/development.md for Lambda's own tools, as the page prints them: `cargo lambda watch` and `invoke`, curl,
and the Runtime Interface Emulator. Only the URL of the local run's database differs each time.

Needs cargo-lambda and aws-sam-cli on the PATH's python3, and `cargo build --example local`.
"""

import atexit
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

PLACEHOLDER = "http://127.0.0.1:46703"


def blocks(page, heading):
    """The page's blocks of commands under a heading."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [re.sub("(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n)+", section)]


def start(commands):
    process = subprocess.Popen(["bash", "-ec", commands], start_new_session=True)
    atexit.register(stop, process)
    return process


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(port, process):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if process.poll() is not None:
                sys.exit(f"the process for port {port} ended")
            time.sleep(0.1)


def expect(commands, *expected):
    """Runs commands. Their output has these texts in this order."""
    output = subprocess.run(["bash", "-ec", commands], check=True, text=True, stdout=subprocess.PIPE).stdout
    print(f"$ {commands}{output}", flush=True)
    if not re.search(".*".join(expected), output, re.DOTALL):
        sys.exit(f"expected {expected}")


watch, invoke, curl, emulator, curl_emulator = blocks(
    pathlib.Path("docs/development.md").read_text(encoding="utf-8"), "Lambda's own tools"
)
local = subprocess.Popen(["target/debug/examples/local", "--port", "0"], stdout=subprocess.PIPE, text=True)
atexit.register(local.terminate)
for line in local.stdout:
    if url := re.search(r"DynamoDB +(http://\S+)", line):
        break
assert watch.count(PLACEHOLDER) == 1
watch = watch.replace(PLACEHOLDER, url[1])
*exports, command = watch.splitlines(keepends=True)

watching = start(watch)
wait_for(9000, watching)
expect(invoke, '"statusCode": ?201', '"statusCode": ?200')
expect(curl, "HTTP/1.1 200 OK", '"firstName":"Henrik"')
stop(watching)

emulating = start("".join(exports) + emulator)
wait_for(9001, emulating)
expect(curl_emulator, '"statusCode": ?200')
stop(emulating)
