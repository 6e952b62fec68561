"""`tests/long cold`: from exec to the first authorised answer with ten plugins, resident memory when idle in a control
group of 256 MiB, beside Debian's nginx and Caddy in front of the same API, and the size of the image. Needs root."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import image
import plugway
from materials import base, declared, token

STARTS = 100
PLUGINS = 10
LIMIT = 256 << 20
SETTLED = 3.0
"""Seconds after the last request at which memory is looked at: what a runtime gives back it gives back by then."""
PORT = 39381
AUTHORITIES = {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
"""As in the image, which has this file and no folder of single ones."""

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  upstream api {{ server {api}; keepalive 16; }}
{servers}
}}
"""
SERVER = """
  server {{ listen 127.0.0.1:{port}; server_name {host};
    location / {{ if ($http_authorization != "Bearer {token}") {{ return 401; }}
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://api; }} }}
"""
CADDY = """
{{
  admin off
  auto_https off
}}
{servers}
"""
SITE = """
http://{host}:{port} {{
  bind 127.0.0.1
  @known header Authorization "Bearer {token}"
  handle @known {{
    reverse_proxy {api}
  }}
  respond 401
}}
"""


def host(number: int) -> str:
    return f"api{number}.example.com"


class Part:
    """One program: how it is started in front of the API, on one core, as the smallest Machine has it."""

    def __init__(self, name: str, command: list[str | Path], folder: Path):
        self.name, self.command, self.folder = name, ["taskset", "--cpu-list", "0", *command], folder

    @contextmanager
    def started(self, group: Group | None = None) -> Iterator[subprocess.Popen]:
        command = self.command if group is None else group.entering(self.command)
        process = subprocess.Popen(command, cwd=self.folder, env=plugway.environment({"HOME": str(self.folder), **AUTHORITIES}),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(plugway.PATIENCE)


def plugway_part(folder: Path, api: str, service: str) -> Part:
    config = base(f"http://{api}", service, token("user"))
    plugin = config["plugins"].pop("todo")
    config["plugins"] = {f"todo{n}": plugin | {"hosts": [host(n)]} for n in range(PLUGINS)}
    config["listen"] = {"http": f"127.0.0.1:{PORT}"}
    config["tokens"] = {"chatgpt": declared(service, plugins=["*"])}
    config["log"] = {"access": "off"}
    config["plugins"] = {name: entry | {"auth": {"require": "service"}} for name, entry in config["plugins"].items()}
    del config["tls"]
    plugway.write(folder, config)
    return Part("plugway", [plugway.binary(), "serve", "--config", "plugway.toml"], folder)


def nginx_part(folder: Path, api: str, service: str) -> Part:
    servers = "".join(SERVER.format(port=PORT, host=host(n), token=service) for n in range(PLUGINS))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, api=api, servers=servers))
    return Part("nginx", [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", folder / "nginx.conf", "-p", folder], folder)


def caddy_part(folder: Path, api: str, service: str) -> Part:
    servers = "".join(SITE.format(port=PORT, host=host(n), token=service, api=api) for n in range(PLUGINS))
    (folder / "Caddyfile").write_text(CADDY.format(servers=servers))
    return Part("caddy", ["caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"], folder)


# --- control groups ---


class Group:
    """A control group with a limit of memory: version 1 where that controller is mounted, else version 2."""

    def __init__(self, name: str):
        old = Path("/sys/fs/cgroup/memory")
        self.old = old.is_dir()
        self.path = (old if self.old else Path("/sys/fs/cgroup")) / f"plugway-{os.getpid()}-{name}"
        self.path.mkdir()
        limit = "memory.limit_in_bytes" if self.old else "memory.max"
        (self.path / limit).write_text(str(LIMIT))

    def entering(self, command: list[str | Path]) -> list[str]:
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh", *map(str, command)]

    def resident(self) -> dict[str, int]:
        """Bytes of all its processes (proc_pid_status(5)): all, those of their own, and those of files, which the
        kernel takes back when it needs them. What several processes share counts for each."""
        total = dict.fromkeys(("VmRSS", "RssAnon", "RssFile"), 0)
        for pid in (self.path / "cgroup.procs").read_text().split():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                name = line.partition(":")[0]
                if name in total:
                    total[name] += int(line.split()[1]) << 10
        return total

    def close(self) -> None:
        plugway.eventually(lambda: not (self.path / "cgroup.procs").read_text())
        self.path.rmdir()


# --- measuring ---


def ask(service: str, number: int) -> int:
    """The status of one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=plugway.PATIENCE) as sock:
        sock.sendall(f"GET /todos HTTP/1.1\r\nHost: {host(number)}\r\nAuthorization: Bearer {service}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while piece := sock.recv(65536):
            got += piece
        return int(got.split(b" ", 2)[1])


def cold(part: Part, service: str, new: bool = True) -> float:
    """Milliseconds from exec to the first 200. On a machine that is `new` nothing is there from before."""
    if new:
        shutil.rmtree(part.folder / "state", ignore_errors=True)
    begun = time.monotonic()
    with part.started():
        while True:
            try:
                if ask(service, PLUGINS - 1) == 200:
                    return (time.monotonic() - begun) * 1e3
            except ConnectionRefusedError:
                pass
            assert time.monotonic() - begun < plugway.PATIENCE, part.name
            time.sleep(0.0005)


def idle(part: Part, service: str) -> dict[str, int]:
    """Resident bytes when nothing is asked any more."""
    group = Group(part.name)
    try:
        with part.started(group):
            plugway.eventually(lambda: answered(service))
            for number in range(20 * PLUGINS):
                assert ask(service, number % PLUGINS) == 200
            time.sleep(SETTLED)
            return group.resident()
    finally:
        group.close()


def answered(service: str) -> bool:
    try:
        return ask(service, PLUGINS - 1) == 200
    except ConnectionRefusedError:
        return False


def test_cold(new_upstream, folder, service):
    api = new_upstream()
    api.may_see_secrets = True  # the others pass the token on
    parts = []
    for make in (plugway_part, nginx_part, caddy_part):
        place = folder / make.__name__
        place.mkdir()
        parts.append(make(place, api.authority, service))
    times: dict[str, list[float]] = {name: [] for name in ("plugway", "plugway, its state kept", "nginx", "caddy")}
    # In turns: what else the machine does then meets all of them.
    for _ in range(STARTS):
        for part in parts:
            times[part.name].append(cold(part, service))
        times["plugway, its state kept"].append(cold(parts[0], service, new=False))
    memory = {part.name: idle(part, service) for part in parts}
    root = image.assemble(folder / "root")
    print(f"\nfrom exec to the first 200, {PLUGINS} plugins, {STARTS} starts; resident when idle within {LIMIT >> 20} MiB")
    for name, taken in times.items():
        cuts = statistics.quantiles(taken, n=100)
        print(f"  {name:24} p50 {cuts[49]:6.1f} ms   p99 {cuts[98]:6.1f} ms")
    for name, found in memory.items():
        all_, own, files = (size / 2**20 for size in found.values())
        print(f"  {name:24} {all_:5.1f} MiB resident: {own:.1f} of its own, {files:.1f} of files")
    print(f"image: {image.size(root) / 1e6:.1f} MB")
    assert statistics.quantiles(times["plugway"], n=100)[49] < 100
    assert memory["plugway"]["VmRSS"] < 20 << 20
    assert image.size(root) < 30e6
