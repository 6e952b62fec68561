"""What tests are made of: tokens, certificates, OpenAPI documents, configurations."""

from __future__ import annotations

import copy
import hashlib
import secrets
import ssl
import string
import zlib
from pathlib import Path

import trustme

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def token(level: str = "service") -> str:
    """A token of the gateway's own form: level, 8 of id, 32 of secret, 6 of checksum."""
    text = f"pl{level[0]}_" + "".join(secrets.choice(BASE62) for _ in range(40))
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return text + digits


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Certificates:
    """An authority, what it issues, and clients that trust it."""

    def __init__(self) -> None:
        self.authority = trustme.CA()

    def issue(self, folder: Path, *names: str, stem: str = "server") -> None:
        """Writes `STEM.pem` and `STEM.key`, the certificate in one step and last."""
        issued = self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
        folder.mkdir(parents=True, exist_ok=True)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        for ending, data in (("key", issued.private_key_pem.bytes()), ("pem", chain)):
            fresh = folder / f".{stem}.{ending}"
            fresh.write_bytes(data)
            fresh.replace(folder / f"{stem}.{ending}")

    def server(self, *names: str) -> ssl.SSLContext:
        """For an upstream."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def write_ca(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(str(path))
        return path


def operation(name: str, tags: list[str] | None = None, parameters: list[dict] | None = None) -> dict:
    made = {
        "operationId": name, "summary": f"Does {name}", "tags": tags or ["public"],
        "responses": {"200": {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}}},
    }
    if parameters:
        made["parameters"] = parameters
    return made


ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}

DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "The recorder", "version": "7.1", "description": "Records what it is asked."},
    "security": [{"theirs": []}],
    "paths": {
        "/todos": {"get": operation("listTodos"), "post": operation("addTodo", ["write"])},
        "/todos/{id}": {
            "parameters": [ID],
            "get": operation("getTodo"), "put": operation("putTodo", ["write"]),
            "delete": operation("deleteTodo", ["write"]), "patch": operation("patchTodo", ["write"]),
        },
        "/files": {"post": operation("upload", ["write"])},
        "/files/{id}": {"parameters": [ID], "get": operation("download"), "put": operation("putFile", ["write"])},
        "/search": {"get": operation("search", parameters=[{"name": "q", "in": "query", "schema": {"type": "string"}}])},
        "/events": {"get": operation("events")},
        "/slow": {"get": operation("slow"), "post": operation("slowPost", ["write"])},
        "/internal/reset": {"post": operation("reset", ["internal"])},
    },
    "components": {"securitySchemes": {"theirs": {"type": "apiKey", "in": "header", "name": "X-Theirs"}}},
}


def document(**changes: object) -> dict:
    made = copy.deepcopy(DOCUMENT)
    made.update(changes)
    return made


RETRIEVAL = {
    "openapi": "3.0.2",
    "info": {"title": "Retrieval Plugin API", "version": "1.0.0", "description": "Queries documents."},
    "paths": {
        "/query": {"post": operation("query_query_post")},
        "/upsert": {"post": operation("upsert_upsert_post", ["write"])},
        "/upsert-file": {"post": operation("upsert_file", ["write"])},
        "/delete": {"delete": operation("delete_delete_delete", ["write"])},
    },
}
"""The operations of the retrieval plugin, of which most are not for the model."""


def merge(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it; a value of `None` takes a key away."""
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def declared(secret: str, level: str = "service", **more: object) -> dict:
    """A token by its hash."""
    return {"level": level, "plugins": ["todo"], "scopes": ["*"], "sha256": sha256(secret)} | more


def base(upstream_url: str, service: str, user: str) -> dict:
    """A configuration with one plugin, `todo`, and a token of each level."""
    return {
        "listen": {"http": "127.0.0.1:0", "https": "127.0.0.1:0"},
        "tls": {"certificate": "certs/server.pem", "key": "certs/server.key"},
        "state": {"directory": "state"},
        "plugins": {"todo": {
            "name": "Todo List",
            "description": "Manage your to-dos.",
            "instructions": "Use it to list, add and remove to-dos.",
            "contact": "dev@example.com",
            "upstream": {"url": upstream_url},
            "openapi": {"source": "/openapi.json"},
            "auth": {"require": "any"},
        }},
        "tokens": {"chatgpt": declared(service), "alice": declared(user, "user")},
    }
