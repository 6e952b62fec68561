"""Who is let in, and what the others are told: the table of credentials row by row, and every way
to give a token."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

from clients import refusal
from materials import declared, sha256, token
from plugway import eventually, replace

REALM = 'Bearer realm="todo"'
PAST = datetime.now(timezone.utc) - timedelta(days=2)
FUTURE = datetime.now(timezone.utc) + timedelta(days=2)


def check(response, status: int, code: str, challenge: str) -> None:
    refusal(response, status, code)
    assert response.headers["www-authenticate"] == challenge


# --- the table ---


def test_no_credential(world, http2):
    world.start()
    client = world.session(http2=http2)
    for method, path in [("GET", "/todos"), ("HEAD", "/todos"), ("POST", "/todos"), ("DELETE", "/todos/7")]:
        check(client.request(method, path), 401, "missing_token", REALM)
    assert world.upstream.requests == []


def test_malformed_doubled_and_other_schemes(world, http2):
    world.start()
    client = world.session(http2=http2)
    good = f"Bearer {world.service}"
    values = [
        ["Basic dXNlcjpwYXNz"], ["Bearer"], [f"Token {world.service}"], [world.service],
        [f"Bearer {world.service} x"], [f"Bearer  {world.service}, Bearer x"], ["Bearer a b"],
        [good, good], [good, "Basic dXNlcjpwYXNz"], ["Digest username=x", good],
    ]
    for value in values:
        got = client.get("/todos", headers=[("Authorization", line) for line in value])
        check(got, 401, "malformed_token", f'{REALM}, error="invalid_request"')
    assert world.upstream.requests == []


def test_unknown(world, http2):
    world.start()
    client = world.session(http2=http2)
    flipped = world.service[:-1] + ("a" if world.service[-1] != "a" else "b")
    for secret in (token(), token("user"), "x", flipped, world.service[:-1], world.service + "0", world.service.upper(), "chatgpt", sha256(world.service)):
        got = client.get("/todos", headers={"Authorization": f"Bearer {secret}"})
        check(got, 401, "invalid_token", f'{REALM}, error="invalid_token"')
    assert world.upstream.requests == []


def test_real_but_ended_tells_its_holder_why(world, http2):
    ended, early, live = token(), token(), token()
    world.start({"tokens": {
        "ended": declared(ended, expires=PAST), "early": declared(early, not_before=FUTURE),
        "live": declared(live, expires=FUTURE, not_before=PAST),
    }})
    client = world.session(http2=http2)
    told = {}
    for secret in (ended, early):
        got = client.get("/todos", token=secret)
        refusal(got, 401, "invalid_token")
        challenge = got.headers["www-authenticate"]
        assert challenge.startswith(f'{REALM}, error="invalid_token", error_description="'), challenge
        told[secret] = challenge.split('error_description="')[1].rstrip('"')
    assert "expired" in told[ended]
    assert told[early] != told[ended] and "valid" in told[early]
    assert client.get("/todos", token=live).status_code == 200
    assert len(world.upstream.requests) == 1


def test_wrong_level(world, http2):
    for require, good, bad in [("service", world.service, world.user), ("user", world.user, world.service)]:
        world.plugin({"auth": {"require": require}})
        client = world.session(http2=http2)
        check(client.get("/todos", token=bad), 403, "wrong_level", f'{REALM}, error="insufficient_scope", scope="listTodos"')
        assert client.get("/todos", token=good).status_code == 200
        world.gateway.stop()


def test_wrong_plugin_and_scope(world, http2):
    other, narrow, tagged, route = token(), token(), token(), token()
    world.start({
        "plugins": {
            "todo": {"hosts": ["todo.test"]},
            "other": {"hosts": ["other.test"], "upstream": {"url": world.upstream.url}, "auth": {"require": "service"}},
        },
        "tokens": {
            "other": declared(other, plugins=["other"]), "narrow": declared(narrow, scopes=["listTodos"]),
            "tagged": declared(tagged, scopes=["tag:write"]), "route": declared(route, scopes=["GET /todos/{id}"]),
        },
    })
    client = world.session(http2=http2, tls=False, host="todo.test")
    challenge = f'{REALM}, error="insufficient_scope", scope="addTodo"'
    check(client.post("/todos", token=other), 403, "wrong_plugin", challenge)
    check(client.post("/todos", token=narrow), 403, "insufficient_scope", challenge)
    assert client.get("/todos", token=narrow).status_code == 200
    assert client.request("HEAD", "/todos", token=narrow).status_code == 200
    assert client.post("/todos", token=tagged).status_code == 200
    refusal(client.get("/todos", token=tagged), 403, "insufficient_scope")
    assert client.get("/todos/7", token=route).status_code == 200
    refusal(client.request("DELETE", "/todos/7", token=route), 403, "insufficient_scope")
    assert len(world.upstream.requests) == 4


# --- what is a credential ---


def test_a_token_elsewhere_is_no_credential(world, http2):
    world.start()
    # A client that does this gets its own token sent on, since nobody can tell: it is asked not to.
    client = world.session(http2=http2)
    secret = world.service
    for path in (f"/todos?access_token={secret}", f"/todos?token={secret}", f"/todos?Authorization=Bearer%20{secret}"):
        refusal(client.get(path), 401, "missing_token")
    refusal(client.get("/todos", headers={"Cookie": f"access_token={secret}; Authorization={secret}"}), 401, "missing_token")
    refusal(client.post("/todos", data={"access_token": secret}), 401, "missing_token")
    for name in ("X-API-Key", "X-Authorization", "Proxy-Authorization", "Authorization_"):
        refusal(client.get("/todos", headers={name: f"Bearer {secret}"}), 401, "missing_token")
    assert world.upstream.requests == []


def test_a_header_of_ones_own(world, http2):
    world.plugin({"auth": {"header": "X-API-Key"}})
    client = world.session(http2=http2)
    assert client.get("/todos", headers={"X-API-Key": world.service}).status_code == 200
    assert world.upstream.last.all("x-api-key") == []
    assert client.get("/todos", headers={"x-api-key": world.service}).status_code == 200
    elsewhere = client.get("/todos", headers={"Authorization": f"Bearer {world.service}"})
    refusal(elsewhere, 401, "missing_token")
    assert elsewhere.headers["www-authenticate"].startswith(REALM)
    refusal(client.get("/todos", headers={"X-API-Key": token()}), 401, "invalid_token")
    refusal(client.get("/todos", headers=[("X-API-Key", world.service)] * 2), 401, "malformed_token")
    document = client.get("/openapi.json").json()
    [scheme] = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["in"], scheme["name"].lower()) == ("apiKey", "header", "x-api-key")


# --- require ---


def test_require_any(world, http2):
    world.plugin({"auth": {"require": "any"}})
    client = world.session(http2=http2)
    for secret, level, name in [(world.service, "service", "chatgpt"), (world.user, "user", "alice")]:
        assert client.get("/todos", token=secret).status_code == 200
        assert (world.upstream.last.get("x-plugway-level"), world.upstream.last.get("x-plugway-principal")) == (level, name)
    assert client.get("/.well-known/ai-plugin.json").json()["auth"]["type"] == "user_http"


def test_require_none(world, http2):
    world.plugin({"auth": {"require": "none"}})
    client = world.session(http2=http2)
    assert client.get("/todos", headers={"X-Plugway-Principal": "forged"}).status_code == 200
    assert world.upstream.last.all("x-plugway-token") == []
    assert client.get("/todos", token=world.service).status_code == 200
    assert world.upstream.last.get("x-plugway-principal") == "chatgpt"
    check(client.get("/todos", token=token()), 401, "invalid_token", f'{REALM}, error="invalid_token"')
    check(client.get("/todos", headers={"Authorization": "Basic eDp5"}), 401, "malformed_token", f'{REALM}, error="invalid_request"')


def test_require_upstream(world, http2):
    world.plugin({"auth": {"require": "upstream"}})
    client = world.session(http2=http2)
    check(client.get("/todos"), 401, "missing_token", REALM)
    for credential in ("Bearer theirs", "Basic dXNlcjpwYXNz", "Digest username=x"):
        assert client.get("/todos", headers={"Authorization": credential}).status_code == 200
        assert world.upstream.last.all("authorization") == [credential]
    assert client.get("/.well-known/ai-plugin.json").json()["auth"]["type"] == "user_http"


@pytest.mark.parametrize("require", ["none", "service", "any"])
def test_documents_that_hide(world, http2, require):
    world.plugin({"documents": "token", "auth": {"require": require}})
    client = world.session(http2=http2)
    for path in ("/.well-known/ai-plugin.json", "/openapi.json", "/openapi-3.0.yaml", "/.well-known/api-catalog"):
        refusal(client.get(path), 401, "missing_token")
        refusal(client.get(path, token=token()), 401, "invalid_token")
        assert client.get(path, token=world.service).status_code == 200
    assert client.get("/healthz").status_code == 200


# --- ways to give a token ---


def test_secrets_by_reference(world, http2):
    from_env, from_file, foreign = token(), token(), "some-key-of-another-maker"
    (world.folder / "secret").write_text(f"{from_file}\n")
    common = {"level": "service", "plugins": ["*"], "scopes": ["*"]}
    world.start({"tokens": {
        "from-env": common | {"secret": "${env:TOKEN}"},
        "from-file": common | {"secret": "${file:secret}"},
        "foreign": common | {"sha256": sha256(foreign)},
    }}, env={"TOKEN": from_env})
    client = world.session(http2=http2)
    for name, secret in [("from-env", from_env), ("from-file", from_file), ("foreign", foreign)]:
        world.upstream.secrets.add(secret)
        assert client.get("/todos", token=secret).status_code == 200
        assert world.upstream.last.get("x-plugway-token") == name


def test_two_secrets_of_one_token(world, http2):
    new, old, gone = token(), token(), token()
    common = {"level": "service", "plugins": ["todo"], "scopes": ["*"]}
    world.start({"tokens": {
        "rotating": common | {"secrets": [{"sha256": sha256(new)}, {"sha256": sha256(old), "until": FUTURE}]},
        "rotated": common | {"secrets": [{"sha256": sha256(token())}, {"sha256": sha256(gone), "until": PAST}]},
    }})
    client = world.session(http2=http2)
    for secret, slot in [(new, "current"), (old, "previous")]:
        got = client.get("/todos", token=secret)
        assert got.status_code == 200
        assert world.upstream.last.get("x-plugway-token") == "rotating"
        assert world.gateway.line(got.headers["x-request-id"])["slot"] == slot
    refusal(client.get("/todos", token=gone), 401, "invalid_token")


def test_a_token_file_is_watched(world, http2):
    def line(secret: str, **more: object) -> str:
        fields = {"level": "service", "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(secret)}
        return json.dumps(fields | more) + "\n"

    first, second, past, revoked = token(), token(), token(), token()
    path = world.folder / "tokens.jsonl"
    path.write_text(
        "# tokens\n" + line(first, id="pls_ab12cd34", name="Zapier")
        + line(past, id="pls_00000001", expires=PAST.isoformat()) + line(revoked, id="pls_00000002", state="revoked")
    )
    world.start({"token_files": ["tokens.jsonl"]})
    client = world.session(http2=http2)
    assert client.get("/todos", token=first).status_code == 200
    assert world.upstream.last.get("x-plugway-token") == "pls_ab12cd34"
    assert world.upstream.last.get("x-plugway-principal") == "Zapier"
    for secret, reason in [(past, "expired"), (revoked, "revoked")]:
        got = client.get("/todos", token=secret)
        refusal(got, 401, "invalid_token")
        assert reason in got.headers["www-authenticate"]
    refusal(client.get("/todos", token=second), 401, "invalid_token")

    replace(path, line(second))
    eventually(lambda: client.get("/todos", token=second).status_code == 200)
    assert world.upstream.last.get("x-plugway-token").startswith("plf_")
    refusal(client.get("/todos", token=first), 401, "invalid_token")

    replace(path, line(second) + '{"level": "service", "plugns": []}\n')
    refused = world.gateway.await_refusal()
    assert "tokens.jsonl:2:" in refused["text"]
    assert client.get("/todos", token=second).status_code == 200


# --- what curl says ---


def test_curl_over_both_versions(world):
    world.start()
    ca = world.certificates.write_ca(world.folder / "ca.pem")
    _, port = world.gateway.address("https")

    def curl(*arguments: str) -> tuple[str, str, str]:
        done = subprocess.run(
            ["curl", "-sS", "--cacert", str(ca), "--noproxy", "*", "-o", "-", "-w", "\n%{http_code} %{http_version}",
             *arguments, f"https://localhost:{port}/todos"],
            capture_output=True, text=True, timeout=20, check=True,
        )
        body, _, last = done.stdout.rpartition("\n")
        status, version = last.split(" ")
        return body, status, version

    for flag, version in [("--http1.1", "1.1"), ("--http2", "2")]:
        body, status, spoken = curl(flag, "-H", f"Authorization: Bearer {world.service}")
        assert (status, spoken) == ("200", version)
        assert json.loads(body)["target"] == "/todos"
        assert curl(flag)[1] == "401"
        assert curl(flag, "-u", f"user:{world.service}")[1] == "401"
        assert curl(flag, "--tls-max", "1.2", "-H", f"Authorization: Bearer {world.service}")[1] == "200"
