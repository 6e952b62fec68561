"""WebSockets and other protocols that a connection switches to: what goes through, what does not,
and that every end is an end of both sides."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

import materials
from clients import TIMEOUT, Wire
from conftest import World
from plugway import descriptors_of, eventually
from upstreams import Gone, Reply, Request

ASK = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
GIVEN = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]

plain_and_tls = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@contextmanager
def websockets_at(handler: Callable[[ServerConnection], None], tls=None) -> Iterator[Server]:
    """An API of WebSockets."""
    with serve(handler, "127.0.0.1", 0, ssl=tls, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(TIMEOUT)


def echo(peer: ServerConnection) -> None:
    for message in peer:
        peer.send(message)


def front(world: World, server: Server, scheme: str = "http", **changes) -> None:
    """A gateway in front of it, with the document from a file."""
    port = server.socket.getsockname()[1]
    (world.folder / "openapi.json").write_text(json.dumps(materials.DOCUMENT))
    upstream = {"url": f"{scheme}://localhost:{port}"} | ({"ca": "ca.pem"} if scheme == "https" else {})
    world.certificates.write_ca(world.folder / "ca.pem")
    world.start({"plugins": {"todo": {"upstream": upstream, "openapi": {"source": "./openapi.json"}}}} | changes)


def client(world: World, tls: bool = True, path: str = "/events", **more) -> ClientConnection:
    """A WebSocket through the gateway."""
    _, port = world.gateway.address("https" if tls else "http")
    headers = {"Authorization": f"Bearer {world.service}"}
    return connect(
        f"{'wss' if tls else 'ws'}://localhost:{port}{path}", ssl=world.certificates.client() if tls else None,
        additional_headers=headers, max_size=None, open_timeout=TIMEOUT, close_timeout=TIMEOUT, **more,
    )


# --- WebSockets ---

@plain_and_tls
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_echo(world: World, tls: bool, scheme: str):
    """Texts, bytes, and messages larger than any buffer, there and back; and pings."""
    server_tls = world.certificates.server("localhost") if scheme == "https" else None
    with websockets_at(echo, server_tls) as server:
        front(world, server, scheme)
        with client(world, tls) as peer:
            for message in ["hello", b"\x00\xff", "ü" * 70_000, os.urandom(5 << 20), ""]:
                peer.send(message)
                assert peer.recv(TIMEOUT) == message
            assert peer.ping().wait(TIMEOUT)
            assert "x-request-id" in peer.response.headers
            request_id = peer.response.headers["x-request-id"]
        assert peer.close_code == 1000
    line = world.gateway.line(request_id)
    assert (line["status"], line["upstream_status"], line["outcome"]) == (101, 101, "complete"), line
    assert line["operation"] == "events" and line["token"] == "chatgpt"
    assert line["request_bytes"] > 5 << 20 and line["response_bytes"] > 1 << 10, line


@plain_and_tls
def test_who_closes_says_why(world: World, tls: bool):
    """Close codes and reasons go both ways."""
    heard = []

    def serve_one(peer: ServerConnection) -> None:
        try:
            if peer.recv(TIMEOUT) == "you":
                peer.close(4001, "enough")
            else:
                peer.recv(TIMEOUT)
        except ConnectionClosed as closed:
            heard.append((closed.rcvd.code, closed.rcvd.reason))

    with websockets_at(serve_one) as server:
        front(world, server)
        with client(world, tls) as peer:
            peer.send("you")
            with pytest.raises(ConnectionClosedError):
                peer.recv(TIMEOUT)
            assert (peer.close_code, peer.close_reason) == (4001, "enough")
        with client(world, tls) as peer:
            peer.send("I")
            peer.close(4002, "done")
        eventually(lambda: heard == [(4002, "done")])
        for line in eventually(lambda: [line for line in world.gateway.lines() if line["status"] == 101][1:]):
            assert line["outcome"] == "complete", line


def test_the_api_refuses(world: World):
    """What it says instead is an ordinary response, and the next request is well."""
    def refuse(peer: ServerConnection, _request):
        return peer.respond(403, "not today")

    with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            front(world, server)
            with pytest.raises(InvalidStatus) as refused:
                client(world)
            assert refused.value.response.status_code == 403
            assert refused.value.response.body == b"not today"
        finally:
            server.shutdown()
            thread.join(TIMEOUT)


# --- what goes up, and what comes back ---

def ask(world: World, *fields: str, path: str = "/events", tls: bool = False, token: str | None = None, more: bytes = b"") -> Wire:
    """Asks for an upgrade."""
    wire = world.wire(tls)
    auth = f"Authorization: Bearer {token or world.service}\r\n"
    wire.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{auth}{''.join(fields) or ASK}\r\n", more)
    return wire


def stream(serve_one: Callable[[Request], None], headers=None) -> Callable[[Request], None]:
    """Switches, and then does what it likes with the connection."""
    def handle(request: Request) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers or GIVEN)
        request.conn.send(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode())
        serve_one(request)

    return handle


def mirror(request: Request) -> None:
    while True:
        request.conn.send(request.conn.some(1 << 16))


@plain_and_tls
def test_heads_follow_the_rules_of_other_heads(world: World, tls: bool):
    world.start()
    answer = [*GIVEN, ("X-Powered-By", "us"), ("Content-Length", "3"), ("Fly-Replay", "app=x"), ("Alt-Svc", "h3"),
              ("Set-Cookie", "a=1"), ("Keep-Alive", "timeout=5")]
    world.upstream.on("GET", "/events", stream(mirror, answer))
    wire = ask(world, ASK, "Sec-WebSocket-Protocol: chat, super\r\nX-Plugway-Principal: forged\r\nTE: trailers\r\n"
                           "Connection: x-secret\r\nX-Secret: 1\r\n", path="/events?a=1", tls=tls)
    status, fields = wire.head()
    assert status == 101
    assert (fields["connection"].lower(), fields["upgrade"]) == ("upgrade", "websocket")
    assert fields["sec-websocket-accept"] == GIVEN[2][1] and fields["set-cookie"] == "a=1"
    assert not {"content-length", "fly-replay", "alt-svc", "keep-alive", "transfer-encoding"} & set(fields), fields
    assert fields["x-request-id"] == world.upstream.last.get("x-request-id")
    wire.send(b"to and fro")
    assert wire.exactly(10) == b"to and fro"
    wire.close()
    sent = world.upstream.last
    assert (sent.get("connection"), sent.get("upgrade")) == ("upgrade", "websocket")
    assert sent.get("sec-websocket-protocol") == "chat, super" and sent.get("sec-websocket-version") == "13"
    assert sent.get("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ=="
    assert sent.get("x-secret") is None and sent.get("x-plugway-principal") == "chatgpt"
    assert sent.get("content-length") is None and sent.target == "/events?a=1"


def test_other_protocols(world: World):
    """Any single one that is not HTTP again; also on paths that are not published, if they go up at all."""
    world.plugin({"openapi": {"unpublished": "forward"}})
    world.upstream.on("GET", "/elsewhere", stream(mirror, [("Upgrade", "IRC/6.9"), ("Connection", "upgrade")]))
    wire = ask(world, "Connection: upgrade\r\nUpgrade: irc/6.9\r\n", path="/elsewhere")
    assert wire.head()[0] == 101
    wire.send(b"NICK x\r\n")
    assert wire.exactly(8) == b"NICK x\r\n"
    wire.close()


@pytest.mark.parametrize("fields", [
    pytest.param("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n", id="h2c"),
    pytest.param("Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", id="TLS"),
    pytest.param("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", id="a list"),
    pytest.param("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n", id="a body"),
    pytest.param("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", id="chunks"),
])
def test_what_is_served_as_if_it_had_not_asked(world: World, fields: str):
    world.start()
    world.upstream.on("GET", "/events", Reply(200, body=b"plain"))
    body = b"4\r\nGET \r\n0\r\n\r\n" if "chunked" in fields else b"GET " if "Length" in fields else b""
    wire = ask(world, fields, more=body)
    status, _ = wire.head()
    assert (status, wire.exactly(5)) == (200, b"plain")
    assert world.upstream.last.get("upgrade") is None and world.upstream.last.get("connection") is None
    # And the connection goes on.
    wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n")
    assert wire.head()[0] == 200
    wire.close()


@pytest.mark.parametrize(("token", "path", "status"), [
    (None, "/events", 401), ("pls_wrong", "/events", 401), ("", "/nowhere", 404), ("", "/internal/reset", 405),
])
def test_who_may_not_gets_nowhere(world: World, token: str | None, path: str, status: int):
    """And what follows such a head is the next request, which needs a credential of its own."""
    world.start()
    wire = world.wire()
    auth = "" if token is None else f"Authorization: Bearer {token or world.service}\r\n"
    wire.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{auth}{ASK}\r\n", "GET /todos HTTP/1.1\r\nHost: localhost\r\n\r\n")
    first, fields = wire.head()
    assert first == status
    wire.exactly(int(fields["content-length"]))
    assert wire.head()[0] == 401
    wire.close()
    assert world.upstream.requests == []


@pytest.mark.parametrize("answer", [
    pytest.param([("Upgrade", "h2c"), ("Connection", "upgrade")], id="another protocol"),
    pytest.param([("Upgrade", "websocket, h2c"), ("Connection", "upgrade")], id="two"),
    pytest.param([("Connection", "upgrade")], id="none"),
    pytest.param([("Upgrade", "websocket")], id="without Connection"),
])
def test_the_api_switches_to_something_else(world: World, answer):
    world.start()
    gone = threading.Event()

    def handle(request: Request) -> None:
        request.conn.send(b"tunnel")
        request.conn.wait_gone()
        gone.set()

    world.upstream.on("GET", "/events", stream(handle, answer))
    wire = ask(world)
    status, fields = wire.head()
    body = wire.exactly(int(fields["content-length"]))
    assert status == 502 and b"upstream_broken" in body and b"tunnel" not in body
    assert gone.wait(TIMEOUT)
    wire.close()


def test_the_api_switches_unasked(world: World):
    world.start()
    world.upstream.on("GET", "/events", stream(lambda request: request.conn.wait_gone()))
    wire = ask(world, "X: y\r\n")
    assert wire.head()[0] == 502
    wire.close()


def test_what_is_sent_ahead(world: World):
    """Bytes of both sides right behind their heads are the first of the stream, and the API gets none
    of them before it has switched."""
    world.start()
    early, decide, got = [], threading.Event(), []

    def handle(request: Request) -> None:
        assert decide.wait(TIMEOUT)
        request.conn.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            request.conn.sock.recv(1)
        request.conn.sock.settimeout(TIMEOUT)
        early.append(request.conn.buffer)
        lines = "".join(f"{name}: {value}\r\n" for name, value in GIVEN)
        request.conn.send(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\nme first".encode())
        got.append(request.conn.exactly(7 + (1 << 17)))

    world.upstream.on("GET", "/events", handle)
    wire = ask(world, more=b"as well")
    eventually(lambda: world.upstream.requests)
    decide.set()
    assert wire.head()[0] == 101
    assert wire.exactly(8) == b"me first"
    wire.send(b"x" * (1 << 17))
    assert wire.rest() == b""
    assert early == [b""]
    assert got == [b"as well" + b"x" * (1 << 17)]


def test_a_connection_of_its_own(world: World):
    """Neither one that served before nor one that serves afterwards."""
    world.start()
    world.upstream.on("GET", "/events", Reply(200, body=b"no"))
    with closing(world.wire()) as wire:
        for asks in (False, True, False):
            path, fields = ("/events", ASK) if asks else ("/todos", "")
            wire.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n{fields}\r\n")
            status, head = wire.head()
            assert status == 200
            wire.exactly(int(head["content-length"]))
    one, two, three = (request.connection for request in world.upstream.requests)
    assert one == three != two


# --- ends ---

def descriptors(world: World) -> int:
    return descriptors_of(world.gateway.process.pid)


def open_connections(world: World) -> int:
    return sum(listener["connections"] for listener in world.gateway.status()["listeners"])


def the_line(world: World) -> dict:
    """The access line of the one stream."""
    lines = eventually(lambda: [line for line in world.gateway.lines() if line["status"] == 101])
    assert len(lines) == 1, lines
    return lines[0]


def abort(sock: socket.socket) -> None:
    """Leaves without a farewell."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def say_farewell_and_read(world: World, request: bytes, data: bytes) -> bytes:
    """Over TLS: says that it is done and reads to the end, which `SSLSocket` can not."""
    sock = socket.create_connection(world.gateway.address("https"), timeout=TIMEOUT)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = world.certificates.client().wrap_bio(into, out, server_hostname="localhost")

    def call(step: Callable, *arguments: object) -> object:
        while True:
            try:
                return step(*arguments)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                sock.sendall(out.read())
                got = sock.recv(1 << 16)
                into.write(got) if got else into.write_eof()
            finally:
                sock.sendall(out.read())

    with sock:
        call(tls.do_handshake)
        call(tls.write, request)
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += call(tls.read, 1)
        call(tls.write, data)
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        sock.sendall(out.read())
        seen = b""
        while piece := call(tls.read, 1 << 16):
            seen += piece
        return seen


@plain_and_tls
def test_a_half_close_is_passed_on(world: World, tls: bool):
    """Who is done sending still hears all that the other has to say."""
    world.start()
    got = []

    def handle(request: Request) -> None:
        got.append(b"")
        try:
            while True:
                got[-1] += request.conn.some(1 << 16)
        except Gone:
            request.conn.send(b"y" * (1 << 20))

    world.upstream.on("GET", "/events", stream(handle))
    if tls:
        head = f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n{ASK}\r\n"
        seen = say_farewell_and_read(world, head.encode(), b"x" * 100_000)
    else:
        wire = ask(world)
        assert wire.head()[0] == 101
        wire.send(b"x" * 100_000)
        wire.sock.shutdown(socket.SHUT_WR)
        seen = wire.rest()
    assert seen == b"y" * (1 << 20)
    assert got == [b"x" * 100_000]
    line = the_line(world)
    assert (line["outcome"], line["request_bytes"], line["response_bytes"]) == ("complete", 100_000, 1 << 20), line


def test_the_api_is_done_first(world: World):
    """The client hears that it is, and what it says then still goes up."""
    world.start()
    got = []

    def handle(request: Request) -> None:
        request.conn.sock.shutdown(socket.SHUT_WR)
        got.append(request.conn.exactly(5))

    world.upstream.on("GET", "/events", stream(handle))
    wire = ask(world)
    assert wire.head()[0] == 101
    assert wire.rest() == b""
    wire.send(b"later")
    wire.close()
    eventually(lambda: got == [b"later"])
    assert the_line(world)["outcome"] == "complete"


@plain_and_tls
@pytest.mark.parametrize("who", ["client", "api", "client leaves", "api leaves"])
def test_abrupt_ends_free_both_sides(world: World, tls: bool, who: str):
    """One side is reset, or gone without a word; the other hears of it, and nothing is kept."""
    world.start()
    told = threading.Event()

    def handle(request: Request) -> None:
        request.conn.send(b"go on")
        request.conn.exactly(4)
        if who == "api":
            abort(request.conn.sock)
        elif who != "api leaves":
            request.conn.wait_gone()
            told.set()

    world.upstream.on("GET", "/events", stream(handle))
    with closing(ask(world, path="/todos", more=b"")) as other:  # so that all that is opened once is open
        other.head()
    eventually(lambda: open_connections(world) == 0)
    eventually((world.folder / "state/generation").exists)  # written behind the first generation, with the database
    before = descriptors(world)
    for _ in range(5):
        told.clear()
        wire = ask(world, tls=tls)
        assert wire.head()[0] == 101
        assert wire.exactly(5) == b"go on"
        assert open_connections(world) == 1
        wire.send(b"last")
        if who.startswith("client"):
            wire.abort() if who == "client" else wire.close()
            assert told.wait(TIMEOUT)
        else:
            assert wire.rest() == b""
            wire.close()
    eventually(lambda: open_connections(world) == 0)
    eventually(lambda: descriptors(world) <= before)
    lines = eventually(lambda: [line for line in world.gateway.lines() if line["status"] == 101][4:])
    expected = {"client": {"client_left"}, "api": {"upstream_broken"}, "api leaves": {"complete"},
                "client leaves": {"client_left"} if tls else {"complete", "client_left"}}[who]
    assert {line["outcome"] for line in lines} <= expected, lines


LIMITS = {"limits": {"write_stall": "500ms", "idle": "500ms", "upstream_idle": "300ms", "drain": "1s"}}


def test_silence_is_no_end(world: World):
    """Neither `upstream_idle` nor `idle` nor `total` is for a stream."""
    world.start(LIMITS | {"plugins": {"todo": {"upstream": {"total": "700ms"}}}})
    speak = threading.Event()

    def handle(request: Request) -> None:
        assert speak.wait(TIMEOUT)
        request.conn.send(b"still here")
        request.conn.exactly(5)

    world.upstream.on("GET", "/events", stream(handle))
    wire = ask(world)
    assert wire.head()[0] == 101
    assert wire.quiet(1.2)
    speak.set()
    assert wire.exactly(10) == b"still here"
    wire.send(b"me too")
    wire.close()


@plain_and_tls
def test_a_client_that_takes_nothing(world: World, tls: bool):
    world.start(LIMITS)
    gone = threading.Event()

    def handle(request: Request) -> None:
        try:
            while True:
                request.conn.send(b"z" * (1 << 20))
        except Gone:
            gone.set()

    world.upstream.on("GET", "/events", stream(handle))
    wire = ask(world, tls=tls)
    assert gone.wait(TIMEOUT)
    assert the_line(world)["outcome"] == "client_left"
    eventually(lambda: open_connections(world) == 0)
    wire.close()


def test_an_api_that_takes_nothing(world: World):
    world.start(LIMITS)
    done = threading.Event()
    world.upstream.on("GET", "/events", stream(lambda _request: done.wait(TIMEOUT)))
    wire = ask(world)
    assert wire.head()[0] == 101
    with pytest.raises(OSError):  # noqa: PT011 - a reset, or a broken pipe
        while True:
            wire.send(b"z" * (1 << 20))
    done.set()
    assert the_line(world)["outcome"] == "upstream_broken"


def test_one_side_is_done_and_the_other_silent(world: World):
    """A client that is gone for good must not keep its place with an API that does not mind."""
    world.start(LIMITS)
    done = threading.Event()
    world.upstream.on("GET", "/events", stream(lambda _request: done.wait(TIMEOUT)))
    wire = ask(world)
    assert wire.head()[0] == 101
    wire.sock.shutdown(socket.SHUT_WR)
    assert wire.rest() == b""
    line = the_line(world)
    assert (line["outcome"], line["cut"]) == ("cut", "half_closed"), line
    done.set()


def test_a_swap_does_not_cut(world: World):
    world.start()
    world.upstream.on("GET", "/events", stream(mirror))
    wire = ask(world)
    assert wire.head()[0] == 101
    generation = world.gateway.generation()
    world.change({"plugins": {"todo": {"description": "Other words."}}})
    eventually(lambda: world.gateway.generation() > generation)
    wire.send(b"and on")
    assert wire.exactly(6) == b"and on"
    wire.close()
    assert the_line(world)["generation"] == generation


@pytest.mark.parametrize(("changes", "reason"), [
    pytest.param({"tokens": {"chatgpt": None}}, "revoked", id="the token goes"),
    pytest.param({"tokens": {"chatgpt": {"expires": "2020-01-01T00:00:00Z"}}}, "expired", id="it expires"),
    pytest.param({"tokens": {"chatgpt": {"scopes": ["listTodos"]}}}, "forbidden", id="it loses the operation"),
    pytest.param({"plugins": {"todo": {"auth": {"require": "user"}}}}, "forbidden", id="its level is not wanted any more"),
    pytest.param({"plugins": {"todo": {"openapi": {"exclude": ["events"]}}}}, "operation", id="the operation goes"),
    pytest.param("a plugin", "plugin", id="the plugin goes"),
])
@pytest.mark.parametrize("stalled", [False, True], ids=["silent", "full"])
def test_who_may_not_any_more_is_cut(world: World, changes, reason: str, stalled: bool):
    """Soon, also when the client does not read; nobody else is."""
    world.start()
    gone = threading.Event()

    def handle(request: Request) -> None:
        try:
            while stalled and request.get("x-plugway-principal") == "chatgpt":
                request.conn.send(b"z" * (1 << 20))
            mirror(request)
        finally:
            if request.get("x-plugway-principal") == "chatgpt":
                gone.set()

    world.upstream.on("GET", "/events", stream(handle))
    wire, other = ask(world), ask(world, token=world.user)
    for each in (wire, other):
        assert each.head()[0] == 101
    if changes == "a plugin":
        plugin = world.config["plugins"]["todo"]
        changes = {"plugins": {"todo": None, "other": plugin}}
        changes["tokens"] = {name: {"plugins": ["other"]} for name in ("chatgpt", "alice")}
    world.change(changes)
    assert gone.wait(10)
    lines = eventually(lambda: [line for line in world.gateway.lines() if line["status"] == 101 and line["token"] == "chatgpt"])
    assert [(line["outcome"], line["cut"]) for line in lines] == [("cut", reason)]
    if "tokens" in changes and "plugins" not in changes:
        other.send(b"and on")
        assert other.exactly(6) == b"and on"
    wire.close()
    other.close()


def test_drain(world: World):
    """A stream goes on while the process drains, and is cut at the end of that."""
    world.start(LIMITS)
    world.upstream.on("GET", "/events", stream(mirror))
    wire = ask(world)
    assert wire.head()[0] == 101
    world.gateway.signal(signal.SIGTERM)
    eventually(lambda: "draining" in world.gateway.stderr)
    wire.send(b"and on")
    assert wire.exactly(6) == b"and on"
    assert wire.rest() == b""
    assert world.gateway.wait() == 0
    line = the_line(world)
    assert (line["outcome"], line["cut"]) == ("cut", "shutdown"), line
    assert (line["request_bytes"], line["response_bytes"]) == (6, 6), line


@plain_and_tls
def test_an_end_after_an_upgrade_in_vain(world: World, tls: bool):
    """The connection ends as every other: with a farewell, behind the whole answer."""
    world.start()
    world.upstream.on("GET", "/events", Reply(200, body=b"w" * (1 << 20)))
    wire = ask(world, ASK, "Connection: close\r\n", tls=tls)
    _, fields = wire.head()
    assert fields["connection"] == "close"
    wire.exactly(1 << 20)
    if tls:
        assert wire.sock.recv(1) == b""  # raises without a farewell
    else:
        assert wire.rest() == b""
    eventually(lambda: open_connections(world) == 0)
