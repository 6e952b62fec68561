"""An API that speaks HTTP/2 alone, frame by frame as a test tells it to."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from plugway import eventually

Fields = list[tuple[str, str]]
NEVER = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host"}
"""What HTTP/2 has not; the host is `:authority`."""


@dataclass
class Stream:
    """One request."""

    conn: Connection
    id: int
    headers: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    whole: bool = False
    error: int | None = None
    """What it was reset with."""

    def get(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    @property
    def path(self) -> str:
        return self.get(":path")

    def head(self, status: int = 200, headers: Fields | None = None, end: bool = False) -> None:
        self.conn.act(lambda h2: h2.send_headers(self.id, [(":status", str(status)), *(headers or [])], end_stream=end))

    def data(self, data: bytes, end: bool = False) -> None:
        """No more than the gateway's window."""
        for start in range(0, len(data) or 1, 16384):
            piece, last = data[start:start + 16384], start + 16384 >= len(data)
            self.conn.act(lambda h2, piece=piece, last=last: h2.send_data(self.id, piece, end_stream=end and last))

    def end(self, trailers: Fields | None = None) -> None:
        if trailers:
            self.conn.act(lambda h2: h2.send_headers(self.id, trailers, end_stream=True))
        else:
            self.conn.act(lambda h2: h2.end_stream(self.id))

    def answer(self, body: bytes = b"", status: int = 200, headers: Fields | None = None) -> None:
        self.head(status, [("content-length", str(len(body))), *(headers or [])], end=not body)
        if body:
            self.data(body, end=True)

    def reset(self, code: int) -> None:
        self.conn.act(lambda h2: h2.reset_stream(self.id, code))


class Connection:
    def __init__(self, sock: socket.socket, number: int, settings: dict[int, int]):
        self.sock, self.number = sock, number
        self.streams: dict[int, Stream] = {}
        self.most = 0
        """Streams that were open at once."""
        self.closed = False
        self.lock = threading.RLock()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values={
            h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 65536, **settings,
        })

    def act(self, what: Callable[[h2.connection.H2Connection], None]) -> None:
        """Sends what the library makes of a call."""
        with self.lock:
            what(self.h2)
            self.flush()

    def flush(self) -> None:
        with self.lock:
            data = self.h2.data_to_send()
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def go_away(self, last: int, code: int = 0) -> None:
        """Also behind a stream that was seen: the library knows no such number of its own."""
        frame = b"\0\0\x08\x07\0\0\0\0\0" + last.to_bytes(4, "big") + code.to_bytes(4, "big")
        with self.lock:
            self.sock.sendall(frame)

    def close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Http2Upstream:
    """`on` says what is done with a request when its head came (`early`) or all of it."""

    def __init__(self, document: object, tls: ssl.SSLContext | None = None, path: Path | None = None, streams: int = 100):
        self.document, self.tls, self.path = document, tls, path
        self.settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: streams}
        self.window = True
        """Whether room is made for request bodies as they come."""
        self.handlers: dict[str, tuple[Callable[[Stream], None], bool]] = {}
        self.connections: list[Connection] = []
        self.requests: list[Stream] = []
        self.faults: list[BaseException] = []
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self.listener.getsockname()[1]

    @property
    def url(self) -> str:
        if self.path:
            return f"unix+h2c:{self.path}"
        return f"{'https' if self.tls else 'h2c'}://127.0.0.1:{self.port}"

    def on(self, path: str, handler: Callable[[Stream], None], early: bool = False) -> None:
        self.handlers[path] = (handler, early)

    def seen(self, path: str) -> list[Stream]:
        return [stream for stream in self.requests if stream.path == path]

    def wait(self, path: str, count: int = 1) -> list[Stream]:
        """The requests for a path, when there are so many."""
        def enough() -> bool:
            return len(self.seen(path)) >= count

        eventually(enough)
        return self.seen(path)

    def stop(self) -> None:
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            conn = Connection(sock, len(self.connections), self.settings)
            self.connections.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn: Connection) -> None:
        try:
            if self.tls:
                conn.sock = self.tls.wrap_socket(conn.sock, server_side=True)
                if conn.sock.selected_alpn_protocol() != "h2":
                    return
            conn.act(lambda h2: h2.initiate_connection())
            while got := conn.sock.recv(65536):
                with conn.lock:
                    for event in conn.h2.receive_data(got):
                        self._event(conn, event)
                conn.flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        except BaseException as error:  # noqa: BLE001 - told to the test that runs
            self.faults.append(error)
        finally:
            conn.closed = True
            conn.close()

    def _event(self, conn: Connection, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                stream = conn.streams[event.stream_id] = Stream(conn, event.stream_id, event.headers)
                conn.most = max(conn.most, conn.h2.open_inbound_streams)
                self.requests.append(stream)
                self._handle(stream, early=True)
            case h2.events.DataReceived():
                conn.streams[event.stream_id].body += event.data
                if self.window and event.flow_controlled_length:
                    conn.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                conn.streams[event.stream_id].trailers = event.headers
            case h2.events.StreamEnded():
                stream = conn.streams[event.stream_id]
                stream.whole = True
                self._handle(stream, early=False)
            case h2.events.StreamReset():
                if stream := conn.streams.get(event.stream_id):
                    stream.error = event.error_code

    def _handle(self, stream: Stream, early: bool) -> None:
        handler, wants = self.handlers.get(stream.path, (self.echo, False))
        if wants != early:
            return
        try:
            handler(stream)
        except h2.exceptions.ProtocolError:
            pass

    def echo(self, stream: Stream) -> None:
        if stream.path == "/openapi.json":
            stream.answer(json.dumps(self.document).encode(), headers=[("content-type", "application/json")])
            return
        seen = {"headers": stream.headers, "body": stream.body.decode("latin-1"), "connection": stream.conn.number}
        stream.answer(json.dumps(seen).encode(), headers=[("content-type", "application/json")])

    def check(self, secrets: set[str]) -> None:
        """What must be true of every request that ever came in."""
        assert not self.faults, self.faults
        for stream in self.requests:
            names = [name for name, _ in stream.headers]
            assert not NEVER & set(names), stream.headers
            assert names.count(":authority") == 1, stream.headers
            assert stream.get("te") in (None, "trailers"), stream.headers
            assert stream.get(":scheme") == ("https" if self.tls else "http")
            for secret in secrets:
                assert secret not in str(stream.headers), "a token of the gateway reached the upstream"
