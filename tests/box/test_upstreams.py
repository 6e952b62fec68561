"""Where the API is: several places, each of which may fail."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from clients import refusal
from materials import DOCUMENT, merge
from plugway import eventually
from test_operation import METRICS, Page
from upstreams import Reply, head

GONE = lambda _request: None  # noqa: E731 - read, and closed without a word


@pytest.fixture
def two(world, new_upstream):
    """Two upstreams, and a gateway with one worker in front of them."""
    other = new_upstream()
    world.upstream.secrets |= {world.service}
    world.start({"workers": 1, "plugins": {"todo": {"upstream": {"url": [world.upstream.url, other.url]}}}})
    return world.upstream, other


def standing(world, upstream) -> dict:
    """What `status` says of one URL."""
    listed = world.gateway.status()["plugins"][0]["upstreams"]
    return next(entry for entry in listed if entry["url"] == upstream.url)


def until_ejected(world, client, upstream) -> None:
    def ejected() -> bool:
        client.get("/todos")
        return standing(world, upstream)["ejected"]

    eventually(ejected)


def test_requests_are_spread_and_each_upstream_is_called_by_its_name(world, two, http2):
    client = world.session(http2=http2, token=world.service)
    for upstream in two:
        upstream.on("GET", "/todos", Reply(302, [("Location", f"{upstream.url}/elsewhere")]))

    def both() -> bool:
        answer = client.get("/todos")
        assert answer.headers["location"] == f"{client.origin}/elsewhere"
        return all(upstream.requests for upstream in two)

    eventually(both)
    for upstream in two:
        assert {request.get("host") for request in upstream.requests} == {upstream.authority}
        assert standing(world, upstream) == {"url": upstream.url, "healthy": None, "failures": 0, "ejected": False, "ejected_for": None}


def test_the_text_of_status_shows_each_of_them(world, two):
    first, other = two
    text = world.gateway.command("status").out
    assert "2 upstreams" in text and all(f"  upstream {upstream.url}: in use\n" in text for upstream in two), text
    status = world.gateway.status()
    assert f"process {status['pid']} since {status['started']}, ready since {status['ready_since']}" in text, text
    other.stop()
    until_ejected(world, world.session(token=world.service), other)
    text = world.gateway.command("status").out
    assert re.search(rf"  upstream {re.escape(other.url)}: failed \d+ times in a row, left out for another [\d.]+ s\n", text), text
    assert f"  upstream {first.url}: in use\n" in text, text


def test_the_less_loaded_one_is_asked(world, two):
    """A request that hangs at one sends the next to the other."""
    import threading
    release, arrived = threading.Event(), threading.Semaphore(0)

    def hold(_request) -> Reply:
        arrived.release()
        release.wait(20)
        return Reply()

    for upstream in two:
        upstream.on("GET", "/slow", hold)
    threads = []
    for _ in range(6):
        client = world.session(token=world.service)
        threads.append(threading.Thread(target=client.get, args=("/slow",)))
        threads[-1].start()
        assert arrived.acquire(timeout=20)
    seen = [len(upstream.requests) for upstream in two]
    release.set()
    for thread in threads:
        thread.join(20)
    assert seen == [3, 3]


def test_a_dead_one_is_noticed_by_nobody(world, two, http2):
    one, other = two
    client = world.session(http2=http2, token=world.service)
    other.stop()
    for number in range(12):
        answer = client.post("/todos", json={"number": number})
        assert answer.status_code == 200
        assert json.loads(answer.json()["body"]) == {"number": number}
    until_ejected(world, client, other)
    assert standing(world, other)["failures"] >= 3
    assert standing(world, one)["failures"] == 0
    world.gateway.await_messages("an upstream is left out")
    other.start()

    def back() -> bool:
        assert client.get("/todos").status_code == 200
        return standing(world, other)["failures"] == 0

    eventually(back)


def test_all_dead_are_all_tried(world, two):
    client = world.session(token=world.service)
    for upstream in two:
        upstream.stop()

    def all_out() -> bool:
        refusal(client.get("/todos"), 502, "upstream_unreachable")
        return all(standing(world, upstream)["failures"] >= 3 for upstream in two)

    eventually(all_out)
    two[1].start()
    eventually(lambda: client.get("/todos").status_code == 200)


def test_what_was_sent_is_not_sent_to_another(world, two):
    """A connection that ends without an answer counts against the upstream; the request may
    have been acted on."""
    client = world.session(token=world.service)
    for upstream in two:
        upstream.on("POST", "/todos", GONE)
    for number in range(1, 7):
        refusal(client.post("/todos", json={}), 502, "upstream_broken")
        assert sum(len(upstream.requests) for upstream in two) == number
    assert sum(standing(world, upstream)["failures"] for upstream in two) >= 3


def test_a_swap_forgets_nothing(world, two):
    one, other = two
    client = world.session(token=world.service)
    other.stop()
    until_ejected(world, client, other)
    generation, kept = world.gateway.generation(), len(one.snapshot())
    world.change({"plugins": {"todo": {"description": "Another."}}})
    eventually(lambda: world.gateway.generation() > generation)
    assert standing(world, other)["failures"] >= 3
    # Unless the URL is gone, and comes anew.
    world.change({"plugins": {"todo": {"upstream": {"url": [one.url]}}}})
    eventually(lambda: world.gateway.generation() > generation + 1)
    assert client.get("/todos").status_code == 200
    assert kept  # there were connections to lose


def test_the_document_comes_from_any(world, new_upstream):
    other = new_upstream()
    world.upstream.stop()
    world.start({"plugins": {"todo": {"upstream": {"url": [world.upstream.url, other.url]}}}})
    assert world.session(token=world.service).get("/todos").status_code == 200
    world.upstream.start()


def test_urls_that_differ_in_more_than_their_place_are_refused(world, two):
    one, other = two
    world.change({"plugins": {"todo": {"upstream": {"url": [one.url, f"{other.url}/v1"]}}}})
    assert "has not the same path as the first URL" in world.gateway.await_refusal()["text"]
    assert world.session(token=world.service).get("/todos").status_code == 200


# --- unix sockets ---


def test_a_unix_socket(world, new_upstream, folder, http2):
    api = new_upstream(path=folder / "api.sock")
    api.on("GET", "/v1/openapi.json", Reply(json=api.document))
    api.on("GET", "/v1/todos", Reply(302, [("Location", "http://localhost/v1/elsewhere")]))
    world.plugin({"upstream": {"url": "unix:api.sock:/v1"}})
    api.forget()
    client = world.session(http2=http2, token=world.service)
    assert client.get("/todos").headers["location"] == f"{client.origin}/elsewhere"
    assert api.last.get("host") == "localhost"
    # Bodies, and the same connection again.
    body = "x" * 1_000_000
    for _ in range(2):
        assert client.post("/todos", content=body).json()["body"] == body
    assert len({request.connection for request in api.requests}) == 1
    assert world.gateway.status()["plugins"][0]["upstream"] == "unix:api.sock:/v1"
    api.stop()
    refusal(client.get("/todos"), 502, "upstream_unreachable")
    api.start()
    assert client.get("/todos").status_code == 302


def test_a_unix_socket_beside_a_port(world, new_upstream, folder):
    api = new_upstream(path=folder / "api.sock")
    world.plugin({"upstream": {"url": [api.url, world.upstream.url], "host": "api.example"}})
    client = world.session(token=world.service)

    def both() -> bool:
        assert client.get("/todos").status_code == 200
        return api.requests and world.upstream.requests

    eventually(both)
    assert api.last.get("host") == world.upstream.last.get("host") == "api.example"


# --- names ---


def test_a_name(world, new_upstream, http2):
    """What is kept of a connection to a name is used again."""
    api = new_upstream()
    world.plugin({"upstream": {"url": f"http://localhost:{api.port}", "resolve": "1s"}})
    api.forget()
    client = world.session(http2=http2, token=world.service)
    for _ in range(5):
        assert client.get("/todos").status_code == 200
    assert len({request.connection for request in api.requests}) == 1
    assert api.last.get("host") == f"localhost:{api.port}"


def test_a_name_that_does_not_exist(world):
    urls = ["http://no-such-name.invalid:8000", world.upstream.url]
    world.start({"workers": 1, "plugins": {"todo": {"upstream": {"url": urls}}}})
    client = world.session(token=world.service)

    def failed() -> bool:
        assert client.post("/todos", json={}).status_code == 200
        return world.gateway.status()["plugins"][0]["upstreams"][0]["failures"] >= 3

    eventually(failed)


# --- health checks ---


def test_health_checks(world, new_upstream, http2):
    one, other = world.upstream, new_upstream()
    status = {one: 200, other: 503}
    for api in status:
        api.on("GET", "/health", lambda _request, api=api: Reply(status[api]))
    health = {"path": "/health", "interval": "100ms", "unhealthy": 2, "healthy": 1}
    world.plugin({"upstream": {
        "url": [one.url, other.url], "health": health, "credential": {"bearer": "${env:SECRET}"},
    }}, env={"SECRET": "the-upstreams-own"})
    client = world.session(http2=http2, token=world.service)

    def asked(api) -> int:
        return len([request for request in api.requests if request.path == "/todos"])

    eventually(lambda: standing(world, other)["healthy"] is False)
    assert standing(world, one)["healthy"] is True
    before = asked(other)
    for _ in range(20):
        assert client.get("/todos").status_code == 200
    assert asked(other) == before, "it is unhealthy"

    # A swap forgets nothing.
    generation = world.gateway.generation()
    world.change({"plugins": {"todo": {"description": "Another."}}})
    eventually(lambda: world.gateway.generation() > generation)
    assert standing(world, other)["healthy"] is False

    # All unhealthy are all used; one that is well again is used alone.
    status[one] = 500
    eventually(lambda: standing(world, one)["healthy"] is False)

    def both() -> bool:
        assert client.get("/todos").status_code == 200
        return asked(other) > before

    eventually(both)
    status[other] = 204
    eventually(lambda: standing(world, other)["healthy"] is True)
    before = asked(one)
    for _ in range(20):
        assert client.get("/todos").status_code == 200
    assert asked(one) == before

    checks = [request for api in status for request in api.requests if request.path == "/health"]
    assert not any(request.all("authorization") for request in checks)
    assert {request.get("host") for request in checks} == {one.authority, other.authority}


# --- upstream.total ---

TOTAL = merge(METRICS, {"plugins": {"todo": {"upstream": {"timeout": "30s", "total": "300ms"}}}})
NAMED = "within 0.3 seconds, the most that a whole exchange may take (`upstream.total`)"


def endless(request):
    """A head at once, and a body that goes on."""
    request.conn.send(head(200, [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")]))
    request.conn.chunk(b"begun")
    request.conn.wait_gone()


@pytest.mark.parametrize("answer", [lambda request: request.conn.wait_gone(), endless], ids=["no head", "a body that is held"])
def test_the_total_that_passed_is_named(world, http2, answer):
    world.start(merge(TOTAL, {"limits": {"response_chars": 100_000}}))
    world.upstream.on("GET", "/todos", answer)
    got = world.session(http2=http2, token=world.service).get("/todos")
    assert NAMED in refusal(got, 504, "upstream_timeout")["detail"]
    world.gateway.await_messages("within the 0.3 s of `upstream.total`")
    assert world.gateway.stderr.count("upstream.total") == 1


def test_a_streamed_body_that_takes_longer_than_total(world, http2):
    world.start(TOTAL)
    world.upstream.on("GET", "/todos", endless)
    with pytest.raises(httpx.TransportError) as raised:
        world.session(http2=http2, token=world.service).get("/todos")
    assert not isinstance(raised.value, httpx.TimeoutException)
    line = eventually(lambda: [line for line in world.gateway.lines() if line["outcome"] != "complete"])[0]
    assert (line["status"], line["outcome"]) == (200, "upstream_timeout")
    world.gateway.await_messages("within the 0.3 s of `upstream.total`", line["request_id"])
    assert world.gateway.stderr.count("upstream.total") == 1
    assert Page(world).sum("plugway_upstream_failures_total", kind="timeout") == 1


@pytest.mark.parametrize("base", ["", "/v1"])
def test_a_document_behind_a_socket_is_shown_as_the_socket_and_the_path(world, new_upstream, base):
    """As `localhost` it is fetched, which nobody wrote."""
    behind = new_upstream(path=world.folder / "api.sock")
    behind.on("GET", f"{base}/openapi.json", Reply(200, json=DOCUMENT))
    socket = f"unix:{world.folder}/api.sock"
    world.plugin({"upstream": {"url": f"{socket}:{base}" if base else socket}})
    document = world.gateway.status()["plugins"][0]["document"]
    assert (document["source"], document["state"]) == (f"{socket}:{base}/openapi.json", "current")
    behind.stop()
    world.gateway.reload()
    told = eventually(lambda: world.gateway.status()["plugins"][0]["document"]["error"])
    assert f"{socket}:{base}/openapi.json can not be fetched" in told
    assert "localhost:80" not in world.gateway.stderr
