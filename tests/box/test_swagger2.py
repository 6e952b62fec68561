"""Swagger 2.0: what is published of each real document allows the same calls as what another
converter makes of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plugway import run, write

BOX = Path(__file__).resolve().parent
SPECS = BOX.parent / "specs"
FILES = sorted(path.relative_to(SPECS) for path in SPECS.glob("*.v2.*") if path.is_file())


def test_they_are_here():
    assert len(FILES) == 5


@pytest.mark.parametrize("file", [*FILES, Path("oai-petstore-separate.v2/spec/swagger.yaml")], ids=str)
def test_another_converter_allows_the_same_calls(folder, file):
    write(folder, {
        "listen": {"http": "127.0.0.1:0"},
        "plugins": {"old": {"hosts": ["localhost"], "upstream": {"url": "http://127.0.0.1:9"},
                            "openapi": {"source": f"file:{SPECS / file}", "cut": "none"}, "auth": {"require": "none"}}},
    })
    published = run("print", "openapi", "--config", "plugway.toml", cwd=folder)
    assert published.code == 0, published
    (folder / "published.json").write_text(published.out)
    ran = subprocess.run(
        ["node", str(BOX / "compare_swagger2.mjs"), str(SPECS / file), str(folder / "published.json")],
        env=os.environ | {"NODE_MODULES": str(BOX.parent / ".env/npm")}, capture_output=True, text=True, timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
