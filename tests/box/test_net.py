"""On a platform: behind an edge that terminates TLS or passes it on, in the three places where a gateway can stand, with
private names whose addresses come and go. What each of the platform's requirements (F1 to F20, docs/fly.md) comes to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

import plugway
from clients import Wire, refusal
from materials import DOCUMENT, base, declared, merge, sha256, token
from netlab import APP, CLIENT, EDGE, FLYCAST, GATE4, GATE6, PEER, Edge, Flow, Lab, Names, Placed, get
from plugway import eventually
from upstreams import Reply, Upstream

assert os.geteuid() == 0, "network namespaces are for root"

ENV = {"FLY_APP_NAME": "todo", "FLY_REGION": "fra", "FLY_MACHINE_ID": "148e21", "FLY_PROCESS_GROUP": "app", "PORT": "8080"}
LISTEN = {"http": ["0.0.0.0:${env:PORT}", "[::]:${env:PORT}"], "https": ["0.0.0.0:8443"], "metrics": "0.0.0.0:9091"}


class Site:
    """A lab with one gateway in it, and what it is in front of."""

    def __init__(self, lab: Lab, certificates: object, service: str, user: str):
        self.lab, self.certificates, self.service, self.user = lab, certificates, service, user
        self.gateways: list[Placed] = []
        self.upstreams: list[Upstream] = []
        certificates.issue(lab.folder / "certs", "todo.fly.dev")

    @property
    def gateway(self) -> Placed:
        return self.gateways[-1]

    def api(self, host: str, address: str, port: int = 8000) -> Upstream:
        """An API at an address of a host."""
        with self.lab.inside(host):
            self.upstreams.append(Upstream(DOCUMENT, host=address, port=port))
        self.upstreams[-1].secrets |= {self.service, self.user}
        return self.upstreams[-1]

    def serve(self, url: str, changes: dict | None = None, env: dict[str, str] | None = None) -> Placed:
        """A gateway as docs/fly.md has it."""
        config = merge(base(url, self.service, self.user), {"listen": None, "trusted_proxies": "fly", "workers": 2})
        plugway.write(self.lab.folder, merge(config | {"listen": LISTEN}, changes or {}))
        return self.run("serve", "--config", "plugway.toml", env=ENV | (env or {}))

    def run(self, *arguments: str, env: dict[str, str]) -> Placed:
        self.gateways.append(Placed(self.lab, "gate", [arguments[0], "--json", *arguments[1:]], env))
        self.gateway.secrets |= {self.service, self.user}
        return self.gateway

    def edge(self, **how: str) -> None:
        Edge(self.lab, self.certificates, **how)

    def get(self, path: str = "/todos", host: str = "client", origin: str = f"https://{EDGE}", **more: object):
        more.setdefault("token", self.service)
        return get(self.lab, host, f"{origin}{path}", ca=self.certificates.client(), **more)

    def line(self, got: object) -> dict:
        return self.gateway.line(got.headers["x-request-id"])

    def stop(self) -> None:
        for gateway in self.gateways:
            gateway.stop()
        for upstream in self.upstreams:
            upstream.stop()
            upstream.check()


@pytest.fixture
def site(folder, certificates, service, user) -> Iterator[Site]:
    lab = Lab(folder)
    try:
        site = Site(lab, certificates, service, user)
        yield site
        site.stop()
    finally:
        lab.close()


# --- the edge terminates TLS ---


@pytest.mark.parametrize("plain", ["", "proto h2"], ids=["http/1.1", "h2c"])
def test_behind_an_edge_that_terminates_tls(site, http2, plain):
    """F1, F2, F6, F7, F14, F20."""
    upstream = site.api("gate", "127.0.0.1")
    site.serve(upstream.url)
    site.edge(plain=plain)
    got = site.get(http2=http2, headers={"Fly-Client-IP": "192.0.2.1", "X-Forwarded-For": "192.0.2.1"})
    assert got.status_code == 200
    line = site.line(got)
    assert line["client"] == CLIENT and line["protocol"] == ("HTTP/2" if plain else "HTTP/1.1")
    seen = upstream.last
    # What the edge wrote and the client did not: whom it names, then the edge itself.
    assert seen.get("x-forwarded-for") == f"{CLIENT}, 172.19.0.2" and seen.get("x-forwarded-proto") == "https"
    assert seen.get("fly-client-ip") in (None, CLIENT)
    manifest = site.get("/.well-known/ai-plugin.json", token="").json()
    assert manifest["api"]["url"] == "https://todo.fly.dev/openapi-3.0.json"
    document = site.get("/openapi.json", token="").json()
    assert document["servers"] == [{"url": "https://todo.fly.dev"}]
    refusal(site.get(headers={"Host": "other.fly.dev"}), 421)
    refusal(site.get(token=""), 401, "missing_token")


def test_no_redirect(site):
    """F20: the edge redirects, if anybody. Neither documents nor operations nor health paths do."""
    site.serve(site.api("gate", "127.0.0.1").url)
    site.edge()
    for origin in (f"https://{EDGE}", f"http://{EDGE}"):
        for path in ("/todos", "/.well-known/ai-plugin.json", "/openapi.json", "/legal", "/healthz", "/readyz"):
            assert site.get(path, origin=origin).status_code == 200, (origin, path)


# --- the edge passes TCP ---


@pytest.mark.parametrize("tcp", ["send-proxy", "send-proxy-v2"])
def test_behind_an_edge_that_passes_tcp(site, http2, tcp):
    """F5, with TLS by the gateway and health checks that come without a header."""
    upstream = site.api("gate", "127.0.0.1")
    site.serve(upstream.url, {"listen": {"proxy_protocol": "optional"}})
    site.edge(tcp=tcp)
    got = site.get(origin=f"https://{EDGE}:8443", http2=http2, headers={"Fly-Client-IP": "192.0.2.1"})
    assert got.status_code == 200 and got.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    line = site.line(got)
    assert line["client"] == CLIENT and line["tls"] is True
    assert upstream.last.get("x-forwarded-for") == CLIENT
    for path in ("/healthz", "/readyz"):
        assert site.get(path, host="edge", origin=f"https://{GATE4}:8443", token="").status_code == 200


def test_behind_an_edge_that_passes_tcp_and_says_nothing(site, http2):
    """The client is the edge then: nobody else is known. What the client writes is not taken for the edge's word, also
    with `trusted_proxies = "fly"`."""
    site.serve(site.api("gate", "127.0.0.1").url)
    site.edge()
    forged = {"Fly-Client-IP": "192.0.2.1", "X-Forwarded-For": "192.0.2.1", "X-Request-Id": "forged-by-the-client"}
    got = site.get(origin=f"https://{EDGE}:8443", http2=http2, headers=forged)
    assert got.status_code == 200 and got.headers["x-request-id"] != "forged-by-the-client"
    assert site.line(got)["client"] == "172.19.0.2" and site.line(got)["tls"] is True


# --- the private network ---


def test_who_comes_by_the_private_network_is_not_believed(site):
    """F2: it goes past the edge, so that its word about who asks is worth nothing."""
    upstream = site.api("gate", "127.0.0.1")
    site.serve(upstream.url)
    forged = {"Fly-Client-IP": CLIENT, "X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Request-Id": "forged"}
    got = site.get(host="peer", origin=f"http://[{GATE6}]:8080", headers=forged)
    assert got.status_code == 200 and got.headers["x-request-id"] != "forged"
    assert site.line(got)["client"] == PEER
    assert upstream.last.get("x-forwarded-for") == PEER and upstream.last.get("x-forwarded-proto") == "http"
    # The edge is: the same listener, by IPv4.
    got = site.get(host="edge", origin=f"http://{GATE4}:8080", headers={"Fly-Client-IP": CLIENT})
    assert site.line(got)["client"] == CLIENT


def test_health_checks_come_directly(site):
    """F4: without host, token, PROXY header, TLS; also of HTTP/1.0 without a Host."""
    site.serve(site.api("gate", "127.0.0.1").url, {"listen": {"proxy_protocol": "optional"}})
    for path in ("/healthz", "/readyz"):
        for host, origin in (("edge", f"http://{GATE4}:8080"), ("peer", f"http://[{GATE6}]:8080"), ("edge", f"https://{GATE4}:8443")):
            assert site.get(path, host=host, origin=origin, headers={"Host": "172.19.0.3"}, token="").status_code == 200
    with site.lab.inside("edge"):
        wire = bare(site, (GATE4, 8080))
    wire.send("GET /healthz HTTP/1.0\r\n\r\n")
    assert wire.head()[0] == 200


def bare(site: Site, address: tuple[str, int]) -> Wire:
    """A connection from where this thread is."""
    class There:
        after = site.gateway.after

        @staticmethod
        def address(_kind: str) -> tuple[str, int]:
            return address

    return Wire(There)


def test_metrics_have_their_own_port(site):
    """F13: open to the network, and without a label that the platform overwrites. F14: where it runs."""
    site.serve(site.api("gate", "127.0.0.1").url)
    assert site.get(host="edge", origin=f"http://{GATE4}:8080").status_code == 200
    page = site.get("/metrics", host="edge", origin=f"http://{GATE4}:9091", token="").text
    assert "plugway_requests_total" in page
    for label in ("app", "region", "host", "instance"):
        assert f"{{{label}=" not in page and f",{label}=" not in page, label
    assert 'fly_region="fra"' in page and 'machine="148e21"' in page
    refusal(site.get("/metrics", host="edge", origin=f"http://{GATE4}:8080"), 404)


def test_what_the_upstream_orders_the_edge_is_taken_out(site):
    """F15: the edge acts on it, so that an upstream could send a request with its credentials elsewhere."""
    upstream = site.api("gate", "127.0.0.1")
    site.serve(upstream.url)
    site.edge()
    for name in ("fly-replay", "Fly-Replay-Cache", "fly-replay-cache-ttl-secs"):
        upstream.on("GET", "/todos", Reply(200, [(name, "app=evil")], json={}))
        got = site.get()
        assert got.status_code == 200 and not [key for key in got.headers if key.startswith("fly-replay")]
    upstream.on("GET", "/todos", Reply(200, [("Content-Type", "application/vnd.fly.replay+json")], b'{"app": "evil"}'))
    got = site.get()
    assert "evil" not in got.text and "fly.replay" not in got.headers.get("content-type", "")
    # What the edge tells the API is passed on.
    upstream.on("GET", "/todos", upstream.echo)
    assert site.get(headers={"fly-prefer-region": "ams"}).status_code == 200
    assert upstream.last.get("fly-prefer-region") == "ams" and upstream.last.get("fly-region") == "fra"


# --- the three places ---


def test_in_the_same_machine(site):
    """F3, F9: the entrypoint starts the program, and ends with it on SIGINT. The program here is another plugway."""
    program = [plugway.binary(), "dev", "--auth", "none", "--http", "127.0.0.1:8000", "--https", "127.0.0.1:8001"]
    command = [plugway.binary(), "serve", "--upstream", "http://127.0.0.1:8000", "--require", "service", "--http", "0.0.0.0:8080", "--", *program]
    env = plugway.environment(ENV | {"PLUGWAY_TOKEN_SHA256": sha256(site.service)})
    home = site.lab.folder / "home"
    home.mkdir()
    with open(home / "log", "w+b") as log:
        process = subprocess.Popen(["ip", "netns", "exec", site.lab.name("gate"), *command], cwd=home,
                                   env=env, stdout=log, stderr=log)
        try:
            site.lab.answers("edge", GATE4, 8080)
            site.edge()
            eventually(lambda: site.get("/readyz", token="").status_code == 200)
            assert site.get().json() == {"owner": "anonymous", "todos": []}
            refusal(site.get(token=site.user), 401, "invalid_token")
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(plugway.PATIENCE) == 0
    with site.lab.inside("gate"), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 8000))


def test_as_a_sidecar(site):
    """F10: two containers with one localhost; the configuration is a file that was put there."""
    upstream = site.api("gate", "127.0.0.1")
    site.serve(upstream.url)
    site.edge()
    assert site.get().status_code == 200
    # The container of the API starts anew: on the same port, with connections that are gone.
    with site.lab.inside("gate"):
        upstream.stop()
        refusal(site.get(), 502, "upstream_unreachable")
        upstream.start()
    eventually(lambda: site.get().status_code == 200)


@pytest.mark.parametrize("name", ["app.internal:8000", "app.flycast"])
def test_as_an_app_of_its_own(site, name):
    """F8: over the private network, by a name that has AAAA records only; or by the platform's private edge."""
    upstream = site.api("app", APP[0])
    Names(site.lab, app=APP[:1], app_flycast=[FLYCAST])
    site.edge()
    site.serve(f"http://{name}", {"plugins": {"todo": {"upstream": {"resolve": "1s"}}}})
    got = site.get()
    assert got.status_code == 200
    assert upstream.last.get("host") == name and site.line(got)["client"] == CLIENT


# --- addresses that change ---


def told(upstream: Upstream) -> int:
    return len(upstream.requests)


def test_addresses_that_change_are_noticed_by_nobody(site):
    """F8: Machines come and go while requests flow."""
    first, second, third = (site.api("app", address) for address in APP)
    names = Names(site.lab, app=APP[:1])
    site.serve("http://app.internal:8000", {"plugins": {"todo": {"upstream": {"resolve": "1s"}}}})
    flows = [Flow(site.lab, "edge", f"http://{GATE4}:8080/todos", site.service) for _ in range(3)]
    eventually(lambda: told(first) > 20)
    # Another Machine; the old one ends when nobody asks it any more.
    names.change(app=APP[1:2])
    eventually(lambda: told(second) > 20)
    eventually(lambda: quiet(first, second))
    first.stop()
    # One that is listed and does not answer (it was stopped), beside one that does.
    names.change(app=[APP[0], APP[2]])
    eventually(lambda: told(third) > 20)
    # Nobody says any more where it is: the last answer holds.
    names.end()
    before = told(third)
    eventually(lambda: told(third) > before + 200)
    for flow in flows:
        flow.end()


def quiet(one: Upstream, other: Upstream) -> bool:
    """Whether hundred requests went by and all of them to the other."""
    before, mark = told(one), told(other)
    eventually(lambda: told(other) > mark + 100)
    return told(one) == before


def test_a_name_that_comes_later(site):
    """F8: the API's Machines are not started yet. The gateway is, and says so."""
    names = Names(site.lab)
    site.serve("http://app.internal:8000", {"plugins": {"todo": {"upstream": {"resolve": "1s"}}}})
    assert site.get("/healthz", host="edge", origin=f"http://{GATE4}:8080").status_code == 200
    refusal(site.get(host="edge", origin=f"http://{GATE4}:8080"), 503, "document_unavailable")
    assert site.get("/readyz", host="edge", origin=f"http://{GATE4}:8080").status_code == 503
    site.api("app", APP[1])
    names.change(app=APP[1:2])
    eventually(lambda: site.get(host="edge", origin=f"http://{GATE4}:8080").status_code == 200, 30)


def test_rotation_over_the_private_network(site):
    """F11, F12: a watched file of hashes, under load, without a restart."""
    tokens = site.lab.folder / "tokens.jsonl"
    tokens.write_text("")
    site.serve(site.api("gate", "127.0.0.1").url, {"token_files": ["tokens.jsonl"]})
    flow = Flow(site.lab, "edge", f"http://{GATE4}:8080/todos", site.service)
    fresh = token()
    plugway.replace(tokens, json.dumps(declared(fresh) | {"id": "fresh"}) + "\n")
    eventually(lambda: site.get(host="edge", origin=f"http://{GATE4}:8080", token=fresh).status_code == 200)
    flow.end()
