"""A program for plugway to be in front of, and the gateway that is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import threading
from pathlib import Path

import plugway
from materials import sha256
from plugway import Gateway, Ran, eventually

PROGRAM = r"""
import http.server, json, os, signal, sys, threading
folder, document = sys.argv[1], json.loads(sys.argv[2])
def note(name, text="-"):
    with open(f"{folder}/.{name}", "w") as file:
        file.write(text)
    os.rename(f"{folder}/.{name}", f"{folder}/{name}")
def wait(name):
    with open(f"{folder}/{name}") as fifo:
        fifo.read()
note("environment", json.dumps(dict(os.environ)))
note("descriptors", json.dumps([os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]))
note("limit", str(__import__("resource").getrlimit(__import__("resource").RLIMIT_NOFILE)[0]))
def end(number, _):
    note("signal", signal.Signals(number).name)
    if os.environ.get("STUBBORN"):
        return
    os._exit(int(os.environ.get("LAST", "0")))
if not os.environ.get("PLAIN"):
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
class Answer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        if self.path == os.environ.get("DOCUMENT", "/openapi.json"):
            body = json.dumps(document).encode()
        elif self.path == "/slow":
            note("asked"); wait("answer"); body = b"late"
        elif self.path == "/todos":
            body = b"[]"
        else:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
note("pid", str(os.getpid()))
if os.path.exists(f"{folder}/listen"):
    wait("listen")
http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer.request_queue_size = 64
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


def free_port() -> int:
    """Nobody has it now, in either family; a port is all that a program can be told before it starts."""
    with socket.socket(socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        return sock.getsockname()[1]


class InFront(Gateway):
    """A gateway in front of a program, as soon as it listens: ready may be later."""

    def __init__(self, folder: Path, arguments: list[str], program: list[str], env: dict[str, str] | None = None,
                 first: bool = False):
        self.program, self.first = program, first
        super().__init__(folder, arguments, env)

    def launch(self, arguments: list[str]) -> tuple[list[str], dict]:
        first = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if self.first else []
        return [*first, plugway.binary(), *arguments, "--", *self.program], {}

    def _await_ready(self) -> tuple[dict, int]:
        def look() -> bool:
            if self.process.poll() is not None:
                for reader in self.readers:
                    reader.join(plugway.PATIENCE)
                raise plugway.NotReady(Ran(self.process.returncode, self.stdout, self.stderr))
            return self.listening("http") is not None

        eventually(look)
        return {}, 0

    def listening(self, kind: str) -> tuple[str, int] | None:
        """From the log: what is ready is told later."""
        found = re.search(rf'listening; waits for the program".*?"kind":"{kind}","address":"([^"]+):(\d+)"', self.stderr)
        return (found[1], int(found[2])) if found else None

    def address(self, kind: str, index: int = 0) -> tuple[str, int]:
        host, port = self.listening(kind) or ("", 0)
        return host.strip("[]").replace("0.0.0.0", "127.0.0.1"), port

    def lines(self) -> list[dict]:
        """Access lines: the ready object may be among them, over several lines."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith('{"time"')]

    def await_greeting(self) -> dict:
        """The ready object."""
        def look() -> dict | None:
            start = self.stdout.find('{\n')
            if start < 0:
                return None
            try:
                return json.JSONDecoder().raw_decode(self.stdout[start:])[0]
            except json.JSONDecodeError:
                return None

        self.ready = eventually(look)
        return self.ready

    def get(self, path: str, token: str | None = None, host: str = "localhost") -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        with socket.create_connection(self.address("http"), timeout=plugway.PATIENCE) as sock:
            auth = f"Authorization: Bearer {token}\r\n" if token else ""
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{auth}Connection: close\r\n\r\n".encode())
            raw = b""
            while piece := sock.recv(65536):
                raw += piece
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (f.split(": ", 1) for f in fields)}, body


class Scene:
    """A folder in which a program says what happens to it."""

    def __init__(self, folder: Path, service: str, document: dict):
        self.folder, self.service, self.document = folder, service, document
        self.port = free_port()
        self.notes = folder / "notes"
        self.notes.mkdir()
        os.mkfifo(self.notes / "answer")
        (folder / "program.py").write_text(PROGRAM)
        self.gateways: list[InFront] = []

    @property
    def program(self) -> list[str]:
        return [sys.executable, str(self.folder / "program.py"), str(self.notes), json.dumps(self.document)]

    def late(self) -> None:
        """It listens only when it is let."""
        os.mkfifo(self.notes / "listen")

    def let(self, name: str) -> None:
        """Opens a pipe that it waits for."""
        with open(self.notes / name, "w"):
            pass

    def note(self, name: str) -> str:
        return eventually(lambda: (self.notes / name).exists() and (self.notes / name).read_text())

    def start(self, *more: str, env: dict[str, str] | None = None, program: list[str] | None = None,
              first: bool = False, command: str = "serve") -> InFront:
        require = ["--require", "service"] if command == "serve" else []
        arguments = [command, "--upstream", f"http://127.0.0.1:{self.port}", *require,
                     "--http", "127.0.0.1:0", "--json", *more]
        if command == "dev":
            arguments += ["--https", "127.0.0.1:0"]
        env = {"PLUGWAY_TOKEN_SHA256": sha256(self.service)} | (env or {})
        gateway = InFront(self.folder, arguments, program or self.program, env, first)
        gateway.secrets.add(self.service)
        self.gateways.append(gateway)
        return gateway

    def end(self) -> None:
        for gateway in self.gateways:
            if gateway.process.poll() is None:
                gateway.process.kill()
                gateway.wait()
            assert "panic" not in gateway.stderr.lower(), gateway.stderr
            for secret in gateway.secrets:
                assert secret not in gateway.stderr + gateway.stdout


def is_gone(pid: int) -> bool:
    """Whether there is no such process, or it is only to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def in_background(call, *arguments):
    """The call's result, when `join` is asked for it. One that nobody asks for may fail."""
    result: list = []

    def work():
        with contextlib.suppress(OSError, IndexError):
            result.append(call(*arguments))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def join():
        thread.join(plugway.PATIENCE)
        assert result, "there is no result"
        return result[0]

    return join
