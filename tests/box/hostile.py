"""What an attacker needs: raw responses, HTTP/2 frames, an upstream that misbehaves; and the oracle
that says whether what reached the upstream is one well-formed request and no more."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import hpack
import pytest
from hyperframe.frame import (
    DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame,
)

import materials
import plugway
from clients import TIMEOUT, Wire
from conftest import World
from upstreams import Request, Upstream

MARK = "smuggled"
"""Stands in every request that hides inside another one."""

# --- the oracle ---

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|QUERY) (/[!-\"$-~]*) HTTP/1\.1")
FIELD = re.compile(rf"({TOKEN}): ?([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
SET_BY_US = {
    "x-plugway-principal": {"chatgpt", "alice"}, "x-plugway-token": {"chatgpt", "alice"},
    "x-plugway-level": {"service", "user"}, "x-plugway-plugin": {"todo"}, "x-plugway-hops": {"1"},
}
ONCE = {"host", "content-length", "transfer-encoding", "x-request-id", "forwarded", "x-forwarded-for",
        "x-forwarded-host", "x-forwarded-proto", *SET_BY_US}


def strict(request: Request, secrets: set[str]) -> None:
    """One well-formed request, with one length at most, and nothing in it that a client can forge."""
    head = request.raw_head.decode("latin-1")
    assert "\r" not in head.replace("\r\n", "") and "\n" not in head.replace("\r\n", ""), repr(head)
    first, *lines = head.split("\r\n")
    assert REQUEST_LINE.fullmatch(first), first
    assert MARK not in first, f"a hidden request reached the upstream:\n{head}"
    names = []
    for line in lines:
        found = FIELD.fullmatch(line)
        assert found, f"not a header field: {line!r}"
        names.append(found[1].lower())
    for name in ONCE:
        assert names.count(name) <= 1, f"{name} more than once:\n{head}"
    assert names.count("host") == 1, head
    assert not ("content-length" in names and "transfer-encoding" in names), head
    for name, value in request.headers:
        folded = re.sub("[^a-z0-9-]", "-", name.lower())
        if folded.startswith("x-plugway"):
            assert value in SET_BY_US[name.lower()], f"{name}: {value}"
        if folded == "transfer-encoding":
            assert (name.lower(), value) == ("transfer-encoding", "chunked")
        if folded == "content-length":
            assert name.lower() == "content-length" and value.isdecimal(), f"{name}: {value}"
        assert folded not in ("expect", "keep-alive", "proxy-authorization"), head
        if folded == "upgrade":
            # Whoever switches says so, for one protocol that is not HTTP again, and sends no body.
            assert (name.lower(), value.lower()) == ("upgrade", "websocket"), head
            assert (request.method, request.get("connection"), request.body) == ("GET", "upgrade", b""), head
    trailers = [name.lower() for name, _ in request.trailers]
    assert not {"authorization", "content-length", "host", "transfer-encoding", "cookie", "te"} & set(trailers)
    assert not any(name.startswith("x-plugway") for name in trailers), trailers
    for secret in secrets:
        assert secret.encode() not in request.raw_head, f"a token of the gateway:\n{head}"
        assert secret.encode() not in request.body or MARK.encode() in request.body
        assert all(secret not in value for _, value in request.trailers)


# --- a gateway for many attacks ---

class Arena(World):
    """A world for a whole file: after each test it is asked what reached the upstream."""

    def reached(self) -> list[Request]:
        """What reached the upstream since the last `forget`, each checked."""
        requests = self.upstream.requests
        for request in requests:
            strict(request, {self.service, self.user})
        return requests

    @property
    def auth(self) -> str:
        return f"Authorization: Bearer {self.service}\r\n"

    def alive(self, seconds: float = 2.0) -> None:
        """A bystander is answered, and soon."""
        begun = time.monotonic()
        wire = self.wire()
        try:
            wire.sock.settimeout(seconds)
            wire.send(f"GET /todos?bystander HTTP/1.1\r\nHost: localhost\r\n{self.auth}Connection: close\r\n\r\n")
            status, _ = wire.head()
            assert status == 200
            assert time.monotonic() - begun < seconds
        finally:
            wire.close()


def at_once(check: Callable[..., None], cases: Iterable[tuple]) -> None:
    """Runs a check for many cases side by side: most of their time is waiting."""
    def run(case: tuple) -> str | None:
        try:
            check(*case)
        except Exception as error:  # noqa: BLE001 - gathered
            return f"{case[1:]}: {type(error).__name__}: {error}"
        return None

    cases = list(cases)
    with ThreadPoolExecutor(len(cases)) as pool:
        faults = [fault for fault in pool.map(run, cases) if fault]
    assert not faults, "\n".join(faults)


@contextmanager
def arena_of(changes: dict | None = None) -> Iterator[Arena]:
    """A running gateway with a recording upstream."""
    folder = Path(tempfile.mkdtemp(prefix="pw-"))
    certificates = materials.Certificates()
    upstream = Upstream(materials.DOCUMENT)
    arena = Arena(folder, upstream, certificates, materials.token("service"), materials.token("user"))
    upstream.secrets.clear()  # `strict` looks for them, and knows of bodies that hold one
    try:
        arena.start(changes)
        yield arena
        arena.gateway.stop()
        upstream.stop()
        upstream.check()
    finally:
        for gateway in arena.gateways:
            gateway.process.kill()
        upstream.stop()
        shutil.rmtree(folder, ignore_errors=True)


def descriptors(arena: Arena) -> int:
    """Files and sockets that the gateway has open."""
    return plugway.descriptors_of(arena.gateway.process.pid)


# --- responses, read strictly ---

@dataclass
class Answer:
    """A response as it stood on the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    whole: bool = True
    """Whether its framing says that it ended."""

    def get(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name}: {values}"
        return values[0] if values else None


class Closed(Exception):
    """The gateway closed the connection before a response began."""


def read_answer(wire: Wire, method: str = "GET") -> Answer:
    """The next response, interim ones included."""
    while b"\r\n\r\n" not in wire.buffer:
        if not wire.more():
            if wire.buffer:
                raise AssertionError(f"cut in a head: {wire.buffer!r}")
            raise Closed
    raw, _, wire.buffer = wire.buffer.partition(b"\r\n\r\n")
    first, *lines = raw.decode("latin-1").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.[01] [1-9][0-9]{2} [ -~]*", first), first
    headers = []
    for line in lines:
        found = FIELD.fullmatch(line)
        assert found, f"not a header field: {line!r}"
        headers.append((found[1].lower(), found[2] or ""))
    answer = Answer(int(first[9:12]), headers)
    length, coding = answer.get("content-length"), answer.get("transfer-encoding")
    assert not (length is not None and coding is not None), headers
    if answer.status < 200 or answer.status in (204, 304) or method == "HEAD":
        return answer
    try:
        if coding is not None:
            assert coding == "chunked", coding
            while size := int(wire.until(b"\r\n"), 16):
                answer.body += wire.exactly(size)
                assert wire.until(b"\r\n") == b""
            while wire.until(b"\r\n"):
                pass
        elif length is not None:
            answer.body = wire.exactly(int(length))
        else:
            answer.body, wire.buffer = wire.rest(), b""
    except AssertionError:
        answer.whole = False
        answer.body += wire.buffer
        wire.buffer = b""
    return answer


def is_closed(wire: Wire, seconds: float = TIMEOUT) -> bool:
    """Whether the gateway closes the connection, without another byte of an answer."""
    wire.sock.settimeout(seconds)
    try:
        while wire.more():
            pass
    except TimeoutError:
        return False
    finally:
        wire.sock.settimeout(TIMEOUT)
    assert not wire.buffer, f"more came: {wire.buffer!r}"
    return True


# --- HTTP/2, frame by frame ---

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def raw_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class H2:
    """An HTTP/2 client that sends what it is told."""

    def __init__(self, arena: World, tls: bool = False, settings: dict | None = None, begin: bool = True):
        self.arena = arena
        context = None
        if tls:
            context = arena.certificates.client()
            context.set_alpn_protocols(["h2"])
        self.wire = Wire(arena.gateway, context)
        if tls:
            assert self.wire.sock.selected_alpn_protocol() == "h2"
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.stream = -1
        self.polite = True
        self.passed: deque[Frame] = deque()
        """What came before the answer to a ping: the answer to a request may be in it."""
        if begin:
            self.wire.send(PREFACE, SettingsFrame(0, settings=settings or {}).serialize())

    def next_stream(self) -> int:
        self.stream += 2
        return self.stream

    def fields(self, method: str = "GET", path: str = "/todos", token: str | None = None,
               extra: list[tuple[str, str]] | None = None) -> list[tuple[str, str]]:
        token = self.arena.service if token is None else token
        fields = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
        if token:
            fields.append(("authorization", f"Bearer {token}"))
        return fields + (extra or [])

    def block(self, fields: list[tuple[str, str]]) -> bytes:
        """HPACK, byte for byte: nothing is indexed, lower-cased or checked."""
        made = b""
        for name, value in fields:
            made += b"\x00"
            for text in (name, value):
                data = text.encode("latin-1")
                made += hpack.hpack.encode_integer(len(data), 7) + data
        return made

    def headers(self, fields: list[tuple[str, str]], end: bool = True, stream: int | None = None) -> int:
        stream = stream or self.next_stream()
        block = self.block(fields)
        first, rest = block[:16000], block[16000:]
        self.wire.send(raw_frame(1, (1 if end else 0) | (0 if rest else 4), stream, first))
        while rest:
            piece, rest = rest[:16000], rest[16000:]
            self.wire.send(raw_frame(9, 0 if rest else 4, stream, piece))
        return stream

    def data(self, stream: int, payload: bytes, end: bool = False) -> None:
        self.wire.send(raw_frame(0, 1 if end else 0, stream, payload))

    def window(self, stream: int, more: int) -> None:
        """Lets the gateway send so many bytes more."""
        try:
            self.wire.send(WindowUpdateFrame(stream, window_increment=more).serialize())
        except OSError:
            pass

    def get(self, path: str = "/todos", **more: object) -> int:
        return self.headers(self.fields(path=path, **more))

    def frame(self) -> Frame | None:
        """The next frame; `None` at the end of the connection. SETTINGS and PING are acknowledged."""
        return self.passed.popleft() if self.passed else self.read()

    def read(self) -> Frame | None:
        """The same, from the wire."""
        wire = self.wire
        while True:
            while len(wire.buffer) < 9:
                if not wire.more():
                    return None
            made, length = Frame.parse_frame_header(memoryview(wire.buffer[:9]))
            while len(wire.buffer) < 9 + length:
                if not wire.more():
                    return None
            made.parse_body(memoryview(wire.buffer[9:9 + length]))
            wire.buffer = wire.buffer[9 + length:]
            if self.polite and isinstance(made, (SettingsFrame, PingFrame)) and "ACK" not in made.flags:
                reply = SettingsFrame(0) if isinstance(made, SettingsFrame) else PingFrame(0, made.opaque_data)
                reply.flags.add("ACK")
                try:
                    wire.send(reply.serialize())
                except OSError:
                    pass
            return made

    def answer(self, stream: int, windows: bool = True) -> Answer | str:
        """The response of a stream, or how it ended: `reset CODE`, `goaway CODE`, `closed`."""
        found: Answer | None = None
        while True:
            try:
                frame = self.frame()
            except ConnectionError:
                return "closed"
            if frame is None:
                return "closed"
            if isinstance(frame, GoAwayFrame):
                # A polite one lets what was begun finish.
                if frame.error_code:
                    return f"goaway {frame.error_code}"
                continue
            if isinstance(frame, HeadersFrame):
                fields = [(str(n), str(v)) for n, v in self.decoder.decode(frame.data)]
                if frame.stream_id == stream and found is None:
                    found = Answer(int(fields[0][1]), fields[1:])
            if isinstance(frame, DataFrame) and windows and frame.flow_controlled_length:
                self.window(0, frame.flow_controlled_length)
            if frame.stream_id != stream:
                continue
            if isinstance(frame, RstStreamFrame):
                if found and found.whole and frame.error_code == 0:
                    return found
                return f"reset {frame.error_code}"
            if isinstance(frame, DataFrame):
                found.body += frame.data
                if windows and frame.flow_controlled_length:
                    self.window(stream, frame.flow_controlled_length)
            if "END_STREAM" in frame.flags:
                return found

    def until_closed(self, seconds: float = TIMEOUT) -> int | None:
        """The code of the last GOAWAY, when the connection has ended; fails if it does not."""
        code, end = None, time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            assert left > 0, f"the connection is not ended within {seconds} s"
            self.wire.sock.settimeout(left)
            try:
                frame = self.frame()
            except TimeoutError:
                continue
            except OSError:
                return code
            if frame is None:
                return code
            if isinstance(frame, GoAwayFrame):
                code = frame.error_code

    def ping(self) -> None:
        """Waits until the gateway has seen all that was sent."""
        mark = struct.pack(">II", 0xC0FFEE, self.stream + 1)
        self.wire.send(PingFrame(0, opaque_data=mark).serialize())
        while True:
            frame = self.read()
            assert frame is not None, "closed"
            if isinstance(frame, PingFrame) and "ACK" in frame.flags and frame.opaque_data == mark:
                return
            self.passed.append(frame)

    def close(self) -> None:
        self.wire.close()


BUSY = {"requests_per_connection": 1_000_000_000}
"""How fast a machine is must not decide whether `Busy` keeps its connections."""


class Busy:
    """Keeps the workers busy with documents, which need no upstream."""

    def __init__(self, arena: World, clients: int = 2):
        self.arena, self.stop, self.faults = arena, threading.Event(), []
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Busy:
        for thread in self.threads:
            thread.start()
        return self

    def _run(self) -> None:
        try:
            client = H2(self.arena)
            block = client.block(client.fields(path="/openapi.json"))
            while not self.stop.is_set():
                streams = {client.next_stream() for _ in range(50)}
                client.wire.send(b"".join(raw_frame(1, 5, stream, block) for stream in sorted(streams)))
                while streams:
                    frame = client.frame()
                    assert frame is not None and not isinstance(frame, (RstStreamFrame, GoAwayFrame)), frame
                    if isinstance(frame, DataFrame):
                        client.window(0, frame.flow_controlled_length)
                        if "END_STREAM" in frame.flags:
                            streams.discard(frame.stream_id)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.faults.append(error)

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(10)
        assert not self.faults, self.faults


# --- an upstream that misbehaves ---

class Peer:
    """A connection from the gateway to a hostile upstream."""

    def __init__(self, sock: socket.socket, number: int):
        self.sock, self.number, self.buffer = sock, number, b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def more(self) -> bool:
        try:
            got = self.sock.recv(65536)
        except OSError:
            return False
        self.buffer += got
        return bool(got)

    def head(self) -> str | None:
        """The next request head; `None` when the gateway closes."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return raw.decode("latin-1")

    def send(self, data: bytes | str) -> bool:
        try:
            self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        except OSError:
            return False
        return True

    def ok(self, body: str, extra: str = "") -> None:
        self.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{extra}\r\n{body}")

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def gone(self, seconds: float = TIMEOUT) -> bool:
        """Whether the gateway closes this connection within a time."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


@dataclass
class Hostile:
    """Listens, and lets `script` have each connection. What a script raises fails the test."""

    script: Callable[[Peer], None] | None = None
    peers: list[Peer] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        return sum(1 for peer in self.peers if peer.sock.fileno() >= 0)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            with self.lock:
                peer = Peer(sock, len(self.peers))
                self.peers.append(peer)
            if self.script:
                self.script(peer)
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001 - told to the test that runs
            self.faults.append(error)
        finally:
            sock.close()

    def forget(self) -> None:
        """Closes all connections; the next one is number 0."""
        with self.lock:
            peers, self.peers = self.peers, []
        for peer in peers:
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        faults, self.faults = self.faults, []
        assert not faults, faults

    def stop(self) -> None:
        self.listener.close()
        self.forget()


@contextmanager
def hostile_of(changes: dict | None = None, tls: bool = False) -> Iterator[tuple[Arena, Hostile]]:
    """A running gateway in front of a hostile upstream. One worker: every client shares its pool."""
    folder = Path(tempfile.mkdtemp(prefix="pw-"))
    certificates = materials.Certificates()
    bad = Hostile(tls=certificates.server("127.0.0.1") if tls else None)
    upstream = Upstream(materials.DOCUMENT)  # only for its place in `World`
    arena = Arena(folder, upstream, certificates, materials.token("service"), materials.token("user"))
    plugway.write(folder, plugway.json.dumps(materials.DOCUMENT), "openapi.json")
    target: dict = {"url": bad.url}
    if tls:
        target["ca"] = str(certificates.write_ca(folder / "ca.pem"))
    own = {"workers": 1, "limits": BUSY, "plugins": {"todo": {"upstream": target, "openapi": {"source": "./openapi.json"}}}}
    try:
        arena.start(materials.merge(own, changes or {}))
        yield arena, bad
        arena.gateway.stop()
        bad.stop()
    finally:
        for gateway in arena.gateways:
            gateway.process.kill()
        upstream.stop()
        bad.listener.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with arena_of() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_else_reached(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test in an arena: the oracle, over all that reached the upstream."""
    made = request.getfixturevalue("arena") if "arena" in request.fixturenames else None
    if made:
        # What the test before sent and did not wait for.
        made.upstream.settle()
        made.upstream.forget()
    yield
    if made:
        made.reached()
        assert not made.upstream.faults, made.upstream.faults
