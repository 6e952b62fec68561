"""Generations: kept, listed, compared, and taken up again."""

from __future__ import annotations

import copy
import json
import os
import threading

import httpx
import pytest

from clients import refusal
from materials import DOCUMENT, declared, operation, sha256, token
from plugway import NotReady, eventually, replace, run
from upstreams import Reply

MANIFEST = "/.well-known/ai-plugin.json"


def description(client) -> str:
    return client.get(MANIFEST).json()["description_for_human"]


def says(world, text: str) -> None:
    """Another generation."""
    world.change({"plugins": {"todo": {"description": text}}})
    assert world.gateway.reload().code == 0
    assert description(world.session()) == text


def history(gateway) -> list[dict]:
    ran = gateway.command("history", "--json")
    assert ran.code == 0, ran
    return json.loads(ran.out)


def roll_back(gateway, *arguments: str):
    return gateway.command("rollback", "--json", *arguments)


def test_what_served_is_listed(world):
    world.start()
    says(world, "Two.")
    world.change({"plugins": {"todo": {"description": "Three."}}})
    eventually(lambda: description(world.session()) == "Three.")
    listed = eventually(lambda: len(now := history(world.gateway)) == 3 and now)
    assert [one["number"] for one in listed] == [3, 2, 1]
    assert [one["serves"] for one in listed] == [True, False, False]
    assert listed[2]["cause"] == "start" and listed[1]["cause"] in ("reload", "file") and listed[0]["cause"] == "file"
    assert len({one["hash"] for one in listed}) == 3
    text = world.gateway.command("history").out
    assert text.startswith("*     3") and "todo (" in text


def test_back_and_forth(world):
    document = world.folder / "todo.json"
    document.write_text(json.dumps(DOCUMENT))
    logo = world.folder / "logo.svg"
    logo.write_text("<svg>one</svg>")
    world.start({"plugins": {"todo": {"logo": "logo.svg", "openapi": {"source": "./todo.json"}}}})
    client = world.session(token=world.service)
    changed = copy.deepcopy(DOCUMENT)
    changed["paths"]["/fresh"] = {"get": operation("fresh")}
    del changed["paths"]["/search"]
    replace(document, json.dumps(changed))
    replace(logo, "<svg>two</svg>")
    world.change({"plugins": {"todo": {"description": "Two."}}})
    eventually(lambda: client.get("/fresh").status_code == 200 and description(client) == "Two." and client.get("/logo.svg").text == "<svg>two</svg>")
    world.gateway.reload()
    before = world.gateway.generation()

    done = roll_back(world.gateway, "1")
    assert done.code == 0, done
    assert (done.json["result"], done.json["rolled_back_to"], done.json["generation"]) == ("published", 1, before + 1)
    refusal(client.get("/fresh"), 404, "no_route")
    assert client.get("/search").status_code == 200 and description(client) == "Manage your to-dos."
    assert client.get("/logo.svg").text == "<svg>one</svg>"
    # Nothing on disk changed: neither a poll nor a reload brings it back.
    again = world.gateway.reload()
    assert (again.code, again.json["result"], again.json["rolled_back_to"]) == (0, "unchanged", 1)
    assert world.gateway.status()["rolled_back_to"] == 1
    assert "generation 1" in world.gateway.command("status").out
    # Forward again, by its number.
    assert roll_back(world.gateway, str(before)).code == 0
    assert client.get("/fresh").status_code == 200 and client.get("/logo.svg").text == "<svg>two</svg>"
    assert roll_back(world.gateway, "1").code == 0
    # A file that changes counts again, with all the others.
    world.change({"plugins": {"todo": {"description": "Three."}}})
    eventually(lambda: description(client) == "Three.")
    assert client.get("/fresh").status_code == 200 and client.get("/logo.svg").text == "<svg>two</svg>"
    assert world.gateway.status()["rolled_back_to"] is None
    causes = [one["cause"] for one in history(world.gateway)]
    assert causes[:1] == ["file"] and causes.count("rollback") == 3


def test_an_edit_that_is_refused_does_not_end_it(world):
    secret = world.folder / "secret"
    first, second = token(), token()
    secret.write_text(first)
    world.start({"tokens": {"filed": {"level": "service", "plugins": ["todo"], "scopes": ["*"], "secret": "${file:secret}"}}})
    gateway, client = world.gateway, world.session(token=first)
    gateway.secrets |= {first, second}
    says(world, "Two.")
    path = world.folder / "plugway.toml"
    two = path.read_text()
    assert roll_back(gateway).code == 0 and gateway.generation() == 3
    replace(path, two.replace("description =", "descriptoin ="))
    gateway.await_refusal()
    status = gateway.status()
    assert (status["rolled_back_to"], status["generation"]["number"]) == (1, 3)
    told = gateway.command("status")
    assert told.code == 3 and "what generation 1 was serves; the files on disk are refused" in told.out, told
    refused = gateway.command("reload")
    assert refused.code == 4 and "the rollback holds" in refused.err, refused
    # Secrets go on changing.
    replace(secret, second)
    eventually(lambda: client.get("/todos", token=second).status_code == 200)
    assert gateway.status()["rolled_back_to"] == 1 and description(client) == "Manage your to-dos."
    # What lay there is what was rolled back from: nothing is refused, and it holds.
    replace(path, two)
    eventually(lambda: gateway.status()["pending_rejected"] is None)
    assert gateway.reload().json["rolled_back_to"] == 1 and description(client) == "Manage your to-dos."
    # It outlives a restart as well, until an edit is accepted.
    replace(path, two.replace("description =", "descriptoin ="))
    gateway.await_refusal()
    eventually(lambda: history(gateway)[0]["rolled_back_to"] == 1)
    gateway.stop()
    with pytest.raises(NotReady) as failed:
        world.run("serve", "--config", "plugway.toml", "--on-invalid", "fail")
    assert failed.value.ran.code == 4
    gateway = world.run("serve", "--config", "plugway.toml")
    gateway.secrets |= {first, second}
    assert description(client := world.session(token=second)) == "Manage your to-dos."
    eventually(lambda: "THE CONFIGURATION IS REFUSED" in gateway.stderr)
    assert gateway.status()["rolled_back_to"] == 1 and gateway.status()["pending_rejected"]
    replace(path, two.replace("Two.", "Four."))
    eventually(lambda: description(client) == "Four.")
    assert gateway.status()["rolled_back_to"] is None and gateway.command("status").code == 0


def test_without_a_number_it_is_the_one_before(world):
    world.start()
    says(world, "Two.")
    says(world, "Three.")
    client = world.session()
    assert roll_back(world.gateway).json["rolled_back_to"] == 2 and description(client) == "Two."
    assert roll_back(world.gateway).json["rolled_back_to"] == 1 and description(client) == "Manage your to-dos."
    none = roll_back(world.gateway)
    assert none.code == 1 and none.json["code"] == "unknown_generation"
    unknown = roll_back(world.gateway, "99")
    assert unknown.code == 1 and "99" in unknown.json["detail"]
    assert description(client) == "Manage your to-dos."


def test_a_fetched_document_is_that_of_the_generation(world):
    world.start()
    client = world.session(token=world.service)
    changed = copy.deepcopy(world.upstream.document)
    changed["paths"]["/fresh"] = {"get": operation("fresh")}
    world.upstream.document = changed
    assert world.gateway.reload().json["result"] == "published"
    assert client.get("/fresh").status_code == 200
    assert roll_back(world.gateway).code == 0
    refusal(client.get("/fresh"), 404, "no_route")
    # It is not asked for again until the rollback ends.
    assert world.gateway.reload().json["result"] == "unchanged"
    refusal(client.get("/fresh"), 404, "no_route")
    world.change({"plugins": {"todo": {"description": "Anew."}}})
    eventually(lambda: client.get("/fresh").status_code == 200)


def test_an_edit_that_has_to_wait_ends_a_rollback_when_it_is_accepted(world):
    world.start()
    says(world, "Two.")
    assert roll_back(world.gateway).code == 0
    client = world.session(token=world.service)
    other = copy.deepcopy(DOCUMENT)
    other["paths"]["/fresh"] = {"get": operation("fresh")}
    asked, answered = threading.Event(), threading.Event()

    def slow(_):
        asked.set()
        answered.wait(20)
        return Reply(body=json.dumps(other).encode())

    world.upstream.on("GET", "/other.json", slow)
    world.change({"plugins": {"todo": {"openapi": {"source": "/other.json"}, "description": "Three."}}})
    assert asked.wait(20)
    assert world.gateway.status()["rolled_back_to"] == 1 and description(client) == "Manage your to-dos."
    answered.set()
    eventually(lambda: client.get("/fresh").status_code == 200 and description(client) == "Three.")
    assert world.gateway.status()["rolled_back_to"] is None


def test_a_rollback_that_is_refused_leaves_nothing_behind(world):
    lost = token()
    world.start({"tokens": {"lost": declared(lost)}})
    client = world.session(token=world.service)
    fewer = copy.deepcopy(world.upstream.document)
    del fewer["paths"]["/search"]
    world.upstream.document = fewer
    config = copy.deepcopy(world.config)
    del config["tokens"]["lost"]
    from plugway import write

    write(world.folder, config)
    eventually(lambda: world.gateway.generation() == 2)
    assert world.gateway.reload().code == 0
    refusal(client.get("/search"), 404, "no_route")
    assert roll_back(world.gateway, "1").code == 1
    world.upstream.document = None
    config["plugins"]["todo"]["description"] = "Anew."
    write(world.folder, config)
    eventually(lambda: description(client) == "Anew.")
    refusal(client.get("/search"), 404, "no_route")


def test_what_may_be_weaker_is_what_lay_there_when_it_was_said(world):
    """A command that waits for a document says nothing of what is saved meanwhile."""
    world.plugin({"auth": {"require": "service"}})
    asked, go_on = threading.Event(), threading.Event()

    def slow(_request):
        asked.set()
        go_on.wait(20)
        return Reply(json=world.upstream.document)

    world.upstream.on("GET", "/openapi.json", slow)
    waiting: list = []
    thread = threading.Thread(target=lambda: waiting.append(world.gateway.reload("--weaker")))
    thread.start()
    assert asked.wait(20)
    world.change({"plugins": {"todo": {"auth": {"require": "none"}, "description": "Weaker."}}})
    go_on.set()
    thread.join(20)
    assert waiting[0].json["result"] == "refused" and "--weaker" in waiting[0].json["text"], waiting
    refusal(world.session().get("/todos"), 401, "missing_token")


def test_certificates_and_secrets_are_as_they_are_now(world):
    (world.folder / "said").write_text("one")
    world.start({"plugins": {"todo": {"auth": {"require": "any", "verification_tokens": {"openai": "${file:said}"}}}}})
    says(world, "Two.")
    replace(world.folder / "said", "two")
    client = world.session()
    shown = lambda: client.get(MANIFEST).json()["auth"]["verification_tokens"]["openai"]  # noqa: E731
    eventually(lambda: shown() == "two")
    assert roll_back(world.gateway, "1").code == 0
    assert description(client) == "Manage your to-dos." and shown() == "two"
    # They go on changing while it holds.
    replace(world.folder / "said", "three")
    eventually(lambda: shown() == "three")
    assert description(client) == "Manage your to-dos."


def test_a_secret_that_was_removed_stays_removed(world):
    lost = token()
    world.start({"tokens": {"lost": declared(lost)}})
    assert world.session(token=lost).get("/todos").status_code == 200
    says(world, "Two.")
    config = copy.deepcopy(world.config)
    del config["tokens"]["lost"]
    config["plugins"]["todo"]["description"] = "Three."
    from plugway import write

    write(world.folder, config)
    eventually(lambda: description(world.session()) == "Three.")
    refused = roll_back(world.gateway, "1")
    assert refused.code == 1 and refused.json["result"] == "refused" and "lost" in refused.json["text"], refused
    refusal(world.session(token=lost).get("/todos"), 401, "invalid_token")
    assert description(world.session()) == "Three." and world.gateway.status()["rolled_back_to"] is None
    # The file still counts.
    config["plugins"]["todo"]["description"] = "Four."
    write(world.folder, config)
    eventually(lambda: description(world.session()) == "Four.")


def test_a_token_that_was_ended_stays_ended(world):
    ended = token()
    world.start({"tokens": {"ended": declared(ended)}})
    world.change({"tokens": {"ended": {"expires": "2020-01-01T00:00:00Z"}}, "plugins": {"todo": {"description": "Two."}}})
    eventually(lambda: description(world.session()) == "Two.")
    refusal(world.session(token=ended).get("/todos"), 401, "invalid_token")
    refused = roll_back(world.gateway)
    assert refused.code == 1 and "ended" in refused.json["text"], refused
    refusal(world.session(token=ended).get("/todos"), 401, "invalid_token")


def test_less_guard_has_to_be_said(world):
    world.plugin({"auth": {"require": "any"}})
    world.change({"plugins": {"todo": {"auth": {"require": "service"}}}})
    eventually(lambda: world.gateway.generation() == 2)
    refused = roll_back(world.gateway)
    assert refused.code == 1 and "--weaker" in refused.json["text"]
    refusal(world.session(token=world.user).get("/todos"), 403, "wrong_level")
    assert roll_back(world.gateway, "--weaker").code == 0
    assert world.session(token=world.user).get("/todos").status_code == 200


def test_numbers_go_on_after_a_restart(world):
    world.start()
    says(world, "Two.")
    eventually(lambda: len(history(world.gateway)) == 2)
    world.gateway.stop()
    # The very same bytes are the same generation.
    world.run("serve", "--config", "plugway.toml")
    assert world.gateway.generation() == 2
    assert roll_back(world.gateway, "1").code == 0
    assert description(world.session()) == "Manage your to-dos."
    eventually(lambda: len(history(world.gateway)) == 3)
    world.gateway.stop()
    # A restart does not bring back what was taken away.
    world.run("serve", "--config", "plugway.toml")
    assert world.gateway.generation() == 3 and description(world.session()) == "Manage your to-dos."
    eventually(lambda: "THE ROLLBACK HOLDS" in world.gateway.stderr)
    assert world.gateway.status()["rolled_back_to"] == 1
    world.change({"plugins": {"todo": {"description": "Three."}}})
    eventually(lambda: description(world.session()) == "Three.")
    world.gateway.stop()
    # And what changed meanwhile counts.
    world.change({"plugins": {"todo": {"description": "Four."}}})
    world.run("serve", "--config", "plugway.toml")
    assert description(world.session()) == "Four."


def test_the_last_good_generation_at_a_start(world):
    world.start()
    says(world, "Two.")
    eventually(lambda: len(history(world.gateway)) == 2)
    world.gateway.stop()
    path = world.folder / "plugway.toml"
    good = path.read_text()
    replace(path, good + "\n[plugins.todo\n")
    with pytest.raises(NotReady) as refused:
        world.run("serve", "--config", "plugway.toml")
    assert refused.value.ran.code == 4
    gateway = world.run("serve", "--config", "plugway.toml", "--on-invalid", "last-good")
    eventually(lambda: "REFUSED" in gateway.stderr and "plugway.toml:" in gateway.stderr)
    client = world.session(token=world.service)
    assert description(client) == "Two." and client.get("/todos").status_code == 200
    status = gateway.command("status")
    assert status.code == 3 and "plugway.toml:" in status.out and "generation 2" in status.out
    listed = gateway.command("history").out
    assert "last-good (the files were refused)" in listed and "generation 2 serves, what generation 2 was" not in listed, listed
    assert "the last good one, taken up at a start whose files were refused" in gateway.command("diff").out
    assert gateway.status()["pending_rejected"]["problems"]
    replace(path, good.replace("Two.", "Mended."))
    eventually(lambda: description(client) == "Mended.")
    assert gateway.command("status").code == 0


def test_a_reload_says_what_a_start_refused(world):
    """Whoever deploys by it would take "nothing changed" for success."""
    world.start()
    eventually(lambda: len(history(world.gateway)) == 1)
    world.gateway.stop()
    path = world.folder / "plugway.toml"
    good = path.read_text()
    replace(path, good.replace("[listen]", "[listening]"))
    gateway = world.run("serve", "--config", "plugway.toml", "--on-invalid", "last-good")
    for _ in range(2):
        ran = gateway.command("reload")
        assert ran.code == 4 and "listening" in ran.err and "plugway.toml:" in ran.err, ran
        assert gateway.reload().json["pending_rejected"]["problems"]
    replace(path, good)
    eventually(lambda: gateway.command("status").code == 0)
    assert gateway.command("reload").code == 0


def test_the_last_good_generation_that_nobody_kept(world):
    (world.folder / "plugway.toml").write_text("nonsense")
    with pytest.raises(NotReady) as refused:
        world.run("serve", "--config", "plugway.toml", "--on-invalid", "last-good")
    assert refused.value.ran.code == 4


def test_a_document_that_can_not_be_had_at_a_start_is_the_last_good_copy(world):
    world.start()
    eventually(lambda: len(history(world.gateway)) == 1)
    world.gateway.stop()
    world.upstream.document = None
    world.run("serve", "--config", "plugway.toml")
    client = world.session(token=world.service)
    assert client.get("/todos").status_code == 200
    document = world.gateway.status()["plugins"][0]["document"]
    assert document["state"] == "last good copy" and document["error"]
    assert client.get("/readyz").status_code == 200


def test_what_differs(world):
    secret = token()
    (world.folder / "credential").write_text("upstream-credential-one")
    world.start({"tokens": {"shown": declared(secret)}, "plugins": {"todo": {"upstream": {"credential": {"bearer": "${file:credential}"}}}}})
    world.gateway.secrets |= {"upstream-credential-one", "upstream-credential-two"}
    replace(world.folder / "credential", "upstream-credential-two")
    eventually(lambda: world.gateway.generation() == 2)
    world.change({"plugins": {"todo": {"description": "Two.", "openapi": {"exclude": ["search"]}, "auth": {"require": "service"}}}})
    eventually(lambda: world.gateway.generation() == 3)
    ran = world.gateway.command("diff", "1", "3", "--json")
    assert ran.code == 0, ran
    diff = ran.json
    assert (diff["from"], diff["to"]) == (1, 3)
    text = diff["configuration"][0]["diff"]
    assert '-description = "Manage your to-dos."' in text and '+description = "Two."' in text
    assert {"file": "credential", "change": "changed"} in diff["files"]
    todo = diff["plugins"][0]
    assert todo["require"] == ["any", "service"]
    assert {"id": "search", "request": "GET /search", "change": "removed"} in todo["operations"]
    assert {"file": "/openapi.json", "change": "changed"} in todo["documents"]
    shown = world.gateway.command("diff", "1", "3").out
    assert "- search (GET /search)" in shown and "require any -> service" in shown
    for said in (ran.out, shown):
        assert "upstream-credential" not in said and secret not in said
    # With what lies on disk, also where that is refused.
    same = world.gateway.command("diff").out
    assert "nothing differs" in same and same.startswith("from generation 3, which serves\nto   the files on disk\n")
    codes = lambda *which: [world.gateway.command("diff", *which, *more, "--exit-code").code for more in ([], ["--json"])]  # noqa: E731
    assert codes("1", "3") == [1, 1] and codes() == [0, 0] and codes("77") == [1, 1]
    path = world.folder / "plugway.toml"
    good = path.read_text()
    replace(path, good.replace("description =", "descriptoin ="))
    world.gateway.await_refusal()
    broken = world.gateway.command("diff").out
    assert "descriptoin" in broken and "would be refused at validate" in broken and "plugway.toml:" in broken
    assert "the files on disk, which would be refused\n" in broken and "1 problem (see also `plugway check`)" in broken
    assert codes() == [4, 4] and codes("1", "3") == [1, 1] and world.gateway.command("diff").code == 0
    wrong = world.gateway.command("diff", "nonsense")
    assert wrong.code == 2 and "nonsense" not in wrong.out
    assert world.gateway.command("diff", "77").code == 1
    # Looking changed nothing.
    assert world.gateway.generation() == 3
    assert world.session(token=world.service).get("/todos").status_code == 200


def test_a_comparison_says_what_it_compares(world):
    world.start()
    says(world, "Two.")
    says(world, "Three.")
    assert roll_back(world.gateway, "1").code == 0
    shown = world.gateway.command("diff").out
    assert shown.startswith("from generation 4, which serves: what generation 1 was, rolled back to\nto   the files on disk\n"), shown
    shown = world.gateway.command("diff", "2").out
    assert shown.startswith("from generation 2\nto   generation 4, which serves: what generation 1 was"), shown
    listed = world.gateway.command("history").out
    assert "rollback to 1" in listed and "generation 4 serves, what generation 1 was" in listed, listed


def test_what_would_be_refused_for_more_than_its_text(world):
    """Less guard, and a test that fails: only the self-test sees them."""
    world.start({"plugins": {"todo": {"auth": {"require": "service"}}}})
    path = world.folder / "plugway.toml"
    good = path.read_text()
    replace(path, good.replace('require = "service"', 'require = "none"'))
    world.gateway.await_refusal()
    shown = world.gateway.command("diff").out
    assert "require service -> none" in shown and "disk would be refused at self-test, 1 problem" in shown, shown
    replace(path, good)
    eventually(lambda: not world.gateway.status()["pending_rejected"])
    assert "refused" not in world.gateway.command("diff").out


def test_comments_and_what_may_be_a_secret_are_masked(world):
    world.start()
    path = world.folder / "plugway.toml"
    hidden = "a-password-of-mine"
    world.gateway.secrets.add(hidden)
    added = f'# it was {hidden}\n[plugins.todo.operations.search]\nfixed = {{ q = "{hidden}" }}\n[plugins.todo.headers]\nrequest = {{ set = {{ X-Key = "{hidden}" }} }}\n'
    replace(path, path.read_text() + "\n" + added)
    eventually(lambda: world.gateway.generation() == 2)
    for arguments in (("diff", "1", "2"), ("diff", "1", "2", "--json")):
        shown = world.gateway.command(*arguments)
        assert shown.code == 0 and "X-Key" in shown.out and hidden not in shown.out, shown
    # What differs in nothing that is shown is told all the same.
    replace(path, path.read_text().replace(f"# it was {hidden}", f"# it was {hidden[::-1]}"))
    eventually(lambda: world.gateway.generation() == 3)
    told = "file plugway.toml changed in a comment or in what may be a secret"
    shown = world.gateway.command("diff", "2", "3").out
    assert told in shown, shown
    # Also beside what is shown; and a rollback takes up what was written, not what is shown of it.
    other = path.read_text().replace(f'q = "{hidden}"', f'q = "{hidden[::-1]}"')
    replace(path, other + '[[plugins.todo.tests]]\nrequest = "GET /none"\nas = "service"\nexpect = 404\n')
    eventually(lambda: world.gateway.generation() == 4)
    shown = world.gateway.command("diff", "3", "4").out
    assert told in shown and '+request = "GET /none"' in shown and hidden[::-1] not in shown, shown
    assert roll_back(world.gateway, "3").code == 0
    assert "nothing differs" in world.gateway.command("diff", "3", "5").out


def test_a_literal_secret_on_disk_is_not_shown(world):
    world.start()
    path = world.folder / "plugway.toml"
    world.gateway.secrets.add("a-literal-secret-of-mine")
    replace(path, path.read_text() + '\n[tokens.x]\nlevel = "service"\nplugins = ["todo"]\nscopes = ["*"]\nsecret = "a-literal-secret-of-mine"\n')
    world.gateway.await_refusal()
    for arguments in (("diff",), ("diff", "--json"), ("status",), ("history", "--json")):
        assert "a-literal-secret" not in world.gateway.command(*arguments).out


def test_writers_say_which_generation_they_know(world):
    world.start()
    says(world, "Two.")
    socket = world.gateway.ready["admin"].removeprefix("unix:")
    transport = httpx.HTTPTransport(uds=str(world.folder / socket))
    with httpx.Client(transport=transport, base_url="http://plugway", timeout=20) as admin:
        assert admin.get("/status").headers["etag"] == '"2"'
        for path in ("/reload", "/rollback", "/tokens"):
            got = admin.post(path, headers={"if-match": '"1"'})
            assert got.status_code == 412 and got.json()["code"] == "generation_changed", (path, got.text)
        assert admin.post("/reload", headers={"if-match": "2"}).status_code == 400
        assert admin.post("/reload", headers={"if-match": 'W/"2"'}).status_code == 412
        assert admin.post("/reload", headers={"if-match": '"1", "2"'}).status_code == 200
        rolled = admin.post("/rollback?generation=1", headers={"if-match": '"2"'})
        assert rolled.status_code == 200 and rolled.headers["etag"] == '"3"'
        assert admin.post("/rollback?generation=x").status_code == 400
        assert admin.get("/history").status_code == 200
        assert admin.get("/diff?from=1&to=2").status_code == 200
        assert admin.get("/diff?from=x").status_code == 400
    conflict = world.gateway.command("rollback", "1", "--if-match", "2", "--json")
    assert conflict.code == 5 and conflict.json["code"] == "generation_changed"
    assert world.gateway.command("reload", "--if-match", "3").code == 0


def test_without_a_state_database_it_serves_all_the_same(world):
    """A container whose file system can not be written."""
    world.start({"listen": {"admin": "unix:admin.sock"}, "state": {"directory": "/proc/plugway"}})
    says(world, "Two.")
    refused = roll_back(world.gateway)
    assert refused.code == 1
    eventually(lambda: "generations are not kept" in world.gateway.stderr)
    assert run("check", "--config", "plugway.toml", cwd=world.folder).code == 0


def test_a_backup_holds_what_can_be_rolled_back_to(world):
    gateway = world.start()
    says(world, "Two.")
    assert gateway.command("state", "backup", "saved").code == 0
    says(world, "Three.")
    assert gateway.generation() == 3
    gateway.stop()
    (world.folder / "state" / "plugway.redb").unlink()
    restored = run("state", "restore", "saved", "--config", "plugway.toml", "--json", cwd=world.folder)
    assert restored.code == 0 and restored.json["generations"] == 2, restored
    gateway = world.run("serve", "--config", "plugway.toml")
    # The file beside the database knows the number, and that these are its bytes.
    assert gateway.generation() == 3
    assert {one["number"] for one in history(gateway)} == {1, 2, 3}
    assert roll_back(gateway, "1").code == 0 and gateway.generation() == 4
    assert description(world.session(token=world.service)) == "Manage your to-dos."


def test_a_start_is_not_what_made_a_generation(world):
    world.start()
    says(world, "Two.")
    rolled = roll_back(world.gateway, "1")
    assert rolled.code == 0, rolled
    before = history(world.gateway)
    world.gateway.stop()
    world.run("serve", "--config", "plugway.toml")
    after = history(world.gateway)
    assert after == before
    assert after[0]["number"] == 3 and after[0]["cause"] == "rollback" and after[0]["by"]


def test_what_can_not_be_taken_up_is_said(world):
    """A generation that came of a command line has nothing that a file could bring back."""
    for number in range(2):
        gateway = world.dev()
        if number == 0:
            gateway.stop()
    ran = gateway.command("rollback")
    assert ran.code == 5 and "command line" in ran.err, ran


def test_a_rollback_goes_past_what_differs_in_secrets_alone(world):
    secret = world.folder / "secret"
    secret.write_text(token())
    world.start({"tokens": {"other": {"secret": "${file:secret}", "level": "service", "plugins": ["todo"], "scopes": ["*"]}}})
    says(world, "Two.")
    replace(secret, token())
    eventually(lambda: world.gateway.generation() == 3)
    done = roll_back(world.gateway)
    assert done.code == 0 and done.json["rolled_back_to"] == 1, done
    assert description(world.session()) == "Manage your to-dos."
    # Asked for by its number, it is said what differs.
    says(world, "Four.")
    replace(secret, token())
    eventually(lambda: world.gateway.generation() == 6)
    refused = roll_back(world.gateway, "5")
    assert refused.code == 5 and "in secrets and tokens alone" in refused.err + refused.out, refused
    assert description(world.session()) == "Four."


def test_a_rollback_does_not_believe_an_empty_token_file(world):
    secret, tokens = token(), world.folder / "tokens.jsonl"
    tokens.write_text(json.dumps({"sha256": sha256(secret), "level": "service", "name": "ci", "plugins": ["todo"], "scopes": ["*"]}) + "\n")
    world.start({"token_files": ["tokens.jsonl"]})
    says(world, "Two.")
    client = world.session(token=secret)
    assert client.get("/todos").status_code == 200
    replace(tokens, "")
    eventually(lambda: "is empty" in world.gateway.command("status").out)
    refused = roll_back(world.gateway, "1")
    assert refused.code == 4 and "is empty" in refused.out, refused
    assert client.get("/todos").status_code == 200 and description(client) == "Two."


def test_who_reloads_is_told_which_tokens_end_with_it(world):
    names = [f"batch-{number:02}" for number in range(12)]
    secrets = {name: token() for name in names}
    line = lambda name: json.dumps({"sha256": sha256(secrets[name]), "level": "service", "name": name, "plugins": ["todo"], "scopes": ["*"]}) + "\n"  # noqa: E731
    tokens = world.folder / "tokens.jsonl"
    tokens.write_text("".join(map(line, names)))
    world.start({"token_files": ["tokens.jsonl"]})
    before = {found["name"]: found["id"] for found in world.gateway.command("token", "list", "--json").json}
    # A line that says something else of the same token ends none.
    changed = line(names[11]).replace('"*"', '"todo:listTodos"')
    replace(tokens, "".join(map(line, names[1:11])) + changed)
    told = world.gateway.reload()
    # The change was seen before, or is now.
    if told.json["result"] == "published":
        assert (told.json["tokens_ended"], told.json["tokens_ended_ids"]) == (1, [before[names[0]]]), told
    eventually(lambda: world.session(token=secrets[names[0]]).get("/todos").status_code == 401)
    replace(tokens, "")
    eventually(lambda: "is empty" in world.gateway.command("status").out)
    told = world.gateway.reload()
    assert told.json["tokens_ended"] == 11, told
    assert told.json["tokens_ended_ids"] == sorted(before[name] for name in names[1:])[:10], told
    replace(tokens, line(names[0]))
    eventually(lambda: world.session(token=secrets[names[0]]).get("/todos").status_code == 200)
    replace(tokens, "")
    eventually(lambda: "is empty" in world.gateway.command("status").out)
    said = world.gateway.command("reload")
    assert f"1 token ended, since no file declares it any more: {before[names[0]]}" in said.err, said


def test_who_reloads_what_was_taken_already_is_told_its_warnings(world):
    """A save is seen before a command can be typed; what it did is not to be silent for that."""
    world.start()
    world.change({"plugins": {"todo": {"hosts": ["localhost", "bare.test"]}}})
    eventually(lambda: world.gateway.generation() == 2)
    told = world.gateway.reload()
    assert told.json["result"] == "unchanged" and "no certificate covers bare.test" in told.json["warnings"], told
    assert "no certificate covers bare.test" in world.gateway.command("reload").err


def test_half_a_file_that_is_read_ends_no_plugin(world):
    """What is left of it after a cut is valid, and has no plugin."""
    world.start()
    client = world.session(token=world.service)
    from plugway import write

    half = {name: part for name, part in world.config.items() if name not in ("plugins", "tokens")}
    write(world.folder, half)
    eventually(lambda: "no plugin any more" in world.gateway.command("status").out)
    assert world.gateway.generation() == 1
    assert client.get("/todos").status_code == 200
    # Who asks means it.
    assert world.gateway.reload().code == 0
    refusal(client.get("/todos"), 421, "unknown_host")


def test_a_backup_takes_the_place_of_nothing_else(world):
    gateway = world.start()
    folder = world.folder / "kept"
    (folder / "directory").mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "link").symlink_to("saved")
    (folder / "astray").symlink_to("nowhere")
    os.mkfifo(folder / "fifo")
    for name, why in [("notes.txt", "no backup"), ("fifo", "a FIFO"), ("directory", "a directory"), ("astray", "leads nowhere")]:
        ran = gateway.command("state", "backup", str(folder / name))
        assert ran.code == 1 and why in ran.err, ran
    assert (folder / "notes.txt").read_text() == "mine" and (folder / "fifo").is_fifo() and (folder / "astray").is_symlink()
    (folder / "saved").touch()
    for _ in range(2):
        assert gateway.command("state", "backup", str(folder / "link")).code == 0
    assert (folder / "link").is_symlink() and (folder / "saved").read_text().startswith('{"plugway_backup"')
    for name in ("-", "/dev/stdout"):
        ran = gateway.command("state", "backup", name)
        assert ran.code == 0 and ran.out.startswith('{"plugway_backup"') and "bytes" in ran.err, ran
    assert not (world.folder / "-").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["astray", "directory", "fifo", "link", "notes.txt", "saved"]
    nowhere = gateway.command("state", "backup", str(folder / "none/backup"))
    assert nowhere.code == 1 and f"there is no directory {folder / 'none'}" in nowhere.err, nowhere
