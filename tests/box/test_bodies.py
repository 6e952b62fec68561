"""Bodies, in both directions: as they are, when they come, and cut when they are cut."""

from __future__ import annotations

import json
import queue
import subprocess
import threading

import h2.events
import httpx
import pytest

from clients import Frames, refusal
from plugway import eventually
from upstreams import Gone, Reply, head


@pytest.fixture
def client(world, http2):
    world.start({"limits": {"body_bytes": "256KiB", "upstream_idle": "2s"}, "plugins": {"todo": {"upstream": {"timeout": "2s"}}}})
    return world.session(http2=http2, token=world.service)


# --- requests ---


def test_a_body_of_unknown_length_streams_up(world, client):
    arrived, go_on = queue.Queue(), threading.Event()

    def slowly(request):
        for piece in request.pieces():
            arrived.put(piece)
        return Reply(json={"sum": "done"})

    def pieces():
        yield b"first"
        assert go_on.wait(10), "the first piece never arrived on its own"
        yield b"second"

    world.upstream.on("POST", "/files", slowly, early=True)
    done: list[httpx.Response] = []
    sender = threading.Thread(target=lambda: done.append(client.post("/files", content=pieces())))
    sender.start()
    assert arrived.get(timeout=10) == b"first"
    go_on.set()
    sender.join(10)
    assert done[0].status_code == 200
    assert b"".join(arrived.queue) == b"second"
    assert world.upstream.last.all("transfer-encoding") == ["chunked"]


def test_methods_and_their_bodies(world, client):
    for method, path, body in [
        ("DELETE", "/todos/7", b'{"reason":"x"}'), ("PUT", "/todos/7", b"x" * 70_000), ("PATCH", "/todos/7", b"{}"),
        ("POST", "/todos", b""), ("DELETE", "/todos/7", b""), ("GET", "/todos", b""),
    ]:
        assert client.request(method, path, content=body).status_code == 200
        seen = world.upstream.last
        assert (seen.method, seen.body) == (method, body)
        expected = [str(len(body))] if body or method in ("POST", "PUT", "PATCH") else []
        assert seen.all("content-length") == expected, method


def test_multipart_with_a_file_and_a_field(world, client):
    blob = bytes(range(256)) * 512
    got = client.post("/files", files={"file": ("ü.bin", blob, "application/octet-stream")}, data={"metadata": json.dumps({"a": 1})})
    assert got.status_code == 200
    boundary = world.upstream.last.get("content-type").split("boundary=")[1].encode()
    parts = world.upstream.last.body.split(b"--" + boundary)
    assert len(parts) == 4 and any(blob in part for part in parts)


def test_a_body_that_is_too_large(world, client):
    most = 256 << 10
    refusal(client.post("/files", content=b"x" * (most + 1)), 413, "body_too_large")
    assert world.upstream.requests == []
    assert client.post("/files", content=b"x" * most).status_code == 200

    def endless():
        for _ in range(64):
            yield b"x" * (1 << 13)

    refusal(client.post("/files", content=endless()), 413, "body_too_large")
    assert client.get("/todos").status_code == 200


def test_a_large_body_is_refused_before_it_was_sent(world):
    world.start({"limits": {"body_bytes": "1MiB"}})
    (world.folder / "large").write_bytes(b"x" * (8 << 20))
    ca = world.certificates.write_ca(world.folder / "ca.pem")
    _, port = world.gateway.address("https")
    arguments = ["-sS", "--http1.1", "--cacert", str(ca), "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}",
                 "-T", "large", "-H", f"Authorization: Bearer {world.service}", f"https://localhost:{port}/files/7"]
    done = subprocess.run(["curl", *arguments], cwd=world.folder, capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.startswith("413 "), done
    assert int(done.stdout.split()[1]) < 8 << 20

    frames = Frames(world.gateway)
    stream = frames.request("PUT", "/files/7", ("authorization", f"Bearer {world.service}"), ("content-length", str(8 << 20)), end=False)
    # RFC 9113 section 8.1: the whole answer, and then a reset that says that nothing is wrong.
    head, *_, reset = frames.until(h2.events.StreamReset, stream)
    assert (dict(head.headers)[":status"], reset.error_code) == ("413", 0)
    assert world.upstream.requests == []


def test_trailers_over_http2(world):
    world.start()
    frames = Frames(world.gateway)
    credential = ("authorization", f"Bearer {world.service}")
    world.upstream.on("GET", "/todos", Reply(200, [("Trailer", "X-Sum")], b"body", trailers=[("X-Sum", "abc"), ("Set-Cookie", "no=1")]))
    seen = frames.until(h2.events.StreamEnded, frames.request("GET", "/todos", credential, ("te", "trailers")))
    [trailers] = [event for event in seen if isinstance(event, h2.events.TrailersReceived)]
    assert dict(trailers.headers) == {"x-sum": "abc"}

    stream = frames.request("POST", "/todos", credential, ("trailer", "x-sum"), end=False)
    frames.data(stream, b"up")
    forged = [("authorization", "Bearer forged"), ("x-plugway-principal", "forged"), ("content-length", "7")]
    frames.h2.send_headers(stream, [("x-sum", "def"), *forged], end_stream=True)
    frames.flush()
    frames.until(h2.events.StreamEnded, stream)
    assert world.upstream.last.body == b"up"
    assert [(name.lower(), value) for name, value in world.upstream.last.trailers] in ([("x-sum", "def")], [])


def test_continue_is_said_only_after_authentication(world, client):
    for tls in (False, True):
        for secret, path in [("pls_wrong", "/todos"), (world.service, "/nothing"), (None, "/todos")]:
            wire = world.wire(tls)
            line = f"Authorization: Bearer {secret}\r\n" if secret else ""
            wire.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{line}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            status, _ = wire.head()
            assert status in (401, 404), "100 was said to somebody unknown"
        wire = world.wire(tls)
        wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert wire.head()[0] == 100
        wire.send("body")
        assert wire.head()[0] == 200
        assert world.upstream.last.body == b"body"
    assert len(world.upstream.requests) == 2


def test_a_body_that_nobody_read_is_not_the_next_request(world):
    world.start()
    wire = world.wire()
    inner = f"POST /internal/reset HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\nContent-Length: 0\r\n\r\n"
    wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(inner)}\r\n\r\n")
    assert wire.head()[0] == 401
    try:
        wire.send(inner)
        wire.sock.shutdown(1)
    except OSError:
        pass
    wire.rest()
    assert world.upstream.requests == []


def test_a_refusal_says_whether_the_connection_goes_on(world):
    """Otherwise the next request meets a closed door, and only an idempotent one is sent again."""
    world.start()
    wire = world.wire()
    for _ in range(3):
        wire.send("POST /todos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n")
        wire.send("body")
        status, fields = wire.head()
        assert status == 401 and "connection" not in fields
        wire.exactly(int(fields["content-length"]))
    for rest in ("Content-Length: 1000000", "Transfer-Encoding: chunked", "Content-Length: 4\r\nExpect: 100-continue"):
        wire = world.wire()
        wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n\r\n")
        status, fields = wire.head()
        assert (status, fields.get("connection")) == (401, "close"), rest
        wire.rest()
    assert world.upstream.requests == []


FRAMES = [
    "Content-Length: 4\r\nContent-Length: 5", "Content-Length: +4", "Content-Length: -1", "Content-Length: 4, 5", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, chunked",
]


@pytest.mark.parametrize("frame", FRAMES)
def test_framing_that_could_be_read_in_two_ways(world, frame):
    world.start()
    wire = world.wire()
    wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n{frame}\r\n\r\n0\r\n\r\n")
    status, _ = wire.head()
    assert status == 400
    wire.rest()  # and the connection is closed
    assert world.upstream.requests == []


def test_length_beside_chunks_ends_the_connection(world):
    """What hyper settles: the length goes, the chunks count, nothing follows on the connection."""
    world.start()
    wire = world.wire()
    wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\nContent-Length: 3\r\n"
              "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert wire.head()[0] in (200, 400)
    wire.rest()
    assert [request.body for request in world.upstream.requests] in ([b"ab"], [])


# --- responses ---


def test_head_204_and_304(world, client):
    world.upstream.on("GET", "/todos", Reply(200, [("Content-Type", "text/plain")], b"twelve bytes"))
    got = client.request("HEAD", "/todos")
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "12")
    assert world.upstream.last.method == "HEAD"
    world.upstream.on("DELETE", "/todos/7", Reply(204, [("X-Kept", "1")]))
    got = client.request("DELETE", "/todos/7")
    assert (got.status_code, got.content, got.headers["x-kept"]) == (204, b"", "1")
    assert "content-length" not in got.headers
    world.upstream.on("GET", "/todos/7", Reply(304, [("ETag", '"7"')]))
    got = client.get("/todos/7", headers={"If-None-Match": '"7"'})
    assert (got.status_code, got.content, got.headers["etag"]) == (304, b"", '"7"')
    assert client.get("/slow").status_code == 200, "the connection is still in step"


def test_chunked_down(world, client):
    world.upstream.on("GET", "/todos", Reply(200, [("Content-Type", "text/plain")], b"x" * 100_000, chunked=True))
    got = client.get("/todos")
    assert got.content == b"x" * 100_000
    assert "content-length" not in got.headers


def test_a_body_that_ends_with_the_connection(world, client):
    def until_close(request):
        request.conn.send(head(200, [("Content-Type", "text/plain")]) + b"all of it")

    world.upstream.on("GET", "/todos", until_close)
    assert client.get("/todos").content == b"all of it"


def test_trailers_that_were_declared(world):
    world.start()
    trailers = [("X-Sum", "abc"), ("Authorization", "no"), ("Content-Length", "3")]
    world.upstream.on("GET", "/todos", Reply(200, [("Trailer", "X-Sum")], b"body", trailers=trailers))
    for te, expected in [("TE: trailers\r\nConnection: TE\r\n", True), ("", False)]:
        wire = world.wire()
        wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n{te}\r\n")
        status, fields = wire.head()
        assert (status, fields["transfer-encoding"]) == (200, "chunked")
        assert (fields.get("trailer") == "x-sum" or fields.get("trailer") == "X-Sum") is expected
        raw = b""
        while not raw.endswith(b"\r\n\r\n"):
            raw += wire.exactly(1)
        assert (b"x-sum: abc" in raw.lower()) is expected
        assert b"authorization" not in raw.lower() and b"content-length" not in raw.lower()


@pytest.mark.parametrize("interim", [[(100, [])], [(103, [("Link", "</x>; rel=preload")])] * 3, [(102, []), (103, [])]])
def test_interim_responses_of_the_upstream_are_dropped(world, client, interim):
    world.upstream.on("GET", "/todos", Reply(200, body=b"final", interim=interim))
    got = client.get("/todos")
    assert (got.status_code, got.content) == (200, b"final")
    wire = world.wire()
    wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n")
    assert wire.head()[0] == 200


def test_interim_responses_without_an_end(world, client):
    def flood(request):
        try:
            while True:
                request.conn.send(head(103, [("Link", "</x>; rel=preload")]))
        except Gone:
            pass

    world.upstream.on("GET", "/todos", flood)
    got = client.get("/todos")
    assert got.status_code in (502, 504)
    refusal(got)


def test_the_first_event_comes_at_once(world, client):
    events: queue.Queue = queue.Queue()

    def stream(request):
        request.conn.send(head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]))
        while (event := events.get(timeout=20)) is not None:
            request.conn.chunk(event)
        request.conn.send(b"0\r\n\r\n")
        return None

    world.upstream.on("GET", "/events", stream)
    with client.stream("GET", "/events") as got:
        assert got.headers["content-type"] == "text/event-stream"
        incoming = got.iter_raw()
        for number in range(3):
            event = b"data: %d\n\n" % number
            events.put(event)
            assert next(incoming) == event
        events.put(None)
        assert list(incoming) == []


def cut_by_length(request):
    request.conn.send(head(200, [("Content-Length", "1000")]) + b"x" * 10)


def cut_in_a_chunk(request):
    request.conn.send(head(200, [("Transfer-Encoding", "chunked")]) + b"a\r\n01234")


def cut_between_chunks(request):
    request.conn.send(head(200, [("Transfer-Encoding", "chunked")]) + b"5\r\n01234\r\n")


def silent_in_the_middle(request):
    request.conn.send(head(200, [("Content-Length", "1000")]) + b"x" * 10)
    request.conn.wait_gone()


@pytest.mark.parametrize("cut", [cut_by_length, cut_in_a_chunk, cut_between_chunks, silent_in_the_middle])
def test_a_cut_body_is_seen_as_cut(world, client, cut):
    world.upstream.on("GET", "/todos", cut)
    with pytest.raises(httpx.TransportError) as raised:
        client.get("/todos")
    assert not isinstance(raised.value, httpx.TimeoutException)
    line = eventually(lambda: [line for line in world.gateway.lines() if line["outcome"] != "complete"])[0]
    assert (line["status"], line["outcome"]) == (200, "upstream_broken")
    world.upstream.on("GET", "/todos", Reply(200, body=b"whole"))
    assert client.get("/todos").content == b"whole"


BROKEN = [
    b"", b"nonsense\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2_000_000,
]


@pytest.mark.parametrize("answer", BROKEN, ids=lambda answer: answer[:24].decode() or "closed")
def test_an_answer_that_can_not_be_passed_on(world, client, answer):
    def broken(request):
        try:
            request.conn.send(answer)
        except Gone:
            pass

    world.upstream.on("POST", "/todos", broken)
    refusal(client.post("/todos", json={}), 502, "upstream_broken")
    assert len([r for r in world.upstream.requests if r.method == "POST"]) == 1, "a POST is never sent twice"


def test_upstream_down_and_silent(world, client):
    world.upstream.on("GET", "/slow", lambda request: request.conn.wait_gone())
    refusal(client.get("/slow"), 504, "upstream_timeout")
    world.upstream.stop()
    refusal(client.get("/todos"), 502, "upstream_unreachable")
    world.upstream.start()
    assert client.get("/todos").status_code == 200


def test_a_connection_that_went_stale_costs_nobody_an_error(world, client):
    """The upstream closes idle connections: what it can not have seen is sent again."""
    for _ in range(5):
        assert client.get("/todos").status_code == 200
        with world.upstream.lock:
            idle = list(world.upstream.connections)
        for conn in idle:
            conn.close()
    assert client.get("/todos").status_code == 200


def test_an_answer_before_the_body_was_read(world, client):
    body = b"no, whatever it is"

    def at_once(request):
        request.conn.send(head(403, [("Content-Length", str(len(body)))]) + body)
        request.read_body()

    world.upstream.on("POST", "/files", at_once, early=True)
    got = client.post("/files", content=b"x" * 200_000)
    assert (got.status_code, got.content) == (403, body)
    assert client.get("/todos").status_code == 200


def test_a_client_that_leaves_ends_the_exchange(world, client):
    gone = threading.Event()

    def wait(request):
        request.conn.send(head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]))
        request.conn.chunk(b"data: 1\n\n")
        request.conn.wait_gone()
        gone.set()

    world.upstream.on("GET", "/events", wait)
    with client.stream("GET", "/events") as got:
        next(got.iter_raw())
        request_id = got.headers["x-request-id"]
    client.close()  # over HTTP/2 leaving the stream alone is not told to the other side
    assert gone.wait(10), "the upstream is still held"
    assert world.gateway.line(request_id)["outcome"] == "client_left"
