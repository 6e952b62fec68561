"""What the fuzzer begins with, per target: messages and files as they should be, and the odd ones that
the tests of this folder have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

import materials
import test_hostile_http1
import test_hostile_upstream

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "tests" / "specs"
# Longest document; mutation of longer ones is slow.
LONGEST = 16 * 1024
# Operations cut out of one document.
OPERATIONS = 24
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace", "query")

Seed = tuple[str, bytes]
"""A name, and what is in it."""

# How a message is cut (src/http1/harness.rs): not at all, in one place, byte for byte.
WHOLE, TWO, BYTES = b"\0", b"\x0b\x00\x01", b"\x07"


def cut_each(texts: list[str]) -> Iterator[Seed]:
    """Good messages, each in every way."""
    for number, text in enumerate(texts):
        for cuts in (WHOLE, TWO, BYTES):
            yield f"good-{number}-{cuts.hex()}", text.encode() + cuts


class Text(yaml.SafeLoader):
    """Reads dates and times as text, as plugway does."""


Text.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":merge", ":value"))]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def references(value: object) -> Iterator[str]:
    """Every local `$ref` in it."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            yield reference
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolve(document: object, reference: str) -> object:
    """What it points to; None: nothing."""
    place = document
    for part in reference[2:].split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        place = place.get(part) if isinstance(place, dict) else None
    return place


def cut(document: dict, path: str, method: str) -> dict:
    """The document with one operation and what it refers to, as far as there is room."""
    item = document["paths"][path]
    kept = {name: value for name, value in item.items() if name not in METHODS or name == method}
    small = {name: document[name] for name in ("openapi", "swagger", "info", "servers", "basePath", "security") if name in document}
    small["paths"] = {path: kept}
    queue, seen = list(references(kept)), set()
    while queue and len(json.dumps(small, default=str)) < LONGEST // 2:
        reference = queue.pop(0)
        if reference in seen or (value := resolve(document, reference)) is None:
            continue
        seen.add(reference)
        parts = [part.replace("~1", "/").replace("~0", "~") for part in reference[2:].split("/")]
        place = small
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value
        queue.extend(references(value))
    return small


def documents() -> Iterator[Seed]:
    """Small documents whole, operations of large ones."""
    for file in sorted(SPECS.rglob("*")):
        if file.suffix not in (".json", ".yaml", ".yml") or "metaschemas" in file.parts or file.name == "ai-plugin.json":
            continue
        yield str(file.relative_to(SPECS)), file.read_bytes()
        document = yaml.load(file.read_text(), Text) if file.suffix != ".json" else json.loads(file.read_text())
        places = [
            (path, method)
            for path, item in (document.get("paths") or {}).items() if isinstance(item, dict)
            for method in METHODS if method in item
        ]
        step = max(1, len(places) // OPERATIONS)
        for number, (path, method) in enumerate(places[::step]):
            small = cut(document, path, method)
            text = json.dumps(small, default=str) if number % 2 else yaml.safe_dump(small, sort_keys=False, width=1000)
            yield f"{file.name}-{number}", text.encode()


def odd(module: object) -> Iterator[list[str | bytes]]:
    """The texts of every parametrized test."""
    for test in vars(module).values():
        for mark in getattr(test, "pytestmark", []):
            if mark.name != "parametrize":
                continue
            for values in mark.args[1]:
                values = getattr(values, "values", values)
                values = values if isinstance(values, (list, tuple)) else [values]
                if texts := [value for value in values if isinstance(value, (str, bytes))]:
                    yield texts


def encoded(text: str | bytes) -> bytes:
    return text.encode("latin-1", "replace") if isinstance(text, str) else text


def requests() -> Iterator[Seed]:
    """What clients send, and what attackers do."""
    good = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a?b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n12345GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT http://a/ HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n"
        "5;a=b\r\n12345\r\n1\r\nx\r\n0\r\nx: y\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n\r\nCONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    yield from cut_each(good)
    for number, texts in enumerate(odd(test_hostile_http1)):
        texts = [encoded(text) for text in texts]
        request = b"".join(texts)
        if b" HTTP/" not in texts[0]:
            # Fields of a request, perhaps with its body; or a body in chunks.
            fields = texts[0] if b": " in texts[0] else b"Transfer-Encoding: chunked\r\n"
            body = b"".join(texts[1:] if b": " in texts[0] else texts)
            request = b"POST /todos HTTP/1.1\r\nHost: a\r\n" + fields.rstrip(b"\r\n") + b"\r\n\r\n" + body
        request = request.replace(b"{auth}", b"")[:LONGEST]
        yield f"odd-{number}", request + WHOLE
        yield f"odd-{number}-bytes", request + BYTES


def responses() -> Iterator[Seed]:
    """What upstreams answer, and what broken ones do."""
    good = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
        "HTTP/1.0 200 OK\r\n\r\nto the end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n5;a=b\r\n12345\r\n0\r\nx: y\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    ]
    yield from cut_each(good)
    for number, text in enumerate(good):
        # To a HEAD, and to a POST.
        yield f"good-{number}-head", text.encode() + b"\x08"
        yield f"good-{number}-post", text.encode() + b"\x10"
    for number, texts in enumerate(odd(test_hostile_upstream)):
        for part, text in enumerate(texts):
            if b"HTTP/1." in encoded(text):
                yield f"odd-{number}-{part}", encoded(text)[:LONGEST // 4] + WHOLE


def targets() -> Iterator[Seed]:
    """How the request comes, its method, target and host, and its fields (src/fuzzing/targets.rs)."""
    asked = [
        ("GET", "/todos"), ("POST", "/todos"), ("GET", "/todos/1?a=b"), ("DELETE", "/todos/%C3%A9"), ("HEAD", "/todos/count"),
        ("GET", "/files/a.json"), ("GET", "/%66iles/%61.json"), ("PUT", "/a%20b/1-2"), ("GET", "/raw/a%2Fb"), ("PATCH", "/raw/x;y"),
        ("GET", "/search?mode=safe&q=1"), ("GET", "/search?q=1&key=x"), ("GET", "http://todo.example/todos"),
        ("QUERY", "/not/Published%41"), ("OPTIONS", "/todos"), ("GET", "//todos"), ("GET", "/todos/../x"), ("GET", "/todos/%2e%2e"),
    ]
    fields = [
        "", "\naccept: */*\nuser-agent: x\ncookie: a\ncookie: b", "\nconnection: close, x-a\nx-a: 1\nkeep-alive: 5",
        "\nauthorization: Bearer x\nx-api-key: y\nproxy-authorization: z", "\nte: trailers\ntrailer: x-end\ntransfer-encoding: chunked",
        "\nupgrade: websocket\nconnection: upgrade\nsec-websocket-key: x", "\nx-plugway-principal: a\nx_plugway_token: b\nx-plugway-hops: 1",
        "\nx-forwarded-for: 1.2.3.4, 192.0.2.9\nx-forwarded-host: open.example\nx-forwarded-proto: https\nx-request-id: r2",
        "\nforwarded: for=\"[::1]:5\";host=open.example;proto=https", "\nx-removed: 1\nx-set: 2\nx_y: 3\nx.set: 4",
        "\ncontent-length: 7\ncontent-type: application/x-www-form-urlencoded\nexpect: 100-continue",
    ]
    ways = [2, 2 | 16, 2 | 1 << 2 | 32, 2 | 3 << 2, 0, 1 | 2 << 2]
    number = 0
    for method, target in asked:
        for host in ("todo.example", "open.example", "other.example:80"):
            way, field = ways[number % len(ways)], fields[number % len(fields)]
            yield f"{number}", bytes([way]) + f"{method}\n{target}\n{host}{field}".encode()
            number += 1
    for number, texts in enumerate(odd(test_hostile_http1)):
        if b": " in (line := encoded(texts[0]).strip()) and b"\r" not in line and b" HTTP/" not in line:
            yield f"odd-{number}", b"\x02GET\n/todos\ntodo.example\n" + line


def configurations() -> Iterator[Seed]:
    """The files of `config` and of `tests/config`; behind a NUL an included one."""
    for folder in ("config", "tests/config/valid", "tests/config/invalid"):
        for file in sorted((ROOT / folder).glob("*.toml")):
            yield f"{folder}-{file.name}", file.read_bytes()
    for file in sorted((ROOT / "tests/config/include").glob("*.toml")):
        yield f"included-{file.name}", b'include = ["plugins/*.toml"]\nlisten.http = "127.0.0.1:1"\n\0' + file.read_bytes()


def tokens() -> Iterator[Seed]:
    """Token files, credentials, and texts with tokens in them."""
    secret = [materials.sha256(text) for text in ("one", "two")]
    base = {"id": "a", "level": "service", "plugins": ["todo"], "scopes": ["listTodos", "tag:public", "POST /todos"]}
    one = base | {"sha256": secret[0]}
    times = {"not_before": "2026-01-01T00:00:00Z", "expires": "2030-01-01T00:00:00.5+02:00"}
    lines = [
        one, one | times, one | {"name": "Ünï", "note": "for people \u0001", "state": "suspended", "created_at": times["expires"], "created_by": "uid:0"},
        {"level": "admin", "plugins": ["*"], "sha256": secret[1]},
        one | {"rate": "10/s", "quota": "1000/day", "concurrency": 5, "networks": ["10.0.0.0/8", "::1", "192.0.2.7/24"]},
        one | {"state": "revoked", "revoked_at": times["not_before"], "revoked_by": "uid:0", "revoked_reason": "lost"},
        base | {"secrets": [
            {"sha256": secret[0], "since": times["not_before"], "elsewhere": True},
            {"sha256": secret[1], "slot": "previous", "until": times["expires"], "finish_when_idle_s": 60, "until_before": times["expires"]},
        ]},
    ]
    texts = [json.dumps(line, ensure_ascii=False) for line in lines]
    for number, text in enumerate(texts):
        yield f"line-{number}", text.encode() + WHOLE
    yield "file", ("\ufeff# all\r\n" + "\r\n\n ".join(texts)).encode() + WHOLE
    yield "escaped", json.dumps(lines[2]).encode() + WHOLE
    for level in ("service", "user", "admin"):
        token = materials.token(level)
        yield f"bearer-{level}", f"Bearer {token}".encode() + WHOLE
        yield f"text-{level}", f"key={token}\n\n x{token}y{token[1:]}pl{token}".encode() + BYTES


SEEDS = {
    "document": documents, "requests": requests, "responses": responses, "targets": targets, "config": configurations, "tokens": tokens,
}
