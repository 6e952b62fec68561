"""What is bounded: every wait, every size, and the memory that a body takes."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time

import h2.events
import pytest

from clients import Frames, refusal
from plugway import eventually
from upstreams import Gone, Reply, head

SHORT = {"limits": {"request_head": "300ms", "body_idle": "300ms", "write_stall": "500ms", "idle": "9s"}}
LARGE = 256 << 20
"""Bytes. (`tests/long bodies` does it with a gibibyte.)"""


def closed_within(sock: socket.socket, seconds: float = 5) -> float:
    """How long it takes until the other side closes; what it says first is read."""
    began = time.monotonic()
    sock.settimeout(seconds)
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OPENINGS = {
    "nothing": ("http", b""),
    "nothing, TLS": ("https", b""),
    "half a handshake": ("https", b"\x16\x03\x01\x02\x00\x01\x00"),
    "half a request line": ("http", b"GET /tod"),
    "half a head": ("http", b"GET /todos HTTP/1.1\r\nHost: localhost\r\nX-A: "),
    "half a preface": ("http", PREFACE[:10]),
    "a preface alone": ("http", PREFACE),
    "half a frame": ("http", PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x20\x01\x04"),
    # HEADERS without END_HEADERS, and no CONTINUATION.
    "half a header block": ("http", PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82"),
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_who_does_not_finish_a_head_is_not_waited_for(world, opening):
    world.start(SHORT)
    kind, sent = OPENINGS[opening]
    with socket.create_connection(world.gateway.address(kind)) as sock:
        sock.sendall(sent)
        assert 0.2 < closed_within(sock) < 3
    assert world.upstream.requests == []


def test_a_head_that_trickles_is_not_waited_for(world):
    world.start(SHORT)
    with socket.create_connection(world.gateway.address("http")) as sock:
        began = time.monotonic()
        sock.settimeout(0.05)
        closed = False
        while not closed and time.monotonic() - began < 5:
            try:
                sock.sendall(b"G")
                closed = sock.recv(1000) == b""
            except TimeoutError:
                pass
            except OSError:
                closed = True
        assert closed and time.monotonic() - began < 3


def test_an_idle_connection_is_closed(world, http2):
    world.start({"limits": {"idle": "300ms"}})
    if http2:
        frames = Frames(world.gateway)
        frames.until(h2.events.StreamEnded, frames.request("GET", "/healthz"))
        sock = frames.wire.sock
    else:
        wire = world.wire()
        wire.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.until(b"ok\n")
        sock = wire.sock
    # Over HTTP/2 with a farewell, which this client does not answer.
    assert 0.2 < closed_within(sock, 10) < 7


def test_a_body_that_does_not_come(world, http2):
    world.start(SHORT)
    credential = f"Bearer {world.service}"
    if http2:
        frames = Frames(world.gateway)
        stream = frames.request("POST", "/todos", ("authorization", credential), ("content-length", "10"), end=False)
        frames.data(stream, b"half")
        [answer] = [e for e in frames.until(h2.events.StreamEnded, stream) if isinstance(e, h2.events.ResponseReceived)]
        assert dict(answer.headers)[":status"] == "408"
    else:
        wire = world.wire()
        wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: {credential}\r\nContent-Length: 10\r\n\r\nhalf")
        assert wire.head()[0] == 408
        wire.rest()
    eventually(lambda: world.upstream.connections and world.upstream.connections[-1].sock.fileno() == -1)


def test_a_client_that_does_not_read(world, http2):
    """Its exchange ends, and the upstream is let go."""
    gone = threading.Event()

    def flood(request):
        request.conn.send(head(200, [("Transfer-Encoding", "chunked")]))
        try:
            while True:
                request.conn.chunk(b"x" * 65536)
        except Gone:
            gone.set()

    world.upstream.on("GET", "/todos", flood)
    world.start(SHORT)
    credential = f"Bearer {world.service}"
    if http2:
        Frames(world.gateway).request("GET", "/todos", ("authorization", credential))
    else:
        wire = world.wire()
        wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: {credential}\r\n\r\n")
    assert gone.wait(10), "the upstream is still held"


def test_heads_that_are_too_large(world, http2):
    world.start({"limits": {"head_bytes": "16KiB", "headers": 50}})
    if not http2:
        wire = world.wire()
        wire.send("GET /todos HTTP/1.1\r\nHost: localhost\r\nX-Long: ", "x" * 20_000, "\r\n\r\n")
        assert wire.head()[0] == 431
        wire = world.wire()
        wire.send("GET /", "x" * 70_000, " HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.head()[0] in (414, 431)
        many = "".join(f"X-{number}: 1\r\n" for number in range(60))
        wire = world.wire()
        wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")
        assert wire.head()[0] == 431
    else:
        client = world.session(http2=True, token=world.service)
        refusal(client.get("/todos", headers={f"X-{number}": "1" for number in range(60)}), 431, "head_too_large")
        assert client.get("/todos").status_code == 200
    assert len(world.upstream.requests) == (1 if http2 else 0)


def test_streams_are_bounded(world):
    """What is beyond `limits.streams` is refused, and what is within is served."""
    held = threading.Event()
    world.upstream.on("GET", "/slow", lambda _request: held.wait(20) and Reply())
    world.start({"limits": {"streams": 3}})
    frames = Frames(world.gateway)
    for event in frames.events():
        if isinstance(event, h2.events.SettingsAcknowledged):
            break
    credential = ("authorization", f"Bearer {world.service}")
    streams = [frames.request("GET", "/slow", credential) for _ in range(3)]
    assert frames.h2.remote_settings.max_concurrent_streams == 3
    held.set()
    done = set()
    for event in frames.events():
        if isinstance(event, h2.events.StreamEnded):
            done.add(event.stream_id)
        if done == set(streams):
            break


# --- memory ---


def peak(world) -> int:
    """The most memory that the process ever had, in MiB."""
    text = open(f"/proc/{world.gateway.process.pid}/status").read()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) >> 10


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_large_body_is_not_collected(world, version):
    received = []

    def swallow(request):
        received.append(sum(len(piece) for piece in request.pieces()))
        return Reply(json={})

    def pour(request):
        request.conn.send(head(200, [("Content-Length", str(LARGE)), ("Content-Type", "application/octet-stream")]))
        block = bytes(1 << 20)
        for _ in range(LARGE >> 20):
            request.conn.send(block)

    world.upstream.on("PUT", "/files/7", swallow, early=True)
    world.upstream.on("GET", "/files/7", pour)
    world.start({"limits": {"body_bytes": "2GiB"}})
    ca = world.certificates.write_ca(world.folder / "ca.pem")
    _, port = world.gateway.address("https")
    with (world.folder / "large").open("wb") as file:
        file.truncate(LARGE)  # sparse: takes no room
    common = ["curl", "-sS", version, "--cacert", str(ca), "--noproxy", "*", "-H", f"Authorization: Bearer {world.service}", "-o", "/dev/null"]
    url = f"https://localhost:{port}/files/7"
    for arguments, expected in [(["-T", "large", "-w", "%{http_code}"], "200"), (["-w", "%{http_code} %{size_download}"], f"200 {LARGE}")]:
        done = subprocess.run([*common, *arguments, url], cwd=world.folder, capture_output=True, text=True, timeout=50, check=False)
        assert done.stdout == expected, done
    assert received == [LARGE]
    assert peak(world) < 100
