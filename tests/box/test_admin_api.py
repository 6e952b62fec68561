"""The admin API: over its socket, and over loopback addresses with admin tokens."""

from __future__ import annotations

import json
import select
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection, socket as Connection

import httpx
import plugway
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from conftest import World
from desk import CONFIG, Desk, refused
from materials import declared, sha256, token
from plugway import NotReady, eventually

BOTH = {"listen": {"admin": "127.0.0.1:0"}}


def two_plugins(world: World) -> dict:
    """Plugins `todo` and `other`, on hosts of their own."""
    todo = world.base()["plugins"]["todo"]
    return {"plugins": {"todo": {"hosts": ["todo.example.com"]}, "other": todo | {"hosts": ["other.example.com"]}}}


class Admin:
    """The admin API, whose document every answer has to fit."""

    def __init__(self, http: httpx.Client):
        self.http = http
        self.document = json.loads((Path(__file__).parents[2] / "src/admin/openapi.json").read_text())
        self.seen: dict[tuple[str, str], set[int]] = {}

    def __call__(self, method: str, path: str, status: int | None = None, **more: object) -> httpx.Response:
        got = self.http.request(method, path, **more)
        if status is not None:
            assert got.status_code == status, got.text
        self.check(method, got)
        return got

    def template(self, path: str) -> str | None:
        """The path of the document that a path is one of, the most concrete first."""
        parts = path.split("/")
        for known in sorted(self.document["paths"], key=lambda known: known.count("{")):
            names = known.split("/")
            if len(names) == len(parts) and all(a == b or a.startswith("{") for a, b in zip(names, parts, strict=True)):
                return known
        return None

    def check(self, method: str, got: httpx.Response) -> None:
        media = got.headers.get("content-type", "").split(";")[0]
        if got.status_code >= 400 and media != "text/plain":
            assert media == "application/problem+json", (got.status_code, media, got.text)
            problem = got.json()
            assert problem["status"] == got.status_code and problem["title"] and problem["detail"] and problem["code"]
        known = self.template(got.request.url.path)
        operation = self.document["paths"].get(known, {}).get(method.lower())
        if operation is None:
            return
        self.seen.setdefault((method.lower(), known), set()).add(got.status_code)
        assert str(got.status_code) in operation["responses"], f"{method} {known} does not say {got.status_code}"
        said = self.resolve(operation["responses"][str(got.status_code)])["content"]
        assert media in said, (media, list(said))
        if "json" in media and media != "application/jsonl":
            schema = said[media]["schema"] | {"components": self.document["components"]}
            Draft202012Validator(schema).validate(got.json())

    def resolve(self, value: dict) -> dict:
        reference = value.get("$ref")
        return self.document["components"]["responses"][reference.rsplit("/", 1)[1]] if reference else value


@pytest.fixture
def clients() -> Iterator[list[httpx.Client]]:
    made: list[httpx.Client] = []
    yield made
    for client in made:
        client.close()


@pytest.fixture
def socket(world: World, clients):
    """The API over the socket of the last gateway."""
    def make() -> Admin:
        path = world.folder / world.gateway.ready["admin"].removeprefix("unix:")
        clients.append(httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://plugway", timeout=20))
        world.gateway.after.append(clients[-1].close)
        return Admin(clients[-1])

    return make


@pytest.fixture
def tcp(world: World, clients):
    """The API over TCP, with a credential."""
    def make(secret: str | None) -> Admin:
        host, port = world.gateway.address("admin")
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        clients.append(httpx.Client(base_url=f"http://{host}:{port}", headers=headers, trust_env=False, timeout=20))
        world.gateway.after.append(clients[-1].close)
        return Admin(clients[-1])

    return make


NEW = {"name": "x", "level": "service", "plugins": ["todo"], "scopes": ["listTodos"]}


def test_the_document_is_valid_and_served(world: World, socket):
    world.start()
    admin = socket()
    served = admin("GET", "/openapi.json", 200).json()
    assert served == admin.document
    OpenAPIV31SpecValidator(served).validate()
    identifiers = [operation["operationId"] for path in served["paths"].values() for name, operation in path.items() if name != "parameters"]
    assert len(set(identifiers)) == len(identifiers)


def test_the_socket_is_its_owners(world: World):
    world.start()
    found = (world.folder / "state/admin.sock").stat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    assert stat.S_IMODE((world.folder / "state").stat().st_mode) == 0o700


def test_every_operation_of_the_document(world: World, socket):
    """And every status that it says, but for a gateway that is ending."""
    world.start(two_plugins(world))
    admin = socket()
    made = admin("POST", "/tokens", 201, json=NEW).json()
    world.gateway.secrets.add(made["secret"])
    hashed = NEW | {"name": "y", "sha256": sha256(token())}
    admin("POST", "/tokens", 201, json=hashed)
    assert admin("POST", "/tokens", 200, json=hashed).json()["changed"] is False
    admin("POST", "/tokens", 409, json=hashed | {"name": "z"})
    admin("POST", "/tokens", 400, json=NEW | {"level": "root"})
    admin("POST", "/tokens", 415, content=b"name=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
    at = f"/tokens/{made['id']}"
    assert admin("GET", at, 200).headers["cache-control"] == "no-store"
    admin("GET", "/tokens/nobody", 404)
    admin("POST", "/tokens", 201, json=NEW), admin("GET", "/tokens/x", 409)
    assert [one["id"] for one in admin("GET", "/tokens?state=active&plugin=todo&sort=id&text=y&idle=1d&level=service", 200).json()]
    assert [(one["id"], one["slot"]) for one in admin("GET", f"/tokens?sha256={sha256(made['secret']).upper()}", 200).json()] == [(made["id"], "current")]
    assert admin("GET", f"/tokens?sha256={sha256(token())}", 200).json() == admin("GET", f"/tokens?sha256={sha256(made['secret'])}&level=user", 200).json() == []
    admin("GET", f"/tokens?sha256={made['secret']}", 400), admin("GET", "/tokens?sha256=", 400)
    admin("GET", "/tokens?sort=age", 400), admin("GET", "/tokens?colour=red", 400)
    admin("PATCH", at, 200, json={"note": "new"}), admin("PATCH", at, 400, json={}), admin("PATCH", at, 400, json={"rate": "x"})
    admin("PATCH", "/tokens/nobody", 404, json={"note": "x"}), admin("PATCH", "/tokens/chatgpt", 409, json={"note": "x"})
    admin("PATCH", at, 415, content=b"x")
    for action in ("finish", "undo", "resume"):
        admin("POST", f"{at}/{action}", 409)
    rotated = admin("POST", f"{at}/rotate", 200, json={"grace": "1h"}).json()
    world.gateway.secrets.add(rotated["secret"])
    admin("POST", f"{at}/rotate", 400, json={"grace": "x"}), admin("POST", f"{at}/rotate", 415, content=b"x")
    admin("POST", f"{at}/rotate", 409, json={"sha256": sha256(made["secret"])})
    admin("POST", f"{at}/undo", 200), admin("POST", f"{at}/rotate", 200, json={}), admin("POST", f"{at}/finish", 200)
    admin("POST", f"{at}/suspend", 200), admin("POST", f"{at}/resume", 200)
    for action in ("rotate", "finish", "undo", "suspend", "resume", "revoke"):
        body = {"reason": "x"} if action == "revoke" else {}
        admin("POST", f"/tokens/nobody/{action}", 404, json=body)
        admin("POST", f"/tokens/chatgpt/{action}", 409, json=body)
    admin("POST", f"{at}/revoke", 400, json={"reason": ""}), admin("POST", f"{at}/revoke", 415, content=b"x")
    assert admin("POST", f"{at}/revoke", 200, json={"reason": "over"}).json()["state"] == "revoked"
    admin("POST", f"{at}/suspend", 409)
    lines = admin("GET", "/tokens/export", 200).text
    assert len(lines.splitlines()) == 3
    assert admin("POST", "/tokens/import", 200, content=lines.encode()).json() == {"added": 0, "replaced": 0, "unchanged": 3, "changed": False}
    admin("POST", "/tokens/import", 400, content=b"nonsense"), admin("POST", "/tokens/import?replace=perhaps", 400, content=b"")
    admin("POST", "/tokens/import", 400, content=b"\xff\xfe")
    admin("POST", "/tokens/import", 409, content=lines.replace('"name":"y"', '"name":"z"').encode())
    asked = {"request": "GET /todos", "plugin": "todo"}
    assert admin("GET", "/explain", 200, params=asked).json()["operation"]["id"] == "listTodos"
    admin("GET", "/explain", 400, params={"request": "GET /todos"}), admin("GET", "/explain", 404, params=asked | {"token": "nobody"})
    admin("GET", "/explain", 400)
    admin("POST", "/tokens", 201, json=NEW), admin("GET", "/explain", 409, params=asked | {"token": "x"})
    entries = admin("GET", "/audit", 200).json()
    assert [entry["number"] for entry in entries] == sorted((entry["number"] for entry in entries), reverse=True)
    assert len(admin("GET", "/audit?most=2", 200).json()) == 2 and admin("GET", "/audit?most=0", 200).json() == []
    assert {entry["id"] for entry in admin("GET", f"/audit?token={made['id']}", 200).json()} == {made["id"]}
    admin("GET", "/audit?most=many", 400), admin("GET", "/audit/verify?tail=x", 400)
    assert admin("GET", "/audit/verify", 200, params={"head": entries[0]["hash"]}).json() == {
        "whole": True, "entries": len(entries), "head": entries[0]["hash"], "fault": None}
    assert admin("GET", "/audit/verify", 200, params={"head": "f" * 64}).json()["whole"] is False
    assert len(admin("GET", "/audit/export", 200).text.splitlines()) == len(entries)
    assert "plugway_backup" in admin("GET", "/state/backup", 200).text.splitlines()[0]
    assert admin("GET", "/status", 200).json()["ready"] is True
    assert admin("POST", "/reload", 200).json()["result"] == "unchanged"
    admin("POST", "/reload?weaker=perhaps", 400), admin("POST", "/reload?weeker=true", 400)
    assert [one["serves"] for one in admin("GET", "/history", 200).json()] == [True]
    admin("GET", "/diff", 200), admin("GET", "/diff?from=x", 400), admin("GET", "/diff?from=99", 404)
    admin("POST", "/rollback?generation=99", 404), admin("POST", "/rollback?generation=x", 400)
    assert admin("POST", "/rollback?generation=1", 200).json()["result"] == "unchanged"
    for path, item in admin.document["paths"].items():
        for method in set(item) - {"parameters", "get"}:
            got = admin(method.upper(), path.replace("{token}", made["id"]), 412, headers={"if-match": '"99"'}, json={})
            assert got.json()["code"] == "generation_changed"
    admin("GET", "/openapi.json", 200)
    assert (admin("GET", "/healthz", 200).text, admin("GET", "/readyz", 200).text) == ("ok\n", "ready\n")
    for path, item in admin.document["paths"].items():
        for method in set(item) - {"parameters"}:
            said = {int(status) for status in item[method]["responses"] if status != "default"} - {401, 403, 503}
            # What is not kept whole, and a document on its way: not to be had at will.
            said -= {409} if path in ("/rollback", "/diff") else set()
            seen = admin.seen.get((method, path), set())
            assert said <= seen, f"{method} {path}: {said - seen} was never answered"


def test_a_name_beside_the_wildcard_is_one_of_a_plugin(world: World, socket):
    world.start()
    admin = socket()
    made = admin("POST", "/tokens", 201, json=NEW | {"plugins": ["*", "todo"]}).json()
    assert made["plugins"] == ["*"]
    changed = admin("PATCH", f"/tokens/{made['id']}", 400, json={"plugins": ["*", "nope"]})
    assert "no plugin nope" in changed.text


@pytest.mark.parametrize("tag", ['"01"', '"+1"', '"1 "', '"0x1"', 'W/"1"'])
def test_a_precondition_is_compared_as_it_is_written(world: World, socket, tag: str):
    world.start()
    admin = socket()
    assert admin("POST", "/reload", 412, headers={"If-Match": tag}).json()["code"] == "generation_changed"
    admin("POST", "/reload", 200, headers={"If-Match": '"1"'})


def test_what_there_is_not(world: World, socket):
    world.start()
    admin = socket()
    assert admin("GET", "/nothing", 404).json()["code"] == "no_route"
    assert admin("GET", "/tokens/x/y/z", 404).json()["code"] == "no_route"
    for method, path in (("DELETE", "/tokens"), ("POST", "/status"), ("PUT", "/tokens/x"), ("GET", "/reload"), ("POST", "/healthz")):
        got = admin(method, path, 405)
        assert got.json()["code"] == "method_not_allowed" and got.headers["allow"]


SECRET = token()


@pytest.mark.parametrize(("body", "field"), [
    (NEW | {"colour": SECRET}, None), (NEW | {SECRET: "x"}, None), (NEW | {"name": 7}, "name"), (NEW | {"plugins": "todo"}, "plugins"),
    (NEW | {"concurrency": SECRET}, "concurrency"), (NEW | {"concurrency": -1}, "concurrency"), (NEW | {"scopes": [SECRET]}, "scopes"), (NEW | {"note": SECRET}, "note"),
    (NEW | {"name": SECRET}, "name"), (NEW | {"expires": SECRET}, "expires"), (NEW | {"sha256": SECRET}, "sha256"), (NEW | {"level": SECRET}, "level"),
    ({"name": "x"}, "level"), ([SECRET], None), (SECRET, None), (NEW | {"plugins": [SECRET]}, "plugins"),
    (NEW | {"plugins": ["*", "nope"]}, "no plugin nope"), (NEW | {"plugins": ["nope", "todo", "*"]}, "no plugin nope"), (NEW | {"networks": [SECRET]}, "networks"),
], ids=lambda value: str(value).replace(SECRET, "SECRET"))
def test_what_is_wrong_is_named_and_not_repeated(world: World, socket, body: object, field: str | None):
    world.start()
    world.gateway.secrets.add(SECRET)
    admin = socket()
    got = admin("POST", "/tokens", 400, json=body)
    assert got.json()["code"] == "invalid_request"
    assert SECRET[12:] not in got.text, got.text
    assert field is None or field in got.text, got.text
    for cut in (b"{", b'{"name": "' + SECRET.encode(), b"\xff", b""):
        got = admin("POST", "/tokens", 400, content=cut, headers={"Content-Type": "application/json"})
        assert SECRET[12:] not in got.text
    assert admin("GET", "/tokens?text=x").json() == []


# --- over TCP ---


def test_an_admin_token_opens_it(world: World, tcp):
    world.start(BOTH)
    desk = Desk(world, True)
    made = desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    service = desk.create()
    for secret, code in ((None, "missing_token"), (token("admin"), "invalid_token"), ("x", "invalid_token"), (service.secret, "invalid_token"),
                         (world.service, "invalid_token"), (world.user, "invalid_token")):
        stranger = tcp(secret)
        for method, path in (("GET", "/status"), ("GET", "/tokens"), ("POST", "/reload"), ("GET", "/openapi.json"), ("GET", "/nothing"), ("DELETE", "/tokens"),
                             ("GET", "/audit"), ("GET", "/state/backup"), ("GET", "/tokens/export"), ("GET", "/explain?request=GET+/todos")):
            got = stranger(method, path, 401)
            assert got.json()["code"] == code and not secret or secret not in got.text
            challenge = 'Bearer realm="plugway admin"'
            assert got.headers["www-authenticate"] == challenge + (', error="invalid_token"' if secret else "")
        assert stranger("GET", "/healthz", 200) and stranger("GET", "/readyz", 200)
    basic = tcp(None)
    assert basic("GET", "/status", 401, headers={"Authorization": f"Basic {made.secret}"}).json()["code"] == "missing_token"
    twice = [("Authorization", f"Bearer {made.secret}")] * 2
    assert basic("GET", "/status", 401, headers=twice).json()["code"] == "missing_token"
    admin = tcp(made.secret)
    assert admin("GET", "/status", 200).json()["ready"] is True
    created = admin("POST", "/tokens", 201, json=NEW).json()
    world.gateway.secrets.add(created["secret"])
    assert admin("GET", "/audit", 200).json()[0]["by"] == made.id == created["created_by"]
    desk.json("suspend", made.id)
    assert "suspended" in admin("GET", "/status", 401).json()["detail"]
    desk.json("resume", made.id), admin("GET", "/status", 200)
    desk.json("revoke", made.id, "--reason", "over")
    assert "revoked" in admin("GET", "/status", 401).json()["detail"]


def test_the_command_line_over_tcp(world: World):
    world.start(BOTH)
    desk = Desk(world, True)
    made = desk.create("ops", public=("--level", "admin", "--plugin", "todo"))
    host, port = world.gateway.address("admin")
    run = lambda *arguments, secret=made.secret: plugway.run(*arguments, "--admin", f"{host}:{port}", cwd=world.folder, env={"PLUGWAY_ADMIN_TOKEN": secret})
    ran = run("token", "create", "--name", "x", "--level", "user", "--plugin", "todo", "--scope", "*", "--json")
    assert ran.code == 0 and ran.json["created_by"] == made.id
    desk.keep(ran.json)
    refused(run("status"), 1, "403", "all plugins")
    refused(run("audit", "list"), 1, "403", "all plugins")
    refused(run("token", "list", secret=token("admin")), 1, "401", "not known")
    refused(run("token", "create", "--name", "x", "--level", "user", "--plugin", "*", "--scope", "*"), 1, "not for all of these plugins")
    refused(plugway.run("token", "list", "--admin", f"{host}:{port}", cwd=world.folder), 2, "PLUGWAY_ADMIN_TOKEN")
    refused(plugway.run("token", "list", "--admin", "nowhere", cwd=world.folder), 2, "no admin address")


def test_the_admin_of_a_plugin(world: World, tcp):
    shared, foreign = token(), token()
    world.start(two_plugins(world) | BOTH | {"tokens": {"both": declared(shared, plugins=["todo", "other"]), "hers": declared(foreign, plugins=["other"])}})
    desk = Desk(world, True)
    make = lambda name, *plugins, level="service": desk.create(name, public=(
        "--level", level, *[word for plugin in plugins for word in ("--plugin", plugin)], *([] if level == "admin" else ["--scope", "listTodos"])))
    admin = tcp(make("admin of todo", "todo", level="admin").secret)
    mine, hers, both, every = make("mine", "todo"), make("hers alone", "other"), make("both of us", "todo", "other"), make("every", "*")
    named = {one["name"] for one in admin("GET", "/tokens", 200).json()}
    assert named == {"admin of todo", "mine", "chatgpt", "alice"}
    whose = lambda secret: [one["id"] for one in admin("GET", f"/tokens?sha256={sha256(secret)}", 200).json()]
    assert (whose(mine.secret), whose(world.service)) == ([mine.id], ["chatgpt"])
    desk.rotate(hers.id), (renewed := desk.rotate(hers.id, "--grace", "0s"))
    assert [whose(secret) for secret in (shared, foreign, hers.secret, renewed.secret, both.secret, every.secret)] == [[]] * 6
    exported = admin("GET", "/tokens/export", 200).text
    assert mine.id in exported and not any(made.id in exported for made in (hers, both, every))
    for made in (hers.id, both.id, every.id, "hers alone", "both", "hers"):
        admin("GET", f"/tokens/{made}", 404)
        admin("PATCH", f"/tokens/{made}", 404, json={"note": "x"})
        for action in ("rotate", "finish", "undo", "suspend", "resume", "revoke"):
            admin("POST", f"/tokens/{made}/{action}", 404, json={"reason": "x"} if action == "revoke" else {})
    for plugins in (["other"], ["todo", "other"], ["*"]):
        admin("POST", "/tokens", 403, json=NEW | {"plugins": plugins})
        admin("PATCH", f"/tokens/{mine.id}", 403, json={"plugins": plugins})
        line = {"id": "pls_00000001", "level": "service", "plugins": plugins, "scopes": ["*"], "sha256": "1" * 64}
        admin("POST", "/tokens/import", 403, content=json.dumps(line).encode())
    for method, path in (("GET", "/status"), ("POST", "/reload"), ("GET", "/audit"), ("GET", "/audit/verify"), ("GET", "/audit/export"), ("GET", "/state/backup")):
        assert admin(method, path, 403).json()["code"] == "forbidden"
    taken = line | {"id": hers.id, "plugins": ["todo"]}
    admin("POST", "/tokens/import?replace=true", 403, content=json.dumps(taken).encode())
    admin("POST", "/tokens", 409, json=NEW | {"sha256": sha256(hers.secret)})
    assert admin("PATCH", f"/tokens/{mine.id}", 200, json={"note": "ours"}).json()["note"] == "ours"
    callers = admin("GET", "/explain", 200, params={"request": "GET /todos", "plugin": "todo"}).json()["callers"]
    assert {caller["name"] for caller in callers} == {"mine", "chatgpt", "alice"}
    admin("GET", "/explain", 404, params={"request": "GET /todos", "plugin": "todo", "token": hers.id})
    assert desk.show(hers.id)["state"] == "active"


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:9091", "[::]:0"])
def test_a_public_address_wants_certificates(world: World, address: str):
    """An admin token does not cross a network in the clear."""
    with pytest.raises(NotReady) as caught:
        world.start({"listen": {"admin": address, "https": None, "http": "127.0.0.1:0"}, "tls": None})
    ran = caught.value.ran
    assert ran.code == 4 and "certificate" in ran.out + ran.err


def test_a_public_address_speaks_tls(world: World):
    """With the certificates of the data path; to holders of an admin token."""
    world.start({"listen": {"admin": "0.0.0.0:0"}})
    desk = Desk(world, True)
    made = desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    _, port = world.gateway.address("admin")
    ca = world.certificates.write_ca(world.folder / "ca.pem")
    env = {"PLUGWAY_ADMIN_TOKEN": made.secret}
    run = lambda *more, env=env, to=f"https://localhost:{port}": plugway.run(*more, "--admin", to, cwd=world.folder, env=env)
    assert run("status", "--admin-ca", str(ca)).code == 0
    assert run("token", "list", "--json", env=env | {"PLUGWAY_ADMIN_CA": str(ca)}).code == 0
    refused(run("status"), 1, "certificate")
    refused(run("status", "--admin-ca", str(ca), env={"PLUGWAY_ADMIN_TOKEN": token("admin")}), 1, "401")
    refused(run("status", "--admin-ca", str(world.folder / "none.pem")), 1, "none.pem")
    refused(run("status", to=f"192.0.2.1:{port}"), 2, "write https://")
    # Not in the clear, and nobody who says nothing keeps others out.
    with create_connection(("127.0.0.1", port), 10), create_connection(("127.0.0.1", port), 10) as clear:
        clear.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + made.secret.encode() + b"\r\n\r\n")
        clear.settimeout(10)
        assert b"HTTP/1.1" not in clear.recv(1000)
        assert run("status", "--admin-ca", str(ca)).code == 0
    assert run("reload", "--admin-ca", str(ca)).code == 0


def test_the_address_can_be_changed(world: World, tcp):
    world.start()
    desk = Desk(world, True)
    made = desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    world.change(BOTH)
    kinds = lambda: {listener["kind"]: listener["address"] for listener in world.gateway.status()["listeners"]}
    where = eventually(lambda: kinds().get("admin"))
    headers = {"Authorization": f"Bearer {made.secret}"}
    assert httpx.get(f"http://{where}/status", headers=headers, trust_env=False).status_code == 200


def test_wrong_secrets_are_limited_and_right_ones_are_not(world: World, tcp):
    world.start(BOTH | {"limits": {"failed_auth": "3/min"}})
    made = Desk(world, True).create("ops", public=("--level", "admin", "--plugin", "*"))
    with httpx.Client(base_url="http://{}:{}".format(*world.gateway.address("admin")), trust_env=False) as client:
        got = [client.get("/status", headers={"Authorization": f"Bearer {token('admin')}"}) for _ in range(4)]
        assert [each.status_code for each in got] == [401, 401, 401, 429]
        assert got[3].json()["code"] == "rate_limited" and 1 <= int(got[3].headers["retry-after"]) <= 20
        assert client.get("/status").json()["code"] == "missing_token"
    tcp(made.secret)("GET", "/status", 200)


@pytest.mark.parametrize("kind", ["admin", "metrics"])
def test_so_many_connections_and_no_more(world: World, kind: str):
    world.start(BOTH | {"listen": BOTH["listen"] | {"metrics": "127.0.0.1:0"}})

    def asked() -> Connection:
        made = stack.enter_context(create_connection(world.gateway.address(kind), plugway.PATIENCE))
        made.sendall(ASK)
        return made

    def answered(connection: Connection) -> None:
        got = b""
        while not got.endswith(b"ok\n"):
            got += (piece := connection.recv(4096))
            assert piece, got

    with ExitStack() as stack:
        connections = [asked() for _ in range(64)]
        for each in connections:
            answered(each)
        if kind == "admin":
            # That is the share of one network: others still have room.
            with pytest.raises((AssertionError, ConnectionError)):
                answered(asked())
            elsewhere = stack.enter_context(create_connection(world.gateway.address(kind), plugway.PATIENCE, source_address=("127.7.0.1", 0)))
            elsewhere.sendall(ASK)
            answered(elsewhere)
            return
        waiting = asked()
        for each in connections:
            each.sendall(ASK)
            answered(each)
        assert not select.select([waiting], [], [], 0)[0]
        connections[0].close()
        answered(waiting)


ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_token_over_tcp_is_judged_by_where_it_comes_from(world: World):
    """Its networks, its last use and wrong credentials name the address of the connection, not this machine's own."""
    world.start(BOTH | {"limits": {"failed_auth": "1/h"}})
    made = Desk(world, True).create("far", "--network", "127.7.0.2", public=("--level", "admin", "--plugin", "*"))
    host, port = world.gateway.address("admin")

    def ask(local: str, secret: str) -> httpx.Response:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=local)) as client:
            return client.get(f"http://{host}:{port}/tokens/{made.id}", headers={"Authorization": f"Bearer {secret}"})

    refused = ask("127.0.0.1", made.secret)
    assert refused.status_code == 401 and "not for use from this network" in refused.json()["detail"]
    # One network's wrong credentials are not another's.
    assert [ask("127.0.0.1", "pla_x").status_code, ask("127.9.0.1", "pla_x").status_code, ask("127.9.0.2", "pla_x").status_code] == [429, 401, 429]
    right = ask("127.7.0.2", made.secret)
    assert right.status_code == 200 and "127.7.0.0/24" in right.text, right.text
