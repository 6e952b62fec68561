"""The command line: what is printed, where, and the exit code."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import threading

import httpx
import pytest
import tomli_w

import plugway
from clients import refusal
from materials import DOCUMENT, document, sha256, token
from plugway import NotReady, eventually, run
from upstreams import Reply


OPERATIONS = sum(len(set(item) - {"parameters"}) for item in DOCUMENT["paths"].values())

# --- commands without a gateway ---


def test_check(world):
    world.config = world.base()
    path = plugway.write(world.folder, world.config)
    good = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert good.code == 0, good
    as_json = run("check", "--config", "plugway.toml", "--json", cwd=world.folder)
    assert (as_json.code, as_json.json["valid"]) == (0, True)
    [plugin] = as_json.json["plugins"]
    assert (plugin["name"], plugin["operations"]) == ("todo", OPERATIONS)

    text = path.read_text()
    path.write_text(text.replace("upstream]", "upstraem]").replace('level = "service"', 'level = "sevrice"').replace("certs/server.key", "certs/none.key"))
    bad = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert bad.code == 4
    said = bad.out + bad.err
    assert "upstraem" in said and "upstream" in said, "the key that was meant"
    assert "sevrice" in said and "none.key" in said, "all problems at once"
    assert "^" in said and re.search(r"plugway\.toml:\d+:\d+", said)
    as_json = run("check", "--config", "plugway.toml", "--json", cwd=world.folder)
    assert (as_json.code, as_json.json["valid"]) == (4, False)
    assert len(as_json.json["problems"]) >= 3
    assert run("serve", "--config", "plugway.toml", cwd=world.folder).code == 4


def test_check_is_strict_only_when_asked(world):
    world.config = world.base({"plugins": {"todo": {"contact": None, "instructions": None}}})
    plugway.write(world.folder, world.config)
    lax = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert lax.code == 0 and "warning" in (lax.out + lax.err).lower()
    assert run("check", "--config", "plugway.toml", "--strict", cwd=world.folder).code == 4


def test_check_binds_nothing_and_needs_no_port(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plugway.write(world.folder, world.base({"listen": {"http": f"127.0.0.1:{taken.getsockname()[1]}"}}))
        assert run("check", "--config", "plugway.toml", cwd=world.folder).code == 0


def test_check_counts_tests_and_says_which_ran(world):
    tests = [{"request": "GET /todos", "as": "service", "expect": 200}, {"request": "GET /todos", "as": "service", "expect": 200, "upstream": True}]
    plugway.write(world.folder, world.base({"plugins": {"todo": {"tests": tests}}}))
    shown = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert shown.code == 0 and "; 1 test passed; 1 test not run (upstream = true" in shown.out, shown
    as_json = run("check", "--config", "plugway.toml", "--json", cwd=world.folder).json
    assert as_json["plugins"][0]["tests"] == {"passed": 1, "not_run": 1}


def test_check_says_that_a_document_could_not_be_looked_at(world):
    tests = [{"request": "GET /todos", "as": "service", "expect": 200}]
    plugway.write(world.folder, world.base({"plugins": {"todo": {"upstream": {"url": "http://127.0.0.1:9"}, "tests": tests}}}))
    shown = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert shown.code == 0 and "the OpenAPI document of plugin todo could not be looked at" in shown.err, shown
    assert "start the API" in shown.err and "1 test not run" in shown.out and "0 warnings" not in shown.out, shown
    assert run("check", "--config", "plugway.toml", "--strict", cwd=world.folder).code == 4


def test_check_names_the_included_file_that_is_refused(world):
    base = world.base({"include": ["plugins/*.toml"]})
    plugin = base.pop("plugins")["todo"] | {"hosts": ["todo.test"]}
    world.folder.joinpath("plugins").mkdir()
    plugway.write(world.folder, base)
    good = tomli_w.dumps({"plugins": {"todo": plugin}})
    one, two = world.folder / "plugins/one.toml", world.folder / "plugins/two.toml"
    one.write_text(good)
    two.write_text(good.replace("plugins.todo", "plugins.other").replace("todo.test", "other.test").replace("description", "descriptoin"))
    shown = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert shown.code == 4 and "plugins/two.toml (plugin other) is refused: 1 problem" in shown.out, shown
    assert "a running gateway keeps what served of it last and takes the rest of plugway.toml" in shown.out, shown
    as_json = run("check", "--config", "plugway.toml", "--json", cwd=world.folder)
    assert as_json.json["refused_alone"] == [{"file": "plugins/two.toml", "plugins": ["other"]}]
    # The main file takes all with it.
    path = world.folder / "plugway.toml"
    path.write_text(path.read_text().replace("[listen]", "[lisetn]"))
    shown = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert shown.code == 4 and "plugway.toml is refused: " in shown.out and "running gateway" not in shown.out, shown


def test_what_is_held_is_not_said_to_be_served(world):
    base = world.base({"include": ["plugins/*.toml"]})
    plugin = base["plugins"]["todo"] | {"hosts": ["other.test"]}
    world.folder.joinpath("plugins").mkdir()
    two = world.folder / "plugins/two.toml"
    two.write_text(tomli_w.dumps({"plugins": {"other": plugin}}))
    world.start({"include": ["plugins/*.toml"], "plugins": {"todo": {"hosts": ["todo.test"]}}})
    two.write_text(two.read_text().replace("description", "descriptoin"))
    world.gateway.await_refusal()
    shown = run("reload", "--config", "plugway.toml", cwd=world.folder)
    assert shown.code == 3 and shown.out.startswith("nothing changed; generation "), shown
    assert "plugins/two.toml is refused at validate" in shown.err, shown


def test_diff_and_reload_name_the_guard_that_would_go(world):
    world.plugin({"auth": {"require": "service"}})
    world.change({"plugins": {"todo": {"auth": {"require": "none"}}}})
    world.gateway.await_refusal()
    shown = run("diff", "--config", "plugway.toml", cwd=world.folder)
    assert "would be refused at self-test" in shown.out and "plugway check" not in shown.out, shown
    told = '`require` was "service" and is "none"'
    refused = run("reload", "--config", "plugway.toml", cwd=world.folder)
    assert refused.code == 1 and told in shown.out and told in refused.err, (shown, refused)


def test_a_configuration_of_the_environment_beside_an_upstream(world):
    ran = run("serve", "--upstream", "http://127.0.0.1:9", "--require", "none", cwd=world.folder, env={"PLUGWAY_CONFIG": "plugway.toml"})
    assert ran.code == 2 and "PLUGWAY_CONFIG is set" in ran.err and "--upstream" in ran.err and "env -u PLUGWAY_CONFIG" in ran.err, ran
    typed = run("serve", "--config", "x", "--upstream", "http://127.0.0.1:9", "--require", "none", cwd=world.folder)
    assert typed.code == 2 and "PLUGWAY_CONFIG" not in typed.err, typed


def test_whom_nobody_can_call_is_told_how_to_make_a_token(world):
    base = world.base()
    del base["tokens"]
    plugway.write(world.folder, base)
    shown = run("check", "--config", "plugway.toml", cwd=world.folder).err
    assert "no token can call plugin todo" in shown and "PLUGWAY_TOKEN_SHA256" in shown and 'secret = "${env:' in shown, shown


def test_a_missing_configuration(world):
    for command in ("serve", "check"):
        ran = run(command, "--config", "nowhere.toml", cwd=world.folder)
        assert ran.code == 4 and "nowhere.toml" in ran.out + ran.err, ran


def test_print(world):
    plugway.write(world.folder, world.base({"plugins": {"todo": {"public_url": "https://todo.example.com"}}}))
    manifest = run("print", "manifest", "--config", "plugway.toml", cwd=world.folder)
    assert manifest.code == 0
    assert manifest.json["api"]["url"] == "https://todo.example.com/openapi-3.0.json"
    openapi = run("print", "openapi", "--config", "plugway.toml", "--plugin", "todo", cwd=world.folder)
    assert openapi.json["servers"] == [{"url": "https://todo.example.com"}]
    install = run("print", "install", "--config", "plugway.toml", cwd=world.folder)
    assert install.code == 0 and "https://todo.example.com/.well-known/ai-plugin.json" in install.out
    unknown = run("print", "manifest", "--config", "plugway.toml", "--plugin", "nobody", cwd=world.folder)
    assert unknown.code == 2 and "todo" in unknown.err


def test_schema_describes_every_key(world):
    schema = run("schema", cwd=world.folder)
    assert schema.code == 0
    import jsonschema
    import tomllib

    jsonschema.Draft202012Validator.check_schema(schema.json)
    plugway.write(world.folder, world.base())
    config = tomllib.loads((world.folder / "plugway.toml").read_text())
    jsonschema.validate(config, schema.json)
    config["plugins"]["todo"]["upstraem"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, schema.json)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(world, shell):
    ran = run("completions", shell, cwd=world.folder)
    assert ran.code == 0 and "plugway" in ran.out and "reload" in ran.out
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=ran.out, text=True, check=True)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["serve", "--nonsense"], ["print"], ["serve", "--upstream", "http://x"], ["dev", "--auth", "some"]])
def test_wrong_usage(world, arguments):
    ran = run(*arguments, cwd=world.folder)
    assert ran.code == 2 and ran.err, ran


def test_help_and_version(world):
    for arguments in (["--help"], ["--version"], ["serve", "--help"]):
        ran = run(*arguments, cwd=world.folder)
        assert ran.code == 0 and "plugway" in ran.out and not ran.err


def test_no_gateway_answers(world):
    for command in ("status", "reload", "health"):
        ran = run(command, "--admin", "unix:nowhere.sock", cwd=world.folder)
        assert ran.code == 1 and "nowhere.sock" in ran.err, ran
        as_json = run(command, "--admin", "unix:nowhere.sock", "--json", cwd=world.folder)
        assert as_json.code == 1 and "nowhere.sock" in as_json.json["error"]


# --- commands that speak to one ---


def test_status_reload_and_health(world):
    world.start({"listen": {"metrics": "127.0.0.1:0"}})
    status = world.gateway.status()
    assert status["ready"] is True and status["generation"]["number"] == 1
    assert status["pid"] == world.gateway.process.pid
    assert {entry["kind"] for entry in status["listeners"]} == {"http", "https", "metrics"}
    for entry in status["listeners"]:
        assert entry["address"] in [ready["address"] for ready in world.gateway.ready["listeners"]]
    assert status["config"] == str(world.folder / "plugway.toml"), "paths are absolute"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["started"])
    [plugin] = status["plugins"]
    assert (plugin["name"], plugin["require"], plugin["operations"]) == ("todo", "any", OPERATIONS)
    for command in ("status", "reload", "health"):
        by_config = run(command, "--config", "plugway.toml", cwd=world.folder)
        assert by_config.code == 0 and by_config.out, command
        by_env = run(command, cwd=world.folder, env={"PLUGWAY_ADMIN": world.gateway.ready["admin"]})
        assert by_env.code == 0, command
    told = world.gateway.reload().json
    assert told.pop("warnings") and told == {"result": "unchanged", "generation": 1}
    mode = stat.S_IMODE((world.folder / "state/admin.sock").stat().st_mode)
    assert mode & 0o077 == 0, f"the admin socket is open to others: {mode:o}"


def test_serve_text_says_one_ready_line(world):
    plugway.write(world.folder, world.base())
    process = subprocess.Popen(
        [plugway.binary(), "serve", "--config", "plugway.toml"], cwd=world.folder, env=plugway.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    line = process.stdout.readline()
    assert re.search(r"ready.*http://127\.0\.0\.1:[1-9]\d*.*todo", line), line
    process.terminate()
    rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0 and rest == "" and "panic" not in errors


# --- serve without a file ---


def test_serve_from_arguments(world):
    secret = token()
    world.upstream.secrets.add(secret)
    env = {"PLUGWAY_TOKEN_SHA256": sha256(secret)}
    world.run("serve", "--upstream", world.upstream.url, "--require", "service", "--http", "127.0.0.1:0", env=env)
    client = world.session(tls=False, token=secret)
    assert client.get("/todos").status_code == 200
    refusal(client.get("/todos", token=""), 401, "missing_token")
    assert client.get("/.well-known/ai-plugin.json").json()["auth"]["type"] == "service_http"


def test_serve_from_arguments_under_a_public_name(world):
    arguments = ["serve", "--upstream", world.upstream.url, "--require", "none", "--http", "127.0.0.1:0"]
    gateway = world.run(*arguments)
    gateway.await_messages("any other host gets 421", "--public-url")
    refused = world.session(tls=False, host="todo.example.com").get("/todos")
    refusal(refused, 421, "unknown_host")
    assert "`public_url`" in refused.json()["detail"]
    gateway.stop()
    gateway = world.run(*arguments, "--public-url", "https://todo.example.com")
    assert "421" not in gateway.stderr
    client = world.session(tls=False, host="todo.example.com")
    assert client.get("/todos").status_code == 200
    assert client.get("/.well-known/ai-plugin.json").json()["api"]["url"] == "https://todo.example.com/openapi-3.0.json"


def test_serve_from_arguments_with_a_document(world):
    (world.folder / "doc.json").write_text(json.dumps(document()))
    world.upstream.document = None
    world.run("serve", "--upstream", world.upstream.url, "--require", "none", "--openapi", "doc.json",
              "--http", "127.0.0.1:0", "--https", "127.0.0.1:0")
    assert world.session().get("/todos").status_code == 200


# --- dev ---

DEV = ["dev", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]


def pasted(line: str, folder) -> tuple[int, str]:
    """What a shell makes of a printed line."""
    assert line.startswith("curl "), line
    line = line.replace("curl ", "curl -sS --noproxy '*' -w '\\n%{http_code}' ", 1)
    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, (line, done.stderr)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_dev_works_in_an_empty_folder(world, folder):
    empty = folder / "empty"
    empty.mkdir()
    world.dev(folder=empty, host="localhost")
    ready = world.gateway.ready
    status, body = pasted(ready["curl"], empty)
    assert status == 200 and isinstance(json.loads(body), (dict, list))
    assert re.fullmatch(r"pls_[0-9A-Za-z]{46}", ready["service_token"])
    assert re.fullmatch(r"plu_[0-9A-Za-z]{46}", ready["user_token"])
    plain = httpx.get(f"{ready['http']}/", trust_env=False)
    assert plain.status_code == 200 and "/openapi.json" in plain.text and plain.headers["content-type"].startswith("text/html")
    assert httpx.get(f"{ready['http']}/todos", trust_env=False).status_code == 401
    manifest = httpx.get(ready["manifest"], trust_env=False).json()
    assert manifest["api"]["url"].startswith(ready["http"])
    for name in ("ca.key", "server.key", "dev-tokens.json"):
        assert stat.S_IMODE((empty / "certs" / name).stat().st_mode) == 0o600, name
    world.gateway.secrets |= {ready["service_token"], ready["user_token"]}
    kept = {path.name: path.read_bytes() for path in (empty / "certs").iterdir()}
    assert {"ca.pem", "ca.key", "server.pem", "server.key", "dev-tokens.json"} <= set(kept)
    world.gateway.stop()

    world.dev(folder=empty, host="localhost")
    again = world.gateway.ready
    assert again["service_token"] == ready["service_token"] and again["user_token"] == ready["user_token"]
    assert {path.name: path.read_bytes() for path in (empty / "certs").iterdir()} == kept
    assert pasted(again["curl"], empty)[0] == 200


def test_dev_text_holds_a_line_that_works(folder):
    process = subprocess.Popen(
        [plugway.binary(), *DEV], cwd=folder, env=plugway.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines[-1].startswith("curl "):
            break
    assert pasted(lines[-1], folder)[0] == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0 and "panic" not in errors


@pytest.mark.parametrize("auth", ["service", "user", "any", "none"])
def test_dev_and_its_levels(world, auth):
    world.dev("--auth", auth)
    ready = world.gateway.ready
    client = world.session(tls=False)
    expected = {"service": (200, 403, 401), "user": (403, 200, 401), "any": (200, 200, 401), "none": (None, None, 200)}[auth]
    seen = [client.get("/todos", token=ready[key]).status_code if ready[key] else None for key in ("service_token", "user_token")]
    assert (*seen, client.get("/todos").status_code) == expected
    kind = {"service": "service_http", "user": "user_http", "any": "user_http", "none": "none"}[auth]
    assert client.get("/.well-known/ai-plugin.json").json()["auth"]["type"] == kind
    assert pasted(ready["curl"], world.gateway.folder)[0] == 200


def test_dev_without_authentication_is_for_this_machine(world):
    refused = run("dev", "--auth", "none", "--http", "0.0.0.0:0", "--https", "127.0.0.1:0", cwd=world.folder)
    assert refused.code in (1, 2) and "loopback" in refused.err
    world.dev("--auth", "none", "--upstream", world.upstream.url)
    client = world.session(tls=False)
    assert client.get("/todos").status_code == 200
    assert client.get("/todos", headers={"Origin": "https://chatgpt.com"}).status_code == 200
    before = len(world.upstream.requests)
    for method in ("GET", "POST", "DELETE"):
        path = "/todos/7" if method == "DELETE" else "/todos"
        refusal(client.request(method, path, headers={"Origin": "https://evil.example"}), 403)
        refusal(client.request(method, path, headers={"Origin": "null"}), 403)
    for host in ("evil.example", f"evil.example:{client.port}", "192.168.1.7"):
        assert client.get("/todos", headers={"Host": host}).status_code == 421, "DNS rebinding"
    assert len(world.upstream.requests) == before
    assert client.get("/.well-known/ai-plugin.json").json()["auth"] == {"type": "none"}


@pytest.mark.parametrize("place", ["/openapi.json", "/openapi.yaml", "/swagger.json", "/v3/api-docs", "/.well-known/openapi.yaml"])
def test_dev_finds_the_document(world, place):
    world.upstream.document = None
    import yaml

    text = yaml.safe_dump(document()) if place.endswith(".yaml") else json.dumps(document())
    world.upstream.on("GET", "/openapi.json", Reply(404, body=b"nothing here"))
    world.upstream.on("GET", place, Reply(200, [("Content-Type", "application/octet-stream")], text.encode()))
    for other in ("/openapi.yaml", "/swagger.json", "/v3/api-docs", "/.well-known/openapi.yaml"):
        world.upstream.handlers.setdefault(("GET", other), (lambda _request: Reply(404), False))
    world.dev("--upstream", world.upstream.url)
    client = world.session(tls=False, token=world.gateway.ready["service_token"])
    assert client.get("/todos").status_code == 200
    assert pasted(world.gateway.ready["curl"], world.gateway.folder)[0] == 200


def test_dev_says_what_to_do_without_a_document(world):
    world.upstream.document = None
    for path in ("/openapi.json", "/openapi.yaml", "/swagger.json", "/v3/api-docs", "/.well-known/openapi.yaml"):
        world.upstream.on("GET", path, Reply(200, [("Content-Type", "text/html")], b"<html>hello</html>"))
    ran = run(*DEV, "--upstream", world.upstream.url, cwd=world.folder)
    assert ran.code == 1 and "--openapi" in ran.err and "/v3/api-docs" in ran.err, ran
    (world.folder / "mine.yaml").write_text("openapi: 3.1.0\ninfo: {title: Mine, version: '1'}\npaths: {/todos: {get: {operationId: listTodos}}}\n")
    world.dev("--upstream", world.upstream.url, "--openapi", "../mine.yaml")
    assert world.session(tls=False, token=world.gateway.ready["service_token"]).get("/todos").status_code == 200


def test_dev_writes_the_configuration_it_amounts_to(world):
    empty = world.folder / "empty"
    empty.mkdir()
    write = [*DEV, "--upstream", world.upstream.url, "--write-config", "mine.toml"]
    ran = run(*write, cwd=empty)
    assert ran.code == 0, ran
    assert run("check", "--config", "mine.toml", cwd=empty).code == 0
    tokens = (empty / "certs/dev-tokens.json").read_text()
    secrets = [value for value in tokens.split('"') if value.startswith(("pls_", "plu_"))]
    text = (empty / "mine.toml").read_text()
    assert secrets and not any(secret in text for secret in secrets), "a secret was written into a configuration"
    again = run(*write, cwd=empty)
    assert again.code == 1 and text == (empty / "mine.toml").read_text(), "it was overwritten"
    world.run("serve", "--config", "mine.toml", cwd=empty)
    assert world.session(tls=False, token=secrets[0]).get("/todos").status_code == 200


# --- the end ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_is_under_way_is_finished(world, http2, number):
    """Asked by curl: httpx takes the GOAWAY of an HTTP/2 connection for its end."""
    reached, go_on = threading.Event(), threading.Event()

    def slow(_request):
        reached.set()
        assert go_on.wait(20)
        return Reply(200, body=b"finished")

    world.upstream.on("GET", "/slow", slow)
    world.start()
    ca = world.certificates.write_ca(world.folder / "ca.pem")
    _, port = world.gateway.address("https")
    idle = world.session(http2=http2, token=world.service)
    assert idle.get("/todos").status_code == 200
    asking = subprocess.Popen(
        ["curl", "-sSi", "--http2" if http2 else "--http1.1", "--cacert", str(ca), "--noproxy", "*",
         "-H", f"Authorization: Bearer {world.service}", f"https://localhost:{port}/slow"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert reached.wait(10)
    world.gateway.signal(number)

    def refuses() -> bool:
        try:
            socket.create_connection(world.gateway.address("http"), timeout=1).close()
        except OSError:
            return True
        return False

    eventually(refuses)
    assert world.gateway.process.poll() is None, "it ended with a request under way"
    go_on.set()
    said, errors = asking.communicate(timeout=20)
    assert asking.returncode == 0, errors
    head, _, body = said.replace("\r", "").partition("\n\n")
    assert head.startswith(("HTTP/2 200", "HTTP/1.1 200")) and body == "finished"
    assert world.gateway.wait() == 0
    request_id = re.search("(?im)^x-request-id: (.*)$", head)[1]
    assert world.gateway.line(request_id)["outcome"] == "complete"


def test_the_drain_has_an_end(world):
    world.upstream.on("GET", "/slow", lambda request: request.conn.wait_gone())
    world.start({"limits": {"drain": "500ms"}})
    client = world.session(token=world.service)
    asked = threading.Event()

    def ask() -> None:
        asked.set()
        with pytest.raises(httpx.TransportError):
            client.get("/slow")

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: any(request.path == "/slow" for request in world.upstream.requests))
    world.gateway.signal()
    assert world.gateway.wait() == 0
    asking.join(10)
    assert not asking.is_alive()


def test_a_port_that_is_taken(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        plugway.write(world.folder, world.base({"listen": {"http": f"127.0.0.1:{port}"}}))
        with pytest.raises(NotReady) as raised:
            world.run("serve", "--config", "plugway.toml")
        assert raised.value.ran.code == 1
        said = raised.value.ran.out + raised.value.ran.err
        assert str(port) in said and "in use" in said.lower(), said


def test_a_second_dev(world):
    """In the same folder it says whose that is; in another one, which options choose other addresses."""
    folder = world.folder / "dev"
    world.dev(folder=folder)
    pid = world.gateway.process.pid
    for arguments in ([], ["--json"]):
        second = run(*DEV, *arguments, cwd=folder)
        assert second.code == 5 and f"process {pid}" in second.out + second.err and "another folder" in second.out + second.err, second
        assert "state database" not in second.err, second
    other = world.folder / "other"
    other.mkdir()
    host, port = world.gateway.address("http")
    second = run("dev", "--http", f"{host}:{port}", "--https", "127.0.0.1:0", cwd=other)
    assert second.code == 1 and f":{port}" in second.err and "choose another address" in second.err and "chosen with --http and --https" in second.err, second
    assert "[listen]" not in second.err and "logo" not in second.err, second


def test_a_gateway_of_dev_beside_is_named(world):
    """Whoever asks in its folder and reaches none is told how to reach it."""
    folder = world.folder / "dev"
    world.dev(folder=folder)
    hint = "--admin unix:state/dev/admin.sock"
    for command in (["status"], ["token", "list"]):
        ran = run(*command, cwd=folder)
        assert hint in ran.err, ran
        assert run(*command, "--admin", "unix:state/dev/admin.sock", cwd=folder).code == 0
    world.gateway.stop()
    assert hint not in run("status", cwd=folder).err


# --- where the state is ---


NEW_TOKEN = ("token", "create", "--name", "x", "--level", "service", "--plugin", "todo", "--scope", "*")


def test_commands_read_the_state_directory_as_the_gateway_does(world):
    state = world.folder / "elsewhere"
    path = plugway.write(world.folder, '[state]\ndirectory = "${env:STDIR}"\n', "by-env.toml")
    ran = run(*NEW_TOKEN, "--config", str(path), cwd=world.folder, env={"STDIR": str(state)})
    assert ran.code == 0 and list(state.glob("*.redb")), ran.err
    assert "there was no state database" in ran.err and str(state) in ran.err
    again = run(*NEW_TOKEN[:3], "y", *NEW_TOKEN[4:], "--config", str(path), cwd=world.folder, env={"STDIR": str(state)})
    assert again.code == 0 and "there was no state" not in again.err
    assert not list(world.folder.glob("*{env*"))
    unset = run("token", "list", "--config", str(path), cwd=world.folder)
    assert unset.code == 4 and "by-env.toml:2:" in unset.err and "STDIR" in unset.err, unset.err


def test_a_configuration_that_can_not_be_read_makes_no_state_of_its_own(world):
    broken = plugway.write(world.folder, "[listen]\nhttp = = 1\n", "broken.toml")
    for path, place in ((broken, "broken.toml:2:"), (world.folder / "gone.toml", "gone.toml can not be read")):
        for command in (NEW_TOKEN, ("token", "list")):
            ran = run(*command, "--config", str(path), cwd=world.folder)
            assert ran.code == 4 and place in ran.err and "no tokens" not in ran.out, ran.err
        by_env = run("token", "list", cwd=world.folder, env={"PLUGWAY_CONFIG": str(path)})
        assert by_env.code == 4 and place in by_env.err
        ran = run("health", "--config", str(path), cwd=world.folder)
        assert ran.code == 1 and place in ran.err, ran.err
        assert ("`state` is assumed" in ran.err) == path.exists(), ran.err
    assert not list(world.folder.glob("state/*.redb"))


def test_a_configuration_that_is_named_and_not_there_stands_for_no_other_gateway(world):
    """One that runs at the usual place may be another one."""
    world.start()
    for command in (("status",), ("reload",), ("diff",), ("history",), ("rollback",), ("token", "list"), NEW_TOKEN, ("audit", "list"),
                    ("explain", "GET /todos"), ("state", "backup", "saved"), ("state", "restore", "saved"), ("health",)):
        code = 1 if command == ("health",) else 4
        typed = run(*command, "--config", "tpyo.toml", cwd=world.folder)
        assert typed.code == code and "tpyo.toml can not be read: --config names it" in typed.err and not typed.out, typed
        by_env = run(*command, cwd=world.folder, env={"PLUGWAY_CONFIG": "tpyo.toml"})
        assert by_env.code == code and "tpyo.toml can not be read: $PLUGWAY_CONFIG names it" in by_env.err, by_env
    assert "tpyo.toml" in run("status", "--config", "tpyo.toml", "--json", cwd=world.folder).json["error"]
    # Nobody named it, or what was named is not needed.
    assert run("status", cwd=world.folder).code == 0
    assert run("status", "--config", "tpyo.toml", "--admin", world.gateway.ready["admin"], cwd=world.folder).code == 0
    assert run("status", cwd=world.folder, env={"PLUGWAY_CONFIG": "tpyo.toml", "PLUGWAY_ADMIN": world.gateway.ready["admin"]}).code == 0


def test_a_gateway_is_found_through_a_file_that_is_broken_elsewhere(world):
    world.start()
    path = world.folder / "plugway.toml"
    path.write_text(path.read_text() + "\n[log\nlevel = = 1\n")
    ran = run("health", "--config", "plugway.toml", cwd=world.folder)
    assert ran.code == 0, ran.err


def test_what_is_typed_counts_before_the_environment(world):
    world.start()
    env = {"PLUGWAY_ADMIN": "unix:nowhere.sock"}
    assert run("health", "--config", "plugway.toml", cwd=world.folder, env=env).code == 0
    ran = run("health", cwd=world.folder, env=env)
    assert ran.code == 1 and "nowhere.sock" in ran.err and "$PLUGWAY_ADMIN" in ran.err, ran.err


# --- what is not published, and what is said ---


def test_a_secret_is_no_file_that_is_published(world):
    world.start()
    (world.folder / "leaked.txt").write_text(f"# a note\nuse {world.service} here\n")
    (world.folder / "tokens.jsonl").write_text("# none\n")
    (world.folder / "password").write_text("hunter2")
    (world.folder / "terms.txt").write_text("be nice\n")
    (world.folder / "link").symlink_to("password")
    (world.folder / "alias.toml").symlink_to("published.toml")
    (world.folder / "extra").mkdir()
    (world.folder / "extra/more.toml").write_text("")
    for file, why in (("certs/server.key", "a private key"), ("leaked.txt", "the secret of token"), ("tokens.jsonl", "as a secret"), ("password", "as a secret"),
                      ("link", "as a secret"), ("state/plugway.redb", "the state directory"), ("/proc/self/status", "in /proc"),
                      ("published.toml", "configuration"), ("alias.toml", "configuration"), ("extra/more.toml", "configuration"), ("terms.txt", None), ("certs/server.pem", None)):
        if file.startswith("state/"):
            (world.folder / file).touch()
        config = world.base({"include": ["extra/*.toml"], "token_files": ["tokens.jsonl"], "plugins": {"todo": {"files": {"/x.txt": file}, "headers": {"request": {"set": {"X-Key": "${file:password}"}}}}}})
        plugway.write(world.folder, config, "published.toml")
        ran = run("check", "--config", "published.toml", cwd=world.folder)
        if why is None:
            assert ran.code == 0, ran
        else:
            assert ran.code == 4 and f"`{file}` would be published" in ran.out + ran.err and why in ran.out + ran.err, ran
            assert world.service not in ran.out + ran.err


@pytest.mark.parametrize("member", ["description", "instructions"])
def test_a_token_in_what_anybody_may_read_is_refused(world, member):
    secret = run("token", "generate", cwd=world.folder).out.strip()
    plugway.write(world.folder, world.base({"plugins": {"todo": {member: f"Use it with {secret}, please."}}}))
    for command in ("check", "serve"):
        ran = run(command, "--config", "plugway.toml", cwd=world.folder)
        assert ran.code == 4 and f"the secret of token {secret[:12]}" in ran.out + ran.err, ran
        assert secret[12:] not in ran.out + ran.err


def test_a_token_in_a_document_is_not_served(world):
    secret = run("token", "generate", cwd=world.folder).out.strip()
    text = document()
    text["info"]["description"] = f"Send {secret} with each request."
    world.upstream.on("GET", "/openapi.json", Reply(json=text))
    world.start({"plugins": {"todo": {"description": None, "openapi": {"source": "/openapi.json"}}}})
    client = world.session()
    for path in ("/.well-known/ai-plugin.json", "/openapi.json", "/openapi-3.0.yaml"):
        got = client.get(path)
        assert got.status_code == 200 and secret not in got.text and f"{secret[:12]}…" in got.text, got.text
    (world.folder / "own.json").write_text(json.dumps(text))
    world.change({"plugins": {"todo": {"openapi": {"source": "own.json"}}}})
    ran = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert ran.code == 4 and f"the secret of token {secret[:12]}" in ran.out + ran.err and secret not in ran.out + ran.err, ran


def test_strict_says_what_it_fails_for(world):
    plugway.write(world.folder, world.base({"trusted_proxies": ["0.0.0.0/0", "::/0"]}))
    assert run("check", "--config", "plugway.toml", cwd=world.folder).code == 0
    strict = run("check", "--strict", "--config", "plugway.toml", cwd=world.folder)
    assert strict.code == 4 and re.search(r"--strict fails for \d+ warnings", strict.err), strict


def test_networks_are_cleared_and_strangers_named(world):
    world.start()
    made = world.gateway.command(*NEW_TOKEN, "--network", "10.0.0.0/8", "--json").json
    world.gateway.secrets.add(made["secret"])
    cleared = world.gateway.command("token", "set", made["id"], "--network", "", "--json")
    assert cleared.code == 0 and not cleared.json.get("networks"), cleared
    nobody = world.gateway.command("audit", "list", "--token", "nosuch")
    assert nobody.code == 1 and "there is no token" in nobody.err and "nothing was changed" not in nobody.out, nobody
