"""What a request gets while its token is made, rotated, bounded and ended."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import httpx
import plugway
import pytest

from clients import TIMEOUT, refusal
from conftest import World
from desk import CONFIG, PUBLIC, Desk, Made, refused
from materials import DOCUMENT, operation, sha256, token
from plugway import eventually
from test_streams import EVENTS, Api, cut_lines

TODAY = "{:%Y-%m-%d}"


@pytest.fixture
def desk(world: World) -> Desk:
    world.start()
    return Desk(world, True)


def ask(world: World, secret: str, path: str = "/todos", **more: object) -> httpx.Response:
    return world.session(token=secret, **more).get(path)


def ended(got: httpx.Response, reason: str) -> None:
    """A 401 with the true reason, and the day where it has one; a test may run over midnight."""
    refusal(got, 401, "invalid_token")
    said = got.headers["www-authenticate"]
    begin = 'Bearer realm="todo", error="invalid_token", error_description="'
    days = {TODAY.format(datetime.now(UTC) - timedelta(days=back)) for back in (0, 1)}
    assert said in {f'{begin}{reason.replace("TODAY", day)}"' for day in days}, said


REPLACED = "replaced by another secret, ended TODAY"


def test_at_once(desk: Desk, http2: bool):
    """As soon as the command returned; over connections that were there before."""
    client = desk.world.session(http2=http2)
    client.get("/todos", token=desk.world.service)
    for number in range(20):
        made = desk.create(f"number {number}")
        assert client.get("/todos", token=made.secret).status_code == 200
        desk.json("revoke", made.id, "--reason", "over")
        ended(client.get("/todos", token=made.secret), "revoked TODAY")


def test_who_it_is_to_the_upstream(desk: Desk):
    made = desk.create("tuesday")
    got = ask(desk.world, made.secret)
    seen = desk.world.upstream.last
    assert (seen.get("x-plugway-token"), seen.get("x-plugway-principal"), seen.get("x-plugway-level")) == (made.id, "tuesday", "service")
    entry = desk.world.gateway.line(got.headers["x-request-id"])
    assert (entry["token"], entry["slot"]) == (made.id, "current")


def test_made_on_the_database_before_the_start(world: World):
    plugway.write(world.folder, world.base())
    desk = Desk(world, False)
    made = desk.create()
    rotated = desk.rotate(made.id)
    world.start()
    desk.world.gateway.secrets |= {made.secret, rotated.secret}
    for secret in (made.secret, rotated.secret):
        assert ask(world, secret).status_code == 200


# --- rotation ---


def test_both_secrets_in_the_grace_period(desk: Desk):
    old = desk.create()
    new = desk.rotate(old.id)
    assert (new.id, new.value["state"]) == (old.id, "rotating") and new.secret[:12] == old.id and new.secret != old.secret
    for secret, slot in ((old.secret, "previous"), (new.secret, "current")):
        got = ask(desk.world, secret)
        assert got.status_code == 200
        assert desk.world.gateway.line(got.headers["x-request-id"])["slot"] == slot
    assert [(one["slot"], one["live"]) for one in desk.show(old.id)["secrets"]] == [("current", True), ("previous", True)]
    text = desk.token("rotate", old.id, "--finish")
    assert (text.code, text.out) == (0, "") and "the old secret ended" in text.err
    ended(ask(desk.world, old.secret), REPLACED)
    assert ask(desk.world, new.secret).status_code == 200
    assert desk.show(old.id)["state"] == "active"
    again = desk.token("rotate", old.id, "--finish")
    assert again.code == 0 and "nothing changed" in again.err
    refused(desk.token("rotate", old.id, "--undo"), 5, "no rotation is under way")


def test_nobody_notices_a_rotation(desk: Desk, http2: bool):
    """Clients that take the new secret in their own time are never refused."""
    made = desk.create()
    holding, done = [made.secret], threading.Event()
    answers: list[list[int]] = [[], [], []]

    def use(mine: list[int]) -> None:
        client = desk.world.session(http2=http2)
        while not done.is_set():
            mine.append(client.get("/todos", token=holding[0]).status_code)

    def all_go_on() -> None:
        """Until each has begun and ended another request."""
        seen = [len(mine) for mine in answers]
        eventually(lambda: all(len(mine) > before + 1 for mine, before in zip(answers, seen, strict=True)))

    users = [threading.Thread(target=use, args=(mine,)) for mine in answers]
    for thread in users:
        thread.start()
    for _ in range(8):
        new = desk.rotate(made.id)
        all_go_on()
        holding[0] = new.secret
        all_go_on()
        desk.json("rotate", made.id, "--finish")
    done.set()
    for thread in users:
        thread.join(TIMEOUT)
    assert {status for mine in answers for status in mine} == {200}


def test_rotate_prints_the_secret_alone(desk: Desk):
    old = desk.create()
    ran = desk.token("rotate", old.id)
    secret = ran.out.removesuffix("\n")
    desk.keep({"secret": secret})
    assert ran.code == 0 and len(secret) == 50 and secret not in ran.err
    assert "the new secret works now, the old one until" in ran.err and "--undo" in ran.err
    assert ask(desk.world, secret).status_code == 200


def test_undo(desk: Desk):
    old = desk.create()
    new = desk.rotate(old.id)
    desk.json("rotate", old.id, "--undo")
    ended(ask(desk.world, new.secret), REPLACED)
    assert ask(desk.world, old.secret).status_code == 200
    again = desk.rotate(old.id)
    assert ask(desk.world, again.secret).status_code == ask(desk.world, old.secret).status_code == 200


def test_never_more_than_two(desk: Desk):
    first = desk.create()
    second = desk.rotate(first.id)
    third = desk.rotate(first.id)
    assert "at most two live" in third.value["remark"]
    assert [ask(desk.world, made.secret).status_code for made in (first, second, third)] == [401, 200, 200]


def test_no_grace(desk: Desk):
    old = desk.create()
    new = desk.rotate(old.id, "--grace", "0s")
    ended(ask(desk.world, old.secret), REPLACED)
    assert ask(desk.world, new.secret).status_code == 200


def test_the_grace_period_ends_by_itself(desk: Desk):
    old = desk.create()
    desk.rotate(old.id, "--grace", "2s")
    eventually(lambda: ask(desk.world, old.secret).status_code == 401)
    ended(ask(desk.world, old.secret), REPLACED)
    assert desk.show(old.id)["state"] == "active"


def test_a_grace_period_never_outlives_the_old_expiry(desk: Desk):
    old = desk.create("x", "--expires", "1h")
    new = desk.rotate(old.id, "--grace", "7d")
    assert new.value["secrets"][1]["until"] == old.value["expires"]
    sooner = desk.json("set", old.id, "--expires", "10m")
    assert sooner["secrets"][1]["until"] == sooner["expires"]
    later = desk.json("set", old.id, "--expires", "30d")
    assert later["secrets"][1]["until"] == sooner["expires"]
    assert later["expires"] > sooner["expires"]


def test_rotation_says_what_is_wrong(desk: Desk):
    made = desk.create()
    for more, field in ((("--grace", "long"), "grace"), (("--grace", "1month"), "grace"), (("--sha256", "abc"), "sha256"),
                        (("--finish-when-idle", "0s"), "finish_when_idle"), (("--finish-when-idle", "x"), "finish_when_idle")):
        refused(desk.token("rotate", made.id, *more), 2, f"{field}: ")
    assert desk.show(made.id)["state"] == "active"


def test_rotate_to_the_same_hash_twice(desk: Desk):
    """So that one secret can be given to many machines."""
    old, new = desk.create(), token()
    desk.keep({"secret": new})
    first = desk.json("rotate", old.id, "--sha256", sha256(new))
    again = desk.json("rotate", old.id, "--sha256", sha256(new))
    assert (first["changed"], again["changed"]) == (True, False) and "secret" not in first
    assert ask(desk.world, new).status_code == ask(desk.world, old.secret).status_code == 200
    refused(desk.token("rotate", old.id, "--sha256", sha256(old.secret)), 5, "--undo")
    other = desk.create("other")
    refused(desk.token("rotate", other.id, "--sha256", sha256(new)), 5, "another token")
    desk.rotate(old.id), desk.rotate(old.id)
    refused(desk.token("rotate", old.id, "--sha256", sha256(new)), 5, "before")


def test_idle_here_says_nothing_of_other_machines(desk: Desk):
    made = desk.create()
    refused(desk.token("rotate", made.id, "--sha256", sha256(token()), "--finish-when-idle", "2h"), 5, "made elsewhere", "--finish")
    desk.json("rotate", made.id, "--sha256", sha256(token()))
    refused(desk.token("rotate", made.id, "--finish-when-idle", "2h"), 5, "made elsewhere")
    given = desk.json("create", "--name", "given", *PUBLIC, "--sha256", sha256(token()))
    refused(desk.token("rotate", given["id"], "--finish-when-idle", "2h", "--json"), 5, "made elsewhere")


def test_finish_when_idle(desk: Desk):
    """In time by itself; of a rotation that is under way as well. A use is known to the minute, so
    that it takes no less."""
    old = desk.create()
    new = desk.rotate(old.id, "--finish-when-idle", "1s")
    assert new.value["secrets"][1]["finish_when_idle"] == 1
    eventually(lambda: desk.show(old.id)["state"] == "active", 40)
    ended(ask(desk.world, old.secret), REPLACED)
    last = desk.audit()[0]
    assert (last["action"], last["by"], last["id"]) == ("finish", "plugway", old.id)
    desk.rotate(old.id)
    assert desk.json("rotate", old.id, "--finish-when-idle", "2h")["changed"] is True
    assert desk.json("rotate", old.id, "--finish-when-idle", "2h")["changed"] is False
    assert desk.show(old.id)["state"] == "rotating"


def test_status_of_a_rotation(desk: Desk):
    old = desk.create()
    assert ask(desk.world, old.secret).status_code == 200
    new = desk.rotate(old.id)
    status = lambda: desk.json("rotate", old.id, "--status")["secrets"]
    current, previous = status()
    assert current["last_used"] is None and previous["last_used"] and previous["last_network"] == "127.0.0.0/24"
    text = desk.token("rotate", old.id, "--status")
    assert text.code == 0 and "only the old secret is used so far" in text.out
    assert ask(desk.world, new.secret).status_code == 200
    eventually(lambda: status()[0]["last_used"])
    assert desk.show(old.id)["last_slot"] in ("current", "previous")


# --- its end ---


def test_suspended(desk: Desk):
    made = desk.create()
    desk.json("suspend", made.id)
    ended(ask(desk.world, made.secret), "suspended")
    desk.json("resume", made.id)
    assert ask(desk.world, made.secret).status_code == 200


def test_both_secrets_are_suspended_and_revoked(desk: Desk):
    old = desk.create()
    new = desk.rotate(old.id)
    desk.json("suspend", old.id)
    for made in (old, new):
        ended(ask(desk.world, made.secret), "suspended")
    assert not any(secret["live"] for secret in desk.show(old.id)["secrets"])
    desk.json("revoke", old.id, "--reason", "leaked")
    for made in (old, new):
        ended(ask(desk.world, made.secret), "revoked TODAY")


def test_expired(desk: Desk):
    made = desk.create("x", "--expires", "2s")
    eventually(lambda: ask(desk.world, made.secret).status_code == 401)
    ended(ask(desk.world, made.secret), "expired TODAY")
    shown = desk.show(made.id)
    assert shown["state"] == "expired" and [secret["live"] for secret in shown["secrets"]] == [False]
    assert [one["id"] for one in desk.json("list", "--state", "expired")] == [made.id]
    refused(desk.token("rotate", made.id), 5, "expired", "token set")
    desk.json("set", made.id, "--expires", "1d")
    assert ask(desk.world, made.secret).status_code == 200


def test_not_yet(desk: Desk):
    made = desk.create("x", "--not-before", "2099-01-01")
    ended(ask(desk.world, made.secret), "not valid before 2099-01-01T00:00:00Z")
    desk.json("set", made.id, "--not-before", "never")
    assert ask(desk.world, made.secret).status_code == 200


def test_an_admin_token_calls_no_operation(desk: Desk):
    made = desk.create("ops", public=("--level", "admin", "--plugin", "*"))
    refusal(ask(desk.world, made.secret), 403)


def test_a_stream_is_cut(desk: Desk):
    api = Api(desk.world, EVENTS)
    api.gone["tuesday"] = threading.Event()
    made = desk.create("tuesday", public=("--level", "service", "--plugin", "todo", "--scope", "events"))
    wire = desk.world.wire()
    wire.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {made.secret}\r\n\r\n")
    assert wire.head()[0] == 200
    api.say("tuesday", b"data: 1\n\n")
    wire.until(b"data: 1\n\n")
    desk.json("set", made.id, "--note", "this does not cut it")
    desk.rotate(made.id)
    api.say("tuesday", b"data: 2\n\n")
    wire.until(b"data: 2\n\n")
    desk.json("revoke", made.id, "--reason", "over")
    assert api.gone["tuesday"].wait(TIMEOUT)
    assert not wire.rest().endswith(b"0\r\n\r\n")
    assert cut_lines(desk.world, made.id) == [("cut", "revoked")]


# --- what it may ---


def test_scopes_take_effect_at_the_next_request(desk: Desk, http2: bool):
    made, generation = desk.create(), desk.world.gateway.generation()
    client = desk.world.session(http2=http2, token=made.secret)
    assert client.get("/todos").status_code == 200
    for scopes, todos, search in ((["addTodo"], 403, 403), (["search"], 403, 200), (["tag:public"], 200, 200), (["GET /todos"], 200, 403), (["*"], 200, 200)):
        desk.json("set", made.id, *[word for scope in scopes for word in ("--scope", scope)])
        assert (client.get("/todos").status_code, client.get("/search").status_code) == (todos, search), scopes
    assert desk.world.gateway.generation() == generation
    desk.json("set", made.id, "--scope", "addTodo")
    got = client.get("/todos")
    refusal(got, 403, "insufficient_scope")
    assert 'error="insufficient_scope"' in got.headers["www-authenticate"]


def test_a_new_operation_is_not_covered_by_an_old_list(world: World):
    world.upstream.document = dict(DOCUMENT)
    world.start()
    desk = Desk(world, True)
    listed = desk.create("listed", public=("--level", "service", "--plugin", "todo", "--scope", "listTodos", "--scope", "search"))
    tagged = desk.create("tagged", public=("--level", "service", "--plugin", "todo", "--scope", "tag:public"))
    world.upstream.document["paths"] = DOCUMENT["paths"] | {"/newcomer": {"get": operation("newcomer")}}
    assert world.gateway.reload().json["result"] == "published"
    refusal(ask(world, listed.secret, "/newcomer"), 403, "insufficient_scope")
    assert ask(world, tagged.secret, "/newcomer").status_code == 200
    assert ask(world, listed.secret).status_code == 200


def test_bounds_take_effect(desk: Desk):
    made = desk.create()
    desk.json("set", made.id, "--quota", "1/day")
    answers = [ask(desk.world, made.secret).status_code for _ in range(3)]
    assert answers[-1] == 429, answers
    desk.json("set", made.id, "--quota", "off")
    assert ask(desk.world, made.secret).status_code == 200
    desk.json("set", made.id, "--network", "192.0.2.0/24")
    refusal(ask(desk.world, made.secret), 403, "wrong_network")


# --- explain ---


def test_explain(desk: Desk):
    made: Made = desk.create()
    yes = desk("explain", "GET /todos", "--token", made.id)
    assert (yes.code, yes.err) == (0, "") and "operation listTodos" in yes.out and f"token {made.id} may call it" in yes.out
    no = desk("explain", "POST /todos", "--token", "tuesday", "--json")
    assert no.code == 1 and (no.json["allowed"], no.json["code"], no.json["operation"]["id"]) == (False, "insufficient_scope", "addTodo")
    assert {caller["id"] for caller in no.json["callers"]} == {"alice", "chatgpt"}
    assert desk("explain", "post /todos").code == 0
    for request, code in (("GET /nothing", "no_route"), ("POST /todos?_method=DELETE", "no_route"), ("DELETE /todos", "method_not_allowed"), ("GET /todos/a%2Fb", "ambiguous_path")):
        ran = desk("explain", request, "--json")
        assert (ran.code, ran.json["published"], ran.json["code"]) == (1, False, code)
    desk.json("set", made.id, "--network", "192.0.2.0/24")
    assert f"token {made.id} may call it, from 192.0.2.0/24 only" in desk("explain", "GET /todos", "--token", made.id).out
    desk.json("suspend", made.id)
    suspended = desk("explain", "GET /todos", "--token", made.id)
    assert suspended.code == 1 and "suspended" in suspended.out
    refused(desk("explain", "todos"), 2, "request: ")
    refused(desk("explain", "GET /todos", "--plugin", "tofu"), 2, "plugin: ", "todo")
    refused(desk("explain", "GET /todos", "--token", "nobody"), 1, "no token")


def test_explain_needs_a_gateway(world: World):
    plugway.write(world.folder, world.base())
    ran = plugway.run("explain", "GET /todos", *CONFIG, cwd=world.folder)
    refused(ran, 1, "no gateway answers at unix:", "admin.sock")
    ran = plugway.run("explain", "GET /todos", *CONFIG, "--json", cwd=world.folder)
    assert ran.code == 1 and "no gateway answers" in ran.json["error"]
