"""The commands about tokens: each against a running gateway and on the state database."""

from __future__ import annotations

import json
import re

import plugway
import pytest

from conftest import World
from desk import PUBLIC, Desk, refused
from materials import declared, sha256, token

TOKEN = re.compile(r"pl([sua])_[0-9A-Za-z]{46}")
ID = re.compile(r"pl[sua]_[0-9A-Za-z]{8}")


@pytest.fixture(params=["gateway", "database"])
def desk(request, world: World) -> Desk:
    """Each test runs against a gateway, and where none runs."""
    running = request.param == "gateway"
    if running:
        world.start()
    else:
        world.config = world.base()
        plugway.write(world.folder, world.config)
    return Desk(world, running)


# --- a token is made ---


@pytest.mark.parametrize("level", ["service", "user", "admin"])
def test_generate_touches_nothing(world: World, level: str):
    for as_json in (True, False):
        ran = plugway.run("token", "generate", "--level", level, *["--json"] * as_json, cwd=world.folder)
        assert ran.code == 0, ran
        if as_json:
            made = ran.json
            assert set(made) == {"id", "secret", "sha256"} and ran.err == ""
        else:
            secret = ran.out.removesuffix("\n")
            made = {"secret": secret, "id": secret[:12], "sha256": sha256(secret)}
            assert secret not in ran.err and made["id"] in ran.err and made["sha256"] in ran.err
        assert TOKEN.fullmatch(made["secret"])[1] == level[0]
        assert made["id"] == made["secret"][:12] and made["sha256"] == sha256(made["secret"])
    assert not (world.folder / "state").exists()


def test_create_prints_the_secret_alone(desk: Desk):
    ran = desk.token("create", "--name", "tuesday", *PUBLIC)
    assert ran.code == 0, ran
    secret = ran.out.removesuffix("\n")
    assert TOKEN.fullmatch(secret), ran.out
    assert secret not in ran.err and f"created {secret[:12]}" in ran.err and "shown this once" in ran.err
    shown = desk.show(secret[:12])
    assert (shown["name"], shown["level"], shown["plugins"], shown["scopes"]) == ("tuesday", "service", ["todo"], ["listTodos"])
    assert (shown["state"], shown["source"], shown["expires"]) == ("active", "state", None)


def test_create_as_json(desk: Desk):
    made = desk.create("x", "--expires", "90d", "--rate", "10/s", "--quota", "1000/day", "--concurrency", "3",
                       "--network", "10.0.0.0/8", "--network", "2001:db8::/32", "--note", "for Tuesday", "--not-before", "2020-01-01")
    value = made.value
    assert made.id == made.secret[:12] and value["changed"] is True
    assert (value["rate"], value["quota"], value["concurrency"]) == ("10/s", "1000/day", 3)
    assert value["networks"] == ["10.0.0.0/8", "2001:db8::/32"]
    assert (value["note"], value["not_before"]) == ("for Tuesday", "2020-01-01T00:00:00Z")
    assert value["expires"] > value["created_at"] and value["created_by"].startswith("unix:")
    shown = desk.show(made.id)
    assert "secret" not in shown and made.secret not in json.dumps(shown) and sha256(made.secret) not in json.dumps(shown)


def test_an_admin_token_has_no_scopes(desk: Desk):
    made = desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    assert made.secret.startswith("pla_") and made.value["scopes"] == []
    refused(desk.token("create", "--name", "x", "--level", "admin", "--plugin", "*", "--scope", "*"), 2, "scopes: ")


def test_the_same_hash_twice_changes_nothing(desk: Desk):
    secret = token()
    same = ("--sha256", sha256(secret), "--id", secret[:12], "--expires", "90d")
    first = desk.json("create", "--name", "x", *PUBLIC, *same)
    again = desk.json("create", "--name", "x", *PUBLIC, *same)
    assert (first["id"], first["changed"]) == (secret[:12], True) and "secret" not in first
    assert (again["id"], again["changed"]) == (secret[:12], False)
    text = desk.token("create", "--name", "x", *PUBLIC, *same)
    assert (text.code, text.out) == (0, "") and "nothing changed" in text.err
    refused(desk.token("create", "--name", "other", *PUBLIC, *same), 5, secret[:12], "other settings", "token set")
    refused(desk.token("create", "--name", "x", *PUBLIC[:4], "--scope", "addTodo", *same, "--json"), 5, '"code": "conflict"')
    assert len(desk.audit()) == 1
    desk.json("revoke", secret[:12], "--reason", "over")
    refused(desk.token("create", "--name", "x", *PUBLIC, *same), 5, "revoked")


def test_a_hash_without_an_id(desk: Desk):
    """A foreign secret is known by its hash."""
    made = desk.json("create", "--name", "x", *PUBLIC, "--sha256", sha256("their own form of a token"))
    assert made["id"].startswith("plf_") and made["secrets"][0]["elsewhere"] is True
    taken = token()
    first = desk.create("y")
    refused(desk.token("create", "--name", "z", *PUBLIC, "--sha256", sha256(taken), "--id", first.id), 5, "is taken")


# --- what is wrong ---


WRONG = [
    (("--expires", "yesterday"), "expires"), (("--expires", "2020-01-01"), "expires"), (("--not-before", "soon"), "not_before"),
    (("--not-before", "2030-01-02", "--expires", "2030-01-01"), "expires"), (("--rate", "10"), "rate"), (("--rate", "0/s"), "rate"),
    (("--quota", "many/day"), "quota"), (("--concurrency", "0"), "concurrency"), (("--network", "10.0.0.0/99"), "networks"),
    (("--note", ""), "note"), (("--note", "a\nb"), "note"), (("--note", "n" * 1025), "note"), (("--name", ""), "name"),
    (("--name", "n" * 129), "name"), (("--plugin", "no plugin!"), "plugins"), (("--scope", "tag:"), "scopes"), (("--scope", "GET todos"), "scopes"),
    (("--sha256", "abc"), "sha256"), (("--sha256", "0" * 64, "--id", "pls_short"), "id"), (("--sha256", "0" * 64, "--id", "plu_ab12cd34"), "id"),
]


@pytest.mark.parametrize(("more", "field"), WRONG, ids=[" ".join(more)[:30] for more, _ in WRONG])
def test_what_is_wrong_is_named(desk: Desk, more: tuple[str, ...], field: str):
    named = () if "--name" in more else ("--name", "x")
    ran = desk.token("create", *named, *PUBLIC, *more)
    refused(ran, 2, f"{field}: ")
    assert ran.out == ""
    ran = desk.token("create", *named, *PUBLIC, *more, "--json")
    assert ran.code == 2 and field in [error["field"] for error in ran.json["errors"]], ran
    assert desk.json("list", "--text", "x") == []


def test_all_that_is_wrong_is_told_at_once(desk: Desk):
    ran = desk.token("create", "--name", "", *PUBLIC, "--rate", "x", "--quota", "y", "--json")
    assert [error["field"] for error in ran.json["errors"]] == ["name", "rate", "quota"]


def test_wrong_usage(desk: Desk):
    made = desk.create()
    for arguments in (
        ("create",), ("create", "--name", "x"), ("create", "--name", "x", "--level", "root", "--plugin", "todo"), ("show",), ("nothing",),
        ("create", "--name", "x", *PUBLIC, "--id", "pls_ab12cd34"), ("revoke", made.id), ("rotate", made.id, "--finish", "--undo"),
        ("rotate", made.id, "--status", "--grace", "1h"), ("import", "-", "--name", "x"), ("import", "--name", "x", *PUBLIC), ("set", made.id),
    ):
        ran = desk.token(*arguments)
        assert (ran.code, ran.out) == (2, ""), ran
        assert ran.err


@pytest.mark.parametrize(("more", "field"), [
    (("--idle", "long"), "idle"), (("--ends-within", "soon"), "ends_within"), (("--sort", "age"), "sort"), (("--state", "odd"), "state"),
])
def test_a_list_that_can_not_be(desk: Desk, more: tuple[str, str], field: str):
    refused(desk.token("list", *more), 2, f"{field}: must be")


def test_what_does_not_exist(world: World):
    """A gateway knows its plugins and their operations."""
    world.start()
    desk = Desk(world, True)
    level = ("--level", "service")
    refused(desk.token("create", "--name", "x", *level, "--plugin", "tofu", "--scope", "*"), 2, "plugins: there is no plugin tofu", "todo")
    refused(desk.token("create", "--name", "x", *level, "--plugin", "todo", "--scope", "listTofu"), 2, "scopes: `listTofu` matches no operation of these plugins; did you mean `listTodos`?")
    made = desk.create()
    refused(desk.token("set", made.id, "--scope", "tag:nothing"), 2, "scopes: `tag:nothing`")
    refused(desk.token("set", made.id, "--plugin", "tofu"), 2, "plugins: there is no plugin tofu")
    for as_json in ((), ("--json",)):
        refused(desk.token("list", "--plugin", "tood", *as_json), 2, "plugin: there is no plugin tood; there are: todo; did you mean `todo`?")
    assert made.id in desk.token("list", "--plugin", "todo").out
    assert desk.token("list", "--plugin", "todo", "--state", "revoked").code == 0


def test_tokens_of_a_plugin_that_is_gone(world: World):
    """They have to be found, by its name."""
    world.start()
    desk = Desk(world, True)
    made = desk.create()
    every = desk.create("every", public=("--level", "service", "--plugin", "*", "--scope", "*"))
    plugins = {"new": world.config["plugins"].pop("todo")}
    for token in world.config["tokens"].values():
        token["plugins"] = ["new"]
    plugway.write(world.folder, world.config | {"plugins": plugins})
    ran = world.gateway.reload("--weaker")
    assert ran.code == 0, ran
    listed = desk.token("list", "--plugin", "todo")
    assert listed.code == 0 and made.id in listed.out and every.id in listed.out, listed
    refused(desk.token("list", "--plugin", "tofu"), 2, "there is no plugin tofu; there are: new")


def test_tokens_of_one_name(desk: Desk):
    """Whoever makes another is told, since commands want ids from then on; a revoked one left its name."""
    create = ("create", "--name", "twins", *PUBLIC)
    first = desk.token(*create)
    assert first.code == 0 and "the name" not in first.err, first
    second = desk.token(*create)
    told = f'1 other token has the name "twins" too: commands know this one by its id, {second.out[:12]}'
    assert second.code == 0 and told in second.err and len(second.out.splitlines()) == 1, second
    third = desk.json(*create)
    assert third["remark"].startswith("2 other tokens have the name"), third
    desk.json("suspend", third["id"])
    assert "3 other tokens" in desk.token(*create).err
    for token in desk.export():
        desk.json("revoke", token["id"], "--reason", "enough")
    last = desk.token(*create)
    assert last.code == 0 and "the name" not in last.err, last


def test_an_unknown_token(desk: Desk):
    desk.create()
    for arguments in (("show", "pls_00000000"), ("set", "nobody", "--note", "x"), ("rotate", "nobody"), ("revoke", "nobody", "--reason", "x"),
                      ("suspend", "nobody"), ("resume", "nobody"), ("rotate", "nobody", "--status"), ("rotate", "nobody", "--finish")):
        refused(desk.token(*arguments), 1, "no token with this id or name", "token list")
        refused(desk.token(*arguments, "--json"), 1, '"code": "unknown_token"')


def test_a_name_that_several_have(desk: Desk):
    one, two = desk.create("twin"), desk.create("twin")
    refused(desk.token("show", "twin"), 5, one.id, two.id)
    refused(desk.token("show", "twin", "--json"), 5, one.id, two.id)
    desk.json("revoke", one.id, "--reason", "one is enough")
    assert desk.show("twin")["id"] == two.id


@pytest.mark.parametrize("arguments", [
    ("show", "{}"), ("set", "{}", "--note", "x"), ("rotate", "{}"), ("rotate", "{}", "--status"), ("rotate", "{}", "--finish"), ("rotate", "{}", "--undo"),
    ("suspend", "{}"), ("resume", "{}"), ("revoke", "{}", "--reason", "leaked"), ("import", "{}", "--name", "x", *PUBLIC), ("show", "x", "{}"), ("{}",),
    ("create", "--name", "{}", *PUBLIC), ("create", "--name", "x", *PUBLIC, "--note", "{}"), ("create", "--name", "x", *PUBLIC, "--sha256", "{}"),
    ("create", "--name", "x", *PUBLIC, "--scope", "{}"), ("create", "--name", "x", *PUBLIC, "--plugin", "{}"), ("create", "--name", "x", *PUBLIC, "--rate", "{}"),
    ("create", "--name", "x", *PUBLIC, "--expires", "{}"), ("create", "--name", "x", *PUBLIC, "--network", "{}"), ("create", "--name", "x", "--level", "{}"),
    ("create", "--name", "x", *PUBLIC, "--sha256", "0" * 64, "--id", "{}"), ("create", "--name", "x", *PUBLIC, "--concurrency", "{}"),
    ("revoke", "tuesday", "--reason", "{}"), ("set", "tuesday", "--name", "{}"), ("set", "tuesday", "--note", "{}"), ("list", "--state", "{}"), ("list", "--idle", "{}"),
    ("list", "--sort", "{}"),
], ids=lambda arguments: " ".join(arguments)[:40])
def test_a_secret_in_the_wrong_place_is_not_repeated(desk: Desk, arguments: tuple[str, ...]):
    made = desk.create()
    for as_json in ([], ["--json"]):
        ran = desk.token(*[part.format(made.secret) for part in arguments], *as_json)
        assert ran.code == 2, ran
        assert made.secret not in ran.out + ran.err
        assert made.secret[12:] not in ran.out + ran.err
    assert [entry["action"] for entry in desk.audit()] == ["create"]


def test_a_secret_elsewhere_is_not_repeated(desk: Desk):
    made = desk.create()
    for arguments in (("audit", "list", "--token", made.secret), ("explain", "GET /todos", "--token", made.secret), ("explain", made.secret), (made.secret,)):
        for as_json in ([], ["--json"]):
            ran = desk(*arguments, *as_json)
            assert ran.code in ((1, 2) if arguments[0] == "explain" and not desk.running else (2,)), ran
            assert made.secret not in ran.out + ran.err


# --- what is there ---


def test_list(desk: Desk):
    assert desk.json("list", "--text", "nobody has this") == []
    ours = [desk.create("bravo", "--expires", "5d"), desk.create("alpha", "--note", "about X"), desk.create("charlie")]
    desk.json("suspend", "charlie")
    names = lambda *more: [entry["name"] for entry in desk.json("list", *more) if entry["source"] == "state"]
    assert names() == ["alpha", "bravo", "charlie"]
    assert names("--sort", "created") and names("--sort", "ends")[0] == "bravo"
    assert names("--sort", "state")[-1] == "charlie"
    assert names("--state", "suspended") == ["charlie"] and names("--state", "active") == ["alpha", "bravo"]
    assert names("--text", "about x") == ["alpha"] and names("--text", "BRAVO") == ["bravo"]
    assert names("--ends-within", "7d") == ["bravo"] and names("--ends-within", "1d") == []
    assert names("--level", "user") == [] and len(names("--plugin", "todo")) == 3
    # Where no gateway runs nobody knows which plugins there are.
    if desk.running:
        refused(desk.token("list", "--plugin", "other"), 2, "there is no plugin other")
    else:
        assert names("--plugin", "other") == []
    assert len(names("--idle", "1d")) == 3
    table = desk.token("list")
    assert table.code == 0 and ("tokens too, is not known" in table.err) != desk.running, table
    assert table.out.splitlines()[0].split()[:4] == ["ID", "NAME", "LEVEL", "PLUGINS"]
    for made in ours:
        assert made.id in table.out and made.secret not in table.out and sha256(made.secret) not in table.out
    if desk.running:
        sources = {entry["id"]: entry["source"] for entry in desk.json("list")}
        assert sources["chatgpt"] == sources["alice"] == "declared"


def test_an_empty_list(world: World):
    plugway.write(world.folder, world.base())
    ran = plugway.run("token", "list", "--config", "plugway.toml", cwd=world.folder)
    assert (ran.code, ran.out) == (0, "no tokens\n")
    assert not (world.folder / "state").exists(), "to look makes nothing"


def test_show(desk: Desk):
    made = desk.create("x", "--note", "for Tuesday", "--rate", "10/s")
    text = desk.token("show", made.id)
    assert (text.code, text.err) == (0, "")
    for part in (made.id, "service", "todo", "listTodos", "10/s", "for Tuesday", "current secret  works", "not used yet"):
        assert part in text.out, text.out
    assert desk.show("x")["id"] == made.id


def test_whose_a_secret_is(desk: Desk):
    """Its current one, the one before, and one that is gone: by the hash of what is on standard input."""
    made = desk.create("x")
    is_its = lambda secret: [desk.json("show", "-", stdin=secret)[name] for name in ("id", "slot")]
    assert is_its(made.secret) == is_its(made.secret + "\r\n") == [made.id, "current"]
    second = desk.rotate(made.id)
    assert is_its(made.secret) == [made.id, "previous"] and is_its(second.secret) == [made.id, "current"]
    third = desk.rotate(made.id)
    assert is_its(made.secret) == [made.id, "ended"] and is_its(second.secret) == [made.id, "previous"]
    desk.json("revoke", made.id, "--reason", "over")
    assert desk.json("show", "-", stdin=third.secret)["state"] == "revoked"
    given = "sk-proj-Xq3vT8mZb1LrNw5KcYdEfGhJ"
    foreign = desk.json("import", "-", "--name", "foreign", *PUBLIC, stdin=given)
    assert is_its(given) == [foreign["id"], "current"]
    for secret, what in ((third.secret, "is the current one"), (second.secret, "is the previous one"), (made.secret, "opens nothing any more")):
        text = desk.token("show", "-", stdin=secret)
        assert text.code == 0 and f"this secret     {what}" in text.out.replace("was one before, and ", ""), text
        assert made.id in text.out and secret not in text.out + text.err
        assert ("tokens too, is not known" in text.err) != desk.running, text
    assert "slot" not in desk.show(made.id)


def test_whose_a_secret_is_that_nobody_has(desk: Desk):
    desk.create()
    stranger = token()
    desk.secrets.append(stranger)
    refused(desk.token("show", "-", stdin=stranger), 1, "no token that you may see has this secret", *([] if desk.running else ["is not known"]))
    refused(desk.token("show", "-", "--json", stdin=stranger), 1, '"code": "unknown_token"')
    for wrong, why in (("", "empty"), (f"KEY = {stranger}", "white space"), ("x9" * 2500, "longer")):
        ran = desk.token("show", "-", stdin=wrong)
        refused(ran, 2, "secret: ", why)
        assert stranger not in ran.out + ran.err
    refused(desk.token("show", stranger), 2, "whole secret", "`plugway token show -`")
    refused(desk.token("list", stranger), 2, "whole secret", "`plugway token show -`")


def test_whose_a_declared_secret_is(world: World):
    """By its id nobody can tell: it is the key, whatever the secret begins with."""
    referred, filed, old, new = (token() for _ in range(4))
    (world.folder / "ci.secret").write_text(referred + "\n")
    line = {"id": "filed", "level": "service", "plugins": ["todo"], "scopes": ["*"],
            "secrets": [{"sha256": sha256(new)}, {"sha256": sha256(old), "until": "2099-01-01T00:00:00Z"}]}
    (world.folder / "tokens.jsonl").write_text("\n".join(json.dumps(one) for one in (
        {"id": "other", "level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(filed)}, line)))
    world.start({"token_files": ["tokens.jsonl"], "tokens": {"ci": {"level": "service", "plugins": ["todo"], "scopes": ["*"], "secret": "${file:ci.secret}"}}})
    desk = Desk(world, True)
    refused(desk.token("show", referred[:12]), 1, "no token with this id")
    for secret, id, slot in ((referred, "ci", "current"), (filed, "other", "current"), (new, "filed", "current"), (old, "filed", "previous")):
        one = desk.json("show", "-", stdin=secret)
        assert (one["id"], one["slot"], one["source"]) == (id, slot, "declared"), one
    leaked = (world.folder / "ci.secret")
    found = plugway.run("token", "scan", str(leaked), cwd=world.folder)
    assert found.code == 1 and referred[:12] in found.out and "plugway token show - <" in found.err
    text = desk.token("show", "-", stdin=leaked.read_bytes())
    assert text.code == 0 and text.out.split()[:2] == ["id", "ci"] and "declared" in text.out


def test_set(desk: Desk):
    made = desk.create("x", "--note", "old", "--rate", "10/s", "--concurrency", "2", "--network", "10.0.0.0/8", "--expires", "9d")
    done = desk.json("set", made.id, "--name", "y", "--scope", "addTodo", "--note", "new")
    assert (done["name"], done["scopes"], done["note"], done["rate"], done["changed"]) == ("y", ["addTodo"], "new", "10/s", True)
    assert desk.json("set", made.id, "--note", "new")["changed"] is False
    text = desk.token("set", "y", "--rate", "off", "--concurrency", "0", "--network", "any", "--expires", "never", "--note", "")
    assert (text.code, text.out) == (0, "") and f"{made.id} is changed" in text.err
    shown = desk.show(made.id)
    assert [shown[name] for name in ("rate", "concurrency", "networks", "expires", "note")] == [None, None, [], None, None]
    refused(desk.token("set", made.id, "--expires", "2020-01-01"), 2, "expires: is in the past", "token revoke")
    refused(desk.token("set", made.id, "--rate", "x", "--note", "y\n"), 2, "rate: ", "note: ")
    refused(desk.token("show", "x"), 1)
    assert desk.show("y")["id"] == made.id


def test_a_token_has_a_size(desk: Desk):
    """What is stored can be read back, exported and imported."""
    if desk.running:
        return  # its scopes have to match operations
    many = [word for number in range(900) for word in ("--scope", f"{number:0100}")]
    refused(desk.token("create", "--name", "x", *PUBLIC, *many), 2, "scopes: ")
    made = desk.create()
    refused(desk.token("set", made.id, *many), 2, "scopes: ")
    assert desk.show(made.id)["scopes"] == ["listTodos"]


def test_suspend_resume_revoke(desk: Desk):
    made = desk.create()
    assert desk.json("suspend", made.id)["state"] == "suspended"
    assert desk.json("suspend", made.id)["changed"] is False
    assert desk.json("resume", made.id)["state"] == "active"
    refused(desk.token("resume", made.id), 5, "not suspended")
    for command, said in (("suspend", "is suspended"), ("resume", "is active again")):
        ran = desk.token(command, made.id)
        assert (ran.code, ran.out) == (0, "") and said in ran.err
    refused(desk.token("revoke", made.id, "--reason", " "), 2, "reason: ")
    done = desk.json("revoke", made.id, "--reason", "leaked")
    assert (done["state"], done["revoked_reason"]) == ("revoked", "leaked") and done["revoked_by"].startswith("unix:")
    assert desk.json("revoke", made.id, "--reason", "again")["changed"] is False
    assert desk.show(made.id)["revoked_reason"] == "leaked"
    for arguments in (("resume", made.id), ("suspend", made.id), ("rotate", made.id), ("set", made.id, "--note", "x"), ("rotate", made.id, "--undo")):
        refused(desk.token(*arguments), 5, "revoked")


def test_declared_tokens_are_changed_where_they_are_declared(world: World):
    line = {"id": "filed", "level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(token())}
    (world.folder / "tokens.jsonl").write_text(json.dumps(line) + "\n")
    world.start({"token_files": ["tokens.jsonl"], "tokens": {"other": declared(token())}})
    desk = Desk(world, True)
    text = (world.folder / "plugway.toml").read_text().splitlines()
    number = text.index("[tokens.chatgpt]") + 1
    for arguments in (("set", "chatgpt", "--note", "x"), ("suspend", "chatgpt"), ("resume", "chatgpt"), ("revoke", "chatgpt", "--reason", "x"),
                      ("rotate", "chatgpt"), ("rotate", "chatgpt", "--finish"), ("rotate", "chatgpt", "--undo")):
        refused(desk.token(*arguments), 5, "chatgpt", f"plugway.toml:{number}", "secret" if arguments[0] == "rotate" else "change it there")
        refused(desk.token(*arguments, "--json"), 5, f"plugway.toml:{number}")
    refused(desk.token("revoke", "filed", "--reason", "x"), 5, "token file", "change it there")
    assert desk.show("chatgpt")["source"] == "declared"
    refused(desk.token("create", "--name", "x", *PUBLIC, "--sha256", sha256(world.service)), 5, "chatgpt")


# --- tokens from elsewhere ---


def test_import_a_secret(desk: Desk):
    foreign = "sk-proj-Xq3vT8mZb1LrNw5KcYdEfGhJ"
    desk.secrets.append(foreign)
    ran = desk.token("import", "-", "--name", "foreign", *PUBLIC, stdin=foreign + "\n")
    assert (ran.code, ran.out) == (0, "") and "created plf_" in ran.err and foreign not in ran.err
    again = desk.json("import", "-", "--name", "foreign", *PUBLIC, stdin=foreign)
    assert again["changed"] is False and "secret" not in again
    assert desk.json("import", "--sha256", sha256(foreign), "--name", "foreign", *PUBLIC)["changed"] is False
    refused(desk.token("import", "-", "--name", "other", *PUBLIC, stdin=foreign), 5, "other settings")
    for weak, why in (("hunter2", "guessed"), ("", "empty"), ("with a space in it, and long", "header"), ("é" * 40, "header"), ("x9" * 2500, "longer")):
        ran = desk.token("import", "-", "--name", "weak", *PUBLIC, stdin=weak)
        refused(ran, 2, "secret: ", why)
        assert not weak or weak not in ran.err
    assert desk.token("import", "-", "--weak", "--name", "weak", *PUBLIC, stdin="hunter2").code == 0


def test_a_secret_is_no_argument(desk: Desk):
    """Others can read what a process was started with."""
    ran = desk.token("import", "sk-proj-Xq3vT8mZb1LrNw5KcYdEfGhJ", "--name", "x", *PUBLIC)
    refused(ran, 2, "standard input")
    assert "sk-proj" not in ran.out + ran.err


def line(number: int, **more: object) -> dict:
    fields = {"id": f"pls_0000000{number}", "name": f"name {number}", "level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": f"{number}" * 64}
    return fields | more


def lines(*records: dict) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_import_lines(desk: Desk):
    both = lines(line(1), line(2))
    assert desk.json("import", "--jsonl", "-", stdin=both) == {"added": 2, "replaced": 0, "unchanged": 0, "changed": True}
    (desk.world.folder / "some.jsonl").write_text(both)
    again = desk.token("import", "--jsonl", "some.jsonl")
    assert (again.code, again.out) == (0, "0 added, 0 replaced, 2 as they were\n")
    changed = lines(line(1, note="changed"), line(3))
    refused(desk.token("import", "--jsonl", "-", stdin=changed), 5, "pls_00000001", "--replace")
    assert [entry["id"] for entry in desk.export()] == ["pls_00000001", "pls_00000002"], "all or none"
    assert desk.json("import", "--jsonl", "-", "--replace", stdin=changed) == {"added": 1, "replaced": 1, "unchanged": 0, "changed": True}
    assert desk.show("pls_00000001")["note"] == "changed"
    for wrong, parts in (
        ("nonsense\n", ("lines: line 1",)), (lines(line(4), line(5, level="root")), ("line 2", "level")),
        (lines(line(6), line(6)), ("line 2",)), (lines(line(7, sha256="abc")), ("line 1", "sha256")), (lines(line(8, strange=1)), ("line 1", "strange")),
    ):
        refused(desk.token("import", "--jsonl", "-", stdin=wrong), 2, *parts)
    refused(desk.token("import", "--jsonl", "-", stdin=lines(line(9, sha256="1" * 64))), 5, "pls_00000009", "another token")
    refused(desk.token("import", "--jsonl", "missing.jsonl"), 1, "missing.jsonl")
    desk.json("revoke", "pls_00000003", "--reason", "leaked")
    refused(desk.token("import", "--jsonl", "-", "--replace", stdin=lines(line(3))), 5, "pls_00000003", "revoked here")
    if desk.running:
        refused(desk.token("import", "--jsonl", "-", stdin=lines(line(1) | {"id": "chatgpt"})), 5, "declared")
    assert len(desk.export()) == 3


def test_export_and_import_somewhere_else(desk: Desk):
    one = desk.create("one", "--expires", "90d", "--rate", "10/s", "--network", "10.0.0.0/8", "--note", "größe")
    desk.create("two"), desk.rotate("two")
    desk.create("three"), desk.json("revoke", "three", "--reason", "leaked")
    desk.create("four"), desk.json("suspend", "four")
    desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    exported = desk.token("export")
    assert (exported.code, exported.err) == (0, "")
    assert one.secret not in exported.out and sha256(one.secret) in exported.out
    other = desk.world.folder / "other"
    other.mkdir()
    plugway.write(other, {"state": {"directory": "state"}})
    took = plugway.run("token", "import", "--jsonl", "-", "--config", "plugway.toml", cwd=other, stdin=exported.out)
    assert took.code == 0, took
    back = plugway.run("token", "export", "--config", "plugway.toml", cwd=other)
    assert back.out == exported.out
