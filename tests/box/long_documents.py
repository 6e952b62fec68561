"""`tests/long documents`: what reading, selecting, publishing and compiling a document costs, for
the largest real ones and for made ones of 100, 1,000 and 10,000 operations. Prints figures; a
document that is lost fails it, and one that takes ten times its size in memory; a time never does."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import plugway
from plugway import replace

SPECS = Path(__file__).resolve().parent.parent / "specs"


def made(operations: int) -> dict:
    """Operations with parameters, a body and responses; each tenth has a schema of its own."""
    reference = {"$ref": "#/components/schemas/S0"}
    content = {"application/json": {"schema": reference}}
    paths = {}
    for number in range(operations):
        schema = {"$ref": f"#/components/schemas/S{number // 10}"}
        paths[f"/r{number // 4}/{{id}}/x{number % 4}"] = {"post": {
            "operationId": f"op{number}", "summary": f"Does number {number}", "tags": [f"t{number % 20}"],
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 20}},
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"200": {"description": "ok", "content": content}, "404": {"description": "none"}},
        }}
    schemas = {f"S{number}": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "description": f"The name of {number}"}, "size": {"type": ["integer", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}}}} for number in range(operations // 10 + 1)}
    return {"openapi": "3.1.0", "info": {"title": "Made", "version": "1"}, "paths": paths, "components": {"schemas": schemas}}


def check(source: Path) -> tuple[int, float, float]:
    """Operations, seconds of CPU and MiB at the peak, of one `plugway check`."""
    with tempfile.TemporaryDirectory(prefix="pw-") as folder:
        config = {
            "listen": {"http": "127.0.0.1:0"},
            "plugins": {"made": {"hosts": ["localhost"], "upstream": {"url": "http://127.0.0.1:9"},
                                 "openapi": {"source": f"file:{source}"}, "auth": {"require": "none"}}},
        }
        plugway.write(Path(folder), config)
        ran = subprocess.run([sys.executable, "-S", "-c", MEASURE, plugway.binary(), "check", "--config", "plugway.toml", "--json"],
                             cwd=folder, capture_output=True, check=True, timeout=300)
        code, cpu, memory = ran.stderr.decode().splitlines()[-1].split()
        assert code == "0", ran.stdout
        [plugin] = json.loads(ran.stdout)["plugins"]
        return plugin["operations"], float(cpu), int(memory) / 1024


# A process begins with the peak of the one that it was forked from, so a small one forks.
MEASURE = """
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=sys.stderr)
"""


def test_what_a_document_costs() -> None:
    with tempfile.TemporaryDirectory(prefix="pw-") as folder:
        rows = []
        for number in (1, 100, 1_000, 10_000):
            path = Path(folder) / f"{number}.json"
            replace(path, json.dumps(made(number)))
            rows.append((f"{number} operations", path, number))
        rows += [("openai.yaml", SPECS / "openai.yaml", 288), ("box.json", SPECS / "box.json", 276)]
        _, floor_cpu, floor_memory = check(rows[0][1])
        print(f"\nnothing but the process: {floor_cpu * 1000:.0f} ms, {floor_memory:.0f} MiB\n")
        print("| document | size | CPU | CPU per operation | memory over the process | times its size |")
        print("|---|---|---|---|---|---|")
        for name, path, expected in rows[1:]:
            figures = [check(path) for _ in range(3)]
            assert all(operations == expected for operations, _, _ in figures), (name, figures)
            cpu = min(cpu for _, cpu, _ in figures) - floor_cpu
            memory = min(memory for _, _, memory in figures) - floor_memory
            size = path.stat().st_size / 2**20
            if path.parent == SPECS:
                assert memory < 10 * size, (name, memory, size)
            print(f"| {name} | {size:.2f} MiB | {cpu * 1000:.0f} ms | {cpu / expected * 1e6:.0f} µs | {memory:.0f} MiB | {memory / size:.1f} |")
