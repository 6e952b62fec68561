"""Of which size the pages are that it keeps things in."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest

from plugway import eventually

HUGE = Path("/sys/kernel/mm/transparent_hugepage")


def preferences(pid: int) -> set[str]:
    """What the system was told of the memory that has no file: `hg` are large pages, `nh` small ones."""
    found, large = set(), False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if line.startswith("Size:"):
            large = int(line.split()[1]) >= 64 << 10
        elif line.startswith("VmFlags:") and large:
            found |= {"hg", "nh"} & set(line.split())
    return found


def told(flag: str) -> set[str]:
    """A kernel that has no large pages is told, and keeps nothing of it."""
    return {flag} if HUGE.exists() else set()


@pytest.mark.timeout(120)
def test_small_pages_are_for_few_tokens_and_large_ones_for_many(world):
    gateway = world.start()
    assert preferences(gateway.process.pid) == told("nh")
    gateway.stop()
    lines = [
        {"id": f"pls_{number}", "level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": hashlib.sha256(b"%d" % number).hexdigest()}
        for number in range(80_000)
    ]
    (world.folder / "many.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    gateway = world.start({"token_files": ["many.jsonl"]})
    assert gateway.status()["tokens"] >= len(lines)
    # Half a minute after the start, which needs the processor itself; what changes meanwhile puts it off no further.
    assert preferences(gateway.process.pid) == told("nh")
    changes = iter(range(5, 60, 5))
    begun, due = time.monotonic(), next(changes)

    def look() -> bool:
        nonlocal due
        if time.monotonic() > begun + due:
            world.change({"plugins": {"todo": {"contact": f"after-{due}@example.com"}}})
            assert gateway.reload().code == 0
            due = next(changes)
        return preferences(gateway.process.pid) == told("hg")

    eventually(look, patience=50)
