"""Upstreams that speak HTTP/2: streams that share a connection, and what may go wrong on it."""

from __future__ import annotations

import threading

import h2.events
import pytest

import materials
from clients import Frames, refusal
from plugway import eventually
from upstreams_http2 import Http2Upstream, Stream

NO_ERROR, INTERNAL, REFUSED, CANCEL = 0, 2, 7, 8


@pytest.fixture
def new_http2(world, certificates):
    """Makes upstreams, which must have seen nothing that they should not."""
    made: list[Http2Upstream] = []

    def make(**more) -> Http2Upstream:
        made.append(Http2Upstream(materials.DOCUMENT, **more))
        return made[-1]

    yield make
    for upstream in made:
        upstream.stop()
        upstream.check({world.service, world.user})


def serve(world, upstream: Http2Upstream, limits: dict | None = None, **changes) -> Http2Upstream:
    """A gateway with one worker in front of it."""
    ca = {"ca": str(world.certificates.write_ca(world.folder / "ca.pem"))} if upstream.tls else {}
    plugin = {"upstream": {"url": upstream.url, **ca, **changes}}
    world.start({"workers": 1, "limits": limits or {}, "plugins": {"todo": plugin}})
    upstream.requests.clear()
    return upstream


def tls(certificates, *protocols: str):
    context = certificates.server("127.0.0.1")
    context.set_alpn_protocols(list(protocols))
    return context


@pytest.fixture(params=["h2c", "unix", "tls"])
def api(request, world, new_http2, certificates) -> Http2Upstream:
    """In each way in which it can be reached."""
    more = {
        "h2c": {}, "unix": {"path": world.folder / "api.sock"}, "tls": {"tls": tls(certificates, "h2")},
    }[request.param]
    return serve(world, new_http2(**more))


@pytest.fixture
def plain(world, new_http2) -> Http2Upstream:
    return serve(world, new_http2())


def together(*calls) -> list:
    """The results of calls that are made at the same time."""
    results: list = [None] * len(calls)

    def run(index: int) -> None:
        results[index] = calls[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


def test_requests_arrive_whole(world, api, http2):
    client = world.session(http2=http2, token=world.service)
    answer = client.post("/todos", content=b"x" * 300_000, headers={"Cookie": "a=1"})
    [seen] = api.seen("/todos")
    assert answer.json()["body"] == "x" * 300_000
    assert seen.get("content-length") == "300000"
    assert seen.get(":authority") == (api.url.split("//")[1] if api.path is None else "localhost")
    assert (seen.get("cookie"), seen.get("authorization")) == ("a=1", None)
    api.on("/todos/2", lambda stream: stream.head(headers=[("content-length", "7")], end=True))
    assert client.request("HEAD", "/todos/2").headers["content-length"] == "7"
    api.on("/todos/1", lambda stream: stream.answer(status=204))
    assert client.request("DELETE", "/todos/1").status_code == 204
    assert len({stream.conn.number for stream in api.requests}) == 1, "one connection is enough"
