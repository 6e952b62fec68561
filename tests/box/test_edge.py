"""The edge: whose connections are taken, and whose word about a connection is believed."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading

import httpx
import pytest

import plugway
from clients import TIMEOUT, Wire, refusal
from materials import merge, token
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


# --- what is no request ---

UNREADABLE = {
    "a header": (GET + "Bad Header: a-secret\r\n\r\n", "invalid header name"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03a-secret", "https is spoken on listen.https"),
    "PROXY": (f"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n{GET}\r\n", "listen.proxy_protocol reads those"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_the_log_says_who_sent_what_is_no_request_and_why(world, kind):
    """Once a minute: all are counted, and nothing of them is repeated."""
    sent, reason = UNREADABLE[kind]
    world.start(merge({"workers": 1}, METRICS))
    for _ in range(3):
        wire = connect(world, source=OTHER_NETWORK)
        wire.send(sent)
        assert wire.head()[0] == 400
    assert eventually(lambda: Page(world).sum("plugway_unreadable_requests_total", kind="parse") == 3)
    world.gateway.await_messages("a request can not be read", reason, f"{OTHER_NETWORK}:")
    assert world.gateway.stderr.count("a request can not be read") == 1
    assert "a-secret" not in world.gateway.stderr and "192.0.2.7" not in world.gateway.stderr


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


# --- the PROXY protocol ---

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def trusting(word: str, **more: object) -> dict:
    """The protocol, believed of 127.0.0.1/24 and nobody else."""
    return merge({"trusted_proxies": ["127.0.0.0/24"], "listen": {"proxy_protocol": word}} | {"workers": 2}, merge(METRICS, more))


def second(command: int, family: int, block: bytes = b"") -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block)) + block


def block(source: str, destination: str) -> bytes:
    """Two addresses and their ports."""
    return b"".join(ipaddress.ip_address(text).packed for text in (source, destination)) + struct.pack("!HH", 56324, 443)


V4, V6 = block("192.0.2.1", "198.51.100.1"), block("2001:db8::1", "2001:db8::2")
FIELDS = b"\x20\0\x05\1\0\0\0\0" + b"\x04\0\3abc"

HEADERS = {
    "v1-tcp4": (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1"),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "2001:db8::1"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1-unknown-longest": (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", "127.0.0.1"),
    "v2-tcp4": (second(0x21, 0x11, V4), "192.0.2.1"),
    "v2-tcp4-fields": (second(0x21, 0x11, V4 + FIELDS), "192.0.2.1"),
    "v2-tcp6": (second(0x21, 0x21, V6), "2001:db8::1"),
    "v2-mapped": (second(0x21, 0x21, block("::ffff:192.0.2.1", "::ffff:198.51.100.1")), "192.0.2.1"),
    "v2-unspec": (second(0x21, 0x00, b"anything"), "127.0.0.1"),
    "v2-unix": (second(0x21, 0x31, b"/tmp/a".ljust(108, b"\0") * 2), "127.0.0.1"),
    "v2-local": (second(0x20, 0x00), "127.0.0.1"),
    "v2-local-addresses": (second(0x20, 0x11, V4), "127.0.0.1"),
}
every_header = pytest.mark.parametrize(("header", "client"), HEADERS.values(), ids=HEADERS)


def tls_on(world, wire: Wire, alpn: list[str] | None = None) -> Wire:
    """The same connection, after a handshake."""
    client = world.certificates.client()
    if alpn:
        client.set_alpn_protocols(alpn)
    wire.sock = client.wrap_socket(wire.sock, server_hostname="localhost")
    return wire


def seen_as(world, wire: Wire) -> str:
    """The client of a request, as the upstream and the log name it."""
    status, head = get(world, wire)
    assert status == 200, head
    logged = world.gateway.line(head["x-request-id"])["client"]
    assert world.upstream.last.get("x-forwarded-for") == logged
    return logged


@every_header
def test_a_header_names_the_client(world, header, client):
    world.start(trusting("required"))
    for kind in ("http", "https"):
        wire = connect(world, kind)
        wire.send(header)
        if kind == "https":
            tls_on(world, wire)
        assert seen_as(world, wire) == client
        assert seen_as(world, wire) == client, "and for every request of the connection"
    assert Page(world).sum("plugway_connections_refused_total") == 0


@every_header
def test_a_header_may_come_in_any_two_pieces(world, header, client):
    world.start(trusting("required"))
    request = f"{GET}Authorization: Bearer {world.service}\r\n\r\n".encode()
    for cut in range(len(header) + 3):
        wire = connect(world)
        data = header + request
        wire.send(data[:cut])
        wire.send(data[cut:])
        status, head = wire.head()
        assert status == 200, cut
        assert world.upstream.last.get("x-forwarded-for") == client, cut
        wire.close()


def test_a_header_byte_by_byte(world):
    world.start(trusting("optional"))
    for header, client in HEADERS.values():
        wire = connect(world)
        for byte in header:
            wire.send(bytes([byte]))
        assert seen_as(world, wire) == client


BROKEN = {
    "v1-udp": b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "v1-mixed": b"PROXY TCP4 192.0.2.1 2001:db8::1 1 2\r\n",
    "v1-fields": b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
    "v1-spaces": b"PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n",
    "v1-port": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
    "v1-zeros": b"PROXY TCP4 192.0.02.1 198.51.100.1 1 2\r\n",
    "v1-line-feed": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n" + b"x" * 80,
    "v1-too-long": b"PROXY UNKNOWN " + b"f" * 93,
    "v1-method": b"PROXY / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "v2-version": second(0x31, 0x11, V4),
    "v2-command": second(0x22, 0x11, V4),
    "v2-udp": second(0x21, 0x12, V4),
    "v2-family": second(0x21, 0x41, V4),
    "v2-short-tcp4": second(0x21, 0x11, V4[:-1]),
    "v2-short-tcp6": second(0x21, 0x21, V4),
    "v2-short-unix": second(0x21, 0x31, b"x" * 215),
    "v2-too-long": second(0x21, 0x11, V4.ljust(4081, b"\0")),
}


def refused(world, reason: str) -> float:
    return Page(world).sum("plugway_connections_refused_total", reason=reason)


@pytest.mark.parametrize("word", ["optional", "required"])
def test_what_is_malformed_is_never_believed(world, word):
    world.start(trusting(word))
    for name, header in BROKEN.items():
        for kind in ("http", "https"):
            wire = connect(world, kind)
            wire.send(header)
            assert closed(wire), name
    assert refused(world, "proxy_header") == 2 * len(BROKEN)
    assert not world.upstream.requests


def test_what_is_cut_short_is_never_believed(world):
    world.start(trusting("optional"))
    count = 0
    for name, (header, _) in HEADERS.items():
        begun = 6 if name.startswith("v1") else 12
        for cut in {begun, 16, len(header) // 2 + 7, len(header) - 1}:
            if begun <= cut < len(header):
                wire = connect(world)
                wire.send(header[:cut])
                wire.sock.shutdown(socket.SHUT_WR)
                assert closed(wire), (name, cut)
                count += 1
    assert refused(world, "proxy_header") == count
    assert not world.upstream.requests


def test_a_header_that_stops_has_a_deadline(world):
    world.start(trusting("required", limits={"request_head": "50ms"}))
    for begun in (b"", b"P", b"PROXY TCP4 192.", SIGNATURE[:5], second(0x21, 0x11, V4)[:-1]):
        for kind in ("http", "https"):
            wire = connect(world, kind)
            wire.send(begun)
            assert closed(wire), begun
    assert Page(world).sum("plugway_unreadable_requests_total", kind="timeout") == 10


@pytest.mark.parametrize(("source", "reason"), [("127.0.0.1", "there is no header"), (OTHER_NETWORK, "its peer is not in trusted_proxies")])
def test_the_log_says_why_every_connection_is_closed(world, source, reason):
    """Once: whoever opens thousands does not fill it. To the client it looks like a fault of TLS."""
    world.start(trusting("required", workers=1))
    for _ in range(5):
        wire = connect(world, "https", source)
        with pytest.raises(OSError):
            tls_on(world, wire)
    assert refused(world, "proxy_header") + refused(world, "no_proxy") == 5
    world.gateway.await_messages("a connection is closed by listen.proxy_protocol", reason, source)
    assert world.gateway.stderr.count("a connection is closed by") == 1


def test_only_trusted_peers_are_asked(world):
    world.start(trusting("required"))
    for kind in ("http", "https"):
        wire = connect(world, kind, OTHER_NETWORK)
        assert closed(wire)
    assert refused(world, "no_proxy") == 2
    # A trusted peer that says nothing of whom it brings is refused as well.
    for first in (GET.encode(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" + GET.encode()):
        wire = connect(world)
        wire.send(first)
        assert closed(wire)
    wire = connect(world, "https")
    with pytest.raises(OSError):
        tls_on(world, wire)
    assert refused(world, "proxy_header") == 4
    assert not world.upstream.requests


def test_optional_headers(world):
    world.start(trusting("optional"))
    assert seen_as(world, connect(world)) == "127.0.0.1"
    assert seen_as(world, tls_on(world, connect(world, "https"))) == "127.0.0.1"
    assert seen_as(world, connect(world, source=OTHER_NETWORK)) == OTHER_NETWORK
    assert seen_as(world, tls_on(world, connect(world, "https", OTHER_NETWORK))) == OTHER_NETWORK
    # What another peer sends is the beginning of its request, or of its handshake.
    for header, _ in HEADERS.values():
        wire = connect(world, source=OTHER_NETWORK)
        wire.send(header, GET, "\r\n")
        status, head = wire.head()
        assert status == 400, header
        wire = connect(world, "https", OTHER_NETWORK)
        wire.send(header)
        with pytest.raises((OSError, ssl.SSLError)):
            tls_on(world, wire)
    assert refused(world, "proxy_header") == refused(world, "no_proxy") == 0
    assert len(world.upstream.requests) == 4


def test_without_the_protocol_a_header_is_no_request(world):
    world.start(trusting("off"))
    wire = connect(world)
    wire.send(HEADERS["v1-tcp4"][0], GET, "\r\n")
    assert wire.head()[0] == 400
    assert not world.upstream.requests


def test_the_client_that_is_named_is_not_believed_itself(world):
    """It speaks through the proxy, which does not look at what it says."""
    world.start(trusting("required"))
    wire = connect(world)
    wire.send(HEADERS["v1-tcp4"][0])
    status, head = get(world, wire, "X-Forwarded-For: 203.0.113.7\r\n", "X-Request-Id: mine\r\n", "X-Forwarded-Proto: https\r\n")
    assert status == 200 and head["x-request-id"] != "mine"
    assert world.upstream.last.get("x-forwarded-for") == "192.0.2.1"
    assert world.upstream.last.get("x-forwarded-proto") == "http"
    # A further proxy of ours is believed.
    wire = connect(world)
    wire.send(b"PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\n")
    status, head = get(world, wire, "X-Forwarded-For: 203.0.113.7\r\n")
    assert status == 200
    assert world.upstream.last.get("x-forwarded-for") == "203.0.113.7, 127.0.0.9"


def test_the_destination_is_what_the_client_connected_to(world):
    """Without host names, an address is one of ours only if it is the one that was asked for."""
    world.start(trusting("required"))

    def status(header: bytes, host: str) -> int:
        wire = connect(world)
        wire.send(header, f"GET /todos HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {world.service}\r\n\r\n")
        return wire.head()[0]

    assert status(HEADERS["v1-tcp4"][0], "198.51.100.1") == 200
    assert status(HEADERS["v1-tcp4"][0], "198.51.100.2") == 421
    assert status(HEADERS["v2-tcp6"][0], "[2001:db8::2]") == 200
    assert status(HEADERS["v2-local"][0], "198.51.100.1") == 421


def test_networks_are_those_of_the_named_clients(world):
    world.start(trusting("required", limits={"connections_per_network": 2}))

    def named(number: int, kind: str = "http") -> Wire:
        wire = connect(world, kind)
        wire.send(f"PROXY TCP4 {number}.0.2.1 198.51.100.1 1 2\r\n")
        return wire

    held = [named(client) for client in (20, 20, 21, 21, 22)]
    assert [get(world, wire)[0] for wire in held] == [200] * 5
    status, head = named(20).head()
    assert (status, head["retry-after"]) == (503, "1")
    assert closed(named(21, "https"))
    assert refused(world, "network") == 2
    held.pop(0).close()

    def free() -> bool:
        wire = named(20)
        try:
            return get(world, wire)[0] == 200
        except OSError:
            return False
        finally:
            wire.close()

    eventually(free)
    # The proxy's own are as many as it likes.
    held = [connect(world) for _ in range(4)]
    for wire in held:
        wire.send(HEADERS["v2-local"][0])
    assert [get(world, wire)[0] for wire in held] == [200] * 4


def test_the_protocol_is_hot(world):
    world.start(trusting("off"))
    before = connect(world)
    assert seen_as(world, before) == "127.0.0.1"
    world.change({"listen": {"proxy_protocol": "required"}})
    assert world.gateway.reload().code == 0
    wire = connect(world)
    wire.send(HEADERS["v1-tcp4"][0])
    assert seen_as(world, wire) == "192.0.2.1"
    assert seen_as(world, before) == "127.0.0.1", "it was there before"
    world.change({"listen": {"proxy_protocol": "off"}})
    assert world.gateway.reload().code == 0
    assert seen_as(world, connect(world)) == "127.0.0.1"
    assert seen_as(world, wire) == "192.0.2.1"


def test_check_wants_to_know_the_proxies(world):
    world.start()
    for word, code in (("optional", 0), ("required", 4), ("sometimes", 4)):
        world.change({"listen": {"proxy_protocol": word}})
        ran = plugway.run("check", "--config", "plugway.toml", cwd=world.folder)
        assert ran.code == code, ran
        assert "proxy_prot" in ran.err
    world.change({"listen": {"proxy_protocol": "required"}, "trusted_proxies": ["10.0.0.0/8"]})
    ran = plugway.run("check", "--config", "plugway.toml", cwd=world.folder)
    assert ran.code == 0 and "proxy_prot" not in ran.err


# --- with HAProxy ---

CONFIG = """
global
    log stderr format raw daemon
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
"""


class Haproxy:
    """A HAProxy in front of the gateway, which announces whom it brings."""

    def __init__(self, world, kind: str, option: str):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = self.listener.getsockname()
        host, port = world.gateway.address(kind)
        number = self.listener.fileno()
        config = world.folder / f"haproxy-{number}.cfg"
        config.write_text(f"{CONFIG}listen edge\n    bind fd@{number}\n    server plugway {host}:{port} {option}\n")
        program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "haproxy is needed: see tests/run"
        self.process = subprocess.Popen([program, "-db", "-f", config], pass_fds=[number], stderr=subprocess.PIPE)
        world.gateway.after.append(self.stop)

    def client(self, world, kind: str, http2: bool, source: str) -> httpx.Client:
        """Of an address of this machine."""
        verify = world.certificates.client() if kind == "https" else False
        transport = httpx.HTTPTransport(
            verify=verify, http1=not http2, http2=http2, local_address=source, trust_env=False)
        made = httpx.Client(base_url=f"{kind}://127.0.0.1:{self.address[1]}", transport=transport, timeout=TIMEOUT)
        world.gateway.after.append(made.close)
        return made

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=TIMEOUT)
        self.listener.close()


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
def test_haproxy_in_front(world, option, http2):
    world.start(trusting("required"))
    for kind in ("https", "http"):
        edge = Haproxy(world, kind, option)
        for source in ("127.0.1.1", "127.0.2.1"):
            client = edge.client(world, kind, http2, source)
            for _ in range(3):
                got = client.get("/todos", headers={"Host": "localhost", "Authorization": f"Bearer {world.service}"})
                assert got.status_code == 200
                assert got.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
                assert world.upstream.last.get("x-forwarded-for") == source
                assert world.gateway.line(got.headers["x-request-id"])["client"] == source
    assert refused(world, "proxy_header") == 0


def test_haproxy_checks_are_its_own(world):
    """Its health checks are connections of version 2 that are LOCAL."""
    world.start(trusting("required"))
    Haproxy(world, "http", "send-proxy-v2 check check-send-proxy inter 20ms\n    option httpchk GET /healthz")
    count = "plugway_connections_opened_total"
    eventually(lambda: Page(world).sum(count) >= 3)
    assert refused(world, "proxy_header") == 0


# --- Fly's proxy ---

FLY = {"Fly-Client-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9, 66.241.1.1", "X-Forwarded-Proto": "https"}


def test_whoever_is_not_flys_proxy_is_not_believed(world):
    world.start({"trusted_proxies": "fly"})
    status, _ = get(world, connect(world), *(f"{name}: {value}\r\n" for name, value in FLY.items()))
    assert status == 200
    assert world.upstream.last.get("x-forwarded-for") == "127.0.0.1"
    assert world.upstream.last.get("x-forwarded-proto") == "http"


# --- wrong credentials ---

def limited(rate: str, **more: object) -> dict:
    return merge({"workers": 2, "limits": {"failed_auth": rate}, "trusted_proxies": ["127.0.0.0/24"]} | METRICS, more)


def from_network(network: str) -> dict[str, str]:
    return {"X-Forwarded-For": f"{network}.7"}


def test_wrong_credentials_are_bounded(world, http2):
    world.start(limited("5/day"))
    client = world.session(http2=http2)
    ours, theirs = from_network("192.0.2"), from_network("198.51.100")
    wrong = token()
    world.gateway.secrets.add(wrong)
    for number in range(5):
        fields = {"X-Forwarded-For": f"192.0.2.{number}"}
        refusal(client.get("/todos", token=wrong, headers=fields), 401, "invalid_token")
    for bad in (wrong, token(), "x", "two words"):
        got = client.get("/todos", token=bad, headers=ours)
        refusal(got, 429, "rate_limited")
        assert "www-authenticate" not in got.headers
        assert 1 <= int(got.headers["retry-after"]) <= 86400 // 5 + 1
    # None at all is not a wrong one, and a right one opens whatever came before.
    refusal(client.get("/todos", headers=ours), 401, "missing_token")
    assert client.get("/todos", token=world.service, headers=ours).status_code == 200
    assert client.get("/todos", token=world.user, headers=ours).status_code == 200
    # Others do not notice.
    refusal(client.get("/todos", token=wrong, headers=theirs), 401, "invalid_token")
    assert client.get("/todos", token=world.service, headers=theirs).status_code == 200
    page = Page(world)
    assert page.sum("plugway_requests_total", code="rate_limited") == 4
    assert page.sum("plugway_requests_total", code="invalid_token") == 6


def test_wrong_credentials_are_counted_over_all_connections_and_doors(world):
    world.start(limited("6/day", workers=3, plugins={"todo": {"documents": "token"}}))
    codes = []
    for _ in range(3):
        client = world.session()
        for path in ("/todos", "/openapi.json", "/.well-known/ai-plugin.json"):
            codes.append(client.get(path, token=token()).status_code)
    assert codes == [401] * 6 + [429] * 3
    assert world.session(token=world.service).get("/openapi.json").status_code == 200


def test_right_credentials_that_may_not_are_no_guesses(world):
    world.start(limited("1/day", plugins={"todo": {"auth": {"require": "service"}}}))
    client = world.session()
    for _ in range(5):
        refusal(client.get("/todos", token=world.user), 403, "wrong_level")


def test_the_rate_of_wrong_credentials_is_hot_and_may_be_off(world):
    world.start(limited("1/day"))
    client = world.session()
    assert [client.get("/todos", token=token()).status_code for _ in range(2)] == [401, 429]
    world.change({"limits": {"failed_auth": "off"}})
    assert world.gateway.reload().code == 0
    assert [client.get("/todos", token=token()).status_code for _ in range(20)] == [401] * 20
    world.change({"limits": {"failed_auth": None}})
    assert world.gateway.reload().code == 0
    other = world.session()
    fields = from_network("203.0.113")
    assert [other.get("/todos", token="x", headers=fields).status_code for _ in range(20)] == [401] * 20
