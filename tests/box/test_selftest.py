"""The self-test of a candidate: what does not hold never serves."""

from __future__ import annotations

import copy

import pytest

from clients import refusal
from materials import declared, token
from plugway import NotReady, eventually, run
from test_operation import METRICS, Page
from test_swap import description
from upstreams import Reply

HOLD = [
    {"request": "GET /todos?limit=1", "as": "service", "expect": 200},
    {"request": "GET /todos", "as": "user", "expect": 204},
    {"request": "HEAD /todos", "as": "user", "expect": 200},
    {"request": "GET /todos", "as": "anonymous", "expect": 401},
    {"request": "GET /todos", "as": "chatgpt", "expect": 200},
    {"request": "DELETE /todos/7", "as": "chatgpt", "expect": 403},
    {"request": "POST /todos", "as": "alice", "expect": 201, "body": '{"title": "x"}'},
    {"request": "GET /internal/reset", "as": "service", "expect": 405},
    {"request": "GET /nowhere", "as": "service", "expect": 404},
    {"request": "GET /openapi.json", "as": "anonymous", "expect": 200},
    {"request": "GET /openapi-3.0.yaml", "as": "user", "expect": 200},
    {"request": "POST /openapi.json", "as": "user", "expect": 405},
    {"request": "GET /healthz", "as": "anonymous", "expect": 200},
]


def todo(tests: list[dict], **more: object) -> dict:
    return {"plugins": {"todo": {"tests": tests} | more}}


def narrow(world, **more: object) -> dict:
    """The service token with few scopes and bounds that tests know nothing of."""
    return {"tokens": {"chatgpt": declared(world.service, scopes=["listTodos"], **more)}}


def start(world, tests: list[dict], **more: object) -> None:
    changes = todo(tests) | narrow(world, rate="1/day", networks=["192.0.2.0/24"], expires="2030-01-01T00:00:00Z") | METRICS
    world.start(changes | more)


def accepted(world, changes: dict) -> None:
    """A candidate serves; whoever noticed it first."""
    generation = world.gateway.generation()
    world.change(changes)
    ran = world.gateway.reload()
    assert ran.json["result"] in ("published", "unchanged"), ran
    assert world.gateway.generation() == generation + 1


def rejected(world, tests: list[dict], *said: str, **more: object) -> str:
    """A candidate with these tests is refused, and what served goes on."""
    generation = world.gateway.generation()
    world.change(todo(tests, description="Changed.", **more))
    ran = world.gateway.reload()
    assert (ran.code, ran.json["result"], ran.json["stage"]) == (1, "refused", "self-test"), ran
    for text in said:
        assert text in ran.json["text"], ran.json["text"]
    problem = ran.json["problems"][0]
    assert problem["file"].endswith("plugway.toml") and problem["line"] > 1 and problem["column"] > 1
    assert f"plugway.toml:{problem['line']}:{problem['column']}" in ran.json["text"]
    assert world.gateway.generation() == generation
    assert description(world.session()) == "Manage your to-dos."
    return ran.json["text"]


def test_what_holds_serves_and_leaves_no_trace(world):
    start(world, HOLD)
    accepted(world, todo(HOLD, description="Another."))
    world.upstream.settle()
    assert world.upstream.requests == [], "nothing is sent without `upstream = true`"
    page = Page(world)
    assert page.sum("plugway_requests_total") == 0
    assert page.sum("plugway_token_requests_total") == 0
    assert world.gateway.lines() == []
    shown = world.gateway.command("token", "list", "--json").out
    assert "self-test" not in shown


FAIL = [
    ({"request": "GET /todos", "as": "anonymous", "expect": 200}, ["`GET /todos` as anonymous is answered with 401 (missing_token), not with 200"]),
    ({"request": "DELETE /todos/7", "as": "chatgpt", "expect": 200}, ["as chatgpt is answered with 403 (insufficient_scope)"]),
    ({"request": "GET /todos", "as": "service", "expect": 403}, ["would be sent to the upstream, not answered with 403", "mend `auth.require`"]),
    ({"request": "GET /search", "as": "user", "expect": 404}, ["would be sent to the upstream, not answered with 404", "it is published"]),
    ({"request": "GET /nowhere", "as": "service", "expect": 200}, ["`GET /nowhere` matches no published operation and no document", "print openapi"]),
    ({"request": "PUT /todos", "as": "service", "expect": 200}, ["405 (method_not_allowed)"]),
    ({"request": "GET /a//b", "as": "service", "expect": 404}, ["400 (ambiguous_path)"]),
    ({"request": "GET /openapi.json", "as": "anonymous", "expect": 401}, ["is answered with 200, not with 401"]),
]


@pytest.mark.parametrize(("failing", "said"), FAIL, ids=[f"{test['request']} as {test['as']}" for test, _ in FAIL])
def test_what_does_not_hold_is_refused_where_it_is_written(world, failing, said):
    start(world, HOLD)
    rejected(world, [*HOLD, failing], *said)
    accepted(world, todo(HOLD, description="Mended."))


def test_a_change_elsewhere_that_breaks_a_test(world):
    start(world, HOLD)
    rejected(world, HOLD, "`GET /todos` as user", "403 (wrong_level)", auth={"require": "service"})
    search = {"request": "GET /search", "as": "user", "expect": 200}
    rejected(world, [*HOLD, search], "`GET /search` matches no published", openapi={"exclude": ["search"]}, auth={"require": "any"})


def test_levels_and_documents_behind_a_token(world):
    world.start(todo([
        {"request": "GET /todos", "as": "service", "expect": 403},
        {"request": "GET /todos", "as": "user", "expect": 200},
        {"request": "GET /openapi.json", "as": "anonymous", "expect": 401},
        {"request": "GET /openapi.json", "as": "user", "expect": 200},
        {"request": "GET /whatever/there/is", "as": "user", "expect": 200},
        {"request": "GET /whatever/there/is", "as": "anonymous", "expect": 401},
    ], auth={"require": "user", "header": "X-API-Key"}, documents="token", openapi={"unpublished": "forward"}))


ASK = [
    {"request": "GET /todos?limit=1", "as": "service", "expect": 200, "upstream": True},
    {"request": "POST /todos", "as": "alice", "expect": 201, "upstream": True, "body": '{"title": "x"}'},
    {"request": "GET /todos", "as": "anonymous", "expect": 401, "upstream": True},
]


def asked(world) -> list[str]:
    world.upstream.settle()
    found = sorted(f"{request.method} {request.target}" for request in world.upstream.requests)
    world.upstream.forget()
    return found


def test_upstream_is_asked_once_and_never_sees_a_token(world):
    world.upstream.on("POST", "/todos", Reply(201))
    world.start(METRICS)
    world.upstream.forget()
    accepted(world, todo(ASK, description="Asked."))
    world.upstream.settle()
    for request in world.upstream.requests:
        assert request.get("authorization") is None
        assert request.get("x-plugway-principal") in ("self-test", "alice")
        if request.method == "POST":
            assert (request.body, request.get("content-type")) == (b'{"title": "x"}', "application/json")
    assert asked(world) == ["GET /todos?limit=1", "POST /todos"]
    assert Page(world).sum("plugway_requests_total") == 0
    assert world.gateway.lines() == []
    # Nothing changed: nothing is asked.
    assert world.gateway.reload().json["result"] == "unchanged"
    assert asked(world) == []


def test_upstream_that_answers_something_else_is_refused_and_asked_again(world):
    world.start(narrow(world) | METRICS)
    world.upstream.on("GET", "/todos", Reply(500, body=b"no"))
    rejected(world, ASK[:1], "`GET /todos?***` as service is answered with 500, not with 200")
    world.upstream.on("GET", "/todos", Reply(200))
    assert world.gateway.reload().json["result"] == "published"


def test_upstream_that_is_down_or_slow(world, new_upstream):
    world.start(narrow(world))
    other = new_upstream()
    other.stop()
    rejected(world, ASK[:1], "502 (upstream_unreachable)", upstream={"url": other.url}, openapi={"source": f"{world.upstream.url}/openapi.json"})
    world.upstream.on("GET", "/todos", lambda request: request.conn.wait_gone())
    slow = ASK[0] | {"timeout": "300ms"}
    # Control answers while it waits.
    world.change(todo([slow | {"timeout": "30s"}], description="Waits.", upstream={"url": world.upstream.url}))
    eventually(lambda: [r for r in world.upstream.requests if r.path == "/todos"])
    assert world.gateway.command("status").code in (0, 3)
    rejected(world, [slow], "is not answered: not within 0.3 s", upstream={"url": world.upstream.url})


def test_at_the_start_a_test_that_fails_is_told(world):
    with pytest.raises(NotReady) as ended:
        start(world, [{"request": "GET /todos", "as": "anonymous", "expect": 200}])
    assert ended.value.ran.code == 4
    assert "is answered with 401 (missing_token), not with 200" in ended.value.ran.out
    world.upstream.on("GET", "/todos", Reply(503))
    with pytest.raises(NotReady) as ended:
        start(world, ASK[:1])
    assert "is answered with 503, not with 200" in ended.value.ran.out


def test_check_runs_what_needs_no_upstream(world):
    world.upstream.on("POST", "/todos", Reply(201))
    start(world, [*HOLD, *ASK])
    asked(world)
    good = run("check", "--config", "plugway.toml", cwd=world.folder)
    assert good.code == 0, good
    world.change(todo([{"request": "GET /todos", "as": "anonymous", "expect": 200}]))
    bad = run("check", "--config", "plugway.toml", "--json", cwd=world.folder)
    assert bad.code == 4 and "401 (missing_token)" in bad.out
    assert asked(world) == []


def test_a_document_that_is_not_there_leaves_the_tests_out(world):
    world.upstream.on("GET", "/openapi.json", Reply(500))
    start(world, HOLD)
    warnings = world.gateway.status()["warnings"]
    assert any("its tests are left out" in warning["message"] for warning in warnings), warnings


def test_a_document_that_changes_under_a_test_is_a_warning(world):
    start(world, HOLD)
    world.upstream.document = copy.deepcopy(world.upstream.document)
    del world.upstream.document["paths"]["/todos"]["get"]
    ran = world.gateway.reload()
    assert ran.json["result"] == "published", ran
    assert "matches no published operation and no document" in ran.json["warnings"]


def test_tokens_are_unknown_outside(world):
    """What the self-test presents opens nothing in the gateway that serves."""
    world.upstream.may_see_secrets = True
    seen: list[str] = []

    def note(request):
        seen.append(request.get("authorization") or "")
        return Reply(200)

    world.upstream.on("GET", "/todos", note)
    world.start(narrow(world) | todo(ASK[:1], upstream={"url": world.upstream.url, "credential": "pass"}))
    assert len(seen) == 1 and seen[0].startswith("Bearer pls_")
    refusal(world.session().get("/todos", token=seen[0].removeprefix("Bearer ")), 401, "invalid_token")
    refusal(world.session().get("/todos", token=token()), 401, "invalid_token")
