"""Where the process may open few files: all that is bounded fits into them, and who asks for more gets
an answer."""

from __future__ import annotations

import json

import pytest

import plugway
from clients import Wire, refusal
from hostile import H2, Answer
from plugway import Gateway, eventually

FILES = 400
"""Of these 128 are for other things, half of the rest for clients and half for upstreams."""
CLIENTS = UPSTREAMS = (FILES - 128) // 2
ONE = UPSTREAMS * 3 // 4
"""Of those to upstreams one may have three times what is left."""


class Few(Gateway):
    """May open no more than that."""

    def launch(self, arguments: list[str]) -> tuple[list[str], dict]:
        return ["prlimit", f"--nofile={FILES}:{FILES}", plugway.binary(), *arguments], {}


@pytest.fixture
def few(world):
    world.kind = Few
    return world


def serves(gateway: Gateway) -> bool:
    """Whether a new connection is served."""
    wire = Wire(gateway)
    wire.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return wire.head()[0] == 200


def open_uploads(world, connections: int, protocol: type[H2] = H2) -> list[H2]:
    """Requests that are begun and do not end."""
    clients = [protocol(world) for _ in range(connections)]
    for client in clients:
        for _ in range(100):
            client.headers(client.fields("POST", extra=[("content-type", "application/json")]), end=False)
    return clients


def test_streams_of_http2_do_not_take_all_descriptors(few, new_upstream):
    todo = few.base()["plugins"]["todo"]
    other = new_upstream()
    gateway = few.start({"plugins": {"todo": {"hosts": ["localhost"]}, "other": todo | {"hosts": ["other.test"], "upstream": {"url": other.url}}},
                         "tokens": {"chatgpt": {"plugins": ["*"]}}})
    before = plugway.descriptors_of(gateway.process.pid)
    kept = few.session(tls=False)
    assert kept.get("/todos", token=few.service).status_code == 200
    clients = open_uploads(few, 3)
    eventually(lambda: gateway.status()["upstream_connections"] == ONE)
    assert gateway.status()["upstream_connections_limit"] == UPSTREAMS

    # The last of 300 found no room.
    answer = clients[-1].answer(clients[-1].stream)
    assert isinstance(answer, Answer) and answer.status == 503, answer
    assert answer.get("retry-after") == "1"
    assert json.loads(answer.body)["code"] == "overloaded"

    # Others are answered, be it with a no, on old connections and on new ones.
    for session in (kept, few.session()):
        refused = session.get("/todos", token=few.service)
        refusal(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert session.get("/.well-known/ai-plugin.json").status_code == 200
        assert session.get("/healthz").status_code == 200
    # Of the same upstream, that is: others have room.
    beside = few.session(tls=False, host="other.test")
    assert beside.get("/todos", token=few.service).status_code == 200
    beside.close()
    assert other.requests
    assert gateway.command("token", "create", "--level", "service", "--name", "late", "--plugin", "todo",
                           "--scope", "*").code == 0
    assert plugway.descriptors_of(gateway.process.pid) < FILES
    assert "Too many open files" not in gateway.stderr

    for client in clients:
        client.close()
    eventually(lambda: gateway.status()["upstream_connections"] <= 1)
    assert kept.get("/todos", token=few.service).status_code == 200
    kept.close()
    eventually(lambda: plugway.descriptors_of(gateway.process.pid) <= before + 4)


def test_a_change_of_the_limits_is_followed(few):
    gateway = few.start({"limits": {"connections": 20}})
    assert gateway.status()["upstream_connections_limit"] == FILES - 128 - 20
    assert "ulimit" not in gateway.stderr
    few.change({"limits": {"connections": 1000}})
    assert gateway.reload().code == 0
    assert gateway.status()["upstream_connections_limit"] == UPSTREAMS


def test_status_tells_what_holds_and_not_what_is_configured(few):
    gateway = few.start({"limits": {"connections": 5000, "connections_per_network": 900}})
    status = gateway.status()
    assert status["connections_limit"] == CLIENTS
    assert status["connections_per_network_limit"] == CLIENTS // 2
    gateway.await_messages(f"limits.connections is 5000, but with {FILES} descriptors")


def test_one_network_has_no_more_than_half_where_descriptors_are_few(few):
    gateway = few.start({"limits": {"connections_per_network": 1000}})
    wires = [Wire(gateway) for _ in range(CLIENTS // 2)]
    for wire in wires:
        wire.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.head()[0] == 200
    more = Wire(gateway)
    assert more.head()[0] == 503
    wires.pop().close()
    eventually(lambda: serves(gateway))


def test_beyond_all_connections_who_comes_is_told(world, certificates):
    gateway = world.start({"limits": {"connections": 3}})
    wires = [Wire(gateway) for _ in range(3)]
    for wire in wires:
        wire.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.head()[0] == 200
    more = Wire(gateway)
    status, fields = more.head()
    assert status == 503 and fields["retry-after"] == "1", (status, fields)
    assert json.loads(more.exactly(int(fields["content-length"])))["code"] == "too_many_connections"
    with pytest.raises(OSError):
        world.wire(tls=True)
    # When one has left there is room again.
    wires.pop().close()
    eventually(lambda: serves(gateway))
