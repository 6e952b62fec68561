"""What the measuring scripts share: processes, their CPU time, load, an upstream. Python's standard
library and Debian packages only (`nginx`, `wrk`, `nghttp2-client`, `openssl`)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import socket
import ssl
import string
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

TICK = 1 / os.sysconf("SC_CLK_TCK")
PATIENCE = 30.0
"""Seconds after which something that is waited for is not going to happen. A million tokens are
read in less."""
SMALL, BIG, BODY = 1 << 10, 1 << 20, 64 << 10


def plugway() -> str:
    """The binary: `$PLUGWAY`, or what `cargo build --release` made."""
    path = os.path.abspath(os.environ.get("PLUGWAY", Path(__file__).resolve().parents[1] / "target/release/plugway"))
    if not os.access(path, os.X_OK):
        raise SystemExit(f"there is no {path}: build it, or name another with PLUGWAY")
    return path


def program(name: str) -> str | None:
    """Where a program is; Debian keeps servers where only root looks."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def need(**packages: str) -> None:
    """Ends the script if a program is missing, with what to install."""
    missing = [package for name, package in packages.items() if not program(name)]
    if missing:
        raise SystemExit(f"apt-get install {' '.join(missing)}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# --- processes ---

@contextmanager
def running(command: list[str], folder: Path, core: int | None = None, **environment: str) -> Iterator[subprocess.Popen]:
    """A process, on one core if asked, that ends with the block. What it says is in `log`."""
    if core is not None and (os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", str(core), *command]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_port(port: int, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"does not serve: {process.args}\n{log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)


def cpu(pid: int) -> float:
    """Seconds of CPU, user and system, of a process and all below it, with those that have ended."""
    parents, times = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # ended meanwhile
            parents[int(entry.name)] = int(fields[1])
            times[int(entry.name)] = sum(map(int, fields[11:15])) * TICK
    total = 0.0
    for each, took in times.items():
        above = each
        while above not in (pid, 0):
            above = parents.get(above, 0)
        total += took if above == pid else 0
    return total


# --- load ---

class Ask(NamedTuple):
    """One request; `-` is none, or the usual one."""

    method: str
    path: str
    token: str = "-"
    size: int = 0
    host: str = "-"


@dataclass
class Done:
    """What a load did."""

    requests: int
    seconds: float
    refused: int
    """Answers that are not 2xx or 3xx."""


REQUESTS = """
local asked, at = {}, 0
function init(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, token, size, host = line:match("^(%S+) (%S+) (%S+) (%d+) (%S+)$")
    local body = size ~= "0" and string.rep("x", tonumber(size)) or nil
    local headers = { Host = host ~= "-" and host or wrk.headers["Host"] }
    if token ~= "-" then headers["Authorization"] = "Bearer " .. token end
    asked[#asked + 1] = wrk.format(method, path, headers, body)
  end
end
function request()
  at = at % #asked + 1
  return asked[at]
end
"""


def wrk(port: int, requests: list[Ask], folder: Path, connections: int, seconds: float) -> Done:
    """HTTP/1.1 over TLS, kept alive; the requests in turn."""
    (folder / "requests.lua").write_text(REQUESTS)
    (folder / "requests").write_text("".join("{} {} {} {} {}\n".format(*each) for each in requests))
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(folder / "requests.lua"),
        f"https://127.0.0.1:{port}", "--", str(folder / "requests"),
    ]
    out = loaded(command, seconds)
    if errors := re.search(r"Socket errors: .*", out):
        raise SystemExit(f"{errors[0]}\n{command}")
    done = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", out)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return Done(int(done[1]), float(done[2]) * {"ms": 1e-3, "s": 1, "m": 60}[done[3]], int(refused[1]) if refused else 0)


def h2load(port: int, path: str, token: str, connections: int, streams: int, seconds: float) -> Done:
    """HTTP/2 over TLS."""
    command = [
        "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{max(1, round(seconds))}", "--warm-up-time=0",
        "-H", f"authorization: Bearer {token}", f"https://127.0.0.1:{port}{path}",
    ]
    begun = time.monotonic()
    out = loaded(command, seconds)
    took = time.monotonic() - begun
    count = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", out)
    if count is None or int(count[1]) == 0:
        raise SystemExit(f"h2load did nothing:\n{out}")
    return Done(int(count[1]), took, int(count[1]) - int(count[2]))


def loaded(command: list[str], seconds: float) -> str:
    if (cores := os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", f"1-{cores - 1}", *command]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + PATIENCE).stdout


# --- what is fronted, and with what ---

def tokens(count: int, seed: int = 1) -> list[str]:
    """So many different tokens."""
    chosen = random.Random(seed)
    letters = string.ascii_letters + string.digits
    return [f"{number:08d}" + "".join(chosen.choices(letters, k=24)) for number in range(count)]


def token_lines(secrets: list[str], plugins: str = "*") -> Iterator[str]:
    """Lines of a token file."""
    for number, secret in enumerate(secrets):
        digest = hashlib.sha256(secret.encode()).hexdigest()
        yield f'{{"name":"n{number}","level":"service","plugins":["{plugins}"],"scopes":["*"],"sha256":"{digest}"}}\n'


def certificate(folder: Path) -> None:
    """`server.pem`, `server.key`, and both in `both.pem`: P-256, for localhost."""
    subprocess.run([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
        "-subj", "/CN=localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "server.key", "-out", "server.pem",
    ], cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "server.pem").read_text() + (folder / "server.key").read_text())


def document(paths: dict[str, str]) -> str:
    """An OpenAPI document of these paths and methods."""
    made = {
        path: {method: {"operationId": f"op{number}", "summary": "One", "responses": {"200": {"description": "Done"}}}}
        for number, (path, method) in enumerate(paths.items())
    }
    for path, item in made.items():
        names = re.findall(r"\{(\w+)\}", path)
        if names:
            item["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return json.dumps({"openapi": "3.0.3", "info": {"title": "Bench", "version": "1", "description": "A bench."}, "paths": made})


@contextmanager
def upstream(folder: Path) -> Iterator[int]:
    """An nginx: /small, /big, /post takes a body, /echo says what reached it; all else as /small."""
    folder.mkdir(parents=True)
    port = free_port()
    (folder / "big").write_bytes(bytes(range(256)) * (BIG // 256))
    (folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 60s; client_max_body_size 64m; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "{"x" * SMALL}"; }}
    location = /big {{ root {folder}; }}
    location = /post {{ return 200 "ok"; }}
    location = /echo {{ return 200 "authorization=[$http_authorization] for=[$http_x_forwarded_for] proto=[$http_x_forwarded_proto]"; }}
  }}
}}
""")
    cores = os.cpu_count() or 1
    with running([program("nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder)], folder, cores - 1) as process:
        await_port(port, process, folder / "log")
        yield port


def ask(port: int, path: str, authority: Path, token: str | None = None) -> tuple[int, str, str]:
    """Status, body and TLS version of one request."""
    context = ssl.create_default_context(cafile=str(authority))
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
        who = f"Authorization: Bearer {token}\r\n" if token else ""
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{who}Connection: close\r\n\r\n".encode())
        got = b""
        try:
            while piece := tls.recv(65536):
                got += piece
        except ssl.SSLError:
            pass  # an end without a farewell
        head, _, body = got.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body.decode("latin-1"), tls.version() or ""


def speaks_http2(port: int, authority: Path) -> bool:
    context = ssl.create_default_context(cafile=str(authority))
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
        return tls.selected_alpn_protocol() == "h2"
