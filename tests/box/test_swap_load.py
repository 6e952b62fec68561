"""Swaps under every kind of load. `tests/long swaps` does the same for longer, and prints figures."""

from __future__ import annotations

import time
from contextlib import ExitStack

import load
from materials import declared, token
from plugway import eventually

KINDS = {"kept", "posts", "http2", "fresh", "events", "upgraded"}
MANIFEST = "/.well-known/ai-plugin.json"


class Swapping:
    """A gateway with two upstreams that are alike, and changes of every sort."""

    def __init__(self, world, ports: list[int]):
        self.world, self.ports = world, ports
        world.start({
            # A connection that ends is a fault here, so that its own limit has to be far away.
            "limits": {"idle": "60s", "requests_per_connection": 1_000_000_000}, "log": {"access": "off", "level": "warn"},
            "plugins": {"todo": self.upstream(0) | {"openapi": {"source": f"{world.upstream.url}/openapi.json"}}},
        })
        self.authority = world.certificates.write_ca(world.folder / "ca.pem")
        self.watcher, self.effects = world.session(), []

    def upstream(self, number: int) -> dict:
        return {"upstream": {"url": f"http://127.0.0.1:{self.ports[number % 2]}"}}

    def asking(self):
        return load.asking(self.world.gateway.address("https")[1], self.authority, self.world.service)

    def swap(self, number: int, every: int) -> None:
        """Another route, document, upstream and token; each so many times another certificate too."""
        if number % every == 0:
            self.world.certificates.issue(self.world.folder / "certs")
        text, begun = f"Number {number}.", time.monotonic()
        excluded = ["search"] if number % 2 else ["reset"]
        plugin = self.upstream(number) | {"description": text, "openapi": {"exclude": excluded}}
        self.world.change({"plugins": {"todo": plugin}, "tokens": {f"t{number % 7}": declared(token())}})
        eventually(lambda: self.watcher.get(MANIFEST).json()["description_for_human"] == text)
        self.effects.append(time.monotonic() - begun)

    def listener(self, number: int) -> None:
        """One more listener, or one less; the others stay."""
        addresses = ["127.0.0.1:0"] if number % 2 else ["127.0.0.1:0", "[::1]:0"]
        self.world.change({"listen": {"https": addresses}})
        eventually(lambda: len(self.listening()) == len(addresses))

    def listening(self) -> list[dict]:
        return [one for one in self.world.gateway.status()["listeners"] if one["kind"] == "https"]


def swapping(world, stack: ExitStack) -> Swapping:
    return Swapping(world, [stack.enter_context(load.answering()) for _ in range(2)])


def test_swaps_under_load(world):
    with ExitStack() as stack:
        swaps = swapping(world, stack)
        with swaps.asking() as running:
            for number in range(1, 21):
                swaps.swap(number, 10)
            for number in range(4):
                swaps.listener(number)
    assert not running.faults, running.faults[:5]
    assert set(running.times) == KINDS
    assert all(len(took) > 20 for took in running.times.values()), running.summary()
