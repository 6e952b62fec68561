"""Commands about tokens: of a running gateway, or on the state database where none runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import plugway
from conftest import World
from plugway import Ran

CONFIG = ("--config", "plugway.toml")
PUBLIC = ("--level", "service", "--plugin", "todo", "--scope", "listTodos")


@dataclass
class Made:
    """A token and its secret."""

    id: str
    secret: str
    value: dict = field(default_factory=dict)


class Desk:
    """Runs commands in a world's folder, and keeps every secret that they made."""

    def __init__(self, world: World, running: bool):
        self.world, self.running = world, running
        self.secrets: list[str] = []

    def __call__(self, *arguments: str, stdin: str | bytes | None = None, env: dict[str, str] | None = None) -> Ran:
        return plugway.run(*arguments, *CONFIG, cwd=self.world.folder, stdin=stdin, env=env)

    def token(self, *arguments: str, stdin: str | bytes | None = None) -> Ran:
        return self("token", *arguments, stdin=stdin)

    def json(self, *arguments: str, stdin: str | None = None) -> dict:
        """What a command that is done says with `--json`."""
        ran = self.token(*arguments, "--json", stdin=stdin)
        assert ran.code == 0, ran
        self.keep(ran.json)
        return ran.json

    def create(self, name: str = "tuesday", *more: str, public: tuple[str, ...] = PUBLIC) -> Made:
        value = self.json("create", "--name", name, *public, *more)
        return Made(value["id"], value["secret"], value)

    def rotate(self, token: str, *more: str) -> Made:
        value = self.json("rotate", token, *more)
        return Made(value["id"], value["secret"], value)

    def show(self, token: str) -> dict:
        return self.json("show", token)

    def export(self) -> list[dict]:
        ran = self.token("export")
        assert ran.code == 0, ran
        return [json.loads(line) for line in ran.out.splitlines()]

    def audit(self, *more: str) -> list[dict]:
        ran = self("audit", "list", *more, "--json")
        assert ran.code == 0, ran
        return ran.json

    def keep(self, value: object) -> None:
        if isinstance(value, dict) and value.get("secret"):
            self.secrets.append(value["secret"])
            self.world.upstream.secrets.add(value["secret"])
            for gateway in self.world.gateways:
                gateway.secrets.add(value["secret"])


def refused(ran: Ran, code: int, *parts: str) -> None:
    """A command that did nothing, and why; in text or in JSON."""
    assert ran.code == code, ran
    assert ran.out == "" or "detail" in ran.json or "error" in ran.json, ran
    said = ran.out + ran.err
    for part in parts:
        assert part in said, f"{part!r} is not in {said!r}"
