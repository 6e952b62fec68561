"""What lies in deploy/: every configuration is one, and what stands in two places is the same in both."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import plugway
from image import REPOSITORY
from materials import Certificates, sha256, token

DEPLOY = REPOSITORY / "deploy"
CONFIGS = sorted(path.relative_to(DEPLOY) for path in DEPLOY.rglob("plugway.toml"))
ENV = {"PORT": "8080", "FLY_APP_NAME": "todo-gateway", "CHATGPT_SHA256": sha256(token())}
WHERE = {"fly": "config", "compose": "config", "systemd": "."}
"""Where the file lies, relative to the directory that its own paths are relative to."""


@pytest.mark.parametrize("name", CONFIGS, ids=str)
def test_every_configuration_is_valid(folder, name):
    kind = name.parts[0]
    place = folder / WHERE[kind]
    place.mkdir(exist_ok=True)
    text = (DEPLOY / name).read_text()
    read = tomllib.loads(text)
    if "tls" in read:
        pair = folder / read["tls"]["certificate"]
        Certificates().issue(pair.parent, "todo.example.com")
    for path in re.findall(r"\$\{file:([^}]+)\}", text):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(token())
    # Nobody is asked for a document: whatever listens on this machine is not the API that is meant.
    (place / "plugway.toml").write_text(text.replace("127.0.0.1:8000", "127.0.0.1:1"))
    env = ENV if kind == "fly" else {}
    ran = plugway.run("check", "--json", "--config", f"{WHERE[kind]}/plugway.toml", cwd=folder, env=env)
    assert ran.code == 0, ran
    assert all("could not be looked at" in problem["message"] for problem in ran.json["problems"]), ran.out
    if kind == "fly":
        assert ran.json["platform"], "what follows from the platform is shown"


def flys() -> list[Path]:
    return sorted(DEPLOY.glob("fly/*/fly.toml"))


@pytest.mark.parametrize("path", flys(), ids=lambda path: path.parent.name)
def test_fly_and_plugway_agree(path):
    fly = tomllib.loads(path.read_text())
    own = tomllib.loads((path.parent / "plugway.toml").read_text().replace("${env:PORT}", fly.get("env", {}).get("PORT", "none")))
    listen = own["listen"]
    service = fly.get("http_service") or fly["services"][0]
    kind = "http" if "http_service" in fly else "https"
    # Both kinds of address: the edge comes by IPv4, other Machines by IPv6.
    assert listen[kind] == [f"0.0.0.0:{service['internal_port']}", f"[::]:{service['internal_port']}"]
    if "metrics" in fly:
        assert listen["metrics"] == f"0.0.0.0:{fly['metrics']['port']}"
    assert int(fly["kill_timeout"].rstrip("s")) > int(own["limits"]["drain"].rstrip("s"))
    assert own["trusted_proxies"] == "fly"
    if kind == "https":
        [port] = service["ports"]
        assert port["handlers"] == ["proxy_proto"] and listen["proxy_protocol"] == "optional"
        targets = {entry["guest_path"] for entry in fly["files"]}
        assert {f"/plugway/{own['tls'][key]}" for key in ("certificate", "key")} <= targets
    checks = service.get("checks") or service["http_checks"]
    assert [check["path"] for check in checks] == ["/readyz"]


def test_the_sidecar_is_two_containers():
    folder = DEPLOY / "fly/sidecar"
    fly = tomllib.loads((folder / "fly.toml").read_text())
    containers = {entry["name"]: entry for entry in json.loads((folder / fly["experimental"]["machine_config"]).read_text())["containers"]}
    assert fly["experimental"]["container"] in containers
    ours = containers["plugway"]
    assert ours["files"][0]["guest_path"] == "/plugway/config/plugway.toml"
    assert (folder / ours["files"][0]["local_path"]).exists()
    assert {entry["name"] for entry in ours["depends_on"]} <= set(containers)
    assert ours["healthchecks"][0]["exec"]["command"] == ["/bin/plugway", "health"]


def test_the_compose_file():
    folder = DEPLOY / "compose"
    file = yaml.safe_load((folder / "compose.yaml").read_text())
    ours = file["services"]["plugway"]
    assert ours["read_only"] and ours["cap_drop"] == ["ALL"]
    own = tomllib.loads((folder / "config/plugway.toml").read_text())
    port = own["listen"]["https"].rpartition(":")[2]
    assert ours["ports"] == [f"{port}:{port}"]
    assert own["plugins"]["todo"]["upstream"]["url"] == f"http://api:{file['services']['api']['expose'][0]}"
    assert (folder / ours["build"] / "Dockerfile").exists()
    targets = [volume.split(":")[1] for volume in ours["volumes"]]
    assert targets == ["/plugway/config", "/plugway/state"]
    assert set(file["volumes"]) == {"state"}


# --- systemd ---


@pytest.fixture
def units(folder) -> Path:
    """The units, with the binary under test."""
    for name in ("plugway.service", "plugway.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        (folder / name).write_text(text.replace("/usr/local/bin/plugway", plugway.binary()))
    return folder


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess:
    assert shutil.which("systemd-analyze"), "systemd-analyze is needed: see tests/run"
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_systemd_takes_the_units(units):
    ran = analyze("verify", units / "plugway.service", units / "plugway.socket")
    told = [line for line in ran.stderr.splitlines() if "plugway" in line]
    assert ran.returncode == 0 and not told, ran.stderr


def test_the_sandbox_is_tight(units):
    """systemd's own measure, from 0 (nothing is exposed) to 10."""
    ran = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", units / "plugway.service")
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_the_units_and_the_configuration_agree(units):
    own = tomllib.loads((DEPLOY / "systemd/plugway.toml").read_text())
    service, sockets = (units / "plugway.service").read_text(), (units / "plugway.socket").read_text()
    assert re.findall(r"^ListenStream=(.+)$", sockets, re.MULTILINE) == own["listen"]["https"]
    assert own["state"]["directory"] == "/var/lib/" + re.search(r"^StateDirectory=(.+)$", service, re.MULTILINE)[1]
    # The drain is the default here.
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", service, re.MULTILINE)[1]) > 25
