"""What goes to the upstream and what comes back: heads. (Bodies: test_bodies.py.)"""

from __future__ import annotations

import pytest

from clients import connection, refusal
from materials import document
from upstreams import Reply


# --- request heads ---


def test_the_request_arrives_as_it_was_sent(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    sent = {
        "Accept": "application/json;q=0.9, */*", "User-Agent": "tester/1 (box)", "X-Custom": "one, two",
        "If-None-Match": '"etag"', "Range": "bytes=0-1", "Cookie": "a=1; b=2", "Referer": "https://x.example/y?z",
        "Cache-Control": "no-store", "X-Latin": "caf\u00e9".encode("latin-1").decode("latin-1"),
    }
    sent["X-Latin"] = "plain"
    target = "/search?q=a%20b+c&q=%C3%A9&empty=&flag&path=/x/../y"
    assert client.get(target, headers=sent).status_code == 200
    seen = world.upstream.last
    assert seen.target == target
    for name, value in sent.items():
        assert seen.get(name) == value, name
    assert seen.get("host") == world.upstream.authority
    assert client.get("/todos/a%20b%C3%A9:x@y,z=1").status_code == 200
    assert world.upstream.last.target == "/todos/a%20b%C3%A9:x@y,z=1"


def test_repeated_headers_stay_apart_and_cookies_become_one(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    assert client.get("/todos", headers=[("X-Many", "1"), ("X-Many", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")]).status_code == 200
    assert world.upstream.last.all("x-many") == ["1", "2"]
    assert world.upstream.last.get("cookie") == "a=1; b=2"


def test_connection_can_not_remove_what_the_gateway_sets(world):
    world.start({"plugins": {"todo": {"headers": {"request": {"set": {"X-Set": "ours"}}}}}})
    wire = world.wire()
    named = "X-Named, X-Plugway-Principal, X-Plugway-Level, X-Request-Id, X-Forwarded-For, Forwarded, X-Set"
    wire.send(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\nX-Named: 1\r\n"
              f"Connection: keep-alive, {named}\r\nKeep-Alive: 1\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\n"
              "HTTP2-Settings: AAMAAABkAAQ\r\nProxy-Connection: x\r\n\r\n")
    status, head = wire.head()
    assert status == 200
    seen = world.upstream.last
    assert seen.get("x-plugway-principal") == "chatgpt"
    assert seen.get("x-plugway-level") == "service"
    assert seen.get("x-request-id") == head["x-request-id"]
    assert seen.get("x-forwarded-for") == "127.0.0.1"
    assert seen.get("x-set") == "ours"
    assert seen.get("forwarded")
    assert seen.all("x-named") == []


def test_header_rules(world, http2):
    world.plugin({"headers": {
        "request": {"set": {"X-Api-Version": "3", "User-Agent": "plugway"}, "remove": ["X-Drop", "Cookie"]},
        "response": {"set": {"Strict-Transport-Security": "max-age=1"}, "remove": ["Server", "X-Inside"]},
    }})
    world.upstream.on("GET", "/todos", Reply(200, [("Server", "inside/1"), ("X-Inside", "1"), ("X-Kept", "1")], b"x"))
    client = world.session(http2=http2, token=world.service)
    got = client.get("/todos", headers={"X-Drop": "1", "Cookie": "a=1", "X-Api-Version": "1"})
    seen = world.upstream.last
    assert (seen.get("x-api-version"), seen.get("user-agent")) == ("3", "plugway")
    assert not seen.all("x-drop") and not seen.all("cookie")
    assert got.headers["strict-transport-security"] == "max-age=1"
    assert got.headers["x-kept"] == "1"
    assert "server" not in got.headers and "x-inside" not in got.headers


@pytest.mark.parametrize(("host", "expected"), [(None, "AUTHORITY"), ("upstream", "AUTHORITY"), ("client", "CLIENT"), ("api.internal", "api.internal")])
def test_host_modes(world, http2, host, expected):
    world.plugin({"upstream": {"host": host} if host else {}})
    client = world.session(http2=http2, token=world.service)
    assert client.get("/todos").status_code == 200
    names = {"AUTHORITY": world.upstream.authority, "CLIENT": client.authority}
    assert world.upstream.last.get("host") == names.get(expected, expected)
    assert world.upstream.last.get("x-forwarded-host") == client.authority


CREDENTIALS = [
    ({"bearer": "${env:UP}"}, "authorization", "Bearer upstream-secret"),
    ({"basic": {"user": "me", "password": "${env:UP}"}}, "authorization", "Basic bWU6dXBzdHJlYW0tc2VjcmV0"),
    ({"header": {"name": "X-Api-Key", "value": "${env:UP}"}}, "x-api-key", "upstream-secret"),
]


@pytest.mark.parametrize(("credential", "name", "value"), CREDENTIALS)
def test_the_upstreams_own_credential(world, http2, credential, name, value):
    world.plugin({"upstream": {"credential": credential}}, env={"UP": "upstream-secret"})
    world.gateway.secrets.add("upstream-secret")
    client = world.session(http2=http2, token=world.service)
    forged = {"X-Api-Key": "forged", "X_Api_Key": "forged"}
    got = client.get("/todos", headers=forged if name == "x-api-key" else {})
    assert got.status_code == 200
    assert world.upstream.last.all(name) == [value]
    assert "upstream-secret" not in str(got.headers)
    for path in ("/.well-known/ai-plugin.json", "/openapi.json"):
        assert "upstream-secret" not in client.get(path).text


def test_a_credential_in_the_query(world, http2):
    world.plugin({"upstream": {"credential": {"query": {"name": "api_key", "value": "${env:UP}"}}}}, env={"UP": "s e&cret"})
    client = world.session(http2=http2, token=world.service)
    assert client.get("/search?q=1&api_key=forged").status_code == 200
    from urllib.parse import parse_qsl

    assert parse_qsl(world.upstream.last.query) == [("q", "1"), ("api_key", "s e&cret")]
    assert client.get("/todos").status_code == 200
    assert parse_qsl(world.upstream.last.query) == [("api_key", "s e&cret")]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_credential_in_the_query_that_the_api_repeats(world, http2, chunked):
    world.plugin({"upstream": {"credential": {"query": {"name": "api_key", "value": "${env:UP}"}}}}, env={"UP": "UP/SECRET+01=ab"})
    client = world.session(http2=http2, token=world.service)
    spelled = ["UP/SECRET+01=ab", "UP%2FSECRET%2B01%3Dab", "UP%2fSECRET%2b01=ab", "UP%252FSECRET%252B01%253Dab", r"UP\/SECRET+01=ab",
               r"UP\u002fSECRET\u002B01=ab", "UP&#x2F;SECRET&#43;01=ab"]
    around = "<a href='/todos/?api_key={}&page=2'>UP/SECRET</a>"
    body = "".join(around.format(text) for text in spelled).encode()
    masked = "".join(around.format("*" * len(text)) for text in spelled)
    world.upstream.on("GET", "/todos", Reply(
        status=301, body=body, chunked=chunked, trailers=[("X-Link", spelled[1]), ("X-Sum", "1")] if chunked else None,
        headers=[("Location", "/todos/?next=%2Fa%3Fapi_key%3DUP%252FSECRET%252B01%253Dab"), ("Link", f"</todos?k={spelled[2]}>"), ("X-Fine", "1")],
    ))
    got = client.get("/todos", headers={"TE": "trailers", "Range": "bytes=0-20", "Accept-Encoding": "gzip"})
    assert (got.status_code, got.text) == (301, masked)
    assert "location" not in got.headers and "link" not in got.headers and got.headers["x-fine"] == "1"
    assert got.headers.get("content-length") == (None if chunked else str(len(body)))
    # In what is encoded, or in pieces, it would not be found.
    assert world.upstream.last.get("range") is None and world.upstream.last.get("accept-encoding") == "identity"
    head = client.request("HEAD", "/todos")
    assert head.status_code == 301 and head.content == b""


# --- who the client is ---

FORGED = {
    "X-Forwarded-For": "6.6.6.6, 7.7.7.7", "X-Forwarded-Proto": "ftp", "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=6.6.6.6;host=evil.example;proto=ftp", "X-Request-Id": "client-made-this", "X-Real-IP": "6.6.6.6",
    "True-Client-IP": "6.6.6.6", "X-Forwarded-Port": "1", "X-Original-URL": "/internal/reset", "X-HTTP-Method-Override": "DELETE",
}

# Who asks, as proxies that authenticate tell the APIs behind them, and what has servers run another operation.
BELIEVED = {name: "root" for name in (
    "Remote-User", "X-Remote-User", "X-Remote-Groups", "X-Auth-Request-User", "X-WEBAUTH-USER", "X-Amzn-Oidc-Identity",
    "X-Goog-Authenticated-User-Email", "X-Goog-IAP-JWT-Assertion", "Cf-Access-Authenticated-User-Email", "Tailscale-User-Login",
    "Client-Cert", "Client-Cert-Chain", "Ssl-Client-Verify", "X-SSL-Client-CN", "X-Client-Cert", "X-Forwarded-Client-Cert",
    "X-MS-CLIENT-PRINCIPAL-NAME", "X-Authenticated-Userid", "Fly-Src", "X-HTTP-MethodOverride", "X-HTTP-Method",
    "X-Method-Override", "X-Original-Method", "X-Rewrite-URL", "X-Override-URL", "X-Middleware-Subrequest")}


def test_nobody_is_believed_by_default(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    got = client.get("/todos", headers=FORGED)
    assert got.status_code == 200
    seen = world.upstream.last
    text = seen.raw_head.decode()
    assert "6.6.6.6" not in text and "evil" not in text and "client-made-this" not in text and "ftp" not in text
    assert seen.get("x-forwarded-for") == "127.0.0.1"
    assert (seen.get("x-forwarded-proto"), seen.get("x-forwarded-host")) == ("https", client.authority)
    assert seen.get("forwarded").lower().replace('"', "") == f"for=127.0.0.1;host={client.authority};proto=https"
    assert got.headers["x-request-id"] != "client-made-this"
    for name in ("x-real-ip", "true-client-ip", "x-forwarded-port", "x-original-url", "x-http-method-override"):
        assert seen.all(name) == [], name
    assert world.gateway.line(got.headers["x-request-id"])["client"] == "127.0.0.1"


def test_options_is_an_operation_like_any_where_the_document_has_it(world, http2):
    text = document()
    text["paths"]["/todos"]["options"] = {"operationId": "askTodos", "responses": {"200": {"description": "What there is."}}}
    world.upstream.on("GET", "/openapi.json", Reply(json=text))
    world.upstream.on("OPTIONS", "/todos", Reply(200, headers=[("Allow", "GET, POST"), ("X-Own", "1")], body=b"ours"))
    world.plugin({"openapi": {"source": "/openapi.json"}, "cors": {"origins": ["https://chatgpt.com"]}})
    client = world.session(http2=http2, token=world.service)
    assert "options" in client.get("/openapi.json").json()["paths"]["/todos"]
    for headers in ({}, {"Origin": "https://chatgpt.com"}):
        got = client.request("OPTIONS", "/todos", headers=headers)
        assert (got.status_code, got.text, got.headers.get("x-own")) == (200, "ours", "1"), got
        assert world.upstream.last.method == "OPTIONS"
    assert refusal(world.session(http2=http2).request("OPTIONS", "/todos"), 401, "missing_token")
    world.upstream.forget()
    asked = {"Origin": "https://chatgpt.com", "Access-Control-Request-Method": "POST"}
    preflight = client.request("OPTIONS", "/todos", headers=asked)
    assert preflight.status_code == 204 and "OPTIONS" in preflight.headers["access-control-allow-methods"]
    # Where the document has none, it is none.
    assert refusal(client.request("OPTIONS", "/todos/1"), 405, "method_not_allowed")
    assert world.upstream.requests == []


@pytest.mark.parametrize("trusted", [[], ["127.0.0.0/8"]], ids=["from anybody", "from a trusted proxy"])
def test_who_asks_is_not_the_client_s_to_say(world, http2, trusted):
    """Not even by a trusted proxy, which passes on what it does not know; the configuration may."""
    set_ = {"X-Remote-Group": "agents"}
    world.start({"trusted_proxies": trusted, "plugins": {"todo": {"headers": {"request": {"set": set_}, "underscores": "pass"}}}})
    client = world.session(http2=http2, token=world.service)
    twins = {name.replace("-", "_"): value for name, value in BELIEVED.items()}
    assert client.get("/todos", headers={**BELIEVED, **twins, "X-User-Id": "7", "X-Auth-Token": "t"}).status_code == 200
    seen = world.upstream.last
    assert "root" not in seen.raw_head.decode()
    assert (seen.get("x-user-id"), seen.get("x-auth-token"), seen.get("x-remote-group")) == ("7", "t", "agents")


def test_a_trusted_proxy_is_believed(world, http2):
    world.start({"trusted_proxies": ["127.0.0.0/8"], "plugins": {"todo": {"hosts": ["todo.test"]}}})
    client = world.session(http2=http2, token=world.service, tls=False, host="todo.test")
    proxied = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "todo.test", "X-Request-Id": "edge-1234567890"}
    got = client.get("/todos", headers=proxied)
    seen = world.upstream.last
    assert seen.get("x-forwarded-for") == "203.0.113.9, 127.0.0.1"
    assert (seen.get("x-forwarded-proto"), seen.get("x-forwarded-host")) == ("https", "todo.test")
    assert got.headers["x-request-id"] == seen.get("x-request-id") == "edge-1234567890"
    assert world.gateway.line("edge-1234567890")["client"] == "203.0.113.9"
    manifest = client.get("/.well-known/ai-plugin.json", headers=proxied).json()
    assert manifest["api"]["url"].startswith("https://todo.test/")


def test_a_client_does_not_choose_the_plugin_behind_a_proxy_that_sends_its_host(world):
    todo = world.base()["plugins"]["todo"]
    world.start({"trusted_proxies": ["127.0.0.0/8"], "plugins": {
        "todo": {"hosts": ["todo.test", "eu.todo.test"]},
        "inner": todo | {"hosts": ["inner.test"], "auth": {"require": "none"}},
    }})

    def origin(host: str, told: str) -> str | int:
        got = world.session(tls=False, host=host).get("/.well-known/ai-plugin.json", headers={"X-Forwarded-Host": told})
        return got.json()["api"]["url"].removesuffix("/openapi-3.0.json") if got.status_code == 200 else got.status_code

    inner = world.session(tls=False, host="todo.test").get("/todos", headers={"X-Forwarded-Host": "inner.test"})
    refusal(inner, 401, "missing_token")
    for told in ("inner.test", "nobody.test"):
        assert origin("todo.test", told) == "http://todo.test"
        forwarded = {"Forwarded": f"for=203.0.113.9;host={told}"}
        refusal(world.session(tls=False, host="todo.test").get("/todos", headers=forwarded), 401, "missing_token")
    assert origin("todo.test", "eu.todo.test") == "http://eu.todo.test"
    # A proxy that asks for the gateway by its address has nobody's host.
    assert origin("127.0.0.1", "inner.test") == "http://inner.test"
    assert origin("127.0.0.1", "nobody.test") == 421


def test_a_trusted_proxy_with_forwarded(world):
    world.start({"trusted_proxies": ["127.0.0.1/32"]})
    client = world.session(token=world.service, tls=False)
    got = client.get("/todos", headers={"Forwarded": 'for="[2001:db8::7]:4711";proto=https'})
    assert got.status_code == 200
    assert world.gateway.line(got.headers["x-request-id"])["client"] == "2001:db8::7"
    assert world.upstream.last.get("x-forwarded-proto") == "https"
    assert "2001:db8::7" in world.upstream.last.get("forwarded")


# --- paths ---


@pytest.mark.parametrize(("url_path", "server", "prefix"), [
    ("", None, ""), ("/base", None, "/base"), ("/base/", None, "/base"), ("", "/v2", "/v2"), ("", "https://elsewhere.example/v9", ""),
    ("/base", "/v2", "/base"),
])
def test_base_paths(world, http2, url_path, server, prefix):
    doc = document(servers=[{"url": server}]) if server else document()
    for place in ("/openapi.json", "/base/openapi.json"):
        world.upstream.on("GET", place, Reply(json=doc))
    world.plugin({"upstream": {"url": world.upstream.url + url_path}})
    client = world.session(http2=http2, token=world.service)
    assert client.get("/todos/7?x=1").status_code == 200
    assert world.upstream.last.target == f"{prefix}/todos/7?x=1"
    assert client.get("/openapi.json").json()["servers"] == [{"url": client.origin}]
    absolute = f"{world.upstream.url}{prefix}/todos/8?y=2"
    for sent, expected in [
        (absolute, f"{client.origin}/todos/8?y=2"),
        (f"{prefix}/todos/8", "/todos/8"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("../todos/9", "../todos/9"),
    ]:
        headers = [("Location", sent), ("Content-Location", sent)]
        world.upstream.on("POST", f"{prefix}/todos", Reply(201, headers))
        got = client.post("/todos", json={})
        assert got.status_code == 201
        for name in ("location", "content-location"):
            assert got.headers[name] in (expected, client.origin + expected), (sent, got.headers[name])


AMBIGUOUS = [
    "/todos/a%2Fb", "/todos/a%2fb", "/todos/../internal/reset", "/todos/./7", "/todos/%2e%2e/7", "/todos/%2E%2E", "/todos/..",
    "/todos/.%2e/7", "//todos", "/todos//7", "/todos\\7", "/todos/%5c7", "/todos/a%5Cb", "/todos;x=1", "/todos;/7", "/todos/..;/7",
    "/todos/%00", "/todos/%zz", "/todos/%", "/todos/a%0d%0ab", "/todos/%c0%ae", "/todos;jsessionid=1/7",
]


@pytest.mark.parametrize("path", AMBIGUOUS)
def test_a_path_that_could_be_read_in_two_ways_is_refused(world, path):
    world.start()
    wire = world.wire()
    wire.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n")
    status, _ = wire.head()
    assert status == 400, path
    assert world.upstream.requests == []


def test_ambiguous_paths_over_http2(world):
    world.start()
    client = world.session(http2=True, token=world.service)
    for path in ("/todos/a%2Fb", "/todos/%2e%2e/7", "//todos", "/todos//7", "/todos/%5c7", "/todos;x=1"):
        refusal(client.get(client.http.base_url.copy_with(raw_path=path.encode())), 400, "ambiguous_path")
    assert world.upstream.requests == []


def test_an_encoded_slash_where_it_was_allowed(world, http2):
    world.plugin({"openapi": {"encoded_slash": ["download"]}})
    client = world.session(http2=http2, token=world.service)
    assert client.get("/files/a%2Fb%2fc").status_code == 200
    assert world.upstream.last.target == "/files/a%2Fb%2fc"
    refusal(client.get("/todos/a%2Fb"), 400, "ambiguous_path")
    refusal(client.get("/files/..%2fb"), 400, "ambiguous_path")


def test_what_is_not_published(world, http2):
    world.plugin({"openapi": {"exclude": ["tag:internal", "putTodo"]}})
    client = world.session(http2=http2, token=world.service)
    for method, path in [("POST", "/internal/reset"), ("GET", "/nothing"), ("GET", "/todos/7/x"), ("GET", "/TODOS"), ("GET", "/todos/7/")]:
        refusal(client.request(method, path), 404, "no_route")
    refused = client.request("PUT", "/todos/7")
    refusal(refused, 405, "method_not_allowed")
    allowed = {method.strip() for method in refused.headers["allow"].split(",")}
    assert {"GET", "HEAD", "DELETE", "PATCH"} <= allowed and "PUT" not in allowed
    refusal(client.request("DELETE", "/todos"), 405, "method_not_allowed")
    # Also without a token: what is not there needs none.
    refusal(client.get("/nothing", token=""), 404, "no_route")
    assert world.upstream.requests == []


def test_unpublished_paths_can_be_forwarded_behind_the_token(world, http2):
    world.start({
        "plugins": {"todo": {"openapi": {"unpublished": "forward", "include": ["listTodos"]}, "auth": {"require": "any"}}},
        "tokens": {"alice": {"scopes": ["listTodos"]}},
    })
    client = world.session(http2=http2)
    refusal(client.get("/anything/else"), 401, "missing_token")
    refusal(client.get("/anything/else", token=world.user), 403, "insufficient_scope")
    assert client.get("/todos", token=world.user).status_code == 200
    assert client.request("DELETE", "/anything/else?x=1", token=world.service).status_code == 200
    assert world.upstream.last.target == "/anything/else?x=1"
    refusal(client.get("/x/%2e%2e/y", token=world.service), 400, "ambiguous_path")
    assert list(client.get("/openapi.json").json()["paths"]) == ["/todos"]


# --- response heads ---


def test_the_response_comes_back_as_it_was_sent(world, http2):
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("X-Many", "1"), ("X-Many", "2"),
        ("ETag", '"7"'), ("Server", "theirs/2"), ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("Cache-Control", "max-age=3"),
        ("WWW-Authenticate", "Basic"), ("Retry-After", "7"), ("Vary", "Accept"),
    ]
    world.upstream.on("GET", "/todos", Reply(418, headers, b"short and stout"))
    world.start()
    got = world.session(http2=http2, token=world.service).get("/todos")
    assert (got.status_code, got.content) == (418, b"short and stout")
    for name in {name for name, _ in headers}:
        expected = [value for key, value in headers if key == name]
        if name == "Vary":
            assert got.headers.get_list("vary", split_commas=True)[0] == "Accept"
        else:
            assert got.headers.get_list(name) == expected, name


def test_what_the_upstream_must_not_tell_the_client(world, http2):
    headers = [
        ("Connection", "X-Hop, keep-alive"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic"),
        ("fly-replay", "region=xyz"), ("fly-replay-cache", "x"), ("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"),
        ("X-Request-Id", "theirs"), ("Alt-Svc", 'h3=":443"'), ("X-Kept", "1"),
    ]
    world.upstream.on("GET", "/todos", Reply(200, headers, b"x"))
    world.start()
    got = world.session(http2=http2, token=world.service).get("/todos", headers={"Origin": "https://evil.example"})
    assert got.headers["x-kept"] == "1"
    assert got.headers["x-request-id"] != "theirs"
    for name in ("x-hop", "keep-alive", "proxy-authenticate", "fly-replay", "fly-replay-cache", "access-control-allow-origin", "access-control-allow-credentials", "alt-svc"):
        assert name not in got.headers, name


def test_connections_are_used_again(world, http2):
    world.start({"workers": 1})
    client = world.session(http2=http2, token=world.service)
    answers = [client.get("/todos") for _ in range(5)] + [client.post("/todos", json={}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({connection(answer) for answer in answers}) == 1
    assert len({request.connection for request in world.upstream.requests}) == 1


def test_an_upstream_over_tls(world, new_upstream, http2):
    inside = new_upstream(tls=world.certificates.server("localhost", "127.0.0.1"))
    inside.secrets |= world.upstream.secrets
    world.certificates.write_ca(world.folder / "ca.pem")
    world.plugin({"upstream": {"url": inside.url, "ca": "ca.pem"}})
    client = world.session(http2=http2, token=world.service)
    assert client.get("/todos").status_code == 200
    assert inside.last.get("host") == inside.authority
    # Whom it does not trust it does not ask.
    world.change({"plugins": {"todo": {"upstream": {"ca": "bundled"}, "openapi": {"source": "doc.json"}}}})
    import json

    from plugway import replace

    replace(world.folder / "doc.json", json.dumps(inside.document))
    world.gateway.reload()
    refusal(client.get("/todos"), 502, "upstream_unreachable")
