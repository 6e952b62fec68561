"""A platform in network namespaces: hosts on one private network with IPv4 and IPv6, a client outside, an edge between
them (HAProxy), and names (dnsmasq). Needs root. The addresses are of the ranges that Fly.io uses."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

import plugway
from clients import TIMEOUT
from plugway import Gateway, eventually

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = itertools.count(1)

DNS = "fdaa::3"
HOSTS = {
    "edge": ["172.19.0.2/16", "fdaa:0:1::2/16", "fdaa:0:1:f::1/16"],
    "gate": ["172.19.0.3/16", "fdaa:0:1::3/16"],
    "app": ["172.19.0.4/16", "fdaa:0:1:a::1/16", "fdaa:0:1:a::2/16", "fdaa:0:1:a::3/16"],
    "peer": ["fdaa:0:1::66/16"],
    "names": [f"{DNS}/16"],
}
"""What stands on the private network. The edge also has a public side, where the client is."""
EDGE, CLIENT = "203.0.113.1", "203.0.113.9"
GATE4, GATE6, PEER, FLYCAST = "172.19.0.3", "fdaa:0:1::3", "fdaa:0:1::66", "fdaa:0:1:f::1"
APP = ["fdaa:0:1:a::1", "fdaa:0:1:a::2", "fdaa:0:1:a::3"]


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found, f"{name} is needed: see tests/run"
    return found


def ip(*arguments: str) -> None:
    subprocess.run([program("ip"), *arguments], check=True, capture_output=True, text=True)


class Lab:
    """The network. Its namespaces are of this process and this lab alone."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.tag = f"pw{os.getpid()}n{next(NUMBERS)}"
        self.made: list[str] = []
        self.processes: list[subprocess.Popen] = []
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for host in ("hub", "client", *HOSTS):
            ip("netns", "add", self.name(host))
            self.made.append(host)
            self._ip(host, "link", "set", "lo", "up")
        self._ip("hub", "link", "add", "hub", "type", "bridge")
        self._ip("hub", "link", "set", "hub", "up")
        for host, addresses in HOSTS.items():
            self._ip("hub", "link", "add", f"to-{host}", "type", "veth", "peer", "name", "lan", "netns", self.name(host))
            self._ip("hub", "link", "set", f"to-{host}", "master", "hub", "up")
            self._plug(host, "lan", addresses)
        self._ip("client", "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", self.name("edge"))
        self._plug("client", "wan", [f"{CLIENT}/24"])
        self._plug("edge", "wan", [f"{EDGE}/24"])

    def _plug(self, host: str, link: str, addresses: list[str]) -> None:
        for address in addresses:
            # Nobody else has it: it can be used at once.
            self._ip(host, "address", "add", address, "dev", link, *(["nodad"] if ":" in address else []))
        self._ip(host, "link", "set", link, "up")

    def _ip(self, host: str, *arguments: str) -> None:
        ip("-n", self.name(host), *arguments)

    def name(self, host: str) -> str:
        return f"{self.tag}-{host}"

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Sockets that this thread makes are on this host; they stay there."""
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self.name(host)}") as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(here.fileno())

    def start(self, host: str, *command: str | Path) -> subprocess.Popen:
        """A program on this host, which ends with the lab."""
        self.processes.append(subprocess.Popen(
            [program("ip"), "netns", "exec", self.name(host), *command], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(self.folder / f"{host}.log", "ab")))
        return self.processes[-1]

    def answers(self, host: str, address: str, port: int) -> None:
        """Returns when something listens there."""
        def look() -> bool:
            with self.inside(host):
                try:
                    socket.create_connection((address, port), timeout=TIMEOUT).close()
                except ConnectionRefusedError:
                    return False
            return True

        eventually(look)

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(TIMEOUT)
        for host in self.made:
            subprocess.run([program("ip"), "netns", "delete", self.name(host)], check=False)
            shutil.rmtree(f"/etc/netns/{self.name(host)}", ignore_errors=True)


def enter(descriptor: int) -> None:
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Names:
    """What the private names mean. Hosts of the lab ask it and nobody else."""

    def __init__(self, lab: Lab, **names: list[str]):
        self.lab, self.file = lab, lab.folder / "names"
        self.write(**names)
        for host in lab.made:
            folder = Path("/etc/netns") / lab.name(host)
            folder.mkdir(parents=True)
            (folder / "resolv.conf").write_text(f"nameserver {DNS}\noptions timeout:1 attempts:1\n")
        self.process = self._run()

    def _run(self) -> subprocess.Popen:
        process = self.lab.start(
            "names", program("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root",
            "--no-resolv", "--no-hosts", f"--addn-hosts={self.file}", "--local=/internal/", "--local=/flycast/",
            f"--listen-address={DNS}", "--bind-interfaces")
        self.lab.answers("names", DNS, 53)
        return process

    def write(self, **names: list[str]) -> None:
        """`app = [...]` is `app.internal`, `app_flycast` is `app.flycast`."""
        def full(name: str) -> str:
            return f"{name.removesuffix('_flycast')}.flycast" if name.endswith("_flycast") else f"{name}.internal"

        lines = [f"{address} {full(name)}" for name, addresses in names.items() for address in addresses]
        plugway.replace(self.file, "".join(f"{line}\n" for line in lines))

    def change(self, **names: list[str]) -> None:
        self.write(**names)
        self.process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """There is no DNS any more."""
        self.process.terminate()
        self.process.wait(TIMEOUT)


EDGE_CONFIG = """
global
    log stderr format raw daemon
    ssl-server-verify none
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s

# What Fly's proxy does with a request: who asked and how, and the app's own address last in X-Forwarded-For.
frontend web
    bind {edge}:80
    bind {edge}:443 ssl crt {certificate} alpn h2,http/1.1
    http-request set-header Fly-Client-IP %[src]
    http-request set-header X-Forwarded-For "%[src], 66.241.124.1"
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header Fly-Forwarded-Port %[dst_port]
    http-request set-header Fly-Region fra
    default_backend plain
backend plain
    server gate {gate}:8080 {plain}

# What it does where it passes TCP on.
listen tls
    mode tcp
    bind {edge}:8443
    server gate {gate}:8443 {tcp}

# The private side: {flycast} is of an app that has no address of its own.
listen flycast
    bind [{flycast}]:80
    server app [{app}]:8000
"""


class Edge:
    """HAProxy. `plain`: how it speaks to the plain listener; `tcp`: what it says before TLS."""

    def __init__(self, lab: Lab, certificates: object, plain: str = "", tcp: str = ""):
        certificates.issue(lab.folder / "edge", "todo.fly.dev")
        both = lab.folder / "edge/both.pem"
        both.write_bytes(b"".join((lab.folder / "edge" / name).read_bytes() for name in ("server.pem", "server.key")))
        config = lab.folder / "edge/haproxy.cfg"
        config.write_text(EDGE_CONFIG.format(
            edge=EDGE, gate=GATE4, certificate=both, plain=plain, tcp=tcp, flycast=FLYCAST, app=APP[0]))
        lab.start("edge", program("haproxy"), "-db", "-f", str(config))
        lab.answers("edge", EDGE, 443)


class Placed(Gateway):
    """A gateway on a host of the lab."""

    def __init__(self, lab: Lab, host: str, arguments: list[str], env: dict[str, str] | None = None):
        self.lab, self.host = lab, host
        super().__init__(lab.folder, arguments, env)

    def launch(self, arguments: list[str]) -> tuple[list[str], dict]:
        command, more = super().launch(arguments)
        return [program("ip"), "netns", "exec", self.lab.name(self.host), *command], more


def get(lab: Lab, host: str, url: str, *, ca: object = None, http2: bool = False, token: str = "",
        headers: dict[str, str] | None = None) -> httpx.Response:
    """One request of a host of the lab on a connection of its own."""
    fields = {"Host": "todo.fly.dev"} | (headers or {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    with lab.inside(host), httpx.Client(
            verify=ca or False, http2=http2, http1=not http2, timeout=TIMEOUT, trust_env=False) as client:
        return client.get(url, headers=fields, extensions={"sni_hostname": "todo.fly.dev"})


class Flow:
    """Requests that go on, one after another, from a host; what was not 200 is kept."""

    def __init__(self, lab: Lab, host: str, url: str, token: str):
        self.lab, self.host, self.url = lab, host, url
        self.headers = {"Host": "todo.fly.dev", "Authorization": f"Bearer {token}"}
        self.good, self.bad = 0, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        # It goes on from here, however soon what is done meanwhile is over.
        eventually(lambda: self.good or self.bad)

    def _run(self) -> None:
        with self.lab.inside(self.host), httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            while not self.ending.is_set():
                try:
                    got = client.get(self.url, headers=self.headers)
                    if got.status_code == 200:
                        self.good += 1
                    else:
                        self.bad.append(got.text)
                except httpx.HTTPError as error:
                    self.bad.append(repr(error))

    def end(self) -> None:
        self.ending.set()
        self.thread.join(TIMEOUT)
        assert self.good and not self.bad, (self.good, self.bad[:3])
