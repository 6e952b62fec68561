"""Bounds of sizes that are an operation's or an answer's own: `limits.response_chars`, `body_bytes`."""

from __future__ import annotations

import copy
import gzip

import pytest
from h2.events import StreamEnded, TrailersReceived

from clients import Frames, refusal
from conftest import World
from materials import DOCUMENT
from test_operation import METRICS, Page
from upstreams import Reply, Request

TEXT = [("Content-Type", "text/plain; charset=utf-8")]
GUARD = {"limits": {"response_chars": 1000}}
COUNTRY = "ü"  # two bytes, one character


def answer(world: World, body: bytes, headers=TEXT, path: str = "/todos", method: str = "GET", **more) -> None:
    world.upstream.on(method, path, Reply(200, list(headers), body, **more))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_what_is_within_the_bound_passes_unchanged(world: World, http2, chunked: bool):
    world.start(GUARD)
    client = world.session(http2=http2, token=world.service)
    for body in [b"", b"x", b"x" * 1000, (COUNTRY * 1000).encode(), ("😀" * 1000).encode()]:
        answer(world, body, chunked=chunked)
        got = client.get("/todos")
        assert (got.status_code, got.content) == (200, body)
        assert got.headers["content-type"] == TEXT[0][1]
        assert got.headers.get("content-length", str(len(body))) == str(len(body))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("body", [b"x" * 1001, (COUNTRY * 1001).encode(), b"x" * 5_000_000], ids=["just", "two bytes each", "far"])
def test_what_is_beyond_it_is_replaced(world: World, http2, chunked: bool, body: bytes):
    world.start(GUARD | METRICS)
    client = world.session(http2=http2, token=world.service)
    answer(world, body, chunked=chunked)
    problem = refusal(client.get("/todos"), 502, "response_too_large")
    assert "1000 characters" in problem["detail"] and "Ask for less" in problem["detail"], problem
    assert ("has more than" if chunked else f"has {len(body)} bytes") in problem["detail"], problem
    assert "carried out" not in problem["detail"]
    line = world.gateway.line(problem["request_id"])
    assert (line["status"], line["upstream_status"], line["code"]) == (502, 200, "response_too_large")
    # And the next one is well.
    answer(world, b"short")
    assert client.get("/todos").content == b"short"
    # The API did nothing wrong.
    assert Page(world).sum("plugway_upstream_failures_total") == 0


def test_the_answer_says_how_to_ask_for_less(world: World):
    """With the parameters that the operation has for it, but for those that clients do not see."""
    document = copy.deepcopy(DOCUMENT)
    names = ["limit", "page", "per_page", "format", "$filter", "id"]
    document["paths"]["/todos"]["get"]["parameters"] = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    world.upstream.document = document
    world.start(GUARD | {"plugins": {"todo": {"operations": {"listTodos": {"fixed": {"per_page": 50}}}}}})
    client = world.session(token=world.service)
    answer(world, b"x" * 2000)
    assert refusal(client.get("/todos"), 502)["detail"].endswith("Ask for less, with the parameters `limit`, `page` or `$filter`.")
    answer(world, b"x" * 2000, path="/search")
    assert refusal(client.get("/search?q=a"), 502)["detail"].endswith("Ask for less, with the parameter `q`.")
    answer(world, b"x" * 2000, method="POST")
    detail = refusal(client.post("/todos", content=b"{}"), 502)["detail"]
    assert detail.endswith("The request itself was carried out: do not repeat it."), detail
    world.upstream.on("GET", "/events", Reply(500, TEXT, b"x" * 2000))
    assert "(status 500)" in refusal(client.get("/events"), 502)["detail"]


@pytest.mark.parametrize("reply", [
    pytest.param(Reply(200, [("Content-Type", "image/png")], b"x" * 5000), id="binary"),
    pytest.param(Reply(206, [*TEXT, ("Content-Range", "bytes 0-4999/9999")], b"x" * 5000), id="a range"),
    pytest.param(Reply(200, [("Content-Type", "text/event-stream")], b"data: x\n\n" * 1000, chunked=True), id="events"),
])
def test_what_is_not_guarded(world: World, http2, reply: Reply):
    world.start(GUARD)
    world.upstream.on("GET", "/todos", reply)
    got = world.session(http2=http2, token=world.service).get("/todos")
    assert (got.status_code, got.content) == (reply.status, reply.body)


def test_a_head_tells_the_true_length(world: World, http2):
    world.start(GUARD)
    answer(world, b"x" * 5000)
    got = world.session(http2=http2, token=world.service).request("HEAD", "/todos")
    assert (got.status_code, got.headers["content-length"]) == (200, "5000")


def test_encodings(world: World, http2):
    """An API is asked for none, so that characters can be counted; of what is encoded all the same
    the bytes are."""
    world.start(GUARD)
    client = world.session(http2=http2, token=world.service)
    small, encoded = gzip.compress(b"x" * 5000), [*TEXT, ("Content-Encoding", "gzip")]
    answer(world, small, encoded)
    assert client.get("/todos", headers={"Accept-Encoding": "gzip, br"}).text == "x" * 5000
    assert world.upstream.last.get("accept-encoding") == "identity"
    answer(world, bytes(range(256)) * 8, encoded)
    assert "1000 bytes" in refusal(client.get("/todos"), 502, "response_too_large")["detail"]


def test_trailers_of_what_was_held(world: World):
    world.start(GUARD)
    answer(world, b"x" * 10, trailers=[("X-Sum", "7")])
    frames = Frames(world.gateway)
    stream = frames.request("GET", "/todos", ("authorization", f"Bearer {world.service}"), ("te", "trailers"))
    seen = frames.until(StreamEnded, stream)
    [trailers] = [event for event in seen if isinstance(event, TrailersReceived)]
    assert ("x-sum", "7") in trailers.headers


def test_an_api_that_breaks_off_while_it_is_held(world: World, http2):
    """There is no head yet, so there is an answer instead of half of one."""
    world.start(GUARD)

    def half(request: Request) -> None:
        request.conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")

    world.upstream.on("GET", "/todos", half)
    refusal(world.session(http2=http2, token=world.service).get("/todos"), 502, "upstream_broken")


def test_it_is_off_by_default(world: World, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    answer(world, b"x" * 5_000_000)
    assert len(client.get("/todos", headers={"Accept-Encoding": "gzip"}).content) == 5_000_000
    assert world.upstream.last.get("accept-encoding") == "gzip"


# --- operations.NAME.body_bytes ---

@pytest.mark.parametrize("named", ["upload", "POST /files"])
def test_an_operation_has_a_bound_of_its_own(world: World, http2, named: str):
    """Above the general one or below it, told before the API hears of the request."""
    world.start({
        "limits": {"body_bytes": "1KiB"},
        "plugins": {"todo": {"operations": {named: {"body_bytes": "4KiB"}, "addTodo": {"body_bytes": 100}}}},
    })
    client = world.session(http2=http2, token=world.service)
    for path, limit in [("/files", 4096), ("/todos", 100), ("/slow", 1024)]:
        assert client.post(path, content=b"x" * limit).status_code == 200
        world.upstream.settle()  # the upload of the last round was cut while it was sent
        seen = len(world.upstream.requests)
        problem = refusal(client.post(path, content=b"x" * (limit + 1)), 413, "body_too_large")
        assert str(limit) in problem["detail"], problem
        assert len(world.upstream.requests) == seen
        # Without a length the bytes are counted as they come.
        refusal(client.post(path, content=iter([b"x" * limit, b"x"])), 413, "body_too_large")
