"""R1 to R20: what a plugin's clients have relied on since 2023, one test each by that name."""

from __future__ import annotations

import json
import re
import threading

import yaml

from clients import connection, refusal
from materials import RETRIEVAL, declared, sha256, token
from plugway import eventually, run
from upstreams import Reply

MANIFEST = "/.well-known/ai-plugin.json"
DOCUMENTS = ("/.well-known/openapi.yaml", "/.well-known/openapi.json", "/openapi.yaml", "/openapi.json")
PNG = b"\x89PNG\r\n\x1a\n" + b"not really" * 100


def test_r01_manifest_is_ours_exactly_json_with_urls_of_the_requested_host(world, http2):
    theirs = Reply(json={"schema_version": "v1", "name_for_human": "Theirs", "logo_url": "http://theirs/logo.png"})
    world.upstream.on("GET", MANIFEST, theirs)
    world.certificates.issue(world.folder / "certs", "todo.test", "www.todo.test")
    world.plugin({"hosts": ["todo.test", "www.todo.test"]})
    for host in ("todo.test", "www.todo.test"):
        client = world.session(http2=http2, host=host)
        asked = len(world.upstream.everything)
        got = client.get(MANIFEST)
        assert got.status_code == 200
        assert got.headers["content-type"] == "application/json"
        manifest = got.json()
        assert manifest["schema_version"] == "v1"
        assert manifest["name_for_human"] == "Todo List"
        assert re.fullmatch(r"[A-Za-z0-9_]{1,50}", manifest["name_for_model"])
        for url in (manifest["api"]["url"], manifest["logo_url"], manifest["legal_info_url"]):
            assert url.startswith(f"https://{host}/"), manifest
        head = client.request("HEAD", MANIFEST)
        assert head.status_code == 200 and head.content == b""
        assert head.headers["content-type"] == "application/json"
        assert int(head.headers["content-length"]) == len(got.content)
        assert len(world.upstream.everything) == asked, "the upstream's own was asked for"


def test_r02_openapi_is_one_document_in_all_places_with_the_public_origin(world, http2):
    world.start()
    client = world.session(http2=http2)
    seen = []
    for path in DOCUMENTS:
        got = client.get(path)
        assert got.status_code == 200, path
        seen.append(yaml.safe_load(got.text) if path.endswith(".yaml") else got.json())
        if path.endswith(".json"):
            assert got.headers["content-type"] == "application/json"
        assert client.request("HEAD", path).headers["content-length"] == str(len(got.content))
    assert all(document == seen[0] for document in seen)
    assert seen[0]["openapi"] == "3.1.0"
    assert [server["url"].rstrip("/") for server in seen[0]["servers"]] == [client.origin]
    assert "theirs" not in json.dumps(seen[0]), "the original's security scheme is still there"
    older = client.get("/openapi-3.0.json").json()
    assert older["openapi"] == "3.0.1"
    assert older == yaml.safe_load(client.get("/openapi-3.0.yaml").text)
    assert world.upstream.requests == []


def test_r03_logo_is_served_from_its_file(world, http2):
    (world.folder / "logo.png").write_bytes(PNG)
    world.plugin({"logo": "logo.png"})
    client = world.session(http2=http2)
    for path in ("/logo.png", "/.well-known/logo.png"):
        got = client.get(path)
        assert (got.status_code, got.headers["content-type"], got.content) == (200, "image/png", PNG)
    assert client.get(MANIFEST).json()["logo_url"] == f"{client.origin}/logo.png"


def test_r04_legal_is_a_page_of_the_manifests_own_host(world, http2):
    (world.folder / "terms.html").write_text("<p>Our terms</p>")
    world.start()
    client = world.session(http2=http2)
    for text in ("Todo List", "Our terms"):
        page = eventually(lambda text=text: (got := client.get("/legal")) and text in got.text and got)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert client.get(MANIFEST).json()["legal_info_url"] == f"{client.origin}/legal"
        world.change({"plugins": {"todo": {"legal": "terms.html"}}})


def test_r05_only_what_is_published_can_be_reached(world, http2):
    world.upstream.document = RETRIEVAL
    world.plugin({"openapi": {"include": ["query_query_post"]}})
    client = world.session(http2=http2, token=world.service)
    assert client.post("/query", json={"queries": []}).status_code == 200
    assert [request.path for request in world.upstream.requests] == ["/query"]
    for method, path in [("GET", "/docs"), ("GET", "/redoc"), ("GET", "/sub/openapi.json"), ("POST", "/upsert"),
                         ("POST", "/upsert-file"), ("DELETE", "/delete"), ("GET", "/"), ("GET", "/query/")]:
        refusal(client.request(method, path), 404, "no_route")
    refused = client.get("/query")
    refusal(refused, 405, "method_not_allowed")
    assert "POST" in refused.headers["allow"]
    assert list(client.get("/openapi.json").json()["paths"]) == ["/query"]
    assert len(world.upstream.requests) == 1


def test_r06_service_level_says_what_is_missing(world, http2):
    world.plugin({"auth": {"require": "service"}})
    client = world.session(http2=http2)
    missing = client.get("/todos")
    refusal(missing, 401, "missing_token")
    assert missing.headers["www-authenticate"] == 'Bearer realm="todo"'
    wrong = client.get("/todos", token=token())
    refusal(wrong, 401, "invalid_token")
    assert wrong.headers["www-authenticate"] == 'Bearer realm="todo", error="invalid_token"'
    for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
        assert client.get("/todos", headers={"Authorization": f"{scheme} {world.service}"}).status_code == 200
    assert len(world.upstream.requests) == 4
    assert client.get(MANIFEST).json()["auth"]["type"] == "service_http"


def test_r07_user_level_tells_the_upstream_who_it_is(world, http2):
    bob = token("user")
    world.upstream.secrets.add(bob)
    world.start({"plugins": {"todo": {"auth": {"require": "user"}}}, "tokens": {"bob": declared(bob, "user")}})
    client = world.session(http2=http2)
    forged = {f"X-Plugway-{what}": "forged" for what in ("Principal", "Level", "Token", "Plugin", "Scope")}
    for name, secret in (("alice", world.user), ("bob", bob)):
        assert client.get("/todos", token=secret, headers=forged | {"X_Plugway_Principal": "forged"}).status_code == 200
        seen = world.upstream.last
        assert seen.get("x-plugway-principal") == name
        assert seen.get("x-plugway-token") == name
        assert seen.get("x-plugway-level") == "user"
        assert seen.get("x-plugway-plugin") == "todo"
    assert client.get(MANIFEST).json()["auth"] == {"type": "user_http", "authorization_type": "bearer"}


def test_r08_authorization_is_stripped_passed_or_replaced(world, http2):
    world.start(env={"UP": "the-upstreams-own"})
    client = world.session(http2=http2, token=world.service)
    assert client.get("/todos").status_code == 200
    assert world.upstream.last.all("authorization") == []

    world.change({"plugins": {"todo": {"upstream": {"credential": {"bearer": "${env:UP}"}}}}})
    assert world.gateway.reload().json["result"] in ("published", "unchanged")
    assert client.get("/todos").status_code == 200
    assert world.upstream.last.all("authorization") == ["Bearer the-upstreams-own"]

    world.upstream.may_see_secrets = True
    world.change({"plugins": {"todo": {"upstream": {"credential": "pass"}}}})
    world.gateway.reload()
    assert client.get("/todos").status_code == 200
    assert world.upstream.last.all("authorization") == [f"Bearer {world.service}"]


def test_r09_each_token_has_its_own_operations(world, http2):
    world.upstream.document = RETRIEVAL
    webhook = token()
    world.start({"tokens": {
        "chatgpt": {"scopes": ["POST /query"]},
        "webhook": declared(webhook, scopes=["upsert_upsert_post", "DELETE /delete"]),
    }})
    client = world.session(http2=http2)
    allowed = {world.service: [("POST", "/query")], webhook: [("POST", "/upsert"), ("DELETE", "/delete")]}
    every = [("POST", "/query"), ("POST", "/upsert"), ("DELETE", "/delete"), ("POST", "/upsert-file")]
    for secret, mine in allowed.items():
        for method, path in every:
            got = client.request(method, path, token=secret)
            if (method, path) in mine:
                assert got.status_code == 200, (method, path)
            else:
                refusal(got, 403, "insufficient_scope")
                operation = RETRIEVAL["paths"][path][method.lower()]["operationId"]
                expected = f'Bearer realm="todo", error="insufficient_scope", scope="{operation}"'
                assert got.headers["www-authenticate"] == expected
    assert len(world.upstream.requests) == 3


def test_r10_bodies_arrive_as_they_were_sent(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    assert client.post("/todos", json={"text": "Grüße", "n": 12345678901234567890}).status_code == 200
    assert json.loads(world.upstream.last.body) == {"text": "Grüße", "n": 12345678901234567890}
    assert world.upstream.last.get("content-type") == "application/json"

    blob = bytes(range(256)) * 400
    assert client.post("/files", files={"file": ("a.bin", blob, "application/x-thing")}, data={"metadata": "{}"}).status_code == 200
    seen = world.upstream.last
    assert seen.get("content-type").startswith("multipart/form-data; boundary=")
    assert blob in seen.body and b'name="metadata"' in seen.body and b'filename="a.bin"' in seen.body

    assert client.request("DELETE", "/todos/7", json={"ids": ["7"]}).status_code == 200
    assert (world.upstream.last.method, json.loads(world.upstream.last.body)) == ("DELETE", {"ids": ["7"]})

    if not http2:
        wire = world.wire(tls=True)
        wire.send(f"POST /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n"
                  "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert wire.head()[0] == 100
        wire.send("body")
        assert wire.head()[0] == 200
        assert world.upstream.last.body == b"body"


def test_r11_errors_are_the_upstreams_own_or_readable(world, http2):
    world.plugin({"upstream": {"timeout": "400ms"}})
    client = world.session(http2=http2, token=world.service)
    for status in (400, 422, 500, 503):
        body = {"detail": [{"loc": ["body"], "msg": f"said {status}"}]}
        world.upstream.on("POST", "/todos", Reply(status, [("X-Theirs", "1")], json=body))
        got = client.post("/todos", json={})
        assert (got.status_code, got.json()) == (status, body)
        assert got.headers["content-type"] == "application/json"
        assert got.headers["x-theirs"] == "1"
    held = threading.Event()
    world.upstream.on("GET", "/slow", lambda _request: held.wait(10) and Reply())
    late = client.get("/slow")
    assert "detail" in refusal(late, 504, "upstream_timeout")
    held.set()
    world.upstream.stop()
    down = client.get("/todos")
    assert "detail" in refusal(down, 502, "upstream_unreachable")


def test_r12_the_default_deadline_is_shorter_than_the_clients(world):
    """The description that the schema is printed from is the one that the reader takes defaults from."""
    schema = run("schema", cwd=world.folder).json
    plugin = schema["properties"]["plugins"]["additionalProperties"]["properties"]
    default = plugin["upstream"]["properties"]["timeout"]["default"]
    assert re.fullmatch(r"\d+s", default) and int(default[:-1]) < 45, default


def test_r13_large_responses_pass_unless_they_are_guarded(world, http2):
    """Without `limits.response_chars` nothing is replaced; with it, a client of v1 or Actions gets no more than it takes."""
    large = ("0123456789abcdef" * 16384).encode()
    assert len(large) > 100_000
    world.upstream.on("GET", "/files/large", Reply(200, [("Content-Type", "text/plain")], large))
    world.start()
    got = world.session(http2=http2, token=world.service).get("/files/large")
    assert got.status_code == 200 and got.content == large
    world.change({"limits": {"response_chars": 100_000}})
    client = world.session(http2=http2, token=world.service)
    eventually(lambda: client.get("/files/large").status_code == 502)
    refusal(client.get("/files/large"), 502, "response_too_large")


def test_r14_preflight_is_answered_here_and_without_a_token(world, http2):
    world.start()
    client = world.session(http2=http2)
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, authorization, openai-conversation-id"}
    for origin in ("https://chatgpt.com", "https://chat.openai.com"):
        got = client.request("OPTIONS", "/todos", headers=ask | {"Origin": origin})
        assert got.status_code in (200, 204)
        assert got.headers["access-control-allow-origin"] == origin
        assert "POST" in got.headers["access-control-allow-methods"]
        allowed = got.headers["access-control-allow-headers"].lower()
        assert all(name in allowed for name in ("content-type", "authorization", "openai-conversation-id"))
        assert "origin" in got.headers["vary"].lower()
        called = client.get("/todos", token=world.service, headers={"Origin": origin})
        assert called.headers["access-control-allow-origin"] == origin
        assert "origin" in called.headers["vary"].lower()
    foreign = client.request("OPTIONS", "/todos", headers=ask | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers
    for path in (MANIFEST, *DOCUMENTS, "/logo.png"):
        assert client.get(path, headers={"Origin": "https://any.example"}).headers["access-control-allow-origin"] == "*"
    assert [request.method for request in world.upstream.requests] == ["GET", "GET"]


def test_r15_private_network_access_only_when_asked_and_in_dev(world):
    ask = {"Origin": "https://chatgpt.com", "Access-Control-Request-Method": "GET"}
    wish = {"Access-Control-Request-Private-Network": "true"}
    name = "access-control-allow-private-network"
    world.start()
    assert name not in world.session().request("OPTIONS", "/todos", headers=ask | wish).headers
    world.dev("--upstream", world.upstream.url)
    client = world.session(tls=False)
    assert client.request("OPTIONS", "/todos", headers=ask | wish).headers[name] == "true"
    assert name not in client.request("OPTIONS", "/todos", headers=ask).headers
    foreign = client.request("OPTIONS", "/todos", headers=ask | wish | {"Origin": "https://evil.example"})
    assert name not in foreign.headers


def test_r16_changes_are_seen_on_the_next_request_of_the_same_connection(world, http2):
    world.plugin({"auth": {"require": "service", "verification_tokens": {"openai": "first"}}})
    client = world.session(http2=http2)
    first = client.get(MANIFEST)
    assert first.json()["auth"]["verification_tokens"] == {"openai": "first"}
    assert client.get("/todos", token=world.service).status_code == 200

    fresh = token()
    world.upstream.secrets.add(fresh)
    world.change({
        "plugins": {"todo": {"description": "Changed.", "auth": {"verification_tokens": {"openai": "second"}}}},
        "tokens": {"chatgpt": {"sha256": None, "secrets": [{"sha256": sha256(fresh)}, {"sha256": sha256(world.service)}]}},
    })
    second = eventually(lambda: (got := client.get(MANIFEST)).json()["description_for_human"] == "Changed." and got)
    assert second.json()["auth"]["verification_tokens"] == {"openai": "second"}
    for secret in (fresh, world.service):
        assert client.get("/todos", token=secret).status_code == 200, "both secrets are good while they overlap"

    world.change({"tokens": {"chatgpt": {"secrets": [{"sha256": sha256(fresh)}]}}})
    last = eventually(lambda: (got := client.get("/todos", token=world.service)).status_code == 401 and got)
    refusal(last, 401, "invalid_token")
    assert client.get("/todos", token=fresh).status_code == 200
    assert connection(first) == connection(second) == connection(last), "the connection was dropped"


def test_r17_nothing_redirects(world, http2):
    world.start()
    for tls in (True, False):
        client = world.session(http2=http2, tls=tls, token=world.service)
        for path in (MANIFEST, *DOCUMENTS, "/legal", "/logo.png", "/todos", "/todos/", "/openapi.json/", "/.well-known", "/"):
            got = client.get(path)
            assert got.status_code in (200, 404), (path, got.status_code)
            assert "location" not in got.headers


def test_r18_documents_are_revalidated(world, http2):
    world.start()
    client = world.session(http2=http2)
    before = {}
    for path in (MANIFEST, *DOCUMENTS, "/logo.png", "/legal"):
        got = client.get(path)
        assert got.headers["cache-control"] == "no-cache", path
        before[path] = got.headers["etag"]
        same = client.get(path, headers={"If-None-Match": f'"other", {got.headers["etag"]}'})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", got.headers["etag"])
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    world.change({"plugins": {"todo": {"instructions": "Changed."}}})
    changed = eventually(lambda: (got := client.get(MANIFEST, headers={"If-None-Match": before[MANIFEST]})).status_code == 200 and got)
    assert changed.headers["etag"] != before[MANIFEST]


def test_r19_the_assistants_headers_go_on_and_hop_by_hop_ones_do_not(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    passed = {
        "openai-conversation-id": "c0ffee", "openai-ephemeral-user-id": "u1", "openai-gpt-id": "g-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "dd=s:1",
        "x-datadog-trace-id": "1", "accept-language": "de",
    }
    hop = {} if http2 else {"Connection": "keep-alive, X-Secret-Hop", "Keep-Alive": "timeout=5", "X-Secret-Hop": "1", "Proxy-Connection": "x"}
    got = client.get("/todos", headers=passed | hop | {"X-Forwarded-For": "6.6.6.6", "Proxy-Authorization": "Basic eDp5"})
    assert got.status_code == 200
    seen = world.upstream.last
    for name, value in passed.items():
        assert seen.get(name) == value
    assert seen.all("x-secret-hop") == []
    assert seen.get("x-forwarded-for") == "127.0.0.1"
    assert seen.get("x-forwarded-proto") == "https"
    assert seen.get("x-forwarded-host") == client.authority
    assert seen.get("x-request-id") == got.headers["x-request-id"]


def test_r20_it_starts_without_its_upstream_and_heals(world, http2):
    world.upstream.stop()
    world.start()
    client = world.session(http2=http2)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    refusal(client.get("/todos", token=world.service), 503, "document_unavailable")
    world.upstream.start()
    eventually(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/todos", token=world.service).status_code == 200
    assert client.get("/healthz", headers={"Host": "anything.example"}).status_code == 200
    assert not {"/healthz", "/readyz"} & set(client.get("/openapi.json").json()["paths"])
