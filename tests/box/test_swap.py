"""Changes while it runs: seen on the next request of the same connection, and nobody notices."""

from __future__ import annotations

import copy
import json
import queue
import signal
import socket
import threading
from pathlib import Path

import pytest

from clients import connection, refusal
from materials import declared, document, operation, sha256, token
from plugway import eventually, replace
from upstreams import Reply, head

MANIFEST = "/.well-known/ai-plugin.json"


def description(client) -> str:
    return client.get(MANIFEST).json()["description_for_human"]


def test_what_a_start_has_run_does_not_stay_resident(world):
    world.start()
    client = world.session(token=world.service)

    def resident() -> float:
        """Of the most that it ever was."""
        status = Path(f"/proc/{world.gateway.process.pid}/status").read_text()
        fields = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
        return int(fields["VmRSS"]) / int(fields["VmHWM"])

    eventually(lambda: resident() < 0.7)
    assert client.get("/todos").status_code == 200


# --- what can change ---


def test_configuration(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    before = client.get("/todos")
    generation = world.gateway.generation()
    world.change({"plugins": {"todo": {"description": "Another.", "openapi": {"exclude": ["search"]}}}})
    eventually(lambda: description(client) == "Another.")
    refusal(client.get("/search"), 404, "no_route")
    after = client.get("/todos")
    assert connection(before) == connection(after)
    assert world.gateway.generation() == generation + 1
    assert world.gateway.line(before.headers["x-request-id"])["generation"] == generation
    assert world.gateway.line(after.headers["x-request-id"])["generation"] == generation + 1


def test_a_change_in_place_and_through_a_link(world):
    """An editor that writes into the file, and Kubernetes, which swaps a linked folder."""
    world.start()
    client = world.session()
    path = world.folder / "plugway.toml"
    path.write_text(path.read_text().replace("Manage your to-dos.", "In place."))
    eventually(lambda: description(client) == "In place.")

    for number, text in enumerate(("one", "two")):
        (world.folder / f"v{number}").mkdir()
        (world.folder / f"v{number}" / "said").write_text(text)
    (world.folder / "data").symlink_to("v0")
    world.change({"plugins": {"todo": {"auth": {"require": "service", "verification_tokens": {"openai": "${file:data/said}"}}}}})
    eventually(lambda: client.get(MANIFEST).json()["auth"].get("verification_tokens") == {"openai": "one"})
    (world.folder / "next").symlink_to("v1")
    (world.folder / "next").rename(world.folder / "data")
    eventually(lambda: client.get(MANIFEST).json()["auth"].get("verification_tokens") == {"openai": "two"})


def served(world) -> bytes:
    """The certificate of a new connection."""
    context = world.certificates.client()
    with socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.getpeercert(binary_form=True)


def test_certificate_and_key(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    before, kept = served(world), client.get("/todos")
    world.certificates.issue(world.folder / "certs")
    eventually(lambda: served(world) != before)
    assert connection(client.get("/todos")) == connection(kept), "an old connection was closed"
    assert world.session(http2=http2, token=world.service).get("/todos").status_code == 200


def test_a_certificate_that_does_not_fit_its_key_changes_nothing(world):
    world.start()
    before = served(world)
    world.certificates.issue(world.folder / "other")
    replace(world.folder / "certs/server.pem", (world.folder / "other/server.pem").read_bytes())
    refused = world.gateway.await_refusal()
    assert "server" in refused["text"] and "key" in refused["text"]
    assert served(world) == before
    replace(world.folder / "certs/server.key", (world.folder / "other/server.key").read_bytes())
    eventually(lambda: served(world) != before)
    assert world.gateway.command("status").code == 0


def test_a_secret_file(world, http2):
    old, new = token(), token()
    replace(world.folder / "secret", f"{old}\n")
    world.start({"tokens": {"file": {"level": "service", "plugins": ["todo"], "scopes": ["*"], "secret": "${file:secret}"}}})
    client = world.session(http2=http2)
    assert client.get("/todos", token=old).status_code == 200
    replace(world.folder / "secret", f"{new}\n")
    eventually(lambda: client.get("/todos", token=new).status_code == 200)
    refusal(client.get("/todos", token=old), 401, "invalid_token")


def test_a_secret_file_with_grace(world, http2):
    old, new = token(), token()
    replace(world.folder / "secret", old)
    world.start({"tokens": {"file": {"level": "service", "plugins": ["todo"], "scopes": ["*"], "secret": "${file:secret}", "grace": "24h"}}})
    client = world.session(http2=http2)
    assert client.get("/todos", token=old).status_code == 200
    replace(world.folder / "secret", new)
    eventually(lambda: client.get("/todos", token=new).status_code == 200)
    both = [client.get("/todos", token=secret) for secret in (new, old)]
    assert [got.status_code for got in both] == [200, 200]
    assert [world.gateway.line(got.headers["x-request-id"])["slot"] for got in both] == ["current", "previous"]


def test_documents_and_logo_files(world, http2):
    api = document(info={"title": "First", "version": "1"})
    replace(world.folder / "api.json", json.dumps(api))
    replace(world.folder / "logo.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")
    world.plugin({"openapi": {"source": "api.json"}, "logo": "logo.svg", "name": None})
    client = world.session(http2=http2, token=world.service)
    first = client.get("/openapi.json")
    assert first.json()["info"]["title"] == "First"
    refusal(client.get("/fresh"), 404, "no_route")

    changed = copy.deepcopy(api)
    changed["info"]["title"] = "Second"
    changed["paths"]["/fresh"] = {"get": operation("fresh")}
    replace(world.folder / "api.json", json.dumps(changed))
    eventually(lambda: client.get("/openapi.json").json()["info"]["title"] == "Second")
    assert client.get("/fresh").status_code == 200
    assert client.get(MANIFEST).json()["name_for_human"] == "Second"

    picture = "<svg xmlns='http://www.w3.org/2000/svg' width='9'/>"
    replace(world.folder / "logo.svg", picture)
    last = eventually(lambda: (got := client.get("/logo.svg")).text == picture and got)
    assert connection(first) == connection(last)


def test_the_upstreams_document(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    refusal(client.get("/fresh"), 404, "no_route")
    changed = copy.deepcopy(world.upstream.document)
    changed["paths"]["/fresh"] = {"get": operation("fresh")}
    world.upstream.document = changed
    reloaded = world.gateway.reload()
    assert (reloaded.code, reloaded.json["result"]) == (0, "published")
    assert client.get("/fresh").status_code == 200
    # One that is broken is not taken, and the last good one serves on.
    world.upstream.on("GET", "/openapi.json", Reply(200, body=b"{not json"))
    world.gateway.reload()
    assert client.get("/fresh").status_code == 200
    standing = world.gateway.status()["plugins"][0]["document"]
    assert standing["error"], standing


def test_a_reload_that_waits_for_a_document_is_not_answered_by_a_file_that_changes(world):
    world.start()
    client = world.session(token=world.service)
    changed = copy.deepcopy(world.upstream.document)
    changed["paths"]["/fresh"] = {"get": operation("fresh")}
    asked, go, outcome = threading.Event(), threading.Event(), []

    def slow(_request):
        asked.set()
        go.wait(20)
        return Reply(json=changed)

    world.upstream.on("GET", "/openapi.json", slow)
    reload = threading.Thread(target=lambda: outcome.append(world.gateway.reload()))
    reload.start()
    assert asked.wait(20)
    world.change({"plugins": {"todo": {"description": "Another."}}})
    eventually(lambda: world.gateway.generation() == 2)
    assert outcome == []
    go.set()
    reload.join(20)
    assert (outcome[0].code, outcome[0].json["result"]) == (0, "published")
    assert client.get("/fresh").status_code == 200


def test_the_upstreams_document_is_asked_for_again(world):
    world.plugin({"openapi": {"refresh": "1s"}})
    client = world.session(token=world.service)
    changed = copy.deepcopy(world.upstream.document)
    changed["paths"]["/fresh"] = {"get": operation("fresh")}
    world.upstream.document = changed
    eventually(lambda: client.get("/fresh").status_code == 200)


def test_an_included_folder(world):
    (world.folder / "plugins").mkdir()
    world.start({"include": ["plugins/*.toml"], "plugins": {"todo": {"hosts": ["todo.test"]}}})
    client = world.session(tls=False, host="shop.test", token=world.service)
    refusal(client.get("/todos"), 421, "unknown_host")
    shop = f'[plugins.shop]\nhosts = ["shop.test"]\nupstream.url = "{world.upstream.url}"\nauth.require = "service"\n'
    replace(world.folder / "plugins/shop.toml", shop + f'[tokens.shop]\nlevel = "service"\nplugins = ["shop"]\nscopes = ["*"]\nsha256 = "{sha256("a-foreign-key")}"\n')
    eventually(lambda: client.get("/todos", token="a-foreign-key").status_code == 200)
    (world.folder / "plugins/shop.toml").unlink()
    # The last file of a pattern: that is said by a command.
    assert world.gateway.reload().code == 0
    eventually(lambda: client.get("/todos", token="a-foreign-key").status_code == 421)


# --- what is under way ---


def test_what_is_in_flight_ends_on_the_old(world, http2):
    reached, go_on, events = threading.Event(), threading.Event(), queue.Queue()

    def slow(_request):
        reached.set()
        assert go_on.wait(20)
        return Reply(200, body=b"old")

    def stream(request):
        request.conn.send(head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]))
        while (event := events.get(timeout=20)) is not None:
            request.conn.chunk(event)
        request.conn.send(b"0\r\n\r\n")

    world.upstream.on("GET", "/slow", slow)
    world.upstream.on("GET", "/events", stream)
    world.start()
    generation = world.gateway.generation()
    waiting: list = []
    patient = world.session(http2=http2, token=world.service)
    other = threading.Thread(target=lambda: waiting.append(patient.get("/slow")))
    other.start()
    assert reached.wait(10)
    client = world.session(http2=http2, token=world.service)
    listener = world.session(http2=http2, token=world.service)
    with listener.stream("GET", "/events") as got:
        incoming = got.iter_raw()
        events.put(b"data: 1\n\n")
        assert next(incoming) == b"data: 1\n\n"
        world.change({"plugins": {"todo": {"description": "Another.", "openapi": {"exclude": ["search"]}}}})
        eventually(lambda: description(client) == "Another.")
        events.put(b"data: 2\n\n")
        assert next(incoming) == b"data: 2\n\n"
        go_on.set()
        other.join(10)
        assert (waiting[0].status_code, waiting[0].content) == (200, b"old")
        events.put(None)
        assert list(incoming) == []
    for done in (waiting[0], got):
        line = world.gateway.line(done.headers["x-request-id"])
        assert (line["generation"], line["outcome"]) == (generation, "complete")


# --- what is refused ---

BROKEN = [
    ("syntax", lambda text: text + "\n[plugins.todo\n", None),
    ("unknown key", lambda text: text.replace("description =", "descriptoin ="), "description"),
    ("value", lambda text: text.replace('require = "any"', 'require = "anyone"'), "require"),
    ("missing", lambda text: text.replace('require = "any"', ""), "require"),
    ("literal secret", lambda text: text + '\n[tokens.x]\nlevel = "service"\nplugins = ["todo"]\nscopes = ["*"]\nsecret = "literal"\n', "secret"),
    ("scope that matches nothing", lambda text: text.replace('scopes = [\n    "*",\n]', 'scopes = ["listTodo"]'), "listTodo"),
]


@pytest.mark.parametrize(("what", "breaking", "named"), BROKEN, ids=[what for what, _, _ in BROKEN])
def test_a_broken_file_changes_nothing_until_it_is_mended(world, what, breaking, named):
    world.start()
    client = world.session(token=world.service)
    path = world.folder / "plugway.toml"
    good = path.read_text()
    generation = world.gateway.generation()
    assert breaking(good) != good, "the test breaks nothing"
    replace(path, breaking(good))
    refused = world.gateway.await_refusal()
    status = world.gateway.command("status")
    assert status.code == 3
    assert "plugway.toml:" in status.out and "plugway.toml:" in refused["text"]
    if named:
        assert named in refused["text"]
    problem = refused["problems"][0]
    assert problem["file"].endswith("plugway.toml") and problem["line"] >= 1 and problem["column"] >= 1, problem
    assert f"plugway.toml:{problem['line']}:{problem['column']}" in refused["text"]
    reload = world.gateway.reload()
    assert (reload.code, reload.json["result"]) == (4, "refused")
    assert client.get("/todos").status_code == 200
    assert description(client) == "Manage your to-dos."
    assert world.gateway.generation() == generation

    replace(path, good.replace("Manage your to-dos.", "Mended."))
    eventually(lambda: description(client) == "Mended.")
    assert world.gateway.command("status").code == 0
    again = world.gateway.reload()
    assert (again.code, again.json["result"]) == (0, "unchanged")


def test_putting_the_old_file_back_ends_the_refusal(world):
    world.start()
    path = world.folder / "plugway.toml"
    good = path.read_text()
    replace(path, "nonsense")
    world.gateway.await_refusal()
    replace(path, good)
    eventually(lambda: world.gateway.command("status").code == 0)


def test_a_file_that_is_gone_changes_nothing(world):
    world.start()
    client = world.session(token=world.service)
    path = world.folder / "plugway.toml"
    text = path.read_text()
    path.unlink()
    world.gateway.await_refusal()
    assert client.get("/todos").status_code == 200
    replace(path, text.replace("Manage your to-dos.", "Back."))
    eventually(lambda: description(client) == "Back.")


@pytest.mark.parametrize(("before", "after"), [
    ({"auth": {"require": "service"}}, {"auth": {"require": "none"}}),
    ({"auth": {"require": "service"}}, {"auth": {"require": "any"}}),
    ({}, {"openapi": {"unpublished": "forward"}}),
])
def test_less_guard_has_to_be_said(world, before, after):
    world.plugin(before)
    client = world.session()
    world.change({"plugins": {"todo": after | {"description": "Weaker."}}})
    refused = world.gateway.await_refusal()
    assert "todo" in refused["text"] and "--weaker" in refused["text"]
    reload = world.gateway.reload()
    assert reload.code in (1, 4) and reload.json["result"] == "refused"
    refusal(client.get("/todos"), 401, "missing_token")
    assert description(client) != "Weaker."
    assert world.gateway.reload("--weaker").code == 0
    assert description(client) == "Weaker."
    # More guard needs no word.
    world.change({"plugins": {"todo": {"description": "Stronger.", "auth": {"require": "service"}, "openapi": {"unpublished": "refuse"}}}})
    eventually(lambda: description(client) == "Stronger.")


# --- triggers and listeners ---


def test_sighup_reads_everything_again(world):
    world.start()
    client = world.session(token=world.service)
    changed = copy.deepcopy(world.upstream.document)
    changed["paths"]["/fresh"] = {"get": operation("fresh")}
    world.upstream.document = changed
    world.gateway.signal(signal.SIGHUP)
    eventually(lambda: client.get("/fresh").status_code == 200)


def listeners(world) -> dict[str, str]:
    return {entry["kind"]: entry["address"] for entry in world.gateway.status()["listeners"]}


def test_listeners_come_and_go_and_the_others_stay(world, http2):
    world.start({"listen": {"http": None}})
    client = world.session(http2=http2, token=world.service)
    first = client.get("/todos")
    [kind] = listeners(world)
    assert kind == "https"
    world.change({"listen": {"http": "127.0.0.1:0", "metrics": "127.0.0.1:0"}})
    added = eventually(lambda: len(now := listeners(world)) == 3 and now)
    host, _, port = added["http"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert plain.recv(100).startswith(b"HTTP/1.1 200")
    idle = socket.create_connection((host, int(port)), timeout=5)
    assert connection(client.get("/todos")) == connection(first)

    world.change({"listen": {"http": None, "metrics": None}})
    eventually(lambda: list(listeners(world)) == ["https"])

    def closed() -> bool:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except ConnectionRefusedError:
            return True
        return False

    eventually(closed)
    idle.close()
    assert added["https"] == listeners(world)["https"], "a listener that did not change was bound again"
    assert connection(client.get("/todos")) == connection(first)


def test_a_port_that_is_taken_changes_nothing(world):
    world.start()
    client = world.session(token=world.service)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        world.change({"listen": {"metrics": f"127.0.0.1:{taken.getsockname()[1]}"}, "plugins": {"todo": {"description": "No."}}})
        refused = world.gateway.await_refusal()
        assert refused["stage"] == "bind" and "in use" in refused["text"].lower()
        assert description(client) == "Manage your to-dos."
    assert world.gateway.reload().code == 0
    assert description(client) == "No."


def test_limits_and_token_files_can_be_added(world):
    world.start()
    client = world.session(token=world.service)
    assert client.post("/todos", content=b"x" * 2000).status_code == 200
    late = token()
    (world.folder / "late.jsonl").write_text(json.dumps({"level": "service", "plugins": ["*"], "scopes": ["*"], "sha256": sha256(late)}))
    world.change({"limits": {"body_bytes": "1KiB"}, "token_files": ["late.jsonl"]})
    eventually(lambda: client.post("/todos", content=b"x" * 2000).status_code == 413)
    assert client.get("/todos", token=late).status_code == 200


# --- the upstream is not there ---


def test_an_upstream_that_is_down_at_the_start(world, new_upstream):
    other = new_upstream()
    other.secrets |= world.upstream.secrets
    world.upstream.stop()
    world.start({
        "plugins": {"todo": {"hosts": ["todo.test"]}, "other": {"hosts": ["other.test"], "upstream": {"url": other.url}, "auth": {"require": "service"}}},
        "tokens": {"chatgpt": {"plugins": ["*"]}},
    })
    assert world.gateway.ready["ready"] is False
    client = world.session(tls=False, host="todo.test", token=world.service)
    for path in ("/todos", "/openapi.json"):
        got = client.get(path)
        refusal(got, 503, "document_unavailable")
        assert int(got.headers["retry-after"]) >= 1
    assert client.get("/todos", headers={"Host": "other.test"}).status_code == 200
    assert (client.get("/readyz").status_code, client.get("/healthz").status_code) == (503, 200)
    assert world.gateway.command("health").code == 1
    world.upstream.start()
    eventually(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/todos").status_code == 200
    assert world.gateway.command("health").code == 0


# --- many changes under load ---


def test_no_request_fails_while_everything_changes(world):
    """A steady load on kept connections of both versions, 200 configurations and 20 certificates."""
    world.start()
    stop, faults, counts = threading.Event(), [], []

    def load(http2: bool) -> None:
        client, count = world.session(http2=http2, token=world.service), 0
        used = set()
        try:
            while not stop.is_set():
                got = client.get(f"/todos/{count}")
                assert got.status_code == 200, got.text
                used.add(connection(got))
                count += 1
        except Exception as error:  # noqa: BLE001 - told below
            faults.append(error)
        if len(used) != 1:
            faults.append(AssertionError(f"{len(used)} connections"))
        counts.append(count)

    threads = [threading.Thread(target=load, args=(number % 2 == 1,)) for number in range(4)]
    for thread in threads:
        thread.start()
    watcher = world.session()
    for number in range(200):
        if number % 10 == 0:
            before = served(world)
            world.certificates.issue(world.folder / "certs")
            eventually(lambda before=before: served(world) != before)
        world.change({"plugins": {"todo": {"description": f"Number {number}."}}, "tokens": {f"t{number % 7}": declared(token())}})
        if number % 4:
            world.gateway.reload()
            assert description(watcher) == f"Number {number}."
        else:  # the other way: nobody says anything
            eventually(lambda number=number: description(watcher) == f"Number {number}.")
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not faults, faults[:3]
    assert min(counts) > 200, counts
    alive = eventually(lambda: (now := world.gateway.status()["generation"])["alive"] <= 2 and now)
    assert alive["number"] >= 200


def test_warnings_of_before_are_counted(world):
    """Those that are new are told; `status` has all of them."""
    gateway = world.plugin({"contact": None})
    all_ = len(gateway.status()["warnings"])
    assert all_
    number = 0

    def told() -> dict | None:
        """What `reload` says where it came before the look of whoever watches the files."""
        nonlocal number
        number += 1
        world.change({"plugins": {"todo": {"description": f"Number {number}."}}})
        outcome = gateway.command("reload", "--json").json
        return outcome if outcome["result"] == "published" else None

    outcome = eventually(told)
    assert outcome["warnings_as_before"] == all_ and outcome["warnings"] is None
    assert len(gateway.status()["warnings"]) == all_
