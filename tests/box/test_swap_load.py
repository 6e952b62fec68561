"""Swaps under every kind of load. `tests/long load` does the same for longer, and prints figures."""

from __future__ import annotations

import time

import load
from materials import declared, token
from plugway import eventually

KINDS = {"kept", "posts", "http2", "fresh", "events"}


def swap(world, running_for: int, every: int, rest: float) -> tuple[load.Running, list[float]]:
    """So many swaps by file writes, a certificate in each `every`th; what the load counted, and
    how long each took to take effect."""
    with load.answering() as port:
        base = {
            # A connection that ends is a fault here, so that its own limit has to be far away.
            "limits": {"idle": "60s", "requests_per_connection": 1_000_000_000}, "log": {"access": "off"},
            "plugins": {"todo": {"upstream": {"url": f"http://127.0.0.1:{port}"}, "openapi": {"source": f"{world.upstream.url}/openapi.json"}}},
        }
        world.start(base)
        authority = world.certificates.write_ca(world.folder / "ca.pem")
        watcher, effects = world.session(), []
        with load.asking(world.gateway.address("https")[1], authority, world.service) as running:
            time.sleep(0.3)
            for number in range(running_for):
                if number % every == 0:
                    world.certificates.issue(world.folder / "certs")
                text, begun = f"Number {number}.", time.monotonic()
                world.change({"plugins": {"todo": {"description": text}}, "tokens": {f"t{number % 7}": declared(token())}})
                eventually(lambda text=text: watcher.get("/.well-known/ai-plugin.json").json()["description_for_human"] == text)
                effects.append(time.monotonic() - begun)
                time.sleep(rest)
    return running, sorted(effects)


def test_swaps_under_load(world):
    running, _ = swap(world, 20, 10, 0.05)
    assert not running.faults, running.faults[:5]
    assert set(running.times) == KINDS
    assert all(len(took) > 20 for took in running.times.values()), running.summary()
