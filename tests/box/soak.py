"""The mixed load of `tests/long soak`, in processes of its own: `upstream` answers, `client` asks.

    python soak.py upstream                              prints its ports: HTTP, WebSocket
    python soak.py client PORT CA SEED STEADY COMING     asks until its input ends, then prints counts as JSON

`STEADY` is a token that stays, `COMING` one that is taken away and given back all the while. Every
answer is counted by what it was. What is neither right, nor the client's own doing, nor what a
change of the configuration may bring about, is a fault and told in words."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable

import hpack
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

import load
from load import frame, literal

HOST, EXTRA, SOCKETS = "localhost", "extra.example", "sockets.example"
"""Of the plugin that stays, of the one that comes and goes, and of the one with the WebSockets."""
MIB = 1 << 20
BULK = bytes(range(256)) * (MIB // 256)
BODY = os.urandom(64 << 10)
GONE = (OSError, EOFError, asyncio.IncompleteReadError)


# --- the upstream ---

async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            path = head.split(" ")[1]
            check = zlib.crc32(await body(reader, head))
            if path.startswith("/events"):
                await load.stream(writer)
            large = path.startswith("/files/")
            got = BULK if large else f"{path} {check}".encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(got))
            writer.write(got)
            await writer.drain()
    except GONE:
        pass
    finally:
        writer.close()


async def body(reader: asyncio.StreamReader, head: str) -> bytes:
    """What a request carries."""
    if "\r\ntransfer-encoding: chunked" not in head:
        _, found, rest = head.partition("\r\ncontent-length: ")
        return await reader.readexactly(int(rest.split("\r\n")[0])) if found else b""
    got = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        got += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return got


async def echo(peer: ServerConnection) -> None:
    async for message in peer:
        await peer.send(message)


async def upstream() -> None:
    logging.disable()  # of connections that are aborted: that is what happens here
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    async with serve_websockets(echo, "127.0.0.1", 0, max_size=None, compression=None) as sockets:
        print(*(next(iter(each.sockets)).getsockname()[1] for each in (server, sockets)), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        os._exit(0)  # without a word about what is under way


# --- the clients ---

class Soak(load.Load):
    """What each kind of client does, again and again, until the load ends. One call of a kind is
    one connection."""

    def __init__(self, port: int, authority: str, seed: str, steady: str, coming: str):
        super().__init__(port, authority, steady)
        self.coming = coming
        self.random = random.Random(seed)
        self.counts: dict[str, Counter[str]] = {}

    def count(self, kind: str, outcome: str) -> None:
        self.counts.setdefault(kind, Counter())[outcome] += 1

    async def open(self, protocol: str = "http/1.1", host: str = HOST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.contexts[protocol], server_hostname=host, limit=MIB)

    def ask(self, method: str, path: str, more: str = "", host: str = HOST, token: str | None = "") -> bytes:
        """A request head; without credentials if the token is None."""
        who = "" if token is None else f"Authorization: Bearer {token or self.token}\r\n"
        return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{who}{more}\r\n".encode()

    def rounds(self, most: int) -> range:
        return range(self.random.randint(1, most))

    async def small(self, kind: str) -> None:
        reader, writer = await self.open()
        for number in self.rounds(400):
            path = f"/todos/{number}x{self.random.random()}"
            writer.write(self.ask("GET", path))
            got = await self.answer(reader)
            assert got == (200, f"{path} 0".encode(), False), got
            self.count(kind, "200")
            await self.pause(0.01)
            if self.stop.is_set():
                break
        writer.close()

    async def fresh(self, kind: str, _number: int = 0) -> None:
        reader, writer = await self.open()
        writer.write(self.ask("GET", "/todos/fresh"))
        got = await self.answer(reader)
        assert got[:2] == (200, b"/todos/fresh 0"), got
        writer.close()
        self.count(kind, "200")
        await self.pause(0.05)

    async def bulk(self, kind: str) -> None:
        reader, writer = await self.open()
        for _ in self.rounds(30):
            writer.write(self.ask("GET", "/files/bulk"))
            status, got, _ = await self.answer(reader)
            assert status == 200 and got == BULK, (status, len(got))
            self.count(kind, "200")
            await self.pause(0.1)
            if self.stop.is_set():
                break
        writer.close()

    async def posts(self, kind: str) -> None:
        """Bodies of a known length, and in chunks."""
        reader, writer = await self.open()
        for number in self.rounds(100):
            path = f"/todos?{number}"
            if number % 2:
                writer.write(self.ask("POST", path, f"Content-Length: {len(BODY)}\r\n") + BODY)
            else:
                pieces = [BODY[at:at + 9000] for at in range(0, len(BODY), 9000)]
                chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
                writer.write(self.ask("POST", path, "Transfer-Encoding: chunked\r\n") + chunks + b"0\r\n\r\n")
            got = await self.answer(reader)
            assert got == (200, f"{path} {zlib.crc32(BODY)}".encode(), False), got
            self.count(kind, "200")
            await self.pause(0.03)
            if self.stop.is_set():
                break
        writer.close()

    async def events(self, kind: str, _number: int = 0) -> None:
        """A stream that its reader leaves after a while, politely or not."""
        reader, writer = await self.open()
        writer.write(self.ask("GET", "/events"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        expected = 0
        for _ in self.rounds(600):
            line = await reader.readuntil(b"\n")
            if line.startswith(b"data: "):
                assert int(line[6:]) == expected, f"{line} instead of {expected}"
                expected += 1
            if self.stop.is_set():
                break
        self.leave(writer)
        self.count(kind, "left by its reader")

    async def websocket(self, kind: str, token: str, may_be_cut: bool) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        uri = f"wss://{SOCKETS}:{self.port}/events"
        try:
            async with connect(
                uri, ssl=self.contexts["http/1.1"], host="127.0.0.1", additional_headers=headers, max_size=None, compression=None, open_timeout=30,
            ) as peer:
                for _ in self.rounds(200):
                    message = BULK[:self.random.choice((10, 1000, 100_000))]
                    await peer.send(message)
                    assert await peer.recv() == message
                    self.count(kind, "echoed")
                    await self.pause(0.05)
                    if self.stop.is_set():
                        break
        except (ConnectionClosed, *GONE) as error:
            assert may_be_cut, repr(error)
            self.count(kind, "cut: its token was taken away")
        except InvalidStatus as error:
            assert may_be_cut and error.response.status_code == 401, repr(error)
            self.count(kind, "401: its token was away")
            await self.pause(0.2)
        else:
            self.count(kind, "closed by both")

    async def steady_websocket(self, kind: str) -> None:
        await self.websocket(kind, self.token, may_be_cut=False)

    async def coming_websocket(self, kind: str) -> None:
        await self.websocket(kind, self.coming, may_be_cut=True)

    async def swapped(self, kind: str, host: str, token: str | None, refused: tuple[int, str]) -> None:
        """A kept connection on which what is refused now is allowed again later."""
        reader, writer = await self.open(host=host)
        for _ in self.rounds(400):
            writer.write(self.ask("GET", "/todos/1", host=host, token=token))
            status, got, closes = await self.answer(reader)
            assert not closes, status
            if (status, got) == (200, b"/todos/1 0"):
                self.count(kind, "200")
            else:
                assert (status, json.loads(got)["code"]) == refused, (status, got)
                self.count(kind, f"{status}: it was away")
            await self.pause(0.1)
            if self.stop.is_set():
                break
        writer.close()

    async def coming_token(self, kind: str) -> None:
        await self.swapped(kind, HOST, self.coming, (401, "invalid_token"))

    async def coming_plugin(self, kind: str) -> None:
        await self.swapped(kind, EXTRA, "", (421, "unknown_host"))

    async def leaves_response(self, kind: str) -> None:
        reader, writer = await self.open()
        writer.write(self.ask("GET", "/files/left"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readexactly(self.random.randrange(MIB))
        writer.transport.abort()
        self.count(kind, "left")
        await self.pause(0.1)

    async def leaves_upload(self, kind: str) -> None:
        _, writer = await self.open()
        sent = self.random.randrange(MIB)
        if self.random.random() < 0.5:
            writer.write(self.ask("POST", "/files", f"Content-Length: {MIB}\r\n") + BULK[:sent])
        else:
            writer.write(self.ask("POST", "/files", "Transfer-Encoding: chunked\r\n") + b"100000\r\n" + BULK[:sent])
        await self.pause(self.random.random() / 10)
        self.leave(writer)
        self.count(kind, "left")
        await self.pause(0.1)

    async def refused(self, kind: str) -> None:
        """What must be refused, and why; the last one costs the connection."""
        wrong = "pls_" + base64.b32encode(self.random.randbytes(30)).decode()
        asked = [
            (401, "missing_token", self.ask("GET", "/todos", token=None)),
            (401, "invalid_token", self.ask("GET", "/todos", token=wrong)),
            (404, "no_route", self.ask("GET", "/nowhere")),
            (405, "method_not_allowed", self.ask("DELETE", "/todos")),
            (413, "body_too_large", self.ask("POST", "/todos", f"Content-Length: {5 * MIB}\r\n")),
        ]
        reader, writer = await self.open()
        for status, code, head in asked:
            writer.write(head)
            got, said, _ = await self.answer(reader)
            assert (got, json.loads(said)["code"]) == (status, code), (got, said)
            self.count(kind, str(status))
            await self.pause(0.1)
        self.leave(writer)

    async def http2(self, kind: str, at_once: int = 8) -> None:
        """Small answers, each of them whole; now and then a large one that is given up."""
        reader, writer = await self.open("h2")
        decoder, stream, waiting, left = hpack.Decoder(), -1, {}, set()
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(8, 0, 0, (1 << 30).to_bytes(4, "big")))
        budget = self.random.randint(1, 1500)
        while waiting or (budget > 0 and not self.stop.is_set()):
            while len(waiting) < at_once and budget > 0 and not self.stop.is_set():
                stream, budget = stream + 2, budget - 1
                path = f"/files/{stream}" if stream % 97 == 0 else f"/todos/{stream}"
                pairs = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path), ("authorization", f"Bearer {self.token}")]
                waiting[stream] = (path, b"")
                writer.write(frame(1, 5, stream, b"".join(literal(*pair) for pair in pairs)))
                await self.pause(0.01)
            header = await reader.readexactly(9)
            length, kind_of, flags, where = int.from_bytes(header[:3], "big"), header[3], header[4], int.from_bytes(header[5:], "big")
            payload = await reader.readexactly(length)
            if kind_of in (4, 6) and not flags & 1:
                writer.write(frame(kind_of, 1, 0, payload if kind_of == 6 else b""))
            assert kind_of not in (3, 7), f"RST_STREAM or GOAWAY: {header!r} {payload!r}"
            if kind_of == 1:
                status = dict(decoder.decode(payload))[":status"]
                assert status == "200", status
            if kind_of not in (0, 1) or where in left:
                continue
            path, got = waiting[where]
            got += payload if kind_of == 0 else b""
            waiting[where] = (path, got)
            if path.startswith("/files/") and got:
                writer.write(frame(3, 0, where, (8).to_bytes(4, "big")))  # CANCEL
                left.add(where)
                del waiting[where]
                self.count(kind, "given up")
            elif flags & 1:
                assert got == f"{path} 0".encode(), (got, path)
                del waiting[where]
                self.count(kind, "200")
        self.leave(writer)

    def leave(self, writer: asyncio.StreamWriter) -> None:
        """With TLS's farewell, or without."""
        if self.random.random() < 0.5:
            writer.close()
        else:
            writer.transport.abort()

    async def pause(self, longest: float) -> None:
        await asyncio.sleep(self.random.random() * longest * 2)

    async def repeat(self, kind: str, work: Callable[[str], Awaitable[None]]) -> None:
        while not self.stop.is_set():
            try:
                await work(kind)
            except (AssertionError, ConnectionClosed, *GONE) as error:
                self.faults.append(f"{time.strftime('%H:%M:%S')} {kind}: {error!r}")
                await asyncio.sleep(0.05)


async def client(port: int, *arguments: str) -> None:
    soak = Soak(port, *arguments)
    kinds = [
        ("GET, HTTP/1.1", soak.small, 4), ("GET, HTTP/2", soak.http2, 2), ("GET, new handshake", soak.fresh, 2),
        ("GET 1 MiB", soak.bulk, 2), ("POST 64 KiB", soak.posts, 2), ("event stream", soak.events, 4),
        ("WebSocket", soak.steady_websocket, 2), ("WebSocket, coming token", soak.coming_websocket, 1),
        ("coming token", soak.coming_token, 1), ("coming plugin", soak.coming_plugin, 1), ("refused", soak.refused, 1),
        ("leaves a response", soak.leaves_response, 2), ("leaves an upload", soak.leaves_upload, 2),
    ]
    tasks = [asyncio.create_task(soak.repeat(kind, work)) for kind, work, many in kinds for _ in range(many)]
    print("begun", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    soak.stop.set()
    _, late = await asyncio.wait(tasks, timeout=20)
    for task in late:
        soak.faults.append(f"does not end: {task}")
        task.cancel()
    print(json.dumps({"counts": soak.counts, "faults": soak.faults}))


if __name__ == "__main__":
    asyncio.run(upstream() if sys.argv[1] == "upstream" else client(int(sys.argv[2]), *sys.argv[3:]))
