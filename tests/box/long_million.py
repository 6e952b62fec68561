"""A million tokens in the state database: import, start, memory, commands, and what a request costs.

Measures as `tests/long tables` does, with a gateway of a thousand tokens beside it. Needs nginx and
wrk. What decides: ready within 3 s (the best of three starts, since others use the machine too), the median of a
hundred rotations within 10 ms, and no command that waits a second while all tokens are listed."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import long_tables
import plugway
from admin_client import Desk, percentiles
from long_tables import GOAL
from plugway import Gateway, run

ROUNDS, SECONDS = 21, 2.0
"""Many short ones by turns: two of them on a machine with neighbours differ by a tenth and more."""
FEW, MANY = 1_000, int(os.environ.get("MANY", "1000000"))
READY, ROTATION, SHOW, IMPORT = 3.0, 0.01, 1.0, 180.0
"""Seconds at the most; the last is only a note."""


class Table(long_tables.Table):
    """Its tokens are in the state database."""

    def __init__(self, folder: Path, upstream: int, count: int):
        super().__init__(folder, upstream, {"tokens": count, "plugins": 1, "operations": 10})
        begun = time.monotonic()
        done = run("token", "import", "--jsonl", "tokens.jsonl", "--json", "--config", "plugway.toml", cwd=folder, patience=900)
        assert done.code == 0 and done.json["added"] == count, done
        self.importing = time.monotonic() - begun
        (folder / "tokens.jsonl").unlink()
        self.size = (folder / "state/plugway.redb").stat().st_size

    def configuration(self, upstream: int, hosts: list[str]) -> str:
        text = super().configuration(upstream, hosts)
        assert "token_files" in text
        return text.replace('token_files = ["tokens.jsonl"]', 'state = { directory = "state" }')

    def ready(self) -> tuple[float, float]:
        """Seconds from the start until it says that it is ready, and of CPU."""
        begun = time.monotonic()
        gateway = Gateway(self.folder, ["serve", "--config", "plugway.toml", "--json"])
        took = time.monotonic() - begun, long_tables.measure.cpu(gateway.process.pid)
        gateway.stop()
        return took

    def desk(self) -> Desk:
        return Desk(self.folder / "state/admin.sock")


def syncs(folder: Path) -> list[float]:
    """Seconds that the disk takes for what a commit waits for: a write and fdatasync, twice. What a
    rotation takes beyond it is its own."""
    took = []
    with (folder / "syncs").open("wb", buffering=0) as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())
        for _ in range(100):
            begun = time.monotonic()
            for _ in range(2):
                os.pwrite(file.fileno(), os.urandom(1 << 16), 0)
                os.fdatasync(file.fileno())
            took.append(time.monotonic() - begun)
    return took


def peak(pid: int) -> float:
    """MiB."""
    return next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{pid}/status").open() if line.startswith("VmHWM"))


def count(path: Path, word: bytes) -> int:
    """How often it stands in a file of one long line."""
    found, rest = 0, b""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            whole = rest + piece
            found += whole.count(word)
            rest = whole[1 - len(word):]
    return found


def beside_list(table: Table) -> tuple[float, list[float], list[float]]:
    """Seconds that a list of all tokens takes; that each `show` beside it takes; and each rotation."""
    desk, shows, rotations, number = table.desk(), [], [], 0
    begun = time.monotonic()
    # Not by the command line, which has to hold all of them to make a table.
    listing = subprocess.Popen(
        ["curl", "-sS", "--fail", "--unix-socket", "state/admin.sock", "http://plugway/tokens", "-o", str(table.folder / "list")],
        cwd=table.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    while listing.poll() is None:
        number += 1
        for took, command in ((shows, desk.show), (rotations, desk.rotate)):
            sent = time.monotonic()
            command(f"n{number}")
            took.append(time.monotonic() - sent)
        time.sleep(0.02)
    assert listing.returncode == 0, listing.stderr.read()
    took = time.monotonic() - begun
    assert count(table.folder / "list", b'"created_at":') == MANY
    (table.folder / "list").unlink()
    return took, shows, rotations


def test_million(folder):
    long_tables.measure.need(nginx="nginx-light", wrk="wrk", openssl="openssl")
    folder.chmod(0o755)  # nginx's worker is somebody else
    long_tables.measure.certificate(folder)
    with long_tables.measure.upstream(folder / "upstream") as upstream, ExitStack() as stack:
        few, many = (Table(folder / f"t{count}", upstream, count) for count in (FEW, MANY))
        starts, busy = zip(*(many.ready() for _ in range(3)), strict=True)
        print(f"\n{MANY:,} tokens: import {many.importing:.1f} s{' (LONGER than 3 minutes)' if many.importing > IMPORT else ''}, file {many.size / 1e6:.0f} MB "
              f"({many.size / MANY:.0f} bytes a token), start to ready {min(starts):.2f} to {max(starts):.2f} s"
              f"{', ABOVE 3 s' if max(starts) > READY else ''} ({min(busy):.2f} to {max(busy):.2f} s of CPU)", flush=True)
        for each in (few, many):
            each.start(stack)
        print(f"memory {many.memory:.0f} MiB, {(many.memory - few.memory) * 2**20 / (MANY - FEW):.0f} bytes a token more than with {FEW:,} "
              f"({few.memory:.0f} MiB); at most {peak(many.pid):.0f} MiB since the start", flush=True)
        desk, took = many.desk(), []
        for number in range(100):
            sent = time.monotonic()
            desk.rotate(f"n{number * (MANY // 100)}")
            took.append(time.monotonic() - sent)
        print(f"100 rotations: {percentiles(took)}{', p99 ABOVE 10 ms' if sorted(took)[99] > ROTATION else ''}; the disk alone, two syncs: {percentiles(syncs(folder))}", flush=True)
        listing, shows, rotations = beside_list(many)
        peak_listing = peak(many.pid)
        print(f"a list of all takes {listing:.1f} s; beside it {len(shows)} times show ({percentiles(shows)}) and rotate ({percentiles(rotations)}); "
              f"at most {peak_listing:.0f} MiB since the start", flush=True)
        for each in (few, many):
            each.load(2)
        rounds = [{each: each.costs(SECONDS) for each in ((few, many) if number % 2 else (many, few))} for number in range(ROUNDS)]
        for which, what in enumerate(("CPU per request", "of that on its path, without what is written of uses once a minute,")):
            ratios = [costs[many][which] / costs[few][which] for costs in rounds]
            middle = statistics.median(ratios)
            print(f"{what} {statistics.median(costs[many][which] for costs in rounds):.1f} µs, {middle:.2f} of what it is with {FEW:,} tokens "
                  f"({ROUNDS} rounds, {min(ratios):.2f} to {max(ratios):.2f}){' ABOVE THE GOAL' if middle > GOAL else ''}", flush=True)
        for each in (few, many):
            each.load(1)  # and every secret that was not rotated is still let in, see Table.load
    assert min(starts) < READY, (starts, busy)
    assert statistics.median(took) < ROTATION
    assert peak_listing < 2 * many.memory, f"{peak_listing} MiB"
    assert shows and max(shows) < SHOW and max(rotations) < SHOW
