"""What a connection has in the long run: how many requests, and how slowly a body may come."""

from __future__ import annotations

import queue
import time

import pytest
from h2.events import DataReceived, ResponseReceived, StreamEnded

from clients import TIMEOUT, Frames, Wire
from conftest import World
from test_operation import METRICS, Page
from upstreams import Gone, Reply, Request

# --- limits.requests_per_connection ---


def test_the_last_request_of_a_connection_says_so(world: World):
    """HTTP/1.1: with `Connection: close`, and the answer is whole."""
    world.start({"limits": {"requests_per_connection": 3}})
    world.upstream.on("GET", "/todos", Reply(200, body=b"x" * 1000))
    wire = world.wire()
    ask = f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n"
    for number in range(3):
        wire.send(ask)
        status, fields = wire.head()
        assert (status, fields.get("connection")) == (200, "close" if number == 2 else None)
        assert wire.exactly(1000) == b"x" * 1000
    assert wire.rest() == b""


def test_clients_do_not_notice(world: World):
    """They go on with another connection."""
    world.start({"limits": {"requests_per_connection": 5}} | METRICS)
    client = world.session(token=world.service)
    assert {client.get("/todos").status_code for _ in range(23)} == {200}
    assert Page(world).sum("plugway_connections_opened_total") == 5


DATA, PING, GOAWAY = 0, 6, 7


def read(wire: Wire) -> tuple[int, int, int, bytes]:
    """The next frame: type, flags, stream, content (RFC 9113 §4.1)."""
    head = wire.exactly(9)
    return head[3], head[4], int.from_bytes(head[5:9], "big"), wire.exactly(int.from_bytes(head[:3], "big"))


def test_a_stream_goes_on_when_its_connection_has_had_enough(world: World):
    """HTTP/2: the client is told to go elsewhere (GOAWAY), and what is under way ends well."""
    world.start({"limits": {"requests_per_connection": 2}})
    told: queue.Queue[Request] = queue.Queue()

    def events(request: Request) -> None:
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        told.put(request)
        request.conn.wait_gone()

    world.upstream.on("GET", "/events", events)
    frames, token = Frames(world.gateway), ("authorization", f"Bearer {world.service}")
    first = frames.request("GET", "/events", token)
    frames.until(ResponseReceived, first)
    frames.request("GET", "/todos", token)
    # The library takes nothing behind a GOAWAY.
    frame = read(frames.wire)
    while frame[0] != GOAWAY:
        frame = read(frames.wire)
    assert frame[3][4:8] == b"\0\0\0\0"  # NO_ERROR
    conn = told.get(timeout=TIMEOUT).conn
    conn.chunk(b"data: 1\n\n")
    while frame != (DATA, 0, first, b"data: 1\n\n"):
        frame = read(frames.wire)
        if frame[0] == PING and not frame[1]:
            frames.wire.send(b"\0\0\x08\x06\x01\0\0\0\0" + frame[3])
    conn.send(b"0\r\n\r\n")
    while frame != (DATA, 1, first, b""):
        frame = read(frames.wire)
    # And with it, the connection.
    frames.wire.rest()


# --- limits.body_rate ---


class Trickle:
    """An upload of one byte after the other, each when the API has the one before."""

    def __init__(self, world: World, http2: bool, answers_first: bool = False):
        self.world, self.got = world, queue.Queue()
        world.upstream.on("POST", "/files", self.take if not answers_first else self.speak, early=True)
        token = ("authorization", f"Bearer {world.service}")
        self.frames = Frames(world.gateway) if http2 else None
        if self.frames:
            self.stream = self.frames.request("POST", "/files", token, end=False)
        else:
            self.wire = world.wire()
            self.wire.send(f"POST /files HTTP/1.1\r\nHost: localhost\r\n{token[0]}: {token[1]}\r\nTransfer-Encoding: chunked\r\n\r\n")

    def take(self, request: Request) -> Reply | None:
        try:
            for piece in request.pieces():
                self.got.put(piece)
        except Gone:
            self.got.put(None)
            return None
        return Reply(200, body=b"all of it")

    def speak(self, request: Request) -> None:
        request.conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert self.take(request)
        request.conn.chunk(b"all of it")
        request.conn.send(b"0\r\n\r\n")

    def goes_on(self, seconds: float) -> bool:
        """Whether it does for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.frames.data(self.stream, b"x") if self.frames else self.wire.send(b"1\r\nx\r\n")
            if self.got.get(timeout=TIMEOUT) is None:
                return False
        return True

    def end(self) -> None:
        self.frames.data(self.stream, b"", end=True) if self.frames else self.wire.send(b"0\r\n\r\n")

    def answer(self) -> tuple[int, bytes]:
        if self.frames:
            seen = self.frames.until(StreamEnded, self.stream)
            [head] = [event for event in seen if isinstance(event, ResponseReceived)]
            body = b"".join(event.data for event in seen if isinstance(event, DataReceived))
            return int(dict(head.headers)[":status"]), body
        status, fields = self.wire.head()
        if "content-length" in fields:
            return status, self.wire.exactly(int(fields["content-length"]))
        return status, self.wire.until(b"0\r\n\r\n")


def test_a_trickle_ends(world: World, http2):
    """Though it is never silent for long."""
    world.start({"limits": {"body_idle": "500ms", "body_rate": "1000000/s"}})
    trickle, begun = Trickle(world, http2), time.monotonic()
    assert not trickle.goes_on(TIMEOUT)
    assert time.monotonic() - begun >= 0.5
    status, body = trickle.answer()
    assert status == 408 and b"request_timeout" in body


@pytest.mark.parametrize("rate", ["1/s", "off"])
def test_enough_is_enough(world: World, http2, rate: str):
    world.start({"limits": {"body_idle": "500ms", "body_rate": rate}})
    trickle = Trickle(world, http2)
    assert trickle.goes_on(1.5)
    trickle.end()
    status, body = trickle.answer()
    assert status == 200 and b"all of it" in body


def test_who_has_an_answer_may_take_their_time(world: World, http2):
    """The two may be speaking with each other."""
    world.start({"limits": {"body_idle": "500ms", "body_rate": "1000000/s"}})
    trickle = Trickle(world, http2, answers_first=True)
    assert trickle.goes_on(1.5)
    trickle.end()
    status, body = trickle.answer()
    assert status == 200 and b"all of it" in body
