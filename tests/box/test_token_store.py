"""The state database: its file, who has it, what is wrong with it, and how it is saved."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import stat
from pathlib import Path

import httpx
import plugway
import pytest

from clients import refusal
from conftest import World
from desk import Desk, refused
from materials import token
from plugway import Gateway, eventually
from test_operation import METRICS

FILE = "state/plugway.redb"


def ask(world: World, secret: str, gateway: Gateway | None = None) -> httpx.Response:
    host, port = (gateway or world.gateway).address("http")
    headers = {"Authorization": f"Bearer {secret}", "Host": f"localhost:{port}"}
    return httpx.get(f"http://{host}:{port}/todos", headers=headers, trust_env=False, timeout=20)


def ready(gateway: Gateway) -> bool:
    """What its `/readyz` says over the admin socket."""
    ran = gateway.command("health")
    assert ran.code in (0, 1), ran
    return ran.code == 0


def readyz(gateway: Gateway) -> int:
    host, port = gateway.address("http")
    return httpx.get(f"http://{host}:{port}/readyz", trust_env=False, timeout=20).status_code


def stored(world: World) -> Desk:
    """A database with a token, and no gateway."""
    world.config = world.base()
    plugway.write(world.folder, world.config)
    return Desk(world, False)


def end(world: World) -> None:
    world.gateway.stop()


# --- the file ---


@pytest.mark.parametrize("running", [True, False], ids=["gateway", "database"])
def test_made_on_first_use(world: World, running: bool):
    desk = stored(world)
    if running:
        # The first generation is kept in it.
        world.start()
        eventually((world.folder / FILE).exists)
    else:
        assert desk.json("list") == []
        assert not (world.folder / FILE).exists(), "to look makes nothing"
    desk.create()
    numbers = {"generation"} if running else set()
    modes = {stat.S_IMODE((world.folder / "state" / name).stat().st_mode) for name in {"plugway.redb"} | numbers}
    assert (modes, stat.S_IMODE((world.folder / "state").stat().st_mode)) == ({0o600}, 0o700)
    assert set(os.listdir(world.folder / "state")) - {"admin.sock", "handover.sock"} == {"plugway.redb"} | numbers


def test_a_restart_keeps_all(world: World):
    """Tokens, last uses and what was used of a quota: also what was used right before the end."""
    world.start()
    desk = Desk(world, True)
    made = desk.create("x", "--quota", "2/day", "--note", "kept")
    rotated = desk.rotate(made.id)
    desk.create("gone"), desk.json("revoke", "gone", "--reason", "over")
    before = {one["id"]: one for one in desk.json("list")}
    assert [ask(world, secret).status_code for secret in (made.secret, rotated.secret)] == [200, 200]
    end(world)
    offline = desk.show(made.id)
    world.start()
    world.gateway.secrets |= {made.secret, rotated.secret}
    after = {one["id"]: one for one in desk.json("list")}
    assert set(before) == set(after)
    for id, one in before.items():
        for name in set(one) - {"last_used", "last_network", "last_slot", "secrets"}:
            assert after[id][name] == one[name], (id, name)
    used = after[made.id]
    assert used["last_used"] and used["last_network"] == "127.0.0.0/24"
    assert all(secret["last_used"] for secret in used["secrets"])
    assert offline["id"] == made.id
    refusal(ask(world, made.secret), 429, "quota_exceeded")


@pytest.mark.parametrize("_", range(5))
def test_a_use_right_before_the_end_is_kept(world: World, _: int):
    world.start()
    desk = Desk(world, True)
    made = [desk.create(f"number {number}") for number in range(3)]
    for one in made:
        assert ask(world, one.secret).status_code == 200
    end(world)
    world.start()
    world.gateway.secrets |= {one.secret for one in made}
    assert all(desk.show(one.id)["last_used"] for one in made)


def test_durable_before_it_is_told(world: World):
    """What a command said is so after the process was killed in the next moment."""
    world.start()
    desk = Desk(world, True)
    kept, ended = desk.create("kept"), desk.create("ended")
    rotated = desk.rotate(kept.id)
    desk.json("revoke", ended.id, "--reason", "over")
    killed = world.gateways.pop()
    for close in killed.after:
        close()
    killed.process.kill()
    killed.wait()
    assert desk("audit", "verify").code == 0
    world.start()
    world.gateway.secrets |= set(desk.secrets)
    assert [ask(world, made.secret).status_code for made in (kept, rotated, ended)] == [200, 200, 401]
    assert [entry["action"] for entry in desk.audit()] == ["revoke", "rotate", "create", "create"]


def test_two_on_one_directory(world: World):
    """The second starts, says what is wrong, and takes over when the first has ended."""
    first = world.start()
    desk = Desk(world, True)
    made = desk.create()
    plugway.write(world.folder, world.base({"listen": {"admin": "unix:second.sock"}}), "second.toml")
    second = world.run("serve", "--config", "second.toml")
    second.secrets.add(made.secret)
    assert ask(world, world.service, second).status_code == 200
    for unknown in (made.secret, token()):
        got = ask(world, unknown, second)
        problem = refusal(got, 503, "store_unavailable")
        assert "www-authenticate" not in got.headers and int(got.headers["retry-after"]) >= 1, problem
    assert not ready(second) and ready(first)
    assert ask(world, made.secret, first).status_code == 200
    error = second.status()["state_error"]
    assert "in use by another process" in error and "plugway.redb" in error
    assert error in second.stderr or "in use by another process" in second.stderr
    refused(second.command("token", "list"), 1, "in use by another process")
    refused(second.command("token", "list", "--json"), 1, "store_unavailable")
    refused(plugway.run("token", "list", "--config", "second.toml", "--admin", "unix:nowhere.sock", cwd=world.folder), 1, "no gateway answers")
    first.stop()
    eventually(lambda: ask(world, made.secret, second).status_code == 200, 40)
    refusal(ask(world, token(), second), 401, "invalid_token")
    assert ready(second) and second.status()["state_error"] is None
    assert second.command("token", "suspend", made.id).code == 0


def test_a_command_waits_for_no_one(world: World):
    """A gateway that has the database, but whose socket is another's."""
    world.start()
    desk = Desk(world, True)
    desk.create()
    plugway.write(world.folder, world.base({"listen": {"admin": "unix:elsewhere.sock"}}), "other.toml")
    ran = plugway.run("token", "list", "--config", "other.toml", cwd=world.folder)
    refused(ran, 1, "plugway.redb", "in use by another process")


# --- what is wrong with it ---


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def scribbled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:4096] = os.urandom(4096)
    path.write_bytes(data)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def newer(path: Path) -> None:
    """The number of the format, where it is stored."""
    data = path.read_bytes()
    old = b"format" + (1).to_bytes(8, "little")
    assert old in data
    path.write_bytes(data.replace(old, b"format" + (2).to_bytes(8, "little")))


BROKEN = {
    "empty": (lambda path: path.write_bytes(b""), "is damaged or is no database"),
    "random": (lambda path: path.write_bytes(os.urandom(100_000)), "is damaged or is no database"),
    "text": (lambda path: path.write_text("nothing of the kind"), "is damaged or is no database"),
    "scribbled": (scribbled, "is damaged or is no database"),
    "cut": (cut, "is damaged or is no database"),
    "folder": (folder, "can not be opened: Is a directory"),
    "newer": (newer, "was written by a newer plugway (format 2, this one knows 1)"),
}


@pytest.mark.parametrize(("breaks", "said"), BROKEN.values(), ids=list(BROKEN))
def test_what_can_not_be_read(world: World, breaks, said: str):
    """Declared tokens go on to work; whether others are good nobody knows, so that they are not
    told that they are not."""
    desk = stored(world)
    made = desk.create()
    path = world.folder / FILE
    (world.folder / "good").write_bytes(path.read_bytes())
    breaks(path)
    before = path.read_bytes() if path.is_file() else None
    for arguments in (("token", "list"), ("token", "show", made.id), ("token", "suspend", made.id), ("token", "create", "--name", "x", "--level", "user", "--plugin", "todo", "--scope", "*"),
                      ("token", "export"), ("audit", "list"), ("audit", "verify"), ("audit", "export"), ("state", "backup", "saved")):
        refused(desk(*arguments), 1, "plugway.redb", said)
        assert desk(*arguments, "--json").json["code"] == "store_unavailable"
    assert not (world.folder / "saved").exists()
    world.start({"listen": {"admin": "unix:admin.sock"}})
    world.gateway.secrets.add(made.secret)
    assert ask(world, world.service).status_code == ask(world, world.user).status_code == 200
    for unknown in (made.secret, token()):
        refusal(ask(world, unknown), 503, "store_unavailable")
    assert not ready(world.gateway)
    assert said in world.gateway.status()["state_error"]
    world.gateway.await_messages(said)
    refused(desk("token", "list"), 1, said)
    if before is not None and "damaged" in said:
        assert path.read_bytes() == before, "what is damaged is evidence"
    # Put right, it is noticed.
    if path.is_dir():
        path.rmdir()
    plugway.replace(path, (world.folder / "good").read_bytes())
    eventually(lambda: ask(world, made.secret).status_code == 200, 40)
    assert ready(world.gateway) and world.gateway.status()["state_error"] is None
    refusal(ask(world, token()), 401, "invalid_token")


@pytest.mark.parametrize("directory", ["state", "state/below"])
def test_a_file_where_the_state_directory_is(world: World, directory: str):
    """No start, also where the admin socket lies elsewhere: the first token would tell it else. With a database that was
    there, commands say the same of it as of another that can not be opened."""
    desk = stored(world)
    elsewhere = {"state": {"directory": directory}, "listen": {"admin": "unix:admin.sock"}}
    plugway.write(world.folder, world.base(elsewhere))
    made = desk.create()
    good = (world.folder / directory / "plugway.redb").read_bytes()
    shutil.rmtree(world.folder / "state")
    (world.folder / "state").write_text("a file where the directory was")
    for arguments in (("token", "list"), ("token", "show", made.id), ("token", "export"), ("audit", "verify"), ("state", "backup", "saved")):
        refused(desk(*arguments), 1, "plugway.redb", "can not be opened: Not a directory")
    said = f"{world.folder.resolve()}/state is no folder: move that away, or choose another state.directory"
    for as_json in ((), ("--json",)):
        refused(desk("serve", *as_json), 1, "there can be no state", said)
    assert not (world.folder / "admin.sock").exists()
    checked = desk("check")
    assert checked.code == 4 and "`state` is no directory" in checked.err, checked
    (world.folder / "state").unlink()
    plugway.replace(world.folder / directory / "plugway.redb", good)
    world.start(elsewhere)
    world.gateway.secrets.add(made.secret)
    assert ask(world, made.secret).status_code == 200


def test_a_state_directory_that_is_a_link_into_nothing(world: World):
    """A volume may come late."""
    (world.folder / "state").symlink_to("volume")
    world.start({"listen": {"admin": "unix:admin.sock"}})
    assert ask(world, world.service).status_code == 200


def test_readyz_on_every_listener(world: World):
    """Whoever sends requests here asks there."""
    desk = stored(world)
    desk.create()
    good = (world.folder / FILE).read_bytes()
    (world.folder / FILE).write_bytes(b"nothing of the kind")
    world.start(METRICS)
    host, port = world.gateway.address("metrics")
    metrics = lambda: httpx.get(f"http://{host}:{port}/readyz", trust_env=False, timeout=20).status_code
    assert (metrics(), readyz(world.gateway)) == (503, 503)
    plugway.replace(world.folder / FILE, good)
    eventually(lambda: (metrics(), readyz(world.gateway)) == (200, 200), 40)


def test_put_aside(world: World):
    """A damaged file that is taken away: there are no stored tokens, and that is said once."""
    desk = stored(world)
    made = desk.create()
    (world.folder / FILE).write_bytes(b"nothing of the kind")
    world.start()
    world.gateway.secrets.add(made.secret)
    refusal(ask(world, made.secret), 503, "store_unavailable")
    (world.folder / FILE).rename(world.folder / "aside")
    eventually(lambda: ask(world, made.secret).status_code == 401, 40)
    assert world.gateway.status()["state_error"] is None and ready(world.gateway)
    # Each of these is a turn of the loop that would say it again.
    for _ in range(50):
        world.gateway.status()
    assert world.gateway.stderr.count("there is no state database any more") == 1
    again = desk.create("again")
    assert ask(world, again.secret).status_code == 200


def test_where_nothing_can_be_made(world: World):
    """A create that fails takes nothing from anybody else."""
    world.start({"state": {"directory": "blocked/state"}, "listen": {"admin": "unix:admin.sock"}})
    (world.folder / "blocked").rename(world.folder / "aside")
    (world.folder / "blocked").write_text("a file")
    desk = Desk(world, True)
    refused(desk.token("create", "--name", "x", "--level", "user", "--plugin", "todo", "--scope", "*"), 1, "can not be", "Not a directory")
    assert ask(world, world.service).status_code == 200
    (world.folder / "blocked").unlink()
    made = eventually(lambda: desk.create() if desk.token("list").code == 0 else None, 40)
    assert ask(world, made.secret).status_code == 200


# --- backup and restore ---


def fill(desk: Desk) -> list[str]:
    """Tokens in every state; the secrets that work."""
    one, two = desk.create("one", "--quota", "5/day", "--note", "größe"), desk.create("two")
    new = desk.rotate(two.id)
    desk.create("three"), desk.json("revoke", "three", "--reason", "leaked")
    return [one.secret, two.secret, new.secret]


@pytest.mark.parametrize("running", [True, False], ids=["gateway", "database"])
def test_backup_and_restore(world: World, running: bool):
    desk = stored(world)
    if running:
        world.start()
    secrets = fill(desk)
    text = desk("state", "backup", "saved")
    assert text.code == 0 and text.out.startswith("saved: ") and text.err == ""
    again = desk("state", "backup", "saved", "--json")
    assert again.json["lines"] == len((world.folder / "saved").read_text().splitlines())
    assert stat.S_IMODE((world.folder / "saved").stat().st_mode) == 0o600
    exported, audit = desk.token("export").out, desk("audit", "export").out
    if running:
        refused(desk("state", "restore", "saved"), 1, "a gateway runs")
        end(world)
    refused(desk("state", "restore", "saved"), 5, "holds a state database already")
    refused(desk("state", "restore", "saved", "--json"), 5, "holds a state database already")
    (world.folder / "state").rename(world.folder / "aside")
    done = desk("state", "restore", "saved", "--json")
    assert done.code == 0 and (done.json["tokens"], done.json["audit"]) == (3, len(audit.splitlines()))
    assert done.json["generations"] == (1 if running else 0)
    assert [stat.S_IMODE((world.folder / path).stat().st_mode) for path in ("state", FILE)] == [0o700, 0o600]
    assert desk.token("export").out == exported and desk("audit", "export").out == audit
    assert desk("audit", "verify").code == 0
    world.start()
    world.gateway.secrets |= set(secrets)
    assert [ask(world, secret).status_code for secret in secrets] == [200] * 3


@pytest.fixture
def saved(world: World) -> tuple[Desk, list[str]]:
    """The lines of a backup, and nothing else."""
    desk = stored(world)
    fill(desk)
    assert desk("state", "backup", "saved").code == 0
    (world.folder / "state").rename(world.folder / "aside")
    return desk, (world.folder / "saved").read_text().splitlines(keepends=True)


def test_a_backup_that_is_none(world: World, saved):
    desk, lines = saved
    token_line = next(number for number, line in enumerate(lines) if line.startswith('{"token"') and "größe" in line)
    altered = [*lines]
    altered[token_line] = altered[token_line].replace("größe", "kleine")
    assert altered != lines
    for wrong, number, part in (
        ([], 1, "ends too early"), (lines[:-1], len(lines), "ends too early"), ([*lines[:-1], lines[-1][:40]], len(lines), "no line of a backup"),
        (lines[: len(lines) // 2], len(lines) // 2 + 1, "ends too early"), (lines[1:], 1, "not the first line"), ([lines[0], *lines[2:]], len(lines) - 1, "hash"),
        (altered, len(lines), "hash"), ([lines[0], lines[2], lines[1], *lines[3:]], len(lines), "hash"), (["nonsense\n"], 1, "no line of a backup"),
        ([lines[0], *lines], 2, "another backup"), ([lines[0].replace('"format":2', '"format":7'), *lines[1:]], 1, "format 7"),
        ([*lines[:1], "x" * 3_000_000 + "\n"], 2, "no line of a backup"), ([lines[0], '{"token":"nonsense"}\n'], 2, ""),
    ):
        (world.folder / "wrong").write_text("".join(wrong))
        refused(desk("state", "restore", "wrong"), 1, f"wrong: line {number}: ", part)
        assert not (world.folder / FILE).exists()
    refused(desk("state", "restore", "missing"), 1, "missing can not be read")
    assert desk("state", "restore", "saved").code == 0


def test_a_backup_that_is_no_file(world: World, saved):
    """It is refused at once: a FIFO would be waited for. What the shell has open may be one."""
    desk, lines = saved
    os.mkfifo(world.folder / "pipe")
    (world.folder / "folder").mkdir()
    (world.folder / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(world.folder / "socket"))
        for name, what in (("pipe", "a FIFO"), ("link", "a FIFO"), ("folder", "a directory"), ("socket", "a socket"), ("/dev/zero", "a device")):
            for as_json in ((), ("--json",)):
                refused(desk("state", "restore", name, *as_json), 1, f"{name} can not be read: it is {what} and no file")
            assert not (world.folder / FILE).exists()
    # What others read is nothing to read from.
    refused(desk("state", "restore", "/dev/stdout"), 1, "/dev/stdout can not be read: it is a FIFO and no file")
    assert desk("state", "restore", "/dev/stdin", stdin="".join(lines)).code == 0


def test_a_backup_of_before_there_were_generations_in_it(world: World, saved):
    desk, lines = saved
    first, *rest, last = lines
    body = [first.replace('"format":2', '"format":1'), *(line for line in rest if not line.startswith('{"kept"'))]
    end = json.loads(last)["end"]
    del end["generations"]
    end["sha256"] = hashlib.sha256("".join(body).encode()).hexdigest()
    assert body[0] != first
    (world.folder / "old").write_text("".join([*body, json.dumps({"end": end}) + "\n"]))
    done = desk("state", "restore", "old", "--json")
    assert done.code == 0 and (done.json["tokens"], done.json["audit"], done.json["generations"]) == (end["tokens"], end["audit"], 0)
    assert end["tokens"] == 3 and len(desk.export()) == 3
    assert desk("audit", "verify").code == 0


def test_a_backup_that_can_not_be_written(world: World):
    desk = stored(world)
    desk.create()
    refused(desk("state", "backup", "no/such/folder/saved"), 1, "no/such/folder")
    refused(desk("state", "backup", "nothing", "--admin", "unix:nowhere.sock"), 1, "no gateway answers")
    assert sorted(os.listdir(world.folder)) == ["certs", "plugway.toml", "state"]


def test_names_that_are_paths(world: World):
    """A token may have any name, also one that is a path of the API."""
    world.start(METRICS)
    desk = Desk(world, True)
    for name in ("import", "export", "..", "a/b", "ä ö?#%"):
        made = desk.create(name)
        assert desk.show(name)["id"] == made.id
        assert desk.json("suspend", name)["state"] == "suspended"
        assert desk.json("set", name, "--note", "x")["note"] == "x"


def test_what_a_deploy_takes_away(world: World):
    """A state that is on a file system of the container is warned of, where there is one."""
    kinds = re.findall(r" - (\S+)", Path("/proc/self/mountinfo").read_text())
    ran = stored(world).token("create", "--name", "x", "--level", "user", "--plugin", "todo", "--scope", "*", "--json")
    warned = json.loads(ran.out).get("warnings", [])
    assert not warned or set(kinds) & {"tmpfs", "ramfs", "overlay", "aufs"}
    assert all("does not outlive the next deploy" in text for text in warned)


def sealed(lines: list[str]) -> list[str]:
    """With an end that fits: whoever can write a backup can write its hash as well."""
    body = lines[:-1]
    end = json.loads(lines[-1])
    end["end"] |= {"tokens": sum(line.startswith('{"token"') for line in body), "audit": sum(line.startswith('{"audit"') for line in body),
                   "sha256": hashlib.sha256("".join(body).encode()).hexdigest()}
    return [*body, json.dumps(end, separators=(",", ":")) + "\n"]


def test_a_backup_that_contradicts_itself(world: World, saved):
    desk, lines = saved
    tokens = [number for number, line in enumerate(lines) if line.startswith('{"token"')]
    audit = [number for number, line in enumerate(lines) if line.startswith('{"audit"')]
    same_secret = json.loads(json.loads(lines[tokens[0]])["token"]) | {"id": "other"}
    raised = json.loads(json.loads(lines[tokens[0]])["token"]) | {"level": "admin"}
    assert raised["id"].startswith("pl") and not raised["id"].startswith("pla_"), raised
    del raised["scopes"]
    forged = [*lines]
    forged[audit[1]] = forged[audit[1]].replace('\\"by\\":\\"', '\\"by\\":\\"not-')
    assert forged != lines and sealed(lines) == lines
    for wrong, number, part in (
        ([*lines[:tokens[0] + 1], *lines[tokens[0]:]], tokens[0] + 2, "also that of"),
        ([*lines[:tokens[0] + 1], json.dumps({"token": json.dumps(same_secret)}) + "\n", *lines[tokens[0] + 1:]], tokens[0] + 2, "secret"),
        ([*lines[:tokens[0]], json.dumps({"token": json.dumps(raised)}) + "\n", *lines[tokens[0] + 1:]], tokens[0] + 1, "the level is admin"),
        ([*lines[:audit[0]], *lines[audit[1]:]], audit[0] + 1, "entry 1 is missing"),
        ([*lines[:audit[0]], lines[audit[1]], lines[audit[0]], *lines[audit[2]:]], audit[0] + 1, "entry 1 is missing"),
        (forged, audit[2] + 1, "entry 3 does not follow"),
    ):
        (world.folder / "wrong").write_text("".join(sealed(wrong)))
        refused(desk("state", "restore", "wrong"), 1, f"wrong: line {number}: ", part)
        assert not (world.folder / FILE).exists()
    assert desk("state", "restore", "saved").code == 0
