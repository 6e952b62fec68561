"""What follows from Fly.io: its environment, its proxy, its checks."""

from __future__ import annotations

import json
import os
import signal
import socket

import pytest

from behind import free_port, in_background
from clients import TIMEOUT
from plugway import eventually, run, write
from upstreams import Reply

MACHINE = {
    "FLY_APP_NAME": "todo-app", "FLY_REGION": "fra", "FLY_MACHINE_ID": "148e21d5", "FLY_PROCESS_GROUP": "web",
    "FLY_IMAGE_REF": "registry/todo:1",
}
OURS = {"FLY_APP_NAME": "todo-app"}


def ask(world, path: str, *fields: str, host: str = "todo-app.fly.dev", kind: str = "http", index: int = 0,
        version: str = "1.1") -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own."""
    with socket.create_connection(world.gateway.address(kind, index), timeout=TIMEOUT) as sock:
        host_field = f"Host: {host}\r\n" if host else ""
        lines = "".join(f"{field}\r\n" for field in fields)
        sock.sendall(f"GET {path} HTTP/{version}\r\n{host_field}{lines}Connection: close\r\n\r\n".encode())
        raw = b""
        while piece := sock.recv(65536):
            raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (f.split(": ", 1) for f in rest)}, body


def bearer(world) -> str:
    return f"Authorization: Bearer {world.service}"


# F1


def test_the_port_of_the_environment_in_a_configuration(world):
    port = free_port()
    world.start({"listen": {"http": "0.0.0.0:${env:PORT}"}}, env={"PORT": str(port)})
    assert world.gateway.address("http")[1] == port
    assert ask(world, "/todos", bearer(world), host="localhost")[0] == 200


def test_both_families_on_one_port(world):
    """`[::]` is IPv6 alone: the proxy comes over IPv4, private peers over IPv6, and each is a line."""
    port = free_port()
    world.start({"listen": {"http": [f"0.0.0.0:{port}", f"[::]:{port}"]}})
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port), timeout=TIMEOUT).close()
    port = free_port()
    world.change({"listen": {"http": f"[::]:{port}"}})
    assert world.gateway.reload().code == 0
    socket.create_connection(("::1", port), timeout=TIMEOUT).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


# F3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_drain_within_the_kill_timeout(world, number):
    hold = world.folder / "hold"
    os.mkfifo(hold)

    def slow(_request):
        hold.read_text()
        return Reply(body=b"late")

    world.upstream.on("GET", "/slow", slow)
    gateway = world.start(env=OURS)
    answer = in_background(ask, world, "/slow", bearer(world))
    eventually(lambda: world.upstream.requests)
    gateway.signal(number)
    eventually(lambda: '"deadline_s":4' in gateway.stderr)
    hold.write_text("")
    assert answer()[::2] == (200, b"late")
    assert gateway.wait() == 0


# F4


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_checks_need_neither_host_nor_token_nor_header(world, path):
    world.start({"listen": {"proxy_protocol": "optional"}, "trusted_proxies": ["127.0.0.0/8"]}, env=OURS)
    for host, version in (("", "1.0"), ("172.19.0.2:8080", "1.1"), ("else.example", "1.1"), ("todo-app.fly.dev", "1.1")):
        assert ask(world, path, host=host, version=version)[::2] == (200, b"ok\n"), host
    assert world.session().get(path, headers={"Host": "else.example"}).status_code == 200


# F7


def test_the_public_url_is_that_of_the_app(world):
    world.config = world.base({"trusted_proxies": "fly"})
    world.config["plugins"]["todo"].pop("hosts", None)
    write(world.folder, world.config)
    gateway = world.run("serve", "--config", "plugway.toml", env=MACHINE)
    assert gateway.ready["plugins"][0]["public_url"] == "https://todo-app.fly.dev"
    # Its checks and its proxy speak plain HTTP; what is published is what clients see.
    manifest = json.loads(ask(world, "/.well-known/ai-plugin.json")[2])
    assert manifest["api"]["url"] == "https://todo-app.fly.dev/openapi-3.0.json"
    assert ask(world, "/todos", bearer(world), host="else.example")[0] == 421


def test_a_host_that_is_written_comes_before_that_of_the_app(world):
    gateway = world.plugin({"hosts": ["todo.example.com", "localhost"]}, env=OURS)
    assert gateway.ready["plugins"][0]["public_url"] is None
    assert ask(world, "/openapi.json")[0] == 421


# F13, F14


def test_the_machine_is_named_in_log_status_and_metrics(world):
    gateway = world.start({"listen": {"metrics": "127.0.0.1:0"}}, env=MACHINE)
    assert gateway.status()["platform"] == {
        "app": "todo-app", "region": "fra", "machine": "148e21d5", "process_group": "web", "image": "registry/todo:1",
    }
    gateway.await_messages("Machine of Fly.io")
    started = [json.loads(line) for line in gateway.stderr.splitlines() if "Machine of Fly.io" in line]
    assert [(line["fly_region"], line["machine"], line["process_group"]) for line in started] == [("fra", "148e21d5", "web")]
    page = ask(world, "/metrics", kind="metrics", host="localhost")[2].decode()
    assert 'plugway_platform_info{fly_region="fra",machine="148e21d5",process_group="web"} 1' in page
    for label in ("app", "region", "host", "instance"):
        assert f"{{{label}=" not in page and f",{label}=" not in page, "the platform writes its own"


def test_elsewhere_there_is_no_platform(world):
    gateway = world.start({"listen": {"metrics": "127.0.0.1:0"}})
    assert gateway.status()["platform"] is None
    assert "plugway_platform_info{" not in ask(world, "/metrics", kind="metrics", host="localhost")[2].decode()


# F15


REPLAY = [("Fly-Replay", "app=other"), ("Fly-Replay-Cache", "x.fly.dev/*"), ("Fly-Replay-Cache-TTL-Secs", "60")]


def test_orders_to_the_proxy_reach_it_only_if_that_is_written(world):
    world.upstream.on("GET", "/todos", Reply(headers=REPLAY, body=b"{}"))
    world.upstream.on("GET", "/search", Reply(headers=[("Content-Type", "application/vnd.fly.replay+json")], body=b"{}"))
    world.start()
    _, fields, _ = ask(world, "/todos", bearer(world), host="localhost")
    assert not [name for name in fields if name.startswith("fly-")]
    assert ask(world, "/search", bearer(world), host="localhost")[0] == 502
    world.change({"plugins": {"todo": {"upstream": {"url": world.upstream.url, "fly_replay": "pass"}}}})
    assert world.gateway.reload().code == 0
    _, fields, _ = ask(world, "/todos", bearer(world), host="localhost")
    assert {name.lower(): value for name, value in REPLAY}.items() <= fields.items()
    status, fields, _ = ask(world, "/search", bearer(world), host="localhost")
    assert (status, fields["content-type"]) == (200, "application/vnd.fly.replay+json")


def test_what_the_proxy_says_of_a_replay_goes_on(world):
    world.start()
    ask(world, "/todos", bearer(world), "fly-replay-src: instance=1", "fly-prefer-region: fra", host="localhost")
    assert world.upstream.last.get("fly-replay-src") == "instance=1"
    assert world.upstream.last.get("fly-prefer-region") == "fra"


# F17


def test_too_much_gets_our_own_answer(world):
    """By token; `test_limits.py` has the one by network. What is beyond `limits.connections` waits in the
    system's queue."""
    world.start({"tokens": {"chatgpt": {"concurrency": 1}}})
    hold = world.folder / "hold"
    os.mkfifo(hold)

    def slow(_request):
        hold.read_text()
        return Reply(body=b"late")

    world.upstream.on("GET", "/slow", slow)
    answer = in_background(lambda: ask(world, "/slow", bearer(world), host="localhost"))
    eventually(lambda: world.upstream.requests)
    status, fields, body = ask(world, "/todos", bearer(world), host="localhost")
    assert (status, json.loads(body)["code"]) == (429, "rate_limited")
    assert int(fields["retry-after"]) >= 1
    hold.write_text("")
    answer()


# F19


def check(world, *more: str, env: dict[str, str] | None = None):
    return run("check", "--config", "plugway.toml", *more, cwd=world.folder, env=env)


def test_check_shows_what_the_platform_sets(world):
    write(world.folder, world.base({"trusted_proxies": "fly"}) | {})
    ran = check(world, env=MACHINE)
    said = [line for line in ran.out.splitlines() if line.startswith("from the platform: ")]
    assert ran.code == 0
    for part in ("Fly-Client-IP", "public_url = \"https://todo-app.fly.dev\"", "limits.drain = \"4s\""):
        assert any(part in line for line in said), (part, said)
    assert len(check(world, "--json", env=MACHINE).json["platform"]) == len(said)
    # Elsewhere nothing follows.
    write(world.folder, world.base({"limits": {"drain": "30s"}}))
    assert "from the platform" not in check(world).out
    assert check(world, "--json").json["platform"] == []
    said = check(world, env=OURS).out
    assert "30 s: fly.toml has to give a longer kill_timeout" in said and "without trusted_proxies" in said
    # What a release command goes by.
    write(world.folder, world.base({"limits": {"drain": "0s"}}))
    assert check(world).code == 4


# F20


def test_nothing_is_redirected(world):
    """Plain HTTP is answered as it is, whatever the edge says of the scheme."""
    world.start({"trusted_proxies": "fly"}, env=OURS)
    for proto in ("http", "https"):
        for path in ("/", "/healthz", "/openapi.json", "/.well-known/ai-plugin.json", "/todos", "/todos/"):
            status, fields, _ = ask(world, path, f"X-Forwarded-Proto: {proto}", bearer(world))
            assert status // 100 != 3 and "location" not in fields, path
