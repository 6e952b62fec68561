"""What is said to somebody who does it for the first time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading

import pytest

from behind import free_port, in_background
from clients import refusal
from materials import document, operation
from plugway import binary, environment, eventually, run, write
from upstreams import Reply


def check(world, plugin: dict, *arguments: str):
    """`plugway check` with changes to the plugin."""
    write(world.folder, world.base({"plugins": {"todo": plugin}}))
    return run("check", "--config", "plugway.toml", *arguments, cwd=world.folder)


def test_a_configuration_without_its_option(world):
    for command in ("check", "serve", "status"):
        ran = run(command, "plugway.toml", cwd=world.folder)
        assert ran.code == 2 and "--config plugway.toml" in ran.err, ran


def test_a_configuration_to_start_from(world):
    folder = world.folder / "empty"
    folder.mkdir()
    ran = run("dev", "--write-config", "config/plugway.toml", cwd=folder)
    assert ran.code != 0 and "--upstream URL" in ran.err, ran
    ran = run("dev", "--upstream", world.upstream.url, "--write-config", "config/plugway.toml", cwd=folder)
    assert ran.code == 0 and "certs/dev-tokens.json" in ran.out, ran
    assert (folder / "config/plugway.toml").exists() and (folder / "certs/dev-tokens.json").exists()


def test_a_socket_of_which_no_document_is_known(world):
    ran = run("serve", "--upstream", "unix:/run/api.sock", "--require", "service", cwd=world.folder)
    assert ran.code != 0 and "--openapi FILE" in ran.err, ran


def test_the_log_names_the_upstream(world):
    world.plugin({"upstream": {"credential": {"query": {"name": "key", "value": "${env:UP}"}}}}, env={"UP": "hidden-credential"})
    world.upstream.stop()
    got = world.session(token=world.service).get("/todos?q=1")
    refusal(got, 502, "upstream_unreachable")

    def look() -> list[dict]:
        lines = [json.loads(line) for line in world.gateway.stderr.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("message") == "upstream"]

    line = eventually(look)[0]
    assert line["request_id"] == got.headers["x-request-id"]
    assert line["url"] == f"{world.upstream.url}/todos"


def test_a_key_in_the_place_of_its_certificate_is_told(world):
    write(world.folder, world.base({"tls": {"certificate": "certs/server.key", "key": "certs/server.pem"}}))
    checked = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert checked.code == 4 and "server.key holds a private key and no certificate" in checked.err + checked.out, checked


@pytest.mark.parametrize(("name", "credential", "told"), [
    ("X-Remote-User", "pass", True), ("Impersonate-User", {"bearer": "${file:credential}"}, True),
    ("Impersonate-User", "pass", False), ("X-User-Id", "pass", False),
])
def test_a_parameter_that_does_not_go_up_is_told(world, name: str, credential, told: bool):
    made = document()
    made["paths"]["/todos"]["get"].setdefault("parameters", []).append({"name": name, "in": "header", "schema": {"type": "string"}})
    (world.folder / "api.json").write_text(json.dumps(made))
    (world.folder / "credential").write_text("the-credential-of-the-gateway")
    write(world.folder, world.base({"plugins": {"todo": {"openapi": {"source": "api.json"}, "upstream": {"credential": credential}}}}))
    checked = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert (f"takes the header `{name}`, which does not go to the upstream" in checked.err + checked.out) == told, checked


def test_a_start_that_waits_is_not_called_ready(world):
    write(world.folder, world.base({"plugins": {"todo": {"upstream": {"url": f"http://127.0.0.1:{free_port()}"}}}}))
    process = subprocess.Popen([binary(), "serve", "--config", "plugway.toml"], cwd=world.folder, env=environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    try:
        line = process.stdout.readline()
        assert line.startswith("plugway has started and is not ready yet:") and "waiting for its OpenAPI document" in line, line
    finally:
        process.terminate()
        process.wait(timeout=20)


def speak_plain(listener: socket.socket) -> None:
    """Answers every connection as a server without TLS does."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_what_helps_a_document_that_does_not_come(world):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        answering = in_background(speak_plain, plain)
        ran = check(world, {"upstream": {"url": f"https://127.0.0.1:{plain.getsockname()[1]}"}, "contact": "a@b.example"})
        assert "http instead of https" in ran.err, ran
        plain.shutdown(socket.SHUT_RDWR)
    answering()
    for status in (401, 403):
        world.upstream.on("GET", "/openapi.json", Reply(status, [], b""))
        ran = check(world, {})
        assert "upstream.credential" in ran.err, ran


def test_a_certificate_that_nobody_knows(world, new_upstream):
    other = new_upstream(document(), tls=world.certificates.server("localhost"))
    ran = check(world, {"upstream": {"url": other.url.replace("127.0.0.1", "localhost")}})
    assert "upstream.ca" in ran.err, ran


def test_a_removal_that_removes_nothing(world):
    (world.folder / "o.yaml").write_text(
        "overlay: 1.0.0\ninfo: {title: O, version: '1'}\nactions:\n- {target: '$.paths[\"/todo\"]', remove: true}\n")
    ran = check(world, {"openapi": {"overlays": ["o.yaml"]}})
    assert ran.code == 0 and "nothing is removed" in ran.err and "skipped" not in ran.out, ran
    assert check(world, {"openapi": {"overlays": ["o.yaml"]}}, "--strict").code == 4


def test_values_and_pictures_that_are_none(world):
    parameters = [{"name": "format", "in": "query", "schema": {"type": "string", "enum": ["json", "xml"]}},
                  {"name": "page", "in": "query", "schema": {"type": "integer"}}]
    world.upstream.document = document(paths={"/todos": {"get": operation("listTodos", parameters=parameters)}})
    (world.folder / "logo.png").write_text("<html>404</html>")
    ran = check(world, {"logo": "logo.png", "operations": {"listTodos": {"fixed": {"format": "yaml", "page": "first"}}}})
    assert ran.code == 0, ran
    for words in ("the logo logo.png is no picture", 'the value of `format` is not one that operation listTodos takes: it is one of "json", "xml"',
                  "its type is integer"):
        assert words in ran.err, ran


@pytest.mark.parametrize(("line", "said"), [
    ("dev --openapi doc.json", "add --upstream URL"),
    ("dev --auth none --http 0.0.0.0:0", "loopback addresses only"),
    ("dev --write-config mine.toml", "add --upstream URL"),
    ("dev --upstream localhost:8000", "takes a URL"),
    ("dev --upstream http://127.0.0.1:1/?x", "`http://127.0.0.1:1/?***` has a query or a fragment"),
    ("dev --upstream ftp://127.0.0.1", "`h2c://`"),
    ("serve --upstream http://127.0.0.1:99999 --require none", "has a port that can not exist"),
    ("serve --upstream http://127.0.0.1:1 --require none --public-url a.example", "is not a URL"),
    ("serve --http 127.0.0.1:0", "goes with --upstream URL; in a configuration file it is `listen.http`"),
    ("serve --upstream http://me:pw@127.0.0.1:1 --require none", "upstream.credential"),
    ("serve --upstream unix:/run/api.sock --require none", "--openapi FILE"),
    ("serve --take-over --upstream http://127.0.0.1:1 --require none -- true", "--take-over"),
    ("print manifest --config two.toml", "choose one with --plugin"),
    ("print manifest --config two.toml --plugin nobody", "there is no plugin `nobody`"),
    ("status --admin nonsense", "no admin address"),
    ("status --admin 192.0.2.1:9091", "no loopback address"),
    ("status --admin https://:9", "no admin address"),
    ("status --admin 127.0.0.1:9091", "PLUGWAY_ADMIN_TOKEN"),
    ("token generate --id nonsense", "pls_ab12cd34"),
    ("token import secret --level service --name x --plugin p --scope s", "standard input"),
    ("token import --level service --name x --plugin p --scope s", "say what to import"),
])
def test_wrong_usage(folder, line, said):
    plugin = 'upstream.url = "http://127.0.0.1:1"\nauth.require = "none"\n'
    (folder / "two.toml").write_text(f'listen.http = "127.0.0.1:0"\n[plugins.a]\nhosts = ["a.example"]\n{plugin}[plugins.b]\nhosts = ["b.example"]\n{plugin}')
    ran = run(*line.split(), cwd=folder)
    assert ran.code == 2 and said in ran.err, ran
    as_json = run(*line.split()[:2], "--json", *line.split()[2:], cwd=folder)
    assert as_json.code == 2, as_json


def told(world, changes: dict, *more: str, until: str = "plugway is ready") -> tuple[list[dict], list[dict]]:
    """What a start writes to both streams, until there is a line, as a log collector reads it."""
    write(world.folder, world.base(changes))
    process = subprocess.Popen([binary(), "serve", "--config", "plugway.toml", *more], cwd=world.folder, env=environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = process.stdout.readline()
        assert until in first, process.communicate(timeout=20)
    finally:
        process.terminate()
        rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in (first + rest).splitlines()], [json.loads(line) for line in errors.splitlines()]


UNTOLD = {"log": {"format": "json"}, "trusted_proxies": [], "listen": {"proxy_protocol": "optional"}}
"""A configuration that is warned of."""


def test_every_line_of_a_json_log_is_an_object(world):
    for more in ((), ("--json",)):
        [ready], said = told(world, UNTOLD, *more)
        assert ready["message"] == "plugway is ready" and ready["ready"] is True and ready["time"], ready
        assert {entry["kind"] for entry in ready["listeners"]} >= {"http"} and ready["plugins"][0]["name"] == "todo"
        [warning] = [line for line in said if line.get("key") == "listen.proxy_protocol"]
        assert warning["level"] == "WARN" and warning["file"] == "plugway.toml" and warning["line"] > 0, warning
        assert "trusted_proxies" in warning["message"], warning


def test_a_json_log_of_a_start_that_is_broken_or_waits(world):
    (world.folder / "plugins").mkdir()
    (world.folder / "plugins/two.toml").write_text("[plugins.two")
    [ready], said = told(world, {"log": {"format": "json"}, "include": ["plugins/*.toml"]})
    assert ready["ready"] is True
    [refused] = [line for line in said if "IS REFUSED" in line["message"]]
    assert refused["level"] == "ERROR" and "plugins/two.toml" in refused["message"], refused

    waits = {"plugins": {"todo": {"upstream": {"url": f"http://127.0.0.1:{free_port()}"}}}}
    [ready], said = told(world, waits | {"log": {"format": "json"}}, until="is not ready yet")
    assert ready["ready"] is False and ready["plugins"][0]["unavailable"], ready
    [line] = [line for line in said if "asked again" in line["message"]]
    assert (line["level"], line["plugin"]) == ("WARN", "todo") and line["reason"], line


def test_a_json_log_of_a_start_that_fails(world):
    """Whoever collects the log reads nothing else, and this is the line that matters."""
    def said(code: int, config: dict) -> list[dict]:
        write(world.folder, world.base({"log": {"format": "json"}} | config))
        ran = run("serve", "--config", "plugway.toml", cwd=world.folder)
        assert (ran.code, ran.out) == (code, ""), ran
        return [json.loads(line) for line in ran.err.splitlines()]

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        *_, last = said(1, {"listen": {"http": address}})
    assert last["level"] == "ERROR" and f"can not listen on {address}" in last["message"] and "[listen]" in last["message"], last
    failing = {"request": "GET /todos", "as": "anonymous", "expect": 200}
    *_, last = said(4, {"plugins": {"todo": {"tests": [failing]}}})
    assert last["level"] == "ERROR" and last["file"] == "plugway.toml" and last["line"] > 0 and "200" in last["message"], last


def test_a_file_that_may_not_be_read(world):
    """A key belongs to root, and the gateway runs as somebody else: who it is and what mends it is told. Here it is root
    without its privilege over the files of others, so that the folder stays readable."""
    write(world.folder, world.base({"listen": {"https": "127.0.0.1:0"}, "tls": {"certificate": "open.pem", "key": "mine/tls.key"}}))
    (world.folder / "mine").mkdir()
    for name in ("open.pem", "mine/tls.key"):
        (world.folder / name).write_text("")

    uid = os.geteuid()

    def told(closed: str) -> str:
        path = world.folder / closed
        mode = path.stat().st_mode
        path.chmod(0)
        less = []
        if uid == 0:
            os.chown(path, 1, 1)
            less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        command = [*less, binary(), "check", "--config", "plugway.toml"]
        ran = subprocess.run(command, cwd=world.folder, env=environment(), capture_output=True, text=True, check=False)
        path.chmod(mode)
        os.chown(path, uid, -1)
        assert ran.returncode == 4, ran
        return ran.stderr

    said = told("mine/tls.key")
    mend = f"uid {uid} may not read it: `chown {uid}` it" if uid == 0 else f"it is that of uid {uid}, who may not read it: `chmod u+r`"
    assert f"can not read the file `mine/tls.key`: Permission denied ({mend}" in said, said
    said = told("mine")
    assert f"can not read the file `mine/tls.key`: Permission denied (uid {uid} may not enter its folder" in said, said


def test_a_state_that_can_not_be_made(world):
    """Who may not write it is told which folder, who they are, and what mends it (`unwritable`); here
    with a reason that holds for root, too."""
    (world.folder / "file").write_text("")
    write(world.folder, world.base({"state": {"directory": "file/state"}}))
    said = f"{world.folder.resolve()}/file is no folder: move that away, or choose another state.directory"
    ran = run("serve", "--config", "plugway.toml", cwd=world.folder)
    assert ran.code == 1 and f"{said} or listen.admin" in ran.err, ran
    ran = run("token", "create", "--config", "plugway.toml", "--name", "x", "--level", "user", "--plugin", "todo", "--scope", "*", cwd=world.folder)
    assert ran.code == 1 and said in ran.err, ran


@pytest.mark.parametrize(("line", "option"), [
    ("dev --upstream {url} --openapi nowhere.json", "--openapi"),
    ("serve --upstream {url} --require service --http 127.0.0.1:0 --openapi nowhere.json", "--openapi"),
])
def test_what_is_wrong_with_an_option(folder, line, option):
    """There is no file to look into, and no line."""
    ports = ("--http", "127.0.0.1:0", "--https", "127.0.0.1:0") if line.startswith("dev") else ()
    arguments = line.format(url=f"http://127.0.0.1:{free_port()}").split()
    ran = run(*arguments, *ports, cwd=folder)
    assert ran.code == 4 and f"--> {option}\n" in ran.err and "nowhere.json" in ran.err, ran
    assert "plugway dev:" not in ran.err and "<command line>" not in ran.err, ran
    ran = run(*arguments, *ports, "--json", cwd=folder)
    [problem] = ran.json["problems"]
    assert ran.code == 4 and (problem["key"], problem["file"], problem["line"]) == (option, None, None), ran


def test_where_the_admin_api_is(world):
    """The line of the start names every address of it, as --admin takes it."""
    def line(admin: list[str]) -> str:
        write(world.folder, world.base({"listen": {"admin": admin, "https": "127.0.0.1:0"}, "tls": {"certificate": "certs/server.pem", "key": "certs/server.key"}}))
        process = subprocess.Popen([binary(), "serve", "--config", "plugway.toml"], cwd=world.folder, env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            return process.stdout.readline()
        finally:
            process.terminate()
            process.communicate(timeout=20)

    socket_only = line(["unix:admin.sock"])
    assert socket_only.endswith("· admin unix:admin.sock\n"), socket_only
    plain, secured = free_port(), free_port()
    every = line([f"127.0.0.1:{plain}", "unix:admin.sock", f"0.0.0.0:{secured}"])
    assert every.endswith(f"· admin unix:admin.sock, http://127.0.0.1:{plain}, https://0.0.0.0:{secured}\n"), every


def test_lines_of_an_overlay(world):
    (world.folder / "o.yaml").write_text(
        "overlay: 1.0.0\ninfo: {title: O}\nactions:\n- target: $.info\n  remove: true\n- remove: perhaps\n  target: info\n")
    ran = check(world, {"openapi": {"overlays": ["o.yaml"]}})
    assert ran.code == 4, ran
    said = "o.yaml: #/info has no `version`, which every overlay needs there, line 2; "
    assert said in ran.err and "at character 1, line 7; #/actions/1/remove is a text, and has to be true or false, line 6" in ran.err, ran
    (world.folder / "o.yaml").write_text("overlay: 1.0.0\ninfo: {title: O, version: 1}\n")
    ran = check(world, {"openapi": {"overlays": ["o.yaml"]}})
    assert "# has no `actions`, which every overlay needs there\n" in ran.err, ran
