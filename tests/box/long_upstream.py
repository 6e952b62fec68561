"""`tests/long upstream`: what clients see of an upstream that is late, is killed, comes back, and comes back with another
document. Prints a table; how long each answer was given is told and decides nothing."""

from __future__ import annotations

import threading
import time
from copy import deepcopy
from itertools import groupby

import httpx

import plugway
from clients import refusal
from materials import DOCUMENT, operation
from plugway import eventually
from upstreams import Reply

LATE = 10.0
"""Seconds that the upstream is late, and later away."""
STEP = 0.05
"""Seconds between two requests for the same."""
PATHS = {"an operation": "/todos", "the new operation": "/added", "the document": "/openapi.json",
         "the manifest": "/.well-known/ai-plugin.json", "/readyz": "/readyz", "/healthz": "/healthz"}


class Looker:
    """Asks for one path again and again, on a connection of its own each time."""

    def __init__(self, world, path: str):
        self.world, self.path = world, path
        self.seen: list[tuple[float, str]] = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.ending.is_set():
            begun = time.monotonic()
            session = self.world.session(tls=False, token=self.world.service)
            try:
                said = self._said(session.get(self.path))
            except httpx.HTTPError as error:
                said = f"FAILED {error!r}"
            session.close()
            self.seen.append((begun, said))
            self.ending.wait(max(0.0, begun + STEP - time.monotonic()))

    def _said(self, got: httpx.Response) -> str:
        if got.status_code < 400:
            return str(got.status_code)
        if self.path in ("/readyz", "/healthz"):
            return f"{got.status_code} {got.text.split()[0]}"
        wait = got.headers.get("retry-after")
        return f"{got.status_code} {refusal(got)['code']}" + (f", Retry-After {wait}" if wait else "")

    def since(self, begun: float) -> list[tuple[str, float, float]]:
        """What was answered from then on, one after another: from when, and until when."""
        seen = [(at - begun, said) for at, said in self.seen if at >= begun]
        runs = [list(run) for _, run in groupby(seen, key=lambda each: each[1])]
        return [(run[0][1], run[0][0], run[-1][0]) for run in runs]


def test_what_clients_see(world):
    upstream = world.upstream
    upstream.on("GET", "/todos", Reply(body=b"[]"))
    upstream.on("GET", "/added", Reply(body=b"[]"))
    upstream.stop()
    world.start({"plugins": {"todo": {"openapi": {"refresh": "5s"}}}, "listen": {"https": None}, "tls": None})
    lookers = {name: Looker(world, path) for name, path in PATHS.items()}
    print("\n| what happened | asked for | answers, with the seconds after it |\n|---|---|---|")

    def phase(name: str, seconds: float, wanted: dict[str, str]) -> None:
        """`wanted`: what must be answered in the end."""
        begun = time.monotonic()
        act[name]()
        last = lambda what: lookers[what].seen[-1][1]
        plugway.eventually(lambda: time.monotonic() - begun >= seconds and all(lookers[what].seen and last(what).startswith(said) for what, said in wanted.items()), patience=60)
        for what, looker in lookers.items():
            runs = looker.since(begun)
            assert not any(said.startswith("FAILED") for said, *_ in runs), runs
            print(f"| {name} | {what} | " + "; ".join(f"{said} ({start:.1f} to {end:.1f})" for said, start, end in runs) + " |", flush=True)

    def changed() -> None:
        document = deepcopy(DOCUMENT)
        document["paths"]["/added"] = {"get": operation("added")}
        upstream.document = document
        upstream.start()

    act = {
        "it is ten seconds late": lambda: None, "it comes": upstream.start, "it is killed": upstream.stop,
        "it is back": upstream.start, "it is killed again": upstream.stop, "it is back with another document": changed,
    }
    up = {"an operation": "200", "the document": "200", "the manifest": "200", "/readyz": "200", "/healthz": "200"}
    phase("it is ten seconds late", LATE, {"an operation": "503", "/healthz": "200"})
    phase("it comes", 1, up)
    phase("it is killed", LATE, {"an operation": "50", "the document": "200", "the manifest": "200", "/healthz": "200"})
    phase("it is back", 1, up)
    phase("it is killed again", 2, {"an operation": "50", "the document": "200"})
    phase("it is back with another document", 1, up | {"the new operation": "200"})
    for looker in lookers.values():
        looker.ending.set()
        looker.thread.join(10)
    assert eventually(lambda: world.gateway.status()["generation"]["alive"] == 1)
