"""Every wait has an end: slow and silent clients, on each listener and in each version."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from clients import Wire
from hostile import H2, PREFACE, Answer, Arena, Hostile, Peer, arena_of, at_once, hostile_of, is_closed, raw_frame, read_answer

pytestmark = pytest.mark.timeout(60)

LIMITS = {"limits": {"request_head": "500ms", "body_idle": "500ms", "body_rate": "10/s", "write_stall": "500ms", "idle": "1s", "upstream_idle": "20s"}}
EARLY, LATE = 0.4, 2.5
"""Seconds before and after which a limit of half a second has not been kept."""

plain_and_tls = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
HEAD = "GET /todos HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with arena_of(LIMITS) as made:
        yield made


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Arena, Hostile]]:
    with hostile_of(LIMITS) as made:
        yield made


@pytest.fixture
def world(place: tuple[Arena, Hostile]) -> Iterator[tuple[Arena, Hostile]]:
    place[1].forget()
    yield place
    place[1].forget()


def both(check: Callable[[Arena, bool], None]) -> Callable[[Arena], None]:
    """A test of both listeners at once."""
    def test(arena: Arena) -> None:
        at_once(check, [(arena, False), (arena, True)])

    test.__doc__ = check.__doc__
    return test


class Clock:
    """Bounds what a test waits for."""

    def __init__(self) -> None:
        self.begun = time.monotonic()

    def within(self, least: float = EARLY, most: float = LATE) -> None:
        passed = time.monotonic() - self.begun
        assert least <= passed <= most, f"{passed:.2f} s"


def dribble(wire: Wire, data: bytes, pause: float = 0.1) -> bool:
    """A byte now and then, until the other side has had enough; false if it never has."""
    wire.sock.settimeout(pause)
    end = time.monotonic() + LATE + 1
    for byte in data:
        try:
            wire.send(bytes([byte]))
            if not wire.sock.recv(65536):
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
        if time.monotonic() > end:
            return False
    return is_closed_any(wire)


def is_closed_any(wire: Wire) -> bool:
    """Closed, whatever was said before."""
    wire.sock.settimeout(LATE + 1)
    try:
        while wire.sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


# --- before a request ---

@both
def test_a_connection_that_says_nothing(arena: Arena, tls: bool):
    clock = Clock()
    wire = raw(arena, tls)
    assert is_closed(wire)
    clock.within()


def raw(arena: Arena, tls: bool) -> Wire:
    """A connection to a listener, without a handshake."""
    wire = Wire.__new__(Wire)
    wire.sock = socket.create_connection(arena.gateway.address("https" if tls else "http"), timeout=20)
    wire.sending, wire.buffer = threading.Lock(), b""
    arena.gateway.after.append(wire.close)
    return wire


def client_hello(arena: Arena) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = arena.certificates.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("part", ["half", "whole", "dribbled"])
def test_a_handshake_that_stands_still(arena: Arena, part):
    hello = client_hello(arena)
    clock = Clock()
    wire = raw(arena, True)
    if part == "dribbled":
        assert dribble(wire, hello)
    else:
        wire.send(hello[: len(hello) // 2] if part == "half" else hello)
        assert is_closed_any(wire)
    clock.within()


@both
def test_nothing_after_the_handshake(arena: Arena, tls: bool):
    clock = Clock()
    assert is_closed(arena.wire(tls))
    clock.within()


def head_stops(arena: Arena, tls: bool, sent: str) -> None:
    clock = Clock()
    wire = arena.wire(tls)
    wire.send(sent)
    assert is_closed_any(wire), "it is not closed"
    clock.within()


def test_a_head_that_stops(arena: Arena):
    at_once(head_stops, [
        (arena, tls, sent) for tls in (False, True) for sent in ("G", "PRI * HT", HEAD, HEAD + "X: ", "\r\n")
    ])


@both
def test_a_head_that_is_dribbled(arena: Arena, tls: bool):
    clock = Clock()
    assert dribble(arena.wire(tls), (HEAD + "X: " + "y" * 1000).encode())
    clock.within()


@both
def test_a_second_head_that_is_dribbled(arena: Arena, tls: bool):
    """The limit is each request's."""
    wire = arena.wire(tls)
    for _ in range(3):
        wire.send(HEAD, arena.auth, "\r\n")
        assert read_answer(wire).status == 200
        time.sleep(0.3)
    clock = Clock()
    assert dribble(wire, (HEAD + "X: " + "y" * 1000).encode())
    clock.within()


@both
def test_an_idle_connection_is_closed(arena: Arena, tls: bool):
    wire = arena.wire(tls)
    wire.send(HEAD, arena.auth, "\r\n")
    assert read_answer(wire).status == 200
    clock = Clock()
    assert is_closed(wire)
    clock.within(0.9)


@both
def test_an_idle_connection_is_kept_that_long(arena: Arena, tls: bool):
    wire = arena.wire(tls)
    for _ in range(3):
        wire.send(HEAD, arena.auth, "\r\n")
        assert read_answer(wire).status == 200
        time.sleep(0.7)


def preface_stops(arena: Arena, tls: bool, sent: bytes) -> None:
    clock = Clock()
    client = H2(arena, tls, begin=False)
    client.polite = False
    client.wire.send(sent)
    client.until_closed(8)
    # A preface alone is a connection that has begun: it may be idle, and is asked to leave.
    clock.within(EARLY, 7 if sent == PREFACE else LATE)


def test_a_preface_that_stops(arena: Arena):
    at_once(preface_stops, [
        (arena, tls, sent) for tls in (False, True) for sent in (
            b"", PREFACE[:10], PREFACE[:23], PREFACE, PREFACE + b"\0\0\0\4", PREFACE + raw_frame(4, 0, 0, bytes(6) * 3)[:-1],
        )
    ])


def frame_stops(arena: Arena, tls: bool, kind: str) -> None:
    client = H2(arena, tls)
    client.ping()
    client.polite = False
    block = client.block(client.fields())
    stream = client.next_stream()
    clock = Clock()
    if kind == "half a frame":
        client.wire.send(raw_frame(1, 5, stream, block)[:-3])
    elif kind == "half a PING":
        client.wire.send(raw_frame(6, 0, 0, b"12345678")[:-3])
    else:
        client.wire.send(raw_frame(1, 1, stream, block[:5]))
        if kind == "half a continuation":
            client.wire.send(raw_frame(9, 4, stream, block[5:])[:-3])
        if kind == "continuation dribbled":
            try:
                for byte in block[5:20]:
                    client.wire.send(raw_frame(9, 0, stream, bytes([byte])))
                    time.sleep(0.08)
            except OSError:
                pass
    client.until_closed(8)
    # h2 itself ends a block of many pieces, with a word, which is given time to arrive.
    clock.within(most=LATE + (2 if kind == "continuation dribbled" else 0))


def test_frames_that_stop(arena: Arena):
    kinds = ("half a frame", "no end of headers", "continuation dribbled", "half a continuation", "half a PING")
    at_once(frame_stops, [(arena, tls, kind) for tls in (False, True) for kind in kinds])


@plain_and_tls
@pytest.mark.parametrize("pings", [False, True], ids=["silent", "with pings"])
def test_an_idle_http2_connection_is_closed(arena: Arena, tls, pings):
    """Frames that ask for nothing do not keep it."""
    client = H2(arena, tls)
    assert client.answer(client.get()).status == 200
    clock = Clock()
    if pings:
        try:
            while time.monotonic() - clock.begun < 0.9:
                client.wire.send(raw_frame(6, 0, 0, b"12345678"))
                time.sleep(0.1)
        except OSError:
            pass
    client.until_closed(8)
    clock.within(0.9)


@both
def test_a_busy_http2_connection_is_kept(arena: Arena, tls: bool):
    """Whatever way its frames are cut by the network."""
    client = H2(arena, tls)
    client.window(0, 1 << 24)
    client.ping()
    end = time.monotonic() + 1.5
    block = client.block(client.fields())
    rest = b""
    streams = []
    while time.monotonic() < end:
        stream = client.next_stream()
        data = rest + raw_frame(1, 5, stream, block)
        # Each write ends within a frame, so that one is always open.
        data, rest = data[:-7], data[-7:]
        client.wire.send(data)
        streams.append(stream)
        if len(streams) > 1:
            answer = client.answer(streams[-2], windows=False)
            assert isinstance(answer, Answer) and answer.status == 200, answer
        time.sleep(0.02)


# --- bodies ---

@plain_and_tls
@pytest.mark.parametrize("sent", ["", "x" * 10], ids=["nothing", "a part"])
def test_a_body_that_stops(world, tls, sent):
    """408, and the upstream is let go."""
    arena, bad = world
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.head()
        if peer.gone(8):
            ended.set()

    bad.script = script
    for framing in ("Content-Length: 100", "Transfer-Encoding: chunked"):
        ended.clear()
        clock = Clock()
        wire = arena.wire(tls)
        body = f"a\r\n{sent}\r\n" if sent and "chunked" in framing else sent
        wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\n{arena.auth}{framing}\r\n\r\n{body}")
        answer = read_answer(wire)
        assert answer.status == 408, answer
        clock.within()
        assert is_closed(wire)
        assert ended.wait(3)


@plain_and_tls
def test_a_body_that_stops_over_http2(world, tls):
    arena, bad = world
    ended = threading.Event()

    def script(peer: Peer) -> None:
        head = peer.head()
        if "GET" in head:
            return peer.ok("mine")
        if peer.gone(8):
            ended.set()

    bad.script = script
    client = H2(arena, tls)
    clock = Clock()
    stream = client.headers(client.fields("POST"), end=False)
    client.data(stream, b"x" * 10)
    answer = client.answer(stream)
    assert answer.status == 408 if isinstance(answer, Answer) else answer.startswith("reset"), answer
    clock.within()
    assert ended.wait(3)
    assert client.answer(client.get()).body == b"mine", "the connection goes on"


@both
def test_a_body_that_trickles(arena: Arena, tls: bool):
    """Each piece in time is in time."""
    wire = arena.wire(tls)
    wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\n{arena.auth}Content-Length: 30\r\n\r\n")
    for _ in range(30):
        wire.send("x")
        time.sleep(0.05)
    answer = read_answer(wire)
    assert answer.status == 200
    assert b'"body": "' + b"x" * 30 in answer.body


@both
def test_a_frame_of_a_body_that_stops(arena: Arena, tls: bool):
    """Half a DATA frame is a body that stops, and so is half of a frame's head behind it."""
    for cut in (5, 12):
        client = H2(arena, tls)
        clock = Clock()
        stream = client.headers(client.fields("POST"), end=False)
        client.wire.send(raw_frame(0, 0, stream, b"x" * 1000)[:cut])
        outcome = client.answer(stream)
        assert outcome in ("closed", "goaway 1") or not isinstance(outcome, Answer) or outcome.status == 408, outcome
        clock.within()
        client.close()


# --- responses ---

def flood_script(ended: threading.Event, kind: str) -> Callable[[Peer], None]:
    """Sends for ever, and tells when the gateway has had enough."""
    def script(peer: Peer) -> None:
        head = peer.head()
        if head is None:
            return
        if "/todos" in head:
            return peer.ok("mine")
        framing = "Content-Length: 1000000000" if kind == "large" else "Content-Type: text/event-stream"
        peer.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")
        peer.sock.settimeout(10)
        while peer.send(b"data: " + b"x" * 65536 + b"\n\n"):
            pass
        ended.set()
    return script


@plain_and_tls
@pytest.mark.parametrize("kind", ["large", "events"])
def test_a_response_that_nobody_takes(world, tls, kind):
    """HTTP/1.1: seen at the socket. The upstream is let go."""
    arena, bad = world
    ended = threading.Event()
    bad.script = flood_script(ended, kind)
    wire = arena.wire(tls)
    wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{arena.auth}\r\n")
    clock = Clock()
    assert ended.wait(8)
    clock.within(0.5, 5)
    assert is_closed_any(wire)


@plain_and_tls
@pytest.mark.parametrize("kind", ["large", "events"])
@pytest.mark.parametrize("window", [0, 100, 65535])
def test_a_stream_that_nobody_takes(world, tls, kind, window):
    """HTTP/2: the stream is reset, the upstream let go, and the connection goes on."""
    arena, bad = world
    ended = threading.Event()
    bad.script = flood_script(ended, kind)
    client = H2(arena, tls, settings={4: window})
    clock = Clock()
    stream = client.get("/events")
    outcome = client.answer(stream, windows=False)
    assert isinstance(outcome, str) and outcome.startswith("reset"), outcome
    clock.within(EARLY, 5)
    assert ended.wait(3)
    client.window(0, 1 << 20)
    client.wire.send(raw_frame(4, 0, 0, struct.pack(">HI", 4, 65535)))
    assert client.answer(client.get("/todos")).body == b"mine"


@plain_and_tls
def test_a_refusal_that_nobody_takes(world, tls):
    """Our own words have the same patience."""
    arena, _ = world
    client = H2(arena, tls, settings={4: 0})
    clock = Clock()
    stream = client.get("/todos", token="")
    outcome = client.answer(stream, windows=False)
    assert isinstance(outcome, str), outcome
    clock.within(EARLY, 8)


@plain_and_tls
def test_a_connection_that_nobody_reads(world, tls):
    """HTTP/2 with all the windows in the world, and no read."""
    arena, bad = world
    ended = threading.Event()
    bad.script = flood_script(ended, "large")
    client = H2(arena, tls, settings={4: 0x7FFFFFFF})
    client.window(0, 0x7FFFFFFF - 65535)
    client.get("/events")
    clock = Clock()
    assert ended.wait(8)
    clock.within(0.5, 6)
    assert is_closed_any(client.wire)


@plain_and_tls
def test_a_slow_reader_is_served(world, tls):
    """It takes a little now and then, and that is enough."""
    arena, bad = world
    size = 600_000

    def script(peer: Peer) -> None:
        while peer.head():
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n" + "x" * size)

    bad.script = script
    wire = arena.wire(tls)
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{arena.auth}\r\n")
    got, end = 0, time.monotonic() + 2
    while time.monotonic() < end:
        piece = wire.sock.recv(2000)
        assert piece, f"cut after {got} bytes"
        got += len(piece)
        time.sleep(0.05)
    assert got < size // 2, "not slow"


@plain_and_tls
def test_a_slow_reader_of_a_stream_is_served(world, tls):
    """It gives a little window now and then, far less than the upstream sends at once."""
    arena, bad = world
    size = 600_000

    def script(peer: Peer) -> None:
        while peer.head():
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n" + "x" * size)

    bad.script = script
    client = H2(arena, tls, settings={4: 20_000})
    client.window(0, 1 << 20)
    stream = client.get("/events")
    stop = threading.Event()

    def slowly() -> None:
        while not stop.wait(0.1):
            client.window(stream, 5_000)

    thread = threading.Thread(target=slowly, daemon=True)
    thread.start()
    threading.Timer(2, lambda: (stop.set(), client.window(stream, 1 << 20))).start()
    answer = client.answer(stream, windows=False)
    stop.set()
    assert isinstance(answer, Answer), f"cut: {answer}"
    assert len(answer.body) == size


@both
def test_nobody_waits_for_the_slow(arena: Arena, tls: bool):
    """All of them at once, and a bystander."""
    wires = []
    for _ in range(50):
        wires.append(raw(arena, tls))
        wire = arena.wire(tls)
        wire.send(HEAD)
        wires.append(wire)
    arena.alive()
    for wire in wires:
        assert is_closed_any(wire)


def test_an_upstream_that_can_not_be_reached():
    """502, and at once; 502 within `upstream_connect` where nobody answers."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    closed = listener.getsockname()[1]
    with hostile_of({"limits": {"upstream_connect": "500ms"}, "plugins": {"todo": {"upstream": {"url": f"http://127.0.0.1:{closed}"}}}}) as (arena, _):
        clock = Clock()
        wire = arena.wire()
        wire.send(HEAD, arena.auth, "\r\n")
        assert read_answer(wire).status == 502
        clock.within(0, 0.5)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    waiting = [socket.socket() for _ in range(4)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
    with hostile_of({"limits": {"upstream_connect": "500ms"}, "plugins": {"todo": {"upstream": {"url": f"http://127.0.0.1:{port}"}}}}) as (arena, _):
        clock = Clock()
        wire = arena.wire()
        wire.send(HEAD, arena.auth, "\r\n")
        assert read_answer(wire).status in (502, 504)
        clock.within()
    for sock in (*waiting, full, listener):
        sock.close()


def test_a_handshake_of_the_upstream_that_stands_still():
    """TLS to the upstream has the same limit as its connection."""
    with hostile_of() as (_, bad):
        bad.script = lambda peer: peer.gone(8) and None
        with hostile_of({"limits": {"upstream_connect": "500ms"}, "plugins": {"todo": {"upstream": {"url": bad.url.replace("http", "https")}}}}) as (arena, _):
            clock = Clock()
            wire = arena.wire()
            wire.send(HEAD, arena.auth, "\r\n")
            assert read_answer(wire).status in (502, 504)
            clock.within()


def test_peers_that_vanish_are_asked_for(world):
    """A stream may be silent for hours; whether the other end is still there is then asked by TCP
    (the fields of /proc/net/tcp: addresses, state, queues, timer; timer 2 is the one of keep-alive)."""
    arena, bad = world
    begun, over = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        if peer.head():
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
            begun.set()
            over.wait(10)

    bad.script = script
    wire = arena.wire()
    wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{arena.auth}\r\n")
    assert begun.wait(5)
    wire.until(b"data: 1")
    ours = wire.sock.getsockname()[1]
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    ends = [(int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16), row[3], row[5].split(":")[0]) for row in rows]
    to_client = [timer for _, remote, state, timer in ends if remote == ours and state == "01"]
    to_upstream = [timer for _, remote, state, timer in ends if remote == bad.port and state == "01"]
    assert to_client == ["02"], to_client
    assert to_upstream == ["02"], to_upstream
    over.set()
    wire.close()
