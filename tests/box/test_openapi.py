"""Documents of every kind, from the outside: where they come from, what is made of them, and that
what is published is just what can be called."""

from __future__ import annotations

import json
import select

import pytest

from clients import refusal
from materials import ID, document, operation
from plugway import eventually, replace, run, write
from upstreams import Reply


def operations(client) -> dict[str, tuple[str, str]]:
    """By operationId: method and path."""
    published = client.get("/openapi.json").json()
    return {
        entry["operationId"]: (method.upper(), path)
        for path, item in published["paths"].items() for method, entry in item.items()
    }


def from_file(world, made: dict | str, changes: dict | None = None, **openapi: object):
    """A gateway whose document is a file."""
    text = made if isinstance(made, str) else json.dumps(made)
    replace(world.folder / "api.yaml", text)
    world.plugin({"openapi": {"source": "file:api.yaml", **openapi}, **(changes or {})})
    return world.session(token=world.service)


# --- versions and files ---


def test_swagger_2_is_read_and_called(world):
    client = from_file(world, """
swagger: "2.0"
info: {title: Old, version: "1"}
basePath: /v1/
paths:
  /pets:
    post:
      operationId: addPet
      parameters:
        - {name: pet, in: body, required: true, schema: {$ref: "#/definitions/Pet"}}
      responses: {200: {description: ok, schema: {$ref: "#/definitions/Pet"}}}
    get:
      operationId: listPets
      parameters: [{name: ids, in: query, type: array, items: {type: string}, collectionFormat: multi}]
      responses: {200: {description: ok}}
definitions:
  Pet: {type: object, required: [name], properties: {name: {type: string}, age: {type: integer, x-nullable: true}}}
""")
    assert operations(client) == {"addPet": ("POST", "/pets"), "listPets": ("GET", "/pets")}
    published = client.get("/openapi.json").json()
    body = published["paths"]["/pets"]["post"]["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"]["required"] == ["name"]
    listed = published["paths"]["/pets"]["get"]["parameters"][0]
    assert (listed["name"], listed.get("explode", True), listed["schema"]["type"]) == ("ids", True, "array")
    assert client.post("/pets", json={"name": "x"}).status_code == 200
    assert (world.upstream.last.method, world.upstream.last.target) == ("POST", "/v1/pets")


def test_openapi_3_2_says_what_it_can_not_publish(world):
    client = from_file(world, """
openapi: 3.2.0
info: {title: New, version: "1"}
paths:
  /things:
    query: {operationId: queryThings, responses: {"200": {description: ok}}}
    get: {operationId: listThings, responses: {"200": {description: ok}}}
    additionalOperations:
      COPY: {operationId: copyThings, responses: {"200": {description: ok}}}
""")
    assert operations(client) == {"listThings": ("GET", "/things")}
    report = world.gateway.status()["plugins"][0]["report"]
    skipped = {entry["pointer"]: entry["line"] for entry in report if entry["action"] == "skipped"}
    assert skipped == {"#/paths/~1things/query": 6, "#/paths/~1things/additionalOperations/COPY": 9}
    refusal(client.request("QUERY", "/things"), 405, "method_not_allowed")


def test_several_files_are_watched_together(world):
    write = lambda name, text: replace(world.folder / name, text)  # noqa: E731
    write("api/paths/pets.yaml", "get: {operationId: listPets, responses: {'200': {description: ok, content: "
                                 "{application/json: {schema: {$ref: '../schemas/Pet.yaml'}}}}}}")
    write("api/schemas/Pet.yaml", "type: object\nproperties: {name: {type: string}}\n")
    write("api/root.yaml", "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {/pets: {$ref: paths/pets.yaml}}\n")
    world.plugin({"openapi": {"source": "api/root.yaml"}})
    client = world.session(token=world.service)

    def properties() -> set[str]:
        published = client.get("/openapi.json").json()
        schema = published["paths"]["/pets"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        if "$ref" in schema:
            schema = published["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return set(schema["properties"])

    assert properties() == {"name"}
    write("api/schemas/Pet.yaml", "type: object\nproperties: {name: {type: string}, age: {type: integer}}\n")
    eventually(lambda: properties() == {"name", "age"})
    files = world.gateway.status()["files"]
    assert any(file.endswith("api/schemas/Pet.yaml") for file in files)

    # A part that is broken, or gone, changes nothing.
    before, generation = client.get("/openapi.json").text, world.gateway.generation()
    write("api/schemas/Pet.yaml", "type: [object\n")
    refused = world.gateway.await_refusal()
    assert "Pet.yaml" in json.dumps(refused) and "line" in json.dumps(refused), refused
    write("api/schemas/Pet.yaml", "type: object\n")
    eventually(lambda: world.gateway.generation() > generation)
    generation = world.gateway.generation()
    (world.folder / "api/schemas/Pet.yaml").unlink()
    refused = eventually(lambda: world.gateway.status()["pending_rejected"])
    assert "Pet.yaml" in json.dumps(refused) and "is not there any more" in json.dumps(refused), refused
    assert world.gateway.reload().code == 4
    assert world.gateway.generation() == generation
    write("api/schemas/Pet.yaml", "type: object\nproperties: {name: {type: string}, age: {type: integer}}\n")
    eventually(lambda: client.get("/openapi.json").text == before)
    # What nothing refers to may go.
    write("api/root.yaml", "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {/pets: {get: {operationId: pets, "
                           "responses: {'200': {description: ok}}}}}\n")
    (world.folder / "api/schemas/Pet.yaml").unlink()
    eventually(lambda: operations(client) == {"pets": ("GET", "/pets")})
    assert world.gateway.status()["pending_rejected"] is None


def test_a_document_that_changes_does_not_bring_back_what_is_excluded(world):
    replace(world.folder / "api.yaml", json.dumps(document()))
    world.plugin({"openapi": {"source": "file:api.yaml", "exclude": ["listTodos"]}})
    client = world.session(token=world.service)
    assert "listTodos" not in operations(client)
    before = client.get("/openapi.json").text
    # The operation is called by another name now: the selector hides nothing any more.
    replace(world.folder / "api.yaml", json.dumps(document()).replace("listTodos", "allTodos"))
    refused = world.gateway.await_refusal()
    assert "listTodos" in json.dumps(refused), refused
    assert client.get("/openapi.json").text == before
    assert client.get("/todos").status_code == 405
    world.change({"plugins": {"todo": {"openapi": {"exclude": ["allTodos"]}}}})
    eventually(lambda: world.gateway.status()["pending_rejected"] is None)
    assert "allTodos" not in operations(client) and client.get("/todos").status_code == 405


@pytest.mark.parametrize("place", ["/etc/passwd", "file:///etc/hostname", "../../../../../../etc/passwd", "state/x.yaml", "certs/server.key", ".hidden.yaml"])
def test_a_document_can_not_publish_files_of_the_machine(world, place):
    replace(world.folder / "state/x.yaml", "value: private\n")
    replace(world.folder / ".hidden.yaml", "value: private\n")
    made = document()
    made["paths"] = {"/a": {"get": operation("a") | {"responses": {"200": {
        "description": "ok", "content": {"application/json": {
            "schema": {"$ref": place}, "examples": {"one": {"$ref": place}}}}}}}}}
    client = from_file(world, made)
    text = client.get("/openapi.yaml").text
    assert "private" not in text and "root:" not in text and "BEGIN" not in text
    messages = [entry["message"] for entry in world.gateway.status()["plugins"][0]["report"]]
    assert any("refers to files of its own folder" in message or "leads nowhere" in message for message in messages), messages


def test_references_to_the_network_are_fetched_from_named_hosts_only(world, new_upstream):
    other = new_upstream(None)
    other.on("GET", "/Pet.json", Reply(json={"type": "object", "properties": {"from_afar": {"type": "string"}}}))
    made = document()
    made["paths"] = {"/a": {"get": operation("a") | {"responses": {"200": {"description": "ok", "content": {
        "application/json": {"schema": {"$ref": f"{other.url}/Pet.json"}}}}}}}}
    client = from_file(world, made)
    assert "from_afar" not in client.get("/openapi.json").text
    assert other.requests == []
    world.change({"plugins": {"todo": {"openapi": {"reference_hosts": ["127.0.0.1"]}}}})
    assert world.gateway.reload().code == 0
    assert "from_afar" in client.get("/openapi.json").text
    assert other.last.target == "/Pet.json"
    assert not other.last.all("authorization")


# --- the upstream's copy ---


def test_the_upstreams_copy_is_asked_for_by_etag(world):
    seen: list[str | None] = []
    made = [document()]

    def answer(request):
        seen.append(request.get("if-none-match"))
        tag = f'"{len(made)}"'
        if request.get("if-none-match") == tag:
            return Reply(304, [("ETag", tag)])
        return Reply(200, [("ETag", tag)], json.dumps(made[-1]).encode())

    world.upstream.on("GET", "/openapi.json", answer)
    world.plugin({"openapi": {"refresh": "1s"}})
    client = world.session(token=world.service)
    assert "listTodos" in operations(client)
    eventually(lambda: seen.count('"1"') >= 2)
    generation = world.gateway.generation()
    assert generation == 1, "a copy that is as it was makes no generation"
    made.append(document(paths={"/fresh": {"get": operation("fresh")}}))
    eventually(lambda: set(operations(client)) == {"fresh"})


def test_the_upstreams_copy_is_asked_for_by_its_date(world):
    seen: list[str | None] = []
    date = "Wed, 21 Oct 2015 07:28:00 GMT"

    def answer(request):
        seen.append(request.get("if-modified-since"))
        if seen[-1] == date:
            return Reply(304)
        return Reply(200, [("Last-Modified", date)], json.dumps(document()).encode())

    world.upstream.on("GET", "/openapi.json", answer)
    world.plugin({"openapi": {"refresh": "1s"}})
    client = world.session(token=world.service)
    eventually(lambda: seen.count(date) >= 2)
    assert "listTodos" in operations(client) and world.gateway.generation() == 1


@pytest.mark.parametrize(("reply", "told"), [
    (Reply(304), "304"),
    (Reply(200, [("Content-Encoding", "gzip")], b"\x1f\x8b\x08\x00"), "gzip"),
    (Reply(200, [("Content-Type", "text/html")], b"<!doctype html><p>Sign in"), "HTML"),
], ids=["304 unasked", "gzip", "a page"])
def test_an_upstream_that_does_not_give_a_document(world, reply, told):
    world.upstream.on("GET", "/openapi.json", reply)
    world.plugin({})
    client = world.session(token=world.service)
    refusal(client.get("/todos"), 503, "document_unavailable")
    assert told in world.gateway.status()["plugins"][0]["document"]["error"]


def test_an_operation_id_that_stands_twice_is_no_name_of_one(world):
    """A scope of that name would open the one that nobody thought of."""
    made = document()
    made["paths"]["/todos"]["post"]["operationId"] = "listTodos"
    (world.folder / "twice.json").write_text(json.dumps(made))
    world.start({
        "plugins": {"todo": {"openapi": {"source": "twice.json", "include": ["listTodos"]}}},
        "tokens": {"chatgpt": {"scopes": ["listTodos"]}, "alice": {"scopes": ["*"]}},
    })
    status = world.gateway.command("status", "--json").json
    both = "is the operationId of 2 operations: "
    told = [one["message"] for one in status["warnings"] if both in one["message"]]
    assert len(told) == 2 and all("(GET /todos)" in one and "(POST /todos)" in one for one in told), status["warnings"]
    create = ["token", "create", "--level", "service", "--plugin", "todo", "--name", "x", "--scope"]
    refused = world.gateway.command(*create, "listTodos")
    assert refused.code == 2 and both in refused.err + refused.out, refused
    one = next(name for name in told[0].replace(",", " ").split() if name.startswith("listTodos_"))
    secret = world.gateway.command(*create, one).out.split()[0]
    world.gateway.secrets.add(secret)
    client = world.session(token=secret)
    assert sorted([client.get("/todos").status_code, client.post("/todos", json={}).status_code]) == [200, 403]


def test_a_document_that_turns_bad_is_told(world):
    """What serves is the last good copy: whoever asks hears of it, and so does the log, once."""
    world.plugin({"openapi": {"refresh": "1s"}})
    world.upstream.on("GET", "/openapi.json", Reply(200, [("Content-Type", "text/html")], b"<!doctype html><p>Sign in"))
    eventually(lambda: world.gateway.status()["plugins"][0]["document"]["state"] == "last good copy")
    said = world.gateway.command("reload")
    assert said.code == 0 and "the OpenAPI document of `todo` can not be renewed, its last good copy serves: " in said.err, said
    assert "HTML" in world.gateway.reload().json["last_good_copies"]["todo"]
    assert world.gateway.stderr.count("the last good copy goes on") == 1, world.gateway.stderr
    world.upstream.on("GET", "/openapi.json", Reply(body=json.dumps(document()).encode()))
    eventually(lambda: "as it should be again" in world.gateway.stderr)
    assert "last_good_copies" not in world.gateway.reload().json


# --- what is published can be called, and nothing else ---


def test_overrides(world):
    long = "A sentence that says something. " * 30
    made = document()
    made["paths"]["/todos"]["get"]["description"] = long
    client = from_file(world, made, {"operations": {
        "listTodos": {"id": "todos", "summary": "Lists them", "consequential": True},
        "DELETE /todos/{id}": {"description": "Removes one.", "consequential": False},
    }})
    published = client.get("/openapi.json").json()
    listed = published["paths"]["/todos"]["get"]
    assert (listed["operationId"], listed["summary"], listed["x-openai-isConsequential"]) == ("todos", "Lists them", True)
    assert len(listed["description"]) <= 300 and listed["description"].endswith("something.")
    old = client.get("/openapi-3.0.json").json()
    assert len(old["paths"]["/todos"]["get"]["description"]) <= 200
    removed = published["paths"]["/todos/{id}"]["delete"]
    assert (removed["description"], removed["x-openai-isConsequential"]) == ("Removes one.", False)
    assert client.get("/todos").status_code == 200
    report = [entry for entry in world.gateway.status()["plugins"][0]["report"] if "is cut to" in entry["message"]]
    assert len(report) == 1 and "300 in the 3.1 document and 200 in the 3.0 document" in report[0]["message"]
    world.change({"plugins": {"todo": {"openapi": {"cut": "none"}}}})
    assert world.gateway.reload().code == 0
    assert client.get("/openapi.json").json()["paths"]["/todos"]["get"]["description"].strip() == long.strip()


@pytest.mark.parametrize(("openapi", "operations", "meant"), [
    ({"exclude": ["listTodo"]}, {}, "did you mean `listTodos`?"),
    ({"include": ["tag:todo"]}, {}, "did you mean `tag:todos`?"),
    ({"exclude": ["PUT /todos"]}, {}, "/todos`?"),
    ({"exclude": ["GET /todo"]}, {}, "did you mean `GET /todos`?"),
    ({}, {"listTods": {"summary": "All of them."}}, "did you mean `listTodos`?"),
    ({"exclude": ["nothing like it"]}, {}, "as the document has it"),
])
def test_a_selector_that_names_nothing_is_told_what_may_have_been_meant(world, openapi, operations, meant):
    made = document(paths={"/todos": {"get": operation("listTodos") | {"tags": ["todos"]}}})
    replace(world.folder / "api.yaml", json.dumps(made))
    write(world.folder, world.base({"plugins": {"todo": {"openapi": {"source": "file:api.yaml", **openapi}, "operations": operations}}}))
    ran = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert ran.code == 4 and meant in ran.out + ran.err, ran


def test_an_override_that_is_not_understood_is_refused_where_it_stands(world):
    world.config = world.base({"plugins": {"todo": {"openapi": {"source": "file:api.yaml"}, "operations": {
        "lstTodos": {"summary": "x"}, "addTodo": {"id": "getTodo"}, "putTodo": {"fixed": {"id": ".."}}}}}})
    replace(world.folder / "api.yaml", json.dumps(document()))
    write(world.folder, world.config)
    ran = run("check", "--config", "plugway.toml", "--json", cwd=world.folder)
    assert ran.code == 4
    messages = " ".join(problem["message"] for problem in ran.json["problems"])
    assert "`lstTodos` is no operation of the document" in messages
    assert "another operation is called `getTodo`" in messages
    assert "can not be a segment of a path" in messages


def test_hidden_parameters(world, http2):
    query = [{"name": "format", "in": "query", "required": True, "schema": {"type": "string"}},
             {"name": "q", "in": "query", "schema": {"type": "string"}},
             {"name": "X-Tenant", "in": "header", "schema": {"type": "string"}}]
    made = document()
    made["paths"]["/search"]["get"]["parameters"] = query
    made["paths"]["/t/{tenant}/todos/{id}"] = {"get": operation("tenantTodo", parameters=[ID, ID | {"name": "tenant"}])}
    made["paths"]["/files"]["post"]["parameters"] = [{"name": "action", "in": "query", "schema": {"type": "string"}}]
    from_file(world, made, {"operations": {
        "search": {"fixed": {"format": "json & more", "X-Tenant": "acme"}},
        "tenantTodo": {"fixed": {"tenant": "a/b"}},
        "upload": {"fixed": {"action": "put"}},
    }})
    client = world.session(http2=http2, token=world.service)
    published = client.get("/openapi.json").json()
    assert [entry["name"] for entry in published["paths"]["/search"]["get"]["parameters"]] == ["q"]
    assert client.get("/search?q=x").status_code == 200
    assert world.upstream.last.target == "/search?format=json%20%26%20more&q=x"
    assert world.upstream.last.get("x-tenant") == "acme"
    assert client.get("/search").status_code == 200
    assert world.upstream.last.target == "/search?format=json%20%26%20more"
    assert client.get("/search?format=json+%26+more").status_code == 200
    assert world.upstream.last.target == "/search?format=json+%26+more"
    assert client.get("/search", headers={"X-Tenant": "acme"}).status_code == 200
    for target in ("/search?format=xml", "/search?format=json+%26+more&format=xml", "/search?FORMAT=xml", "/search?format[]=x"):
        refusal(client.get(target), 404, "no_route")
    refusal(client.get("/search", headers={"X-Tenant": "other"}), 404, "no_route")
    path = "/t/a%2Fb/todos/{id}"
    assert path not in published["paths"] or client.get(path.replace("{id}", "1")).status_code in (200, 400)
    refusal(client.get("/t/other/todos/1"), 404, "no_route")


@pytest.mark.parametrize(("media_type", "body", "status"), [
    ("application/x-www-form-urlencoded", b"a=1", 200),
    ("application/x-www-form-urlencoded", b"a=1&action=get", 404),
    ("Application/X-WWW-Form-Urlencoded; charset=utf-8", b"a=1&Action[]=get", 404),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', 200),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="action"\r\n\r\nget\r\n--x--\r\n', 404),
    ("application/json", b'{"action": "get"}', 200),
])
def test_a_form_can_not_give_a_fixed_parameter_again(world, http2, media_type, body, status):
    made = document()
    made["paths"] = {"/index.php?action=put": {"post": operation("put")}, "/index.php?action=get": {"post": operation("get")}}
    from_file(world, made)
    client = world.session(http2=http2, token=world.service)
    got = client.post("/index.php?action=put", content=body, headers={"Content-Type": media_type})
    if status == 200:
        assert got.status_code == 200
        assert world.upstream.last.read_body() == body
    else:
        refusal(got, 404, "no_route")
        assert world.upstream.requests == []
    got = client.post("/index.php?action=put", content=body, headers={"Content-Type": media_type, "Content-Encoding": "gzip"})
    assert got.status_code == (200 if media_type == "application/json" else 404)


def test_forms_that_are_looked_at_have_bounded_memory_together(world, http2):
    fixed = {"name": "format", "in": "query", "required": True, "schema": {"type": "string"}}
    content = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
    made = document(paths={"/a": {"post": operation("a") | {"parameters": [fixed], "requestBody": {"content": content}}}})
    client = from_file(world, made, {"operations": {"a": {"fixed": {"format": "json"}}}})
    kept, token = [], f"Authorization: Bearer {world.service}\r\n"
    size, head = 8 << 20, "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    for _ in range(9):
        wire = world.wire()
        wire.send(f"{head}{token}Content-Length: {size}\r\n\r\n", b"x" * (size - 1))
        kept.append(wire)
        if len(kept) < 9:
            # Else the ninth may have of the last room what the eighth still needs.
            eventually(wire.is_taken)
    # Eight of them fill what there is for all: the ninth is told to come back.
    answered = eventually(lambda: [wire for wire in kept if select.select([wire.sock], [], [], 0)[0]])
    assert answered == kept[8:], len(answered)
    status, headers = answered[0].head()
    assert status == 503 and headers["retry-after"] == "1"
    for wire in kept:
        wire.close()
    body = {"headers": {"content-type": "application/x-www-form-urlencoded"}, "content": b"x" * 1000}
    eventually(lambda: client.post("/a", **body).status_code == 200)


def test_overlays(world):
    replace(world.folder / "overlay.yaml", """overlay: 1.0.0
info: {title: Ours, version: "1"}
actions:
  - target: $.paths['/todos'].get
    update: {summary: Said by the overlay}
  - target: $.paths['/internal/reset']
    remove: true
  - target: $.paths['/nowhere']
    remove: true
""")
    client = from_file(world, document(), overlays=["overlay.yaml"])
    published = client.get("/openapi.json").json()
    assert published["paths"]["/todos"]["get"]["summary"] == "Said by the overlay"
    assert "/internal/reset" not in published["paths"]
    refusal(client.post("/internal/reset"), 404, "no_route")
    report = world.gateway.status()["plugins"][0]["report"]
    [idle] = [entry for entry in report if entry["file"] == "overlay.yaml"]
    assert idle["line"] == 8, idle
    replace(world.folder / "overlay.yaml", "overlay: 1.0.0\nactions: 5\n")
    refused = world.gateway.await_refusal()
    assert "overlay.yaml" in refused["text"] and "actions" in refused["text"]
    assert client.get("/openapi.json").json() == published


def test_keys_that_stand_twice_are_told_with_both_lines(world):
    client = from_file(world, "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths:\n  /a:\n    get: {operationId: a, responses: {}}\n"
                              "  /b:\n    get: {operationId: b, responses: {}}\n  /a:\n    post: {operationId: c, responses: {}}\n")
    assert set(operations(client)) == {"b", "c"}
    messages = [entry["message"] for entry in world.gateway.status()["plugins"][0]["report"]]
    assert any("`/a` stands in line 4 and again in line 8" in message for message in messages), messages
