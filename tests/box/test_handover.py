"""From one process to the next: what the service manager is told, sockets that it holds, and a
gateway that takes over from another."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time

import pytest

from clients import TIMEOUT, refusal
from conftest import World
from materials import token
from plugway import NotReady, eventually, run, write
from restarts import Activated, Load, Manager, OneOne, listening, port_of, successor
from test_streams import EVENTS, Api

PUBLIC = ("--level", "service", "--plugin", "todo", "--scope", "listTodos")


def ask(world: World, port: int, path: str = "/todos/1") -> None:
    client = OneOne(port, world.service)
    client.get(path)
    client.close()


def request(world: World, port: int) -> bytes:
    return f"GET /todos HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {world.service}\r\nConnection: close\r\n\r\n".encode()


# --- the service manager ---


@pytest.mark.parametrize("hidden", [False, True], ids=["path", "abstract"])
def test_the_service_manager_is_told(world: World, hidden: bool):
    address = f"@plugway-{token()}" if hidden else str(world.folder / "notify")
    manager = Manager(address)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    gateway = world.start(env={"NOTIFY_SOCKET": address})
    ready = manager.message()
    assert ready == {"READY": "1", "MAINPID": str(gateway.process.pid), "STATUS": "generation 1 serves"}

    gateway.signal(signal.SIGHUP)
    reloading = manager.message()
    assert reloading["RELOADING"] == "1"
    assert before < int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.message() == {"READY": "1", "STATUS": "generation 1 serves"}

    world.change({"plugins": {"todo": {"description": "Another."}}})
    manager.until(RELOADING="1")
    manager.until(READY="1", STATUS="generation 2 serves")

    write(world.folder, "listen = 7")
    manager.until(RELOADING="1")
    manager.until(READY="1", STATUS="refused at validate; generation 2 serves")
    assert gateway.reload().code == 4
    manager.until(RELOADING="1")
    manager.until(READY="1", STATUS="refused at validate; generation 2 serves")

    gateway.signal(signal.SIGTERM)
    manager.until(STOPPING="1")


def test_signs_of_life(world: World):
    manager = Manager(str(world.folder / "notify"))
    world.start(env={"NOTIFY_SOCKET": str(world.folder / "notify"), "WATCHDOG_USEC": "20000"})
    for _ in range(3):
        manager.until(WATCHDOG="1")


def test_a_service_manager_that_is_not_there(world: World):
    world.start(env={"NOTIFY_SOCKET": str(world.folder / "nobody")})
    assert world.gateway.reload().code == 0


# --- sockets that are handed over ---


def activate(world: World, changes: dict, *sockets: socket.socket, names: str = "") -> Activated:
    world.config = world.base(changes)
    write(world.folder, world.config)
    world.gateways.append(Activated(world.folder, list(sockets), {"LISTEN_FDNAMES": names}))
    return world.gateway


def test_sockets_that_are_handed_over_are_used(world: World):
    """One of each kind, and what was queued in them before."""
    kinds = ("http", "https", "metrics")
    sockets = {kind: listening() for kind in kinds}
    addresses = {kind: f"127.0.0.1:{port_of(sock)}" for kind, sock in sockets.items()}
    port = port_of(sockets["http"])
    early = [socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) for _ in range(300)]
    for client in early:
        client.sendall(request(world, port))
    gateway = activate(world, {"listen": addresses}, *sockets.values())
    assert {entry["kind"]: entry["address"] for entry in gateway.ready["listeners"]} == addresses
    for client in early:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.close()
    assert world.session(token=world.service).get("/todos").status_code == 200
    page = socket.create_connection(("127.0.0.1", port_of(sockets["metrics"])), timeout=TIMEOUT)
    page.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert page.recv(15) == b"HTTP/1.1 200 OK"
    page.close()


def test_a_socket_that_nobody_serves_is_named(world: World):
    used, unused, other = listening(), listening(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    changes = {"listen": {"http": f"127.0.0.1:{port_of(used)}"}}
    gateway = activate(world, changes, used, unused, other, names="web:spare:bell")
    address = unused.getsockname()
    unused.close()
    eventually(lambda: f"127.0.0.1:{address[1]} (spare)" in gateway.stderr)
    eventually(lambda: "descriptor 5 (bell)" in gateway.stderr)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    ask(world, port_of(used))


def test_sockets_of_another_process_are_left_alone(world: World):
    """`LISTEN_PID` names somebody else: a parent that did not clean its environment."""
    world.start(env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert world.session(token=world.service).get("/todos").status_code == 200
    assert "handed over" not in world.gateway.stderr


def test_a_handed_listener_goes_and_comes_back(world: World):
    sock = listening()
    port = port_of(sock)
    gateway = activate(world, {"listen": {"http": f"127.0.0.1:{port}"}}, sock)
    ask(world, port)
    for _ in range(2):
        listen = dict(world.config["listen"])
        del world.config["listen"]["http"]
        world.change({})
        assert gateway.reload().code == 0
        # Whoever started us still holds it: who connects waits for it.
        client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        client.sendall(request(world, port))
        world.config["listen"] = listen
        world.change({})
        assert gateway.reload().code == 0
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.close()
        ask(world, port)


def test_a_restart_with_sockets_that_are_held(world: World):
    sock = listening()
    port = port_of(sock)
    changes = {"listen": {"http": f"127.0.0.1:{port}"}}
    old = activate(world, changes, sock)
    ask(world, port)
    old.signal()
    assert old.wait() == 0
    client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    client.sendall(request(world, port))
    activate(world, changes, sock)
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    client.close()


# --- the take-over ---


def made(gateway) -> str:
    ran = gateway.command("token", "create", "--name", f"t{token()[4:12]}", *PUBLIC, "--json")
    assert ran.code == 0, ran
    secret = ran.json["secret"]
    gateway.secrets.add(secret)
    return secret


def test_a_take_over(world: World):
    """Under load; the ports are the kernel's choice, the tokens are the old one's."""
    old = world.start({"listen": {"metrics": "127.0.0.1:0"}})
    manager = Manager(str(world.folder / "notify"))
    port, secret = old.address("http")[1], made(old)
    world.upstream.secrets.add(secret)
    load = Load(port, world.service)
    load.progress()
    world.gateways.append(new := successor_of(world, {"NOTIFY_SOCKET": str(world.folder / "notify")}))
    assert new.ready["listeners"] == old.ready["listeners"]
    assert manager.message()["MAINPID"] == str(new.process.pid)
    load.progress()
    assert old.wait() == 0
    load.progress()
    print(load.end())
    assert not load.faults, load.faults[:5]

    OneOne(port, secret).get("/todos")
    OneOne(port, made(new)).get("/todos")
    third = successor(world)
    assert third.ready["listeners"] == old.ready["listeners"]
    assert new.wait() == 0
    OneOne(port, secret).get("/todos")


def successor_of(world: World, env: dict[str, str]):
    gateway = world.run("serve", "--config", "plugway.toml", "--take-over", env=env)
    world.gateways.remove(gateway)
    return gateway


def test_a_new_configuration_takes_over(world: World):
    """A listener less, and another more."""
    old = world.start()
    port = old.address("https")[1]
    del world.config["listen"]["http"]
    world.config["listen"]["metrics"] = "127.0.0.1:0"
    write(world.folder, world.config, "next.toml")
    new = world.run("serve", "--config", "next.toml", "--take-over")
    assert new.address("https")[1] == port
    assert [entry["kind"] for entry in new.ready["listeners"]] == ["https", "metrics"]
    assert old.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(old.address("http"))
    assert world.session(token=world.service).get("/todos").status_code == 200


def test_nobody_to_take_over_from(world: World):
    write(world.folder, world.base())
    gateway = successor(world)
    assert gateway.generation() == 1
    eventually(lambda: "there is no gateway to take over from" in gateway.stderr)


def test_a_broken_configuration_leaves_the_old_one(world: World):
    old = world.start()
    write(world.folder, "listen = 7", "next.toml")
    with pytest.raises(NotReady) as refused:
        world.run("serve", "--config", "next.toml", "--take-over")
    assert refused.value.ran.code == 4
    assert "successor" not in old.stderr, "it was not even asked"
    ask(world, old.address("http")[1])
    made(old)


def test_a_port_that_is_taken_leaves_the_old_one(world: World):
    """What is found only once the old one has given its part: it takes it back."""
    old, taken = world.start(), listening()
    secret = made(old)
    world.upstream.secrets.add(secret)
    world.config["listen"]["metrics"] = f"127.0.0.1:{port_of(taken)}"
    write(world.folder, world.config, "next.toml")
    with pytest.raises(NotReady) as refused:
        world.run("serve", "--config", "next.toml", "--take-over")
    assert refused.value.ran.code == 1
    assert "can not listen" in refused.value.ran.out
    eventually(lambda: "this gateway goes on" in old.stderr)
    client = OneOne(old.address("http")[1], secret)
    client.get("/todos")
    eventually(lambda: old.command("token", "create", "--name", f"x{token()[4:12]}", *PUBLIC).code == 0)
    client.get("/todos")
    taken.close()
    successor(world)
    assert old.wait() == 0


def test_a_broken_file_leaves_the_old_one_if_its_plugin_serves(world: World):
    """It fails alone at a start; here that would end what serves."""
    world.config = world.base({"include": ["more/*.toml"]})
    del world.config["plugins"], world.config["tokens"]
    write(world.folder, world.config)
    folder = world.folder / "more"
    folder.mkdir()
    parts = {}
    for name in ("one", "two"):
        plugin = {"hosts": [f"{name}.test"], "upstream": {"url": world.upstream.url}, "auth": {"require": "none"}}
        write(folder, parts.setdefault(name, {"plugins": {name: plugin}}), f"{name}.toml")
    old = world.run("serve", "--config", "plugway.toml")
    write(folder, "plugins = 7", "two.toml")
    with pytest.raises(NotReady) as refused:
        successor(world)
    assert refused.value.ran.code == 1
    assert "serves plugin two" in refused.value.ran.out and "two.toml is refused" in refused.value.ran.out
    assert world.session(tls=False, host="two.test").get("/todos").status_code == 200

    # What serves nowhere stands in nobody's way.
    write(folder, parts["two"], "two.toml")
    write(folder, "plugins = 7", "three.toml")
    successor(world)
    assert old.wait() == 0
    assert world.session(tls=False, host="two.test").get("/todos").status_code == 200


def test_the_number_goes_on(world: World):
    """With the same bytes it is the same generation; with others it is the next."""
    old = world.start()
    world.change({"plugins": {"todo": {"description": "Another."}}})
    assert old.reload().code == 0
    number = old.generation()
    new = successor(world)
    assert new.generation() == number
    assert old.wait() == 0
    world.change({"plugins": {"todo": {"description": "One more."}}})
    third = successor(world)
    assert new.wait() == 0
    assert third.generation() == number + 1

    def listed() -> list[int]:
        return [one["number"] for one in json.loads(third.command("history", "--json").out)]

    eventually(lambda: listed() == [number + 1, number, 1])


def test_another_admin_socket_takes_over(world: World):
    """The old one takes its own name away, and its successor can be reached at the new one."""
    old = world.start()
    world.config["listen"]["admin"] = "unix:state/next.sock"
    write(world.folder, world.config, "next.toml")
    new = world.run("serve", "--config", "next.toml", "--take-over")
    assert old.wait() == 0
    assert not (world.folder / "state/admin.sock").exists()
    assert (world.folder / "state/next.sock").exists() and (world.folder / "state/handover.sock").exists()
    assert run("status", "--config", "next.toml", cwd=world.folder).code == 0
    assert new.process.poll() is None


def test_an_adopted_address_moves_to_another_kind(world: World):
    """From plain to TLS and back, at a socket that somebody else holds, and then in a successor."""
    sock = listening()
    port = port_of(sock)
    gateway = activate(world, {"listen": {"http": f"127.0.0.1:{port}"}}, sock)
    listen = dict(world.config["listen"])
    world.config["listen"] = {**listen, "https": f"127.0.0.1:{port}"}
    del world.config["listen"]["http"]
    world.change({})
    assert gateway.reload().code == 0
    assert [entry["kind"] for entry in gateway.command("status", "--json").json["listeners"]] == ["https"]
    world.config["listen"] = listen
    write(world.folder, world.config)
    new = successor(world)
    assert gateway.wait() == 0
    assert new.address("http")[1] == port
    ask(world, port)


def test_one_that_lost_its_document_leaves_the_old_one(world: World):
    old = world.start()
    world.upstream.on("GET", "/openapi.json", lambda request: request.conn.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(NotReady) as refused:
        successor(world)
    assert refused.value.ran.code == 1
    assert "plugin todo" in refused.value.ran.out
    ask(world, old.address("http")[1])
    made(old)


class Successor:
    """Speaks as one does, and stops where it is told to."""

    def __init__(self, world: World):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(world.folder / "state/handover.sock"))
        self.text, self.sockets = b"", []
        self.say({"take_over": {"version": 1, "pid": 1}})
        self.words = []
        while "runs" not in (word := self.word()):
            self.words.append(word["socket"])

    def say(self, word: object) -> None:
        self.sock.sendall(json.dumps(word).encode() + b"\n")

    def word(self) -> dict | str:
        while b"\n" not in self.text:
            data, came, _, _ = socket.recv_fds(self.sock, 4096, 8)
            assert data, "closed"
            self.text += data
            self.sockets += [socket.socket(fileno=fd) for fd in came]
        line, _, self.text = self.text.partition(b"\n")
        return json.loads(line)

    def die(self) -> None:
        for sock in (*self.sockets, self.sock):
            sock.close()


def test_a_successor_that_dies(world: World):
    """Before and after it has the state."""
    old = world.start()
    port, secret = old.address("http")[1], made(old)
    world.upstream.secrets.add(secret)
    first = Successor(world)
    assert {(word["kind"], word["asked"]) for word in first.words} == {("http", "127.0.0.1:0"), ("https", "127.0.0.1:0")}
    assert {port_of(sock) for sock in first.sockets} == {old.address("http")[1], old.address("https")[1]}
    first.die()
    made(old)

    second = Successor(world)
    second.say("want_state")
    assert second.word() == "gave_state"
    OneOne(port, secret).get("/todos")
    ran = old.command("token", "create", "--name", "refused", *PUBLIC)
    assert ran.code == 1 and "state database" in ran.err, ran
    (world.folder / "state/admin.sock").unlink()
    second.die()
    eventually(lambda: (world.folder / "state/admin.sock").exists())
    made(old)
    OneOne(port, secret).get("/todos")

    third = Successor(world)
    third.say("nonsense")
    assert "over" in third.word()
    third.die()
    made(old)
    successor(world)
    assert old.wait() == 0
    OneOne(port, secret).get("/todos")


def test_a_stream_lives_on_in_the_old_one(world: World):
    old = world.start()
    api = Api(world, EVENTS)
    port = old.address("http")[1]
    client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    client.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {world.service}\r\n\r\n".encode())
    eventually(lambda: "chatgpt" in api.told)
    successor(world)
    eventually(lambda: "draining" in old.stderr)
    api.say("chatgpt", b"data: still here\n\n")
    came = b""
    while b"still here" not in came:
        came += client.recv(4096)
    ask(world, port)
    assert old.process.poll() is None
    api.end("chatgpt")
    assert old.wait() == 0
    assert client.recv(4096).endswith(b"0\r\n\r\n")
    client.close()


# --- connections that are idle ---


def refuses(address: tuple[str, int]) -> bool:
    """Nobody accepts any more: the worker knows that it drains."""
    try:
        socket.create_connection(address, timeout=TIMEOUT).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_that_crosses_the_end_is_answered(world: World):
    """A connection whose answer was on its way when the drain began is told with the next one."""
    gateway, go = world.start({"workers": 1}), threading.Event()

    def events(request) -> None:
        request.conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        go.wait(TIMEOUT)
        request.conn.send(b"0\r\n\r\n")

    world.upstream.on("GET", "/events", events)
    wire = world.wire()
    head = f"GET /events HTTP/1.1\r\nHost: localhost:{gateway.address('http')[1]}\r\nAuthorization: Bearer {world.service}\r\n\r\n"
    wire.send(head)
    assert wire.head()[0] == 200
    gateway.signal(signal.SIGTERM)
    eventually(lambda: refuses(gateway.address("http")))
    go.set()
    wire.until(b"0\r\n\r\n")
    wire.send(head.replace("/events", "/todos"))
    status, fields = wire.head()
    assert (status, fields["connection"]) == (200, "close")
    assert gateway.wait() == 0


def test_a_command_line_without_a_gateway(world: World):
    """The socket of the hand-over goes with the gateway."""
    gateway = world.start()
    assert (world.folder / "state/handover.sock").stat().st_mode & 0o777 == 0o600
    gateway.signal()
    assert gateway.wait() == 0
    assert not (world.folder / "state/handover.sock").exists()
    assert run("status", "--config", "plugway.toml", cwd=world.folder).code == 1


def test_less_guard_does_not_take_over_by_itself(world: World):
    """Nor does it start: what a reload refuses they refuse, until somebody says that it is meant."""
    old = world.start({"plugins": {"todo": {"hosts": ["todo.test"]}}})
    plugin = world.config["plugins"].pop("todo")
    plugin["auth"] = {"require": "none"}
    world.config["plugins"] = {"todo": plugin}
    write(world.folder, world.config, "next.toml")
    with pytest.raises(NotReady) as refused:
        world.run("serve", "--config", "next.toml", "--take-over")
    assert refused.value.ran.code == 1
    assert "plugin todo would let in" in refused.value.ran.out and "--take-over --weaker" in refused.value.ran.out
    client = world.session(tls=False, host="todo.test")
    refusal(client.get("/todos"), 401, "missing_token")
    made(old)
    old.stop()
    with pytest.raises(NotReady) as refused:
        world.run("serve", "--config", "next.toml")
    assert refused.value.ran.code == 4 and "plugway serve --weaker" in refused.value.ran.out

    old = world.run("serve", "--config", "plugway.toml")
    world.run("serve", "--config", "next.toml", "--take-over", "--weaker")
    assert old.wait() == 0
    assert world.session(tls=False, host="todo.test").get("/todos").status_code == 200
    # From then on it is what served.
    world.gateway.stop()
    world.run("serve", "--config", "next.toml")


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "foreign"])
def test_a_foreign_configuration_does_not_take_over(world: World, empty: bool):
    """It has the same state directory by mistake, or lost the folder of its plugins."""
    old = world.start()
    other = {**world.config, "include": ["nowhere/*.toml"]}
    plugin = other["plugins"]["todo"]
    del other["tokens"]
    other["plugins"] = {} if empty else {"shop": {**plugin, "hosts": ["shop.test"]}}
    write(world.folder, other, "other.toml")
    with pytest.raises(NotReady) as refused:
        world.run("serve", "--config", "other.toml", "--take-over")
    assert refused.value.ran.code == 1
    assert "(todo)" in refused.value.ran.out and "running gateway goes on" in refused.value.ran.out
    ask(world, old.address("http")[1])
    made(old)

    # Another file with the same plugins is only worth a warning.
    write(world.folder, world.config, "next.toml")
    new = world.run("serve", "--config", "next.toml", "--take-over")
    assert old.wait() == 0
    eventually(lambda: "another configuration file" in new.stderr and "plugway.toml" in new.stderr)
