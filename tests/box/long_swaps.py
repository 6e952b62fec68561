"""A steady load while everything changes: nothing fails, nothing is cut."""

from __future__ import annotations

import statistics
import threading
import time

from clients import connection
from materials import declared, token
from plugway import eventually

SWAPS = 200
EVERY = 10
"""Swaps between two changes of certificate."""


def test_swaps(world):
    world.start({"limits": {"idle": "60s"}})
    stop, faults, times, lock = threading.Event(), [], [], threading.Lock()

    def load(http2: bool) -> None:
        client, took, used = world.session(http2=http2, token=world.service), [], set()
        try:
            while not stop.is_set():
                begun = time.monotonic()
                got = client.get("/todos/1")
                took.append(time.monotonic() - begun)
                used.add(connection(got))
                if got.status_code != 200:
                    faults.append(got.text)
        except Exception as error:  # noqa: BLE001 - told below
            faults.append(repr(error))
        if len(used) != 1:
            faults.append(f"{len(used)} connections instead of one")
        with lock:
            times.extend(took)

    threads = [threading.Thread(target=load, args=(number % 2 == 1,)) for number in range(4)]
    for thread in threads:
        thread.start()
    fresh, effects = world.session(), []
    for number in range(SWAPS):
        if number % EVERY == 0:
            world.certificates.issue(world.folder / "certs")
        text = f"Number {number}."
        begun = time.monotonic()
        world.change({"plugins": {"todo": {"description": text}}, "tokens": {f"t{number % 7}": declared(token())}})
        eventually(lambda text=text: fresh.get("/.well-known/ai-plugin.json").json()["description_for_human"] == text)
        effects.append(time.monotonic() - begun)
    stop.set()
    for thread in threads:
        thread.join(30)
    alive = eventually(lambda: (now := world.gateway.status()["generation"])["alive"] <= 2 and now)
    times.sort()
    effects.sort()
    print(f"\n{SWAPS} swaps, {SWAPS // EVERY} certificates: {len(times)} requests, {len(faults)} failed; "
          f"p50 {statistics.median(times) * 1e3:.1f} ms, p99 {times[int(len(times) * 0.99)] * 1e3:.1f} ms, worst {times[-1] * 1e3:.1f} ms; "
          f"a written file takes effect in p50 {statistics.median(effects) * 1e3:.0f} ms, worst {effects[-1] * 1e3:.0f} ms; "
          f"generation {alive['number']}, {alive['alive']} alive")
    assert not faults, faults[:5]
    assert len(times) > 1000
