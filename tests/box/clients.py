"""Clients: httpx with the checks that hold for every response, and bare sockets for what no
library sends."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import httpx

from plugway import Gateway

TIMEOUT = 20.0


class Session:
    """One client with one connection pool."""

    def __init__(self, gateway: Gateway, *, tls: bool = True, http2: bool = False,
                 host: str = "localhost", token: str | None = None, ca: ssl.SSLContext | None = None):
        self.gateway, self.host, self.token, self.tls = gateway, host, token, tls
        _, self.port = gateway.address("https" if tls else "http")
        self.http = httpx.Client(
            http2=http2, http1=not http2, verify=ca if tls and ca else True, timeout=TIMEOUT, trust_env=False,
            base_url=f"{'https' if tls else 'http'}://127.0.0.1:{self.port}",
        )
        self.version = "HTTP/2" if http2 else "HTTP/1.1"
        gateway.after.append(self.close)

    @property
    def origin(self) -> str:
        """The gateway's, as this client knows it."""
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}" if self.host in ("localhost", "127.0.0.1") else self.host

    def _prepared(self, headers: object, token: str | None) -> tuple[list[tuple[str, str]], dict]:
        fields = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        names = {name.lower() for name, _ in fields}
        if "host" not in names:
            fields.insert(0, ("Host", self.authority))
        token = self.token if token is None else token
        if token and "authorization" not in names:
            fields.append(("Authorization", f"Bearer {token}"))
        return fields, {"sni_hostname": self.host}

    def request(self, method: str, path: str, *, headers=None, token: str | None = None, **more) -> httpx.Response:
        fields, extensions = self._prepared(headers, token)
        response = self.http.request(method, path, headers=fields, extensions=extensions, **more)
        check(response, self)
        return response

    @contextmanager
    def stream(self, method: str, path: str, *, headers=None, token: str | None = None, **more) -> Iterator[httpx.Response]:
        fields, extensions = self._prepared(headers, token)
        with self.http.stream(method, path, headers=fields, extensions=extensions, **more) as response:
            check(response, self)
            yield response

    def get(self, path: str, **more) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more) -> httpx.Response:
        return self.request("POST", path, **more)

    def close(self) -> None:
        self.http.close()


def connection(response: httpx.Response) -> tuple:
    """What tells one connection from another: our own address."""
    return response.extensions["network_stream"].get_extra_info("client_addr")


def check(response: httpx.Response, session: Session) -> None:
    """What must be true of every response."""
    names = {name.lower() for name in response.headers}
    assert response.http_version == session.version
    assert len(response.headers.get_list("x-request-id")) == 1, response.headers
    assert response.headers["x-request-id"], response.headers
    for name in names:
        assert not name.startswith(("x-plugway", "fly-replay")), f"{name} is for the upstream"
        assert name not in ("x-powered-by", "via", "alt-svc", "keep-alive", "te"), name
    assert "hyper" not in response.headers.get("server", ""), response.headers
    if session.version == "HTTP/2":
        assert not names & {"connection", "transfer-encoding"}, names
    if response.headers.get("content-type") == "application/problem+json" and response.request.method != "HEAD":
        response.read()
        if "request_id" in response.json():  # else it is the upstream's own
            refusal(response)


def refusal(response: httpx.Response, status: int | None = None, code: str | None = None) -> dict:
    """A refusal of the gateway (RFC 9457), and nothing of its inside in it."""
    assert response.headers["content-type"] == "application/problem+json", response.headers
    response.read()
    if response.request.method == "HEAD":
        return {}
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}, problem
    assert problem["type"] == "about:blank"
    assert problem["title"] and problem["detail"]
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["x-request-id"]
    inside = ("os error", "panicked", "src/", "hyper", "127.0.0.1", "rustls", "errno")
    assert not any(word in response.text for word in inside), response.text
    if status is not None:
        assert response.status_code == status, problem
    if code is not None:
        assert problem["code"] == code, problem
    return problem


class Wire:
    """A bare connection to the plain or the TLS listener."""

    def __init__(self, gateway: Gateway, tls: ssl.SSLContext | None = None, host: str = "localhost"):
        raw = socket.create_connection(gateway.address("https" if tls else "http"), timeout=TIMEOUT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = tls.wrap_socket(raw, server_hostname=host) if tls else raw
        self.sending = threading.Lock()
        self.buffer = b""
        gateway.after.append(self.close)

    def send(self, *parts: bytes | str) -> None:
        """Sends all of it, and nothing of another thread in the midst of it."""
        with self.sending:
            self.sock.sendall(b"".join(p.encode() if isinstance(p, str) else p for p in parts))

    def is_taken(self) -> bool:
        """Whether the gateway has read all that was sent: no system between holds any of it."""
        ours, theirs = self.sock.getsockname()[1], self.sock.getpeername()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, _, queues, *_ = line.split()
            ports = tuple(int(end.rpartition(":")[2], 16) for end in (local, remote))
            unsent, unread = (int(queue, 16) for queue in queues.split(":"))
            if (ports == (ours, theirs) and unsent) or (ports == (theirs, ours) and unread):
                return False
        return True

    def more(self) -> bool:
        """Reads once; false at the end."""
        try:
            got = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            got = b""
        self.buffer += got
        return bool(got)

    def head(self) -> tuple[int, dict[str, str]]:
        """The next response head."""
        while b"\r\n\r\n" not in self.buffer:
            assert self.more(), f"closed before a head: {self.buffer!r}"
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *rest = raw.decode("latin-1").split("\r\n")
        fields = dict((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest))
        return int(first.split(" ")[1]), fields

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            assert self.more(), f"closed too early: {self.buffer!r}"
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            assert self.more(), f"closed too early: {self.buffer!r}"
        taken, _, self.buffer = self.buffer.partition(end)
        return taken

    def rest(self) -> bytes:
        """All until the other side closes."""
        while self.more():
            pass
        return self.buffer

    def quiet(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for a moment."""
        self.sock.settimeout(seconds)
        try:
            return not self.more()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(TIMEOUT)

    def abort(self) -> None:
        """Leaves without a farewell."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.sock.close()


class Frames:
    """A bare HTTP/2 connection to the plain listener, for what httpx neither sends nor shows."""

    def __init__(self, gateway: Gateway):
        self.wire = Wire(gateway)
        self.came: deque[h2.events.Event] = deque()
        _, self.port = gateway.address("http")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.wire.send(self.h2.data_to_send())

    def request(self, method: str, path: str, *headers: tuple[str, str], end: bool = True) -> int:
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":path", path), (":scheme", "http"), (":authority", f"localhost:{self.port}")]
        self.h2.send_headers(stream, [*pseudo, *headers], end_stream=end)
        self.flush()
        return stream

    def data(self, stream: int, data: bytes, end: bool = False) -> None:
        self.h2.send_data(stream, data, end_stream=end)
        self.flush()

    def events(self) -> Iterator[h2.events.Event]:
        """What comes, until the other side closes. What is not taken is there for the next call."""
        while True:
            while self.came:
                yield self.came.popleft()
            try:
                got = self.wire.sock.recv(65536)
            except ConnectionResetError:
                return
            if not got:
                return
            self.came.extend(self.h2.receive_data(got))
            with suppress(ConnectionError):  # the next read tells
                self.flush()

    def until(self, kind: type, stream: int) -> list[h2.events.Event]:
        """What comes for a stream, up to an event of this kind. What comes for others is theirs."""
        seen, others = [], []
        try:
            for event in self.events():
                if getattr(event, "stream_id", None) == stream:
                    seen.append(event)
                    if isinstance(event, kind):
                        return seen
                else:
                    others.append(event)
        finally:
            self.came.extendleft(reversed(others))
        raise AssertionError(f"no {kind.__name__} in {seen}")
