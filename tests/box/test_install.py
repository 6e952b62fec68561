"""The install of a plugin as its readers do it: from the manifest alone, for each kind of auth."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from openapi_spec_validator import validate

from clients import connection, refusal
from plugway import eventually, replace

MANIFEST = "/.well-known/ai-plugin.json"


class Installer:
    """Knows an origin and what a person pasted, and learns the rest."""

    def __init__(self, client):
        self.client = client

    def manifest(self) -> dict:
        got = self.client.get(MANIFEST)
        assert got.status_code == 200
        assert got.headers["content-type"] == "application/json"
        manifest = got.json()
        assert manifest["schema_version"] == "v1"
        assert re.fullmatch(r"[A-Za-z0-9_]{1,50}", manifest["name_for_model"])
        for field, most in [("name_for_human", 20), ("description_for_human", 100), ("description_for_model", 8000)]:
            assert 1 <= len(manifest[field]) <= most, field
        assert re.fullmatch(r"[^@\s]+@[^@\s]+", manifest["contact_email"])
        assert manifest["api"]["type"] == "openapi"
        host = urlsplit(self.client.origin).netloc
        for url in (manifest["api"]["url"], manifest["logo_url"], manifest["legal_info_url"]):
            assert urlsplit(url).netloc == host, url
        logo = self.client.get(self.path(manifest["logo_url"]))
        assert logo.status_code == 200 and logo.headers["content-type"].startswith("image/")
        assert self.client.get(self.path(manifest["legal_info_url"])).status_code == 200
        return manifest

    def path(self, url: str) -> str:
        assert url.startswith(self.client.origin + "/"), url
        return url[len(self.client.origin):]

    def document(self, manifest: dict) -> dict:
        got = self.client.get(self.path(manifest["api"]["url"]))
        assert got.status_code == 200 and got.headers["content-type"] == "application/json"
        document = got.json()
        assert document["openapi"] == "3.0.1"
        validate(document)
        return document

    def call(self, manifest: dict, document: dict, pasted: str | None):
        """Calls the first operation that needs no argument, as the manifest says."""
        base = document["servers"][0]["url"].rstrip("/")
        path, operation = next(
            (path, item["get"]) for path, item in document["paths"].items() if "get" in item and "{" not in path
        )
        assert re.fullmatch(r"[A-Za-z0-9_-]+", operation["operationId"])
        headers = {}
        if manifest["auth"]["type"] == "none":
            assert not operation.get("security")
        else:
            assert manifest["auth"]["authorization_type"] == "bearer"
            [[name]] = [list(requirement) for requirement in operation["security"]]
            scheme = document["components"]["securitySchemes"][name]
            assert (scheme["type"], scheme["scheme"].lower()) == ("http", "bearer")
            if pasted:
                headers["Authorization"] = f"Bearer {pasted}"
        return self.client.get(self.path(base + path), headers=headers)


@pytest.fixture
def installer(world, http2):
    return lambda: Installer(world.session(http2=http2))


def test_install_without_authentication(world, installer):
    world.plugin({"auth": {"require": "none"}})
    visitor = installer()
    manifest = visitor.manifest()
    assert manifest["auth"] == {"type": "none"}
    assert visitor.call(manifest, visitor.document(manifest), None).status_code == 200
    assert world.upstream.last.all("x-plugway-principal") in ([], ["anonymous"])


def test_install_with_a_user_token(world, installer):
    world.plugin({"auth": {"require": "user"}})
    visitor = installer()
    manifest = visitor.manifest()
    assert manifest["auth"] == {"type": "user_http", "authorization_type": "bearer"}
    document = visitor.document(manifest)
    refusal(visitor.call(manifest, document, None), 401, "missing_token")
    refusal(visitor.call(manifest, document, world.service), 403, "wrong_level")
    assert visitor.call(manifest, document, world.user).status_code == 200
    assert world.upstream.last.get("x-plugway-principal") == "alice"


@pytest.mark.parametrize("place", ["configuration", "file"])
def test_install_with_a_service_token_and_its_verification(world, installer, place):
    auth = {"require": "service"}
    if place == "file":
        (world.folder / "verification").write_text("none yet")
        auth["verification_tokens"] = {"openai": "${file:verification}"}
    world.plugin({"auth": auth})
    visitor = installer()
    manifest = visitor.manifest()
    assert manifest["auth"]["type"] == "service_http"
    document = visitor.document(manifest)
    refusal(visitor.call(manifest, document, None), 401, "missing_token")
    before = visitor.call(manifest, document, world.service)
    assert before.status_code == 200

    # The person pasted the token and got a verification token back, which goes into the manifest.
    verification = "e2d5d8e6a1a94ad2a9c5d7f3b1c0aa11"
    if place == "file":
        replace(world.folder / "verification", f"{verification}\n")
    else:
        world.change({"plugins": {"todo": {"auth": {"verification_tokens": {"openai": verification}}}}})
    eventually(lambda: visitor.manifest()["auth"].get("verification_tokens") == {"openai": verification})
    after = visitor.call(visitor.manifest(), document, world.service)
    assert after.status_code == 200
    assert connection(before) == connection(after)


def test_install_of_an_api_with_its_own_authorization(world, installer):
    oauth = {"client_url": "https://id.example/authorize", "authorization_url": "https://id.example/token",
             "scope": "todos", "authorization_content_type": "application/json"}
    world.plugin({"auth": {"require": "upstream", "oauth": oauth, "verification_tokens": {"openai": "abc"}}})
    visitor = installer()
    auth = visitor.manifest()["auth"]
    assert auth == {"type": "oauth", "verification_tokens": {"openai": "abc"}} | oauth
