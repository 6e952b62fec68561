"""Several plugins on one gateway, told apart by host name; certificates by SNI; browsers."""

from __future__ import annotations

import socket
import ssl
import warnings

import pytest

from clients import refusal
from materials import document
from upstreams import Reply

MANIFEST = "/.well-known/ai-plugin.json"


@pytest.fixture
def two(world, new_upstream):
    """`todo` at todo.test, `shop` at shop.test, each with a certificate and an upstream of its own."""
    shop = new_upstream(document(info={"title": "Shop", "version": "1", "description": "Sells."}))
    shop.secrets |= world.upstream.secrets
    certs = world.folder / "certs"
    world.certificates.issue(certs, "todo.test", stem="todo")
    world.certificates.issue(certs, "shop.test", "*.shop.test", stem="shop")
    world.start({
        "tls": {"certificate": None, "key": None, "certificates": [
            {"certificate": f"certs/{name}.pem", "key": f"certs/{name}.key"} for name in ("todo", "shop")
        ]},
        "plugins": {
            "todo": {"hosts": ["todo.test"]},
            "shop": {"hosts": ["shop.test", "eu.shop.test"], "public_url": "https://shop.test", "upstream": {"url": shop.url}, "auth": {"require": "service"}},
        },
        "tokens": {"chatgpt": {"plugins": ["todo", "shop"]}},
    })
    return shop


def test_the_host_chooses_the_plugin(world, two, http2):
    for host, upstream, name in [("todo.test", world.upstream, "todo"), ("shop.test", two, "shop"), ("eu.shop.test", two, "shop")]:
        client = world.session(http2=http2, host=host, token=world.service)
        assert client.get("/todos").status_code == 200
        assert upstream.last.get("x-plugway-plugin") == name
        manifest = client.get(MANIFEST).json()
        assert manifest["name_for_model"] == name
        assert manifest["api"]["url"].startswith(f"https://{host}/") or manifest["api"]["url"].startswith("https://shop.test/")
    refusal(world.session(http2=http2, host="shop.test").get("/todos", token=world.user), 403, "wrong_level")


def test_hosts_are_compared_as_names(world, two):
    client = world.session(host="todo.test", token=world.service, tls=False)
    for host in ("TODO.test", "todo.test:8443", "todo.TEST."):
        assert client.get("/todos", headers={"Host": host}).status_code == 200, host


def test_an_unknown_host_is_misdirected(world, two, http2):
    client = world.session(http2=http2, host="todo.test", token=world.service)
    for host in ("other.test", "x.todo.test", "localhost", "127.0.0.1", "todo.test.evil.example"):
        refusal(client.get("/todos", headers={"Host": host}), 421, "unknown_host")
        refusal(client.get(MANIFEST, headers={"Host": host}), 421, "unknown_host")
        for path in ("/healthz", "/readyz"):
            assert client.get(path, headers={"Host": host}).status_code == 200
    assert world.upstream.requests == two.requests == []


def test_without_hosts_it_answers_to_the_names_of_its_certificate(world, http2):
    """Whoever has a certificate for a name means to answer there; no name of anybody else leads to it."""
    certs = world.folder / "certs"
    world.certificates.issue(certs, "todo.test", "*.shop.test")
    world.start({"plugins": {"todo": {"hosts": None, "public_url": None}}})
    assert "any other host gets 421" not in world.gateway.stderr
    for host in ("todo.test", "TODO.test", "eu.shop.test"):
        client = world.session(http2=http2, host=host.lower(), token=world.service)
        assert client.get("/todos", headers={"Host": host}).status_code == 200, host
        manifest = client.get(MANIFEST).json()
        assert manifest["api"]["url"].startswith(f"https://{host.lower()}"), manifest
    # Over HTTP as well, as all names of a plugin.
    assert world.session(host="todo.test", token=world.service, tls=False).get("/todos").status_code == 200
    client = world.session(host="todo.test", token=world.service)
    assert client.get("/todos", headers={"Host": "localhost"}).status_code == 200
    for host in ("shop.test", "a.b.shop.test", "todo.test.evil.example", "xtodo.test", "evil.example"):
        refusal(client.get("/todos", headers={"Host": host}), 421, "unknown_host")
        refusal(client.get(MANIFEST, headers={"Host": host}), 421, "unknown_host")
    # Another certificate, other names.
    world.certificates.issue(certs, "shop.test")
    assert world.gateway.reload().json["result"] in ("published", "unchanged")
    client = world.session(host="shop.test", token=world.service)
    assert client.get("/todos").status_code == 200
    refusal(client.get("/todos", headers={"Host": "todo.test"}), 421, "unknown_host")


def test_a_certificate_for_localhost_is_nobodys_name(world):
    world.start({"plugins": {"todo": {"hosts": None, "public_url": None}}})
    world.gateway.await_messages("any other host gets 421")


@pytest.mark.parametrize("head", [
    "GET /todos HTTP/1.1\r\n", "GET /todos HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", "GET /todos HTTP/1.1\r\nHost: local host\r\n",
    "GET /todos HTTP/1.1\r\nHost: localhost/x\r\n", "GET /todos HTTP/1.1\r\nHost: user@localhost\r\n", "GET /todos HTTP/1.1\r\nHost: \r\n",
    "GET http://other.test/todos HTTP/1.1\r\nHost: localhost\r\n", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n",
    "TRACE /todos HTTP/1.1\r\nHost: localhost\r\n", "GET * HTTP/1.1\r\nHost: localhost\r\n",
])
def test_a_request_that_is_none(world, head):
    world.start()
    wire = world.wire()
    wire.send(f"{head}Authorization: Bearer {world.service}\r\n\r\n")
    status, _ = wire.head()
    assert status in (400, 404, 405, 421), status
    assert world.upstream.requests == []


def certificate_names(world, host: str | None) -> list[str]:
    """The names in the certificate that a client gets who asks for `host`."""
    context = world.certificates.client()
    context.check_hostname = False
    with socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname=host) as tls:
            return [name for _, name in tls.getpeercert()["subjectAltName"]]


def test_the_name_asked_for_chooses_the_certificate(world, two):
    assert certificate_names(world, "todo.test") == ["todo.test"]
    assert certificate_names(world, "shop.test") == ["shop.test", "*.shop.test"]
    assert certificate_names(world, "eu.shop.test") == ["shop.test", "*.shop.test"]
    # Whoever asks for none, or for another, gets an answer that it can refuse.
    for other in (None, "other.test"):
        try:
            assert certificate_names(world, other) in (["todo.test"], ["shop.test", "*.shop.test"])
        except ssl.SSLError:
            pass


def test_tls_versions_and_alpn(world):
    world.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for offered, chosen in [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)]:
            context = world.certificates.client()
            context.minimum_version = context.maximum_version = version
            if offered:
                context.set_alpn_protocols(offered)
            with socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
                with context.wrap_socket(raw, server_hostname="localhost") as tls:
                    assert tls.selected_alpn_protocol() == chosen
    old = world.certificates.client()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
        old.wrap_socket(raw, server_hostname="localhost")


def test_browsers(world, http2):
    world.plugin({"cors": {"origins": ["https://app.example"]}})
    client = world.session(http2=http2, token=world.service)
    world.upstream.on("GET", "/todos", Reply(200, [("Vary", "Accept"), ("Access-Control-Allow-Origin", "https://evil.example")], b"x"))
    mine = client.get("/todos", headers={"Origin": "https://app.example"})
    assert mine.headers["access-control-allow-origin"] == "https://app.example"
    assert {name.strip().lower() for name in mine.headers["vary"].split(",")} >= {"accept", "origin"}
    for origin in ("https://chatgpt.com", "https://app.example.evil.example", "http://app.example", "null"):
        assert "access-control-allow-origin" not in client.get("/todos", headers={"Origin": origin}).headers
    # A page must be able to read why it was refused.
    refused = client.get("/todos", token="pls_wrong", headers={"Origin": "https://app.example"})
    refusal(refused, 401, "invalid_token")
    assert refused.headers["access-control-allow-origin"] == "https://app.example"


def test_an_options_that_is_no_preflight(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    refused = client.request("OPTIONS", "/todos")
    refusal(refused, 405, "method_not_allowed")
    assert world.upstream.requests == []


def test_further_files(world, http2):
    (world.folder / "security.txt").write_text("Contact: mailto:dev@example.com\n")
    (world.folder / "challenge.txt").write_text("token-of-openai")
    world.plugin({"files": {"/.well-known/security.txt": "security.txt", "/.well-known/openai-apps-challenge": "challenge.txt"}})
    client = world.session(http2=http2)
    got = client.get("/.well-known/security.txt")
    assert (got.status_code, got.text) == (200, "Contact: mailto:dev@example.com\n")
    assert got.headers["content-type"].startswith("text/plain")
    assert client.get("/.well-known/openai-apps-challenge").text == "token-of-openai"
    catalog = client.get("/.well-known/api-catalog")
    assert catalog.headers["content-type"].startswith("application/linkset+json")
    [entry] = catalog.json()["linkset"]
    assert any(link["href"] == f"{client.origin}/openapi.json" for link in entry["service-desc"])


def test_what_is_not_published_is_not_served(world, http2):
    world.plugin({"publish": ["manifest"]})
    client = world.session(http2=http2)
    assert client.get(MANIFEST).status_code == 200
    refusal(client.get("/openapi.json"), 404, "no_route")
    refusal(client.request("POST", MANIFEST), 405, "method_not_allowed")
