"""Runs the programs of docs/clients.md, and those beside this file, against the local run: every outcome, and transient errors.

Usage: python clients.py URL KEY WORKSPACE CARGO_TARGET_DIRECTORY, in the virtual environment of requirements.txt.
"""

import http.client
import http.server
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import uuid

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
PAGE = (ROOT / "docs/clients.md").read_text()

Command = list[str]


def check_versions():
    """The page installs the versions that CI's own lists pin, which Dependabot keeps."""
    pins = dict(line.split("==") for line in (HERE / "requirements.txt").read_text().split())
    pins |= json.loads((HERE / "package.json").read_text())["devDependencies"]
    for package, version in re.findall(r"([\w@/.-]+?)(?:==|@)(\d+\.\d+\.\d+)", PAGE):
        assert pins[package] == version, f"{package} {version} on the page, {pins[package]} in CI"


def run(commands: str, work: pathlib.Path):
    """Runs commands as the page's reader would. What they print is shown only if they fail."""
    done = subprocess.run(["bash", "-ec", commands], cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"{done.stdout[-4000:]}\nfailed: {commands}")


def program_of(section: str, work: pathlib.Path) -> Command:
    """Follows a section of the page; the command that creates a contact, without its arguments."""
    before, name, code, after = re.split(r"`([\w./]+)`:\n\n```\w+\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    commands = ["\n".join(re.findall("^    (.*)$", part, re.MULTILINE)) for part in (before, after)]
    *build, command = commands[1].splitlines()
    run(commands[0], work)
    (work / name).write_text(code)
    run("\n".join(build), work)
    if command.startswith("cargo run"):
        # Of the time for one contact, none is for building.
        run("cargo build", work)
    *command, _name, _email = shlex.split(command)
    return command


def programs(work: pathlib.Path) -> dict[str, Command]:
    """Every client and the command that runs it in the directory."""
    shutil.copy(ROOT / "openapi.yaml", work)
    sections = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    commands = {name: program_of(sections[name], work) for name in ["Shell", "Python", "TypeScript", "Rust"]}

    generate = re.findall("`(openapi-generator-cli .*?)`", sections["Generators and linters"])
    assert len(generate) == 2, generate
    run("\n".join(generate), work)
    run("pip install ./python", work)
    shutil.copy(HERE / "openapi_generator.py", work)
    shutil.copy(HERE / "typescript_fetch.ts", work)
    run("npx tsc --strict --target es2022 --module commonjs typescript_fetch.ts", work)
    commands["openapi-generator, Python"] = ["python3", "openapi_generator.py"]
    commands["openapi-generator, TypeScript"] = ["node", "typescript_fetch.js"]
    return commands


class Faults(http.server.BaseHTTPRequestHandler):
    """429, then 503, then a response lost after the contact is written, then the service itself."""

    service = ""
    counter = itertools.count()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault = next(self.counter) % 4
        if fault < 2:
            status = [429, 503][fault]
            self.send_response(status)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.service).netloc)
        headers = {name: self.headers[name] for name in ["Authorization", "Content-Type"]}
        connection.request("POST", self.path, body, headers)
        response = connection.getresponse()
        body = response.read()
        if fault == 2:
            self.close_connection = True
            return
        self.send_response(response.status)
        self.send_header("Content-Type", response.headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def check(client: str, command: Command, work: pathlib.Path, url: str, key: str, workspace: str, faulty: str):
    # The local run keeps its contacts until it ends, so each run of this script uses new addresses.
    email = f"jan.{uuid.uuid4().hex}@acme-customer.de"
    unknown_key = "sf_live_v1_nobodysnobodysnobodysnob"
    contact_id = r"[0-9a-f]{8}-[0-9a-f-]{27}"
    conflict = "conflict" if client == "Rust" else f"conflict /api/contacts/{contact_id}"
    # An address that fits the pattern, because some clients check it before they send anything.
    invalid = "jan@acme.123"
    cases = [
        ("created", ["Jan Smit", email], {}, 0, f"created {contact_id}"),
        ("existing", ["Jan Smit", email.upper()], {}, 0, f"existing {contact_id}"),
        ("conflict", ['Jan "J" Smit', email], {}, 0, conflict),
        ("400", ["Jan Smit", invalid], {}, 1, r"400.*email must have an internet domain"),
        ("401", ["Jan Smit", email], {"CONTACTS_API_KEY": unknown_key}, 1, r"401.*The API key is not valid\."),
    ]
    if not client.startswith("openapi-generator"):
        cases.append(("faults", ["Jan Smit", f"faults.{email}"], {"CONTACTS_BASE_URL": faulty}, 0, f"existing {contact_id}"))
    for what, arguments, changed, code, expected in cases:
        Faults.counter = itertools.count()
        environment = {"CONTACTS_BASE_URL": url, "CONTACTS_API_KEY": key, "CONTACTS_WORKSPACE": workspace}
        done = subprocess.run(
            [*command, *arguments],
            cwd=work,
            env={**os.environ, **environment, **changed},
            text=True,
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == code, (client, what, done)
        if code == 0:
            assert re.fullmatch(expected, done.stdout.strip()), (client, what, done)
        else:
            assert re.search(expected, done.stderr), (client, what, done)
        assert key not in done.stdout + done.stderr, (client, what)
        if what == "faults":
            assert next(Faults.counter) == 4, (client, what)
    print(f"{client}: {', '.join(what for what, *_ in cases)}")


def main(url: str, key: str, workspace: str, target: str):
    os.environ["CARGO_TARGET_DIR"] = target
    check_versions()
    Faults.service = url
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faults)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    faulty = f"http://127.0.0.1:{server.server_port}"
    # A workspace of its own, so that Cargo adds the Rust program to no other, with the versions that the service is built with.
    with tempfile.TemporaryDirectory() as directory:
        workspace_root = pathlib.Path(directory)
        (workspace_root / "Cargo.toml").write_text('[workspace]\nresolver = "3"\n')
        shutil.copy(ROOT / "Cargo.lock", workspace_root)
        work = workspace_root / "client"
        work.mkdir()
        for client, command in programs(work).items():
            check(client, command, work, url, key, workspace, faulty)


main(*sys.argv[1:])
