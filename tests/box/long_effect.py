"""How soon a change holds that touches no document: from the file's replacement, from the start of the process `plugway
reload`, and from the request that such a process sends. Asked all the while, over one connection. Prints figures; what
decides is that each change holds, and how.

Beside them what a process takes here that does nothing (`true`), and one of plugway that only says its version: a
command is such a process first."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import tomli_w

import plugway
from admin_client import Desk
from materials import declared, merge, token

CHANGES = int(os.environ.get("CHANGES", "200"))
PAUSE = 0.0005
"""Seconds between two looks: what is measured is at most so much too long."""


def spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1e3:.1f} ms (p90 {ordered[len(ordered) * 9 // 10] * 1e3:.1f}, most {ordered[-1] * 1e3:.1f})"


def spawn(*command: str, folder: Path) -> int:
    """Starts it with as little around it as there is; its process."""
    environment = plugway.environment()
    os.chdir(folder)
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    return os.posix_spawnp(command[0], command, environment, file_actions=quiet)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Seen:
    """Whether a token is known, asked at once and again until it is: 403 then and not 401, so that no upstream has a part."""

    def __init__(self, world):
        self.wire = world.wire(tls=False)

    def until(self, secret: str) -> None:
        patience = time.monotonic() + 20
        while True:
            self.wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n")
            status, fields = self.wire.head()
            self.wire.exactly(int(fields["content-length"]))
            if status == 403:
                return
            assert status == 401 and time.monotonic() < patience, status
            # Who asks without a pause has a processor to itself, which a command needs as well.
            time.sleep(PAUSE)


def test_effect(world, monkeypatch, tmp_path):
    monkeypatch.chdir(world.folder)  # and back again
    world.start({"limits": {"failed_auth": "off"}, "log": {"access": "errors"}})
    gateway, binary = world.gateway, plugway.binary()
    seen, desk = Seen(world), Desk(gateway)
    file, behind = world.folder / "plugway.toml", tmp_path / "behind.toml"
    linked = False

    def changed() -> tuple[str, str]:
        """The configuration with another secret, and that."""
        world.config = merge(world.config, {"tokens": {"changing": declared(secret := token(), scopes=["getTodo"])}})
        return tomli_w.dumps(world.config), secret

    def unseen() -> str:
        """Written where no watcher looks: what is seen is then the command's doing."""
        nonlocal linked
        text, secret = changed()
        if not linked:
            plugway.replace(file, file.read_text())
            os.link(file, behind)
            linked = True
        behind.write_text(text)
        return secret

    def by_file() -> float:
        text, secret = changed()
        begun = time.monotonic()
        plugway.replace(file, text)
        seen.until(secret)
        return time.monotonic() - begun

    whole: list[float] = []

    def by_command() -> float:
        secret = unseen()
        begun = time.monotonic()
        process = spawn(binary, "reload", "--admin", gateway.ready["admin"], folder=world.folder)
        seen.until(secret)
        took = time.monotonic() - begun
        assert ended(process) == 0
        whole.append(time.monotonic() - begun)
        return took

    def by_request() -> float:
        secret = unseen()
        begun = time.monotonic()
        assert desk.do("POST", "/reload")["result"] == "published"
        took = time.monotonic() - begun
        seen.until(secret)
        return took

    def process(*command: str) -> Callable[[], float]:
        def one() -> float:
            begun = time.monotonic()
            assert ended(spawn(*command, folder=world.folder)) == 0
            return time.monotonic() - begun
        return one

    for name, one in {
        "from the file's replacement": by_file, "from the start of `plugway reload`": by_command, "a request to the admin API, with its answer": by_request,
        "the process `true`": process("true"), "the process `plugway --version`": process(binary, "--version"),
    }.items():
        print(f"\n{name}: {spread([one() for _ in range(CHANGES)])}", end="", flush=True)
    print(f"\n`plugway reload` until it has ended: {spread(whole)}")
