"""200 configurations that are broken, each in another way: what served goes on, the status says where the
fault is, and the next good file is taken.

They are made from a valid configuration and the files that it refers to, by a generator with a fixed seed.
What it makes may be valid; `plugway check` says so, and then it does not count."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import plugway
from admin_client import Desk
from conftest import World
from materials import DOCUMENT, declared, sha256, token
from plugway import eventually, replace

BROKEN = 200
LANES = 8
"""Gateways at a time: each of them mostly waits for its second look."""

# On a machine that does much else: it takes some 15 seconds.
pytestmark = pytest.mark.timeout(300)

MANIFEST = "/.well-known/ai-plugin.json"


def valid(world: World) -> dict[str, bytes]:
    """Every file of a configuration that has a bit of everything, by its name."""
    config = world.base({
        "include": ["more/*.toml"], "token_files": ["tokens.jsonl"],
        "trusted_proxies": ["10.0.0.0/8"],
        "log": {"level": "info", "access": "all"},
        "limits": {"body_bytes": "32MiB", "connections": 500, "drain": "5s"},
        "plugins": {"todo": {
            "hosts": ["localhost", "127.0.0.1"], "logo": "logo.svg",
            "openapi": {"source": "file:api.json", "exclude": ["tag:internal"], "unpublished": "refuse"},
            "upstream": {"timeout": "20s", "credential": {"bearer": "${file:secret}"}},
        }},
        "tokens": {"alice": {"rate": "1000/s", "networks": ["127.0.0.0/8", "::1/128"], "expires": "2099-01-01T00:00:00Z"}},
    })
    shop = {
        "plugins": {"shop": {"hosts": ["shop.test"], "upstream": {"url": world.upstream.url},
                             "openapi": {"source": "file:api.json", "include": ["listTodos", "tag:write"]}, "auth": {"require": "service"}}},
        "tokens": {"shop": declared(token(), plugins=["shop"], scopes=["listTodos"])},
    }
    lines = [{"level": "user", "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(token())} for _ in range(3)]
    texts = {
        "plugway.toml": plugway.tomli_w.dumps(config), "more/shop.toml": plugway.tomli_w.dumps(shop),
        "tokens.jsonl": "".join(json.dumps(line) + "\n" for line in lines),
        "api.json": json.dumps(DOCUMENT, indent=1), "logo.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>", "secret": "of-the-upstream",
    }
    certificates = {f"certs/{name}": (world.folder / "certs" / name).read_bytes() for name in ("server.pem", "server.key")}
    return {name: text.encode() for name, text in texts.items()} | certificates


# --- ways to break a text ---

Break = Callable[[random.Random, bytes], bytes]


def at(chance: random.Random, text: bytes) -> int:
    return chance.randrange(len(text))


def without_a_character(chance: random.Random, text: bytes) -> bytes:
    place = at(chance, text)
    return text[:place] + text[place + 1:]


def with_a_character(chance: random.Random, text: bytes) -> bytes:
    place = at(chance, text)
    return text[:place] + chance.choice(b'"[]{}=.#,\n\\\0x7').to_bytes() + text[place:]


def with_another_character(chance: random.Random, text: bytes) -> bytes:
    place = at(chance, text)
    return text[:place] + chance.choice(b'"[]{}=.#,\\-x7').to_bytes() + text[place + 1:]


def not_utf8(chance: random.Random, text: bytes) -> bytes:
    place = at(chance, text)
    return text[:place] + chance.choice([b"\xff", b"\xc3", b"\xed\xa0\x80"]) + text[place:]


def truncated(chance: random.Random, text: bytes) -> bytes:
    return text[:at(chance, text)]


def empty(_chance: random.Random, _text: bytes) -> bytes:
    return b""


def a_line_twice(chance: random.Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    place = chance.randrange(len(lines))
    return b"".join([*lines[:place], lines[place], *lines[place:]])


def without_a_line(chance: random.Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def another_value(chance: random.Random, text: bytes) -> bytes:
    """Of another type, or one that can not be meant."""
    values = [b"true", b"-1", b"1e400", b"99999999999999999999", b'""', b"[]", b"{}", b'"nonsense"', b"2026-13-01", b"[[1]]", b'"${env:NOT_SET_AT_ALL}"']
    places = list(re.finditer(rb"(?m)^(\s*[\w-]+ = )(.*)$", text))
    place = chance.choice(places)
    return text[:place.start(2)] + chance.choice(values) + text[place.end(2):]


def an_unknown_key(chance: random.Random, text: bytes) -> bytes:
    tables = list(re.finditer(rb"(?m)^\[[^\n]*\]\n", text))
    place = chance.choice(tables).end()
    return text[:place] + chance.choice([b"colour = 1\n", b"listne.http = 2\n", b"[unknown]\n", b"'' = 0\n"]) + text[place:]


def a_misspelt_key(chance: random.Random, text: bytes) -> bytes:
    key = chance.choice(list(re.finditer(rb"(?m)^(\w{3,}) = ", text)))
    return text[:key.start(1)] + key[1][1:] + key[1][:1] + text[key.end(1):]


def a_table_twice(chance: random.Random, text: bytes) -> bytes:
    parts = re.split(rb"(?m)^(?=\[)", text)
    return text + chance.choice(parts[1:])


def a_missing_file(chance: random.Random, text: bytes) -> bytes:
    """Something else is referred to than what is there."""
    names = [name for name in (b"certs/server.pem", b"certs/server.key", b"tokens.jsonl", b"file:api.json", b"file:secret", b"logo.svg") if name in text]
    return text.replace(name := chance.choice(names), name + b".gone") if names else text


TEXTS: list[Break] = [without_a_character, with_a_character, with_another_character, not_utf8, truncated, a_line_twice, without_a_line]
TABLES: list[Break] = [*TEXTS, another_value, another_value, an_unknown_key, a_misspelt_key, a_table_twice, a_missing_file]
WAYS: list[tuple[str, list[Break]]] = [
    ("plugway.toml", TABLES), ("plugway.toml", TABLES), ("more/shop.toml", TABLES),
    ("tokens.jsonl", TEXTS), ("api.json", TEXTS), ("certs/server.pem", [*TEXTS, empty]), ("certs/server.key", [*TEXTS, empty]),
    ("secret", [empty, not_utf8]),
]


def candidates(chance: random.Random, files: dict[str, bytes]):
    """Broken files without an end: which one, how, and its content; `None`: it is gone."""
    while True:
        name, breaks = chance.choice(WAYS)
        if chance.random() < 0.04:
            yield name, "gone", None
        breaking = chance.choice(breaks)
        content = breaking(chance, files[name])
        if content != files[name]:
            yield name, breaking.__name__, content


# --- what has to be true of each ---


class Lane:
    """One gateway, whose files are broken and mended again and again."""

    def __init__(self, world: World, seed: int):
        self.world, self.chance = world, random.Random(seed)
        self.files = valid(world)
        for name, content in self.files.items():
            replace(world.folder / name, content)
        world.run("serve", "--config", "plugway.toml")
        self.client, self.desk = world.session(token=world.service), Desk(world.gateway)
        for name, content in self.files.items():
            replace(world.folder / "copy" / name, content)
        self.said = "Manage your to-dos."
        self.done: list[tuple[str, str]] = []

    def put(self, name: str, content: bytes | None) -> None:
        if content is None:
            (self.world.folder / name).unlink()
        else:
            replace(self.world.folder / name, content)

    def run(self, count: int) -> list[tuple[str, str]]:
        for name, how, content in candidates(self.chance, self.files):
            if len(self.done) == count:
                break
            self.one(name, how, content)
        return self.done

    def is_broken(self, name: str, content: bytes | None) -> bool:
        """Asked of a copy, so that nothing valid is ever served."""
        copy = self.world.folder / "copy"
        (copy / name).unlink() if content is None else (copy / name).write_bytes(content)
        ran = plugway.run("check", "--config", "plugway.toml", cwd=copy)
        (copy / name).write_bytes(self.files[name])
        assert ran.code in (0, 4), (name, content, ran)
        return ran.code == 4

    def one(self, name: str, how: str, content: bytes | None) -> None:
        if not self.is_broken(name, content):
            return
        what = (name, how, content)
        gateway, number = self.world.gateway, len(self.done)
        generation = self.status()["generation"]["number"]
        self.put(name, content)
        if number % 2:  # nobody says anything
            refused = eventually(lambda: self.status()["pending_rejected"])
        else:
            reload = gateway.reload()
            # A file that is included fails alone.
            alone = name == "more/shop.toml"
            assert (reload.code, reload.json["result"]) == ((3, "unchanged") if alone else (4, "refused")), (what, reload)
            refused = self.status()["pending_rejected"]
        self.serves(generation, what)
        self.names_the_place(refused, what)
        status = gateway.command("status")
        assert status.code == 3, (what, status)
        assert refused["text"].strip().splitlines()[0].strip() in status.out, (what, status.out)

        self.said = f"Number {number}."
        main = self.files["plugway.toml"].replace(b"Manage your to-dos.", self.said.encode())
        if name != "plugway.toml":
            self.put(name, self.files[name])
        self.put("plugway.toml", main)
        if number % 3 == 0:
            assert gateway.reload().code == 0, what
        eventually(lambda: self.says() == self.said)
        assert self.status()["pending_rejected"] is None, what
        self.done.append((name, how))

    def status(self) -> dict:
        code, status = self.desk.ask("GET", "/status")
        assert code == 200, status
        return status

    def says(self) -> str:
        return self.client.get(MANIFEST).json()["description_for_human"]

    def serves(self, generation: int, what: object) -> None:
        """The old generation, and all of it."""
        assert self.client.get("/todos").status_code == 200, what
        assert self.says() == self.said, what
        assert self.status()["generation"]["number"] == generation, what

    def names_the_place(self, refused: dict, what: tuple[str, str, bytes | None]) -> None:
        """File, line and column of what is written there; else the file of which nothing can be read."""
        name, _, content = what
        places = []
        for problem in refused["problems"]:
            file, line, column = problem["file"], problem["line"], problem["column"]
            places.append(file or problem["key"])
            if file is not None:
                assert line >= 1 and column >= 1, (what, problem)
                assert f"{file}:{line}:{column}" in refused["text"], (what, refused["text"])
            else:
                places.append(problem["message"])
        assert places, what
        # What is wrong with a file may be shown where it is referred to, by its name.
        named = [name, *(other for other in self.files if content and f"{other}.gone".encode() in content)]
        assert any(name in place for name in named for place in [*places, refused["text"]]), (what, refused)


def test_each_of_200_broken_configurations_changes_nothing(folder, upstream, certificates, service, user):
    worlds = []
    for number in range(LANES):
        (own := folder / str(number)).mkdir()
        worlds.append(World(own, upstream, certificates, service, user))
    try:
        lanes = [Lane(world, seed) for seed, world in enumerate(worlds)]
        with ThreadPoolExecutor(LANES) as pool:
            runs = [pool.submit(lane.run, BROKEN // LANES) for lane in lanes]
            done = [what for run in runs for what in run.result()]
    finally:
        for world in worlds:
            for gateway in world.gateways:
                gateway.stop()
    assert len(done) == BROKEN
    # The generator reaches every file, and breaks in every way.
    assert {name for name, _ in done} == {name for name, _ in WAYS}, sorted(set(done))
    ways = {breaking.__name__ for _, breaks in WAYS for breaking in breaks} | {"gone"}
    assert ways - {how for _, how in done} == set(), sorted(set(done))


def test_a_configuration_that_is_valid_can_be_told(folder, upstream, certificates, service, user):
    """What the generator begins with is what `check` takes: else everything would count as broken."""
    world = World(folder, upstream, certificates, service, user)
    for name, content in valid(world).items():
        replace(folder / name, content)
    ran = plugway.run("check", "--config", "plugway.toml", cwd=folder)
    assert ran.code == 0, ran
