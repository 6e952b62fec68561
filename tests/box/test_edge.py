"""The edge: whose connections are taken, and whose word about a connection is believed."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from clients import TIMEOUT, Wire
from materials import merge
from plugway import eventually
from test_operation import METRICS, Page

GET = "GET /todos HTTP/1.1\r\nHost: localhost\r\n"
OTHER_NETWORK = "127.0.1.1"
"""An address of this machine that shares no /24 with 127.0.0.1."""


def connect(world, kind: str = "http", source: str = "127.0.0.1") -> Wire:
    """A connection without a handshake, from an address of this machine."""
    wire = Wire.__new__(Wire)
    wire.sock = socket.create_connection(world.gateway.address(kind), TIMEOUT, (source, 0))
    wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.sending, wire.buffer = threading.Lock(), b""
    world.gateway.after.append(wire.close)
    return wire


def get(world, wire: Wire, *fields: str) -> tuple[int, dict[str, str]]:
    wire.send(GET, f"Authorization: Bearer {world.service}\r\n", *fields, "\r\n")
    status, head = wire.head()
    wire.exactly(int(head.get("content-length", 0)))
    return status, head


def closed(wire: Wire) -> bool:
    """Closed without a word."""
    return wire.rest() == b""


# --- connections of one network ---

def per_network(number: int, **more: object) -> dict:
    return merge({"workers": 3, "limits": {"connections_per_network": number}} | METRICS, more)


def test_connections_of_a_network_are_bounded_over_all_workers(world):
    world.start(per_network(5))
    held = [connect(world) for _ in range(5)]
    assert [get(world, wire)[0] for wire in held] == [200] * 5
    refused = connect(world)
    status, head = refused.head()
    problem = json.loads(refused.exactly(int(head["content-length"])))
    assert status == 503 and problem["code"] == "too_many_connections"
    assert head["retry-after"] == "1" and head["connection"] == "close"
    assert head["content-type"] == "application/problem+json"
    assert head["x-request-id"] == problem["request_id"]
    assert closed(refused)
    assert Page(world).sum("plugway_connections_refused_total", reason="network") == 1
    # What is open goes on, and other networks do not notice.
    assert [get(world, wire)[0] for wire in held] == [200] * 5
    assert get(world, connect(world, source=OTHER_NETWORK))[0] == 200
    held.pop().close()
    eventually(lambda: refused_or(world) == 200)


def refused_or(world, source: str = "127.0.0.1") -> int:
    """The status of one request on a connection of its own."""
    wire = connect(world, source=source)
    try:
        return get(world, wire)[0]
    except (BrokenPipeError, ConnectionResetError):
        return 503
    finally:
        wire.close()


def test_too_many_are_closed_before_the_handshake(world):
    world.start(per_network(2))
    held = [connect(world, "https"), connect(world, "http")]
    assert closed(connect(world, "https"))
    held.pop().close()
    client = world.certificates.client()

    def handshake() -> bool:
        try:
            client.wrap_socket(connect(world, "https").sock, server_hostname="localhost").close()
        except OSError:
            return False
        return True

    eventually(handshake)


def test_trusted_proxies_carry_many(world):
    world.start(per_network(2, trusted_proxies=["127.0.0.0/24"]))
    held = [connect(world) for _ in range(10)]
    assert [get(world, wire)[0] for wire in held] == [200] * 10
    others = [connect(world, source=OTHER_NETWORK) for _ in range(2)]
    assert [get(world, wire)[0] for wire in others] == [200] * 2
    assert refused_or(world, OTHER_NETWORK) == 503


def test_the_limit_of_a_network_is_hot(world):
    world.start(per_network(1))
    first = connect(world)
    assert get(world, first)[0] == 200 and refused_or(world) == 503
    world.change({"limits": {"connections_per_network": 2}})
    assert world.gateway.reload().code == 0
    assert refused_or(world) == 200
    world.change({"limits": {"connections_per_network": 1}})
    assert world.gateway.reload().code == 0
    eventually(lambda: refused_or(world) == 503)
    assert get(world, first)[0] == 200
