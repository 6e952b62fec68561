"""Bodies that last: who may not have them any more is cut, also one that reads nothing, and
nobody else is."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from h2.events import DataReceived, ResponseReceived, StreamReset
from h2.settings import SettingCodes

from clients import TIMEOUT, Frames, Wire
from conftest import World
from materials import DOCUMENT, ID, document, operation, sha256
from plugway import eventually, replace
from test_operation import METRICS, Page
from upstreams import Gone, Request

EVENTS = [("Content-Type", "Text/Event-Stream; charset=utf-8")]


class Api:
    """A response without an end: what is told to it, or as much as is taken."""

    def __init__(self, world: World, headers: list[tuple[str, str]], length: int | None = None, full: bool = False):
        self.headers, self.length, self.full = headers, length, full
        self.gone: dict[str, threading.Event] = {name: threading.Event() for name in ("chatgpt", "alice")}
        self.told: dict[str, Request] = {}
        world.upstream.on("GET", "/events", self.serve)

    def serve(self, request: Request) -> None:
        who = request.get("x-plugway-principal")
        framing = [("Transfer-Encoding", "chunked")] if self.length is None else [("Content-Length", str(self.length))]
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers + framing)
        self.told[who] = request
        request.conn.send(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())
        try:
            while self.full and who == "chatgpt":
                self.say(who, b"z" * (1 << 16))
            request.conn.wait_gone()
        finally:
            self.gone[who].set()

    def say(self, who: str, data: bytes) -> None:
        conn = self.told[who].conn
        conn.chunk(data) if self.length is None else conn.send(data)

    def end(self, who: str) -> None:
        self.told[who].conn.send(b"0\r\n\r\n")


class OneOne:
    """A client of HTTP/1.1, with a connection for each request."""

    def __init__(self, world: World, tls: bool = False):
        self.world, self.tls = world, tls
        self.wires: dict[str, Wire] = {}

    def ask(self, who: str) -> None:
        self.wires[who] = wire = self.world.wire(self.tls)
        token = self.world.service if who == "chatgpt" else self.world.user
        wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
        assert wire.head()[0] == 200

    def hear(self, who: str, data: bytes) -> None:
        self.wires[who].until(data)

    def is_cut(self, who: str) -> None:
        rest = self.wires[who].rest()
        assert not rest.endswith(b"0\r\n\r\n"), rest[-100:]


class Two:
    """A client of HTTP/2, with one connection for all."""

    def __init__(self, world: World):
        self.world, self.frames = world, Frames(world.gateway)
        self.streams: dict[str, int] = {}
        # What one stream does not read is no hindrance to another.
        self.frames.h2.increment_flow_control_window(1 << 30)
        self.frames.flush()

    def ask(self, who: str) -> None:
        token = self.world.service if who == "chatgpt" else self.world.user
        self.streams[who] = self.frames.request("GET", "/events", ("authorization", f"Bearer {token}"))
        self.frames.until(ResponseReceived, self.streams[who])

    def hear(self, who: str, data: bytes) -> None:
        seen = b""
        while data not in seen:
            seen += self.frames.until(DataReceived, self.streams[who])[-1].data

    def is_cut(self, who: str) -> None:
        self.frames.until(StreamReset, self.streams[who])


@pytest.fixture(params=["plain", "tls", "http/2"])
def client(request) -> Callable:
    """Makes one, once a gateway is there."""
    return {"plain": OneOne, "tls": lambda world: OneOne(world, tls=True), "http/2": Two}[request.param]


def cut_lines(world: World, who: str = "chatgpt") -> list[tuple[str, str]]:
    """How what somebody had was cut."""
    def look() -> list[tuple[str, str]]:
        return [(line["outcome"], line.get("cut")) for line in world.gateway.lines() if line.get("token") == who]

    return eventually(look)


def swapped(world: World, changes: dict) -> None:
    """Changes the configuration, and waits until each worker has let go of the one before: it looks
    at its streams in the same breath."""
    generation = world.gateway.generation()
    world.change(changes)
    eventually(lambda: world.gateway.generation() > generation)
    eventually(lambda: Page(world).rows("plugway_generations_alive") == [1])


def without(world: World, who: str) -> dict:
    """The configuration with the plugin under another name."""
    return {"plugins": {"todo": None, "other": world.config["plugins"]["todo"]}, "tokens": {name: {"plugins": ["other"]} for name in ("chatgpt", "alice")}}


@pytest.mark.parametrize("headers", [EVENTS, []], ids=["events", "body"])
@pytest.mark.parametrize(("changes", "reason"), [
    pytest.param({"tokens": {"chatgpt": None}}, "revoked", id="the token goes"),
    pytest.param({"tokens": {"chatgpt": {"expires": "2020-01-01T00:00:00Z"}}}, "expired", id="it expires"),
    pytest.param({"tokens": {"chatgpt": {"scopes": ["listTodos"]}}}, "forbidden", id="it loses the operation"),
])
def test_who_may_not_any_more_is_cut(world: World, client, changes: dict, reason: str, headers):
    """And sees that it has not all; nobody else is cut, on the same connection neither."""
    world.start(METRICS)
    api, peer = Api(world, headers), client(world)
    for who in ("chatgpt", "alice"):
        peer.ask(who)
        api.say(who, b"data: 1\n\n")
        peer.hear(who, b"data: 1\n\n")
    kind = "event_stream" if headers else "body"
    assert Page(world).rows("plugway_streams", kind=kind) == [2]
    world.change(changes)
    assert api.gone["chatgpt"].wait(TIMEOUT)
    peer.is_cut("chatgpt")
    assert cut_lines(world) == [("cut", reason)]
    api.say("alice", b"data: 2\n\n")
    peer.hear("alice", b"data: 2\n\n")
    page = Page(world)
    assert page.rows("plugway_streams", kind=kind) == [1]
    assert page.rows("plugway_streams_cut_total", reason=reason) == [1]


@pytest.mark.parametrize("end", ["broken", "revoked", "whole"])
def test_half_of_an_answer_that_ends_with_its_connection_is_not_all_of_it(world: World, end: str):
    """To a client of HTTP/1.0, such as nginx by default: an end like any other would say that it is."""
    world.start()
    api = Api(world, [])
    wire = world.wire()
    wire.send(f"GET /events HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n")
    eventually(lambda: "chatgpt" in api.told)
    api.say("chatgpt", b"one")
    wire.until(b"one")
    if end == "revoked":
        world.change({"tokens": {"chatgpt": None}})
    elif end == "broken":
        api.told["chatgpt"].conn.close()
    else:
        api.end("chatgpt")
        assert wire.sock.recv(100) == b""
        return
    with pytest.raises(ConnectionResetError):
        wire.sock.recv(100)


def test_who_may_not_have_any_more_what_it_may_be(world: World):
    """To an upstream that does not look at a slash at the end `/events` is another operation than here."""
    world.upstream.document = document(paths={
        "/{id}": {"parameters": [ID], "get": operation("one")}, "/events/": {"get": operation("events")}})
    world.start()
    api, peer = Api(world, EVENTS), OneOne(world)
    for who in ("chatgpt", "alice"):
        peer.ask(who)
    world.change({"tokens": {"chatgpt": {"scopes": ["one"]}}})
    assert api.gone["chatgpt"].wait(TIMEOUT)
    peer.is_cut("chatgpt")
    assert cut_lines(world) == [("cut", "forbidden")]
    api.say("alice", b"data: 2\n\n")
    peer.hear("alice", b"data: 2\n\n")


@pytest.mark.parametrize(("changes", "reason"), [
    pytest.param({"plugins": {"todo": {"openapi": {"exclude": ["events"]}}}}, "operation", id="the operation"),
    pytest.param(None, "plugin", id="the plugin"),
])
def test_what_is_gone_is_gone_for_all(world: World, client, changes: dict | None, reason: str):
    world.start()
    api, peer = Api(world, EVENTS), client(world)
    for who in ("chatgpt", "alice"):
        peer.ask(who)
    world.change(changes or without(world, "todo"))
    for who in ("chatgpt", "alice"):
        assert api.gone[who].wait(TIMEOUT)
        assert cut_lines(world, who) == [("cut", reason)]


@pytest.mark.parametrize("length", [None, 1 << 40], ids=["chunks", "length"])
def test_also_a_client_that_reads_nothing(world: World, client, length: int | None):
    """Its buffers are full, and nothing of it is polled."""
    world.start()
    api, peer = Api(world, [], length, full=True), client(world)
    peer.ask("chatgpt")
    peer.ask("alice")
    eventually(lambda: not select.select([], [api.told["chatgpt"].conn.sock], [], 0)[1])
    world.change({"tokens": {"chatgpt": None}})
    assert api.gone["chatgpt"].wait(TIMEOUT)
    assert cut_lines(world) == [("cut", "revoked")]
    api.say("alice", b"and on")
    peer.hear("alice", b"and on")


def test_a_stream_that_never_had_a_window(world: World):
    """HTTP/2: not a byte of the body was ever asked for."""
    world.start()
    api, frames = Api(world, EVENTS), Frames(world.gateway)
    frames.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    frames.flush()
    stream = frames.request("GET", "/events", ("authorization", f"Bearer {world.service}"))
    frames.until(ResponseReceived, stream)
    api.say("chatgpt", b"data: 1\n\n")
    world.change({"tokens": {"chatgpt": None}})
    frames.until(StreamReset, stream)
    assert api.gone["chatgpt"].wait(TIMEOUT)
    assert cut_lines(world) == [("cut", "revoked")]


def test_its_time_comes(world: World, client):
    """Without any reload."""
    end = datetime.now(UTC) + timedelta(seconds=2)
    world.start({"tokens": {"chatgpt": {"expires": end.isoformat()}}})
    api, peer = Api(world, EVENTS), client(world)
    peer.ask("chatgpt")
    assert api.gone["chatgpt"].wait(TIMEOUT)
    assert datetime.now(UTC) >= end
    peer.is_cut("chatgpt")
    assert cut_lines(world) == [("cut", "expired")]


def test_a_token_of_a_file(world: World, client):
    """A line that is taken out of a token file."""
    def line(who: str, token: str, level: str) -> str:
        return json.dumps({"id": who, "name": who, "level": level, "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(token)}) + "\n"

    both = line("chatgpt", world.service, "service") + line("alice", world.user, "user")
    replace(world.folder / "tokens.jsonl", both)
    world.start({"token_files": ["tokens.jsonl"], "tokens": None})
    api, peer = Api(world, EVENTS), client(world)
    for who in ("chatgpt", "alice"):
        peer.ask(who)
    replace(world.folder / "tokens.jsonl", line("alice", world.user, "user"))
    assert api.gone["chatgpt"].wait(TIMEOUT)
    peer.is_cut("chatgpt")
    assert cut_lines(world) == [("cut", "revoked")]
    api.say("alice", b"and on")
    peer.hear("alice", b"and on")


def test_a_swap_does_not_cut(world: World, client):
    """Other words, another secret for the same token, operations that come and go: all of it is
    nothing to a stream whose own token, operation and plugin are there."""
    world.start(METRICS)
    api, peer = Api(world, EVENTS), client(world)
    peer.ask("chatgpt")
    for changes in (
        {"plugins": {"todo": {"description": "Other words."}}},
        {"plugins": {"todo": {"openapi": {"exclude": ["tag:write"]}}}},
        {"tokens": {"alice": None}},
        {"tokens": {"chatgpt": {"note": "another note"}}},
        {"limits": {"upstream_idle": "1h"}},
    ):
        swapped(world, changes)
        api.say("chatgpt", b"and on")
        peer.hear("chatgpt", b"and on")
    api.end("chatgpt")
    assert cut_lines(world) == [("complete", None)]


def test_the_next_request_after_a_long_one_is_not_cut(world: World):
    """A connection serves on when its client has another token by then."""
    world.start(METRICS)
    wire = world.wire()
    for token in (world.service, world.user):
        wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
        status, fields = wire.head()
        assert status == 200
        wire.exactly(int(fields["content-length"]))
    swapped(world, {"tokens": {"chatgpt": None}})
    wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.user}\r\n\r\n")
    assert wire.head()[0] == 200


def upload(world: World, client) -> Callable[[], None]:
    """Begins one that does not end; what is given returns when the client sees it cut."""
    token = ("authorization", f"Bearer {world.service}")
    if client is Two:
        frames = Frames(world.gateway)
        stream = frames.request("POST", "/files", token, end=False)
        frames.data(stream, b"x" * 1000)
        return lambda: frames.until(StreamReset, stream)
    wire = world.wire()
    wire.send(f"POST /files HTTP/1.1\r\nHost: localhost\r\n{token[0]}: {token[1]}\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", b"x" * 1000, "\r\n")

    def cut() -> None:
        assert wire.rest() == b""

    return cut


@pytest.mark.parametrize("client", [OneOne, Two], ids=["http/1.1", "http/2"])
def test_an_upload_ends_with_its_token(world: World, client):
    """Before there is any answer."""
    world.start(METRICS)
    there, gone = threading.Event(), threading.Event()

    def take(request: Request) -> None:
        try:
            for _ in request.pieces():
                there.set()
        except Gone:
            gone.set()

    world.upstream.on("POST", "/files", take, early=True)
    cut = upload(world, client)
    assert there.wait(TIMEOUT)
    assert Page(world).rows("plugway_streams", kind="upload") == [1]
    world.change({"tokens": {"chatgpt": None}})
    cut()
    assert gone.wait(TIMEOUT)
    assert cut_lines(world) == [("cut", "revoked")]
    assert Page(world).rows("plugway_streams", kind="upload") in ([], [0])


def test_a_request_that_was_sent_whole_gets_its_answer(world: World, http2):
    """Its token was right when it came."""
    world.start()
    asked, answer = threading.Event(), threading.Event()

    def wait(request: Request):
        asked.set()
        assert answer.wait(TIMEOUT)
        return world.upstream.echo(request)

    world.upstream.on("POST", "/slow", wait)
    got = []
    session = world.session(http2=http2, token=world.service)
    thread = threading.Thread(target=lambda: got.append(session.post("/slow", content=b"all of it")))
    thread.start()
    assert asked.wait(TIMEOUT)
    generation = world.gateway.generation()
    world.change({"tokens": {"chatgpt": None}})
    # The request holds the one before.
    eventually(lambda: world.gateway.generation() > generation)
    assert world.session(token=world.user).get("/todos").status_code == 200
    answer.set()
    thread.join(TIMEOUT)
    assert got[0].status_code == 200
