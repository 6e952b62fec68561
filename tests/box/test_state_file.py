"""The file of the state database when it is not what it should be."""

from __future__ import annotations

import pytest

import plugway
from plugway import eventually, run

HEADER = b"\0" * 9 + b"\3" + b"\0" * 54 + b"\1" * 200
"""Of a database whose first bytes are not written yet."""


def placed(world, content: bytes):
    path = world.folder / "state/plugway.redb"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    return path


CREATE = ("token", "create", "--level", "service", "--name", "one", "--plugin", "todo", "--scope", "*")


def test_what_a_kill_left_while_the_file_was_made_is_in_nobodys_way(world):
    """It gets its name when it is whole; until then it has another."""
    placed(world, HEADER.ljust(73728, b"\0")).rename(world.folder / "state/.plugwayAbCdEf")
    gateway = world.start()
    made = gateway.command(*CREATE)
    assert made.code == 0, made
    assert world.session(tls=False).get("/todos/1", token=made.out.strip()).status_code == 200


@pytest.mark.parametrize("damaged", [b"", HEADER.ljust(73728, b"\0"), HEADER.ljust(73727, b"\0") + b"\1", b"x" * 4096])
def test_a_damaged_file_is_left_as_it_is(world, damaged):
    path = placed(world, damaged)
    gateway = world.start()
    made = gateway.command(*CREATE)
    assert made.code == 1 and "damaged" in made.err, made
    assert path.read_bytes() == damaged


def test_a_link_to_a_file_that_is_not_there_is_no_empty_state(world):
    """A volume that is not mounted, say: whether a secret is good can not be known."""
    world.start()
    made = world.gateway.command(*CREATE)
    assert made.code == 0, made
    world.gateway.stop()
    path = world.folder / "state/plugway.redb"
    aside = path.rename(world.folder / "aside.redb")
    path.symlink_to(world.folder / "volume/plugway.redb")
    world.run("serve", "--config", "plugway.toml")
    client = world.session(tls=False)
    asked = lambda: client.get("/todos/1", token=made.out.strip()).status_code
    assert asked() == 503 and client.get("/readyz").status_code == 503
    assert "symbolic link" in world.gateway.status()["state_error"]
    assert client.get("/todos/1", token=world.service).status_code == 200
    create = world.gateway.command(*CREATE)
    assert create.code == 1 and create.out == "" and path.is_symlink(), create
    (world.folder / "volume").mkdir()
    aside.rename(world.folder / "volume/plugway.redb")
    eventually(lambda: asked() == 200 and client.get("/readyz").status_code == 200)


@pytest.mark.parametrize("directory", ["occupied", "occupied/state"])
def test_a_state_directory_that_is_a_file(world, directory):
    (world.folder / "occupied").write_text("mine")
    plugway.write(world.folder, world.base({"state": {"directory": directory}}))
    ran = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert ran.code == 4 and "`occupied` is no directory" in ran.out + ran.err and "state.directory" in ran.out + ran.err, ran
    assert (world.folder / "occupied").read_text() == "mine"


@pytest.mark.parametrize("directory", ["link", "link/state"])
def test_a_state_directory_that_is_a_link_into_nothing(world, directory):
    (world.folder / "link").symlink_to("nowhere")
    plugway.write(world.folder, world.base({"state": {"directory": directory}}))
    checked = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert checked.code == 4 and "`link` is a link into nothing" in checked.out + checked.err, checked
    served = run("serve", "--config", "plugway.toml", cwd=world.folder)
    assert served.code == 1 and f"{world.folder}/link is a link into nothing: remove it" in served.out + served.err, served


def test_a_state_directory_that_is_taken_away_is_missed_aloud(world):
    gateway = world.start()
    made = gateway.command(*CREATE)
    assert made.code == 0, made
    # At once: one that is emptied piece by piece gets new files meanwhile.
    (world.folder / "state").rename(world.folder / "aside")
    said = eventually(lambda: [line for line in gateway.stderr.splitlines() if "admin socket" in line and "state" in line])
    assert said and world.session(tls=False).get("/todos/1", token=made.out.strip()).status_code == 200
