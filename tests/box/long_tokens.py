"""Tokens that are rotated and revoked while they are used: no request is answered otherwise than its
secret deserves at that moment. Prints figures."""

from __future__ import annotations

import os
import queue
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import load
import pytest
from clients import connection
from admin_client import QUIET, Asker, Desk, percentiles
from materials import merge
from plugway import PATIENCE, eventually

ROTATIONS, EACH = int(os.environ.get("ROTATIONS", "100")), 4
"""And requests of each client between two changes."""
TOKENS, HANDS = int(os.environ.get("TOKENS", "1000")), 2


@pytest.fixture
def api(world):
    """A gateway in front of an upstream in a process of its own, and a way to give it commands."""
    with load.answering() as port:
        source = f"{world.upstream.url}/openapi.json"
        world.start(merge(QUIET, {"plugins": {"todo": {"upstream": {"url": f"http://127.0.0.1:{port}"}, "openapi": {"source": source}}}}))
        yield Desk(world.gateway)


@dataclass
class Life:
    """A secret, and when the command that ended it was sent and had returned."""

    secret: str
    sent: float | None = None
    returned: float | None = None


@dataclass
class Client:
    """One that asks with the secret that `which` chooses."""

    which: int
    http2: bool
    asked: list[tuple[Life, float, float, int]] = field(default_factory=list)
    fault: str | None = None

    def run(self, world, lives: list[Life], stop: threading.Event) -> None:
        session, used = world.session(tls=False, http2=self.http2), set()
        try:
            while not stop.is_set():
                life = lives[max(-len(lives), self.which)]
                begun = time.monotonic()
                got = session.get("/todos/1", token=life.secret)
                self.asked.append((life, begun, time.monotonic(), got.status_code))
                used.add(connection(got))
        except Exception as error:  # noqa: BLE001 - told by the test
            self.fault = repr(error)
        if len(used) != 1:
            self.fault = self.fault or f"{len(used)} connections instead of one"


def verdict(asked: tuple[Life, float, float, int]) -> str:
    """A request that neither was over before its secret's end was asked for, nor began after that had
    returned, may be answered either way."""
    life, begun, over, status = asked
    if life.sent is None or over < life.sent:
        return "live" if status == 200 else f"{status} while the secret was live"
    if life.returned is not None and begun > life.returned:
        return "ended" if status == 401 else f"{status} after the secret had ended"
    return "between" if status in (200, 401) else f"{status}"


def test_rotation(world, api):
    """The clients use the newest secret, the one before, and the one before that, over HTTP/1.1 and
    HTTP/2; each turns to the next as soon as a rotation has returned."""
    made = api.create("chatgpt")
    lives, took, stop = [Life(made["secret"])], [], threading.Event()
    clients = [Client(which, http2) for which in (-1, -2, -3) for http2 in (False, True)]
    threads = [threading.Thread(target=client.run, args=(world, lives, stop)) for client in clients]
    for thread in threads:
        thread.start()

    def await_requests() -> None:
        before = [len(client.asked) for client in clients]
        eventually(lambda: stop.is_set() or all(len(client.asked) >= least + EACH or client.fault for client, least in zip(clients, before, strict=True)))

    await_requests()
    for number in range(ROTATIONS):
        sent = time.monotonic()
        # At most two live: the one before is ended by this, unless something else ended it.
        ends = lives[-2:-1] if len(lives) > 1 and lives[-2].sent is None else []
        for life in ends:
            life.sent = sent
        fresh = api.rotate(made["id"])["secret"]
        took.append(time.monotonic() - sent)
        for life in ends:
            life.returned = time.monotonic()
        lives.append(Life(fresh))
        world.gateway.secrets.add(fresh)
        await_requests()
        if number % 3 == 0:
            lives[-2].sent = time.monotonic()
            api.finish(made["id"])
            lives[-2].returned = time.monotonic()
            await_requests()
        elif number % 10 == 5:
            lives[-1].sent = time.monotonic()
            api.do("POST", f"/tokens/{made['id']}/undo")
            lives[-1].returned = time.monotonic()
            await_requests()
            lives[-2:] = [lives[-1], lives[-2]]
            await_requests()
    stop.set()
    for thread in threads:
        thread.join(30)
    verdicts: dict[str, int] = {}
    for asked in (each for client in clients for each in client.asked):
        verdicts[verdict(asked)] = verdicts.get(verdict(asked), 0) + 1
    wrong = {name: count for name, count in verdicts.items() if name not in ("live", "ended", "between")}
    faults = [client.fault for client in clients if client.fault]
    print(f"\n{ROTATIONS} rotations ({percentiles(took)}): {verdicts.get('live', 0)} requests with a live secret got 200, "
          f"{verdicts.get('ended', 0)} with an ended one 401, {verdicts.get('between', 0)} while a command ended theirs; wrong: {wrong or 0}")
    assert not faults and not wrong, (faults, wrong)
    assert verdicts["live"] > ROTATIONS * EACH * 4 and verdicts["ended"] > ROTATIONS * EACH


@dataclass
class Hammer:
    """Asks with one secret over one connection until it was refused, and some times more."""

    asker: Asker
    secrets: queue.Queue[str | None] = field(default_factory=queue.Queue)
    accepted: int = 0
    """Of this secret, up to now."""
    asked: list[tuple[float, int]] = field(default_factory=list)
    returned: float | None = None
    done: threading.Event = field(default_factory=threading.Event)
    fault: BaseException | None = None

    def run(self) -> None:
        try:
            while secret := self.secrets.get():
                late = 0
                while late < 3:
                    begun = time.monotonic()
                    status = self.asker.status(secret)
                    self.asked.append((begun, status))
                    self.accepted += status == 200
                    late += self.returned is not None and begun > self.returned and status == 401
                    if len(self.asked) > 100_000:
                        raise AssertionError("it is never refused")
                self.done.set()
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.fault = error
            self.done.set()

    def over(self, secret: str, revoke) -> tuple[float, float, int]:
        """Seconds that the command took; from its return to the begin of the first request that was
        refused; and how many that began after it were not."""
        self.accepted, self.returned, self.asked = 0, None, []
        self.done.clear()
        self.secrets.put(secret)
        eventually(lambda: self.accepted >= 3 or self.fault)
        sent = time.monotonic()
        revoke()
        self.returned = time.monotonic()
        assert self.done.wait(PATIENCE) and not self.fault, self.fault
        late = [status for begun, status in self.asked if begun > self.returned]
        first = next(begun for begun, status in self.asked if status == 401)
        assert {status for _, status in self.asked} == {200, 401}
        return self.returned - sent, first - self.returned, late.count(200)


def test_revocation(world, api):
    begun = time.monotonic()
    made = [api.create(f"t{number}") for number in range(TOKENS)]
    creating = (time.monotonic() - begun) / TOKENS
    random.Random(3).shuffle(made)
    took: list[tuple[float, float, int]] = []
    hammers = [Hammer(Asker(world.gateway.address("http"))) for _ in range(HANDS)]
    faults: list[BaseException] = []

    def revoke_all(hammer: Hammer, tokens: list[dict]) -> None:
        desk = Desk(world.gateway)
        try:
            for token in tokens:
                took.append(hammer.over(token["secret"], lambda token=token: desk.revoke(token["id"])))
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    # A thread that is not let run for 5 ms would take its stamps too late.
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    try:
        threads = [threading.Thread(target=hammer.run) for hammer in hammers]
        threads += [threading.Thread(target=revoke_all, args=(hammer, made[number::HANDS])) for number, hammer in enumerate(hammers)]
        for thread in threads:
            thread.start()
        for thread in threads[HANDS:]:
            thread.join()
        for hammer in hammers:
            hammer.secrets.put(None)
        for thread in threads[:HANDS]:
            thread.join(PATIENCE)
    finally:
        sys.setswitchinterval(before)
    for hammer in hammers:
        hammer.asker.close()
    assert not faults, faults
    commands, firsts, late = zip(*took, strict=True)
    print(f"\n{len(took)} tokens created ({creating * 1e3:.1f} ms each) and revoked ({percentiles(commands)}); from the command's return to the begin of "
          f"the first refused request {percentiles(firsts)}; {sum(late)} that began after the return were accepted")
    assert sum(late) == 0 and len(took) == TOKENS


def switches(pid: int) -> int:
    """How often its threads have gone to sleep."""
    count = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        count += next(int(line.split()[1]) for line in status.open() if line.startswith("voluntary_ctxt_switches"))
    return count


@pytest.mark.parametrize("stored", [False, True])
def test_rest_after_use(world, stored):
    """Last uses are written a minute after the first; with a state database or without one, the
    gateway rests then."""
    gateway = world.start(QUIET | {"tokens": {}})
    asker = Asker(gateway.address("http"))
    if stored:
        Desk(gateway).create("one")
    assert asker.status(world.service) == 200
    asker.close()
    time.sleep(62)
    before = switches(gateway.process.pid)
    time.sleep(3)
    woken = switches(gateway.process.pid) - before
    print(f"\n{'with' if stored else 'without'} a state database: woken {woken} times in 3 s, a minute after a use")
    assert woken < 300
