"""Token files at URLs: asked for, kept, and never in the way of anything else."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from pathlib import Path

import pytest

from clients import refusal
from materials import sha256
from plugway import eventually, run
from upstreams import Reply, Request

SECRETS = [f"a-foreign-secret-number-{number}-of-this-test" for number in range(3)]


def line(number: int, **more: object) -> dict:
    return {"id": f"remote{number}", "level": "service", "name": f"remote{number}", "plugins": ["todo"], "scopes": ["*"],
            "sha256": sha256(SECRETS[number]), **more}


class Store:
    """The server of a token file."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.text, self.asked, self.unchanged = "", 0, 0
        self.seen: list[Request] = []
        upstream.on("GET", "/tokens", self.answer)

    @property
    def url(self) -> str:
        return self.upstream.url + "/tokens"

    def answer(self, request: Request) -> Reply:
        self.seen.append(request)
        self.asked += 1
        etag = f'"{sha256(self.text)}"'
        if request.get("if-none-match") == etag:
            self.unchanged += 1
            return Reply(status=304, headers=[("ETag", etag)])
        return Reply(headers=[("ETag", etag)], body=self.text.encode())

    def hold(self, *lines: dict) -> None:
        self.text = "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def store(new_upstream) -> Store:
    return Store(new_upstream())


def opens(world, number: int) -> bool:
    status = world.session(token=SECRETS[number]).get("/todos").status_code
    assert status in (200, 401), status
    return status == 200


def entry(store: Store, **more: object) -> dict:
    return {"token_files": [{"url": store.url, "every": "1s", **more}]}


def told(gateway) -> dict:
    (file,) = gateway.status()["token_files"]
    return file


def test_what_the_url_holds_decides(world, store):
    store.hold(line(0))
    gateway = world.start(entry(store))
    assert opens(world, 0) and not opens(world, 1)
    before = gateway.generation()
    store.hold(line(1))
    eventually(lambda: opens(world, 1))
    assert not opens(world, 0) and gateway.generation() == before + 1
    # Asked again, and told that nothing changed: nothing is published.
    unchanged = store.unchanged
    eventually(lambda: store.unchanged >= unchanged + 2)
    assert gateway.generation() == before + 1
    file = told(gateway)
    assert file["state"] == "current" and file["age_seconds"] < 5 and file["error"] is None
    assert gateway.command("status").code == 0


def test_a_plain_url_in_the_list(world, store):
    store.hold(line(0))
    world.start({"token_files": [store.url]})
    assert opens(world, 0)


def test_a_rotation(world, store):
    """Two secrets of one token, the old one with an end."""
    store.hold(line(0))
    world.start(entry(store))
    secrets = [{"sha256": sha256(SECRETS[1])}, {"sha256": sha256(SECRETS[0]), "until": "2999-01-01T00:00:00Z"}]
    with_previous = {key: value for key, value in line(0).items() if key != "sha256"} | {"secrets": secrets}
    store.hold(with_previous)
    eventually(lambda: opens(world, 1))
    assert opens(world, 0)


def test_the_server_goes_and_comes(world, store):
    """Service goes on with the last good copy, also over a restart, and its age is told."""
    store.hold(line(0))
    gateway = world.start({**entry(store), "listen": {"metrics": "127.0.0.1:0"}})
    store.upstream.stop()
    eventually(lambda: told(gateway)["state"] == "last good copy")
    assert opens(world, 0) and told(gateway)["error"]
    eventually(lambda: told(gateway)["age_seconds"] >= 2)
    assert f"token file {store.url}: last good copy" in gateway.command("status").out
    (host, port) = gateway.address("metrics")
    page = urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5).read().decode()
    assert f'plugway_token_file_age_seconds{{file="{store.url}"}}' in page
    gateway.stop()
    kept = list((world.folder / "state" / "token-files").iterdir())
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600
    gateway = world.start({**entry(store), "listen": {"metrics": "127.0.0.1:0"}})
    assert opens(world, 0) and told(gateway)["state"] == "last good copy"
    store.hold(line(1))
    store.upstream.start()
    eventually(lambda: opens(world, 1))
    assert not opens(world, 0)


def test_one_that_never_came(world, store):
    """Who is not known may be right: 503, not 401; who is known gets in."""
    store.hold(line(0))
    store.upstream.stop()
    gateway = world.start(entry(store))
    refusal(world.session(token=SECRETS[0]).get("/todos"), 503, "store_unavailable")
    assert world.session(token=world.service).get("/todos").status_code == 200
    assert world.session().get("/readyz").status_code == 503
    assert told(gateway)["state"] == "unavailable" and told(gateway)["age_seconds"] is None
    store.upstream.start()
    eventually(lambda: world.session(token=SECRETS[0]).get("/todos").status_code == 200)
    refusal(world.session(token=SECRETS[1]).get("/todos"), 401, "invalid_token")
    assert world.session().get("/readyz").status_code == 200


@pytest.mark.parametrize("wrong", ["no json\n", '{"id": "x"}\n', "<html>sign in</html>"])
def test_nonsense_is_refused_alone(world, store, wrong):
    store.hold(line(0))
    gateway = world.start(entry(store))
    store.text = wrong
    eventually(lambda: told(gateway)["error"])
    assert "refused" in told(gateway)["error"] and opens(world, 0)
    assert gateway.status()["pending_rejected"] is None
    world.change({"plugins": {"todo": {"description": "Anew."}}})
    eventually(lambda: world.session().get("/.well-known/ai-plugin.json").json()["description_for_human"] == "Anew.")
    assert opens(world, 0)
    store.hold(line(0), line(1))
    eventually(lambda: opens(world, 1))
    assert told(gateway)["state"] == "current"


def test_what_clashes_with_the_configuration_is_refused_alone(world, store):
    store.hold(line(0))
    gateway = world.start(entry(store))
    taken = next(iter(gateway.command("token", "list", "--json").json))["id"]
    store.hold(line(1, id=taken))
    eventually(lambda: told(gateway)["error"])
    assert opens(world, 0) and gateway.status()["pending_rejected"] is None


def test_a_server_that_does_not_answer_delays_nothing(world, store):
    store.hold(line(0))
    world.start(entry(store))
    store.upstream.on("GET", "/tokens", lambda _request: time.sleep(30))
    asked = len(store.upstream.requests)
    eventually(lambda: len(store.upstream.requests) > asked)
    world.change({"plugins": {"todo": {"description": "Anew."}}})
    eventually(lambda: world.session().get("/.well-known/ai-plugin.json").json()["description_for_human"] == "Anew.", 5)
    assert opens(world, 0)


def test_it_is_asked_with_a_token(world, store):
    store.hold(line(0))
    (world.folder / "reader").write_text("the-reader-of-token-files")
    world.start(entry(store, bearer="${file:reader}"))
    assert opens(world, 0)
    assert store.seen[0].get("authorization") == "Bearer the-reader-of-token-files"


@pytest.mark.parametrize("wrong, said", [
    ({"url": "http://a.test/t", "bearer": "written-literally"}, "literally"),
    ({"url": "http://user:pass@a.test/t"}, "has a user in it"),
    ({"url": "ftp://a.test/t"}, "neither an http nor an https URL"),
    ({"url": "http://a.test/t", "evry": "1s"}, "every"),
    ({"url": "http://a.test/t", "every": "1ms"}, "every"),
    ({}, "url"),
    ("http://a.test/t#x", "fragment"),
    (7, "a path, or an http or https URL"),
])
def test_what_is_wrong_with_an_entry(world, wrong, said):
    world.config = world.base({"token_files": [wrong]})
    from plugway import write

    write(world.folder, world.config)
    ran = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert ran.code == 4 and said in ran.err + ran.out, ran
    assert "plugway.toml:" in ran.err + ran.out


FAKETIME = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu" / "faketime" / "libfaketimeMT.so.1"


def clock_of(world) -> tuple[Path, dict[str, str]]:
    """A file that says how far the clock of a gateway with these variables is off; its monotonic one is right."""
    clock = world.folder / "clock"
    clock.write_text("+0s")
    assert FAKETIME.exists(), "the package faketime is missing"
    return clock, {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1",
    }


def test_a_clock_that_is_set_back_is_told(world):
    """Tokens that had ended may be good again by it."""
    clock, env = clock_of(world)
    gateway = world.start(env=env)
    assert gateway.status()["clock_error"] is None
    clock.write_text("-3600s")
    said = eventually(lambda: gateway.status()["clock_error"])
    assert "set back by 3" in said
    gateway.await_messages("the clock was set back")
    assert said in gateway.command("status").out
    clock.write_text("+60s")
    eventually(lambda: gateway.status()["clock_error"] is None)


def test_a_clock_that_jumped(world, store):
    """What was fetched before may be old: it is asked for before anybody is judged by it."""
    store.hold(line(0))
    clock, env = clock_of(world)
    world.start(entry(store, every="1h"), env=env)
    assert opens(world, 0)
    asked = store.asked
    # The machine is suspended; meanwhile the token is taken away and another one is made.
    store.hold(line(1))
    assert opens(world, 0) and store.asked == asked
    clock.write_text("+600s")
    assert not opens(world, 0), "the first request after it is decided by what holds now"
    assert opens(world, 1)
    # Without its server nobody waits for long, and service goes on.
    store.upstream.stop()
    clock.write_text("+1200s")
    assert opens(world, 1)
