"""Included files, each of which fails alone."""

from __future__ import annotations

import json
import threading

import httpx
import pytest
import tomli_w

from clients import refusal
from materials import DOCUMENT, document, merge, sha256
from plugway import PATIENCE, NotReady, eventually, replace, run, write
from upstreams import Held, Reply

MANIFEST = "/.well-known/ai-plugin.json"


class Ten:
    """Ten plugins in ten files, with a token each that the file declares."""

    def __init__(self, world, count: int = 10):
        self.world, self.count = world, count
        self.names = [f"p{number}" for number in range(count)]
        (world.folder / "plugins").mkdir(exist_ok=True)
        for name in self.names:
            self.write(name)

    def secret(self, name: str) -> str:
        return f"the-own-secret-of-{name}"

    def config(self, name: str, changes: dict | None = None) -> dict:
        plugin = {
            "hosts": [f"{name}.test"], "description": f"This is {name}.", "upstream": {"url": self.world.upstream.url},
            "auth": {"require": "service"},
        }
        token = {"level": "service", "plugins": [name], "scopes": ["*"], "sha256": sha256(self.secret(name))}
        return merge({"plugins": {name: plugin}, "tokens": {name: token}}, changes or {})

    def path(self, name: str):
        return self.world.folder / "plugins" / f"{name}.toml"

    def write(self, name: str, changes: dict | None = None) -> None:
        replace(self.path(name), tomli_w.dumps(self.config(name, changes)))

    def start(self, changes: dict | None = None, **more: object):
        base = self.world.base({"include": ["plugins/*.toml"]} | (changes or {}))
        del base["plugins"], base["tokens"]
        write(self.world.folder, base)
        arguments = [f"--{key.replace('_', '-')}={value}" for key, value in more.items()]
        return self.world.run("serve", "--config", "plugway.toml", *arguments)

    def client(self, name: str):
        return self.world.session(tls=False, host=f"{name}.test", token=self.secret(name))

    def description(self, name: str) -> str:
        return self.client(name).get(MANIFEST).json().get("description_for_human")

    def serves(self, name: str) -> None:
        assert self.client(name).get("/todos").status_code == 200, name


@pytest.fixture
def ten(world) -> Ten:
    return Ten(world)


def held(gateway) -> dict[str, dict]:
    return {file["file"].rsplit("/", 1)[-1]: file for file in gateway.status()["held"]}


def test_a_typo_an_upstream_that_is_down_and_a_broken_document(world, ten):
    (world.folder / "p2.json").write_text(json.dumps(DOCUMENT))
    ten.write("p2", {"plugins": {"p2": {"openapi": {"source": "./p2.json"}}}})
    ten.start()
    for name in ten.names:
        ten.serves(name)
    # One is down, one has a document that is none any more, one a typo.
    ten.write("p1", {"plugins": {"p1": {"upstream": {"url": "http://127.0.0.1:9"}, "openapi": {"source": world.upstream.url + "/openapi.json"}}}})
    eventually(lambda: ten.client("p1").get("/todos").status_code == 502)
    replace(world.folder / "p2.json", "{")
    replace(ten.path("p3"), ten.path("p3").read_text().replace("description", "descriptoin"))
    found = eventually(lambda: (now := held(world.gateway)) and len(now) == 2 and now)
    generation = world.gateway.generation()
    # What is broken is no other generation.
    replace(ten.path("p3"), ten.path("p3").read_text() + "# still\n")
    assert (again := world.gateway.reload()).code == 3 and again.json["result"] == "unchanged"
    assert world.gateway.generation() == generation
    assert set(found) == {"p2.toml", "p3.toml"}
    assert "p2.json" in found["p2.toml"]["text"] and "descriptoin" in found["p3.toml"]["text"]
    problem = found["p3.toml"]["problems"][0]
    assert problem["file"].endswith("p3.toml") and problem["line"] and problem["column"]
    # Both go on as they were; the other seven swap, serve and rotate.
    ten.serves("p2")
    ten.serves("p3")
    assert ten.description("p3") == "This is p3."
    for name in ten.names[4:]:
        ten.write(name, {"plugins": {name: {"description": f"{name} anew."}}, "tokens": {name: {"sha256": sha256("fresh-secret-of-" + name)}}})
    for name in ten.names[4:]:
        eventually(lambda name=name: ten.description(name) == f"{name} anew.")
        assert ten.client(name).get("/todos", token="fresh-secret-of-" + name).status_code == 200
        refusal(ten.client(name).get("/todos"), 401, "invalid_token")
    status = world.gateway.command("status")
    assert status.code == 3 and "p3.toml:" in status.out and "p2.json" in status.out, status.out
    reload = world.gateway.reload()
    assert reload.code == 3 and {file["file"].rsplit("/", 1)[-1] for file in reload.json["held"]} == {"p2.toml", "p3.toml"}
    # What is mended serves at once, and nothing is refused any more.
    replace(world.folder / "p2.json", json.dumps(DOCUMENT))
    ten.write("p3", {"plugins": {"p3": {"description": "Mended."}}})
    eventually(lambda: ten.description("p3") == "Mended.")
    eventually(lambda: not held(world.gateway))
    assert world.gateway.command("status").code == 0
    assert world.gateway.reload().code == 0


def test_a_mistake_in_one_file_does_not_end_a_rollback(world, ten):
    ten.start()
    ten.write("p1", {"plugins": {"p1": {"description": "Worse."}}})
    eventually(lambda: ten.description("p1") == "Worse.")
    assert world.gateway.command("rollback").code == 0
    assert ten.description("p1") == "This is p1."
    good = ten.path("p2").read_text()
    replace(ten.path("p2"), good.replace("description", "descriptoin"))
    refused = world.gateway.await_refusal()
    assert "p2.toml" in refused["text"] and world.gateway.status()["rolled_back_to"] == 1
    assert ten.description("p1") == "This is p1." and ten.description("p2") == "This is p2."
    # With a change beside it that is accepted, what lies on disk counts.
    ten.write("p3", {"plugins": {"p3": {"description": "p3 anew."}}})
    eventually(lambda: ten.description("p3") == "p3 anew.")
    assert ten.description("p1") == "Worse." and set(held(world.gateway)) == {"p2.toml"}
    assert world.gateway.status()["rolled_back_to"] is None


def test_a_comparison_and_history_name_what_is_held_back(world, ten):
    ten.start()
    replace(ten.path("p2"), ten.path("p2").read_text().replace("description", "descriptoin"))
    eventually(lambda: held(world.gateway))
    shown = world.gateway.command("diff").out
    assert "p2.toml would be refused at validate, 1 problem" in shown and "the last good part of it serves" in shown, shown
    ten.write("p3", {"plugins": {"p3": {"description": "p3 anew."}}})
    eventually(lambda: ten.description("p3") == "p3 anew.")
    listed = world.gateway.command("history").out
    assert "held back: plugins/p2.toml" in listed and "broken" not in listed, listed


def test_a_start_with_a_broken_file(world, ten):
    """The other nine serve; whoever wants none of it says so."""
    good = ten.path("p4").read_text()
    replace(ten.path("p4"), good + "\nnonsense")
    with pytest.raises(NotReady) as refused:
        ten.start(on_invalid="fail")
    assert refused.value.ran.code == 4 and "p4.toml" in refused.value.ran.out
    gateway = ten.start()
    eventually(lambda: "p4.toml" in gateway.stderr and "IS REFUSED" in gateway.stderr)
    for name in ten.names:
        if name != "p4":
            ten.serves(name)
    refusal(ten.client("p4").get("/todos"), 421, "unknown_host")
    assert held(gateway)["p4.toml"]["serves"] == "nothing"
    replace(ten.path("p4"), good)
    eventually(lambda: ten.client("p4").get("/todos").status_code == 200)
    assert world.gateway.command("status").code == 0


def test_a_new_file_that_is_broken_is_no_other_generation(world, ten):
    ten.start()
    generation = world.gateway.generation()
    (world.folder / "plugins/folder.toml").mkdir()
    replace(world.folder / "plugins/new.toml", "nonsense")
    found = eventually(lambda: len(now := held(world.gateway)) == 2 and now)
    assert all(file["serves"] == "nothing" for file in found.values())
    assert world.gateway.generation() == generation
    assert (reload := world.gateway.reload()).code == 3 and reload.json["result"] == "unchanged"


def test_a_start_at_which_nothing_would_serve_is_refused(world):
    ten = Ten(world, 1)
    replace(ten.path("p0"), "nonsense")
    with pytest.raises(NotReady) as refused:
        ten.start()
    assert refused.value.ran.code == 4


def test_of_two_that_contradict_each_other_the_one_that_changed_is_at_fault(world, ten):
    """Nobody takes over a host that another file has."""
    ten.start()
    ten.write("p0", {"plugins": {"p0": {"hosts": ["p0.test", "p5.test"], "description": "Both."}}})
    found = eventually(lambda: held(world.gateway))
    assert set(found) == {"p0.toml"} and "p5" in found["p0.toml"]["text"]
    assert ten.description("p5") == "This is p5." and ten.description("p0") == "This is p0."
    # The same with a secret.
    ten.write("p0", {"tokens": {"p0": {"sha256": sha256(ten.secret("p7"))}}})
    found = eventually(lambda: "secret" in (now := held(world.gateway))["p0.toml"]["text"] and now)
    assert set(found) == {"p0.toml"}
    ten.serves("p7")


def test_the_main_file_is_all_or_nothing(world, ten):
    ten.start()
    main = world.folder / "plugway.toml"
    good = main.read_text()
    replace(main, good + "\n[limits]\nidel = \"3s\"\n")
    ten.write("p0", {"plugins": {"p0": {"description": "Anew."}}})
    refused = world.gateway.await_refusal()
    assert "idel" in refused["text"]
    assert ten.description("p0") == "This is p0."
    replace(main, good)
    eventually(lambda: ten.description("p0") == "Anew.")


def test_less_guard_in_one_file_holds_back_that_file(world, ten):
    ten.start()
    ten.write("p0", {"plugins": {"p0": {"auth": {"require": "none"}}}})
    found = eventually(lambda: held(world.gateway))
    assert "--weaker" in found["p0.toml"]["text"] and found["p0.toml"]["stage"] == "self-test"
    ten.write("p1", {"plugins": {"p1": {"description": "Anew."}}})
    eventually(lambda: ten.description("p1") == "Anew.")
    refusal(world.session(tls=False, host="p0.test").get("/todos"), 401, "missing_token")
    assert world.gateway.reload("--weaker").code == 0
    assert world.session(tls=False, host="p0.test").get("/todos").status_code == 200


def test_less_guard_in_one_file_holds_it_back_over_restarts(world, ten):
    """Nothing of it serves, at every start, until somebody says that it is meant."""
    ten.start().stop()
    ten.write("p0", {"plugins": {"p0": {"auth": {"require": "none"}}}})
    for _ in range(2):
        gateway = ten.start()
        assert "--weaker" in held(gateway)["p0.toml"]["text"]
        ten.serves("p1")
        refusal(world.session(tls=False, host="p0.test").get("/todos"), 421, "unknown_host")
        gateway.stop()
    world.run("serve", "--config", "plugway.toml", "--weaker")
    assert world.session(tls=False, host="p0.test").get("/todos").status_code == 200


def test_a_folder_that_vanished_takes_nobody_away(world, ten):
    """Unmounted, say, or a link that leads nowhere; and it comes back."""
    ten.start()
    (world.folder / "plugins").rename(world.folder / "gone")
    refused = world.gateway.await_refusal()
    assert "plugins/*.toml" in refused["text"] and "10 files" in refused["text"] and "plugway reload" in refused["text"]
    ten.serves("p3")
    (world.folder / "gone").rename(world.folder / "plugins")
    eventually(lambda: world.gateway.command("status").code == 0)
    # It is meant.
    (world.folder / "plugins").rename(world.folder / "gone")
    world.gateway.await_refusal()
    reload = world.gateway.reload()
    assert reload.code == 0 and "10 files" in reload.out
    assert world.gateway.command("health").code == 1, "nothing is served"
    (world.folder / "gone").rename(world.folder / "plugins")
    eventually(lambda: world.gateway.command("health").code == 0)
    # Each as soon as its document came.
    eventually(lambda: ten.serves("p3") is None)


def test_a_start_without_a_plugin_is_not_ready(world):
    base = world.base({"include": ["plugins/*.toml"]})
    del base["plugins"], base["tokens"]
    write(world.folder, base)
    checked = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert checked.code == 0 and "nothing is served" in checked.err
    gateway = world.run("serve", "--config", "plugway.toml")
    assert gateway.ready["ready"] is False
    assert gateway.command("health").code == 1
    ten = Ten(world, 1)
    eventually(lambda: gateway.command("health").code == 0)
    ten.serves("p0")


def test_a_file_that_loses_an_operation_that_a_token_is_for(world, ten):
    ten.write("p0", {"tokens": {"p0": {"scopes": ["listTodos"]}}})
    ten.start()
    ten.write("p0", {"tokens": {"p0": {"scopes": ["listTodo"]}}})
    found = eventually(lambda: held(world.gateway))
    assert "listTodo" in found["p0.toml"]["text"]
    ten.serves("p0")


def test_a_secret_that_is_gone(world, ten):
    """A mounted secret that vanishes takes neither its plugin nor the others with it."""
    (world.folder / "secret").write_text("upstream-credential-of-p6")
    ten.write("p6", {"plugins": {"p6": {"upstream": {"credential": {"bearer": "${file:secret}"}}}}})
    ten.start()
    (world.folder / "secret").unlink()
    found = eventually(lambda: held(world.gateway))
    assert set(found) == {"p6.toml"}
    ten.serves("p6")
    ten.write("p1", {"plugins": {"p1": {"description": "Anew."}}})
    eventually(lambda: ten.description("p1") == "Anew.")
    ten.serves("p6")


def test_what_a_broken_file_wants_stands_in_nobodys_way(world, ten):
    """Neither while it runs nor after a restart."""
    ten.start()
    eventually(lambda: json.loads(world.gateway.command("history", "--json").out))
    ten.write("p0", {"plugins": {"p0": {"hosts": ["p0.test", "p5.test"]}}})
    eventually(lambda: held(world.gateway))
    ten.write("p5", {"plugins": {"p5": {"description": "Anew."}}, "tokens": {"p5": {"sha256": sha256("another-secret-of-p5")}}})
    eventually(lambda: ten.description("p5") == "Anew.")
    refusal(ten.client("p5").get("/todos"), 401, "invalid_token")
    assert set(held(world.gateway)) == {"p0.toml"}
    eventually(lambda: len(json.loads(world.gateway.command("history", "--json").out)) == 2)
    world.gateway.stop()
    ten.start()
    assert set(held(world.gateway)) == {"p0.toml"}
    assert ten.description("p5") == "Anew."


def test_many_that_contradict_each_other_in_turn(world):
    """A chain of conflicts is cut short: the loop answers, and what served goes on."""
    ten = Ten(world, 40)
    plugins, now, next_ = (world.folder / name for name in ("plugins", "now", "next"))
    plugins.rename(now)
    plugins.symlink_to("now")
    ten.start()
    # At once: the half of it would be something else, of which more could serve.
    next_.mkdir()
    for name in ten.names:
        number = int(name[1:])
        changes = {"plugins": {name: {"hosts": [f"p{number - 1}.test"]}}} if number > 1 else {}
        (next_ / f"{name}.toml").write_text(tomli_w.dumps(ten.config(name, changes)) + ("nonsense" if number == 1 else ""))
    (world.folder / "turned").symlink_to("next")
    (world.folder / "turned").rename(plugins)
    eventually(lambda: "p1.toml" in held(world.gateway) and len(held(world.gateway)) == 39)
    for name in ("p0", "p1", "p20", "p39"):
        assert ten.description(name) == f"This is {name}."


def waiting(gateway) -> dict[str, dict]:
    return {wait["file"].rsplit("/", 1)[-1]: wait for wait in gateway.status()["waiting"]}


def slow_plugin(upstream) -> dict:
    test = {"request": "GET /slow", "as": "service", "expect": 200, "upstream": True, "timeout": "20s"}
    slow = {"/slow": {"get": {"operationId": "slow", "responses": {"200": {"description": "ok"}}}}}
    upstream.on("GET", "/with-slow.json", Reply(body=json.dumps(document(paths={**DOCUMENT["paths"], **slow})).encode()))
    return {"description": "Slow.", "openapi": {"source": "/with-slow.json"}, "tests": [test], "upstream": {"url": upstream.url}}


def test_a_file_that_is_too_large_fails_alone(world, ten):
    ten.start()
    replace(ten.path("p0"), ten.path("p0").read_text() + "#" * (2 << 20))
    ten.write("p1", {"plugins": {"p1": {"description": "Anew."}}})
    eventually(lambda: ten.description("p1") == "Anew.")
    (held,) = eventually(lambda: world.gateway.status()["held"])
    assert held["file"].endswith("p0.toml") and "larger than 1024 KiB" in held["text"], held
    ten.serves("p0")


def test_what_an_editor_puts_beside_a_file_is_no_part(world, ten):
    (world.folder / "plugins/.#p0.toml").symlink_to("me@host.1:1")
    (world.folder / "plugins/.p1.toml.swp").write_text("nonsense")
    (world.folder / "plugins/.p1.toml").write_text("nonsense")
    gateway = ten.start()
    assert gateway.command("status").code == 0
    ten.serves("p1")


def test_a_test_that_gets_no_answer_keeps_nobody_else(world, ten, new_upstream):
    """Its file waits by itself, and `status` says for what; the others go on changing."""
    other = new_upstream()
    ten.start()
    held_up = Held(other, "/slow", Reply(body=b"[]"))
    ten.write("p0", {"plugins": {"p0": slow_plugin(other)}})
    assert held_up.came.wait(PATIENCE)
    for number in range(3):
        ten.write("p1", {"plugins": {"p1": {"description": f"Change {number}."}}})
        eventually(lambda: ten.description("p1") == f"Change {number}.")
    assert held_up.count == 1, "one question, however often another file changes"
    assert ten.description("p0") == "This is p0."
    ten.serves("p0")
    waits = waiting(world.gateway)
    assert set(waits) == {"p0.toml"} and "tests" in waits["p0.toml"]["for"]
    status = world.gateway.command("status")
    assert status.code == 3 and "p0.toml waits since" in status.out and "p0.toml is refused" not in status.out
    listed = world.gateway.command("history").out.splitlines()[0]
    assert "waiting: plugins/p0.toml" in listed and "held back" not in listed, listed
    held_up.open.set()
    eventually(lambda: ten.description("p0") == "Slow.")
    assert not waiting(world.gateway) and world.gateway.command("status").code == 0


def test_a_reload_answers_when_all_is_known(world, ten, new_upstream):
    """Also of a file that waits by itself: what else changed serves before that."""
    other = new_upstream()
    ten.start()
    held_up = Held(other, "/slow", Reply(status=503))
    ten.write("p0", {"plugins": {"p0": slow_plugin(other)}})
    assert held_up.came.wait(PATIENCE)
    answers = []
    asked = threading.Thread(target=lambda: answers.append(world.gateway.command("reload", "--json")))
    asked.start()
    ten.write("p1", {"plugins": {"p1": {"description": "Anew."}}})
    eventually(lambda: ten.description("p1") == "Anew.")
    held_up.open.set()
    asked.join(PATIENCE)
    assert answers and answers[0].json["held"][0]["stage"] == "self-test"
    assert "503" in answers[0].json["held"][0]["text"]
    assert ten.description("p0") == "This is p0."


def test_a_document_that_does_not_come_keeps_nobody_else(world, ten, new_upstream):
    """A new plugin whose document is awaited, and one whose document moves."""
    other = new_upstream()
    ten.start()
    held_up = Held(other, "/slow.json", Reply(body=json.dumps(DOCUMENT).encode()))
    moved = {"description": "Moved.", "openapi": {"source": other.url + "/slow.json"}}
    ten.write("p0", {"plugins": {"p0": moved}})
    assert held_up.came.wait(PATIENCE)
    for number in range(3):
        ten.write("p1", {"plugins": {"p1": {"description": f"Change {number}."}}})
        eventually(lambda: ten.description("p1") == f"Change {number}.")
    ten.names.append("new")
    ten.write("new", {"plugins": {"new": {"openapi": {"source": other.url + "/slow.json"}}}})
    eventually(lambda: set(waiting(world.gateway)) == {"p0.toml", "new.toml"})
    ten.serves("p0")
    held_up.open.set()
    eventually(lambda: ten.description("p0") == "Moved." and not waiting(world.gateway))
    assert held_up.count == 2, "each was asked for once"
    ten.serves("new")


def test_what_is_not_wanted_any_more_is_not_waited_for(world, ten, new_upstream):
    other = new_upstream()
    ten.start()
    held_up = Held(other, "/slow", Reply(body=b"[]"))
    ten.write("p0", {"plugins": {"p0": slow_plugin(other)}})
    assert held_up.came.wait(PATIENCE)
    ten.write("p0")
    eventually(lambda: not waiting(world.gateway))
    assert world.gateway.reload().code == 0
    assert not held_up.open.is_set() and ten.description("p0") == "This is p0."
    held_up.open.set()


def test_a_start_does_not_wait_for_a_test_for_ever(world, ten, new_upstream):
    """What is ready serves; the file that waits follows."""
    other = new_upstream()
    held_up = Held(other, "/slow", Reply(body=b"[]"))
    ten.write("p0", {"plugins": {"p0": slow_plugin(other)}})
    gateway = ten.start()
    assert not held_up.open.is_set()
    ten.serves("p1")
    assert set(waiting(gateway)) == {"p0.toml"}
    held_up.open.set()
    eventually(lambda: ten.description("p0") == "Slow.")


# --- secrets while something is broken ---


def opens(world, name: str, secret: str) -> bool:
    status = world.session(tls=False, host=f"{name}.test", token=secret).get("/todos").status_code
    assert status in (200, 401), status
    return status == 200


def test_the_secret_of_a_broken_file_is_rotated(world, ten):
    """What stands in for it is what it was, with the secrets of now."""
    secret = world.folder / "p3.sha256"
    replace(secret, sha256("the-first-secret-of-this-test"))
    ten.write("p3", {"tokens": {"p3": {"sha256": f"${{file:{secret}}}"}}})
    gateway = ten.start()
    assert opens(world, "p3", "the-first-secret-of-this-test")
    whole = ten.path("p3").read_text()
    replace(ten.path("p3"), whole + "nonsense")
    eventually(lambda: "p3.toml" in held(gateway))
    before = gateway.generation()
    replace(secret, sha256("the-second-secret-of-this-test"))
    eventually(lambda: opens(world, "p3", "the-second-secret-of-this-test"))
    assert "p3.toml" in held(gateway) and gateway.generation() == before + 1
    ten.write("p4", {"plugins": {"p4": {"description": "Anew."}}})
    eventually(lambda: ten.description("p4") == "Anew.")
    assert opens(world, "p3", "the-second-secret-of-this-test") and gateway.generation() == before + 2
    gateway.command("reload")
    assert gateway.generation() == before + 2
    replace(ten.path("p3"), whole)
    eventually(lambda: not held(gateway))
    assert opens(world, "p3", "the-second-secret-of-this-test")


def test_secrets_and_token_files_while_the_main_file_is_broken(world, ten):
    secret, tokens = world.folder / "p3.sha256", world.folder / "tokens.jsonl"
    replace(secret, sha256("the-first-secret-of-this-test"))
    ten.write("p3", {"tokens": {"p3": {"sha256": f"${{file:{secret}}}"}}})

    def hold(text: str) -> None:
        line = {"id": "filed", "level": "service", "name": "filed", "plugins": ["p3"], "scopes": ["*"], "sha256": sha256(text)}
        replace(tokens, json.dumps(line) + "\n")

    hold("the-first-secret-of-the-file")
    gateway = ten.start({"token_files": ["tokens.jsonl"]})
    assert opens(world, "p3", "the-first-secret-of-the-file")
    main = world.folder / "plugway.toml"
    whole = main.read_text()
    replace(main, whole + "\nnonsense")
    eventually(lambda: gateway.status()["pending_rejected"])
    replace(ten.path("p5"), ten.path("p5").read_text() + "nonsense")
    hold("the-second-secret-of-the-file")
    eventually(lambda: opens(world, "p3", "the-second-secret-of-the-file"))
    assert not opens(world, "p3", "the-first-secret-of-the-file")
    replace(secret, sha256("the-second-secret-of-this-test"))
    eventually(lambda: opens(world, "p3", "the-second-secret-of-this-test"))
    # And nothing else: what is refused is refused still.
    ten.write("p4", {"plugins": {"p4": {"description": "Anew."}}})
    assert gateway.command("reload").code == 4
    before = gateway.generation()
    assert gateway.command("reload").code == 4 and gateway.generation() == before
    assert gateway.status()["pending_rejected"]["problems"] and ten.description("p4") == "This is p4."
    replace(main, whole)
    eventually(lambda: ten.description("p4") == "Anew.")
    assert set(held(gateway)) == {"p5.toml"} and opens(world, "p3", "the-second-secret-of-this-test")


def test_a_secret_that_is_worse_keeps_nobody_else_from_changing(world, ten):
    """The file is refused for it, as before; the stand-in does not take it either."""
    secret = world.folder / "p3.sha256"
    replace(secret, sha256("the-first-secret-of-this-test"))
    ten.write("p3", {"tokens": {"p3": {"sha256": f"${{file:{secret}}}"}}})
    gateway = ten.start()
    replace(secret, sha256(ten.secret("p4")))  # which another token has
    eventually(lambda: held(gateway))
    ten.write("p6", {"plugins": {"p6": {"description": "Anew."}}})
    eventually(lambda: ten.description("p6") == "Anew.")
    assert opens(world, "p3", "the-first-secret-of-this-test") and "p6.toml" not in held(gateway)
    before = gateway.generation()
    gateway.command("reload")
    assert gateway.generation() == before
    replace(secret, sha256("the-second-secret-of-this-test"))
    eventually(lambda: not held(gateway))
    assert opens(world, "p3", "the-second-secret-of-this-test")


def refusals(gateway) -> int:
    """Attempts that were refused, as the metrics count them."""
    host, port = gateway.address("metrics")
    page = httpx.get(f"http://{host}:{port}/metrics", trust_env=False).text
    rows = [row for row in page.splitlines() if row.startswith("plugway_reload_total{") and 'result="refused"' in row]
    return sum(int(row.split()[-1]) for row in rows)


def test_a_broken_main_file_asks_no_upstream(world, ten):
    """A secret that changes meanwhile is taken without the tests that would ask the API, and nothing spins."""
    credential, path = world.folder / "credential", "/todos?tested"
    replace(credential, "first")
    test = {"request": f"GET {path}", "as": "service", "expect": 200, "upstream": True}
    auth = {"credential": {"header": {"name": "X-Key", "value": f"${{file:{credential}}}"}}}
    ten.write("p3", {"plugins": {"p3": {"upstream": auth, "tests": [test], "openapi": {"refresh": "1s"}}}})
    gateway = ten.start({"listen": {"metrics": "127.0.0.1:0"}})
    main = world.folder / "plugway.toml"
    replace(main, main.read_text() + "\nnonsense")
    eventually(lambda: gateway.status()["pending_rejected"])
    seen = refusals(gateway)
    world.upstream.forget()
    replace(credential, "second")

    def sends() -> str:
        ten.serves("p3")
        return world.upstream.last.get("x-key")

    eventually(lambda: sends() == "second")
    assert not [request for request in world.upstream.requests if "tested" in request.target]
    # Its document is due by now; it is looked at a few times at the most while somebody asks a hundred times.
    eventually(lambda: refusals(gateway) > seen)
    seen = refusals(gateway)
    for _ in range(100):
        assert gateway.status()["pending_rejected"]
    assert refusals(gateway) <= seen + 5


def test_the_last_good_generation_at_a_start_is_for_included_files_too(world, ten):
    ten.start()
    for name in ten.names:
        ten.serves(name)
    eventually(lambda: world.gateway.command("history", "--json").json)
    world.gateway.stop()
    good = ten.path("p3").read_text()
    replace(ten.path("p3"), good.replace("description", "descriptoin"))
    world.run("serve", "--config", "plugway.toml", "--on-invalid", "last-good")
    for name in ten.names:
        ten.serves(name)
    status = world.gateway.command("status")
    assert status.code == 3 and "p3.toml:" in status.out, status
    assert world.gateway.command("reload").code == 4
    # Another file changes: it counts again, and the broken one goes on with its last good part.
    ten.write("p4", {"plugins": {"p4": {"description": "Changed."}}})
    eventually(lambda: ten.client("p4").get("/.well-known/ai-plugin.json").json()["description_for_human"] == "Changed.")
    ten.serves("p3")
    assert "p3.toml" in held(world.gateway)
    replace(ten.path("p3"), good)
    eventually(lambda: world.gateway.command("status").code == 0)


def test_without_a_last_good_generation_what_is_not_broken_serves(world, ten):
    replace(ten.path("p3"), ten.path("p3").read_text().replace("description", "descriptoin"))
    base = world.base({"include": ["plugins/*.toml"]})
    del base["plugins"], base["tokens"]
    write(world.folder, base)
    world.run("serve", "--config", "plugway.toml", "--on-invalid", "last-good")
    ten.serves("p2")
    assert ten.client("p3").get("/todos").status_code == 421
    assert "p3.toml" in held(world.gateway)


def test_a_plugin_that_comes_without_its_document_takes_nothing_from_the_others(world, ten):
    """Whoever asks `/readyz` would send away the requests of all."""
    ten.start()
    ready = lambda: world.session(tls=False).get("/readyz").status_code
    eventually(lambda: ready() == 200)
    new = {"hosts": ["new.test"], "upstream": {"url": "http://127.0.0.1:9"}, "auth": {"require": "service"}}
    replace(world.folder / "plugins" / "new.toml", tomli_w.dumps({"plugins": {"new": new}}))
    ran = eventually(lambda: (now := world.gateway.command("reload")) and "the OpenAPI document of `new` can not be had" in now.err and now)
    assert ran.code == 0, ran
    assert set(world.gateway.reload().json["documents_missing"]) == {"new"}
    world.gateway.await_messages("the OpenAPI document can not be had: the plugin answers 503 until it can")
    assert ready() == 200 and world.gateway.command("health").code == 0
    refusal(ten.client("p0").get("/todos", headers={"Host": "new.test"}), 503, "document_unavailable")
    ten.serves("p0")


def test_secrets_that_are_held_by_another_one_are_told(world):
    """A token that was taken out of its file still opens, and whoever took it out has to know."""
    held, gone = "a-secret-that-is-held-0123456789", "a-secret-of-a-file-that-goes-0123"
    line = {"name": "held", "level": "service", "plugins": ["*"], "scopes": ["*"], "sha256": sha256(held)}
    replace(world.folder / "tokens.jsonl", json.dumps(line) + "\n")
    replace(world.folder / "secret", gone)
    token = {"level": "service", "plugins": ["*"], "scopes": ["*"], "secret": "${file:secret}"}
    world.start({"token_files": ["tokens.jsonl"], "tokens": {"other": token}})
    client = world.session(token=held)
    assert client.get("/todos").status_code == 200
    (world.folder / "secret").unlink()
    replace(world.folder / "tokens.jsonl", "# none\n")
    ran = eventually(lambda: (now := world.gateway.command("reload")).code == 4 and now)
    assert "token files are not taken either" in ran.err and client.get("/todos").status_code == 200, ran
    assert "token files are not taken either" in world.gateway.command("status").out
    assert world.gateway.reload().json["secrets_held"] is True
    replace(world.folder / "secret", gone)
    eventually(lambda: client.get("/todos").status_code == 401)
    assert world.gateway.status()["secrets_held"] is False
