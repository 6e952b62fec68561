"""`tests/long rotations`: on a platform's private network, under load, from the change of a token to the first request that
is decided by it: by a watched file, by a URL, by the admin API over TLS. And ten minutes without the URL's server.
Prints figures; fails when a request does."""

from __future__ import annotations

import http.client
import json
import os
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

import plugway
from admin_client import percentiles
from clients import TIMEOUT
from materials import sha256, token
from netlab import APP, EDGE, GATE4, GATE6, Flow, get
from plugway import eventually
from test_net import LISTEN, Site, site
from upstreams import Reply, Request

__all__ = ["site"]  # a fixture

assert os.geteuid() == 0, "network namespaces are for root"

ROTATIONS = int(os.environ.get("ROTATIONS", "100"))
SLOW_ROTATIONS = 20
"""Those of a URL that is asked every fifteen seconds."""
GONE = float(os.environ.get("GONE", "600"))
"""Seconds without the URL's server."""
GRACE = "2999-01-01T00:00:00Z"


def line(secret: str, before: str) -> str:
    """A token with two secrets."""
    secrets = [{"sha256": sha256(secret)}, {"sha256": sha256(before), "until": GRACE}]
    return json.dumps({"id": "rotated", "level": "service", "name": "rotated", "plugins": ["todo"], "scopes": ["*"], "secrets": secrets}) + "\n"


@contextmanager
def load(site: Site) -> Iterator[list[Flow]]:
    """Requests of the outside and of the private network, of which none may fail."""
    flows = [Flow(site.lab, "client", f"http://{EDGE}/todos", site.service) for _ in range(2)]
    flows += [Flow(site.lab, "peer", f"http://[{GATE6}]:8080/todos", site.service) for _ in range(2)]
    yield flows
    for flow in flows:
        flow.end()


def rotate(site: Site, change: Callable[[str, str], None], count: int, pause: float = 0.0) -> list[float]:
    """Seconds from each change to the first answer that it decided; the secret before goes on being let in."""
    took, before = [], token("service")
    with site.lab.inside("peer"), httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
        def status(secret: str) -> int:
            headers = {"Host": "todo.fly.dev", "Authorization": f"Bearer {secret}"}
            return client.get(f"http://[{GATE6}]:8080/todos", headers=headers).status_code

        for number in range(count):
            secret = token("service")
            site.gateway.secrets.add(secret)
            time.sleep(random.random() * pause)  # at any moment of the interval
            begun = time.monotonic()
            change(secret, before)
            while (got := status(secret)) != 200:
                assert got == 401 and time.monotonic() - begun < 60, got
            took.append(time.monotonic() - begun)
            assert number == 0 or status(before) == 200
            before = secret
    return took


def tell(how: str, took: list[float], flows: list[Flow]) -> None:
    good, bad = sum(flow.good for flow in flows), sum(len(flow.bad) for flow in flows)
    print(f"\n{how}: {len(took)} rotations, {percentiles(took)}; {good:,} other requests meanwhile, {bad} failed", flush=True)


def begin(site: Site, changes: dict) -> None:
    upstream = site.api("app", APP[0])
    upstream.on("GET", "/todos", Reply(body=b"[]"))
    site.serve(upstream.url, {"limits": {"failed_auth": "off", "requests_per_connection": 1_000_000_000}, "log": {"access": "off"}} | changes)
    site.edge()


def test_by_a_file(site):
    file = site.lab.folder / "tokens.jsonl"
    file.write_text("")
    begin(site, {"token_files": ["tokens.jsonl"]})
    with load(site) as flows:
        took = rotate(site, lambda secret, before: plugway.replace(file, line(secret, before)), ROTATIONS)
        tell("a watched file", took, flows)


class Store:
    """The server of a token file, on the private network."""

    def __init__(self, site: Site):
        self.server = site.api("peer", "fdaa:0:1::66", 9000)
        self.text = ""
        self.server.on("GET", "/tokens", self.answer)

    def answer(self, request: Request) -> Reply:
        etag = f'"{sha256(self.text)}"'
        known = request.get("if-none-match") == etag
        return Reply(status=304 if known else 200, headers=[("ETag", etag)], body=b"" if known else self.text.encode())

    def hold(self, secret: str, before: str) -> None:
        self.text = line(secret, before)


@pytest.mark.parametrize("every, count", [("1s", ROTATIONS), ("15s", SLOW_ROTATIONS)])
def test_by_a_url(site, every, count):
    store = Store(site)
    begin(site, {"token_files": [{"url": store.server.url + "/tokens", "every": every}]})
    with load(site) as flows:
        took = rotate(site, store.hold, count, pause=float(every[:-1]))
        tell(f"a URL, every {every}", took, flows)


def test_by_the_admin_api(site, certificates):
    """Over TLS, from another host, with an admin token."""
    admin = token("admin")
    begin(site, {
        "listen": LISTEN | {"admin": f"[{GATE6}]:9443"},
        "tokens": {"ops": {"level": "admin", "plugins": ["*"], "scopes": ["*"], "sha256": sha256(admin)}},
    })
    context: ssl.SSLContext = certificates.client()
    context.check_hostname = False  # its name stands for an address here
    with site.lab.inside("peer"):
        desk = http.client.HTTPSConnection(GATE6, 9443, context=context, timeout=TIMEOUT)
        desk.connect()

    def ask(path: str, value: dict) -> dict:
        desk.request("POST", path, json.dumps(value), {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"})
        got = desk.getresponse()
        text = got.read()
        assert got.status in (200, 201), (got.status, text)
        return json.loads(text)

    made = ask("/tokens", {"name": "rotated", "level": "service", "plugins": ["todo"], "scopes": ["*"]})
    site.gateway.secrets.add(made["secret"])
    with load(site) as flows:
        took = rotate(site, lambda secret, _: ask(f"/tokens/{made['id']}/rotate", {"grace": "1h", "sha256": sha256(secret)}), ROTATIONS)
        tell("the admin API over the private network (the command's own time is in it)", took, flows)
    desk.close()


def test_ten_minutes_without_the_server(site):
    store, secrets = Store(site), [token("service") for _ in range(3)]
    store.hold(secrets[1], secrets[0])
    begin(site, {"token_files": [{"url": store.server.url + "/tokens", "every": "15s"}]})
    site.gateway.secrets.update(secrets)

    def opens(secret: str) -> bool:
        return get(site.lab, "peer", f"http://[{GATE6}]:8080/todos", token=secret).status_code == 200

    def told() -> dict:
        (file,) = site.gateway.status()["token_files"]
        return file

    def age() -> float:
        page = get(site.lab, "edge", f"http://{GATE4}:9091/metrics").text
        return float(next(row for row in page.splitlines() if row.startswith("plugway_token_file_age_seconds{")).split()[-1])

    eventually(lambda: opens(secrets[1]))
    with load(site) as flows:
        begun = time.monotonic()
        store.server.stop()
        while (gone := time.monotonic() - begun) < GONE:
            assert opens(secrets[0]) and opens(secrets[1])
            time.sleep(1)
            file = told()
            assert gone < 20 or (file["state"] == "last good copy" and file["error"])
            assert abs(file["age_seconds"] - gone) < 20, (file, gone)
        print(f"\n{gone:.0f} s without its server: the age is {told()['age_seconds']:.0f} s in status, {age():.0f} s in the metrics; {told()['error']}")
        store.hold(secrets[2], secrets[1])
        back = time.monotonic()
        with site.lab.inside("peer"):
            store.server.start()
        eventually(lambda: opens(secrets[2]), patience=60)
        tell(f"its server is back, and asked after {time.monotonic() - back:.1f} s", [time.monotonic() - back], flows)
        assert told()["state"] == "current"
