"""Every way in which a file changes, on a real file system: what is there is served, and nothing that
was only under way is ever reported.

A writer that is slow pauses for real here, as slow writers do; no test is decided by that pause."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
from pathlib import Path

import pytest

import plugway
from materials import sha256, token
from plugway import Gateway, eventually, replace

MANIFEST = "/.well-known/ai-plugin.json"
SAID = "Manage your to-dos."


def description(client) -> str:
    return client.get(MANIFEST).json()["description_for_human"]


def shown(client, text: str) -> None:
    eventually(lambda: description(client) == text)


def edited(path: Path, text: str) -> str:
    """The configuration with another description."""
    before = path.read_text()
    line = next(line for line in before.splitlines() if line.startswith("description = "))
    return before.replace(line, f"description = {json.dumps(text)}")


def refusals(gateway: Gateway) -> int:
    counts = [entry["count"] for entry in gateway.status()["reloads"] if entry["result"] == "refused"]
    return sum(counts)


def never_refused(world) -> None:
    assert refusals(world.gateway) == 0, world.gateway.status()["reloads"]
    assert "is refused" not in world.gateway.stderr


def in_folder(world, changes: dict | None = None) -> Path:
    """A gateway whose configuration has a folder of its own; the file."""
    world.config = world.base(changes)
    path = plugway.write(world.folder, world.config, "conf/plugway.toml")
    world.run("serve", "--config", "conf/plugway.toml")
    return path


# --- what replaces a file ---


def test_an_editor_that_renames(world):
    """A new file is put in the place of the old one; or the old one is put aside first."""
    world.start()
    client, path = world.session(), world.folder / "plugway.toml"
    replace(path, edited(path, "Renamed."))
    shown(client, "Renamed.")

    text = edited(path, "Written anew.")
    path.rename(world.folder / "plugway.toml~")
    path.write_text(text)
    (world.folder / "plugway.toml~").unlink()
    shown(client, "Written anew.")
    never_refused(world)


def test_sed(world):
    world.start()
    client = world.session()
    for text in ("One.", "Two."):
        subprocess.run(["sed", "-i", f"s/^description = .*/description = \"{text}\"/", "plugway.toml"], cwd=world.folder, check=True)
        shown(client, text)
    never_refused(world)


def test_git_pull(world):
    """A commit of two files, one of which is new, in the work tree that is served."""
    def git(*arguments: str, cwd: Path) -> None:
        steady = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        who = [part for key in ("user.name=a", "user.email=a@example.com") for part in ("-c", key)]
        subprocess.run(["git", *who, *arguments], cwd=cwd, env=os.environ | steady, check=True, capture_output=True)

    origin = world.folder / "origin"
    changes = {"include": ["conf/plugins/*.toml"], "plugins": {"todo": {"hosts": ["localhost", "127.0.0.1", "todo.test"]}}}
    path = plugway.write(world.folder, world.base(changes), "origin/plugway.toml")
    git("init", "-q", "-b", "main", cwd=origin)
    git("add", ".", cwd=origin)
    git("commit", "-qm", "one", cwd=origin)
    git("clone", "-q", "origin", "conf", cwd=world.folder)
    world.run("serve", "--config", "conf/plugway.toml")
    client, shop = world.session(tls=False, host="todo.test"), world.session(tls=False, host="shop.test", token=world.service)
    assert shop.get("/todos").status_code == 421

    replace(path, edited(path, "Pulled.").replace('plugins = [\n    "todo",\n]', 'plugins = ["*"]'))
    replace(origin / "plugins/shop.toml", f'[plugins.shop]\nhosts = ["shop.test"]\nupstream.url = "{world.upstream.url}"\nauth.require = "any"\n')
    git("add", ".", cwd=origin)
    git("commit", "-qm", "two", cwd=origin)
    git("pull", "-q", cwd=world.folder / "conf")
    shown(client, "Pulled.")
    eventually(lambda: shop.get("/todos").status_code == 200)
    never_refused(world)

    # The one file of a pattern goes: that has to be said, and so nothing of it is taken before.
    git("reset", "-q", "--hard", "HEAD~1", cwd=world.folder / "conf")
    assert "plugins/*.toml` matches no file any more" in world.gateway.await_refusal()["text"]
    assert shop.get("/todos").status_code == 200
    assert world.gateway.reload().code == 0
    shown(client, SAID)
    eventually(lambda: shop.get("/todos").status_code == 421)


def test_the_links_of_kubernetes(world):
    """A volume: the files are links into `..data`, which is a link to a folder; that link is swapped, and
    the old folder is gone."""
    volume = world.folder / "conf"

    def publish(name: str, text: str) -> None:
        replace(volume / name / "plugway.toml", text)
        (volume / "..data_tmp").symlink_to(name)
        before = volume.joinpath("..data").readlink() if volume.joinpath("..data").is_symlink() else None
        (volume / "..data_tmp").rename(volume / "..data")
        if before:
            (volume / before / "plugway.toml").unlink()
            (volume / before).rmdir()

    plugway.write(world.folder, world.base(), "first.toml")
    publish("..2026_01", (world.folder / "first.toml").read_text())
    (volume / "plugway.toml").symlink_to("..data/plugway.toml")
    world.run("serve", "--config", "conf/plugway.toml")
    client = world.session()
    for number in range(2, 5):
        publish(f"..2026_0{number}", edited(volume / "plugway.toml", f"Number {number}."))
        shown(client, f"Number {number}.")
    never_refused(world)


def test_a_directory_that_is_replaced(world):
    path = in_folder(world)
    client, folder = world.session(), path.parent
    for number in range(2):
        replace(world.folder / "fresh/plugway.toml", edited(path, f"Number {number}."))
        folder.rename(world.folder / f"old{number}")
        (world.folder / "fresh").rename(folder)
        shown(client, f"Number {number}.")
        # The folder that has the name now is the one that is watched.
        replace(path, edited(path, f"Number {number}, again."))
        shown(client, f"Number {number}, again.")
    never_refused(world)


def test_a_link_above_the_directory_that_is_replaced(world):
    """As deployments do: `current` leads to the release that counts."""
    plugway.write(world.folder, world.base(), "releases/0/conf/plugway.toml")
    (world.folder / "current").symlink_to("releases/0")
    path = world.folder / "current/conf/plugway.toml"
    world.run("serve", "--config", "current/conf/plugway.toml")
    client = world.session()
    for number in range(1, 4):
        replace(world.folder / f"releases/{number}/conf/plugway.toml", edited(path, f"Number {number}."))
        (world.folder / "next").symlink_to(f"releases/{number}")
        (world.folder / "next").rename(world.folder / "current")
        shown(client, f"Number {number}.")
    never_refused(world)


# --- what is not there yet ---


@pytest.mark.parametrize("whole", [True, False], ids=["renamed into its place", "made there"])
def test_a_folder_that_is_missing_at_the_start(world, whole):
    """It is included, and appears with what is in it."""
    world.start({"include": ["more/plugins/*.toml"], "plugins": {"todo": {"hosts": ["todo.test"]}}})
    client = world.session(tls=False, host="shop.test", token=world.service)
    assert client.get("/todos").status_code == 421
    shop = f'[plugins.shop]\nhosts = ["shop.test"]\nupstream.url = "{world.upstream.url}"\nauth.require = "service"\n'
    shop += f'[tokens.shop]\nlevel = "service"\nplugins = ["shop"]\nscopes = ["*"]\nsha256 = "{sha256("a-foreign-key")}"\n'
    if whole:
        replace(world.folder / "fresh/plugins/shop.toml", shop)
        (world.folder / "fresh").rename(world.folder / "more")
    else:
        (world.folder / "more/plugins").mkdir(parents=True)
        (world.folder / "more/plugins/shop.toml").write_text(shop)
    eventually(lambda: client.get("/todos", token="a-foreign-key").status_code == 200)
    never_refused(world)


def test_a_secret_that_comes_after_what_refers_to_it(world):
    """With its folder; until then it is the missing file that is named. So does a token file."""
    world.start()
    client, secret = world.session(), token()
    world.gateway.secrets.add(secret)
    held = {"level": "service", "plugins": ["todo"], "scopes": ["*"], "secret": "${file:run/secrets/held}"}
    world.change({"tokens": {"held": held}, "token_files": ["run/tokens.jsonl"]})
    refused = world.gateway.await_refusal()
    assert "run/secrets/held" in refused["text"], refused["text"]
    late = token()
    replace(world.folder / "run/secrets/held", secret)
    eventually(lambda: "run/tokens.jsonl" in world.gateway.status()["pending_rejected"]["text"])
    replace(world.folder / "run/tokens.jsonl", json.dumps({"level": "service", "plugins": ["*"], "scopes": ["*"], "sha256": sha256(late)}))
    eventually(lambda: client.get("/todos", token=secret).status_code == 200)
    assert client.get("/todos", token=late).status_code == 200
    assert world.gateway.command("status").code == 0


# --- what is under way ---


PAUSE = 0.1
"""Seconds that a slow writer pauses. A gateway waits 250 ms; who was held up for longer than that proves
nothing, and writes once more."""


def unhurried(write) -> None:
    """`write(number)` gives how long it took, in seconds."""
    assert any(write(number) < 0.2 for number in range(20)), "this machine is too busy for a file in two parts"


@pytest.mark.parametrize("closes", [False, True], ids=["one writer", "two writers"])
def test_a_partial_write(world, closes):
    """Half of a file lies there for a while, opened or closed. Nobody is told of it."""
    world.start()
    client, path = world.session(), world.folder / "plugway.toml"
    before = path.read_text()

    def write(number: int) -> float:
        seen = refusals(world.gateway)
        text = before.replace(SAID, f"Number {number}.")
        half = len(text) // 2
        begun = time.monotonic()
        file = path.open("w")
        file.write(text[:half])
        file.flush()
        if closes:
            file.close()
            file = path.open("a")
        time.sleep(PAUSE)
        file.write(text[half:])
        file.close()
        took = time.monotonic() - begun
        shown(client, f"Number {number}.")
        assert took >= 0.2 or refusals(world.gateway) == seen
        return took

    unhurried(write)


def served(world) -> bytes:
    """The certificate of a new connection."""
    with socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
        with world.certificates.client().wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.getpeercert(binary_form=True)


@pytest.mark.parametrize("order", [("pem", "key"), ("key", "pem")], ids=["certificate first", "key first"])
def test_a_certificate_and_a_key_that_change_one_after_the_other(world, order):
    world.start()

    def write(number: int) -> float:
        seen, fresh = refusals(world.gateway), world.folder / f"fresh{number}"
        world.certificates.issue(fresh)
        old, parts = served(world), [(fresh / f"server.{ending}").read_bytes() for ending in order]
        begun = time.monotonic()
        replace(world.folder / f"certs/server.{order[0]}", parts[0])
        time.sleep(PAUSE)
        replace(world.folder / f"certs/server.{order[1]}", parts[1])
        took = time.monotonic() - begun
        eventually(lambda: served(world) != old)
        assert took >= 0.2 or refusals(world.gateway) == seen
        return took

    unhurried(write)


def test_a_storm_of_changes_ends_with_the_last(world):
    world.start()
    client, path = world.session(), world.folder / "plugway.toml"
    texts = [edited(path, f"Number {number}.") for number in range(300)]
    for text in texts:
        replace(path, text)
    shown(client, "Number 299.")
    never_refused(world)
    assert world.gateway.generation() < 300, "each of them was taken"


# --- what no event tells of ---


def test_a_file_system_on_which_events_say_nothing(world):
    """The file is written through another name of it, in a folder that nobody watches, as a network mount
    is written by another machine."""
    path = in_folder(world)
    client = world.session()
    (world.folder / "elsewhere").mkdir()
    other = world.folder / "elsewhere/same"
    os.link(path, other)
    for text in ("Written elsewhere.", "Once more.", "Ouce more."):
        other.write_text(edited(path, text))
        shown(client, text)
    never_refused(world)


def mounted(world, monkeypatch, *commands: str) -> Gateway:
    """`plugway serve --config conf/plugway.toml` among mounts of its own, made by shell commands before.
    Who is not root needs user namespaces; without them the test can not be made, and fails."""
    own = "unshare -m" if os.geteuid() == 0 else "unshare -rm"
    script = world.folder / "mounted"
    inner = " && ".join([*commands, f'exec {shlex.quote(plugway.binary())} "$@"'])
    script.write_text(f"#!/bin/sh\nexec {own} sh -c {shlex.quote(inner)} sh \"$@\"\n")
    script.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(plugway, "binary", lambda: str(script))
        return world.run("serve", "--config", "conf/plugway.toml")


def warned(gateway: Gateway) -> dict[str, str]:
    """Which files are warned of as mounts, and how; the same at the start and in the status."""
    found = {entry["key"]: entry["message"] for entry in gateway.status()["warnings"] if "mounted" in entry["message"]}
    for file, message in found.items():
        gateway.await_messages(file, message)
    assert bool(found) == ("mounted by itself" in gateway.stderr), gateway.stderr
    return found


def test_a_mount_of_one_file_is_warned_of(world, monkeypatch):
    """`-v file:file`, or a `subPath`: whatever replaces the file outside is not seen inside. What is written
    into it is."""
    held = {"level": "service", "plugins": ["todo"], "scopes": ["*"], "secret": "${file:conf/my secret}"}
    config = world.base({"tokens": {"held": held}})
    outside = plugway.write(world.folder, config, "outside.toml")
    replace(world.folder / "gone", first := token())
    for name in ("plugway.toml", "my secret"):
        replace(world.folder / "conf" / name, "")
    mounted(
        world, monkeypatch,
        "mount --bind outside.toml conf/plugway.toml", "mount --bind gone 'conf/my secret'", "rm gone",
    )
    client = world.session()
    assert client.get("/todos", token=first).status_code == 200
    found = warned(world.gateway)
    assert sorted(found) == ["conf/my secret", "conf/plugway.toml"], found
    assert "if it is replaced" in found["conf/plugway.toml"]
    assert "was replaced" in found["conf/my secret"]
    world.gateway.await_messages("mount the folder")
    outside.write_text(edited(outside, "Written in place."))
    shown(client, "Written in place.")
    never_refused(world)


def test_a_mount_of_the_folder_is_not_warned_of(world, monkeypatch):
    path = plugway.write(world.folder, world.base(), "outside/plugway.toml")
    (world.folder / "conf").mkdir()
    mounted(world, monkeypatch, "mount --bind outside conf")
    client = world.session()
    assert warned(world.gateway) == {}
    replace(path, edited(path, "Replaced outside."))
    shown(client, "Replaced outside.")
    never_refused(world)
