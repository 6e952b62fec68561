"""How soon it serves, how large it is, how much was written."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from pathlib import Path

import plugway

ROOT = Path(__file__).resolve().parents[2]


def start(world) -> float:
    """Milliseconds from the start of the process to the first answer."""
    world.config = world.base({"listen": {"http": "127.0.0.1:39183", "https": None}, "tls": None})
    plugway.write(world.folder, world.config)
    begun = time.monotonic()
    process = subprocess.Popen(
        [plugway.binary(), "serve", "--config", "plugway.toml"], cwd=world.folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=plugway.environment(),
    )
    try:
        while True:
            try:
                client = http.client.HTTPConnection("127.0.0.1", 39183, timeout=5)
                client.request("GET", "/todos", headers={"Host": "localhost", "Authorization": f"Bearer {world.service}"})
                assert client.getresponse().status == 200
                return (time.monotonic() - begun) * 1e3
            except ConnectionRefusedError:
                assert process.poll() is None and time.monotonic() - begun < 20
    finally:
        process.terminate()
        assert process.wait(20) == 0


def lines(*folders: str, endings: tuple[str, ...]) -> tuple[int, int]:
    """Lines of code, and of tests that stand beside it."""
    code = tests = 0
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in endings or ".env" in path.parts:
                continue
            text = path.read_text()
            is_test = folder == "tests" or "tests" in path.relative_to(ROOT / folder).parts or path.stem == "tests"
            before, _, after = text.partition("#[cfg(test)]\nmod tests {")
            code += 0 if is_test else before.count("\n")
            tests += text.count("\n") if is_test else after.count("\n")
    return code, tests


def test_figures(world):
    took = sorted(start(world) for _ in range(10))
    code, beside = lines("src", endings=(".rs",))
    _, outside = lines("tests", endings=(".rs", ".py"))
    size = os.path.getsize(plugway.binary())
    print(f"\nfirst answer after {took[0]:.0f} to {took[-1]:.0f} ms (median {took[5]:.0f}); binary {size / 1e6:.1f} MB; "
          f"{code} lines of code, {beside} + {outside} lines of tests (beside it, outside)")
