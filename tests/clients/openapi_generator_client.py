"""openapi-generator: `generate -g python` with its own validation, the package imported, one method called."""

from __future__ import annotations

import importlib
import inspect
import shutil
import subprocess
import sys
import tempfile
import typing
from pathlib import Path

import common
import openapi_generator_cli
from generated import fitting

JAR = Path(openapi_generator_cli.__file__).with_name("openapi-generator.jar")
NUMBER = iter(range(1_000_000))
WITHOUT = "apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false"


def generate(job: dict, folder: Path, package: str) -> None:
    done = subprocess.run(
        ["java", "-Xmx1500m", f"-Djavax.net.ssl.trustStore={job['store']}", "-Djavax.net.ssl.trustStorePassword=changeit", "-jar", JAR, "generate", "-i", job["source"], "-g", "python",
         "-o", folder, "--package-name", package, "--global-property", WITHOUT],
        capture_output=True, text=True, timeout=job["patience"], check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
        told = [line for line in lines if line.startswith(("-", "Caused by", "Exception", "Error"))] or lines[-2:]
        raise RuntimeError(f"exit code {done.returncode}: {' '.join(told[:4])}")


def load(job: dict):
    folder = Path(tempfile.mkdtemp(prefix="og-"))
    package = f"generated_{next(NUMBER)}"
    try:
        generate(job, folder, package)
        sys.path.insert(0, str(folder))
        root = importlib.import_module(package)
        methods: dict = {}
        for file in sorted((folder / package).rglob("*.py")):
            name = ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
            module = importlib.import_module(name)
            if not name.startswith(f"{package}.api."):
                continue
            for api in (c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == name):
                for method, function in inspect.getmembers(api, inspect.isfunction):
                    if not method.startswith("_") and not method.endswith(("_with_http_info", "_without_preload_content")):
                        methods[common.normal(method)] = (api, method, function)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    def call(wanted: dict) -> None:
        api, method, function = methods[common.normal(wanted["operation"])]
        hints = {common.normal(n): (n, h) for n, h in typing.get_type_hints(inspect.unwrap(function), include_extras=True).items()}
        arguments: dict = {}
        for parameter in wanted["parameters"]:
            wish = common.normal(parameter["name"])
            name, hint = hints[wish if wish in hints else f"var{wish}"]
            arguments[name] = fitting(parameter["value"], hint)
        if wanted["body"]:
            given = {common.normal(p["name"]) for p in wanted["parameters"]}
            name, hint = next((n, h) for k, (n, h) in hints.items() if k not in given and not n.startswith("_") and n != "return")
            arguments[name] = fitting(wanted["body"]["value"], hint)
        configuration = root.Configuration(access_token=common.token(), ssl_ca_cert=common.authority())
        with root.ApiClient(configuration) as client:
            getattr(api(client), method)(**arguments)

    return list(methods), call


common.run(load)
