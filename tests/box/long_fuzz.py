"""Bytes of any kind as OpenAPI documents, grown from the real ones: no panic, no hang, bounded
memory. `tests/long fuzz [SECONDS]`; needs a nightly compiler."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "tests" / "specs"
FUZZ = ROOT / "fuzz"
TOOLS = ROOT / "tests" / ".env" / "cargo"
TARGET = "document"
# Longest input; mutation of longer ones is slow.
LONGEST = 16 * 1024
# Operations cut out of one document.
OPERATIONS = 24
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace", "query")


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


def seeds(folder: Path) -> int:
    """Writes what mutation begins with: small documents whole, operations of large ones."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0

    def keep(name: str, content: bytes) -> None:
        nonlocal count
        if len(content) <= LONGEST:
            (folder / re.sub(r"[^A-Za-z0-9.]+", "-", name)).write_bytes(content)
            count += 1

    for file in sorted(SPECS.rglob("*")):
        if file.suffix not in (".json", ".yaml", ".yml") or "metaschemas" in file.parts or file.name == "ai-plugin.json":
            continue
        keep(str(file.relative_to(SPECS)), file.read_bytes())
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
            keep(f"{file.name}-{number}", text.encode())
    return count


def cargo_fuzz() -> str:
    """The program; installed if it is missing."""
    if found := shutil.which("cargo-fuzz"):
        return found
    program = TOOLS / "bin" / "cargo-fuzz"
    if not program.exists():
        subprocess.run(["cargo", "install", "--locked", "--quiet", "cargo-fuzz", "--root", TOOLS], check=True)
    return str(program)


def main() -> int:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    corpus, seeded = FUZZ / "corpus" / TARGET, FUZZ / "corpus" / "seeds"
    corpus.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(seeded, ignore_errors=True)
    print(f"{seeds(seeded)} seeds", flush=True)
    # No unsafe code is in the gateway, so that the address sanitizer would only slow it down.
    command = [cargo_fuzz(), "run", "--sanitizer", "none", TARGET, str(corpus), str(seeded), "--",
               f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=5", "-rss_limit_mb=1024",
               f"-dict={FUZZ / 'openapi.dict'}", "-print_final_stats=1", "-verbosity=1"]
    environment = os.environ | {"RUSTUP_TOOLCHAIN": os.environ.get("FUZZ_TOOLCHAIN", "nightly")}
    run = subprocess.Popen(command, cwd=FUZZ, env=environment, stderr=subprocess.PIPE, text=True, errors="replace")
    last, reports = "", []
    for line in run.stderr:
        if " cov: " in line:
            last = line.strip()
        if not line.startswith("#") or "DONE" in line or "pulse" in line:
            reports.append(line)
    code = run.wait()
    print("".join(reports[-400:] if code else [line for line in reports if line.startswith("stat::")]), end="")
    print(f"last state: {last}")
    if code:
        print("a finding is in fuzz/artifacts; reproduce it with the command above, and make it a unit test")
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
