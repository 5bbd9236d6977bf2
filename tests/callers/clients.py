"""Runs each program of docs/clients.md against the local run: every outcome, and transient errors.

Usage: python clients.py URL KEY WORKSPACE WORK_DIRECTORY, with curl, jq, node, cargo and tests/callers/node_modules there.
"""

import http.client
import http.server
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
import uuid

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
RUST_PACKAGE = """\
[package]
name = "client"
edition = "2024"

[dependencies]
# The local run speaks no TLS, which takes longest to build.
reqwest = { version = "0.13", default-features = false, features = ["json"] }
serde_json = "1"
tokio = { version = "1", features = ["macros", "rt", "time"] }

[workspace]
"""


def programs(work: pathlib.Path) -> dict[str, list[str]]:
    """Takes the programs out of the page; the command of each."""
    page = (ROOT / "docs/clients.md").read_text()
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert set(blocks) == {"bash", "python", "javascript", "rust"}, set(blocks)
    shutil.rmtree(work, ignore_errors=True)
    (work / "src").mkdir(parents=True)
    for name, block in [("client.sh", "bash"), ("client.py", "python"), ("client.mjs", "javascript"), ("src/main.rs", "rust")]:
        (work / name).write_text(blocks[block])

    options = "--noEmit --allowJs --checkJs --strict --target es2022 --module nodenext --skipLibCheck --types node".split()
    types = ["--typeRoots", HERE / "node_modules/@types"]
    subprocess.run([HERE / "node_modules/.bin/tsc", *options, *types, work / "client.mjs"], check=True)

    (work / "Cargo.toml").write_text(RUST_PACKAGE)
    shutil.copy(ROOT / "Cargo.lock", work)
    subprocess.run(["cargo", "build", "--quiet", "--target-dir", work / "target"], cwd=work, check=True)
    return {
        "curl": ["bash", work / "client.sh"],
        "Python": [sys.executable, work / "client.py"],
        "JavaScript": ["node", work / "client.mjs"],
        "Rust": [work / "target/debug/client"],
    }


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
        service = urllib.parse.urlsplit(self.service)
        connection = http.client.HTTPConnection(service.netloc)
        headers = {name: self.headers[name] for name in ["Authorization", "Content-Type"]}
        connection.request("POST", service.path, body, headers)
        answer = connection.getresponse()
        body = answer.read()
        if fault == 2:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(url: str, key: str, workspace: str, work: str):
    Faults.service = url
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faults)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    faulty = f"http://127.0.0.1:{server.server_port}/api/contacts"

    for client, command in programs(pathlib.Path(work).resolve()).items():
        # The local run keeps its contacts until it ends, so each run of this script uses new addresses.
        email = f"jan.{uuid.uuid4().hex}@acme-customer.de"
        unknown_key = "sf_live_v1_nobodysnobodysnobodysnob"
        id_pattern = r"[0-9a-f]{8}-[0-9a-f-]{27}"
        for what, arguments, changed, code, expected in [
            ("created", ["Jan Smit", email], {}, 0, f"created {id_pattern}"),
            ("existing", ["Jan Smit", email.upper()], {}, 0, f"existing {id_pattern}"),
            ("conflict", ["Jan \"J\" Smit", email], {}, 0, f"conflict /api/contacts/{id_pattern}"),
            ("invalid", ["Jan Smit", "jan"], {}, 1, r".*400.*email must be an address such as jan@example\.com\..*"),
            ("refused", ["Jan Smit", email], {"CONTACTS_API_KEY": unknown_key}, 1, r".*401.*The API key is not valid\..*"),
            ("faults", ["Jan Smit", f"{client}.{email}"], {"CONTACTS_URL": faulty}, 0, f"existing {id_pattern}"),
        ]:
            Faults.counter = itertools.count()
            environment = {"CONTACTS_URL": url, "CONTACTS_API_KEY": key, "CONTACTS_WORKSPACE": workspace}
            run = subprocess.run(
                [*command, *arguments],
                env={**os.environ, **environment, **changed},
                text=True,
                capture_output=True,
                timeout=120,
            )
            said = (run.stdout if code == 0 else run.stderr).strip()
            assert run.returncode == code and re.fullmatch(expected, said), (client, what, run)
            assert key not in run.stdout + run.stderr, (client, what)
            if changed.get("CONTACTS_URL"):
                assert next(Faults.counter) == 4, (client, what)
        print(f"{client}: created, existing, conflict, invalid, refused, through faults")


main(*sys.argv[1:])
