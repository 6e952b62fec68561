"""The image: what is in it, and that it runs with a read-only root as an ordinary user. Its root is assembled by the
script that the Dockerfile calls; an engine is not needed, root is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import plugway
from clients import TIMEOUT
from image import REPOSITORY, USER, Contained, assemble, entering, size
from materials import Certificates, base, sha256, token

assert os.geteuid() == 0, "mounts and chroot are for root"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return assemble(tmp_path_factory.mktemp("image") / "root")


@pytest.fixture
def run(root, tmp_path) -> Iterator[object]:
    """Starts gateways in the image, with a `state` and a `certs` of this test."""
    made: list[Contained] = []

    def start(*arguments: str, env: dict[str, str] | None = None, **more: Path) -> Contained:
        volumes = {f"/plugway/{name}": tmp_path / name for name in ("state", "certs")}
        volumes |= {f"/plugway/{name}": path for name, path in more.items()}
        made.append(Contained(root, list(arguments), volumes, env))
        return made[-1]

    yield start
    for gateway in made:
        gateway.stop()


def get(gateway: Contained, path: str, bearer: str, ca: Path) -> httpx.Response:
    host, port = gateway.address("https")
    verify = ssl.create_default_context(cafile=str(ca))
    return httpx.get(f"https://localhost:{port}{path}", headers={"Authorization": f"Bearer {bearer}"},
                     verify=verify, timeout=TIMEOUT, trust_env=False)


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


def test_what_is_in_it(root):
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    libraries = {name for name in files if re.fullmatch(r"lib(64)?/([a-z0-9_]+-linux-gnu/)?(ld-|lib)[a-z0-9_-]+\.so\.\d+", name)}
    assert files - libraries == {
        "bin/plugway", "etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt"}
    assert 3 <= len(libraries) <= 8, libraries
    assert {root.joinpath("plugway", name).stat().st_uid for name in ("state", "certs")} == {USER}
    assert "BEGIN CERTIFICATE" in (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    if "/debug/" not in plugway.binary():
        assert size(root) < 30e6, size(root)


def test_the_dev_plugin_answers_over_tls(run, tmp_path):
    gateway = run("dev", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0")
    assert gateway.identity() == (USER,) * 4
    assert gateway.is_read_only("/") and not gateway.is_read_only("/plugway/state")
    tokens = json.loads((tmp_path / "certs/dev-tokens.json").read_text())
    got = get(gateway, "/todos", tokens["service"], tmp_path / "certs/ca.pem")
    assert got.status_code == 200 and isinstance(got.json(), (dict, list))
    assert get(gateway, "/todos", token(), tmp_path / "certs/ca.pem").status_code == 401
    assert gateway.inside("health", "--admin", "unix:state/dev/admin.sock").code == 0


def test_serve_with_what_is_mounted(run, tmp_path, upstream, service, user):
    """The configuration in a folder of its own, as the Dockerfile's `PLUGWAY_CONFIG` says."""
    certificates = Certificates()
    certificates.issue(tmp_path / "certs")
    ca = certificates.write_ca(tmp_path / "ca.pem")
    config = base("${env:UPSTREAM}", service, user)
    config["listen"]["http"] = "127.0.0.1:${env:PORT}"
    plugway.write(tmp_path / "config", config)
    for name in ("server.pem", "server.key"):
        os.chown(tmp_path / "certs" / name, USER, USER)
    env = {"PLUGWAY_CONFIG": "/plugway/config/plugway.toml", "PORT": "0", "UPSTREAM": upstream.url}
    gateway = run("serve", env=env, config=tmp_path / "config")
    upstream.secrets |= {service, user}
    assert get(gateway, "/todos", service, ca).status_code == 200
    # What the Dockerfile's HEALTHCHECK runs.
    assert gateway.inside("health").code == 0
    # A change is taken, and tokens are kept, where only the volumes can be written.
    config["plugins"]["todo"]["description"] = "Another."
    plugway.write(tmp_path / "config", config)
    ran = gateway.inside("reload")
    assert ran.code == 0, ran
    made = gateway.inside("token", "create", "--name", "new", "--level", "service", "--plugin", "todo", "--scope", "*", "--json")
    assert made.code == 0, made
    assert get(gateway, "/todos", made.json["secret"], ca).status_code == 200


def test_without_a_gateway_the_health_command_fails(root, run, tmp_path):
    gateway = run("dev", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0")
    assert gateway.inside("health", "--admin", "unix:state/nothing.sock").code == 1


def test_a_program_behind_it_in_the_same_image(root, tmp_path, service):
    """The one program in the image is plugway: its own to-do API is what is started behind it."""
    front, behind, tls = free_ports(3)
    program = ("/bin/plugway", "dev", "--auth", "none", "--http", f"127.0.0.1:{behind}", "--https", f"127.0.0.1:{tls}")
    command = ("/bin/plugway", "serve", "--upstream", f"http://127.0.0.1:{behind}", "--require", "service",
               "--http", f"127.0.0.1:{front}", "--", *program)
    volumes = {f"/plugway/{name}": tmp_path / name for name in ("state", "certs")}
    env = plugway.environment({"PLUGWAY_TOKEN_SHA256": sha256(service)})
    with open(tmp_path / "log", "w+b") as log:
        process = subprocess.Popen(entering(root, volumes, *command), env=env, stdout=log, stderr=log)
        try:
            def answered() -> bool:
                assert process.poll() is None, (tmp_path / "log").read_text()
                try:
                    got = httpx.get(f"http://127.0.0.1:{front}/todos", headers={"Authorization": f"Bearer {service}"}, trust_env=False)
                except httpx.ConnectError:
                    return False
                return got.status_code == 200

            plugway.eventually(answered)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(plugway.PATIENCE) == 0
    assert service not in (tmp_path / "log").read_text()


def test_in_an_image_with_another_libc(root, tmp_path):
    """As docs/fly.md has it for Alpine: glibc comes along, in folders that nobody else has there."""
    other = tmp_path / "alpine"
    (other / "usr/local/bin").mkdir(parents=True)
    shutil.copy(root / "bin/plugway", other / "usr/local/bin/plugway")
    libraries = next((root / "lib").rglob("libc.so.6")).parent
    for folder in {libraries, loader(root).parent}:
        shutil.copytree(folder, other / folder.relative_to(root), dirs_exist_ok=True)
    ran = subprocess.run(["chroot", other, "/usr/local/bin/plugway", "--version"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and ran.stdout.startswith("plugway "), ran


def loader(root: Path) -> Path:
    """Where the binary wants it."""
    return next(path for folder in ("lib64", "lib") for path in (root / folder).glob("ld-*"))


def test_the_dockerfile_and_the_script_agree():
    """What stands in both, and that every base is fixed."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    bases = [line for line in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) if line != "scratch"]
    assert bases and all(re.fullmatch(r"[a-z]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}", name) for name in bases), bases
    assert f"USER {USER}:{USER}" in dockerfile and "deploy/image/rootfs" in dockerfile
    assert f"owner={USER}" in (REPOSITORY / "deploy/image/rootfs").read_text()
    toolchain = re.search(r'^rust-version = "([0-9.]+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert bases[0].startswith(f"rust:{toolchain}."), "the toolchain of Cargo.toml"
