"""A steady load of every kind, in processes of its own: `upstream` answers, `client` asks.

    python load.py upstream               prints its port
    python load.py client PORT CA TOKEN   asks until its input ends, then prints counts as JSON

Every request that is not answered with 200 and its own target counts as failed, and so does every
connection that ends and every event stream that is cut or out of order."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hpack
import hpack.hpack

HOST = "localhost"
EVENTS = 0.02
"""Seconds between two events of a stream."""


# --- the upstream ---

async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            target = head.split(" ")[1]
            for line in head.split("\r\n"):
                if line.startswith("content-length: "):
                    await reader.readexactly(int(line[16:]))
            if target.startswith("/events"):
                await stream(writer)
                return
            if "upgrade: echo" in head.lower():
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
                while said := await reader.read(1 << 16):
                    writer.write(said)
                return
            body = target.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def stream(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    number = 0
    while True:
        writer.write(b"data: %d\n\n" % number)
        await writer.drain()
        number += 1
        await asyncio.sleep(EVENTS)


async def upstream() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # without a word about what is under way


# --- the clients ---

class Load:
    """Counts, and what is common to the kinds."""

    def __init__(self, port: int, authority: str, token: str):
        self.port, self.token = port, token
        self.stop = asyncio.Event()
        self.times: dict[str, list[float]] = {}
        self.faults: list[str] = []
        self.contexts = {}
        for protocol in ("http/1.1", "h2"):
            context = ssl.create_default_context(cafile=authority)
            context.set_alpn_protocols([protocol])
            self.contexts[protocol] = context

    async def connect(self, protocol: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.contexts[protocol], server_hostname=HOST)

    def head(self, method: str, target: str, more: str = "") -> bytes:
        return (f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.token}\r\n{more}\r\n").encode()

    def done(self, kind: str, begun: float) -> None:
        self.times.setdefault(kind, []).append(time.monotonic() - begun)

    async def answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length), "connection: close" in head

    async def kept(self, kind: str, number: int, method: str, body: bytes = b"") -> None:
        """One kept connection."""
        reader, writer = await self.connect("http/1.1")
        count = 0
        while not self.stop.is_set():
            target = f"/todos/{number}x{count}" if method == "GET" else f"/todos?{number}x{count}"
            begun = time.monotonic()
            writer.write(self.head(method, target, f"Content-Length: {len(body)}\r\n" if body else "") + body)
            status, got, closes = await self.answer(reader)
            assert (status, got, closes) == (200, target.encode(), False), (status, got, closes)
            self.done(kind, begun)
            count += 1
        writer.close()

    async def fresh(self, kind: str, number: int) -> None:
        """A connection for each request."""
        count = 0
        while not self.stop.is_set():
            target = f"/todos/{number}x{count}"
            begun = time.monotonic()
            reader, writer = await self.connect("http/1.1")
            writer.write(self.head("GET", target))
            status, got, _ = await self.answer(reader)
            assert (status, got) == (200, target.encode()), (status, got)
            writer.close()
            self.done(kind, begun)
            count += 1
            await asyncio.sleep(0.01)

    async def events(self, kind: str, _number: int) -> None:
        """A stream that lasts as long as the load."""
        reader, writer = await self.connect("http/1.1")
        writer.write(self.head("GET", "/events"))
        await reader.readuntil(b"\r\n\r\n")
        expected = 0
        while not self.stop.is_set():
            begun = time.monotonic()
            line = await reader.readuntil(b"\n")
            if line.startswith(b"data: "):
                assert int(line[6:]) == expected, f"{line} instead of {expected}"
                expected += 1
                self.done(kind, begun)
        writer.close()

    async def upgraded(self, kind: str, number: int) -> None:
        """A connection that was upgraded and lasts as long as the load: what is said comes back."""
        reader, writer = await self.connect("http/1.1")
        writer.write(self.head("GET", f"/todos/{number}", "Connection: Upgrade\r\nUpgrade: echo\r\n"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        count = 0
        while not self.stop.is_set():
            begun = time.monotonic()
            said = f"{number}x{count};".encode()
            writer.write(said)
            got = await reader.readexactly(len(said))
            assert got == said, (got, said)
            self.done(kind, begun)
            count += 1
            await asyncio.sleep(EVENTS)
        writer.close()

    async def multiplexed(self, kind: str, number: int, at_once: int = 8) -> None:
        """One HTTP/2 connection, so many streams at once."""
        reader, writer = await self.connect("h2")
        decoder, stream, waiting = hpack.Decoder(), -1, {}
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(8, 0, 0, (1 << 30).to_bytes(4, "big")))

        def ask() -> None:
            nonlocal stream
            stream += 2
            target = f"/todos/{number}x{stream}"
            fields = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", target), ("authorization", f"Bearer {self.token}")]
            waiting[stream] = [time.monotonic(), target.encode(), b""]
            writer.write(frame(1, 5, stream, b"".join(literal(*pair) for pair in fields)))

        while waiting or not self.stop.is_set():
            while len(waiting) < at_once and not self.stop.is_set():
                ask()
            header = await reader.readexactly(9)
            length, kind_, flags, where = int.from_bytes(header[:3], "big"), header[3], header[4], int.from_bytes(header[5:], "big")
            payload = await reader.readexactly(length)
            if kind_ == 4 and not flags & 1:
                writer.write(frame(4, 1, 0))
            elif kind_ == 6 and not flags & 1:
                writer.write(frame(6, 1, 0, payload))
            elif kind_ == 1:
                status = dict(decoder.decode(payload))[":status"]
                assert status == "200", status
            elif kind_ == 0:
                waiting[where][2] += payload
            assert kind_ not in (3, 7), f"RST_STREAM or GOAWAY: {header!r} {payload!r}"
            if kind_ in (0, 1) and flags & 1:
                begun, target, got = waiting.pop(where)
                assert got == target, (got, target)
                self.done(kind, begun)
        writer.close()

    async def guarded(self, work: Callable[..., Awaitable[None]], kind: str, number: int, *more: object) -> None:
        while not self.stop.is_set():
            try:
                await work(kind, number, *more)
            except (AssertionError, OSError, EOFError, asyncio.IncompleteReadError) as error:
                self.faults.append(f"{kind}: {error!r}")
                await asyncio.sleep(0.05)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    parts = [hpack.hpack.encode_integer(len(text), 7) + text.encode() for text in (name, value)]
    return b"\0" + b"".join(parts)


async def client(port: int, authority: str, token: str) -> None:
    load = Load(port, authority, token)
    kinds = [
        *[(load.kept, "kept", number, "GET") for number in range(4)],
        *[(load.kept, "posts", number, "POST", b"x" * 1000) for number in range(2)],
        *[(load.multiplexed, "http2", number) for number in range(2)],
        *[(load.fresh, "fresh", number) for number in range(2)],
        *[(load.events, "events", number) for number in range(3)],
        *[(load.upgraded, "upgraded", number) for number in range(2)],
    ]
    tasks = [asyncio.create_task(load.guarded(*kind)) for kind in kinds]
    print("begun", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    load.stop.set()
    _, late = await asyncio.wait(tasks, timeout=10)
    for task in late:
        load.faults.append(f"does not end: {task}")
        task.cancel()
    print(json.dumps({"times": load.times, "faults": load.faults}))


# --- for tests ---

class Running:
    """What a load has counted, once it is over."""

    faults: list[str]
    times: dict[str, list[float]]

    def summary(self) -> str:
        def of(kind: str) -> str:
            took = sorted(self.times[kind])
            p50, p99 = took[len(took) // 2] * 1e3, took[int(len(took) * 0.99)] * 1e3
            return f"{kind} {len(took)} (p50 {p50:.1f}, p99 {p99:.1f}, worst {took[-1] * 1e3:.0f} ms)"

        return f"{len(self.faults)} failed of " + ", ".join(of(kind) for kind in sorted(self.times))


@contextmanager
def answering() -> Iterator[int]:
    """The upstream; gives its port."""
    process = subprocess.Popen([sys.executable, __file__, "upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(20)


@contextmanager
def asking(port: int, authority: Path, token: str) -> Iterator[Running]:
    """The clients, while something else happens."""
    process = subprocess.Popen(
        [sys.executable, __file__, "client", str(port), str(authority), token],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    running = Running()
    assert process.stdout.readline() == "begun\n"
    try:
        yield running
    finally:
        out, _ = process.communicate()
        counted = json.loads(out)
        running.faults, running.times = counted["faults"], counted["times"]


if __name__ == "__main__":
    asyncio.run(upstream() if sys.argv[1] == "upstream" else client(int(sys.argv[2]), sys.argv[3], sys.argv[4]))
