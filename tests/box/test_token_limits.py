"""What bounds the use of one token: rate, quota, requests at the same time, networks."""

from __future__ import annotations

import json
import threading
import time

import httpx
import pytest
from h2.events import ResponseReceived, StreamEnded

from clients import TIMEOUT, Frames, Session, refusal
from conftest import World
from materials import declared, merge, sha256, token
from plugway import eventually, replace
from test_operation import METRICS, Page
from test_streams import EVENTS, Api, OneOne, Two, cut_lines, swapped
from upstreams import Reply, Request

DAY = 86_400
LIMITED = {"workers": 2, "trusted_proxies": ["127.0.0.0/24"]} | METRICS


@pytest.fixture(autouse=True)
def not_at_midnight() -> None:
    """A day of a quota must not end within a test."""
    if (left := DAY - time.time() % DAY) < 60:
        time.sleep(left)


def bounded(limits: dict, **more: object) -> dict:
    return merge(LIMITED | {"tokens": {"chatgpt": limits}}, more)


def exceeded(got: httpx.Response, code: str, policy: str | None, longest: int) -> int:
    """A 429 and what it says of the limit (draft-ietf-httpapi-ratelimit-headers); after how many
    seconds it may be tried again."""
    problem = refusal(got, 429, code)
    retry = int(got.headers["retry-after"])
    assert 1 <= retry <= longest
    assert got.headers.get("ratelimit-policy") == policy
    if policy:
        name = policy.partition(";")[0]
        assert got.headers["ratelimit"] == f"{name};r=0;t={retry}"
    else:
        assert "ratelimit" not in got.headers
    assert "www-authenticate" not in got.headers
    assert problem["detail"].startswith("The token ")
    return retry


def used_up(client: Session, **more: object) -> httpx.Response:
    """Asks until it is refused."""
    for _ in range(100):
        if (got := client.get("/todos", **more)).status_code != 200:
            return got
    raise AssertionError("it is never refused")


# --- rate ---


def test_a_rate(world: World, http2: bool):
    world.start(bounded({"rate": "3/day"}))
    client = world.session(http2=http2, token=world.service)
    for _ in range(3):
        assert client.get("/todos").status_code == 200
    sent = len(world.upstream.requests)
    for method in ("GET", "POST"):
        got = client.request(method, "/todos")
        exceeded(got, "rate_limited", '"rate";q=3;w=86400', DAY // 3)
        line = world.gateway.line(got.headers["x-request-id"])
        assert (line["status"], line["code"], line["token"]) == (429, "rate_limited", "chatgpt")
    assert len(world.upstream.requests) == sent
    # Nobody else is meant, and it was not a wrong credential.
    assert client.get("/todos", token=world.user).status_code == 200
    page = Page(world)
    assert page.sum("plugway_requests_total", code="rate_limited") == 2
    assert page.sum("plugway_requests_total", code="invalid_token") == 0


def test_a_rate_comes_back(world: World):
    world.start(bounded({"rate": "2/s"}))
    client = world.session(token=world.service)
    retry = exceeded(used_up(client), "rate_limited", '"rate";q=2;w=1', 1)
    time.sleep(retry)
    assert client.get("/todos").status_code == 200


# --- quota ---


def test_a_quota(world: World, http2: bool):
    world.start(bounded({"quota": "2/day"}))
    client = world.session(http2=http2, token=world.service)
    for _ in range(2):
        assert client.get("/todos").status_code == 200
    left = DAY - int(time.time()) % DAY
    retry = exceeded(client.get("/todos"), "quota_exceeded", '"quota";q=2;w=86400', DAY)
    assert left - 60 < retry <= left
    assert client.get("/todos", token=world.user).status_code == 200
    assert Page(world).sum("plugway_requests_total", code="quota_exceeded") == 1


def test_a_quota_begins_anew(world: World):
    world.start(bounded({"quota": "1/s"}))
    client = world.session(token=world.service)
    retry = exceeded(used_up(client), "quota_exceeded", '"quota";q=1;w=1', 1)
    time.sleep(retry)
    assert client.get("/todos").status_code == 200


# --- at the same time ---


class Held:
    """An operation that answers when it is told to."""

    def __init__(self, world: World):
        self.go, self.asked, self.gone = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)
        world.upstream.on("GET", "/slow", self.answer)
        world.upstream.on("GET", "/events", self.hold)

    def answer(self, _: Request) -> Reply:
        self.asked.release()
        assert self.go.wait(TIMEOUT)
        return Reply(body=b"at last")

    def hold(self, request: Request) -> None:
        self.asked.release()
        request.conn.wait_gone()
        self.gone.release()

    def await_asked(self) -> None:
        assert self.asked.acquire(timeout=TIMEOUT)


def test_requests_at_the_same_time(world: World, http2: bool):
    held = Held(world)
    world.start(bounded({"concurrency": 2}))
    answers: list[int] = []
    ask = lambda: answers.append(world.session(http2=http2, token=world.service).get("/slow").status_code)
    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
        held.await_asked()
    client = world.session(http2=http2, token=world.service)
    got = client.get("/todos")
    exceeded(got, "rate_limited", None, 1)
    assert "2 requests under way" in got.json()["detail"]
    assert client.get("/todos", token=world.user).status_code == 200
    held.go.set()
    for thread in asking:
        thread.join(TIMEOUT)
    assert answers == [200, 200]
    # Whoever has an answer has left its place: as often as one likes, one after another.
    for _ in range(5):
        assert client.get("/todos").status_code == 200


def test_a_client_that_leaves_gives_its_place_back(world: World, http2: bool):
    held = Held(world)
    world.start(bounded({"concurrency": 1}))
    credential = ("authorization", f"Bearer {world.service}")
    if http2:
        frames = Frames(world.gateway)
        frames.request("GET", "/events", credential)
        leave = frames.wire.abort
    else:
        wire = world.wire()
        wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: {credential[1]}\r\n\r\n")
        leave = wire.abort
    held.await_asked()
    client = world.session(token=world.service)
    exceeded(client.get("/todos"), "rate_limited", None, 1)
    leave()
    eventually(lambda: client.get("/todos").status_code == 200)
    assert held.gone.acquire(timeout=TIMEOUT)


def test_a_stream_keeps_its_place_until_it_is_cut(world: World):
    world.start(bounded({"concurrency": 1}))
    api, peer = Api(world, EVENTS), OneOne(world)
    peer.ask("chatgpt")
    client = world.session(token=world.service)
    exceeded(client.get("/todos"), "rate_limited", None, 1)
    swapped(world, {"tokens": {"chatgpt": {"scopes": ["listTodos"]}}})
    assert api.gone["chatgpt"].wait(TIMEOUT)
    peer.is_cut("chatgpt")
    eventually(lambda: client.get("/todos").status_code == 200)


def test_streams_of_one_connection(world: World):
    """Places are those of the token, not of a connection; what is refused takes none."""
    held = Held(world)
    world.start(bounded({"concurrency": 2}))
    frames = Frames(world.gateway)
    ask = lambda: frames.request("GET", "/slow", ("authorization", f"Bearer {world.service}"))
    kept = [ask(), ask()]
    for _ in kept:
        held.await_asked()
    status = lambda stream: dict(frames.until(ResponseReceived, stream)[-1].headers)[":status"]
    assert [status(ask()) for _ in range(3)] == ["429"] * 3
    held.go.set()
    for stream in kept:
        assert status(stream) == "200"
        frames.until(StreamEnded, stream)
    stream = ask()
    assert status(stream) == "200"


# --- networks ---


def from_(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def test_networks(world: World, http2: bool):
    world.start(bounded({"networks": ["192.0.2.0/28", "2001:db8::/32"]}))
    client = world.session(http2=http2, token=world.service)
    for inside in ("192.0.2.1", "192.0.2.15", "::ffff:192.0.2.3", "2001:db8:1::1"):
        assert client.get("/todos", headers=from_(inside)).status_code == 200, inside
    for outside in ("192.0.2.16", "198.51.100.1", "2001:db9::1"):
        got = client.get("/todos", headers=from_(outside))
        refusal(got, 403, "wrong_network")
        assert got.headers["www-authenticate"] == 'Bearer realm="todo", error="insufficient_scope", error_description="not for use from this network"'
        assert outside not in got.text
    refusal(client.get("/todos"), 403, "wrong_network")  # the proxy itself
    assert client.get("/todos", token=world.user, headers=from_("198.51.100.1")).status_code == 200


def test_only_a_trusted_proxy_names_the_client(world: World):
    world.start(bounded({"networks": ["192.0.2.0/28"]}, trusted_proxies=[]))
    client = world.session(token=world.service)
    refusal(client.get("/todos", headers=from_("192.0.2.1")), 403, "wrong_network")
    world.change({"tokens": {"chatgpt": {"networks": ["127.0.0.0/8"]}}})
    eventually(lambda: client.get("/todos", headers=from_("192.0.2.1")).status_code == 200)


@pytest.mark.parametrize("peer", [OneOne, Two], ids=["http/1.1", "http/2"])
def test_a_stream_is_cut_when_its_network_is_not_allowed_any_more(world: World, peer):
    world.start(bounded({"networks": ["127.0.0.0/8"]}, trusted_proxies=[]))
    api, client = Api(world, EVENTS), peer(world)
    client.ask("chatgpt")
    swapped(world, {"tokens": {"chatgpt": {"networks": ["127.0.0.1", "10.0.0.0/8"]}}})
    api.say("chatgpt", b"and on")
    client.hear("chatgpt", b"and on")
    swapped(world, {"tokens": {"chatgpt": {"networks": ["10.0.0.0/8"]}}})
    assert api.gone["chatgpt"].wait(TIMEOUT)
    client.is_cut("chatgpt")
    assert cut_lines(world) == [("cut", "forbidden")]


# --- together ---


def test_what_is_refused_uses_nothing(world: World, http2: bool):
    """Neither a 403 of any kind nor a 404, nor a 429 of another limit."""
    held = Held(world)
    limits = {"rate": "4/day", "quota": "4/day", "concurrency": 1, "networks": ["192.0.2.0/24"], "scopes": ["listTodos", "events"]}
    world.start(bounded(limits))
    client = world.session(http2=http2, token=world.service)
    home = from_("192.0.2.1")
    for _ in range(5):
        refusal(client.post("/todos", headers=home), 403, "insufficient_scope")
        refusal(client.get("/todos", headers=from_("198.51.100.1")), 403, "wrong_network")
        refusal(client.get("/nothing", headers=home), 404, "no_route")
    wire = world.wire()
    wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: Bearer {world.service}\r\n\r\n")
    held.await_asked()
    for _ in range(5):
        exceeded(client.get("/todos", headers=home), "rate_limited", None, 1)
    wire.abort()
    assert held.gone.acquire(timeout=TIMEOUT)
    eventually(lambda: client.get("/todos", headers=home).status_code == 200)
    for _ in range(2):
        assert client.get("/todos", headers=home).status_code == 200
    exceeded(client.get("/todos", headers=home), "rate_limited", '"rate";q=4;w=86400', DAY)


def test_a_quota_that_is_used_up_leaves_the_rate(world: World):
    world.start(bounded({"rate": "2/day", "quota": "1/day"}))
    client = world.session(token=world.service)
    assert client.get("/todos").status_code == 200
    for _ in range(3):
        exceeded(client.get("/todos"), "quota_exceeded", '"quota";q=1;w=86400', DAY)
    swapped(world, {"tokens": {"chatgpt": {"quota": "9/day"}}})
    assert client.get("/todos").status_code == 200
    exceeded(client.get("/todos"), "rate_limited", '"rate";q=2;w=86400', DAY)


def test_documents_behind_a_token_count(world: World, http2: bool):
    world.start(bounded({"rate": "3/day", "networks": ["192.0.2.0/24"]}, plugins={"todo": {"documents": "token"}}))
    client = world.session(http2=http2, token=world.service)
    home = from_("192.0.2.1")
    got = client.get("/openapi.json", headers=from_("198.51.100.1"))
    refusal(got, 403, "wrong_network")
    assert got.headers["www-authenticate"] == 'Bearer realm="todo", error="insufficient_scope", error_description="not for use from this network"'
    for _ in range(2):
        assert client.get("/openapi.json", headers=home).status_code == 200
    assert client.get("/todos", headers=home).status_code == 200
    for path in ("/openapi.json", "/todos"):
        exceeded(client.get(path, headers=home), "rate_limited", '"rate";q=3;w=86400', DAY)


# --- what lasts ---


def test_what_was_used_outlives_a_reload(world: World):
    """Another note, another limit: it is the same token."""
    world.start(bounded({"quota": "4/day"}))
    client = world.session(token=world.service)
    for _ in range(2):
        assert client.get("/todos").status_code == 200
    swapped(world, {"tokens": {"chatgpt": {"note": "another note"}}})
    assert client.get("/todos").status_code == 200
    swapped(world, {"tokens": {"chatgpt": {"quota": "3/day"}}})
    exceeded(client.get("/todos"), "quota_exceeded", '"quota";q=3;w=86400', DAY)
    swapped(world, {"tokens": {"chatgpt": {"quota": None}}})
    assert client.get("/todos").status_code == 200


def test_two_secrets_have_one_limit(world: World):
    """And one that is rotated goes on with what the one before has left."""
    first, second = world.service, token()
    world.start(bounded({"rate": "5/day"}))
    world.gateway.secrets.add(second)
    client = world.session()
    ask = lambda secret: client.get("/todos", token=secret)
    for _ in range(2):
        assert ask(first).status_code == 200
    both = [{"sha256": sha256(second)}, {"sha256": sha256(first), "until": "2099-01-01T00:00:00Z"}]
    swapped(world, {"tokens": {"chatgpt": {"sha256": None, "secrets": both}}})
    for secret in (first, second, first):
        assert ask(secret).status_code == 200
    for secret in (first, second):
        exceeded(ask(secret), "rate_limited", '"rate";q=5;w=86400', DAY)
    swapped(world, {"tokens": {"chatgpt": {"secrets": both[:1]}}})
    refusal(ask(first), 401, "invalid_token")
    exceeded(ask(second), "rate_limited", '"rate";q=5;w=86400', DAY)


def test_a_token_file(world: World, http2: bool):
    def line(**more: object) -> str:
        fields = {"id": "pls_ab12cd34", "level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(world.service)}
        return json.dumps(fields | more) + "\n"

    path = world.folder / "tokens.jsonl"
    path.write_text(line(rate="3/day", quota="9/day", concurrency=1, networks=["192.0.2.0/24"]))
    world.start(LIMITED | {"token_files": ["tokens.jsonl"], "tokens": None})
    client = world.session(http2=http2, token=world.service)
    home = from_("192.0.2.9")
    refusal(client.get("/todos", headers=from_("192.0.3.9")), 403, "wrong_network")
    for _ in range(3):
        assert client.get("/todos", headers=home).status_code == 200
    exceeded(client.get("/todos", headers=home), "rate_limited", '"rate";q=3;w=86400', DAY)
    replace(path, line(quota="4/day", note="another note"))
    eventually(lambda: client.get("/todos").status_code == 200)
    exceeded(client.get("/todos"), "quota_exceeded", '"quota";q=4;w=86400', DAY)


def test_a_page_is_told(world: World):
    """A browser's script can read what it is refused with."""
    page = "https://chatgpt.com"
    world.start(bounded({"rate": "1/day"}))
    client = world.session(token=world.service)
    assert client.get("/todos", headers={"Origin": page}).status_code == 200
    got = client.get("/todos", headers={"Origin": page})
    exceeded(got, "rate_limited", '"rate";q=1;w=86400', DAY)
    assert got.headers["access-control-allow-origin"] == page


def test_mistakes_are_told_where_they_are(world: World):
    world.start(bounded({"rate": "3/day"}))
    world.change({"tokens": {"chatgpt": {"rate": "3 per day"}, "other": declared(token(), quota="0/day")}})
    refused = world.gateway.await_refusal()
    assert "`3 per day` is not a rate" in refused["text"]
    assert "`0/day` is out of bounds" in refused["text"]
