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
