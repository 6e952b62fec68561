"""Upstreams that misbehave: one answer for one request, whole or visibly cut, and never another's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from clients import Wire
from hostile import H2, Answer, Arena, Busy, Hostile, Peer, descriptors, hostile_of, read_answer
from plugway import connections_of, eventually

pytestmark = pytest.mark.timeout(60)

World = tuple[Arena, Hostile]


@pytest.fixture(scope="module")
def place() -> Iterator[World]:
    with hostile_of() as made:
        yield made


@pytest.fixture
def world(place: World) -> Iterator[World]:
    """The gateway of the file, with no connection left from the test before."""
    place[1].forget()
    yield place
    place[1].forget()


def request(arena: Arena, method: str, path: str, body: str, fields: str = "") -> str:
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{arena.auth}{length}{fields}\r\n{body}"


def ask(arena: Arena, path: str = "/todos", method: str = "GET", body: str = "", wire: Wire | None = None) -> Answer:
    """One request, on a connection of its own unless one is given."""
    own = wire or arena.wire()
    own.send(request(arena, method, path, body))
    answer = read_answer(own, method)
    if wire is None:
        own.close()
    return answer


def each(handle: Callable[[Peer, str], bool | None]) -> Callable[[Peer], None]:
    """A script that reads heads and bodies, and ends the connection when `handle` gives False."""
    def script(peer: Peer) -> None:
        while (head := peer.head()) is not None:
            length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
            while len(peer.buffer) < length and peer.more():
                pass
            peer.buffer = peer.buffer[length:]
            if handle(peer, head) is False:
                return
    return script


def says(raw: str | bytes, then: str = "stay") -> Callable[[Peer], None]:
    """Answers all requests with these bytes."""
    def handle(peer: Peer, _head: str) -> bool:
        peer.send(raw)
        if then == "reset":
            # What was sent is to arrive first.
            time.sleep(0.05)
            peer.reset()
        return then == "stay"
    return each(handle)


OK = "HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("raw", [
    pytest.param("", id="nothing"),
    pytest.param("HTTP/1.1 2", id="half a status line"),
    pytest.param(OK, id="half a head"),
    pytest.param(OK + "Content-Length: 5\r\n", id="a head without its end"),
    pytest.param("garbage\r\n\r\n", id="garbage"),
    pytest.param("\x16\x03\x01\x02\x00", id="TLS"),
    pytest.param("HTTP/2.0 200 OK\r\n\r\n", id="another version"),
    pytest.param("HTTP/1.1 20 OK\r\n\r\n", id="a status of two digits"),
    pytest.param("HTTP/1.1 2000 OK\r\n\r\n", id="a status of four digits"),
    pytest.param("HTTP/1.1 099 OK\r\n\r\n", id="a status below 100"),
    pytest.param(OK + "X\x00: y\r\n\r\n", id="NUL in a name"),
    pytest.param(OK + "X: a\x00b\r\n\r\n", id="NUL in a value"),
    pytest.param(OK + "X: a\rb\r\n\r\n", id="CR in a value"),
    pytest.param(OK + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456", id="two lengths"),
    pytest.param(OK + "Content-Length: 5, 6\r\n\r\n123456", id="two lengths in a list"),
    pytest.param(OK + "Content-Length: -1\r\n\r\n12345", id="a length below nothing"),
    pytest.param(OK + "Content-Length: +5\r\n\r\n12345", id="a length with a plus"),
    pytest.param(OK + "Content-Length: x\r\n\r\n12345", id="a length in letters"),
    pytest.param(OK + "Content-Length: \r\n\r\n12345", id="an empty length"),
    pytest.param(OK + "Content-Length: 18446744073709551616\r\n\r\n12345", id="a length of 2^64"),
    pytest.param(OK + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="length and chunked"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\n12345\r\n0\r\n\r\n", id="chunked and length"),
    pytest.param(OK + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="a list of codings"),
    pytest.param(OK + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", id="a list that ends otherwise"),
    pytest.param(OK + "Transfer-Encoding: identity\r\n\r\n12345", id="identity"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked twice"),
    pytest.param("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked in HTTP/1.0"),
    pytest.param("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", id="an upgrade unasked"),
    pytest.param(OK + "X: " + "y" * 2_000_000 + "\r\n\r\n", id="a giant value"),
    pytest.param(OK + "X: y\r\n" * 100_000 + "\r\n", id="a head of a hundred thousand lines"),
    pytest.param("HTTP/1.1 200 " + "x" * 2_000_000 + "\r\n\r\n", id="a giant reason"),
    pytest.param("HTTP/1.1 100 Continue\r\n\r\n" * 100_000, id="interim answers without an end"),
    pytest.param("HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n" * 100_000, id="early hints without an end"),
])
@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_answer(world: World, raw, then, method):
    """502 in the gateway's own words, with nothing of what came; and the next request is well."""
    arena, bad = world
    bad.script = says(raw, then)
    answer = ask(arena, method=method)
    assert answer.status == 502, answer
    assert b"upstream_broken" in answer.body
    assert b"12345" not in answer.body and b"websocket" not in answer.body
    bad.script = says(OK + "Content-Length: 2\r\n\r\nok")
    answer = ask(arena, method=method)
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize(("raw", "body"), [
    pytest.param(OK + "Content-Length: 10\r\n\r\n12345", b"12345", id="length"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", b"12345", id="between chunks"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\n\r\n9\r\n12345", b"12345", id="in a chunk"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n", b"12345", id="before the last line"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n", b"12345", id="a broken size"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345x\r\n0\r\n\r\n", b"12345", id="a chunk too long"),
    pytest.param(OK + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n10000000000000000\r\n", b"12345", id="a size too large"),
])
@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_cut_body_is_not_presented_as_whole(world: World, raw, body, then):
    arena, bad = world
    bad.script = says(raw, then)
    answer = ask(arena)
    assert answer.status == 200
    assert not answer.whole, "a cut body ends as if it were whole"
    assert answer.body.endswith(b"12345") or b"12345" in answer.body or then == "reset"
    client = H2(arena)
    outcome = client.answer(client.get())
    assert isinstance(outcome, str) and outcome.startswith("reset"), outcome
    assert ask(arena, path="/todos/1").status == 200  # the connection of somebody else
    client.close()


def test_broken_bodies_do_not_cost_the_client_its_connection(world: World):
    """A stream that is reset for the upstream's sake is not held against the client."""
    arena, bad = world
    bad.script = says(OK + "Content-Length: 10\r\n\r\n12345", "close")
    client = H2(arena)
    for _ in range(300):
        outcome = client.answer(client.get())
        assert isinstance(outcome, str) and outcome.startswith("reset"), outcome


def test_a_body_that_ends_with_the_connection(world: World):
    """RFC 9112 §6.3: without a length the end is the end. A reset is none."""
    arena, bad = world
    bad.script = says(OK + "\r\n12345", "close")
    answer = ask(arena)
    assert (answer.status, answer.body, answer.whole) == (200, b"12345", True)
    bad.script = says(OK + "\r\n12345", "reset")
    answer = ask(arena)
    assert (answer.status, answer.whole) == (200, False)


def test_http10_answers(world: World):
    arena, bad = world
    for raw, then in (
        ("HTTP/1.0 200 OK\r\n\r\n12345", "close"), ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n12345", "close"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n12345", "stay"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n12345", "stay"),
    ):
        bad.script = says(raw, then)
        for _ in range(3):
            answer = ask(arena)
            assert (answer.status, answer.body, answer.whole) == (200, b"12345", True)


# --- the pool ---

POISON = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Poison: yes\r\n\r\npoison"


@pytest.mark.parametrize("first", [
    pytest.param("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", id="length"),
    pytest.param("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", id="no body"),
    pytest.param("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n", id="chunked"),
    pytest.param("HTTP/1.1 204 No Content\r\n\r\n", id="204"),
    pytest.param("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n", id="304"),
    pytest.param("HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n", id="204 with a length"),
])
@pytest.mark.parametrize("pause", [0, 0.001], ids=["at once", "later"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_surplus_bytes_reach_nobody(world: World, first, pause, method):
    """More than one answer to one request: the second is not the next client's, once it is there
    when that one comes."""
    arena, bad = world
    sent = threading.Event()

    def handle(peer: Peer, head: str) -> None:
        if "/todos/victim" in head:
            return peer.ok("mine")
        if pause:
            peer.send(first)
            time.sleep(pause)
            peer.send(POISON)
        else:
            peer.send(first + POISON)
        sent.set()

    bad.script = each(handle)
    for number in range(5):
        sent.clear()
        assert ask(arena, method=method).status in (200, 204, 304)
        assert sent.wait(5)
        victim = ask(arena, path=f"/todos/victim{number}")
        assert (victim.status, victim.body, victim.get("x-poison")) == (200, b"mine", None), victim


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_surplus_bytes_are_seen_by_a_busy_worker(tls):
    """They have arrived before the next request is sent, and the worker has had no time to look:
    it must look before it sends."""
    with hostile_of(tls=tls) as (arena, bad):
        sent = threading.Event()

        def handle(peer: Peer, head: str) -> None:
            if "/todos/victim" in head:
                return peer.ok("mine")
            peer.ok("first")
            time.sleep(0.001)
            peer.send(POISON)
            sent.set()

        bad.script = each(handle)
        wire = arena.wire()
        with Busy(arena):
            for number in range(100):
                sent.clear()
                assert ask(arena, wire=wire).body == b"first"
                assert sent.wait(5)
                victim = ask(arena, path=f"/todos/victim{number}", wire=wire)
                assert (victim.body, victim.get("x-poison")) == (b"mine", None), f"after {number}: {victim}"
        wire.close()


def test_an_end_is_seen_by_a_busy_worker(world: World):
    """The same for a connection that was closed: a POST is not sent on it."""
    arena, bad = world
    ended = threading.Event()

    def handle(peer: Peer, _head: str) -> bool:
        peer.ok("fine")
        peer.sock.shutdown(socket.SHUT_RDWR)
        ended.set()
        return False

    bad.script = each(handle)
    wire = arena.wire()
    with Busy(arena):
        for number in range(200):
            ended.clear()
            answer = ask(arena, method="POST", body="x", wire=wire)
            assert answer.status == 200, f"after {number}: {answer}"
            assert ended.wait(5)
    wire.close()


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_connections_closed_between_requests_cost_nothing(method, tls):
    """An upstream that closes its idle connections without saying so: nobody sees it, whatever
    the method, since nothing of the request was sent."""
    with hostile_of(tls=tls) as (arena, bad):
        ended = threading.Event()

        def handle(peer: Peer, _head: str) -> bool:
            peer.ok("fine")
            peer.sock.shutdown(socket.SHUT_RDWR)
            ended.set()
            return False

        bad.script = each(handle)
        wire = arena.wire()
        path = "/todos/1" if method == "DELETE" else "/todos"
        for number in range(200):
            ended.clear()
            answer = ask(arena, path, method, "x" if method == "POST" else "", wire)
            assert (answer.status, answer.body) == (200, b"fine"), f"{number}: {answer}"
            assert ended.wait(5)
        wire.close()


def test_a_connection_that_breaks_after_the_request(world: World):
    """A GET on a used connection is made once more; a POST that may have arrived is not."""
    arena, bad = world
    seen: list[str] = []

    def handle(peer: Peer, head: str) -> bool:
        seen.append(head.split(" ")[0])
        if peer.number == 0 and len(seen) == 2 or seen[-1] == "POST":
            return False
        peer.ok("fine")
        return True

    bad.script = each(handle)
    assert ask(arena).body == b"fine"
    assert ask(arena).body == b"fine"
    assert seen == ["GET", "GET", "GET"], seen
    seen.clear()
    # The connection of the third request is idle now; the next one breaks it.
    assert ask(arena, method="POST", body="x").status == 502
    assert seen == ["POST"], "it was sent twice"


def test_connection_close_is_heeded(world: World):
    arena, bad = world
    bad.script = each(lambda peer, _head: peer.ok("fine", "Connection: close\r\n"))
    for _ in range(5):
        assert ask(arena).body == b"fine"
    assert len(bad.peers) == 5


def test_one_connection_for_many_clients(world: World):
    """The pool is one: whoever asks next has it."""
    arena, bad = world
    bad.script = each(lambda peer, head: peer.ok(head.split(" ")[1]))
    for number in range(20):
        assert ask(arena, path=f"/todos/{number}").body == f"/todos/{number}".encode()
    assert len(bad.peers) == 1


# --- time ---

SHORT = {"limits": {"upstream_idle": "1s"}, "plugins": {"todo": {"upstream": {"timeout": "1s"}}}}


@pytest.fixture(scope="module")
def short_place() -> Iterator[World]:
    with hostile_of(SHORT) as made:
        yield made


@pytest.fixture
def short(short_place: World) -> Iterator[World]:
    short_place[1].forget()
    yield short_place
    short_place[1].forget()


@pytest.mark.parametrize("dribble", [b"", b"H", OK.encode(), b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["nothing", "a letter", "a line", "100"])
def test_an_upstream_that_never_answers(short: World, dribble):
    arena, bad = short
    ended = threading.Event()

    def script(peer: Peer) -> None:
        if peer.head() is None:
            return
        peer.send(dribble)
        if peer.gone(10):
            ended.set()

    bad.script = script
    begun = time.monotonic()
    answer = ask(arena)
    assert answer.status == 504 and b"upstream_timeout" in answer.body
    assert 0.8 < time.monotonic() - begun < 5
    assert ended.wait(2), "its connection is kept"


def test_a_head_that_trickles(short: World):
    """A byte now and then is no answer."""
    arena, bad = short

    def script(peer: Peer) -> None:
        if peer.head() is None:
            return
        for letter in OK + "X: " + "y" * 1000:
            if not peer.send(letter):
                return
            time.sleep(0.05)

    bad.script = script
    begun = time.monotonic()
    assert ask(arena).status == 504
    assert time.monotonic() - begun < 5


def test_interim_answers_that_trickle(short: World):
    arena, bad = short

    def script(peer: Peer) -> None:
        if peer.head() is None:
            return
        while peer.send("HTTP/1.1 102 Processing\r\n\r\n"):
            time.sleep(0.05)

    bad.script = script
    begun = time.monotonic()
    assert ask(arena).status == 504
    assert time.monotonic() - begun < 5


def test_a_body_that_stops(short: World):
    arena, bad = short
    ended = threading.Event()

    def script(peer: Peer) -> None:
        if peer.head() is None:
            return
        peer.send(OK + "Content-Length: 10\r\n\r\n12345")
        if peer.gone(10):
            ended.set()

    bad.script = script
    answer = ask(arena)
    assert (answer.status, answer.body, answer.whole) == (200, b"12345", False)
    assert ended.wait(2), "its connection is kept"


def test_a_body_that_trickles_is_a_body(short: World):
    """Each piece within the limit, all of it far beyond."""
    arena, bad = short

    def handle(peer: Peer, _head: str) -> None:
        peer.send(OK + "Content-Length: 30\r\n\r\n")
        for _ in range(30):
            peer.send("x")
            time.sleep(0.07)

    bad.script = each(handle)
    answer = ask(arena)
    assert (answer.body, answer.whole) == (b"x" * 30, True)


def test_an_event_stream_may_be_silent(short: World):
    arena, bad = short

    def handle(peer: Peer, _head: str) -> bool:
        peer.send(OK + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send("9\r\ndata: 1\n\n\r\n")
        time.sleep(1.6)
        peer.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n")
        return True

    bad.script = each(handle)
    answer = ask(arena, path="/events")
    assert (answer.body, answer.whole) == (b"data: 1\n\ndata: 2\n\n", True)


@pytest.mark.parametrize("version", ["h1", "h2"])
@pytest.mark.parametrize("answers", [False, True], ids=["and is silent", "and answers"])
def test_an_upstream_that_takes_no_byte(short: World, version, answers):
    """The upload stands still, and it is the upstream's doing: 504, or what it answers. After that
    neither connection is kept for the sake of the other."""
    arena, bad = short
    over, before = threading.Event(), descriptors(arena)

    def script(peer: Peer) -> None:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.head()
        # Not before the upload is on its way.
        if answers and (peer.buffer or peer.more()):
            peer.ok("early")
        over.wait(15)

    bad.script = script
    size = 32 << 20
    if version == "h1":
        wire = arena.wire()
        wire.send(f"POST /files HTTP/1.1\r\nHost: localhost\r\n{arena.auth}Content-Length: {size}\r\n\r\n")
        data = b"x" * size
    else:
        client = H2(arena)
        wire = client.wire
        stream = client.headers(client.fields("POST", "/files"), end=False)
        client.ping()
        data = (b"\x00\x40\x00\x00\x00" + stream.to_bytes(4, "big") + b"x" * 16384) * 60
        data += b"\x00\x00\x00\x00\x01" + stream.to_bytes(4, "big")
    begun = time.monotonic()

    def pump() -> None:
        try:
            wire.send(data)
        except OSError:
            pass

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    answer = read_answer(wire) if version == "h1" else client.answer(stream)
    assert (answer.status, answer.body) == (200, b"early") if answers else answer.status == 504
    assert time.monotonic() - begun < 8
    thread.join(5)
    assert not thread.is_alive(), "the client's connection is kept"
    wire.close()
    # And neither is the upstream's: what it did not read is not waited for. Where the system took
    # the upload in its place, the connection counts as idle first, for four seconds and a tick.
    eventually(lambda: descriptors(arena) <= before, 10)
    over.set()


# --- answers before their time ---

@pytest.mark.parametrize("size", [10, 100_000, 8 << 20])
@pytest.mark.parametrize("then", ["close", "reset", "stay"])
def test_an_answer_before_the_body_was_read(world: World, size, then):
    """The client gets it, also when the upstream takes no more and closes with the upload unread
    (then the system resets the connection); and nobody else gets that connection."""
    arena, bad = world
    stay = threading.Event()

    def script(peer: Peer) -> None:
        while head := peer.head():
            if "/todos/victim" in head:
                peer.ok("mine")
                continue
            peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
            if then == "reset":
                time.sleep(0.01)
                peer.reset()
            elif size > 10:
                # Not read on: what follows is the upload.
                stay.wait(5 if then == "stay" else 0)
                return
            else:
                return

    bad.script = script
    for _ in range(2 if then == "stay" or size > 1 << 20 else 20):
        stay.clear()
        wire = arena.wire()
        wire.send(f"POST /files HTTP/1.1\r\nHost: localhost\r\n{arena.auth}Content-Length: {size}\r\n\r\n")

        def pump(sock: socket.socket) -> None:
            try:
                sock.sendall(b"x" * size)
            except OSError:
                pass

        thread = threading.Thread(target=pump, args=(wire.sock,), daemon=True)
        thread.start()
        answer = read_answer(wire)
        assert (answer.status, answer.body) == (413, b"large"), answer
        stay.set()
        assert ask(arena, path="/todos/victim").body == b"mine"
        wire.close()
        thread.join(10)


def test_many_fields_come_through(world: World):
    """What the upstream said is what the client gets, within reason."""
    arena, bad = world
    fields = "".join(f"Set-Cookie: a{number}=b\r\n" for number in range(80))
    bad.script = each(lambda peer, _head: peer.ok("fine", fields))
    answer = ask(arena)
    assert [value for name, value in answer.headers if name == "set-cookie"] == [f"a{number}=b" for number in range(80)]


# --- clients that leave ---

@pytest.mark.parametrize("version", ["h1", "h2"])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("kind", ["before the head", "large", "events", "quiet events", "upload"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_when_the_client_leaves_the_upstream_is_let_go(world: World, version, how, kind, tls):
    """A request that nobody waits for is ended at the upstream, soon."""
    arena, bad = world
    begun, ended = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        if peer.head() is None:
            return
        if kind == "large":
            peer.send(OK + "Content-Length: 1000000000\r\n\r\n")
            while peer.send(b"x" * 65536):
                begun.set()
        elif kind == "events":
            peer.send(OK + "Content-Type: text/event-stream\r\n\r\n")
            while peer.send("data: x\n\n"):
                begun.set()
                time.sleep(0.01)
        else:
            if kind == "quiet events":
                peer.send(OK + "Content-Type: text/event-stream\r\n\r\ndata: x\n\n")
            begun.set()
            if not peer.gone(8):
                return
        ended.set()

    bad.script = script
    upload = kind == "upload"
    if version == "h1":
        wire = arena.wire(tls)
        length = "Content-Length: 1000000\r\n" if upload else ""
        wire.send(f"{'POST' if upload else 'GET'} {'/files' if upload else '/events'} HTTP/1.1\r\nHost: localhost\r\n{arena.auth}{length}\r\n")
        if upload:
            wire.send("x" * 1000)
        if kind in ("events", "quiet events", "large"):
            wire.until(b"\r\n\r\n")
    else:
        client = H2(arena, tls)
        wire = client.wire
        stream = client.headers(client.fields("POST" if upload else "GET", "/files" if upload else "/events"), end=not upload)
        if upload:
            client.data(stream, b"x" * 1000)
    assert begun.wait(5)
    if kind != "before the head" and version == "h2" and not upload:
        wire.sock.recv(100)
    if how == "close":
        wire.close()
    else:
        wire.abort()
    assert ended.wait(3), "the upstream goes on for nobody"


@pytest.mark.parametrize(("behind", "how"), [
    *((behind, how) for behind in ("\r\n", "\r\n\n", "x", "GET /todos HTTP/1.1\r\nHost: localhost\r\n\r\n") for how in ("close", "reset")),
    # Of one that closes, with more under way than is taken, the system knows no more than we do.
    ("upload", "reset"),
])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_bytes_that_nobody_reads_do_not_hide_that_a_client_left(world: World, behind, how, tls):
    """What it sent behind its request, or of a body that the upstream does not take: its end comes behind them, and
    an upstream that is silent would hold both connections for ever."""
    arena, bad = world
    over = threading.Event()

    def script(peer: Peer) -> None:
        if peer.head():
            peer.send(OK + "Content-Type: text/event-stream\r\n\r\ndata: x\n\n")
            over.wait(60)

    bad.script = script
    pid = arena.gateway.process.pid
    # Of those before it some may be in a pool.
    before = connections_of(pid)
    wire = arena.wire(tls)
    size = 64 << 20 if behind == "upload" else 2
    wire.send(f"POST /files HTTP/1.1\r\nHost: localhost\r\n{arena.auth}Content-Length: {size}\r\n\r\n")
    if behind == "upload":
        wire.until(b"data: x")
        wire.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                wire.send(b"x" * 65536)
    else:
        wire.send("{}")
        wire.until(b"data: x")
        wire.send(behind)
        eventually(wire.is_taken)
    (wire.close if how == "close" else wire.abort)()
    eventually(lambda: connections_of(pid) <= before, 10)
    over.set()


def test_empty_lines_before_a_head_are_read_once(world: World):
    """Each was looked at again with each that came: a minute of a worker's time for a MiB."""
    arena, bad = world

    def script(peer: Peer) -> None:
        if peer.head():
            for _ in range(2000):
                peer.send("\r\n" * 16)
            peer.ok("mine")

    bad.script = script
    assert ask(arena).body == b"mine"


@pytest.mark.parametrize("kind", ["before the head", "large", "quiet events"])
def test_when_a_stream_is_reset_the_upstream_is_let_go(world: World, kind):
    """The same for one stream of a connection that goes on."""
    arena, bad = world
    begun, ended = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        head = peer.head()
        if head is None:
            return
        if "/todos" in head:
            return peer.ok("mine")
        if kind == "large":
            peer.send(OK + "Content-Length: 1000000000\r\n\r\n")
            while peer.send(b"x" * 65536):
                begun.set()
        else:
            if kind == "quiet events":
                peer.send(OK + "Content-Type: text/event-stream\r\n\r\ndata: x\n\n")
            begun.set()
            if not peer.gone(8):
                return
        ended.set()

    bad.script = script
    client = H2(arena)
    stream = client.get("/events")
    assert begun.wait(5)
    client.wire.send(b"\0\0\4\3\0" + stream.to_bytes(4, "big") + b"\0\0\0\x08")
    assert ended.wait(3), "the upstream goes on for nobody"
    assert client.answer(client.get("/todos")).body == b"mine"
    client.close()


def test_a_client_that_left_is_no_fault_of_the_upstream(world: World):
    """The record says who left, and the pool is not poisoned with what was left unread."""
    arena, bad = world
    bad.script = each(lambda peer, head: peer.ok("mine") if "victim" in head else peer.send(OK + "Content-Length: 5000000\r\n\r\n" + "x" * 5_000_000) and None)
    before = len(arena.gateway.lines())
    for number in range(10):
        wire = arena.wire()
        wire.send(request(arena, "GET", "/todos", ""))
        wire.until(b"\r\n\r\n")
        wire.abort()
        assert ask(arena, path=f"/todos/victim{number}").body == b"mine"
    lines = eventually(lambda: len(arena.gateway.lines()) >= before + 20 and arena.gateway.lines()[before:])
    assert [line for line in lines if line["status"] != 200] == []
