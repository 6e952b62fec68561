"""openapi-python-client: `generate`, every module imported, and one function called."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
import typing
from pathlib import Path

import common
from generated import fitting

COMMAND = Path(sys.executable).with_name("openapi-python-client")
DROPPED = re.compile(r"WARNING parsing (\S+ \S+) within .*? Endpoint will not be generated\.\s+(.+)")


def generate(job: dict, folder: Path, package: str) -> str:
    """Generates a package; what the generator said."""
    option = "--url" if job["source"].startswith("https:") else "--path"
    done = subprocess.run(
        [COMMAND, "generate", option, job["source"], "--output-path", folder / package, "--meta", "none"],
        capture_output=True, text=True, timeout=job["patience"], check=False, cwd=folder,
        env={**os.environ, "PATH": f"{COMMAND.parent}:/usr/bin:/bin", "COLUMNS": "1000", "NO_COLOR": "1"},
    )
    said = done.stdout + done.stderr
    if done.returncode:
        last = [line for line in said.splitlines() if line.strip()]
        raise RuntimeError(f"exit code {done.returncode}: {' '.join(last[-3:])}")
    return said


NUMBER = iter(range(1_000_000))


def load(job: dict):
    folder = Path(tempfile.mkdtemp(prefix="opc-"))
    package = f"generated_{next(NUMBER)}"
    try:
        said = generate(job, folder, package)
        sys.path.insert(0, str(folder))
        functions = {}
        for module in pkgutil.walk_packages([str(folder / package)], f"{package}."):
            loaded = importlib.import_module(module.name)
            if hasattr(loaded, "sync_detailed"):
                functions[common.normal(module.name.rpartition(".")[2])] = loaded
        client = importlib.import_module(f"{package}.client")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    dropped = DROPPED.findall(said)
    if dropped:
        place, why = dropped[0]
        job["said"] = f"{place}: {why}"

    def call(wanted: dict) -> None:
        function = functions[common.normal(wanted["operation"])].sync_detailed
        hints = {common.normal(name): (name, hint) for name, hint in typing.get_type_hints(function).items()}
        arguments: dict = {}
        for parameter in wanted["parameters"]:
            wish = common.normal(parameter["name"])
            key = wish if wish in hints else next(k for k in (f"{wish}{parameter['in']}", f"{parameter['in']}{wish}") if k in hints)
            name, hint = hints[key]
            arguments[name] = fitting(parameter["value"], hint)
        if wanted["body"]:
            arguments["body"] = fitting(wanted["body"]["value"], hints["body"][1])
        session = client.AuthenticatedClient(base_url=job["origin"], token=common.token(), raise_on_unexpected_status=True)
        response = function(client=session, **arguments)
        assert response.status_code < 300, response.status_code

    return list(functions), call


common.run(load)
