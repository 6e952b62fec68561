"""Fixtures: a folder, an upstream, certificates, and gateways that must end well."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("clients", "upstreams", "plugway")

import materials
import plugway
from clients import Session, Wire
from materials import Certificates, merge
from plugway import Gateway
from upstreams import Upstream


def pytest_configure() -> None:
    if not os.access(plugway.binary(), os.X_OK):
        pytest.exit(f"there is no {plugway.binary()}: build it, or name another with PLUGWAY_BIN", 3)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket in it has to have one too."""
    path = Path(tempfile.mkdtemp(prefix="pw-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def new_upstream() -> Iterator[Callable[..., Upstream]]:
    made: list[Upstream] = []

    def make(document: object = materials.DOCUMENT, **more: object) -> Upstream:
        made.append(Upstream(document, **more))
        return made[-1]

    yield make
    for upstream in made:
        upstream.stop()
    for upstream in made:
        upstream.check()


@pytest.fixture
def upstream(new_upstream) -> Upstream:
    return new_upstream()


@pytest.fixture
def service() -> str:
    return materials.token("service")


@pytest.fixture
def user() -> str:
    return materials.token("user")


class World:
    """Makes gateways, and clients of the last one."""

    def __init__(self, folder: Path, upstream: Upstream, certificates: Certificates, service: str, user: str):
        self.folder, self.upstream, self.certificates = folder, upstream, certificates
        self.service, self.user = service, user
        self.gateways: list[Gateway] = []
        self.config: dict = {}
        self.kind = Gateway
        certificates.issue(folder / "certs")
        upstream.secrets |= {service, user}

    @property
    def gateway(self) -> Gateway:
        return self.gateways[-1]

    def base(self, changes: dict | None = None) -> dict:
        return merge(materials.base(self.upstream.url, self.service, self.user), changes or {})

    def start(self, changes: dict | None = None, env: dict[str, str] | None = None) -> Gateway:
        """`plugway serve` with the base configuration and changes to it."""
        self.config = self.base(changes)
        plugway.write(self.folder, self.config)
        return self.run("serve", "--config", "plugway.toml", env=env)

    def plugin(self, changes: dict, env: dict[str, str] | None = None) -> Gateway:
        """The same, with changes to the plugin only."""
        return self.start({"plugins": {"todo": changes}}, env)

    def weaker(self, changes: dict) -> Gateway:
        """The same, where the plugin lets in more than before."""
        self.config = self.base({"plugins": {"todo": changes}})
        plugway.write(self.folder, self.config)
        return self.run("serve", "--config", "plugway.toml", "--weaker")

    def run(self, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Gateway:
        gateway = self.kind(cwd or self.folder, [*arguments, "--json"], env)
        gateway.secrets |= {self.service, self.user}
        self.gateways.append(gateway)
        self.upstream.forget()
        return gateway

    def dev(self, *arguments: str, folder: Path | None = None, host: str = "127.0.0.1") -> Gateway:
        """`plugway dev` in a folder of its own."""
        folder = folder or self.folder / "dev"
        folder.mkdir(exist_ok=True)
        return self.run("dev", "--http", f"{host}:0", "--https", f"{host}:0", *arguments, cwd=folder)

    def change(self, changes: dict) -> None:
        """Writes the configuration anew, with further changes."""
        self.config = merge(self.config, changes)
        plugway.write(self.folder, self.config)

    def session(self, **more: object) -> Session:
        if more.get("tls", True):
            more.setdefault("ca", self.certificates.client())
        return Session(self.gateway, **more)

    def wire(self, tls: bool = False, host: str = "localhost") -> Wire:
        return Wire(self.gateway, self.certificates.client() if tls else None, host)


@pytest.fixture
def world(folder, upstream, certificates, service, user) -> Iterator[World]:
    world = World(folder, upstream, certificates, service, user)
    yield world
    faults = []
    for gateway in world.gateways:
        try:
            gateway.stop()
        except AssertionError as error:
            faults.append(error)
    if faults:
        raise faults[0]


@pytest.fixture(params=["http/1.1", "http/2"])
def http2(request) -> bool:
    """Each test that asks for it runs over both versions."""
    return request.param == "http/2"
