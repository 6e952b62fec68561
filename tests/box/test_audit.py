"""The audit: every change, by whom, and whether somebody rewrote it."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
from pathlib import Path

import plugway
import pytest

from conftest import World
from desk import PUBLIC, Desk, refused
from materials import sha256, token
from plugway import eventually

FILE = "state/plugway.redb"


@pytest.fixture(params=["gateway", "database"])
def desk(request, world: World) -> Desk:
    if request.param == "gateway":
        world.start()
    else:
        world.config = world.base()
        plugway.write(world.folder, world.config)
    return Desk(world, request.param == "gateway")


def test_every_change_has_an_entry(desk: Desk):
    made = desk.create("x", "--note", "before")
    for arguments in (("set", made.id, "--note", "after"), ("rotate", made.id), ("rotate", made.id, "--undo"), ("rotate", made.id), ("rotate", made.id, "--finish"),
                      ("rotate", made.id), ("rotate", made.id, "--finish-when-idle", "2h"), ("suspend", made.id), ("resume", made.id), ("revoke", made.id, "--reason", "over")):
        desk.json(*arguments)
    line = {"id": "pls_00000001", "level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": "1" * 64}
    desk.json("import", "--jsonl", "-", stdin=json.dumps(line))
    entries = desk.audit()
    assert [entry["action"] for entry in reversed(entries)] == [
        "create", "set", "rotate", "undo", "rotate", "finish", "rotate", "finish_when_idle", "suspend", "resume", "revoke", "import"]
    assert [entry["number"] for entry in entries] == list(range(12, 0, -1))
    assert {entry["by"] for entry in entries} == {f"unix:{getpass.getuser()}"}
    by_action = {entry["action"]: entry for entry in entries}
    assert by_action["create"]["before"] is None and by_action["create"]["after"]["note"] == "before"
    assert (by_action["set"]["before"]["note"], by_action["set"]["after"]["note"]) == ("before", "after")
    assert (by_action["suspend"]["before"]["state"], by_action["suspend"]["after"]["state"]) == ("active", "suspended")
    assert by_action["revoke"]["after"]["revoked_reason"] == "over"
    assert len(by_action["rotate"]["after"]["secrets"]) == 2
    for entry in entries:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["at"])
        assert entry["after"]["id"] == entry["id"]
        assert entry["before"] is None or entry["before"]["id"] == entry["id"]


def test_what_changes_nothing_has_none(desk: Desk):
    secret = token()
    given = ("--name", "x", *PUBLIC, "--sha256", sha256(secret))
    made = desk.json("create", *given)
    for arguments in (("create", *given), ("rotate", made["id"], "--sha256", sha256(secret)), ("set", made["id"], "--name", "x"), ("show", made["id"]), ("list",)):
        desk.json(*arguments)
    refused(desk.token("resume", made["id"]), 5)
    refused(desk.token("create", "--name", "", *PUBLIC), 2)
    assert len(desk.audit()) == 1


def test_list_in_text(desk: Desk):
    made, other = desk.create("x"), desk.create("other")
    desk.json("set", made.id, "--note", "new")
    ran = desk("audit", "list")
    assert ran.code == 0 and ran.err == ""
    assert f"set      {made.id}  by unix:" in ran.out and 'note: "new"' in ran.out
    assert [entry["id"] for entry in desk.audit("--token", other.id)] == [other.id]
    assert len(desk.audit("--most", "1")) == 1 and desk.audit("--most", "0") == []
    assert len(desk.audit("--token", made.id, "--most", "1")) == 1


def test_the_chain(desk: Desk):
    """Each entry has the hash of the one before, over its bytes as they are stored."""
    made = desk.create()
    desk.json("suspend", made.id), desk.json("resume", made.id)
    exported = desk("audit", "export")
    assert exported.code == 0 and exported.err == ""
    entries = [json.loads(line) for line in exported.out.splitlines()]
    previous = "0" * 64
    for entry in entries:
        assert entry["previous"] == previous
        previous = entry.pop("hash")
    ran = desk("audit", "verify", "--json")
    assert (ran.code, ran.json) == (0, {"whole": True, "entries": 3, "head": previous, "fault": None})
    text = desk("audit", "verify")
    assert (text.code, text.out) == (0, f"whole: 3 entries, head {previous}\n")
    assert desk("audit", "verify", "--head", entries[1]["previous"]).code == 0
    lost = desk("audit", "verify", "--head", hashlib.sha256(b"another").hexdigest())
    assert lost.code == 1 and "no entry has the hash" in lost.out


def test_the_log_has_the_hash(world: World):
    world.start()
    desk = Desk(world, True)
    made = desk.create()
    look = lambda: re.search(r'"?audit"?[=:] ?"?([0-9a-f]{64})', world.gateway.stderr)
    head = eventually(look)[1]
    assert desk.audit()[0]["hash"] == head
    world.gateway.await_messages(made.id)
    assert desk("audit", "verify", "--head", head).code == 0


def test_who_by_token(world: World):
    world.start({"listen": {"admin": "127.0.0.1:0"}})
    desk = Desk(world, True)
    admin = desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    host, port = world.gateway.address("admin")
    ran = plugway.run("token", "suspend", admin.id, "--admin", f"{host}:{port}", cwd=world.folder, env={"PLUGWAY_ADMIN_TOKEN": admin.secret})
    assert ran.code == 0
    assert (desk.audit()[0]["by"], desk.audit()[0]["action"]) == (admin.id, "suspend")


# --- rewritten ---


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Changes the file as one can who may write to it; of the same length."""
    data = path.read_bytes()
    assert len(old) == len(new) and old in data
    path.write_bytes(data.replace(old, new))


@pytest.fixture
def closed(world: World) -> Desk:
    """A database that nobody has open."""
    world.config = world.base()
    plugway.write(world.folder, world.config)
    desk = Desk(world, False)
    made = desk.create("marked-name")
    desk.json("suspend", made.id), desk.json("resume", made.id)
    desk.json("set", made.id, "--name", "newer name")
    return desk


def test_an_altered_entry_is_found(closed: Desk):
    head = closed.audit()[0]["hash"]
    rewrite(closed.world.folder / FILE, b'"action":"suspend"', b'"action":"suspenD"')
    ran = closed("audit", "verify")
    assert ran.code == 1 and "not whole: entry 3 does not follow on the one before" in ran.out
    as_json = closed("audit", "verify", "--json")
    assert as_json.code == 1 and as_json.json["whole"] is False and as_json.json["head"] == head
    closed.world.start()
    ran = closed("audit", "verify")
    assert ran.code == 1 and "entry 3" in ran.out


def test_the_last_entry_needs_the_log(closed: Desk):
    """Nothing follows on it: its hash, which a log line carried, is what proves it."""
    head = closed.audit()[0]["hash"]
    assert closed("audit", "verify", "--head", head).code == 0
    rewrite(closed.world.folder / FILE, b'"action":"set"', b'"action":"seT"')
    assert closed("audit", "verify").code == 0
    ran = closed("audit", "verify", "--head", head)
    assert ran.code == 1 and "no entry has the hash" in ran.out


def test_an_entry_with_another_number(closed: Desk):
    rewrite(closed.world.folder / FILE, b'"number":2,', b'"number":7,')
    ran = closed("audit", "verify")
    assert ran.code == 1 and "entry 2 is altered" in ran.out


def test_a_removed_entry_is_found(closed: Desk):
    """Through a backup whose last line was made anew, as somebody would who knows how."""
    assert closed("state", "backup", "saved").code == 0
    folder = closed.world.folder
    lines = (folder / "saved").read_text().splitlines(keepends=True)
    audit = [number for number, line in enumerate(lines) if line.startswith('{"audit":[2,')]
    kept = [line for number, line in enumerate(lines[:-1]) if number not in audit]
    last = json.loads(lines[-1])
    last["end"]["audit"] -= 1
    last["end"]["sha256"] = hashlib.sha256("".join(kept).encode()).hexdigest()
    (folder / "forged").write_text("".join(kept) + json.dumps(last) + "\n")
    (folder / "state").rename(folder / "aside")
    ran = closed("state", "restore", "forged")
    assert ran.code == 1 and "entry 2 is missing" in ran.err, ran
