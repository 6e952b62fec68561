"""One secret on twelve machines, rotated on all while a client goes round them; and one machine that is
made anew of its configuration and a backup. As docs/tokens.md says, by the command line."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import load
import plugway
import pytest
from admin_client import QUIET, Asker
from materials import merge
from plugway import Gateway, Ran, eventually, run

MACHINES = 12


@dataclass
class Machine:
    """A folder with a configuration and a state directory, and what runs there."""

    world: object
    folder: Path
    gateway: Gateway | None = None
    asker: Asker | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a request is under way, and while it is restarted."""

    def start(self) -> None:
        self.gateway = self.world.run("serve", "--config", "plugway.toml", cwd=self.folder)
        self.asker = Asker(self.gateway.address("http"))

    def restart(self) -> None:
        with self.lock:
            self.asker.close()
            self.gateway.stop()
            self.start()

    def status(self, secret: str) -> int:
        with self.lock:
            return self.asker.status(secret)

    def plugway(self, *arguments: str) -> Ran:
        """What `ssh` would run there."""
        return run(*arguments, "--config", "plugway.toml", cwd=self.folder)

    def done(self, *arguments: str) -> dict:
        ran = self.plugway(*arguments, "--json")
        assert ran.code == 0, ran
        return ran.json


@pytest.fixture
def machines(world):
    with load.answering() as port:
        made = []
        for number in range(MACHINES):
            folder = world.folder / f"m{number}"
            folder.mkdir()
            plugin = {"upstream": {"url": f"http://127.0.0.1:{port}"}, "openapi": {"source": f"{world.upstream.url}/openapi.json"}}
            plugway.write(folder, world.base(merge(QUIET, {"plugins": {"todo": plugin}})))
            made.append(Machine(world, folder))
            made[-1].start()
        yield made
        for machine in made:
            machine.asker.close()


class Client:
    """Goes round the machines with the secrets that it has at the moment."""

    def __init__(self, machines: list[Machine], secret: str):
        self.machines, self.secrets = machines, (secret,)
        self.rounds, self.wrong, self.asked = 0, [], 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                secrets = self.secrets
                for machine, secret in itertools.product(self.machines, secrets):
                    status = machine.status(secret)
                    self.asked += 1
                    if status != 200:
                        self.wrong.append((machine.folder.name, secret[:12], status))
                self.rounds += 1
        except Exception as error:  # noqa: BLE001 - told by the test
            self.wrong.append(repr(error))

    def use(self, *secrets: str) -> None:
        """From now on these: returns when no request with others is under way, after two rounds."""
        self.secrets = secrets
        before = self.rounds
        eventually(lambda: self.rounds >= before + 3 or self.wrong)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(30)


def test_machines(world, machines):
    old = run("token", "generate", "--json", cwd=world.folder).json
    new = run("token", "generate", "--json", cwd=world.folder).json
    purpose = ("--level", "service", "--name", "chatgpt", "--plugin", "todo", "--scope", "*")
    begun = time.monotonic()
    for changed in (True, False):
        for machine in machines:
            made = machine.done("token", "create", *purpose, "--sha256", old["sha256"], "--id", old["id"])
            assert (made["id"], made["changed"]) == (old["id"], changed), made
    client = Client(machines, old["secret"])
    try:
        client.use(old["secret"])
        for changed in (True, False):
            for machine in machines:
                turned = machine.done("token", "rotate", "chatgpt", "--grace", "24h", "--sha256", new["sha256"])
                assert (turned["id"], turned["changed"], turned["state"]) == (old["id"], changed, "rotating"), turned
        client.use(old["secret"], new["secret"])
        machines[5].restart()
        client.use(old["secret"], new["secret"])
        client.use(new["secret"])
        for machine in machines:
            used = {secret["slot"]: secret["last_used"] for secret in machine.done("token", "rotate", "chatgpt", "--status")["secrets"]}
            assert used["current"] and used["previous"], used
        for machine in machines:
            assert machine.done("token", "rotate", "chatgpt", "--finish")["changed"]
            assert machine.status(old["secret"]) == 401
        client.use(new["secret"])
    finally:
        client.end()
    took = time.monotonic() - begun
    print(f"\n{MACHINES} machines: created twice, rotated twice, one restarted, finished in {took:.1f} s; "
          f"{client.asked} requests in {client.rounds} rounds, {len(client.wrong)} not answered with 200")
    assert not client.wrong, client.wrong[:5]

    backup = world.folder / "tokens.backup"
    assert machines[0].plugway("state", "backup", str(backup)).code == 0
    before = machines[0].done("audit", "verify")
    begun = time.monotonic()
    empty = Machine(world, world.folder / "anew")
    empty.folder.mkdir()
    shutil.copy(machines[0].folder / "plugway.toml", empty.folder)
    restored = empty.plugway("state", "restore", str(backup))
    assert restored.code == 0, restored
    empty.start()
    assert empty.status(new["secret"]) == 200
    took = time.monotonic() - begun
    assert empty.status(old["secret"]) == 401
    after = empty.done("audit", "verify", "--head", before["head"])
    assert after["whole"], after
    assert machines[0].plugway("token", "export").out == empty.plugway("token", "export").out
    empty.asker.close()
    print(f"an empty machine serves {took:.2f} s after the backup and the configuration are there; audit of {before['entries']} entries, "
          f"then {after['entries']}")
