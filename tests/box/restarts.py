"""What restarts are tested with: a launcher that hands sockets over, a service manager's socket, and
clients that follow HTTP's rules to the letter and count what these do not forgive."""

from __future__ import annotations

import http.client
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import hpack

import plugway
from plugway import Gateway

LAUNCH = """
import fcntl, os, sys
count = int(sys.argv[1])
numbers = [int(fd) for fd in sys.argv[2:2 + count]]
given = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in numbers]
for fd in numbers:
    os.set_inheritable(fd, False)
for place, fd in enumerate(given):
    os.dup2(fd, 3 + place)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(count)
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""
"""What a service manager does between fork and exec."""


def listening(backlog: int = 1024) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    return sock


def port_of(sock: socket.socket) -> int:
    return sock.getsockname()[1]


class Activated(Gateway):
    """A gateway that is started with sockets."""

    def __init__(self, folder: Path, sockets: list[socket.socket], env: dict[str, str] | None = None):
        self.given = sockets
        super().__init__(folder, ["serve", "--config", "plugway.toml", "--json"], env)

    def launch(self, arguments: list[str]) -> tuple[list[str], dict]:
        numbers = [str(sock.fileno()) for sock in self.given]
        command = [sys.executable, "-c", LAUNCH, str(len(numbers)), *numbers, *super().launch(arguments)[0]]
        return command, {"pass_fds": [sock.fileno() for sock in self.given]}


def successor(world, *more: str) -> Gateway:
    """One that takes over from the world's last."""
    return world.run("serve", "--config", "plugway.toml", "--take-over", *more)


class Manager:
    """Where a service manager listens."""

    def __init__(self, address: str):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self.sock.settimeout(plugway.PATIENCE)

    def message(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())

    def until(self, **fields: str) -> dict[str, str]:
        """The next message with these fields."""
        while True:
            message = self.message()
            if fields.items() <= message.items():
                return message


# --- load ---


class Failed(Exception):
    """What HTTP's rules do not forgive."""


class Again(Exception):
    """It was not answered, and may be sent again: the connection was closed while it was idle."""


class OneOne:
    """HTTP/1.1 with keep-alive."""

    def __init__(self, port: int, token: str):
        self.port, self.headers = port, {"Host": f"localhost:{port}", "Authorization": f"Bearer {token}"}
        self.http, self.used = None, False

    def get(self, path: str) -> None:
        try:
            if self.http is None:
                self.http, self.used = http.client.HTTPConnection("127.0.0.1", self.port, timeout=plugway.PATIENCE), False
            self.http.request("GET", path, headers=self.headers)
            answer = self.http.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            used = self.used
            self.close()
            if used:
                raise Again from error
            raise Failed(f"a new connection: {error!r}") from error
        body = answer.read()
        self.used = True
        if answer.will_close:
            self.close()
        if answer.status != 200:
            raise Failed(f"{answer.status} {body!r}")

    def close(self) -> None:
        if self.http:
            self.http.close()
        self.http = None


class Fresh(OneOne):
    """A connection for each request."""

    def get(self, path: str) -> None:
        super().get(path)
        self.close()


class Two:
    """HTTP/2 by prior knowledge. The usual library takes a GOAWAY for the end of all streams."""

    def __init__(self, port: int, token: str):
        self.port, self.token, self.sock = port, token, None

    def open(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=plugway.PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.stream, self.last, self.buffer, self.status = -1, None, b"", None
        self.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))

    def get(self, path: str) -> None:
        if self.sock is None:
            self.open()
        self.stream += 2
        fields = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", f"localhost:{self.port}"),
                  ("authorization", f"Bearer {self.token}")]
        try:
            self.sock.sendall(frame(1, 5, self.stream, self.encoder.encode(fields)))
            self.answer()
        except ConnectionError as error:
            self.close()
            raise Failed(f"stream {self.stream}: {error!r}") from error
        if self.last is not None:
            self.close()

    def answer(self) -> None:
        """Reads until the stream ends."""
        while True:
            kind, flags, stream, payload = self.read()
            if kind == 7:
                last, code = struct.unpack(">II", payload[:8])
                self.last = last & 0x7FFFFFFF
                if code:
                    self.close()
                    raise Failed(f"GOAWAY with error {code}")
                if self.stream > self.last:
                    self.close()
                    raise Again  # RFC 9113 §6.8: it was not acted on
            elif kind == 3 and stream == self.stream:
                self.close()
                raise Failed(f"stream reset: {payload.hex()}")
            elif kind == 1 and stream == self.stream:
                self.status = dict(self.decoder.decode(payload))[":status"]
            if kind in (0, 1) and stream == self.stream and flags & 1:
                if self.status != "200":
                    raise Failed(f"status {self.status}")
                return

    def read(self) -> tuple[int, int, int, bytes]:
        head = self.exactly(9)
        length, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
        payload = self.exactly(length)
        if kind in (4, 6) and not flags & 1:
            self.sock.sendall(frame(kind, 1, 0, payload if kind == 6 else b""))
        if kind == 0 and length:
            grown = length.to_bytes(4, "big")
            self.sock.sendall(frame(8, 0, 0, grown) + (b"" if flags & 1 else frame(8, 0, stream, grown)))
        return kind, flags, stream, payload

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            got = self.sock.recv(65536)
            if not got:
                raise ConnectionResetError(f"closed; GOAWAY: {self.last}")
            self.buffer += got
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def close(self) -> None:
        if self.sock:
            self.sock.close()
        self.sock = None


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class Load:
    """Clients that ask without a pause until told to stop."""

    def __init__(self, port: int, token: str, kinds: tuple = (OneOne, Two, Fresh), path: str = "/todos/1"):
        self.stop = threading.Event()
        self.path = path
        self.faults: list[str] = []
        self.count = {kind.__name__: 0 for kind in kinds}
        self.again = dict(self.count)
        self.worst = 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.ask, args=(kind, kind(port, token))) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def ask(self, kind: type, client: OneOne | Two) -> None:
        name = kind.__name__
        while not self.stop.is_set():
            begun = time.monotonic()
            try:
                try:
                    client.get(self.path)
                except Again:
                    self.again[name] += 1
                    client.get(self.path)
                self.count[name] += 1
            except Exception as error:  # noqa: BLE001 - told by `end`
                self.faults.append(f"{name}: {error!r}")
                client.close()
            with self.lock:
                self.worst = max(self.worst, time.monotonic() - begun)
        client.close()

    def progress(self, more: int = 20) -> None:
        """Waits until each client had some more answers."""
        before = dict(self.count)
        plugway.eventually(lambda: self.faults or all(self.count[name] >= before[name] + more for name in before))

    def end(self) -> str:
        self.stop.set()
        for thread in self.threads:
            thread.join(plugway.PATIENCE)
        return (f"requests {self.count}, sent again as HTTP allows {self.again}, failed {len(self.faults)}, "
                f"slowest {self.worst * 1e3:.0f} ms")

