"""An API to put the gateway in front of: it records what reached it, byte for byte, and answers
as a test tells it to."""

from __future__ import annotations

import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# What one hop says to the next. Of `TE` and `Connection` a gateway makes its own, see `check`.
HOP_BY_HOP = {
    "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "upgrade",
    "http2-settings", "expect",
}
OURS = {"x-plugway-principal", "x-plugway-token", "x-plugway-level", "x-plugway-plugin", "x-plugway-hops"}
PATIENCE = 30.0
"""Seconds after which something that a test waits for is not going to happen."""


class Gone(Exception):
    """The gateway closed the connection."""


@dataclass
class Request:
    """One request as it came in."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    raw_head: bytes
    connection: int
    conn: Connection
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    finished: bool = False

    @property
    def path(self) -> str:
        return self.target.split("?", 1)[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def get(self, name: str) -> str | None:
        """The one value of a header; more than one is a fault wherever a test asks."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def read_body(self) -> bytes:
        """Reads what is left of the body."""
        if not self.finished:
            for piece in self.pieces():
                self.body += piece
        return self.body

    def pieces(self) -> Iterable[bytes]:
        """The body as it arrives."""
        conn = self.conn
        if self.get("transfer-encoding") is not None:
            while size := int(conn.line().split(b";")[0], 16):
                yield conn.exactly(size)
                assert conn.line() == b"", "a chunk ends with CRLF"
            while line := conn.line():
                name, _, value = line.decode("latin-1").partition(":")
                self.trailers.append((name, value.strip()))
        else:
            left = int(self.get("content-length") or 0)
            while left:
                piece = conn.some(left)
                left -= len(piece)
                yield piece
        self.finished = True


@dataclass
class Reply:
    """What is answered."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    json: object = None
    chunked: bool = False
    trailers: list[tuple[str, str]] | None = None
    interim: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)
    length: int | None = None
    """A `Content-Length` of its own, such as a wrong one."""
    close: bool = False
    """Close the connection afterwards."""


class Connection:
    """One connection from the gateway."""

    def __init__(self, sock: socket.socket, number: int):
        self.sock, self.number, self.buffer = sock, number, b""
        self.peer = sock.getpeername()
        self.known = True
        """All that was read is in `Upstream.everything`."""
        self.busy = False
        """A handler has it."""

    def is_settled(self) -> bool:
        """Whether nothing that the gateway sent is still to be made known."""
        if self.busy or self.sock.fileno() < 0:
            return True
        return self.known and not select.select([self.sock], [], [], 0)[0]

    def _more(self) -> None:
        self.known = True
        try:
            got = self.sock.recv(65536)
        except OSError as error:
            raise Gone from error
        self.known = False
        if not got:
            raise Gone
        self.buffer += got

    def until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            self._more()
        taken, _, self.buffer = self.buffer.partition(end)
        return taken

    def line(self) -> bytes:
        return self.until(b"\r\n")

    def some(self, most: int) -> bytes:
        if not self.buffer:
            self._more()
        taken, self.buffer = self.buffer[:most], self.buffer[most:]
        return taken

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Gone from error

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def wait_gone(self) -> None:
        """Returns when the gateway has closed the connection."""
        try:
            while True:
                self._more()
        except Gone:
            pass

    def close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


Handler = Callable[[Request], Reply | None]


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said"] + [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(request: Request, reply: Reply) -> None:
    """Writes a reply as its fields say."""
    conn, body = request.conn, reply.body
    headers = list(reply.headers)
    if reply.json is not None:
        body = json.dumps(reply.json).encode()
        headers.append(("Content-Type", "application/json"))
    for status, fields in reply.interim:
        conn.send(head(status, fields))
    bodiless = request.method == "HEAD" or reply.status in (204, 304)
    chunked = reply.chunked or reply.trailers is not None
    if chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif reply.length is not None:
        headers.append(("Content-Length", str(reply.length)))
    elif reply.status not in (204, 304):
        headers.append(("Content-Length", str(len(body))))
    if reply.close:
        headers.append(("Connection", "close"))
    conn.send(head(reply.status, headers) + (b"" if bodiless or chunked else body))
    if chunked and not bodiless:
        if body:
            conn.chunk(body)
        conn.send(b"0\r\n")
        for name, value in reply.trailers or []:
            conn.send(f"{name}: {value}\r\n".encode("latin-1"))
        conn.send(b"\r\n")


class Upstream:
    """The API. `on` says what is answered where; anything else echoes what it saw as JSON."""

    def __init__(self, document: object = None, tls: ssl.SSLContext | None = None, path: object = None,
                 host: str = "127.0.0.1", port: int = 0):
        self.document = document
        self.host = host
        self.path = path
        """A unix socket instead of a port."""
        self.tls = tls
        self.secrets: set[str] = set()
        """What must never be in a request: the gateway's tokens."""
        self.everything: list[Request] = []
        self.forgotten = 0
        self.may_see_secrets = False
        self.handlers: dict[tuple[str, str], tuple[Handler, bool]] = {}
        self.faults: list[BaseException] = []
        self.lock = threading.Lock()
        self.connections: list[Connection] = []
        self.port = port
        self.listener: socket.socket | None = None
        self.start()

    @property
    def url(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """Requests since the last `forget`, without what the gateway asks for itself."""
        own = ("/openapi.json", "/.well-known/ai-plugin.json")
        with self.lock:
            return [r for r in self.everything[self.forgotten:] if r.path not in own]

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def forget(self) -> None:
        with self.lock:
            self.forgotten = len(self.everything)

    def on(self, method: str, path: str, handler: Handler | Reply, early: bool = False) -> None:
        """Answers `method path`; `early`: before the body was read."""
        call = (lambda _request: handler) if isinstance(handler, Reply) else handler
        self.handlers[method, path] = (call, early)

    def start(self) -> None:
        """Listens, on the same port as before if there was one."""
        if self.path:
            self.path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(self.path))
            listener.listen(128)
        else:
            listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(128)
            self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Closes the port and every connection."""
        if self.listener is not None:
            listener, self.listener = self.listener, None
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            connection.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                conn = Connection(sock, len(self.connections))
                self.connections.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def settle(self) -> None:
        """Returns when all that the gateway has sent so far is in `everything`."""
        end = time.monotonic() + PATIENCE
        with socket.create_connection((self.host, self.port)) as mark:
            own = mark.getsockname()
            # Connections are taken in their order: those before this one are there with it.
            while not (any(c.peer == own for c in self.snapshot()) and all(c.is_settled() for c in self.snapshot())):
                assert time.monotonic() < end, "the upstream does not come to rest"
                time.sleep(0.001)

    def snapshot(self) -> list[Connection]:
        with self.lock:
            return list(self.connections)

    def _serve(self, conn: Connection) -> None:
        try:
            if not self.path:
                conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                conn.sock = self.tls.wrap_socket(conn.sock, server_side=True)
            while self._exchange(conn):
                pass
        except (Gone, OSError):
            pass
        except BaseException as error:  # noqa: BLE001 - told to the test that runs
            self.faults.append(error)
        finally:
            conn.close()

    def _exchange(self, conn: Connection) -> bool:
        raw = conn.until(b"\r\n\r\n")
        first, *rest = raw.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        assert version == "HTTP/1.1", first
        pairs = [line.partition(":") for line in rest]
        fields = [(name, value.strip()) for name, _, value in pairs]
        request = Request(method, target, fields, raw, conn.number, conn)
        with self.lock:
            self.everything.append(request)
        handler, early = self._handler(request)
        if not early:
            request.read_body()
        conn.busy = True
        reply = handler(request)
        conn.busy = False
        if reply is None:
            return False
        answer(request, reply)
        return request.finished and not reply.close

    def _handler(self, request: Request) -> tuple[Handler, bool]:
        found = self.handlers.get((request.method, request.path))
        if found is None and request.method == "HEAD":
            found = self.handlers.get(("GET", request.path))
        if found is None and request.path == "/openapi.json" and self.document is not None:
            found = (lambda _request: Reply(json=self.document), False)
        if found is None and request.path == "/.well-known/ai-plugin.json":
            found = (lambda _request: Reply(404), False)
        return found or (self.echo, False)

    def echo(self, request: Request) -> Reply:
        return Reply(json={
            "method": request.method, "target": request.target, "headers": request.headers,
            "body": request.body.decode("latin-1"),
        })

    def check(self) -> None:
        """What must be true of every request that ever came in."""
        assert not self.faults, self.faults
        for request in self.everything:
            check(request, set() if self.may_see_secrets else self.secrets)


def check(request: Request, secrets: set[str]) -> None:
    text = request.raw_head.decode("latin-1")
    for secret in secrets:
        assert secret not in text, f"a token of the gateway reached the upstream:\n{text}"
    names = [name.lower() for name, _ in request.headers]
    switches = (request.get("connection") or "").lower() == "upgrade"
    assert switches == ("upgrade" in names), text
    assert not (HOP_BY_HOP - {"upgrade"}) & set(names), f"hop-by-hop headers reached the upstream:\n{text}"
    if switches:
        # RFC 9110 §7.8: one protocol, for a request without a body.
        assert (request.method, request.body, request.get("te")) == ("GET", b"", None), text
        assert "," not in request.get("upgrade") and not request.get("upgrade").lower().startswith("h2"), text
    elif "connection" in names or "te" in names:
        # RFC 9110 §10.1.4: a gateway that takes trailers says so to its own next hop.
        told = (request.get("te"), (request.get("connection") or "").lower())
        assert told == ("trailers", "te"), f"connection headers reached the upstream:\n{text}"
    assert request.all("transfer-encoding") in ([], ["chunked"]), text
    assert not (request.all("transfer-encoding") and request.all("content-length")), text
    assert names.count("host") == 1, text
    for name, value in request.headers:
        folded = name.lower().replace("_", "-")
        if folded.startswith("x-plugway"):
            assert name.lower() in OURS, f"{name} is not ours:\n{text}"
            assert "forged" not in value, f"the client's own {name} reached the upstream:\n{text}"
            assert names.count(name.lower()) == 1, text


class Held:
    """Requests at an upstream that are answered when a test says so."""

    def __init__(self, upstream: Upstream, path: str, reply: Reply):
        self.came, self.open = threading.Event(), threading.Event()
        self.count = 0

        def handler(_request):
            self.count += 1
            self.came.set()
            assert self.open.wait(PATIENCE)
            return reply

        upstream.on("GET", path, handler)
