"""Swaps and listeners that come and go, under every kind of load: nothing fails, nothing is cut, what
was goes. The same load without swaps stands beside it."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import ExitStack

from plugway import eventually
from test_swap_load import KINDS, swapping

SWAPS, LISTENERS, EVERY = int(os.environ.get("SWAPS", "1000")), int(os.environ.get("LISTENERS", "100")), 10
MOST = 1024
"""KiB that it may grow by from the first half of the swaps to the second."""
CALM = 30.0
"""Seconds of the load alone."""


def memory(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_swaps(world):
    with ExitStack() as stack:
        swaps = swapping(world, stack)
        with swaps.asking() as calm:
            time.sleep(CALM)
        pid, sizes = world.gateway.process.pid, []
        begun = time.monotonic()
        with swaps.asking() as running:
            for number in range(1, SWAPS + 1):
                swaps.swap(number, EVERY)
                if number % (SWAPS // 10) == 0:
                    sizes.append(memory(pid))
            for number in range(LISTENERS):
                swaps.listener(number)
        took = time.monotonic() - begun
    assert not calm.faults, calm.faults[:5]
    alive = eventually(lambda: (now := world.gateway.status()["generation"])["alive"] == 1 and now)
    effects = sorted(swaps.effects)
    p50, p99 = effects[len(effects) // 2] * 1e3, effects[int(len(effects) * 0.99)] * 1e3
    print(f"\nwithout swaps: {calm.summary()}\n{SWAPS} swaps, {SWAPS // EVERY} certificates, {LISTENERS} listeners in {took:.0f} s: "
          f"{running.summary()}\na written file takes effect in p50 {p50:.0f}, p99 {p99:.0f}, worst {effects[-1] * 1e3:.0f} ms (with the "
          f"client's look); KiB resident at each tenth: {sizes}; generation {alive['number']}, {alive['alive']} alive")
    grown = statistics.median(sizes[5:]) - statistics.median(sizes[:5])
    assert grown < MOST, f"grown by {grown} KiB"
    assert not running.faults, running.faults[:5]
    assert set(running.times) == KINDS
