"""The file of the state database when it is not what it should be."""

from __future__ import annotations

import pytest

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
