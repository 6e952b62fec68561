"""Clients of other people load what is published of each real document, and call an operation of it.

Prints the table of documents and clients, before (the document as it was written) and after (what
plugway publishes, 3.1 and 3.0). A document is loaded when the client raises nothing, has every
operation, and one call made by the client, or by the code that it generated, reached the upstream
over TLS with its own token: with the method, path, query and headers that the document says."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import materials
from materials import Certificates
from real_documents import Fleet, Real, trust
from samples import Call, best_call
from upstreams import Reply, Request, Upstream

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent / "clients"
ENV = HERE.parent / ".env"
PASSWORD = "changeit"  # of the store of public certificates that Java wants; nothing is secret in it

CLIENTS = {
    # name: (script, seconds that a document may take, the version a user of it is told to take)
    "semantic-kernel": ("semantic_kernel_client.py", 90, "3.1"),
    "langchain-community": ("langchain_client.py", 60, "3.1"),
    "fastmcp": ("fastmcp_client.py", 60, "3.1"),
    "openapi-python-client": ("openapi_python_client_client.py", 150, "3.1"),
    "openapi-generator": ("openapi_generator_client.py", 150, "3.0"),
}
PATIENCE = 1500
"""Seconds for one client over all documents."""
STAGES = ("before", "3.1", "3.0")

JSON_ONLY = "it takes bodies in JSON and plain text only, and refuses a document with others until its user leaves them out"
IMPORTS = "what it generates for a required body of several media types does not import a name that it uses"
OBJECTS = "it has no form for parameters that are objects, which the upstream takes as such"
KNOWN: dict[tuple[str, str], str] = {
    ("semantic-kernel", "box.json"): JSON_ONLY,
    ("semantic-kernel", "discord.json"): JSON_ONLY,
    ("semantic-kernel", "docker-engine-1.54.v2.yaml"): JSON_ONLY,
    ("semantic-kernel", "dropshot-test.json"): JSON_ONLY,
    ("semantic-kernel", "oai-uspto.yaml"): JSON_ONLY,
    ("semantic-kernel", "openai.yaml"): JSON_ONLY,
    ("semantic-kernel", "readme-parameters-style.json"): JSON_ONLY,
    ("semantic-kernel", "readme-petstore.v2.yaml"): JSON_ONLY,
    ("semantic-kernel", "redocly-cafe-3.2.yaml"): JSON_ONLY,
    ("semantic-kernel", "redocly-cafe-split-3.2/cafe.yaml"): JSON_ONLY,
    ("semantic-kernel", "swagger-petstore.yaml"): JSON_ONLY,
    ("semantic-kernel", "twilio-messaging.json"): JSON_ONLY,
    ("semantic-kernel", "xero-files.yaml"): JSON_ONLY,
    ("langchain-community", "openai.yaml"): OBJECTS,
    ("langchain-community", "readme-parameters-style.json"): OBJECTS,
    ("openapi-python-client", "discord.json"): IMPORTS,
    ("openapi-python-client", "openai.yaml"): IMPORTS,
    ("openapi-python-client", "swagger-petstore.yaml"): IMPORTS,
    ("openapi-python-client", "readme-parameters-style.json"): "it has no form for headers that are objects",
    ("openapi-python-client", "meilisearch.json"): "two schemas of one name in other places become one module, and the other is not written",
    ("openapi-python-client", "docker-engine-1.54.v2.yaml"): "it drops operations whose body is none of JSON, forms, bytes",
}
"""(client, document): the true reason why it does not load, or not whole."""


def wanted(clients: str | None) -> list[str]:
    return [name for name in CLIENTS if not clients or name in clients.split(",")]


def python(client: str) -> Path:
    """The interpreter of a client's environment, made when its requirements changed."""
    requirements = SCRIPTS / f"requirements-{client}.txt"
    home = ENV / "clients" / client
    stamp = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not (home / "stamp").is_file() or (home / "stamp").read_text() != stamp:
        home.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        pip = [home / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(pip, check=True, timeout=900)
        (home / "stamp").write_text(stamp)
    return home / "bin/python"


class Recorder(Upstream):
    """Answers every operation as its document says."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, Call] = {}

    def _handler(self, _request: Request) -> tuple:
        return self.reply, False

    def reply(self, request: Request) -> Reply:
        call = self.calls.get(request.get("x-plugway-plugin") or "")
        if call is None:
            return Reply(json={})
        if call.answer is None:
            return Reply(call.status)
        kind, body = call.answer
        return Reply(call.status, [("Content-Type", kind)], body)

    def seen(self, client: str, real: Real) -> list[Request]:
        with self.lock:
            return [r for r in self.everything
                    if r.get("x-plugway-principal") == client and r.get("x-plugway-plugin") == real.plugin]


def differs(call: Call, request: Request) -> str | None:
    """How what reached the upstream is not what the document says."""
    if request.method != call.method.upper():
        return f"method {request.method} instead of {call.method.upper()}"
    path = call.path.partition("?")[0]
    for parameter in call.parameters:
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", str(parameter["value"]))
    if not unquote(request.path).endswith(path):
        return f"path {request.path} instead of {path}"
    sent = parse_qsl(request.query, keep_blank_values=True)
    expected = {p["name"]: plain(p["value"]) for p in call.parameters if p["in"] == "query"}
    for name, value in expected.items():
        if value is not None and (name, value) not in [(key, found.lower() if found in ("True", "False") else found) for key, found in sent]:
            return f"query {request.query!r} without {name}={value}"
    for parameter in call.parameters:
        if parameter["in"] == "header" and request.get(parameter["name"]) != plain(parameter["value"]):
            return f"header {parameter['name']}: {request.get(parameter['name'])}"
    if request.get("authorization") is not None:
        return "the client's token reached the upstream"
    if call.body and call.body["type"] == "application/json" and json.loads(request.body) != call.body["value"]:
        return f"body {request.body[:80]!r} instead of {json.dumps(call.body['value'])[:80]}"
    return None


def plain(value: object) -> str | None:
    """A scalar as text; arrays and objects are written in many ways."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if isinstance(value, (list, dict)) else str(value)


class Run:
    """One client over all documents."""

    def __init__(self, client: str, fleet: Fleet, recorder: Recorder, folder: Path, secret: str):
        self.client, self.fleet, self.recorder, self.folder, self.secret = client, fleet, recorder, folder, secret
        self.script, self.patience, self.version = CLIENTS[client]
        self.results: dict[tuple[str, str], str] = {}
        self.seconds = 0.0

    def jobs(self, published: dict[tuple[str, str], dict]) -> list[dict]:
        jobs = []
        for real in self.fleet.documents:
            common = {"document": real.file, "patience": self.patience, "store": str(self.folder / "store.p12"), "origin": self.fleet.origin(real)}
            jobs.append(common | {"stage": "before", "source": str(real.path), "call": None})
            for version in ("3.1", "3.0"):
                if (real.file, version) not in published:
                    self.results[real.file, version] = "not published"
                    continue
                call = self.recorder.calls.get(real.plugin)
                name = {"3.1": "openapi.json", "3.0": "openapi-3.0.json"}[version]
                jobs.append(common | {"stage": version, "source": f"{self.fleet.origin(real)}/{name}", "call": call and call.job()})
        return jobs

    def go(self, published: dict[tuple[str, str], dict]) -> Run:
        begun = time.monotonic()
        left = self.jobs(published)
        while left:
            done = self._process(left)
            for each in done:
                self.results[each["document"], each["stage"]] = self.judge(each, published)
            if len(done) < len(left):
                first = left[len(done)]
                self.results[first["document"], first["stage"]] = "the process died"
            left = left[len(done) + 1:]
        self.seconds = time.monotonic() - begun
        return self

    def _process(self, jobs: list[dict]) -> list[dict]:
        file = self.folder / f"{self.client}.json"
        file.write_text(json.dumps(jobs))
        authority = str(self.folder / "ca.pem")
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "CLIENT_TOKEN": self.secret,
            "SSL_CERT_FILE": authority, "REQUESTS_CA_BUNDLE": authority, "PYTHONDONTWRITEBYTECODE": "1",
        }
        said, errors = self.folder / f"{self.client}.out", self.folder / f"{self.client}.err"
        with said.open("w") as out, errors.open("w") as err:
            process = subprocess.Popen(
                [python(self.client), SCRIPTS / self.script, file], env=environment, cwd=self.folder, stdout=out, stderr=err,
            )
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        lines = [json.loads(line) for line in said.read_text().splitlines() if line.endswith("}")]
        assert lines or not process.returncode, errors.read_text()[-2000:]
        return lines

    def judge(self, done: dict, published: dict[tuple[str, str], dict]) -> str:
        """`ok`, or what is wrong."""
        if done["problem"]:
            return done["problem"]
        real = next(real for real in self.fleet.documents if real.file == done["document"])
        if done["stage"] == "before":
            have = len(done["names"])
            return "ok" if have >= real.operations else f"drops {real.operations - have} of {real.operations} operations"
        have = {normal(name) for name in done["names"]}
        names = [o["operationId"] for item in published[real.file, done["stage"]]["paths"].values() for o in item.values()]
        lost = [name for name in names if normal(name) not in have]
        called = self._called(done, real)
        if lost:
            why = f": {done['said']}" if done.get("said") else ""
            worse = "" if called == "ok" else f"; {called}"
            return f"drops {len(lost)} of {len(names)} operations ({', '.join(lost[:3])}{', …' if len(lost) > 3 else ''}){why}{worse}"
        return called

    def _called(self, done: dict, real: Real) -> str:
        """`ok`, or what became of the call."""
        call = self.recorder.calls.get(real.plugin)
        if call is None:
            return "ok"
        if done["call"] != "made":
            return f"its call of {call.operation} fails: {done['call']}"
        seen = self.recorder.seen(self.client, real)
        if not seen:
            return f"its call of {call.operation} did not reach the upstream"
        return differs(call, seen[-1]) or "ok"


def normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def test_clients(certificates: Certificates):
    names = wanted(os.environ.get("CLIENTS"))
    with tempfile.TemporaryDirectory(prefix="pw-") as made:
        folder = Path(made)
        secrets = {name: materials.token() for name in CLIENTS}
        recorder = Recorder()
        fleet = Fleet(folder / "gateway", certificates, recorder.url, secrets)
        try:
            authority = trust(folder, certificates)
            store = ["keytool", "-importcert", "-noprompt", "-alias", "test", "-file", authority, "-keystore", folder / "store.p12", "-storepass", PASSWORD]
            subprocess.run(store, check=True, capture_output=True)
            published = {}
            for real in fleet.documents:
                if real.file in fleet.refused:
                    continue
                for version in ("3.1", "3.0"):
                    published[real.file, version] = json.loads(fleet.published(real, version))
                call = best_call(published[real.file, "3.1"])
                if call:
                    recorder.calls[real.plugin] = call
            for name in names:
                python(name)
            with ThreadPoolExecutor(2) as pool:
                runs = list(pool.map(lambda name: Run(name, fleet, recorder, folder, secrets[name]).go(published), names))
            report(fleet, runs)
            check(fleet, runs)
        finally:
            fleet.stop()
            recorder.stop()


def cell(text: str) -> str:
    short = text if len(text) <= 120 else text[:119] + "…"
    return short.replace("|", "\\|").replace("\n", " ")


def report(fleet: Fleet, runs: list[Run]) -> None:
    """The table, its totals, and every reason in full."""
    heads = [f"{run.client} {stage}" for run in runs for stage in STAGES]
    lines = ["", f"| document | {' | '.join(heads)} |", f"|---{'|---' * len(heads)}|"]
    for real in fleet.documents:
        cells = ["ok" if run.results[real.file, stage] == "ok" else brief(run.results[real.file, stage]) for run in runs for stage in STAGES]
        lines.append(f"| `{real.file}` | {' | '.join(map(cell, cells))} |")
    totals = [sum(run.results[real.file, stage] == "ok" for real in fleet.documents) for run in runs for stage in STAGES]
    lines.append(f"| of {len(fleet.documents)} | {' | '.join(map(str, totals))} |")
    lines.append("")
    lines += [f"not published: {file}: {why}" for file, why in fleet.refused.items()]
    for run in runs:
        lines.append(f"{run.client}: {run.seconds:.0f} s; its users take {run.version}")
        for (document, stage), result in sorted(run.results.items()):
            if result not in ("ok", "not published"):
                lines.append(f"- {document}, {stage}: {result}")
    text = "\n".join(lines)
    print(text)
    if path := os.environ.get("CLIENTS_REPORT"):
        Path(path).write_text(text)


def brief(result: str) -> str:
    """A reason in a few words."""
    found = re.match(r"(drops \d+ of \d+)|(its call)|(not within \d+ s)|(not published)|(the process died)", result)
    return found[0] if found else f"no: {result[:60]}"


def check(fleet: Fleet, runs: list[Run]) -> None:
    faults = []
    for run in runs:
        for real in fleet.documents:
            result = run.results[real.file, run.version]
            known = KNOWN.get((run.client, real.file))
            if result != "ok" and known is None:
                faults.append(f"{run.client}, {real.file}: {result}")
            if result == "ok" and known is not None:
                faults.append(f"{run.client}, {real.file}: it loads, so take it out of KNOWN")
    assert not faults, "\n".join(faults)
