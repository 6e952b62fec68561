"""Requests that would be another operation at the upstream than the one that was let in."""

from __future__ import annotations

import pytest

from behind import free_port
from clients import refusal
from materials import ID, document, operation
from plugway import run
from upstreams import Reply


def ask(world, request: str, *fields: str) -> tuple[int, dict[str, str]]:
    wire = world.wire()
    lines = "".join(f"{field}\r\n" for field in fields)
    wire.send(f"{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n{lines}\r\n")
    answer = wire.head()
    wire.close()
    return answer


def test_names_with_underscores(world):
    """gunicorn takes SCRIPT_NAME and PATH_INFO from a proxy on the same host, Daphne its root path."""
    fields = ("SCRIPT_NAME: /internal", "PATH_INFO: /internal/reset", "Script-Name: /internal", "X-Script-Name: /internal",
              "Daphne-Root-Path: /internal", "X_Custom: 1", "X-Custom: 2")
    world.start()
    assert ask(world, "GET /todos", *fields)[0] == 200
    seen = world.upstream.last
    assert seen.get("x-custom") == "2" and "internal" not in seen.raw_head.decode() and not seen.all("x_custom")
    world.gateway.stop()
    world.weaker({"headers": {"underscores": "pass"}})
    assert ask(world, "GET /todos", *fields)[0] == 200
    seen = world.upstream.last
    assert seen.get("x_custom") == "1" and "internal" not in seen.raw_head.decode()


def users() -> dict:
    return document(paths={
        "/users/{id}": {"parameters": [ID], "get": operation("user"), "put": operation("putUser")},
        "/users/export": {"get": operation("export", ["internal"])},
    })


def test_case_and_endings(world, new_upstream):
    url = new_upstream(users()).url
    world.plugin({"upstream": {"url": url}, "openapi": {"exclude": ["export"]}})
    client = world.session(token=world.service)
    for path in ("EXPORT", "Export", "%45XPORT", "export.json", "EXPORT;x"):
        refusal(client.get(f"/users/{path}"), 400, "ambiguous_path")
    for path in ("7", "exports", "me.json"):
        assert client.get(f"/users/{path}").status_code == 200, path
    assert client.request("PUT", "/users/EXPORT").status_code == 200
    client.close()
    world.gateway.stop()
    world.weaker({"upstream": {"url": url}, "openapi": {"exclude": ["export"], "similar_paths": "forward"}})
    assert world.session(token=world.service).get("/users/EXPORT").status_code == 200


def exports(path: str, sibling: str) -> dict:
    return document(paths={
        sibling: {"parameters": [ID], "get": operation("user"), "put": operation("putUser")},
        path: {"get": operation("export", ["internal"])},
    })


ENDS = [("/users/export/", "/users/{id}", ("export",)), ("/users/export", "/users/{id}/", ("export/", "EXPORT/")),
        ("/users/export", "/users/{id}", ("export%20", "export%2e", "export.", "EXPORT.%20.", "export%20;x"))]


@pytest.mark.parametrize("path, sibling, spellings", ENDS)
def test_the_end_of_a_path(world, new_upstream, path, sibling, spellings):
    """Express and Rails do not look at the last slash, what is behind Windows' file names not at dots and spaces."""
    upstream = new_upstream(exports(path, sibling))
    end = sibling.removeprefix("/users/{id}")
    world.plugin({"upstream": {"url": upstream.url}, "openapi": {"exclude": ["export"]}})
    client = world.session(token=world.service)
    for spelling in spellings:
        refusal(client.get(f"/users/{spelling}"), 400, "ambiguous_path")
    assert upstream.requests == [] or all(seen.target == "/openapi.json" for seen in upstream.requests)
    for id in ("7", "exports", "me.json", "a%20b", "x."):
        assert client.get(f"/users/{id}{end}").status_code == 200, id
    assert client.request("PUT", f"/users/export{end}").status_code == 200
    client.close()
    world.gateway.stop()
    world.weaker({"upstream": {"url": upstream.url}, "openapi": {"exclude": ["export"], "similar_paths": "forward"}})
    assert world.session(token=world.service).get(f"/users/{spellings[0]}").status_code == 200


@pytest.mark.parametrize("path, sibling, spellings", ENDS)
def test_the_end_of_a_path_where_scopes_decide(world, new_upstream, path, sibling, spellings):
    """Who may do both may ask for what could be either."""
    url = new_upstream(exports(path, sibling)).url
    world.start({
        "plugins": {"todo": {"upstream": {"url": url}, "auth": {"require": "any"}}},
        "tokens": {"alice": {"scopes": ["user"]}},
    })
    client = world.session()
    for spelling in spellings:
        refusal(client.get(f"/users/{spelling}", token=world.user), 400, "ambiguous_path")
        if not spelling.startswith("EXPORT"):
            refusal(client.get(f"/users/{spelling}"), 401, "missing_token")
            assert client.get(f"/users/{spelling}", token=world.service).status_code == 200, spelling


def files() -> dict:
    return document(paths={
        "/files/{id}": {"parameters": [ID], "get": operation("getFile")},
        "/files/{id}/acl": {"parameters": [ID], "get": operation("getAcl", ["internal"])},
        "/files/{id}/tags": {"parameters": [ID], "get": operation("getTags"), "put": operation("putTags")},
        "/reset": {"get": operation("reset", ["internal"])},
    })


def test_an_encoded_slash_that_the_upstream_decodes(world, new_upstream):
    """nginx, Caddy and WSGI do."""
    url = new_upstream(files()).url
    plugin = {"upstream": {"url": url}, "openapi": {"exclude": ["tag:internal"], "encoded_slash": ["getFile"]}, "auth": {"require": "any"}}
    world.start({"plugins": {"todo": plugin}, "tokens": {"alice": {"scopes": ["getFile"]}}})
    client = world.session()
    for path in ("1%2Facl", "1%2facl", "1%2FACL", "1%2F%2Facl", "1%2Facl%2F", "1%2Facl.", "%61%2F%61cl", "1%2Facl%20", "1%5Cacl", "1%5cacl"):
        for secret in (world.service, world.user):
            refusal(client.get(f"/files/{path}", token=secret), 400, "ambiguous_path")
    for path in ("1%2Fx", "1%2Facl%2Fx", "acl%2F1", "1%2Facls"):
        for secret in (world.service, world.user):
            assert client.get(f"/files/{path}", token=secret).status_code == 200, path
    refusal(client.get("/files/1%2Ftags", token=world.user), 400, "ambiguous_path")
    assert client.get("/files/1%2Ftags", token=world.service).status_code == 200


def test_explain_tells_what_it_may_be(world, new_upstream):
    paths = files()["paths"] | exports("/users/export/", "/users/{id}")["paths"] | {
        "/users/all/": {"get": operation("all")}, "/users/none": {"get": operation("none")}}
    url = new_upstream(document(paths=paths)).url
    plugin = {"upstream": {"url": url}, "openapi": {"exclude": ["tag:internal"], "encoded_slash": ["getFile"]}, "auth": {"require": "any"}}
    world.start({"plugins": {"todo": plugin}, "tokens": {"alice": {"scopes": ["getFile", "user"]}}})

    def explain(request: str, *more: str):
        return run("explain", request, "--config", "plugway.toml", *more, cwd=world.folder)

    for path, other in (("/users/export", "`export` (GET /users/export/)"), ("/files/1%2Facl", "`getAcl` (GET /files/{id}/acl)")):
        got = explain(f"GET {path}", "--json")
        assert (got.code, got.json["allowed"], got.json["code"]) == (1, False, "ambiguous_path"), got
        assert other in got.json["reason"] and "not published" in got.json["reason"]
        assert other in explain(f"GET {path}").out
    for path, other in (("/users/all", "`all` (GET /users/all/)"), ("/files/1%2Ftags", "`getTags` (GET /files/{id}/tags)")):
        got = explain(f"GET {path}", "--token", "alice", "--json")
        assert (got.code, got.json["allowed"], got.json["code"]) == (1, False, "ambiguous_path"), got
        assert other in got.json["reason"] and [caller["id"] for caller in got.json["callers"]] == ["chatgpt"]
        assert other in explain(f"GET {path}", "--token", "alice").out
        assert explain(f"GET {path}", "--token", "chatgpt", "--json").json["allowed"] is True
        assert other in explain(f"GET {path}").out
    assert explain("GET /users/7", "--token", "alice", "--json").json["allowed"] is True
    got = explain("GET /users/NONE", "--json")
    assert got.json["code"] == "ambiguous_path" and "`none` (GET /users/none)" in got.json["reason"]


@pytest.mark.parametrize("name", ["Content-Type", "content-encoding", "Authorization", "Cookie", "X-Api-Version"])
def test_connection_takes_nothing_away_that_was_judged(world, name):
    parameters = [{"name": "X-Api-Version", "in": "header", "schema": {"type": "string"}}]
    world.upstream.document = document(paths={"/todos": {"get": operation("listTodos", parameters=parameters)}})
    world.plugin({"operations": {"listTodos": {"fixed": {"X-Api-Version": "2"}}}})
    assert ask(world, "GET /todos", "Connection: keep-alive, x-mine", "X-Mine: 1")[0] == 200
    assert ask(world, "GET /todos", f"Connection: close, {name}")[0] == 400
    assert len(world.upstream.requests) == 1


def test_the_method_of_a_query(world):
    world.start()
    for query in ("_method=DELETE", "a=1&_METHOD=put", "%5fmethod=DELETE", "_method[]=x"):
        assert ask(world, f"GET /todos/7?{query}")[0] == 404, query
    assert ask(world, "GET /todos/7?method=DELETE&x=_method")[0] == 200
    assert len(world.upstream.requests) == 1


def test_a_header_that_tells_operations_apart(world, new_upstream):
    def target(value: str) -> list[dict]:
        return [{"name": "X-Amz-Target", "in": "header", "required": True, "schema": {"type": "string", "enum": [value]}}]

    upstream = new_upstream(document(paths={
        f"/#X-Amz-Target=Svc.{name}": {"post": operation(name, parameters=target(f"Svc.{name}"))} for name in ("List", "Drop")
    }))
    upstream.on("POST", "/", Reply(body=b"done"))
    world.plugin({"upstream": {"url": upstream.url}, "openapi": {"exclude": ["Drop"]}})
    empty = "Content-Length: 0"
    assert ask(world, "POST /", empty, "X-Amz-Target: Svc.List")[0] == 200
    assert ask(world, "POST /", empty, "X-Amz-Target: Svc.Drop")[0] == 404
    assert ask(world, "POST /", empty)[0] == 404


def test_an_address_with_a_tab(world):
    """Browsers skip it, so that what is left behind a prefix would be the address of another host."""
    world.upstream.on("GET", "/v1/todos", Reply(302, [("Location", "/v1/\t/evil.example"), ("X-Other", "1")], b""))
    world.plugin({"upstream": {"url": f"{world.upstream.url}/v1"}, "openapi": {"source": f"{world.upstream.url}/openapi.json"}})
    status, fields = ask(world, "GET /todos")
    assert status == 302 and "location" not in fields and fields["x-other"] == "1"


def manifest(world, *fields: str, host: str = "todo.test") -> str:
    """The URL in it."""
    got = world.session(tls=False, host=host).get("/.well-known/ai-plugin.json", headers=[tuple(f.split(": ")) for f in fields])
    return got.json()["api"]["url"]


def test_a_port_that_nobody_has(world):
    world.start({"trusted_proxies": ["127.0.0.0/8"], "plugins": {"todo": {"hosts": ["todo.test"]}}})
    port = world.gateway.address("http")[1]
    for told, expected in (("todo.test:6666", "todo.test"), ("todo.test", "todo.test"), (f"todo.test:{port}", f"todo.test:{port}")):
        url = manifest(world, "X-Forwarded-Proto: http", f"X-Forwarded-Host: {told}", "X-Forwarded-For: 203.0.113.9")
        assert url == f"http://{expected}/openapi-3.0.json"
    world.gateway.stop()
    other = free_port()
    world.start({"trusted_proxies": ["127.0.0.0/8"], "plugins": {"todo": {"hosts": ["todo.test"], "public_url": f"https://shown.test:{other}"}}})
    for told, expected in ((f"todo.test:{other}", f"todo.test:{other}"), ("todo.test:6666", "todo.test")):
        url = manifest(world, "X-Forwarded-Proto: https", f"X-Forwarded-Host: {told}", "X-Forwarded-For: 203.0.113.9")
        assert url == f"https://{expected}/openapi-3.0.json"


# --- a gateway in front of itself ---


def test_an_upstream_that_is_the_gateway_itself(world):
    port = free_port()
    for listen, url in ((f"127.0.0.1:{port}", f"http://localhost:{port}"), (f"0.0.0.0:{port}", f"http://127.0.0.1:{port}/v1"),
                        (f"[::]:{port}", f"http://[::1]:{port}")):
        ran = run("serve", "--upstream", url, "--require", "service", "--openapi", "/openapi.json", "--http", listen, cwd=world.folder)
        assert ran.code == 2 and "is the gateway itself" in ran.err, ran
        (world.folder / "itself.toml").write_text(
            f'listen.http = "{listen}"\n[plugins.todo]\nupstream.url = "{url}"\nopenapi.source = "openapi.json"\nauth.require = "none"\n')
        (world.folder / "openapi.json").write_text('{"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": {}}')
        for command in ("check", "serve"):
            ran = run(command, "--config", "itself.toml", cwd=world.folder)
            assert ran.code == 4 and "is the gateway itself" in ran.out + ran.err, ran
    (world.folder / "itself.toml").write_text(
        f'listen.http = "127.0.0.1:{port}"\n[plugins.todo]\nupstream.url = "unix:state/admin.sock"\nopenapi.source = "openapi.json"\nauth.require = "none"\n')
    ran = run("check", "--config", "itself.toml", cwd=world.folder)
    assert ran.code == 4 and "is the gateway itself" in ran.out + ran.err, ran


def test_a_circle_through_another(world):
    """Two gateways, each in front of the other, under names that tell nothing."""
    world.start()
    assert ask(world, "GET /todos", "X-Plugway-Hops: 4")[0] == 200
    assert world.upstream.last.all("x-plugway-hops") == ["5"]
    assert ask(world, "GET /todos", "X-Plugway-Hops: 5")[0] == 508
    assert ask(world, "GET /todos", "X-Plugway-Hops: forged")[0] == 200
    assert world.upstream.last.all("x-plugway-hops") == ["1"]


def test_a_semicolon_may_begin_the_query(world, new_upstream):
    """To Fastify, up to its version 4."""
    shown = {"name": "fields", "in": "query", "schema": {"type": "string"}}
    tenant = {"name": "tenant", "in": "query", "schema": {"type": "string"}}
    upstream = new_upstream(document(paths={
        "/users/{id}": {"parameters": [ID], "get": operation("user")},
        "/users/{id}/posts": {"parameters": [ID], "get": operation("posts")},
        "/things/{id}": {"parameters": [ID, tenant], "get": operation("thing")},
        "/parts/{id}": {"parameters": [ID, shown], "get": operation("part")},
    }))
    world.start({
        "plugins": {"todo": {"upstream": {"url": upstream.url}, "auth": {"require": "any"},
                             "operations": {"thing": {"fixed": {"tenant": "public"}}}}},
        "tokens": {"alice": {"scopes": ["posts"]}},
    })
    client = world.session()
    upstream.forget()
    refusal(client.get("/users/7;x/posts", token=world.user), 400, "ambiguous_path")
    refusal(client.get("/users/7;x/y/z", token=world.service), 400, "ambiguous_path")
    for path in ("/things/7;tenant=private&z=", "/things/7;x", "/parts/7;_method=DELETE&z="):
        refusal(client.get(path, token=world.service), 404, "no_route")
    assert upstream.requests == []
    assert client.get("/users/7/posts", token=world.user).status_code == 200
    for path in ("/users/7;x/posts", "/users/7;x", "/parts/7;x", "/parts/7?fields=a;b", "/things/7%3Bx"):
        assert client.get(path, token=world.service).status_code == 200, path
