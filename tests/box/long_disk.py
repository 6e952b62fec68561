"""A full disk under the state directory: commands say so and change nothing, what is known is let in,
and all goes on by itself as soon as there is room. Needs root, for a file system of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import plugway
import pytest
from admin_client import QUIET, Asker, Desk, Known, Stored, check_shown, check_stored, creation
from materials import sha256, token
from plugway import eventually, run

ROUNDS = 6


@pytest.fixture
def disk(world):
    """The state directory, of a few MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    place = world.folder / "state"
    place.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(place)], check=True)
    yield place
    for gateway in world.gateways:
        gateway.stop()
    world.gateways.clear()
    subprocess.run(["umount", str(place)], check=True)


def fill(path) -> int:
    """Takes all that is left; how much it was."""
    size = 0
    with path.open("wb", buffering=0) as file:
        for piece in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    size += file.write(b"\1" * piece)
            except OSError:
                pass
    return size


class Books:
    """Commands, and what they must have left."""

    def __init__(self, desk: Desk):
        self.desk, self.known = desk, []

    def create(self) -> tuple[int, dict]:
        secret = token()
        known = Known(f"n{len(self.known)}")
        known.learn(secret)
        digest = sha256(secret)
        self.known.append(known)
        known.begin("create", Stored("active", digest, frozenset([digest])))
        return self.sent(known, "POST", "/tokens", creation(known.name) | {"sha256": digest, "id": secret[:12]})

    def rotate(self, known: Known) -> tuple[int, dict]:
        secret = token()
        known.learn(secret)
        digest = sha256(secret)
        known.begin("rotate", Stored("active", digest, frozenset([digest, known.stored.current])))
        return self.sent(known, "POST", f"/tokens/{known.id}/rotate", {"grace": "1h", "sha256": digest})

    def turn(self, known: Known) -> tuple[int, dict]:
        """Suspends or resumes it."""
        action, state = ("suspend", "suspended") if known.stored.state == "active" else ("resume", "active")
        known.begin(action, Stored(state, known.stored.current, known.stored.live))
        return self.sent(known, "POST", f"/tokens/{known.id}/{action}")

    def sent(self, known: Known, *asked: object) -> tuple[int, dict]:
        status, got = self.desk.ask(*asked)
        if status in (200, 201):
            known.end(got)
        return status, got

    def until_refused(self, command: Callable[[], tuple[int, dict]]) -> tuple[int, dict]:
        """There may be room in the file itself for some more."""
        for _ in range(20_000):
            status, got = command()
            if status not in (200, 201):
                return status, got
        raise AssertionError("there is always room")

    def stored(self) -> list[Known]:
        return [known for known in self.known if known.stored is not None and known.stored.state == "active"]


def test_full_disk(world, disk):
    gateway = world.start(QUIET)
    desk, asker = Desk(gateway), Asker(gateway.address("http"))
    books = Books(desk)
    for _ in range(20):
        assert books.create()[0] == 201
    refused, again, sizes = 0, [], []
    for number in range(ROUNDS):
        sizes.append(fill(disk / "ballast"))
        active = books.stored()
        # Each kind of command meets it first, in turn.
        command = [books.create, lambda: books.rotate(active[0]), lambda: books.turn(active[-1])][number % 3]
        status, got = books.until_refused(command)
        assert status == 503, got
        assert "disk is full" in got["detail"] and got["code"] == "store_unavailable", got
        # Also when the file can be read again.
        eventually(lambda: desk.ask("GET", f"/tokens/{active[0].id}")[0] == 200)
        assert "disk is full" in gateway.status()["state_error"]
        refused += 1
        said = run("token", "create", "--level", "service", "--name", "late", "--plugin", "todo", "--scope", "*", "--admin", gateway.ready["admin"], cwd=world.folder)
        assert said.code == 1 and said.out == "" and "disk is full" in said.err, said
        for known in books.stored()[:20]:
            if known.under_way is None:
                known.check_answers(asker)
        assert asker.status(token()) == 401
        (disk / "ballast").unlink()
        begun = time.monotonic()
        # By itself: nobody but a reader asks until it is there again.
        eventually(lambda: desk.ask("GET", f"/tokens/{active[0].id}")[0] == 200)
        again.append(time.monotonic() - begun)
        check_stored(desk, books.known)
        books.known = [known for known in books.known if known.stored is not None]
        assert books.create()[0] == 201
        assert gateway.status()["state_error"] is None
        assert books.rotate(books.stored()[1])[0] == 200
        entries = check_stored(desk, books.known)
        for known in books.known:
            check_shown(desk, known)
            known.check_answers(asker)
        verified = run("audit", "verify", "--json", "--admin", gateway.ready["admin"], cwd=world.folder)
        assert verified.code == 0 and verified.json["whole"] and verified.json["entries"] == entries, verified
    asker.close()
    print(f"\n{ROUNDS} times a full disk ({min(sizes) / 1e6:.1f} to {max(sizes) / 1e6:.1f} MB were left): each command was refused and said why; "
          f"with room again it works by itself after {min(again) * 1e3:.0f} to {max(again) * 1e3:.0f} ms; {len(books.known)} tokens, {entries} entries")


def test_start_on_a_full_disk(world, disk):
    """It starts with what is stored, or is not ready and refuses what it can not judge by 503."""
    gateway = world.start(QUIET)
    books = Books(Desk(gateway))
    for _ in range(20):
        assert books.create()[0] == 201
    fill(disk / "ballast")
    books.until_refused(books.create)
    gateway.stop()
    gateway = world.run("serve", "--config", "plugway.toml")
    asker = Asker(gateway.address("http"))
    known = books.stored()[0]
    secret = next(iter(known.secrets.values()))
    first = asker.status(secret)
    unknown = asker.status(token())
    assert (first, unknown) in ((200, 401), (503, 503)), (first, unknown)
    (disk / "ballast").unlink()
    eventually(lambda: asker.status(secret) == 200 and asker.status(token()) == 401)
    books.desk = Desk(gateway)
    eventually(lambda: books.desk.ask("GET", f"/tokens/{known.id}")[0] == 200)
    check_stored(books.desk, books.known)
    assert books.create()[0] == 201
    print(f"\na start on a full disk: {first} for what is stored, {unknown} for what is not")
    asker.close()


def test_first_command_on_a_full_disk(world, disk):
    """A database that can not even be made leaves nothing behind that stands in its own way, or in that
    of requests: nothing was stored, so that every secret is known or is none."""
    gateway = world.start(QUIET)
    desk, asker = Desk(gateway), Asker(gateway.address("http"))
    fill(disk / "ballast")
    books = Books(desk)
    status, got = books.create()
    assert status == 503 and "disk is full" in got["detail"], got
    assert asker.status(token()) == 401
    assert desk.text("GET", "/readyz")[0] == 200
    (disk / "ballast").unlink()
    books.known.clear()
    eventually(lambda: books.create()[0] == 201)
    assert asker.status(token()) == 401
    books.known = [known for known in books.known if known.stored is not None]
    check_stored(desk, books.known)
    asker.close()
    print("\na first command on a full disk: 503, and done when there was room; an unknown secret got 401 meanwhile")
