"""The admin API over a kept connection, a client that asks with one secret after another, and what
a series of commands must have left in the state database."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from materials import sha256
from plugway import PATIENCE, Gateway

QUIET = {
    "listen": {"https": None}, "tls": None, "tokens": None, "log": {"access": "off"},
    # What bounds a client that is refused, or that asks for long, is tested elsewhere.
    "limits": {"failed_auth": "off", "requests_per_connection": 1_000_000_000, "idle": "60s"},
}
"""Changes to the base configuration: plain HTTP, and every token comes from the state database."""


def percentiles(seconds: list[float]) -> str:
    took = sorted(seconds)
    p50, p99 = took[len(took) // 2] * 1e3, took[int(len(took) * 0.99)] * 1e3
    return f"p50 {p50:.2f}, p99 {p99:.2f}, max {took[-1] * 1e3:.2f} ms"


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path):
        super().__init__("plugway", timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Unanswered(Exception):
    """The command was sent, and nobody knows what became of it."""


class Desk:
    """Commands to one gateway, over one connection to its admin socket."""

    def __init__(self, gateway: Gateway | Path):
        if isinstance(gateway, Path):
            self.http = Unix(gateway)
        else:
            self.http = Unix(gateway.folder / gateway.ready["admin"].removeprefix("unix:"))
            gateway.after.append(self.http.close)

    def ask(self, method: str, path: str, value: object = None) -> tuple[int, dict | list]:
        """Status and body."""
        status, text = self.text(method, path, value)
        return status, json.loads(text)

    def text(self, method: str, path: str, value: object = None) -> tuple[int, bytes]:
        try:
            headers = {"Content-Type": "application/json"} if value is not None else {}
            self.http.request(method, path, None if value is None else json.dumps(value), headers)
            response = self.http.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered from error

    def do(self, method: str, path: str, value: object = None) -> dict | list:
        """The body of what must be done."""
        status, got = self.ask(method, path, value)
        assert status in (200, 201), (method, path, status, got)
        return got

    def create(self, name: str, **more: object) -> dict:
        return self.do("POST", "/tokens", creation(name) | more)

    def rotate(self, token: str, grace: str = "1h", **more: object) -> dict:
        return self.do("POST", f"/tokens/{token}/rotate", {"grace": grace} | more)

    def finish(self, token: str) -> dict:
        return self.do("POST", f"/tokens/{token}/finish")

    def revoke(self, token: str) -> dict:
        return self.do("POST", f"/tokens/{token}/revoke", {"reason": "a test"})

    def show(self, token: str) -> dict:
        return self.do("GET", f"/tokens/{token}")

    def lines(self, path: str) -> list[dict]:
        status, text = self.text("GET", path)
        assert status == 200, text
        return [json.loads(line) for line in text.splitlines()]


def creation(name: str) -> dict:
    return {"name": name, "level": "service", "plugins": ["todo"], "scopes": ["*"]}


class Asker:
    """One kept connection to the plain listener."""

    def __init__(self, address: tuple[str, int]):
        self.http = http.client.HTTPConnection(*address, timeout=PATIENCE)
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self.http.sock

    def status(self, secret: str) -> int:
        self.http.request("GET", "/todos/1", headers={"Host": "localhost", "Authorization": f"Bearer {secret}"})
        response = self.http.getresponse()
        response.read()
        assert self.http.sock is self.sock, "it did not keep the connection"
        return response.status

    def close(self) -> None:
        self.http.close()


# --- what must be stored ---

@dataclass(frozen=True)
class Stored:
    """What is compared of a token. A hash of None is one that was never told."""

    state: str
    current: str | None
    live: frozenset[str | None]
    """Of the secrets that are in their time, whatever the state."""

    @classmethod
    def of(cls, line: dict) -> Stored:
        now = datetime.now(UTC)
        secrets = {secret["slot"]: secret for secret in line["secrets"]}
        live = {each["sha256"] for each in line["secrets"] if not each.get("until") or datetime.fromisoformat(each["until"]) > now}
        return cls(line.get("state", "active"), secrets["current"]["sha256"], frozenset(live))

    def fits(self, wanted: Stored, known: set[str]) -> bool:
        """Whether this can be what was wanted; a hash that was never told is none of those known."""
        def told(secret: str | None) -> str | None:
            return secret if secret in known else None

        same = Stored(self.state, told(self.current), frozenset(map(told, self.live)))
        return self == wanted or (None in wanted.live and same == wanted)


@dataclass
class Known:
    """One token: what was acknowledged, and the command that was not, if there is one."""

    name: str
    id: str | None = None
    stored: Stored | None = None
    actions: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """By hash, all that were ever told."""
    under_way: tuple[str, Stored] | None = None

    def begin(self, action: str, after: Stored) -> None:
        self.under_way = action, after

    def end(self, told: dict | None = None) -> None:
        """It was acknowledged."""
        action, self.stored = self.under_way
        self.under_way = None
        self.actions.append(action)
        if told is not None:
            self.id = told["id"]
            if secret := told.get("secret"):
                self.learn(secret)
                self.stored = self.replaced(sha256(secret))

    def learn(self, secret: str) -> None:
        self.secrets[sha256(secret)] = secret

    def replaced(self, told: str) -> Stored:
        """With what is known now of the secret that was not."""
        live = frozenset(told if secret is None else secret for secret in self.stored.live)
        return Stored(self.stored.state, told if self.stored.current is None else self.stored.current, live)

    def settle(self, line: dict | None) -> None:
        """What is stored is what was acknowledged, or that and the whole of the one command more."""
        known = set(self.secrets) | (self.stored.live if self.stored else set())
        found = None if line is None else Stored.of(line)
        if self.under_way is not None:
            action, after = self.under_way
            if found is not None and found.fits(after, known):
                self.stored, self.id = found, line["id"]
                self.actions.append(action)
            self.under_way = None
        matches = found is None if self.stored is None else found is not None and found.fits(self.stored, known)
        assert matches, f"{self.name}: {found} instead of {self.stored}"
        self.stored = found

    def check_answers(self, asker: Asker) -> int:
        """That every secret that was ever told opens what it should; how many."""
        for digest, secret in self.secrets.items():
            opens = self.stored is not None and self.stored.state == "active" and digest in self.stored.live
            got = asker.status(secret)
            assert got == (200 if opens else 401), f"{self.name}: {got} for {secret[:12]}…, {digest[:8]}… of {self.stored}"
        return len(self.secrets)


def check_stored(desk: Desk, known: list[Known]) -> int:
    """That the database holds exactly what is known: tokens, and an entry of the audit for each
    change. Gives the number of entries."""
    lines = {line["name"]: line for line in desk.lines("/tokens/export")}
    for token in known:
        token.settle(lines.pop(token.name, None))
    assert not lines, f"nobody made {[*lines]}"
    entries = desk.lines("/audit/export")
    assert [entry["number"] for entry in entries] == [*range(1, len(entries) + 1)]
    by_id: dict[str, list[dict]] = {}
    for entry in entries:
        by_id.setdefault(entry["id"], []).append(entry)
    for token in known:
        of_it = by_id.pop(token.id, []) if token.stored else []
        assert [entry["action"] for entry in of_it] == token.actions, (token, of_it)
        for before, after in zip([{"after": None}, *of_it], of_it, strict=False):
            assert after["before"] == before["after"], (token, before, after)
    assert not by_id, f"the audit knows of {by_id}"
    return len(entries)


def check_shown(desk: Desk, token: Known) -> None:
    """That `show` and the newest entry of the audit tell the same, and it is what is stored."""
    if token.stored is None:
        return
    shown = desk.show(token.id)
    last = desk.do("GET", f"/audit?token={token.id}&most=1")[0]["after"]
    times = [{key: secret[key] for key in ("slot", "since", "until")} for secret in shown["secrets"]]
    assert times == last.pop("secrets"), (shown, last)
    state = last.pop("state")
    assert state == token.stored.state and shown["state"] in (state, "rotating"), (shown, state, token.stored)
    assert last == {name: shown[name] for name in last}, (shown, last)
