"""In front of APIs that were not written here: httpbin of PyPI, and Prism of npm, which mocks a
document that many have in front of them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from clients import Session, refusal
from plugway import Gateway, eventually, write
from materials import sha256, token

HERE = Path(__file__).resolve().parent
MUSEUM = HERE.parent / "specs/museum.yaml"
MANIFEST = "/.well-known/ai-plugin.json"


@pytest.fixture
def httpbin() -> Iterator[str]:
    """httpbin's WSGI application under waitress."""
    import httpbin as package
    import waitress

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = waitress.create_server(package.app, sockets=[listener], threads=4)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.close()


@pytest.fixture
def gateways() -> Iterator[list[Gateway]]:
    started: list[Gateway] = []
    yield started
    for gateway in started:
        gateway.stop()


def plain(gateway: Gateway, http2: bool, secret: str | None = None) -> Session:
    return Session(gateway, tls=False, http2=http2, token=secret)


def test_httpbin_through_dev(folder, httpbin, gateways, http2):
    shutil.copy(HERE / "httpbin.yaml", folder)
    gateway = Gateway(folder, ["dev", "--json", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--upstream", httpbin, "--openapi", "httpbin.yaml"])
    gateways.append(gateway)
    secret = gateway.ready["service_token"]
    gateway.secrets.add(secret)
    client = plain(gateway, http2, secret)
    written = yaml.safe_load((HERE / "httpbin.yaml").read_text())
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == set(written["paths"])
    assert client.get(MANIFEST).json()["api"]["url"] == f"{client.origin}/openapi-3.0.json"
    refusal(client.get("/get", token=""), 401, "missing_token")

    got = client.get("/get?q=a%20b&q=2").json()
    assert got["args"] == {"q": ["a b", "2"]}
    assert got["headers"]["X-Plugway-Principal"] == "dev-service"
    assert "Authorization" not in got["headers"]
    assert client.post("/post", json={"a": [1, "ü"]}).json()["json"] == {"a": [1, "ü"]}
    uploaded = client.post("/post", files={"file": ("a.txt", b"content")}, data={"b": "c"}).json()
    assert (uploaded["files"], uploaded["form"]) == ({"file": "content"}, {"b": "c"})
    assert client.request("DELETE", "/delete", json={"gone": True}).json()["json"] == {"gone": True}
    for status in (204, 304, 418, 500):
        assert client.get(f"/status/{status}").status_code == status
    assert client.get("/gzip").json()["gzipped"] is True
    assert client.get("/bytes/70000?seed=1").content == client.get("/bytes/70000?seed=1").content != b""
    assert len(client.get("/stream-bytes/30000?chunk_size=1000").content) == 30_000
    assert len(client.get("/stream/5").text.splitlines()) == 5
    moved = client.get("/redirect-to?url=/get")
    assert moved.status_code == 302 and moved.headers["location"] in ("/get", f"{client.origin}/get")
    assert client.get("/etag/abc", headers={"If-None-Match": "abc"}).status_code == 304
    head = client.request("HEAD", "/get")
    assert head.status_code == 200 and head.content == b""
    for path in ("/anything", "/headers", "/ip", "/spec.json", "/status", "/basic-auth/a/b"):
        refusal(client.get(path), 404, "no_route")
    refusal(client.post("/get"), 405, "method_not_allowed")


@pytest.fixture
def prism(tmp_path) -> Iterator[str]:
    """Prism, mocking the museum on a port of its own."""
    command = os.environ.get("PRISM") or str(HERE.parent / ".env/npm/node_modules/.bin/prism")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (tmp_path / "prism.log").open("w") as log:
        process = subprocess.Popen([command, "mock", "-h", "127.0.0.1", "-p", str(port), str(MUSEUM)], stdout=log, stderr=log)
    try:
        def listens() -> bool:
            assert process.poll() is None, (tmp_path / "prism.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        eventually(listens, patience=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_prism_through_serve(folder, prism, gateways):
    secret, narrow = token(), token()
    shutil.copy(MUSEUM, folder)
    common = {"level": "service", "plugins": ["museum"]}
    write(folder, {
        "listen": {"http": "127.0.0.1:0"},
        "plugins": {"museum": {
            "upstream": {"url": prism, "credential": {"basic": {"user": "curator", "password": "${env:MUSEUM}"}}},
            "openapi": {"source": "museum.yaml", "exclude": ["deleteSpecialEvent"]},
            "auth": {"require": "service"},
        }},
        "tokens": {
            "guide": common | {"scopes": ["*"], "sha256": sha256(secret)},
            "visitor": common | {"scopes": ["tag:Operations"], "sha256": sha256(narrow)},
        },
    })
    gateway = Gateway(folder, ["serve", "--config", "plugway.toml", "--json"], env={"MUSEUM": "mona-lisa-at-night"})
    gateways.append(gateway)
    gateway.secrets |= {secret, narrow, "mona-lisa-at-night"}
    for http2 in (False, True):
        client = plain(gateway, http2)
        manifest = client.get(MANIFEST).json()
        assert manifest["auth"]["type"] == "service_http"
        assert manifest["name_for_human"].startswith("Redocly Museum")
        document = client.get("/openapi.json").json()
        assert document["servers"] == [{"url": client.origin}]
        assert "/special-events/{eventId}" in document["paths"]
        assert "delete" not in document["paths"]["/special-events/{eventId}"]
        assert client.get("/openapi-3.0.json").json()["openapi"] == "3.0.1"

        hours = client.get("/museum-hours?startDate=2023-02-23", token=secret)
        assert hours.status_code == 200 and isinstance(hours.json(), list), hours.text
        refusal(client.get("/museum-hours"), 401, "missing_token")
        assert client.get("/museum-hours", token=narrow).status_code == 200
        refusal(client.get("/special-events", token=narrow), 403, "insufficient_scope")
        ticket = {"ticketType": "general", "ticketDate": "2023-09-07", "email": "a@example.com"}
        bought = client.post("/tickets", token=secret, json=ticket)
        assert bought.status_code == 201, bought.text
        # What Prism says about a bad request is Prism's to say.
        assert client.post("/tickets", token=secret, json={}).status_code in (400, 422)
        refusal(client.get("/unpublished", token=secret), 404, "no_route")
        refusal(client.request("DELETE", "/special-events/3be6453c-03eb-4357-ae5a-984a0e574a54", token=secret), 405, "method_not_allowed")
        # Without the credential Prism would have refused: it did not see the client's.
        assert json.dumps(hours.json())
