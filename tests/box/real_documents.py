"""The documents of tests/specs, each the document of a plugin of one gateway.

The plugins are told apart by addresses of the loopback network, so that every client reaches them
without a name server."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx

import plugway
from materials import Certificates, declared
from plugway import Gateway

SPECS = Path(__file__).resolve().parents[1] / "specs"
ROW = re.compile(r"^\| `([^`]+)` \| ([\d.]+) \| (\d+)(?: \((\d+)\))? \|", re.MULTILINE)
VERSIONS = {"3.1": "openapi", "3.0": "openapi-3.0"}
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True)
class Real:
    """One document, as the table of tests/specs/README.md has it."""

    file: str
    version: str
    operations: int
    """How many it has, those in its other files among them."""
    number: int

    @property
    def plugin(self) -> str:
        return re.sub(r"[^a-z0-9]+", "_", self.file.lower())

    @property
    def host(self) -> str:
        return f"127.0.1.{self.number}"

    @property
    def path(self) -> Path:
        return SPECS / self.file


def documents() -> list[Real]:
    rows = ROW.findall((SPECS / "README.md").read_text())
    return [Real(file, version, int(resolved or own), number) for number, (file, version, own, resolved) in enumerate(rows, 1)]


def operations(document: dict) -> list[tuple[str, str, dict]]:
    """Path, method and what stands there."""
    return [(path, method, item[method]) for path, item in document["paths"].items() for method in item if method in METHODS]


class Fleet:
    """A gateway with a plugin for each document that it reads."""

    def __init__(self, folder: Path, certificates: Certificates, upstream: str, secrets: dict[str, str]):
        self.folder, self.certificates = folder, certificates
        self.documents = documents()
        certificates.issue(folder / "certs", *(real.host for real in self.documents))
        with socket.create_server(("0.0.0.0", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.config = {
            "listen": {"https": f"0.0.0.0:{self.port}"},
            "tls": {"certificate": "certs/server.pem", "key": "certs/server.key"},
            "state": {"directory": "state"},
            "plugins": {real.plugin: {
                "upstream": {"url": upstream}, "public_url": self.origin(real),
                "openapi": {"source": f"file:{real.path}"}, "auth": {"require": "service"},
            } for real in self.documents},
            "tokens": {name: declared(secret, plugins=["*"]) for name, secret in secrets.items()},
        }
        self.refused, self.reports = self._checked()
        for real in self.documents:
            if real.file in self.refused:
                del self.config["plugins"][real.plugin]
        plugway.write(folder, self.config)
        self.gateway = Gateway(folder, ["serve", "--config", "plugway.toml", "--json"])
        self.gateway.secrets |= set(secrets.values())
        self.http = httpx.Client(verify=certificates.client(), trust_env=False, timeout=30)
        self.gateway.after.append(self.http.close)

    def origin(self, real: Real) -> str:
        return f"https://{real.host}:{self.port}"

    def _checked(self) -> tuple[dict[str, str], dict[str, dict]]:
        """What is refused, with the reason, and what `check` says about each of the others."""
        refused: dict[str, str] = {}
        by_plugin = {real.plugin: real.file for real in self.documents}
        while True:
            left = {name: plugin for name, plugin in self.config["plugins"].items() if by_plugin[name] not in refused}
            plugway.write(self.folder, self.config | {"plugins": left})
            ran = plugway.run("check", "--config", "plugway.toml", "--json", cwd=self.folder, patience=60)
            problems = [p for p in ran.json["problems"] if p["severity"] == "problem"]
            if not problems:
                assert ran.code == 0, ran
                return refused, {by_plugin[plugin["name"]]: plugin for plugin in ran.json["plugins"]}
            for problem in problems:
                name = re.fullmatch(r"plugins\.([a-z0-9_]+)\.openapi\..*", problem["key"] or "")
                assert name, problem
                refused[by_plugin[name[1]]] = problem["message"]

    def published(self, real: Real, version: str, ending: str = "json") -> str:
        response = self.http.get(f"{self.origin(real)}/{VERSIONS[version]}.{ending}")
        assert response.status_code == 200, response.text
        return response.text

    def stop(self) -> None:
        self.gateway.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def trust(folder: Path, certificates: Certificates) -> Path:
    """The authority's certificate in a file; what OpenSSL reads by default must be able to load it."""
    path = certificates.write_ca(folder / "ca.pem")
    ssl.create_default_context(cafile=str(path))
    return path
