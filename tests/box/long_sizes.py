"""What a swap costs: with how many plugins, of which how many changed, and in memory."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import pytest

from admin_client import Desk
from materials import operation, sha256, token
from plugway import Gateway, eventually, replace

OPERATIONS = 100
SWAPS = 10_000
SETTLED = 1_000
"""Swaps after which the memory is first looked at."""
GROWTH = 16 << 20
"""Bytes that the memory may have grown between then and the end: far more than it does."""
QUIET = {"log": {"level": "error", "access": "off"}}


def api(folder: Path, number: int, operations: int = OPERATIONS) -> str:
    """An OpenAPI document of so many operations; its name."""
    parameter = {"name": "id", "in": "path", "required": True, "description": "Which of them it is.", "schema": {"type": "string"}}

    def one(index: int) -> dict:
        about = {"parameters": [parameter], "summary": f"Get thing {index}", "description": f"Gives thing {index} of API {number}, with all that belongs to it. " * 3}
        return {"get": operation(f"get{index}") | about}

    paths = {f"/things{index}/{{id}}": one(index) for index in range(operations)}
    document = {"openapi": "3.1.0", "info": {"title": f"API {number}", "version": "1"}, "paths": paths}
    replace(folder / f"api{number}.json", json.dumps(document))
    return f"api{number}.json"


def plugins(world, count: int, text: str) -> dict:
    """So many plugins; `text` is said of each."""
    return {f"p{number}": {
        "hosts": [f"p{number}.test"], "description": text, "auth": {"require": "service"},
        "upstream": {"url": world.upstream.url}, "openapi": {"source": f"api{number}.json"},
    } for number in range(count)}


def begin(world, count: int) -> tuple[Gateway, Desk]:
    for number in range(count):
        api(world.folder, number)
    gateway = world.start(QUIET | {
        "plugins": {"todo": None} | plugins(world, count, "First."),
        "tokens": {"chatgpt": {"plugins": ["*"]}, "alice": {"plugins": ["*"]}},
    })
    return gateway, Desk(gateway)


def work(pid: int) -> float:
    """Milliseconds that a process has computed: what else the machine does is not in it."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


class Swaps:
    """Reloads, and how long each took."""

    def __init__(self, gateway: Gateway, desk: Desk):
        self.pid, self.desk = gateway.process.pid, desk
        self.took: list[float] = []
        self.worked: list[float] = []

    def reload(self) -> None:
        before, begun = work(self.pid), time.monotonic()
        outcome = self.desk.do("POST", "/reload")
        self.took.append((time.monotonic() - begun) * 1e3)
        self.worked.append(work(self.pid) - before)
        assert outcome["result"] in ("published", "unchanged"), outcome

    def __str__(self) -> str:
        return f"p50 {statistics.median(self.took):.1f} ms, max {max(self.took):.1f} ms (computing {statistics.median(self.worked):.1f} ms)"


def told(world, number: int) -> str:
    session = world.session(tls=False, host=f"p{number}.test")
    return session.get("/.well-known/ai-plugin.json").json()["description_for_human"]


@pytest.mark.parametrize("count", [1, 10, 100])
def test_one_plugin_of_many_changes(world, count: int):
    gateway, desk = begin(world, count)
    one, plain = Swaps(gateway, desk), Swaps(gateway, desk)
    for number in range(20):
        text = f"Number {number}."
        world.change({"plugins": {"p0": {"description": text}}})
        one.reload()
        assert told(world, 0) == text
    for _ in range(20):
        world.change({"tokens": {"chatgpt": {"sha256": sha256(token())}}})
        plain.reload()
    print(f"\n{count} plugins of {OPERATIONS} operations: one changes {one}; a token alone {plain}")
    assert eventually(lambda: gateway.status()["generation"]["alive"] == 1)


def test_all_of_twenty_change_and_are_put_back(world):
    gateway, desk = begin(world, 20)
    before, all_change, back = dict(world.config["plugins"]), Swaps(gateway, desk), Swaps(gateway, desk)
    for number in range(10):
        text = f"Number {number}."
        world.change({"plugins": plugins(world, 20, text)})
        all_change.reload()
        assert told(world, 19) == text
        world.change({"plugins": before})
        back.reload()
        assert told(world, 19) == "First."
    print(f"\n20 plugins of {OPERATIONS} operations all change {all_change}; all are put back as they were {back}")
    assert eventually(lambda: gateway.status()["generation"]["alive"] == 1)


def resident(pid: int) -> int:
    """Bytes of memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


def test_the_memory_of_many_swaps(world):
    gateway, desk = begin(world, 2)
    texts = []
    for text in ("One.", "Two."):
        world.change({"plugins": {"p0": {"description": text}}})
        texts.append((world.folder / "plugway.toml").read_text())
    settled = 0
    begun = time.monotonic()
    for number in range(1, SWAPS + 1):
        # A third one now and then, so that what is kept does not always fit.
        text = texts[number % 2] if number % 10 else texts[0].replace("One.", f"Number {number}.")
        replace(world.folder / "plugway.toml", text)
        assert desk.do("POST", "/reload")["result"] in ("published", "unchanged")
        if number == SETTLED:
            settled = resident(gateway.process.pid)
    end = resident(gateway.process.pid)
    seconds = time.monotonic() - begun
    alive = eventually(lambda: (now := gateway.status()["generation"])["alive"] == 1 and now)
    print(f"\n{SWAPS} swaps in {seconds:.0f} s: {settled >> 10} KiB after {SETTLED}, {end >> 10} KiB at the end: "
          f"{(end - settled) / 1024:+.0f} KiB; generation {alive['number']}")
    assert end - settled < GROWTH
    assert alive["number"] >= SWAPS
