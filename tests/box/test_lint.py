"""`check --profile`: what clients' own limits make of the documents as they are served."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import plugway
from materials import DOCUMENT, document, merge, operation
from plugway import run

FIELDS = {"profile", "severity", "rule", "place", "pointer", "message", "limit", "actual", "help"}
PROFILES = ["plugin", "actions", "copilot", "security-copilot"]
PUBLIC = {
    "hosts": ["todo.example.com"], "public_url": "https://todo.example.com", "legal": "https://example.com/legal",
    "logo": "https://todo.example.com/logo.png",
    "auth": {"require": "service", "verification_tokens": {"openai": "0123456789"}},
    "openapi": {"source": "doc.json"},
}
SMALL = document(paths={path: item for path, item in DOCUMENT["paths"].items() if path in ("/todos", "/search")})


def write(world, made: dict = SMALL, **changes: object) -> None:
    """A plugin that the internet reaches, with this document."""
    world.certificates.issue(world.folder / "certs", "todo.example.com")
    (world.folder / "doc.json").write_text(json.dumps(made))
    plugway.write(world.folder, world.base({"plugins": {"todo": merge(PUBLIC, changes)}}))


def check(world, *arguments: str):
    return run("check", "--config", "plugway.toml", *arguments, cwd=world.folder)


def breaches(world, *arguments: str) -> list[dict]:
    ran = check(world, "--json", *arguments)
    assert ran.code == 0, ran
    [plugin] = ran.json["plugins"]
    assert plugin["lint_error"] is None
    for breach in plugin["lint"]:
        assert set(breach) == FIELDS and all(breach.values()), breach
        assert breach["severity"] in ("error", "warning")
    return plugin["lint"]


def told(found: list[dict]) -> Counter:
    return Counter((breach["profile"], breach["severity"], breach["rule"]) for breach in found)


def test_a_document_that_all_take(world):
    write(world)
    assert breaches(world, "--profile", "all") == []
    assert check(world, "--profile", "all", "--strict").code == 0
    assert "lint" not in check(world, "--json").json["plugins"][0], "it was not asked for"


def test_a_breach_is_told_with_place_limit_actual_and_mend(world):
    tenant = {"name": "X-Tenant", "in": "header", "required": True, "schema": {"type": "string"}}
    paths = SMALL["paths"] | {"/tenants": {"get": operation("listTenants", parameters=[tenant])}}
    write(world, document(paths=paths))
    [breach] = breaches(world, "--profile", "actions")
    assert (breach["severity"], breach["rule"]) == ("error", "parameter-dropped")
    assert breach["place"] == "GET /tenants (listTenants), header parameter `X-Tenant`"
    assert breach["pointer"] == "/openapi.json#/paths/~1tenants/get/parameters/0"
    assert breach["limit"] == "path and query parameters" and breach["actual"] == "required header parameter"

    lax = check(world, "--profile", "actions")
    assert lax.code == 0, "an error of a client is no fault of the configuration"
    for part in ("actions: 1 error, 0 warnings", *(breach[key] for key in FIELDS - {"profile"})):
        assert part in lax.out, part
    assert "0 problems, 0 warnings; of its documents: 1 error, 0 warnings" in lax.out
    assert check(world, "--profile", "actions", "--strict").code == 4
    assert check(world, "--strict").code == 0, "who asks for no profile is told of none"


def test_profiles_are_chosen(world):
    write(world, document(paths=SMALL["paths"] | {f"/x/{i}": {"get": operation(f"x{i}")} for i in range(40)}))
    expected = {("plugin", "error", "operations"), ("actions", "error", "operations"), ("copilot", "warning", "operations")}
    assert set(told(breaches(world, "--profile", "all"))) == expected
    assert set(told(breaches(world, "--profile", "copilot,actions"))) == {e for e in expected if e[0] != "plugin"}
    assert set(told(breaches(world, "--profile", "copilot", "--profile", "copilot"))) == {("copilot", "warning", "operations")}
    assert breaches(world, "--profile", "security-copilot") == []
    text = check(world, "--profile", "all").out
    order = [text.index(f"\n  {profile}: ") for profile in PROFILES]
    assert order == sorted(order), "grouped by profile"


@pytest.mark.parametrize("name", ["mcp", "chatgpt", "", "Plugin"])
def test_an_unknown_profile(world, name):
    write(world)
    ran = check(world, "--profile", name)
    assert ran.code == 2, ran
    assert name == "" or all(profile in ran.err for profile in [*PROFILES, "all"]), "those that there are"


def test_documents_are_those_that_are_served(world):
    """A path of the API is not the gateway's, and the credential is the plugin's own."""
    write(world, auth={"header": "X-API-Key"})
    found = told(breaches(world, "--profile", "all"))
    assert found == {(profile, "error", "auth-header"): 1 for profile in ("plugin", "security-copilot")}
    write(world, auth={"require": "user", "verification_tokens": None})
    assert told(breaches(world, "--profile", "all")) == {("security-copilot", "error", "auth-kind"): 1}
    write(world, documents="token")
    assert {rule for _, _, rule in told(breaches(world, "--profile", "all"))} == {"documents-guarded"}
    write(world, publish=["openapi"])
    assert told(breaches(world, "--profile", "plugin")) == {("plugin", "error", "manifest-missing"): 1}
    write(world, public_url="https://todo.example.com:8443", hosts=None)
    assert told(breaches(world, "--profile", "actions")) == {("actions", "error", "origin-port"): 1}
    write(world, public_url=None, hosts=None)
    assert {rule for _, _, rule in told(breaches(world, "--profile", "all"))} == {"origin-local"}


def test_documents_that_are_not_there(world):
    write(world, openapi={"source": "/openapi.json"})
    world.upstream.document = None
    ran = check(world, "--profile", "all", "--json")
    [plugin] = ran.json["plugins"]
    assert ran.code == 0 and plugin["lint"] == [] and "no OpenAPI document yet" in plugin["lint_error"]
    assert "no profile was looked at" in check(world, "--profile", "all").out
    assert check(world, "--profile", "all", "--strict").code == 4, "nobody knows whether they are good"
    write(world, publish=["manifest"])
    [plugin] = check(world, "--profile", "all", "--json").json["plugins"]
    assert plugin["lint"] == [] and "does not publish" in plugin["lint_error"]


def test_a_refused_configuration_has_no_documents(world):
    write(world, auth={"require": "nobody"})
    ran = check(world, "--profile", "all", "--json")
    assert (ran.code, ran.json["valid"], ran.json["plugins"]) == (4, False, [])
