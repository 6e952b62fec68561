"""`tests/long soak [MINUTES]`: everything at once, for long, while the configuration changes. Nothing
fails that should not, and nothing grows.

The load (`soak.py`) runs in twelve stretches with a rest after each. At a rest every connection is
closed, so that what the gateway holds then it holds for nothing. Decided by:

- no fault: every answer is right, or refused as it had to be, or ended by the client or by a change;
- at each rest the descriptors are back at their number from before the load, one generation lives, and memory that
  is not used was given back;
- memory of its own (at rests, and the highest under load) and threads are flat: the first four stretches warm up,
  and the highest of the last four is not above the highest of the four before by more than a tenth."""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import materials
import plugway
import soak
from materials import declared, token
from plugway import connections_of, descriptors_of, eventually

STRETCHES = 12
MARGIN = 1.1
SCRIPT = Path(soak.__file__)


class Quiet(plugway.Gateway):
    """Looks at access lines instead of keeping them: there are millions."""

    access_lines = 0

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as pipe:
            for line in pipe:
                assert not any(secret in line for secret in self.secrets), "a secret was written"
                if '"request_id"' in line:
                    self.access_lines += 1
                else:
                    setattr(self, name, getattr(self, name) + line)


@contextmanager
def upstreams() -> Iterator[tuple[int, int]]:
    process = subprocess.Popen([sys.executable, SCRIPT, "upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        http, sockets = process.stdout.readline().split()
        yield int(http), int(sockets)
    finally:
        process.stdin.close()
        process.wait(20)


@contextmanager
def asking(*arguments: object) -> Iterator[dict]:
    """The clients, while something else happens. Afterwards the dictionary has what they counted."""
    command = [sys.executable, SCRIPT, "client", *map(str, arguments)]
    process, counted = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True), {}
    try:
        assert process.stdout.readline() == "begun\n"
        yield counted
    finally:
        out, _ = process.communicate(timeout=60)
    counted.update(json.loads(out))


class Figures:
    """What the process holds, now and at the most."""

    def __init__(self, pid: int):
        self.pid = pid
        self.highest = Counter()
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def now(self) -> dict[str, int]:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        # What is its own, and what is mapped of files: that is let go of when nothing is done, and comes again.
        return {"memory": kib(fields["RssAnon"]), "mapped": kib(fields["RssFile"]), "threads": int(fields["Threads"]), "descriptors": descriptors_of(self.pid)}

    def _watch(self) -> None:
        while not self.end.wait(0.5):
            self.highest |= Counter(self.now())

    def take_highest(self) -> Counter:
        taken, self.highest = self.highest, Counter()
        return taken

    def stop(self) -> None:
        self.end.set()
        self.thread.join()


class Swaps:
    """Changes of the configuration, one after the other, each until it has taken effect."""

    def __init__(self, world, coming: str, seed: int):
        self.world, self.coming, self.random = world, coming, random.Random(seed)
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []
        self.lines = [json.dumps(line(token(), f"filler{number}")) for number in range(200)]
        self.there = False
        self.extra = world.config["plugins"]["extra"]
        self.number = 0

    def write_tokens(self, there: bool) -> None:
        lines = self.lines + ([json.dumps(line(self.coming, "coming"))] if there else [])
        plugway.replace(self.world.folder / "tokens.jsonl", "\n".join(lines) + "\n")
        self.there = there

    def token(self) -> None:
        self.write_tokens(not self.there)
        self.await_status(self.coming, soak.HOST, 200 if self.there else 401)

    def plugin(self) -> None:
        there = "extra" in self.world.config["plugins"]
        self.world.change({"plugins": {"extra": None if there else self.extra}})
        self.await_status(self.world.service, soak.EXTRA, 421 if there else 200)

    def certificate(self) -> None:
        self.world.certificates.issue(self.world.folder / "certs", soak.HOST, soak.EXTRA, soak.SOCKETS)
        written = ssl.PEM_cert_to_DER_cert((self.world.folder / "certs/server.pem").read_text().partition("\n-----END")[0] + "\n-----END CERTIFICATE-----\n")
        eventually(lambda: self.shown() == written)

    def shown(self) -> bytes | None:
        """The certificate that a new connection gets."""
        with socket.create_connection(self.world.gateway.address("https")) as sock:
            with self.world.certificates.client().wrap_socket(sock, server_hostname=soak.HOST) as tls:
                return tls.getpeercert(binary_form=True)

    def texts(self) -> None:
        """Of the plugin, with a declared token that is there for a while."""
        self.number += 1
        text = f"Number {self.number}."
        self.world.change({"plugins": {"todo": {"description": text}}, "tokens": {f"t{self.number % 7}": declared(token())}})
        with closing(self.world.session()) as client:
            eventually(lambda: client.get("/.well-known/ai-plugin.json").json()["description_for_human"] == text)

    def mistake(self) -> None:
        """A file that is refused, and its mending."""
        right = (self.world.folder / "plugway.toml").read_text()
        plugway.write(self.world.folder, right.replace("[listen]", "[listening]"))
        self.world.gateway.await_refusal()
        plugway.write(self.world.folder, right)
        eventually(lambda: not self.world.gateway.status()["pending_rejected"])

    def await_status(self, secret: str, host: str, status: int) -> None:
        with closing(self.world.session(token=secret, host=host)) as client:
            eventually(lambda: client.get("/todos/1").status_code == status)

    def until(self, end: float) -> None:
        kinds = [self.token, self.plugin, self.certificate, self.texts, self.mistake]
        while time.monotonic() < end:
            for swap in self.random.sample(kinds, len(kinds)):
                try:
                    swap()
                    self.done[swap.__name__] += 1
                except (AssertionError, httpx.HTTPError) as error:
                    self.faults.append(f"swap, {swap.__name__}: {error!r}")
                time.sleep(min(1 + self.random.random() * 2, max(0, end - time.monotonic())))
                if time.monotonic() >= end:
                    break


def line(secret: str, name: str) -> dict:
    """A token as a token file has it."""
    return {"name": name, "level": "service", "plugins": ["*"], "scopes": ["*"], "sha256": materials.sha256(secret)}


def kib(field: str) -> int:
    return int(field.split()[0])


def total(page: str, family: str, **labels: str) -> float:
    families = {each.name: each for each in text_string_to_metric_families(page)}
    samples = families[family].samples if family in families else []
    return sum(each.value for each in samples if each.name.endswith("_total") and labels.items() <= each.labels.items())


def start(world, coming: str, http: int, sockets: int) -> Quiet:
    plugin = {"contact": "dev@example.com", "description": "A plugin.", "openapi": {"source": "./openapi.json"}, "auth": {"require": "any"}}
    world.config = world.base({
        "listen": {"metrics": "127.0.0.1:0"}, "token_files": ["tokens.jsonl"], "limits": {"body_bytes": "4MiB"},
        "plugins": {
            "todo": {"hosts": [soak.HOST], "upstream": {"url": f"http://127.0.0.1:{http}"}, "openapi": {"source": "./openapi.json"}},
            "extra": plugin | {"name": "Comes and goes", "hosts": [soak.EXTRA], "upstream": {"url": f"http://127.0.0.1:{http}"}},
            "sockets": plugin | {"name": "WebSockets", "hosts": [soak.SOCKETS], "upstream": {"url": f"http://127.0.0.1:{sockets}"}},
        },
        "tokens": {"chatgpt": {"plugins": ["*"]}},
    })
    (world.folder / "openapi.json").write_text(json.dumps(materials.DOCUMENT))
    world.certificates.issue(world.folder / "certs", soak.HOST, soak.EXTRA, soak.SOCKETS)
    (world.folder / "tokens.jsonl").write_text("")
    plugway.write(world.folder, world.config)
    gateway = Quiet(world.folder, ["serve", "--config", "plugway.toml", "--json"])
    gateway.secrets |= {world.service, coming}
    world.gateways.append(gateway)
    return gateway


def test_soak(world):
    minutes, seed = float(os.environ.get("SOAK_MINUTES", "20")), int(os.environ.get("SOAK_SEED", time.time()))
    print(f"\n{minutes:g} minutes, SOAK_SEED={seed}", flush=True)
    coming = token()
    with upstreams() as (http, sockets):
        gateway = start(world, coming, http, sockets)
        authority = world.certificates.write_ca(world.folder / "ca.pem")
        figures, swaps = Figures(gateway.process.pid), Swaps(world, coming, seed)
        counts: dict[str, Counter[str]] = {}
        faults, rows = [], []
        try:
            swaps.write_tokens(True)
            swaps.await_status(coming, soak.HOST, 200)
            before = eventually(lambda: at_rest(gateway) and figures.now(), 60)
            print(row("start", before, before, 1), flush=True)
            for stretch in range(STRETCHES):
                figures.take_highest()
                with asking(gateway.address("https")[1], authority, seed + stretch, world.service, coming) as counted:
                    swaps.until(time.monotonic() + minutes * 60 / STRETCHES)
                highest = figures.take_highest()
                faults += counted["faults"]
                for kind, outcomes in counted["counts"].items():
                    counts[kind] = counts.get(kind, Counter()) + Counter(outcomes)
                eventually(lambda: at_rest(gateway), 60)
                # Nothing is asked of it meanwhile: it would not be idle.
                rest = eventually(lambda: settled(figures, before, highest), 60)
                rows.append((highest, rest))
                print(row(stretch + 1, highest, rest, gateway.status()["generation"]["alive"]), flush=True)
            page = httpx.get("http://{}:{}/metrics".format(*gateway.address("metrics")), timeout=20).text
        finally:
            figures.stop()
    faults += swaps.faults
    report(counts, swaps, gateway, page, faults)
    assert not faults, f"{len(faults)} faults, printed above"
    for wanted in ("200", "401: it was away"):
        assert counts["coming token"][wanted], "the token did not come and go while it was asked with"
    assert counts["coming plugin"]["421: it was away"], "the plugin did not come and go while it was asked for"
    assert total(page, "plugway_panics") == 0
    grown = [words for name, value in measures(rows).items() if (words := growth(name, value))]
    assert not grown, grown


def at_rest(gateway: Quiet) -> bool:
    """One generation, and no connection: one to an upstream waits in its pool for seconds after the last
    request, and descriptors that are counted meanwhile are one too many."""
    return gateway.status()["generation"]["alive"] == 1 and connections_of(gateway.process.pid) == 0


def settled(figures: Figures, before: dict[str, int], highest: Counter) -> dict[str, int]:
    """The figures, when the descriptors are what they were, and the gateway has noticed that nothing is done any more:
    then it gives back what memory it does not use, and the code that was run, which shows (src/app/rest.rs)."""
    now = figures.now()
    assert now["descriptors"] == before["descriptors"], f"{now['descriptors']} descriptors instead of {before['descriptors']}"
    assert now["mapped"] < highest["mapped"] / 2, f"{now['mapped']} KiB mapped, of {highest['mapped']} under load"
    assert now["memory"] < highest["memory"] * 0.85, f"{now['memory']} KiB of its own, of {highest['memory']} under load"
    return now


def measures(rows: list[tuple[Counter, dict]]) -> dict[str, list[int]]:
    return {
        "memory at rest": [rest["memory"] for _, rest in rows], "memory under load": [highest["memory"] for highest, _ in rows],
        "threads at rest": [rest["threads"] for _, rest in rows],
    }


def growth(name: str, values: list[int]) -> str | None:
    """What is wrong with it, in words."""
    third = len(values) // 3
    middle, last = max(values[third:2 * third]), max(values[2 * third:])
    print(f"{name}: {last} at the most in the last third, {middle} in the second: {last / middle:.3f}")
    return f"{name} grows: {values}" if last > middle * MARGIN else None


def row(when: object, highest: dict, rest: dict, alive: int) -> str:
    def mib(value: int) -> str:
        return f"{value / 1024:.1f}"

    return (f"{when:>5}  under load {mib(highest['memory'])} MiB, {highest['descriptors']} descriptors, {highest['threads']} threads; "
            f"at rest {mib(rest['memory'])} MiB, {rest['descriptors']} descriptors, {rest['threads']} threads, {alive} generation(s)")


def report(counts: dict[str, Counter[str]], swaps: Swaps, gateway: Quiet, page: str, faults: list[str]) -> None:
    print("\n| client | outcomes |\n|---|---|")
    for kind, outcomes in counts.items():
        print(f"| {kind} | {', '.join(f'{many} × {what}' for what, many in sorted(outcomes.items()))} |")
    print(f"| changes | {', '.join(f'{many} × {what}' for what, many in sorted(swaps.done.items()))} |")
    print(f"\n{total(page, 'plugway_requests'):.0f} requests ended, {gateway.access_lines} access lines, "
          f"{total(page, 'plugway_connections_opened'):.0f} connections, {total(page, 'plugway_upstream_failures'):.0f} failures of upstreams, "
          f"{total(page, 'plugway_streams_cut'):.0f} streams cut, {len(faults)} faults")
    for fault in faults[:50]:
        print(f"- {fault[:400]}")
