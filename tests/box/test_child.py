"""`plugway serve … -- CMD`: the program behind, from its start to its end."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from pathlib import Path

import pytest

from behind import InFront, Scene, free_port, in_background, is_gone
from materials import document, operation, sha256, token
from plugway import NotReady, eventually, run
from restarts import Manager

SHELL = ["sh", "-c"]


@pytest.fixture
def scene(folder, service):
    scene = Scene(folder, service, document())
    yield scene
    scene.end()


def test_it_listens_at_once_and_is_ready_when_the_program_answers(scene):
    scene.late()
    manager = Manager(str(scene.folder / "notify"))
    gateway = scene.start(env={"NOTIFY_SOCKET": str(scene.folder / "notify")})
    scene.note("pid")
    assert gateway.get("/healthz")[0] == 200
    assert gateway.get("/readyz")[0] == 503
    status, fields, body = gateway.get("/todos", scene.service)
    assert (status, json.loads(body)["code"]) == (503, "document_unavailable")
    assert int(fields["retry-after"]) >= 1
    assert '{\n' not in gateway.stdout, "it is not ready"
    scene.let("listen")
    ready = gateway.await_greeting()
    assert ready["ready"] and ready["plugins"][0]["operations"] > 5
    manager.until(READY="1")
    assert gateway.get("/readyz")[0] == 200
    assert gateway.get("/todos", scene.service)[::2] == (200, b"[]")
    gateway.signal()
    assert gateway.wait() == 0


def test_its_document_is_known_and_it_does_not_answer_yet(scene):
    scene.late()
    (scene.folder / "api.json").write_text(json.dumps(scene.document))
    gateway = scene.start("--openapi", "./api.json")
    status, fields, body = gateway.get("/todos", scene.service)
    assert (status, json.loads(body)["code"], fields["retry-after"]) == (503, "upstream_unreachable", "1")
    assert gateway.get("/readyz")[0] == 503
    scene.let("listen")
    gateway.await_greeting()
    assert gateway.get("/todos", scene.service)[0] == 200


def test_its_document_is_looked_for_when_it_answers(scene):
    gateway = scene.start(env={"DOCUMENT": "/v3/api-docs"})
    gateway.await_greeting()
    assert gateway.get("/todos", scene.service)[0] == 200


def test_dev_does_it_too(scene):
    gateway = scene.start(command="dev")
    ready = gateway.await_greeting()
    assert gateway.get("/todos", ready["service_token"])[0] == 200
    gateway.signal(signal.SIGINT)
    assert gateway.wait() == 0
    assert scene.note("signal") == "SIGINT"


def test_a_configuration_file_and_a_document_that_changes_with_a_restart(scene):
    config = f"""
[listen]
http = "127.0.0.1:0"
[plugins.api.upstream]
url = "http://127.0.0.1:{scene.port}"
[plugins.api.openapi]
source = "/openapi.json"
[plugins.api.auth]
require = "none"
"""
    (scene.folder / "plugway.toml").write_text(config)

    def serve():
        gateway = InFront(scene.folder, ["serve", "--config", "plugway.toml", "--json"], scene.program)
        scene.gateways.append(gateway)
        gateway.await_greeting()
        return gateway

    first = serve()
    assert first.get("/todos")[0] == 200
    first.signal()
    assert first.wait() == 0
    scene.document["paths"]["/fresh"] = {"get": operation("fresh")}
    second = serve()
    # What was kept of the time before is not what it answers with when it is ready.
    assert "/fresh" in json.loads(second.get("/openapi.json")[2])["paths"]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137), ("kill -TERM $$", 143)])
def test_its_exit_code_is_ours(scene, script, code):
    try:
        gateway = scene.start(program=[*SHELL, script])
    except NotReady as ended:
        assert ended.ran.code == code
    else:
        assert gateway.wait() == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_is_passed_on(scene, number):
    gateway = scene.start(env={"LAST": "7"})
    gateway.await_greeting()
    answer = in_background(gateway.get, "/slow", scene.service)
    scene.note("asked")
    address = gateway.address("http")
    gateway.signal(number)
    eventually(lambda: refuses(address))
    assert not (scene.notes / "signal").exists(), "a request is under way"
    scene.let("answer")
    assert answer()[::2] == (200, b"late")
    assert gateway.wait() == 7
    assert scene.note("signal") == number.name


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_second_signal_ends_both_at_once(scene):
    gateway = scene.start()
    gateway.await_greeting()
    in_background(gateway.get, "/slow", scene.service)
    scene.note("asked")
    address = gateway.address("http")
    gateway.signal()
    eventually(lambda: refuses(address))
    gateway.signal()
    assert gateway.wait() == 137
    assert is_gone(int(scene.note("pid")))


def test_one_that_does_not_end_is_killed(scene):
    gateway = scene.start("--drain", "400ms", env={"STUBBORN": "1"})
    gateway.await_greeting()
    gateway.signal()
    assert gateway.wait() == 137
    assert scene.note("signal") == "SIGTERM"
    assert "it is killed" in gateway.stderr


def test_what_it_started_does_not_outlive_it(scene):
    started = scene.folder / "started"
    try:
        scene.start(program=[*SHELL, f"sleep 600 & echo $! > {started}; exit 5"]).wait()
    except NotReady as ended:
        assert ended.ran.code == 5
    eventually(lambda: is_gone(int(started.read_text())))


def test_it_does_not_outlive_a_gateway_that_is_killed(scene):
    gateway = scene.start()
    gateway.await_greeting()
    pid = int(scene.note("pid"))
    gateway.process.kill()
    eventually(lambda: is_gone(pid))


@pytest.mark.parametrize(("name", "reason"), [
    ("no-such-program", "$PATH has no such program"), ("./no-such-program", "No such file"),
    ("./program.py", "not executable"), ("/", "no file"),
])
def test_one_that_can_not_be_started(scene, name, reason):
    ran = run("serve", "--upstream", f"http://127.0.0.1:{scene.port}", "--require", "none", "--http", "127.0.0.1:0", "--", name,
              cwd=scene.folder)
    assert ran.code == 1 and reason in ran.err, ran
    assert not (scene.folder / "state").exists(), "nothing was begun"


def test_one_that_the_system_does_not_start(scene):
    """That it is no program is known only when it is tried."""
    (scene.folder / "odd").write_text("#!/no/such/interpreter\n")
    (scene.folder / "odd").chmod(0o755)
    try:
        gateway = scene.start(program=["./odd"])
        code, said = gateway.wait(), gateway.stderr
    except NotReady as ended:
        code, said = ended.ran.code, ended.ran.err
    assert code == 127 and "./odd can not be started" in said


def test_no_take_over_with_a_program(scene):
    ran = run("serve", "--take-over", "--upstream", "http://127.0.0.1:1", "--require", "none", "--", "true", cwd=scene.folder)
    assert ran.code == 2 and "--take-over" in ran.err


def test_its_environment_and_what_is_open_in_it(scene):
    port, foreign = free_port(), "a-secret-of-old"
    gateway = scene.start(env={
        "PORT": str(port), "PLUGWAY_ADMIN_TOKEN": token("admin"), "NOTIFY_SOCKET": str(scene.folder / "nobody"),
        "WATCHDOG_USEC": "60000000", "FOR_A_CLIENT": scene.service, "API_KEY": foreign, "FLY_REGION": "fra",
    })
    gateway.await_greeting()
    found = json.loads(scene.note("environment"))
    assert not [name for name in found if name.startswith(("PLUGWAY_", "LISTEN_", "WATCHDOG_")) or name == "NOTIFY_SOCKET"]
    assert "FOR_A_CLIENT" not in found, "it opens the gateway"
    assert (found["API_KEY"], found["FLY_REGION"]) == (foreign, "fra")
    assert found["PORT"] == str(scene.port), "plugway's own port is not the program's"
    assert not [place for place in json.loads(scene.note("descriptors")) if place.startswith(("socket:", str(scene.folder / "state")))]
    assert int(scene.note("limit")) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_port_names_the_listener(scene):
    """`$PORT` is where the platform sends requests."""
    port = free_port()
    arguments = ["serve", "--upstream", f"http://127.0.0.1:{scene.port}", "--require", "none", "--json"]
    gateway = InFront(scene.folder, arguments, scene.program, {"PORT": str(port)})
    scene.gateways.append(gateway)
    gateway.await_greeting()
    assert gateway.listening("http") == ("0.0.0.0", port)
    assert gateway.get("/todos")[0] == 200


def test_two_hashes_of_the_environment(scene):
    old, new = scene.service, token()
    gateway = scene.start(env={"PLUGWAY_TOKEN_SHA256": f"{sha256(new)}, {sha256(old)}"})
    gateway.await_greeting()
    assert [gateway.get("/todos", secret)[0] for secret in (old, new, token())] == [200, 200, 401]


@pytest.mark.parametrize("hashes", ["{secret}", "{hash},", "{hash},{hash},{hash}", "abc"])
def test_what_is_no_hash_is_told_and_not_repeated(scene, hashes):
    value = hashes.format(secret=scene.service, hash=sha256(scene.service))
    ran = run("serve", "--upstream", "http://127.0.0.1:1", "--require", "service", "--http", "127.0.0.1:0",
              cwd=scene.folder, env={"PLUGWAY_TOKEN_SHA256": value})
    assert ran.code == 2 and "PLUGWAY_TOKEN_SHA256" in ran.err
    assert scene.service not in ran.out + ran.err


@pytest.mark.parametrize(("option", "value", "port"), [
    ("--http", "nonsense", None), ("--https", "localhost", None), ("--http", "127.0.0.1:70000", None), ("--https", "", None),
    ("--drain", "soon", None), ("$PORT", "http", "http"),
])
def test_an_option_that_is_not_understood_is_named(folder, option, value, port):
    """Nobody wrote the configuration that it would be a fault of."""
    upstream = ["--upstream", "http://127.0.0.1:1", "--require", "none", "--openapi", "./api.json"]
    ran = run("serve", *upstream, *([] if port else [option, value]), cwd=folder, env={"PORT": port} if port else {})
    assert ran.code == 2 and f"{option} `{value}` is no" in ran.err and ": " in ran.err and "<command line>" not in ran.err, ran
    if option.startswith("--http"):
        ran = run("dev", option, value, cwd=folder)
        assert ran.code == 2 and f"{option} `{value}` is not an address to listen on: write an IP address" in ran.err, ran


@pytest.mark.skipif(os.geteuid() != 0, reason="a process namespace wants root")
def test_the_first_process_reaps_orphans(scene):
    """As process 1 of a container: what loses its parent becomes ours, and is no zombie for long."""
    orphan = scene.folder / "orphan"
    script = f"(sh -c 'echo > {orphan}' &) ; exec \"$@\""
    gateway = scene.start(program=[*SHELL, script, "sh", *scene.program], first=True)
    gateway.await_greeting()
    eventually(orphan.exists)
    inside = children(gateway.process.pid)
    assert len(inside) == 1
    eventually(lambda: len(children(inside[0])) == 1)
    assert gateway.get("/todos", scene.service)[0] == 200
    os.kill(inside[0], signal.SIGTERM)
    assert gateway.wait() == 0


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_program_that_was_forgotten(folder):
    ran = run("serve", "--upstream", "http://127.0.0.1:1", "--require", "none", "--http", "127.0.0.1:0", "--", cwd=folder)
    assert ran.code == 2 and "there is no program behind `--`" in ran.err, ran
