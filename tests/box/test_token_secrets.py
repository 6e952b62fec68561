"""A secret is told once, to whoever made it, and is nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import plugway
import pytest

from conftest import World
from desk import CONFIG, PUBLIC, Desk
from materials import sha256, token
from plugway import Ran
from test_operation import METRICS, Page

FOREIGN = "9f86d081884c7d659a2feaa0c55ad015"


class Listening(Desk):
    """A desk that keeps all that was said."""

    def __init__(self, world: World, running: bool):
        super().__init__(world, running)
        self.said: list[Ran] = []
        self.told: list[str] = []

    def __call__(self, *arguments: str, **more) -> Ran:
        ran = super().__call__(*arguments, **more)
        self.said.append(ran)
        return ran

    def secret(self, *arguments: str, as_json: bool) -> str:
        """Of a command that makes one; it is in standard output alone, and once."""
        ran = super().__call__("token", *arguments, *["--json"] * as_json)
        assert ran.code == 0, ran
        secret = ran.json["secret"] if as_json else ran.out.removesuffix("\n")
        assert ran.out.count(secret) == 1 and secret[12:] not in ran.err
        self.keep({"secret": secret})
        self.told.append(secret)
        return secret

    def check(self) -> None:
        """None of them was said again."""
        for secret in (*self.told, FOREIGN):
            for ran in self.said:
                assert secret not in ran.out + ran.err, ran
                assert secret[13:45] not in ran.out + ran.err, ran


def every_command(desk: Listening, secrets: list[str], id: str, folder: Path) -> None:
    """All commands, done and refused, in text and in JSON, also with secrets where none belong."""
    new, old = secrets[-1], secrets[0]
    for more in ((), ("--json",)):
        for arguments in (
            ("list",), ("list", "--text", new), ("show", id), ("show", "tuesday"), ("show", new), ("show", old), ("show", new[:-1]), ("rotate", id, "--status"), ("set", id, "--note", new),
            ("set", id, "--name", new), ("set", id, "--note", "x"), ("set", new, "--note", "x"), ("set", id, "--scope", new), ("set", id, "--plugin", new), ("set", id, "--expires", new),
            ("set", id, "--network", new), ("set", id, "--rate", new), ("create", "--name", "x", *PUBLIC, "--sha256", new), ("create", "--name", new, *PUBLIC),
            ("create", "--name", "x", *PUBLIC, "--sha256", sha256(new)), ("create", "--name", "x", *PUBLIC, "--sha256", sha256(old), "--id", new),
            ("rotate", id, "--sha256", new), ("rotate", id, "--sha256", sha256(old)), ("rotate", id, "--grace", new), ("rotate", new), ("revoke", id, "--reason", new),
            ("revoke", new, "--reason", "x"), ("suspend", new), ("suspend", id), ("resume", new), ("resume", id), ("export",), ("import", new), ("import", "-", new), (new,),
            ("import", new, "--name", "x", *PUBLIC), ("import", "--jsonl", "held"), ("import", "--jsonl", new), ("create", "--name", "x", new), ("generate", new),
        ):
            desk.token(*arguments, *more)
        desk.token("import", "-", "--name", "x", *PUBLIC, *more, stdin=f"{new} {new}")
        desk.token("import", "-", "--name", "foreign", *PUBLIC, *more, stdin=FOREIGN)
        desk.token("import", "--jsonl", "-", *more, stdin=json.dumps({"id": new, "name": new, new: new, "scopes": new, "sha256": new}))
        desk.token("import", "--jsonl", "-", *more, stdin=json.dumps(
            {"id": "pls_00000009", "level": "service", "plugins": ["todo"], "scopes": [new], "sha256": "9" * 64}))
        desk.token("show", "-", *more, stdin=new)
        desk.token("show", "-", *more, stdin=f"{new} {old}")
        desk.token("show", "-", new, *more)
        desk.token("scan", "held", *more)
        desk.token("scan", "-", *more, stdin=f"x {new} {old}")
        for arguments in (("audit", "list"), ("audit", "list", "--token", new), ("audit", "export"), ("audit", "verify"), ("audit", "verify", "--head", new),
                          ("explain", "GET /todos", "--token", id), ("explain", "GET /todos", "--token", new), ("explain", new), ("explain", "GET /todos", "--plugin", new),
                          ("status",), ("state", "backup", "saved"), ("state", "restore", "held"), ("state", "restore", "saved"), (new,)):
            desk(*arguments, *more)
    assert not any(secret in (folder / "saved").read_text() for secret in (*secrets, FOREIGN))


@pytest.mark.parametrize("running", [True, False], ids=["gateway", "database"])
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@pytest.mark.timeout(180)
def test_nowhere_else(world: World, running: bool, as_json: bool):
    if running:
        world.start(METRICS | {"log": {"level": "trace"}})
        world.gateway.secrets.add(FOREIGN)
    else:
        world.config = world.base()
        plugway.write(world.folder, world.config)
    desk = Listening(world, running)
    first = desk.secret("create", "--name", "tuesday", *PUBLIC, as_json=as_json)
    second = desk.secret("rotate", first[:12], as_json=as_json)
    admin = desk.secret("create", "--name", "ops", "--level", "admin", "--plugin", "*", as_json=as_json)
    third = desk.secret("rotate", first[:12], "--grace", "1h", as_json=as_json)
    world.upstream.secrets.add(FOREIGN)
    (world.folder / "held").write_text(f"{first}\n{third}\n")
    every_command(desk, [first, second, third], first[:12], world.folder)
    desk.json("import", "--sha256", sha256("x" * 40), "--name", "again", *PUBLIC)
    if running:
        client = world.session()
        for secret, status in ((first, 401), (second, 200), (third, 200), (admin, 403), (FOREIGN, 200)):
            assert client.post("/todos", token=secret).status_code in (status, 403)
            got = client.get(f"/todos?token={secret}", token=secret)
            assert got.status_code == status, (secret[:4], got.text)
            said = "\n".join(f"{name}: {value}" for name, value in got.headers.items())
            assert secret not in said
        world.upstream.may_see_secrets = True  # in the query, where the client itself wrote them
        for request in world.upstream.requests:
            for secret in desk.told:
                assert not any(secret in value for _, value in request.headers) and secret.encode() not in request.body
        page = Page(world).text
        assert not any(secret in page or secret[13:] in page for secret in (*desk.told, FOREIGN))
        world.gateway.stop()
    desk.check()
    for path in (world.folder / "state").iterdir():
        data = path.read_bytes() if path.is_file() else b""
        for secret in (*desk.told, FOREIGN):
            assert secret.encode() not in data and secret[13:45].encode() not in data, path
            assert secret[::-1].encode() not in data


def test_answers_are_not_kept(world: World):
    """By anything on the way."""
    world.start({"listen": {"admin": "127.0.0.1:0"}})
    desk = Desk(world, True)
    admin = desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    host, port = world.gateway.address("admin")
    body = {"name": "x", "level": "user", "plugins": ["todo"], "scopes": ["*"]}
    got = httpx.post(f"http://{host}:{port}/tokens", json=body, headers={"Authorization": f"Bearer {admin.secret}"}, trust_env=False)
    assert got.status_code == 201 and got.headers["cache-control"] == "no-store"
    world.gateway.secrets.add(got.json()["secret"])


def test_an_unknown_secret_is_in_no_log(world: World):
    """Not even one that is almost right."""
    world.start({"log": {"level": "trace"}, "listen": {"admin": "127.0.0.1:0"}})
    stranger = token("admin")
    world.gateway.secrets |= {stranger, stranger[13:45]}
    host, port = world.gateway.address("admin")
    for path in ("/status", f"/tokens/{stranger}", f"/tokens?text={stranger}", f"/{stranger}"):
        got = httpx.get(f"http://{host}:{port}{path}", headers={"Authorization": f"Bearer {stranger}"}, trust_env=False)
        assert got.status_code == 401 and stranger not in got.text
    ran = plugway.run("token", "list", "--admin", f"{host}:{port}", *CONFIG, cwd=world.folder, env={"PLUGWAY_ADMIN_TOKEN": stranger})
    assert ran.code == 1 and stranger not in ran.out + ran.err
