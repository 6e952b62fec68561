"""Swaps under every kind of load: nothing fails, nothing is cut, and the old snapshots go."""

from __future__ import annotations

from plugway import eventually
from test_swap_load import KINDS, swap

SWAPS, EVERY = 200, 10


def test_swaps_under_load(world):
    running, effects = swap(world, SWAPS, EVERY, 0.05)
    alive = eventually(lambda: (now := world.gateway.status()["generation"])["alive"] <= 2 and now)
    middle, worst = effects[len(effects) // 2] * 1e3, effects[-1] * 1e3
    print(f"\n{SWAPS} swaps, {SWAPS // EVERY} certificates: {running.summary()}; a written file takes effect "
          f"in p50 {middle:.0f} ms, worst {worst:.0f} ms; generation {alive['number']}, {alive['alive']} alive")
    assert not running.faults, running.faults[:5]
    assert set(running.times) == KINDS
