"""A host goes from one plugin to another one that is not ready: what serves there goes on."""

from __future__ import annotations

import json
import signal
import threading

import pytest
import tomli_w

from clients import refusal
from materials import DOCUMENT, merge
from plugway import PATIENCE, eventually, replace, write
from upstreams import Held, Reply

HOST = "todo.test"


class Renamed:
    """A gateway whose plugin gets another name, and a document that comes when a test says so."""

    def __init__(self, world, other, included: bool, reply: Reply | None = None):
        self.world, self.other, self.included = world, other, included
        self.held = Held(other, "/slow.json", reply or Reply(body=json.dumps(DOCUMENT).encode()))
        self.source = {"source": other.url + "/slow.json"}
        self.rest = world.base({"include": ["plugins/*.toml"]})
        self.plugin = merge(self.rest.pop("plugins")["todo"], {"hosts": [HOST], "auth": {"require": "service"}})
        for declared in self.rest["tokens"].values():
            declared["plugins"] = ["*"]
        (world.folder / "plugins").mkdir()
        self.write(stock=self.plugin)
        world.run("serve", "--config", "plugway.toml")
        self.answers: list = []

    def write(self, **plugins: dict) -> None:
        """Each in a file of its own, or all in the main one."""
        if not self.included:
            return write(self.world.folder, self.rest | {"plugins": plugins})
        if not (self.world.folder / "plugway.toml").exists():
            write(self.world.folder, self.rest)
        folder = self.world.folder / "plugins"
        for name, plugin in plugins.items():
            replace(folder / f"{name}.toml", tomli_w.dumps({"plugins": {name: plugin}}))
        for path in folder.iterdir():
            if path.stem not in plugins:
                path.unlink()
        return None

    def ask(self, how: str) -> None:
        """Asks for what lies on disk, without waiting for the answer."""
        if how == "signal":
            self.world.gateway.signal(signal.SIGHUP)
        if how != "reload":
            return
        asking = threading.Thread(target=lambda: self.answers.append(self.world.gateway.reload()))
        asking.start()

    def answer(self):
        return eventually(lambda: self.answers and self.answers[0])

    def serves(self) -> None:
        """As before: with a token, and not without one."""
        client = self.world.session(tls=False, host=HOST, token=self.world.service)
        assert client.get("/todos").status_code == 200
        refusal(self.world.session(tls=False, host=HOST).get("/todos"), 401, "missing_token")


@pytest.fixture()
def renamed(world, new_upstream):
    return lambda reply=None, included=False: Renamed(world, new_upstream(), included, reply)


@pytest.mark.parametrize("included", [False, True])
@pytest.mark.parametrize("how", ["watch", "reload", "signal"])
def test_another_name_is_no_way_around_the_guard(world, renamed, how, included):
    """What is compared with the plugin that is renamed must not be published when that is gone."""
    one = renamed(included=included)
    one.write(stok=merge(one.plugin, {"openapi": one.source, "auth": {"require": "none"}}))
    one.ask(how)
    assert one.held.came.wait(PATIENCE)
    one.serves()
    one.held.open.set()
    if how == "reload":
        assert one.answer().code in (1, 3), one.answer()
    pending = eventually(lambda: (now := world.gateway.status()) and not now["waiting"] and (now["pending_rejected"] or now["held"]))
    assert "would let in requests that it refuses now" in json.dumps(pending)
    one.serves()


@pytest.mark.parametrize("included", [False, True])
@pytest.mark.parametrize("how", ["watch", "reload"])
def test_what_is_renamed_serves_until_it_can_again(world, renamed, how, included):
    one = renamed(included=included)
    one.write(stok=merge(one.plugin, {"description": "Renamed.", "openapi": one.source}))
    one.ask(how)
    assert one.held.came.wait(PATIENCE)
    one.serves()
    assert world.gateway.generation() == 1
    one.held.open.set()
    client = world.session(tls=False, host=HOST, token=world.service)
    eventually(lambda: client.get("/.well-known/ai-plugin.json").json()["description_for_human"] == "Renamed.")
    if how == "reload":
        assert one.answer().code == 0
    assert [plugin["name"] for plugin in world.gateway.status()["plugins"]] == ["stok"]


@pytest.mark.parametrize("included", [False, True])
def test_what_is_renamed_goes_on_when_its_new_document_can_not_be_had(world, renamed, included):
    one = renamed(Reply(status=500), included)
    one.held.open.set()
    one.write(stok=merge(one.plugin, {"openapi": one.source}))
    one.ask("reload")
    answer = one.answer()
    assert answer.code in (3, 4) and "`stok` is to take the place of `stock`" in answer.out and "500" in answer.out, answer
    one.serves()
    # It is asked for again, and taken when it comes.
    one.other.on("GET", "/slow.json", Reply(body=json.dumps(DOCUMENT).encode()))
    eventually(lambda: [plugin["name"] for plugin in world.gateway.status()["plugins"]] == ["stok"])
    one.serves()


def test_an_included_file_that_is_renamed_and_broken_takes_nothing_with_it(world, renamed):
    """What it held under its old name serves until the new one is whole, or gone."""
    one = renamed(included=True)
    one.write(stok=one.plugin | {"hostss": ["x"]})
    held = eventually(lambda: (now := world.gateway.status()["held"]) and {part["file"].rsplit("/", 1)[-1]: part for part in now})
    assert set(held) == {"stock.toml", "stok.toml"} and "hostss" in held["stok.toml"]["text"], held
    assert "stok.toml, which is new, is refused" in held["stock.toml"]["text"], held
    one.serves()
    before = world.gateway.generation()
    assert world.gateway.reload().code == 3 and world.gateway.generation() == before
    one.serves()
    one.write(stok=one.plugin)
    eventually(lambda: not world.gateway.status()["held"])
    assert [plugin["name"] for plugin in world.gateway.status()["plugins"]] == ["stok"]
    one.serves()


def test_a_file_that_was_broken_before_keeps_nothing_from_going(world, renamed):
    one = renamed(included=True)
    one.write(stock=one.plugin, other=one.plugin | {"hostss": ["x"]})
    eventually(lambda: [part["file"].rsplit("/", 1)[-1] for part in world.gateway.status()["held"]] == ["other.toml"])
    one.write(other=one.plugin | {"hostss": ["x"]}, last=one.plugin | {"hosts": ["last.test"]})
    eventually(lambda: [plugin["name"] for plugin in world.gateway.status()["plugins"]] == ["last"])


@pytest.mark.parametrize("wrong", [{"auth": {"require": "none"}}, {"openapi": {"include": ["nothingOfThatName"]}}])
def test_who_gives_a_host_away_keeps_it_until_it_is_taken(world, renamed, wrong):
    one = renamed()
    taker = merge(merge(one.plugin, {"openapi": one.source}), wrong)
    one.write(stock=one.plugin | {"hosts": ["old.test"]}, pub=taker)
    assert one.held.came.wait(PATIENCE)
    one.serves()
    one.held.open.set()
    eventually(lambda: (now := world.gateway.status()) and not now["waiting"] and (now["pending_rejected"] or now["held"]))
    one.serves()
