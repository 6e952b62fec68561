"""Attacks over HTTP/2: the way down to HTTP/1, and floods."""

from __future__ import annotations

import re
import struct
import threading
import time

import hpack.hpack
import pytest

import plugway
from hostile import H2, Answer, Arena, arena, nothing_else_reached, raw_frame  # noqa: F401
from upstreams import Reply

pytestmark = pytest.mark.timeout(60)

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
ENHANCE_YOUR_CALM, PROTOCOL_ERROR = 11, 1


def refused(outcome: Answer | str) -> bool:
    """A 4xx, a reset stream or an ended connection."""
    return isinstance(outcome, str) or 400 <= outcome.status < 500


def check(arena: Arena, fields: list[tuple[str, str]], statuses: set[int] = frozenset(), body: bytes | None = None) -> None:
    """A head that must not go up; with `statuses`, these answers are right (200: and it goes up)."""
    client = H2(arena)
    stream = client.headers(fields, end=body is None)
    if body is not None:
        client.data(stream, body, end=True)
    outcome = client.answer(stream)
    if statuses:
        assert isinstance(outcome, Answer) and outcome.status in statuses, outcome
    else:
        assert refused(outcome), outcome
    up = 1 if isinstance(outcome, Answer) and outcome.status == 200 else 0
    assert len([request for request in arena.reached() if "bystander" not in request.target]) == up
    client.close()
    arena.alive()


def base(method="GET", path="/todos", scheme="http", authority="localhost") -> list[tuple[str, str]]:
    pairs = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    return [(name, value) for name, value in pairs if value is not None]


def test_served(arena: Arena):
    check(arena, base() + [("authorization", f"Bearer {arena.service}")], {200})


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rb", "a\x00b", "\r\n", "a\r\n\r\nGET / HTTP/1.1"])
@pytest.mark.parametrize("name", ["x", "authorization", "cookie", "content-type", "x-forwarded-for", ":path", ":method", ":authority", ":scheme", "host", "te"])
def test_control_characters_in_values(arena: Arena, name, value):
    token = [("authorization", f"Bearer {arena.service}")]
    if name.startswith(":"):
        fields = [(key, old + value if key == name else old) for key, old in base()] + token
    elif name == "authorization":
        fields = base() + [(name, f"Bearer {arena.service}{value}")]
    else:
        fields = base() + token + [(name, value)]
    check(arena, fields)


@pytest.mark.parametrize("name", ["X", "x y", "x:y", "x\r\ny", "x\x00", "", " x", "x ", "x\xe4", ":x", "transfer-encoding\r\n", "a:", "X-Plugway-Principal"])
def test_names(arena: Arena, name):
    check(arena, base() + [("authorization", f"Bearer {arena.service}"), (name, "v")])


@pytest.mark.parametrize(("name", "value"), [
    ("connection", "close"), ("connection", "x-request-id"), ("keep-alive", "1"), ("proxy-connection", "close"),
    ("transfer-encoding", "chunked"), ("transfer-encoding", "identity"), ("upgrade", "websocket"), ("te", "gzip"),
    ("te", "trailers, gzip"), ("te", "chunked"),
])
def test_connection_specific_fields(arena: Arena, name, value):
    """RFC 9113 §8.2.2: malformed. (A list in `te` may be read as none.)"""
    token = [("authorization", f"Bearer {arena.service}")]
    client = H2(arena)
    stream = client.headers(base("POST") + token + [(name, value)], end=False)
    client.data(stream, b"0\r\n\r\n", end=True)
    outcome = client.answer(stream)
    if name != "te":
        assert refused(outcome), outcome
    for request in arena.reached():
        assert request.body == b"0\r\n\r\n"
        assert request.get("te") in (None, "trailers")
    client.close()


@pytest.mark.parametrize("fields", [
    pytest.param(base(method=None), id="no method"),
    pytest.param(base(path=None), id="no path"),
    pytest.param(base(scheme=None), id="no scheme"),
    pytest.param(base(authority=None), id="no authority"),
    pytest.param(base() + [(":path", "/todos/1")], id="two paths"),
    pytest.param(base() + [(":method", "DELETE")], id="two methods"),
    pytest.param(base() + [(":authority", "evil")], id="two authorities"),
    pytest.param(base() + [(":status", "200")], id="a status"),
    pytest.param(base() + [(":protocol", "websocket")], id="a protocol"),
    pytest.param([("x", "y"), *base()], id="a field before them"),
    pytest.param(base() + [("host", "evil")], id="another Host"),
    pytest.param(base() + [("host", "localhost"), ("host", "localhost")], id="Host twice"),
    pytest.param(base() + [("host", "localhost:81")], id="another port in Host"),
    pytest.param(base(authority="evil"), id="an unknown authority"),
    pytest.param(base(authority="user@localhost"), id="user information"),
    pytest.param(base(authority="localhost/x"), id="a path in the authority"),
    pytest.param(base(authority="localhost#x"), id="a fragment in the authority"),
    pytest.param(base(authority="local host"), id="a blank in the authority"),
    pytest.param(base(authority="localhost, evil"), id="two in the authority"),
    pytest.param(base(authority=""), id="an empty authority"),
    pytest.param(base(scheme="file"), id="another scheme"),
    pytest.param(base(scheme="http://evil/?"), id="an address in the scheme"),
    pytest.param(base(scheme=""), id="an empty scheme"),
    pytest.param(base(method="GE T"), id="a blank in the method"),
    pytest.param(base(method="GET /x HTTP/1.1"), id="a request line in the method"),
    pytest.param(base(method=""), id="an empty method"),
    pytest.param(base(method="TRACE"), id="TRACE"),
    pytest.param(base(method="get"), id="get"),
    pytest.param(base(path="todos"), id="a path without a slash"),
    pytest.param(base(path=""), id="an empty path"),
    pytest.param(base(path="*"), id="asterisk"),
    pytest.param(base(path="/todos HTTP/1.1"), id="a blank in the path"),
    pytest.param(base(path="http://evil/todos"), id="an address in the path"),
    pytest.param(base(path="@evil/todos"), id="user information in the path"),
    pytest.param(base(path=":80/todos"), id="a port in the path"),
    pytest.param(base(path="//evil/todos"), id="a network path"),
    pytest.param(base(path="/todos\\..\\internal"), id="backslashes"),
    pytest.param(base(path="/todos\xe4"), id="a path that is not ASCII"),
    pytest.param([(":method", "CONNECT"), (":authority", "localhost:80")], id="CONNECT"),
    pytest.param([(":method", "CONNECT"), (":authority", "localhost"), (":scheme", "http"), (":path", "/todos"), (":protocol", "websocket")], id="extended CONNECT"),
])
def test_pseudo_fields(arena: Arena, fields):
    check(arena, fields + [("authorization", f"Bearer {arena.service}")])


def test_a_fragment_is_cut_or_refused(arena: Arena):
    client = H2(arena)
    outcome = client.answer(client.get("/todos#/../internal"))
    assert refused(outcome) or outcome.status == 200
    assert all(request.target == "/todos" for request in arena.reached())
    client.close()


def test_host_without_authority(arena: Arena):
    check(arena, base(authority=None) + [("host", "localhost"), ("authorization", f"Bearer {arena.service}")], {200})


@pytest.mark.parametrize(("length", "body"), [("5", b"123"), ("3", b"12345"), ("0", b"x"), ("5", None), ("x", b"12345"), ("+5", b"12345"), ("-1", b""), ("18446744073709551616", b"")])
def test_lengths_that_are_not_true(arena: Arena, length, body):
    """The request never ends at the upstream as a whole one."""
    client = H2(arena)
    fields = base("POST") + [("authorization", f"Bearer {arena.service}"), ("content-length", length)]
    stream = client.headers(fields, end=body is None)
    if body is not None:
        client.data(stream, body, end=True)
    outcome = client.answer(stream)
    # Where no body is read at all, none goes up: that is as good as a refusal.
    assert refused(outcome) or body is None or length == "0", outcome
    assert not [request for request in arena.reached() if request.finished and request.body]
    client.close()
    arena.alive()


def test_two_lengths(arena: Arena):
    client = H2(arena)
    stream = client.headers(base("POST") + [("authorization", f"Bearer {arena.service}"), ("content-length", "5"), ("content-length", "6")], end=False)
    client.data(stream, b"12345", end=True)
    assert refused(client.answer(stream))
    assert not [request for request in arena.reached() if request.finished]


def test_credentials(arena: Arena):
    """Each request is asked for its own, on whatever connection it comes."""
    client = H2(arena)
    good, token = ("authorization", f"Bearer {arena.service}"), arena.service
    for extra, status in (
        ([good], 200), ([], 401), ([good, good], 401), ([good], 200), ([("authorization", f"Basic {token}")], 401),
        ([("cookie", f"authorization=Bearer {token}")], 401), ([("x-authorization", f"Bearer {token}")], 401),
        ([("proxy-authorization", f"Bearer {token}")], 401), ([good], 200),
    ):
        outcome = client.answer(client.headers(base() + extra))
        assert isinstance(outcome, Answer) and outcome.status == status, (extra, outcome)
    assert len(arena.reached()) == 3
    assert client.answer(client.headers(base(path=f"/todos?access_token={token}"))).status == 401


def test_forged_facts(arena: Arena):
    forged = [(twin, "forged") for name in ("x-plugway-principal", "x-plugway-token", "x-plugway-level", "x-plugway-plugin", "x-request-id")
              for twin in (name, name.replace("-", "_"), name.replace("-", "."))]
    client = H2(arena)
    assert client.answer(client.get(extra=forged)).status == 200
    assert b"forged" not in arena.reached()[0].raw_head


def test_trailers(arena: Arena):
    """Trailers that would be headers do not go up, and neither do those of nobody's announcing."""
    client = H2(arena)
    fields = base("POST") + [("authorization", f"Bearer {arena.service}"), ("trailer", "digest, authorization, x-plugway-level")]
    stream = client.headers(fields, end=False)
    client.data(stream, b"12345")
    client.headers([("digest", "fine"), ("authorization", f"Bearer {arena.service}"), ("x-plugway-level", "forged"), ("host", "evil"), ("content-length", "9")], stream=stream)
    assert client.answer(stream).status == 200
    request = arena.reached()[0]
    assert request.body == b"12345" and request.trailers == [("digest", "fine")]


@pytest.mark.parametrize("fields", [[(":path", "/evil")], [("x", "a\r\nb")], [("Upper", "x")], [("connection", "close")]], ids=["pseudo", "CRLF", "capital", "connection"])
def test_trailers_that_are_malformed(arena: Arena, fields):
    client = H2(arena)
    stream = client.headers(base("POST") + [("authorization", f"Bearer {arena.service}")], end=False)
    client.data(stream, b"12345")
    client.headers(fields, stream=stream)
    outcome = client.answer(stream)
    assert refused(outcome) or not arena.reached()[0].trailers
    client.close()
    arena.alive()


def test_trailers_without_an_end(arena: Arena):
    """CVE-2026-73513: a second head on a stream that does not end it is malformed."""
    client = H2(arena)
    stream = client.headers(base("POST") + [("authorization", f"Bearer {arena.service}")], end=False)
    client.data(stream, b"12345")
    client.headers([("digest", "x")], end=False, stream=stream)
    client.data(stream, b"67890", end=True)
    assert refused(client.answer(stream))
    assert not [request for request in arena.reached() if request.finished]


# --- limits ---

def test_too_large_a_head(arena: Arena):
    """431, or the stream is reset, or the connection ends; and nothing of it goes up."""
    token = [("authorization", f"Bearer {arena.service}")]
    check(arena, base() + token + [("x", "y" * 40_000)])
    check(arena, base() + token + [(f"x-{number}", "y") for number in range(150)])
    check(arena, base(path="/todos?" + "y" * 40_000) + token)


def test_cookie_crumbs(arena: Arena):
    """CVE-2026-47774: crumbs count, each with its overhead."""
    crumbs = [("cookie", "a=b")] * 3000
    check(arena, base() + [("authorization", f"Bearer {arena.service}")] + crumbs)
    arena.upstream.forget()
    few = [("cookie", f"a{number}=b") for number in range(20)]
    check(arena, base() + [("authorization", f"Bearer {arena.service}")] + few, {200})
    assert arena.upstream.requests[0].get("cookie") == "; ".join(f"a{number}=b" for number in range(20))


def test_a_bomb_of_references(arena: Arena):
    """One large entry in the table, then a byte for each mention of it."""
    memory = rss(arena)
    client = H2(arena)
    value = b"y" * 4000
    insert = b"\x40\x01x" + integer(len(value), 7) + value
    pseudo = client.block(client.fields())
    for _ in range(20):
        stream = client.next_stream()
        block = pseudo + insert + b"\xbe" * 10_000
        try:
            client.wire.send(raw_frame(HEADERS, 5, stream, block[:16_000]) if len(block) <= 16_000 else
                             raw_frame(HEADERS, 1, stream, block[:16_000]) + raw_frame(CONTINUATION, 4, stream, block[16_000:]))
            outcome = client.answer(stream)
        except OSError:
            break
        assert refused(outcome), outcome
        if outcome == "closed" or isinstance(outcome, str) and outcome.startswith("goaway"):
            break
    assert not arena.reached()
    arena.alive()
    assert rss(arena) - memory < 16 << 10, "KiB"


def integer(value: int, bits: int) -> bytes:
    return bytes(hpack.hpack.encode_integer(value, bits))


def rss(arena: Arena) -> int:
    """KiB."""
    text = open(f"/proc/{arena.gateway.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])


# --- floods ---

def flood(client: H2, make, seconds: float = 5.0, most: int = 64 << 20) -> int:
    """Sends what `make` gives until the gateway ends the connection or enough was sent; reads
    what comes, so that nobody is stopped by a full buffer. Gives the bytes sent."""
    stop = threading.Event()

    def drain() -> None:
        try:
            while client.wire.sock.recv(65536):
                pass
        except OSError:
            pass
        stop.set()

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    sent, end = 0, time.monotonic() + seconds
    try:
        while not stop.is_set() and time.monotonic() < end and sent < most:
            piece = make()
            client.wire.sock.sendall(piece)
            sent += len(piece)
    except OSError:
        stop.set()
    client.ended = stop.wait(0.5)
    return sent


class Bystanders:
    """Somebody else, all the while."""

    def __init__(self, arena: Arena):
        self.arena, self.stop, self.fault, self.answered = arena, threading.Event(), None, 0

    def __enter__(self) -> Bystanders:
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.arena.alive(2.0)
                self.answered += 1
                time.sleep(0.02)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.fault = error

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(5)
        assert self.fault is None, self.fault
        assert self.answered


def test_rapid_reset(arena: Arena):
    """CVE-2023-44487."""
    peak = Peak(arena)
    with Bystanders(arena), peak:
        client = H2(arena)
        head = client.block(client.fields(path="/slow"))

        def make() -> bytes:
            pieces = []
            for _ in range(100):
                stream = client.next_stream()
                pieces += [raw_frame(HEADERS, 5, stream, head), raw_frame(RST, 0, stream, struct.pack(">I", 8))]
            return b"".join(pieces)

        flood(client, make, most=40 * len(make()))
    assert client.ended, "4,000 streams were begun and reset"
    assert peak.most <= 100


def test_made_you_reset(arena: Arena):
    """CVE-2025-8671: the client makes the gateway reset its streams."""
    peak = Peak(arena)
    with Bystanders(arena), peak:
        client = H2(arena)
        head = client.block(client.fields(path="/slow"))

        def make() -> bytes:
            pieces = []
            for _ in range(100):
                stream = client.next_stream()
                pieces += [raw_frame(HEADERS, 5, stream, head), raw_frame(WINDOW, 0, stream, struct.pack(">I", 0))]
            return b"".join(pieces)

        flood(client, make, most=40 * len(make()))
    assert client.ended, "4,000 streams were begun and broken"
    assert peak.most <= 100


class Peak:
    """How many requests the upstream had at once."""

    def __init__(self, arena: Arena):
        self.arena, self.most, self.now, self.lock = arena, 0, 0, threading.Lock()

    def __enter__(self) -> None:
        def slow(_request):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.05)
            with self.lock:
                self.now -= 1
            return Reply(200, body=b"slow")
        self.arena.upstream.on("GET", "/slow", slow)

    def __exit__(self, *_: object) -> None:
        pass


def test_streams_are_bounded(arena: Arena):
    """No more at once than `limits.streams`, whatever the client opens; the rest is refused, and
    refused in great numbers it ends the connection."""
    release, never, lock, now = threading.Event(), threading.Event(), threading.Lock(), []

    def slow(request):
        with lock:
            now.append(request.target)
        # What the greedy client asks for stays open: answers would make room for its other streams.
        (never if request.query else release).wait(20)
        return Reply(200, body=b"slow")

    arena.upstream.on("GET", "/slow", slow)
    client = H2(arena)
    streams = [client.get("/slow") for _ in range(180)]
    plugway.eventually(lambda: len(now) >= 100)
    client.ping()
    arena.alive()
    assert len(now) == 100
    release.set()
    assert client.answer(streams[0]).status == 200
    client.close()
    greedy = H2(arena)
    for _ in range(400):
        greedy.get("/slow?greedy")
    greedy.until_closed()
    never.set()
    arena.alive()


def test_continuation_without_an_end(arena: Arena):
    """RUSTSEC-2024-0332."""
    memory = rss(arena)
    with Bystanders(arena):
        for end_stream in (0, 1):
            client = H2(arena)
            stream = client.next_stream()
            client.wire.send(raw_frame(HEADERS, end_stream, stream, client.block(client.fields())))
            sent = flood(client, lambda: raw_frame(CONTINUATION, 0, stream, client.block([("x", "y" * 8000)])))
            assert client.ended, f"{sent} bytes of CONTINUATION were read"
            assert sent < 16 << 20
    assert rss(arena) - memory < 16 << 10, "KiB"
    assert not [request for request in arena.upstream.requests if "bystander" not in request.target]


def test_empty_continuation(arena: Arena):
    with Bystanders(arena):
        client = H2(arena)
        stream = client.next_stream()
        client.wire.send(raw_frame(HEADERS, 1, stream, client.block(client.fields())))
        flood(client, lambda: raw_frame(CONTINUATION, 0, stream) * 1000, seconds=12)
        assert client.ended


def test_empty_data(arena: Arena):
    """RUSTSEC-2026-0258: frames that carry nothing, and cost something."""
    with Bystanders(arena):
        client = H2(arena)
        stream = client.headers(client.fields("POST"), end=False)
        flood(client, lambda: raw_frame(DATA, 0, stream) * 1000)
        assert client.ended, "empty DATA frames without an end were taken"


@pytest.mark.parametrize("frame", [
    pytest.param(lambda: raw_frame(PING, 0, 0, b"12345678"), id="PING"),
    pytest.param(lambda: raw_frame(SETTINGS, 0, 0), id="SETTINGS"),
    pytest.param(lambda: raw_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535) * 100), id="many settings"),
    pytest.param(lambda: raw_frame(PRIORITY, 0, 1, b"\0\0\0\0\0"), id="PRIORITY"),
    pytest.param(lambda: raw_frame(WINDOW, 0, 0, struct.pack(">I", 1)), id="WINDOW_UPDATE"),
    pytest.param(lambda: raw_frame(0xBB, 0, 0, b"x" * 100), id="an unknown type"),
    pytest.param(lambda: raw_frame(SETTINGS, 1, 0), id="acknowledgements"),
])
def test_frames_that_ask_for_nothing(arena: Arena, frame):
    """They may cost a core while they come, not the others their answers, nor memory."""
    memory = rss(arena)
    with Bystanders(arena):
        client = H2(arena)
        piece = frame() * 500
        flood(client, lambda: piece, seconds=1.0)
        client.close()
    assert rss(arena) - memory < 16 << 10, "KiB"


@pytest.mark.parametrize("frame", [
    pytest.param(lambda: raw_frame(PING, 0, 0, b"12345678"), id="PING"),
    pytest.param(lambda: raw_frame(SETTINGS, 0, 0), id="SETTINGS"),
])
def test_answers_that_nobody_reads(arena: Arena, frame):
    """What the gateway has to say does not gather without an end."""
    memory = rss(arena)
    client = H2(arena)
    client.wire.sock.settimeout(1)
    piece = frame() * 1000
    sent = 0
    try:
        while sent < 64 << 20:
            client.wire.sock.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    assert sent < 64 << 20, "it goes on reading"
    arena.alive()
    assert rss(arena) - memory < 16 << 10, "KiB"
    client.close()


@pytest.mark.parametrize("frames", [
    pytest.param(raw_frame(HEADERS, 4, 2, b"\x82"), id="an even stream"),
    pytest.param(raw_frame(DATA, 0, 1, b"x"), id="DATA on an idle stream"),
    pytest.param(raw_frame(DATA, 0, 0, b"x"), id="DATA on stream 0"),
    pytest.param(raw_frame(WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF)), id="a window that overflows"),
    pytest.param(raw_frame(WINDOW, 0, 0, struct.pack(">I", 0)), id="a window of nothing"),
    pytest.param(raw_frame(SETTINGS, 0, 0, b"12345"), id="SETTINGS of five bytes"),
    pytest.param(raw_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0x80000000)), id="a window too large"),
    pytest.param(raw_frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1)), id="frames too small"),
    pytest.param(raw_frame(PING, 0, 0, b"1234"), id="PING of four bytes"),
    pytest.param(raw_frame(PING, 0, 1, b"12345678"), id="PING on a stream"),
    pytest.param(raw_frame(CONTINUATION, 4, 1, b""), id="CONTINUATION of nothing"),
    pytest.param(raw_frame(PUSH, 4, 1, b"\0\0\0\2"), id="PUSH_PROMISE"),
    pytest.param(raw_frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff"), id="HPACK that overflows"),
    pytest.param(raw_frame(HEADERS, 5, 1, b"\xbf\xff"), id="HPACK that names nothing"),
    pytest.param(raw_frame(HEADERS, 0xD, 1, b"\xff\x82"), id="more padding than frame"),
    pytest.param(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 20_000, id="a frame of 16 MiB"),
    pytest.param(b"\x00" * 9 * 100, id="zeros"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20, id="HTTP/1.1"),
])
def test_frames_against_the_protocol(arena: Arena, frames):
    client = H2(arena)
    client.wire.send(frames)
    client.until_closed()
    arena.alive()


def test_a_window_that_overflows_by_settings(arena: Arena):
    """CVE-2026-123007's shape: the window of an open stream is moved past its limit."""
    client = H2(arena)
    stream = client.headers(client.fields("POST"), end=False)
    client.wire.send(raw_frame(WINDOW, 0, stream, struct.pack(">I", 0x7FFFFFFF - 65535)))
    client.wire.send(raw_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0x7FFFFFFF)))
    client.until_closed()
    arena.alive()


@pytest.mark.parametrize("path", ["/slow", "/nowhere"], ids=["that nobody reads", "refused"])
def test_more_than_the_window(arena: Arena, path):
    """The client sends more than it may: the stream or the connection ends, and nothing is kept."""
    memory = rss(arena)
    release = threading.Event()
    arena.upstream.on("POST", "/slow", lambda _request: release.wait(10) and None, early=True)
    client = H2(arena)
    stream = client.headers(client.fields("POST", path=path), end=False)
    flood(client, lambda: raw_frame(DATA, 0, stream, b"x" * 16_000) * 10)
    arena.alive()
    assert rss(arena) - memory < 24 << 10, "KiB"
    release.set()
    client.close()


@pytest.mark.parametrize("path", ["/todos/..%2finternal/reset", "/todos/../internal/reset", "/todos//1", "/todos/1%5c", "/todos/%2e%2e", "/todos/1%2f2", "/%2e/todos"])
def test_paths_that_could_be_read_in_two_ways(arena: Arena, path):
    check(arena, base(path=path) + [("authorization", f"Bearer {arena.service}")])


def test_bodies_of_refused_requests(arena: Arena):
    """They are not forwarded, do not stop the connection, and its next request is its own."""
    client = H2(arena, tls=True)
    for _ in range(50):
        stream = client.headers(client.fields("POST", token="") + [], end=False)
        for _ in range(4):
            client.data(stream, b"x" * 16_000)
        client.data(stream, b"", end=True)
        assert client.answer(stream).status == 401
    assert client.answer(client.get("/todos?after")).status == 200
    assert [request.target for request in arena.reached()] == ["/todos?after"]
