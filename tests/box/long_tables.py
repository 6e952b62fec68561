"""Whether a request costs the same in a large table as in a small one: tokens, plugins, operations.

Measured is CPU time of the gateway per request, over TLS and HTTP/1.1, with requests spread over the
whole table, so that what falls out of the processor's caches is in it. One gateway per size runs all
the while and the load goes from one to the next, in another order each round; a ratio is of two
measurements of one round, and the median of the rounds is printed. Prints figures; what decides is
that every request was answered with 2xx. The goal for every ratio is 1.1. Memory for each token, plugin or
operation is what a table has more than the smallest one, by the difference of their sizes.

Needs nginx and wrk, as `benches/compare` does. TABLES=tokens,plugins,operations chooses."""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches"))

import measure
import plugway
from measure import Ask

TABLES = {"tokens": (1_000, 100_000, 1_000_000), "plugins": (1, 100, 1_000), "operations": (10, 1_000, 10_000)}
ROUNDS, SECONDS = int(os.environ.get("TABLES_ROUNDS", "5")), float(os.environ.get("TABLES_SECONDS", "4"))
SPREAD = 20_000
"""Different requests, at the most."""
GOAL = 1.1


class Table:
    """A gateway with a table of one size, and what is asked of it."""

    def __init__(self, folder: Path, upstream: int, sizes: dict[str, int]):
        self.folder, self.port, self.pid = folder, measure.free_port(), 0
        (folder / "load").mkdir(parents=True)  # not beside the configuration, whose folder is watched
        chosen = random.Random(7)
        tokens = measure.tokens(sizes["tokens"])
        with (folder / "tokens.jsonl").open("w") as file:
            file.writelines(measure.token_lines(tokens))
        paths = [f"/v1/resource{number // 10}/{{id}}/part{number % 10}" for number in range(sizes["operations"])]
        (folder / "openapi.json").write_text(measure.document(dict.fromkeys(paths, "get")))
        hosts = [f"p{number}.example" for number in range(sizes["plugins"])]
        (folder / "plugway.toml").write_text(self.configuration(upstream, hosts))
        self.asked = [
            Ask("GET", chosen.choice(paths).replace("{id}", str(number)), chosen.choice(tokens), 0, chosen.choice(hosts)) for number in range(SPREAD)
        ]

    def configuration(self, upstream: int, hosts: list[str]) -> str:
        start = f"""
workers = 1
token_files = ["tokens.jsonl"]
listen = {{ https = "127.0.0.1:{self.port}" }}
tls = {{ certificate = "../server.pem", key = "../server.key" }}
log = {{ access = "off" }}
limits = {{ requests_per_connection = 1000000000 }}
"""
        return start + "".join(f"""
[plugins.p{number}]
contact = "dev@example.com"
hosts = ["{host}"]
upstream = {{ url = "http://127.0.0.1:{upstream}" }}
openapi = {{ source = "./openapi.json" }}
auth = {{ require = "service" }}
""" for number, host in enumerate(hosts))

    def start(self, stack: ExitStack) -> None:
        begun = time.monotonic()
        process = stack.enter_context(measure.running([plugway.binary(), "serve", "--config", "plugway.toml"], self.folder, 0))
        measure.await_port(self.port, process, self.folder / "log")
        self.pid = process.pid
        self.started = time.monotonic() - begun
        self.await_rest()
        self.memory = next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{self.pid}/status").open() if line.startswith("VmRSS"))

    def await_rest(self) -> None:
        """Until it does nothing any more: files that are new to it are looked at twice."""
        end, before, rest = time.monotonic() + 120, measure.cpu(self.pid), 0
        while rest < 2:
            assert time.monotonic() < end, "it does not come to rest"
            time.sleep(1)
            now = measure.cpu(self.pid)
            before, rest = now, rest + 1 if now - before < 0.02 else 0

    def load(self, seconds: float) -> int:
        done = measure.wrk(self.port, self.asked, self.folder / "load", 32, seconds)
        assert done.requests and not done.refused, done
        return done.requests

    def cost(self) -> float:
        """CPU µs per request."""
        return self.costs()[0]

    def costs(self, seconds: float = SECONDS) -> tuple[float, float]:
        """CPU µs per request: of the whole gateway, and of the threads that requests are served by."""
        before = measure.cpu(self.pid), serving(self.pid)
        done = self.load(seconds)
        return (measure.cpu(self.pid) - before[0]) / done * 1e6, (serving(self.pid) - before[1]) / done * 1e6


def serving(pid: int) -> float:
    """Seconds of CPU of the gateway's workers: what is done for requests beside them (the uses of tokens that are
    written down once a minute) is not in it."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("worker-"):
            total += int((task / "schedstat").read_text().split()[0])
    assert total, "no worker"
    return total / 1e9


def test_tables(folder):
    measure.need(nginx="nginx", wrk="wrk", openssl="openssl")
    folder.chmod(0o755)  # nginx's worker is somebody else
    measure.certificate(folder)
    with measure.upstream(folder / "upstream") as upstream:
        for kind in os.environ.get("TABLES", ",".join(TABLES)).split(","):
            table(folder, upstream, kind)


def table(folder: Path, upstream: int, kind: str) -> None:
    usual = {"tokens": 1_000, "plugins": 1, "operations": 10}
    tables = {size: Table(folder / f"{kind}{size}", upstream, usual | {kind: size}) for size in TABLES[kind]}
    with ExitStack() as stack:
        for each in tables.values():
            each.start(stack)
            each.load(2)
        rounds = []
        for number in range(ROUNDS):
            at = number % len(tables)
            order = [*tables][at:] + [*tables][:at]
            rounds.append({size: tables[size].cost() for size in order})
    smallest = TABLES[kind][0]
    print(f"\n| {kind} | CPU µs/request | of the smallest (least, most) | first answer after | memory | each |\n|---|---|---|---|---|---|")
    for size, each in tables.items():
        ratios = [costs[size] / costs[smallest] for costs in rounds]
        middle = statistics.median(ratios)
        growth = (each.memory - tables[smallest].memory) * 2**20 / (size - smallest) if size > smallest else None
        print(f"| {size:,} | {statistics.median(costs[size] for costs in rounds):.1f} | {middle:.2f} ({min(ratios):.2f}, {max(ratios):.2f})"
              f"{' above the goal' if middle > GOAL else ''} | {each.started:.2f} s | {each.memory:.0f} MiB "
              f"| {'–' if growth is None else f'{growth:,.0f} bytes'} |", flush=True)
