"""Upstreams that speak HTTP/2: streams that share a connection, and what may go wrong on it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading

import h2.events
import pytest

import materials
from clients import Frames, refusal
from plugway import eventually, replace
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
    answer = client.post("/todos", content=b"x" * 200_000, headers={"Cookie": "a=1"})
    [seen] = api.seen("/todos")
    assert answer.json()["body"] == "x" * 200_000
    assert seen.get("content-length") == "200000"
    assert seen.get(":authority") == (api.url.split("//")[1] if api.path is None else "localhost")
    assert (seen.get("cookie"), seen.get("authorization")) == ("a=1", None)
    api.on("/todos/2", lambda stream: stream.head(headers=[("content-length", "7")], end=True))
    assert client.request("HEAD", "/todos/2").headers["content-length"] == "7"
    api.on("/todos/1", lambda stream: stream.answer(status=204))
    assert client.request("DELETE", "/todos/1").status_code == 204
    assert len({stream.conn.number for stream in api.requests}) == 1, "one connection is enough"


def test_trailers_and_grpc_both_ways(world, plain):
    """As a gRPC client sends it: `te`, content without a length, trailers in both directions."""
    def grpc(stream: Stream) -> None:
        stream.head(headers=[("content-type", "application/grpc")])
        stream.data(stream.body)
        stream.end([("grpc-status", "0")])

    plain.on("/files", grpc)
    frames = Frames(world.gateway)
    credential = ("authorization", f"Bearer {world.service}")
    stream = frames.request("POST", "/files", credential, ("te", "trailers"), ("content-type", "application/grpc"), end=False)
    frames.data(stream, b"message")
    frames.h2.send_headers(stream, [("x-sum", "abc")], end_stream=True)
    frames.flush()
    events = frames.until(h2.events.StreamEnded, stream)
    [trailers] = [event for event in events if isinstance(event, h2.events.TrailersReceived)]
    assert trailers.headers == [("grpc-status", "0")]
    assert b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived)) == b"message"
    [seen] = plain.seen("/files")
    assert (seen.get("te"), seen.get("content-length"), seen.trailers) == ("trailers", None, [("x-sum", "abc")])


@pytest.mark.parametrize("host", ["client", "api.example"])
def test_the_authority_is_as_configured(world, new_http2, http2, host):
    upstream = serve(world, new_http2(), host=host)
    client = world.session(http2=http2, token=world.service)
    for _ in range(2):
        client.get("/todos")
    expected = client.authority if host == "client" else host
    assert [seen.get(":authority") for seen in upstream.seen("/todos")] == [expected] * 2


def held(upstream: Http2Upstream, path: str) -> threading.Event:
    """Requests for the path are answered when it is set."""
    release = threading.Event()

    def hold(stream: Stream) -> None:
        threading.Thread(target=lambda: (release.wait(20), stream.answer(b"late")), daemon=True).start()

    upstream.on(path, hold)
    return release


def test_requests_share_a_connection(world, plain):
    """Also those that come while it is being made."""
    release = held(plain, "/slow")
    clients = [world.session(token=world.service) for _ in range(20)]
    thread = threading.Thread(target=lambda: plain.wait("/slow", 20) and release.set())
    thread.start()
    before = len(plain.connections)
    answers = together(*(lambda client=client: client.get("/slow") for client in clients))
    thread.join(20)
    assert [answer.content for answer in answers] == [b"late"] * 20
    assert len({seen.conn.number for seen in plain.seen("/slow")}) == 1
    assert len(plain.connections) == before + 1


@pytest.mark.parametrize("streams", [1, 3])
def test_no_more_streams_than_the_upstream_takes(world, new_http2, streams):
    """What is more gets a connection of its own, and waits for nobody."""
    upstream = serve(world, new_http2(streams=streams))
    release = held(upstream, "/slow")
    clients = [world.session(token=world.service) for _ in range(10)]
    thread = threading.Thread(target=lambda: upstream.wait("/slow", 10) and release.set())
    thread.start()
    answers = together(*(lambda client=client: client.get("/slow") for client in clients))
    thread.join(20)
    assert [answer.content for answer in answers] == [b"late"] * 10
    assert max(conn.most for conn in upstream.connections) <= streams
    assert {seen.error for seen in upstream.requests} == {None}


def test_an_upstream_that_never_says_how_many(world, new_http2, http2):
    """Without SETTINGS nothing is sent, whatever else is spoken there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (world.folder / "api.json").write_text(json.dumps(materials.DOCUMENT))
        plugin = {"upstream": {"url": f"h2c://127.0.0.1:{listener.getsockname()[1]}"}, "openapi": {"source": "./api.json"}}
        world.start({"limits": {"upstream_connect": "300ms"}, "plugins": {"todo": plugin}})
        for answer in (b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"):
            sent: list[bytes] = []

            def take(answer=answer, sent=sent) -> None:
                conn, _ = listener.accept()
                conn.sendall(answer)
                try:
                    while got := conn.recv(65536):
                        sent.append(got)
                except ConnectionResetError:
                    pass

            thread = threading.Thread(target=take)
            thread.start()
            refusal(world.session(http2=http2, token=world.service).get("/todos"), 502, "upstream_unreachable")
            thread.join(20)
            assert b"".join(sent).startswith(b"PRI * HTTP/2.0")
            assert b"todos" not in b"".join(sent)


@pytest.mark.parametrize("how", ["refused", "left out"])
def test_what_was_not_acted_on_is_sent_again(world, plain, http2, how):
    """By the rules for retries: a request without a body, whatever its method, and once."""
    client = world.session(http2=http2, token=world.service)

    def refuse(stream: Stream) -> None:
        if how == "refused":
            stream.reset(REFUSED)
        else:
            stream.conn.go_away(max(0, stream.id - 2))

    def first(stream: Stream) -> None:
        refuse(stream) if len(plain.seen(stream.path)) == 1 else stream.answer(b"done")

    plain.on("/todos/1", first)
    plain.on("/internal/reset", first)
    assert client.get("/todos/1").content == b"done"
    assert len(plain.seen("/todos/1")) == 2
    if not http2:  # where the library sends an empty body, which comes after the head
        assert client.post("/internal/reset").content == b"done"
        assert len(plain.seen("/internal/reset")) == 2
    plain.on("/search", refuse)
    refusal(client.get("/search"), 502, "upstream_broken")
    assert len(plain.seen("/search")) == 2
    plain.on("/todos", refuse)
    refusal(client.post("/todos", content=b"body"), 502, "upstream_broken")
    assert len(plain.seen("/todos")) == 1


def test_goaway_lets_others_end(world, plain):
    """A request that the upstream took is answered; the next one gets another connection."""
    def last(stream: Stream) -> None:
        stream.conn.go_away(stream.id)
        stream.head()

    plain.on("/slow", last)
    clients = [world.session(token=world.service) for _ in range(2)]
    with clients[0].stream("GET", "/slow") as answer:
        [slow] = plain.wait("/slow")
        assert clients[1].post("/todos", content=b"other").json()["body"] == "other"
        slow.data(b"whole", end=True)
        assert answer.read() == b"whole"
    assert plain.seen("/todos")[0].conn is not slow.conn


def test_a_reset_is_the_upstreams_doing(world, plain, http2):
    client = world.session(http2=http2, token=world.service)
    plain.on("/slow", lambda stream: stream.reset(INTERNAL))
    refusal(client.get("/slow"), 502, "upstream_broken")
    assert len(plain.seen("/slow")) == 1, "it may have been acted on"
    assert client.get("/todos").json()["connection"] == plain.seen("/slow")[0].conn.number


def test_a_connection_that_dies(world, plain, http2):
    """What may be repeated is, once; what may not is not."""
    client = world.session(http2=http2, token=world.service)
    client.get("/todos")

    def die(stream: Stream) -> None:
        stream.conn.close()

    def once(stream: Stream) -> None:
        die(stream) if len(plain.seen(stream.path)) == 1 else stream.answer(b"done")

    plain.on("/search", once)
    assert client.get("/search").content == b"done"
    plain.on("/files", die)
    refusal(client.post("/files"), 502, "upstream_broken")
    assert len(plain.seen("/files")) == 1


def test_a_connection_that_was_closed_is_not_used(world, plain, http2):
    client = world.session(http2=http2, token=world.service)
    for number in range(5):
        assert client.post("/todos", content=b"%d" % number).json()["body"] == str(number)
        plain.connections[-1].close()
    assert len(plain.seen("/todos")) == 5


@pytest.mark.parametrize("code", [NO_ERROR, CANCEL, INTERNAL])
def test_a_response_that_is_reset_is_cut(world, plain, http2, code):
    """Also when the upstream says that all is well: the end did not come."""
    import httpx

    def cut(stream: Stream) -> None:
        stream.head()
        stream.data(b"half")
        stream.reset(code)

    plain.on("/slow", cut)
    client = world.session(http2=http2, token=world.service)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get("/slow")
    assert client.get("/todos").status_code == 200


@pytest.mark.parametrize("code", [1, 3, REFUSED, CANCEL, 11, 13])
def test_a_code_of_the_upstream_is_not_the_clients(world, plain, code):
    """It says something of another connection: REFUSED_STREAM would have a client send a request
    once more that was acted on, HTTP_1_1_REQUIRED go on in another version."""
    def cut(stream: Stream) -> None:
        stream.head()
        stream.data(b"half")
        stream.reset(code)

    plain.on("/slow", cut)
    frames = Frames(world.gateway)
    stream = frames.request("GET", "/slow", ("authorization", f"Bearer {world.service}"))
    assert frames.until(h2.events.StreamReset, stream)[-1].error_code == INTERNAL


@pytest.mark.parametrize("end", ["with its content", "behind it"])
@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_comes_without(world, plain, http2, status, end):
    """Whatever the upstream sends with it: clients would take it for the beginning of the next
    answer, or for a fault of the gateway."""
    # With 304 a length is allowed, which the HTTP/2 library does not know.
    length = [("content-length", "4")] if status == 204 or not http2 else []

    def talk(stream: Stream) -> None:
        stream.head(status, length)
        stream.data(b"fine", end=end == "with its content")
        if end == "behind it":
            stream.end([("x-sum", "abc")])

    plain.on("/slow", talk)
    client = world.session(http2=http2, token=world.service)
    for _ in range(3):
        answer = client.get("/slow")
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers.get("content-length") == (None if status == 204 or not length else "4")
        assert client.get("/todos").status_code == 200


def test_an_empty_end_of_an_answer_without_content_is_no_fault(world, plain, http2):
    """Many servers end each stream with a frame of its own."""
    plain.on("/slow", lambda stream: (stream.head(204), stream.data(b"", end=True)))
    client = world.session(http2=http2, token=world.service)
    assert client.get("/slow").status_code == 204
    assert client.get("/todos").status_code == 200
    assert plain.seen("/slow")[0].error is None


@pytest.mark.parametrize(("code", "word"), [(INTERNAL, "INTERNAL_ERROR"), (13, "HTTP_1_1_REQUIRED")])
def test_the_log_says_what_the_upstream_said(world, plain, code, word):
    plain.on("/slow", lambda stream: stream.reset(code))
    refusal(world.session(token=world.service).get("/slow"), 502, "upstream_broken")
    eventually(lambda: f"it said {word}" in world.gateway.stderr)


@pytest.mark.parametrize("size", [10, 128 << 10])
def test_an_answer_before_the_body_was_read(world, plain, http2, size):
    """The client gets it, and what is left of the body is not sent."""
    def early(stream: Stream) -> None:
        stream.answer(b"large", 413)

    plain.window = False
    plain.on("/files", early, early=True)
    client = world.session(http2=http2, token=world.service)
    release = threading.Event()

    def body():
        yield b"x" * size
        release.wait(20)
        yield b"y"

    def call():
        try:
            answer = client.post("/files", content=body())
            return answer.status_code, answer.content
        except Exception as error:  # noqa: BLE001 - a client that can not stop to send
            return repr(error)

    thread = threading.Thread(target=lambda: (plain.wait("/files"), eventually(lambda: plain.seen("/files")[0].error == CANCEL), release.set()))
    thread.start()
    assert call() == (413, b"large") or not http2
    thread.join(30)
    assert plain.seen("/files")[0].error == CANCEL
    assert world.session(token=world.service).get("/todos").status_code == 200


@pytest.mark.parametrize("when", ["before the head", "in the body", "in the upload"])
def test_a_client_that_leaves_resets_its_stream(world, plain, http2, when):
    """And nothing else: another request goes on on the same connection."""
    if when == "in the body":
        plain.on("/slow", lambda stream: (stream.head(), stream.data(b"half")))
    else:
        plain.on("/slow", lambda stream: None)
    path, auth = "/slow", f"Bearer {world.service}"
    release = held(plain, "/search")
    other = world.session(token=world.service)
    with_other = threading.Thread(target=lambda: results.append(other.get("/search").content))
    results: list[bytes] = []
    with_other.start()
    plain.wait("/search")
    upload = when == "in the upload"
    method = "POST" if upload else "GET"
    if http2:
        frames = Frames(world.gateway)
        stream = frames.request(method, path, ("authorization", auth), end=not upload)
        if upload:
            frames.data(stream, b"half")
        [seen] = plain.wait(path)
        if when == "in the body":
            frames.until(h2.events.DataReceived, stream)
        frames.h2.reset_stream(stream, CANCEL)
        frames.flush()
    else:
        wire = world.wire()
        length = "Content-Length: 9\r\n" if upload else ""
        wire.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {auth}\r\n{length}\r\n", "half" if upload else "")
        [seen] = plain.wait(path)
        if when == "in the body":
            wire.until(b"half")
        wire.abort()
    eventually(lambda: seen.error is not None)
    assert seen.error == CANCEL
    release.set()
    with_other.join(20)
    assert results == [b"late"]
    assert not seen.conn.closed and plain.seen("/search")[0].conn is seen.conn


def test_deadlines_are_those_of_http1(world, new_http2, http2):
    """504 while a head or room for the body is waited for; a response that stops is cut."""
    import httpx
    upstream = serve(world, new_http2(), {"upstream_idle": "300ms"}, timeout="300ms")
    client = world.session(http2=http2, token=world.service)
    upstream.on("/slow", lambda stream: None)
    refusal(client.get("/slow"), 504, "upstream_timeout")
    eventually(lambda: upstream.seen("/slow")[0].error == CANCEL)
    upstream.window = False
    refusal(client.post("/slow", content=b"x" * (128 << 10)), 504, "upstream_timeout")
    upstream.on("/search", lambda stream: (stream.head(), stream.data(b"half")))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get("/search")
    eventually(lambda: upstream.seen("/search")[0].error == CANCEL)
    assert client.get("/todos").status_code == 200


def test_clients_that_do_not_read_stop_nobody(world, plain):
    """Each stream has its own window, and the connection has all of them."""
    def flood(stream: Stream) -> None:
        stream.head()
        for _ in range(16):
            stream.data(b"x" * 16384)

    plain.on("/slow", flood)
    for _ in range(20):
        wire = world.wire()
        wire.send(f"GET /slow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n")
        wire.head()
    assert world.session(token=world.service).get("/todos").status_code == 200
    assert len({seen.conn.number for seen in plain.requests}) == 1


def test_events_that_nobody_reads_stop_nobody(world, plain):
    """Short frames cost more than they hold: the codec counts them, and ends a connection that has too many."""
    def events(stream: Stream) -> None:
        stream.head(headers=[("content-type", "text/event-stream")])
        event = b"data: 0123456789ab\n\n"
        frame = len(event).to_bytes(3, "big") + b"\0\0" + stream.id.to_bytes(4, "big") + event
        with stream.conn.lock:  # by hand: the library would take a minute
            stream.conn.sock.sendall(frame * ((200 << 10) // len(event)))

    plain.on("/events", events)
    client = world.session(token=world.service)
    frames = Frames(world.gateway)
    for _ in range(16):
        frames.request("GET", "/events", ("authorization", f"Bearer {world.service}"))
    plain.wait("/events", 16)
    assert client.get("/todos").status_code == 200
    # What came behind the events was read, and so were they.
    assert {seen.conn.number for seen in plain.requests} == {plain.requests[0].conn.number}
    assert not plain.requests[0].conn.closed


def test_large_bodies_both_ways(world, plain, http2):
    client = world.session(http2=http2, token=world.service)
    body = bytes(range(256)) * (12 << 12)
    plain.on("/files", lambda stream: stream.answer(b"%d" % len(stream.body)))
    assert client.post("/files", content=body).content == b"%d" % len(body)


def test_an_upgrade_is_refused_where_there_is_none(world, plain):
    wire = world.wire()
    wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n"
              "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    status, fields = wire.head()
    assert (status, fields["content-type"]) == (501, "application/problem+json")
    assert b"upgrade_unsupported" in wire.exactly(int(fields["content-length"]))
    assert plain.requests == []


def test_health_is_asked_over_http2(world, new_http2):
    upstream = new_http2()
    upstream.on("/health", lambda stream: stream.answer(b"ok"))
    serve(world, upstream, health={"path": "/health", "interval": "100ms"})
    eventually(lambda: world.gateway.status()["plugins"][0]["upstreams"][0]["healthy"] is True)


def test_idle_connections_are_closed(world, plain):
    """After four seconds, with a farewell, below what upstreams wait in common."""
    world.session(token=world.service).get("/todos")
    eventually(lambda: plain.seen("/todos")[0].conn.closed)


# --- TLS ---


@pytest.fixture
def caddy(folder, certificates):
    """Debian's Caddy: starts it with a configuration of one server, and gives its port."""
    processes: list[subprocess.Popen] = []

    def start(protocols: list[str], policy: dict | None = None) -> int:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        certificates.issue(folder / "caddy")
        pair = {"certificate": str(folder / "caddy/server.pem"), "key": str(folder / "caddy/server.key")}
        text = "{http.request.proto} {http.request.host}"
        if policy and "client_authentication" in policy:
            text = "{http.request.tls.client.subject}"
        server = {
            "listen": [f"127.0.0.1:{port}"], "protocols": protocols, "automatic_https": {"disable": True},
            "routes": [
                {"match": [{"path": ["/openapi.json"]}], "handle": [{"handler": "static_response", "body": json.dumps(materials.DOCUMENT)}]},
                {"handle": [{"handler": "static_response", "body": text}]},
            ],
        }
        apps = {"http": {"servers": {"api": server}}}
        if policy is not None:
            # An address is no server name.
            server |= {"tls_connection_policies": [policy], "strict_sni_host": False}
            apps["tls"] = {"certificates": {"load_files": [pair]}}
        (folder / "caddy.json").write_text(json.dumps({"admin": {"disabled": True}, "apps": apps}))
        env = {"HOME": str(folder), "PATH": os.environ["PATH"], "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        processes.append(subprocess.Popen(["caddy", "run", "--config", str(folder / "caddy.json")], env=env, stderr=subprocess.DEVNULL))

        def listens() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                return False
            return True

        eventually(listens)
        return port

    yield start
    for process in processes:
        process.terminate()
        process.wait(20)


def test_caddy_over_h2c(world, caddy, http2):
    port = caddy(["h1", "h2c"])
    world.plugin({"upstream": {"url": f"h2c://127.0.0.1:{port}"}})
    assert world.session(http2=http2, token=world.service).get("/todos").text == "HTTP/2.0 127.0.0.1"


@pytest.mark.parametrize("alpn", [["h2"], ["h2", "http/1.1"], ["http/1.1"]], ids=["h2", "both", "h1"])
def test_the_upstream_chooses_below_tls(world, caddy, http2, alpn):
    port = caddy(["h1", "h2"], {"alpn": alpn})
    ca = str(world.certificates.write_ca(world.folder / "ca.pem"))
    world.plugin({"upstream": {"url": f"https://127.0.0.1:{port}", "ca": ca}})
    version = "HTTP/2.0" if "h2" in alpn else "HTTP/1.1"
    assert world.session(http2=http2, token=world.service).get("/todos").text == f"{version} 127.0.0.1"


def test_an_upgrade_below_tls_is_asked_for_in_http1(world, new_upstream, certificates):
    """An upstream that would rather speak HTTP/2 is not offered that."""
    chosen: list[str] = []
    secure = new_upstream(tls=tls(certificates, "h2", "http/1.1"))
    secure.secrets |= {world.service}
    ca = str(certificates.write_ca(world.folder / "ca.pem"))
    (world.folder / "api.json").write_text(json.dumps(materials.DOCUMENT))
    world.plugin({"upstream": {"url": secure.url, "ca": ca}, "openapi": {"source": "./api.json"}})

    def switch(request) -> None:
        chosen.append(request.conn.sock.selected_alpn_protocol())
        request.conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        request.conn.send(request.conn.exactly(4))

    secure.on("GET", "/events", switch)
    wire = world.wire()
    wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n"
              "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert wire.head()[0] == 101
    wire.send(b"ping")
    assert wire.exactly(4) == b"ping"
    assert chosen == ["http/1.1"]


def test_a_client_certificate_is_presented_and_renewed(world, caddy, certificates, http2):
    """Required by an upstream that speaks HTTP/2 alone; new connections have the new one, at once
    and without a restart. Its key may be a reference."""
    ca = str(certificates.write_ca(world.folder / "ca.pem"))
    policy = {"alpn": ["h2"], "client_authentication": {"trusted_ca_certs_pem_files": [ca], "mode": "require_and_verify"}}
    port = caddy(["h1", "h2"], policy)

    def issue(name: str) -> None:
        issued = certificates.authority.issue_cert(name, common_name=name)
        replace(world.folder / "me.key", issued.private_key_pem.bytes())
        replace(world.folder / "me.pem", b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    issue("first.example")
    pair = {"client_certificate": "me.pem", "client_key": "${file:me.key}" if http2 else "me.key"}
    world.plugin({"upstream": {"url": f"https://127.0.0.1:{port}", "ca": ca, **pair}})
    client = world.session(http2=http2, token=world.service)
    assert "CN=first.example" in client.get("/todos").text
    issue("second.example")
    eventually(lambda: "CN=second.example" in client.get("/todos").text)
    # Half of a pair changes nothing.
    other = certificates.authority.issue_cert("third.example", common_name="third.example")
    replace(world.folder / "me.pem", other.cert_chain_pems[0].bytes())
    refused = world.gateway.await_refusal()
    assert "is not the key of" in json.dumps(refused)
    assert "plugins.todo.upstream.client_key" in json.dumps(refused)
    assert "CN=second.example" in client.get("/todos").text


def test_without_its_certificate_nothing_is_sent(world, caddy, certificates, http2):
    ca = str(certificates.write_ca(world.folder / "ca.pem"))
    policy = {"alpn": ["h2"], "client_authentication": {"trusted_ca_certs_pem_files": [ca], "mode": "require_and_verify"}}
    (world.folder / "api.json").write_text(json.dumps(materials.DOCUMENT))
    url = f"https://127.0.0.1:{caddy(['h1', 'h2'], policy)}"
    world.plugin({"upstream": {"url": url, "ca": ca}, "openapi": {"source": "./api.json"}})
    answer = world.session(http2=http2, token=world.service).get("/todos")
    problem = refusal(answer, 502, "upstream_unreachable")
    eventually(lambda: "received fatal alert" in world.gateway.stderr)
    assert "ertificate" not in problem["detail"]
