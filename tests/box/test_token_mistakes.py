"""What must not be taken for something else: names for ids, a part for the whole, nothing for a state."""

from __future__ import annotations

import json
import os
import threading

from desk import CONFIG, PUBLIC
from materials import sha256, token
from plugway import eventually, run


def line(**members: object) -> str:
    base = {"level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(token())}
    return json.dumps(base | members)


def test_an_id_that_is_the_name_of_another_is_not_clear(world):
    gateway = world.start()
    made = gateway.command("token", "create", "--name", "mine", *PUBLIC)
    assert made.code == 0, made
    (world.folder / "lines").write_text(line(id="mine", name="other"))
    imported = gateway.command("token", "import", "--jsonl", "lines")
    assert imported.code == 0, imported
    revoked = gateway.command("token", "revoke", "mine", "--reason", "leaked")
    assert revoked.code == 5 and made.out[:12] in revoked.err, revoked
    client = world.session(tls=False, token=made.out.strip())
    assert client.get("/todos").status_code == 200
    assert gateway.command("token", "revoke", made.out[:12], "--reason", "leaked").code == 0
    assert client.get("/todos").status_code == 401


def test_a_name_with_a_space_at_its_end(world, http2):
    """Nobody makes one any more; one that a file has already is told to the API in a form that it gets."""
    secret = token()
    (world.folder / "tokens.jsonl").write_text(line(name="alice ", level="user", sha256=sha256(secret)) + "\n")
    gateway = world.start({"token_files": ["tokens.jsonl"]})
    assert world.session(http2=http2, token=secret).get("/todos").status_code == 200
    assert world.upstream.last.all("x-plugway-principal") == ["alice%20"]
    made = gateway.command("token", "create", "--name", "bob ", *PUBLIC)
    assert made.code != 0 and made.out == "" and "name" in made.err and "space" in made.err, made
    (world.folder / "lines").write_text(line(name="carol") + "\n\n" + line(name=" bob") + "\n")
    imported = gateway.command("token", "import", "--jsonl", "lines")
    assert imported.code != 0 and "line 3" in imported.err and "space" in imported.err, imported


def test_a_state_that_is_moved_away_is_missed(world):
    gateway = world.start()
    assert gateway.command("token", "create", "--name", "one", *PUBLIC).code == 0
    path = world.folder / "state/plugway.redb"
    aside = path.rename(world.folder / "aside.redb")
    missed = gateway.command("token", "create", "--name", "two", *PUBLIC)
    assert missed.code == 1 and missed.out == "" and "moved away" in missed.err, missed
    aside.rename(path)
    eventually(lambda: gateway.command("token", "create", "--name", "two", *PUBLIC).code == 0)
    assert gateway.command("audit", "verify").code == 0


def test_no_state_is_no_backup(world, folder):
    (folder / "elsewhere").mkdir()
    world.start()
    for command in (["state", "backup", "backup"], ["token", "export"]):
        ran = run(*command, "--config", str(world.folder / "plugway.toml"), cwd=folder / "elsewhere")
        assert ran.code == 1 and "no state database" in ran.err, ran
    assert not (folder / "elsewhere/backup").exists()


def test_what_is_named_is_scanned_or_told(folder):
    secret = run("token", "generate", cwd=folder).out.strip()
    os.mkfifo(folder / "pipe")
    (folder / "logs").mkdir()
    (folder / "leak").write_text(secret)
    (folder / "logs/current").symlink_to(folder / "leak")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_text(f"key {secret}\n"))
    writer.start()
    ran = run("token", "scan", "pipe", cwd=folder)
    writer.join()
    assert ran.code == 1 and ran.out.startswith(f"pipe:1:5: {secret[:12]}"), ran
    ran = run("token", "scan", "logs", cwd=folder)
    assert ran.code == 0 and "1 symbolic link " in ran.err, ran
    ran = run("token", "scan", "/dev/zero", cwd=folder)
    assert ran.code == 3 and "not read" in ran.err, ran


def test_a_suspended_token_does_not_take_its_old_secret_back(world):
    gateway = world.start()
    old = gateway.command("token", "create", "--name", "one", *PUBLIC).out.strip()
    assert gateway.command("token", "suspend", old[:12]).code == 0
    new = gateway.command("token", "rotate", old[:12])
    assert new.code == 0 and "stays suspended" in new.err, new
    assert gateway.command("token", "resume", old[:12]).code == 0
    status = {name: world.session(tls=False, token=secret).get("/todos").status_code for name, secret in (("old", old), ("new", new.out.strip()))}
    assert status == {"old": 401, "new": 200}


def test_the_last_use_goes_with_its_secret(world):
    """Also where the rotation was done without a gateway."""
    gateway = world.start()
    old = gateway.command("token", "create", "--name", "one", *PUBLIC).out.strip()
    assert world.session(tls=False, token=old).get("/todos").status_code == 200
    gateway.stop()
    assert run("token", "rotate", old[:12], *CONFIG, cwd=world.folder).code == 0
    shown = run("token", "show", old[:12], "--json", *CONFIG, cwd=world.folder).json
    assert [(secret["slot"], secret["last_used"] is None) for secret in shown["secrets"]] == [("current", True), ("previous", False)]


def test_a_token_whose_used_secret_is_gone_is_not_idle(world):
    """Who cleans up by what `list --idle` shows revokes no token that was used a moment ago: over rotations, an undo, and
    restarts, with a gateway and without."""
    gateway = world.start()
    command = lambda *arguments: run("token", *arguments, *CONFIG, cwd=world.folder)
    made = command("create", "--name", "one", *PUBLIC).out.strip()
    token = made[:12]
    shown = lambda: command("show", token, "--json").json

    def is_known(slot: str, used: list[bool]) -> None:
        one = shown()
        assert (one["last_used"], one["last_network"], one["last_slot"]) == (at, "127.0.0.0/24", slot), one
        assert [secret["last_used"] is not None for secret in one["secrets"]] == used, one
        assert [entry["id"] for entry in command("list", "--idle", "30d", "--json").json if entry["id"] == token] == []

    assert world.session(tls=False, token=made).get("/todos").status_code == 200
    eventually(lambda: shown()["last_used"])
    at = shown()["last_used"]
    command("rotate", token)
    is_known("previous", [False, True])
    command("rotate", token)
    is_known("ended", [False, False])
    line = next(line for line in command("list").out.splitlines() if line.startswith(token))
    assert line.split()[-1] == "ended" and at[11:16] in line, line
    assert f"ended secrets   last used {at[:10]} {at[11:16]} UTC from 127.0.0.0/24" in command("show", token).out
    status = command("rotate", token, "--status").out
    assert "nobody used the old secret" in status, status
    command("rotate", token, "--undo")
    is_known("ended", [False, False])
    gateway.stop()
    is_known("ended", [False, False])
    command("rotate", token)
    is_known("ended", [False, False])
    world.start()
    is_known("ended", [False, False])


def test_the_use_of_a_declared_secret_goes_with_it(world):
    """Into the grace period and back; where there is none, it is of a secret that is gone."""
    secrets = {"kept": token(), "at-once": token()}
    common = {"level": "service", "plugins": ["todo"], "scopes": ["*"]}
    for name, secret in secrets.items():
        (world.folder / name).write_text(secret)
    gateway = world.start({"tokens": {
        "kept": common | {"secret": "${file:kept}", "grace": "1h"}, "at-once": common | {"secret": "${file:at-once}", "grace": "0s"}}})
    shown = lambda name: gateway.command("token", "show", name, "--json").json
    slots = lambda name: (shown(name)["last_slot"], [secret["slot"] for secret in shown(name)["secrets"] if secret["last_used"]])

    def replaced(by: dict[str, str]) -> None:
        for name, secret in by.items():
            (world.folder / name).write_text(secret)
        gateway.command("reload")

    for name, secret in secrets.items():
        assert world.session(tls=False, token=secret).get("/todos").status_code == 200
        eventually(lambda name=name: shown(name)["last_used"])
        assert slots(name) == ("current", ["current"])
    replaced({name: token() for name in secrets})
    assert (slots("kept"), slots("at-once")) == (("previous", ["previous"]), ("ended", []))
    replaced(secrets)
    assert (slots("kept"), slots("at-once")) == (("current", ["current"]), ("ended", []))


def test_an_import_brings_no_use_to_a_secret_that_had_none(world):
    """What replaces a token may have other secrets, one of them where another one stood."""
    gateway = world.start()
    made = gateway.command("token", "create", "--name", "one", *PUBLIC).out.strip()
    assert world.session(tls=False, token=made).get("/todos").status_code == 200
    shown = lambda: gateway.command("token", "show", made[:12], "--json").json
    eventually(lambda: shown()["last_used"])
    current, previous = ({"sha256": sha256(token())} for _ in range(2))
    (world.folder / "lines").write_text(json.dumps({
        "id": made[:12], "name": "one", "level": "service", "plugins": ["todo"], "scopes": ["*"],
        "secrets": [current, previous | {"until": "2099-01-01T00:00:00Z"}]}))
    imported = gateway.command("token", "import", "--jsonl", "lines", "--replace")
    assert imported.code == 0, imported
    for _ in range(2):
        one = shown()
        assert (one["last_slot"], [secret["last_used"] for secret in one["secrets"]]) == ("ended", [None, None]), one
        gateway.stop()
        gateway = world.start()
