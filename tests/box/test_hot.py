"""Everything can change while it runs, but for `workers` and `state.directory`: here what
`test_swap.py` does not change."""

from __future__ import annotations

import json
import resource
import socket
import ssl
import threading

import pytest

from clients import connection
from conftest import World
from plugway import Ran, eventually, run
from upstreams import Reply


def ran(world: World, *arguments: str) -> Ran:
    """A command that finds the admin socket through the configuration file."""
    return run(*arguments, "--config", "plugway.toml", cwd=world.folder)


def reload(world: World, changes: dict) -> dict:
    """Changes the configuration, and has it taken up."""
    world.change(changes)
    outcome = world.gateway.reload()
    assert outcome.code == 0, outcome
    return outcome.json


def free() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def healthy(port: int, context: ssl.SSLContext | None = None) -> bool:
    """Whether HTTP, or HTTPS, is spoken there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            sock = context.wrap_socket(raw, server_hostname="localhost") if context else raw
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return sock.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


# --- the admin socket ---


def test_the_admin_socket_moves(world: World):
    world.start()
    before, after = world.folder / "state/admin.sock", world.folder / "elsewhere/a.sock"
    assert before.exists()
    world.change({"listen": {"admin": "unix:elsewhere/a.sock"}, "plugins": {"todo": {"description": "Moved."}}})
    # It comes over the old socket, or over the new one if the file was noticed first.
    outcome = eventually(lambda: (got := world.gateway.reload()).code == 0 and got or (ran(world, "reload", "--json")))
    assert outcome.json["result"] in ("published", "unchanged"), outcome
    assert "restart" not in (said := outcome.json.get("warnings") or "") and "next start" not in said
    world.gateway.ready["admin"] = "unix:elsewhere/a.sock"
    assert after.exists() and not before.exists()
    assert after.stat().st_mode & 0o777 == 0o600
    status = ran(world, "status", "--json")
    assert (status.code, status.json["generation"]["number"]) == (0, 2)
    # And back, by another way to write it first, which is no change.
    world.change({"listen": {"admin": "unix:./elsewhere/a.sock"}})
    assert eventually(lambda: world.gateway.generation() == 3) and after.exists()
    world.change({"listen": {"admin": None}})
    eventually(lambda: before.exists() and not after.exists())
    world.gateway.ready["admin"] = "unix:state/admin.sock"
    assert world.gateway.generation() == 4


def test_a_command_that_came_over_the_old_socket_is_answered(world: World):
    """The reload waits for a document; meanwhile it moves the socket that it came over."""
    world.start()
    reached, go = threading.Event(), threading.Event()

    def slow(_request):
        reached.set()
        assert go.wait(20)
        return Reply(200, [("Content-Type", "application/json")], json.dumps(world.upstream.document).encode())

    world.upstream.on("GET", "/openapi.json", slow)
    outcome: list[Ran] = []
    waiting = threading.Thread(target=lambda: outcome.append(world.gateway.reload()))
    waiting.start()
    assert reached.wait(10)
    world.change({"listen": {"admin": "unix:new.sock"}})
    go.set()
    waiting.join(20)
    assert outcome[0].code == 0, outcome[0]
    eventually(lambda: (world.folder / "new.sock").exists() and not (world.folder / "state/admin.sock").exists())
    world.gateway.ready["admin"] = "unix:new.sock"
    assert world.gateway.status()["ready"]


def test_an_admin_socket_that_can_not_be_bound_changes_nothing(world: World):
    world.start()
    (world.folder / "file").write_text("precious")
    world.change({"listen": {"admin": "unix:file", "metrics": "127.0.0.1:0"}})
    refused = world.gateway.await_refusal()
    assert refused["stage"] == "bind" and "left alone" in refused["text"]
    assert (world.folder / "file").read_text() == "precious"
    assert len(world.gateway.status()["listeners"]) == 2
    world.change({"listen": {"admin": "unix:new.sock", "metrics": f"127.0.0.1:{world.gateway.address('http')[1]}"}})
    eventually(lambda: (now := world.gateway.status()["pending_rejected"]) and "in use" in now["text"].lower())
    eventually(lambda: not (world.folder / "new.sock").exists())
    world.change({"listen": {"admin": None, "metrics": None}})
    eventually(lambda: world.gateway.command("status").code == 0)


# --- listeners ---


def test_an_address_goes_from_http_to_https_and_back(world: World):
    port = free()
    address, context = f"127.0.0.1:{port}", world.certificates.client()
    world.start({"listen": {"http": address, "https": "127.0.0.1:0"}})
    kept = world.session(tls=False, token=world.service)
    first = connection(kept.get("/todos"))
    for _ in range(3):
        reload(world, {"listen": {"http": None, "https": address}})
        assert eventually(lambda: healthy(port, context)) and not healthy(port)
        assert connection(kept.get("/todos")) == first, "a connection that was open was closed"
        reload(world, {"listen": {"http": address, "https": None}})
        assert eventually(lambda: healthy(port)) and not healthy(port, context)
    [only] = world.gateway.status()["listeners"]
    assert (only["kind"], only["address"]) == ("http", address)


def test_an_address_that_becomes_metrics_is_refused_with_the_rest_or_taken(world: World):
    port = free()
    address = f"127.0.0.1:{port}"
    world.start({"listen": {"http": address}})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        world.change({"listen": {"http": None, "metrics": address, "admin": ["unix:state/admin.sock", f"127.0.0.1:{taken.getsockname()[1]}"]}})
        assert world.gateway.await_refusal()["stage"] == "bind"
        assert healthy(port), "a refused change took a listener away"
        kinds = {entry["kind"] for entry in world.gateway.status()["listeners"]}
        assert kinds == {"http", "https"}
    reload(world, {"listen": {"admin": None}})
    eventually(lambda: {entry["kind"] for entry in world.gateway.status()["listeners"]} == {"metrics", "https"})
    assert healthy(port)


def test_an_address_becomes_wider_and_narrower(world: World):
    port = free()
    world.start({"listen": {"http": f"127.0.0.1:{port}"}})
    for host in ("0.0.0.0", "127.0.0.1", "0.0.0.0"):
        reload(world, {"listen": {"http": f"{host}:{port}"}})
        assert healthy(port)
        [now] = [entry for entry in world.gateway.status()["listeners"] if entry["kind"] == "http"]
        assert now["address"] == f"{host}:{port}"
    # One beside one that stays is a mistake, as it would be at a start.
    world.change({"listen": {"metrics": f"127.0.0.1:{port}"}})
    eventually(lambda: world.gateway.command("status").code == 3)


def test_tls_comes_and_goes(world: World):
    port = free()
    world.start({"listen": {"https": None}, "tls": None})
    tls = {"certificate": "certs/server.pem", "key": "certs/server.key"}
    reload(world, {"listen": {"https": f"127.0.0.1:{port}"}, "tls": tls})
    assert healthy(port, world.certificates.client())
    reload(world, {"listen": {"https": None}, "tls": None})
    eventually(lambda: not healthy(port, world.certificates.client()))
    assert not world.gateway.status()["certificates"]


def test_metrics_and_the_admin_api_over_tcp_come_and_move(world: World):
    one, two, three = free(), free(), free()
    world.start()
    reload(world, {"listen": {"metrics": f"127.0.0.1:{one}", "admin": ["unix:state/admin.sock", f"127.0.0.1:{two}"]}})
    assert healthy(one) and healthy(two)
    reload(world, {"listen": {"metrics": f"127.0.0.1:{three}", "admin": f"127.0.0.1:{one}"}})
    assert healthy(three) and healthy(one)
    eventually(lambda: not healthy(two))


# --- who is believed ---


def test_trusted_proxies(world: World):
    world.start()
    client = world.session(token=world.service)
    proxied = {"X-Forwarded-For": "203.0.113.9"}

    def seen() -> str:
        return world.gateway.line(client.get("/todos", headers=proxied).headers["x-request-id"])["client"]

    assert seen() == "127.0.0.1"
    reload(world, {"trusted_proxies": ["127.0.0.0/8"]})
    assert seen() == "203.0.113.9"
    reload(world, {"trusted_proxies": []})
    assert seen() == "127.0.0.1"


def test_the_proxy_protocol(world: World):
    world.start({"trusted_proxies": ["127.0.0.0/8"]})
    _, port = world.gateway.address("http")

    def taken(header: bytes) -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            try:
                raw.sendall(header + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return raw.recv(100).startswith(b"HTTP/1.1 200")
            except ConnectionError:
                return False

    header = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
    for word, with_one, without in (("off", False, True), ("required", True, False), ("optional", True, True), ("off", False, True)):
        reload(world, {"listen": {"proxy_protocol": word}})
        assert (taken(header), taken(b"")) == (with_one, without), word


# --- what is written ---


def test_which_requests_get_a_line(world: World):
    world.start()
    client = world.session(token=world.service)

    def asked() -> str:
        return client.get("/todos").headers["x-request-id"]

    world.gateway.line(asked())
    reload(world, {"log": {"access": "off"}})
    silent = asked()
    reload(world, {"log": {"access": "all"}})
    world.gateway.line(asked())
    assert silent not in world.gateway.stdout


@pytest.mark.parametrize("key", ["level", "format"])
def test_how_the_log_is_written(world: World, key: str):
    # Access lines have the format too, and the other tests read them as JSON.
    world.start({"log": {"level": "info", "format": "json", "access": "off"}})

    def written() -> str:
        before = len(world.gateway.stderr)
        reload(world, {"plugins": {"todo": {"description": f"Changed at {before}."}}})
        client = world.session()
        assert client.get("/.well-known/ai-plugin.json").json()["description_for_human"] == f"Changed at {before}."
        return world.gateway.stderr[before:]

    assert eventually(lambda: '"configuration published"' in written())
    if key == "level":
        reload(world, {"log": {"level": "error"}})
        eventually(lambda: "configuration published" not in written())
        reload(world, {"log": {"level": "info"}})
        assert eventually(lambda: '"configuration published"' in written())
    else:
        reload(world, {"log": {"format": "text"}})
        assert eventually(lambda: "configuration published" in (text := written()) and "{" not in text)


def test_limits_of_requests_and_connections(world: World):
    world.start()
    client = world.session(tls=False, token=world.service)
    assert client.get("/todos", headers={"X-Long": "x" * 20_000}).status_code == 200
    reload(world, {"limits": {"head_bytes": "8KiB", "requests_per_connection": 2}})
    # What hyper refuses has no request id, which a session looks for.
    fresh = world.session(tls=False, token=world.service)
    assert fresh.http.get("/todos", headers={"X-Long": "x" * 20_000}).status_code == 431
    closing = [fresh.get("/todos").headers.get("connection") for _ in range(4)]
    assert closing == [None, "close"] * 2
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = most if most != resource.RLIM_INFINITY else 1 << 20
    assert world.gateway.status()["connections_limit"] == min(20_000, (most - 128) // 2)
    reload(world, {"limits": {"connections": 50}})
    assert world.gateway.status()["connections_limit"] == 50
