"""A gibibyte up and a gibibyte down, over both HTTP versions: whole, and without being held."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from upstreams import Reply, head

BLOCK = os.urandom(1 << 20)
BLOCKS = 1024
MOST = 100 << 10
"""KiB of resident memory at the peak."""


def whole() -> str:
    made = hashlib.sha256()
    for _ in range(BLOCKS):
        made.update(BLOCK)
    return made.hexdigest()


def peak(pid: int) -> int:
    """KiB, the highest since the process began."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_gibibyte(world, version):
    received = []

    def send(request):
        request.conn.send(head(200, [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(BLOCK) * BLOCKS))]))
        for _ in range(BLOCKS):
            request.conn.send(BLOCK)

    def take(request):
        made = hashlib.sha256()
        for piece in request.pieces():
            made.update(piece)
        received.append(made.hexdigest())
        return Reply(200)

    world.upstream.on("GET", "/files/big", send)
    world.upstream.on("PUT", "/files/big", take, early=True)
    world.start({"limits": {"body_bytes": "2GiB"}})
    ca = world.certificates.write_ca(world.folder / "ca.pem")
    port = world.gateway.address("https")[1]
    url = f"https://localhost:{port}/files/big"
    curl = ["curl", "-sS", "--fail-with-body", version, "--cacert", str(ca), "-H", f"Authorization: Bearer {world.service}"]
    pid = world.gateway.process.pid
    idle = peak(pid)

    begun, cpu = time.monotonic(), seconds(pid)
    down = subprocess.Popen([*curl, url], stdout=subprocess.PIPE)
    made = hashlib.sha256()
    while piece := down.stdout.read(1 << 20):
        made.update(piece)
    assert down.wait() == 0
    assert made.hexdigest() == whole()
    down_took, down_cpu = time.monotonic() - begun, seconds(pid) - cpu

    begun, cpu = time.monotonic(), seconds(pid)
    up = subprocess.Popen([*curl, "-X", "PUT", "-T", "-", url], stdin=subprocess.PIPE)
    for _ in range(BLOCKS):
        up.stdin.write(BLOCK)
    up.stdin.close()
    assert up.wait() == 0
    assert received == [whole()]
    up_took, up_cpu = time.monotonic() - begun, seconds(pid) - cpu

    print(f"\n{version[2:]}: down {down_took:.1f} s ({down_cpu:.2f} s CPU), up {up_took:.1f} s ({up_cpu:.2f} s CPU), "
          f"resident at the start {idle >> 10} MiB, at the peak {peak(pid) >> 10} MiB")
    assert peak(pid) < MOST
