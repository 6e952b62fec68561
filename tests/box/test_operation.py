"""What an operator sees: metrics and access lines; and what nobody must see in them."""

from __future__ import annotations

import re
import threading

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from clients import refusal
from materials import token
from plugway import eventually
from upstreams import Reply

METRICS = {"listen": {"metrics": "127.0.0.1:0"}}

# DESIGN.md §1.3: what has to be there by now.
NAMES = {
    "plugway_requests", "plugway_request_duration_seconds", "plugway_upstream_duration_seconds", "plugway_request_bytes",
    "plugway_response_bytes", "plugway_connections", "plugway_upstream_failures", "plugway_generation", "plugway_generations_alive",
    "plugway_reload_last_success", "plugway_reload", "plugway_config_pending_rejected", "plugway_token_requests",
    "plugway_tls_certificate_not_after_seconds", "plugway_panics", "plugway_streams", "plugway_streams_cut",
}


class Page:
    """The metrics page at one moment."""

    def __init__(self, world):
        host, port = world.gateway.address("metrics")
        got = httpx.get(f"http://{host}:{port}/metrics", trust_env=False, timeout=10)
        assert got.status_code == 200
        assert got.headers["content-type"].startswith("application/openmetrics-text")
        self.text = got.text
        self.families = {family.name: family for family in text_string_to_metric_families(got.text)}

    def rows(self, name: str, **labels: str) -> list[float]:
        """The values of a sample with these labels."""
        samples = (sample for family in self.families.values() for sample in family.samples if sample.name == name)
        return [s.value for s in samples if all(s.labels.get(key) == value for key, value in labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        return sum(self.rows(name, **labels))


def test_metrics_are_openmetrics_with_the_agreed_names(world):
    world.start(METRICS)
    assert world.session(token=world.service).get("/todos").status_code == 200
    page = Page(world)
    assert NAMES <= set(page.families), NAMES - set(page.families)
    assert page.text.rstrip().endswith("# EOF")
    for family in page.families.values():
        assert family.name.startswith("plugway_"), family.name
        assert family.documentation, family.name
        for sample in family.samples:
            assert not {"app", "region", "host", "instance", "path", "client", "method"} & set(sample.labels), sample
    host, port = world.gateway.address("metrics")
    assert httpx.get(f"http://{host}:{port}/healthz", trust_env=False).status_code == 200
    assert httpx.get(f"http://{host}:{port}/readyz", trust_env=False).status_code == 200
    assert httpx.get(f"http://{host}:{port}/todos", trust_env=False).status_code == 404
    client = world.session(token=world.service)
    refusal(client.get("/metrics"), 404, "no_route")


def test_metrics_count_what_happened(world, http2):
    world.start(METRICS)
    client = world.session(http2=http2, token=world.service)
    world.upstream.on("GET", "/slow", Reply(500, body=b"x"))
    for _ in range(3):
        client.get("/todos")
    client.post("/todos", content=b"x" * 1000)
    client.get("/slow")
    client.get("/todos", token=token())
    client.get("/todos", token="")
    client.get("/nothing")
    world.upstream.stop()
    client.get("/todos")
    client.get("/todos/alice@example.com?ssn=1")
    # What the log says of it has nothing that a caller wrote.
    eventually(lambda: world.gateway.stderr.count("/todos/{id}") == 1)
    assert "alice" not in world.gateway.stderr + world.gateway.stdout

    def counted(status_class: str, **labels: str) -> float:
        return page.sum("plugway_requests_total", plugin="todo", status_class=status_class, **labels)

    page = Page(world)
    assert counted("2xx", operation="listTodos") == 3
    assert counted("2xx", operation="addTodo") == 1
    assert counted("5xx", operation="slow") == 1
    assert counted("4xx", code="invalid_token") == 1
    assert counted("4xx", code="missing_token") == 1
    assert counted("4xx", code="no_route") == 1
    assert counted("5xx", code="upstream_unreachable") == 2
    assert page.sum("plugway_requests_total") == 10
    assert page.sum("plugway_upstream_failures_total", plugin="todo") == 2
    assert page.sum("plugway_request_duration_seconds_count", plugin="todo") == 10
    # Also those that waited in vain.
    assert page.sum("plugway_upstream_duration_seconds_count", plugin="todo") == 7
    assert page.sum("plugway_request_bytes_total") >= 1000
    assert page.sum("plugway_response_bytes_total") > 0
    assert page.sum("plugway_token_requests_total", token="chatgpt", slot="current") == 7
    assert page.rows("plugway_generation") == [1]
    assert page.rows("plugway_reload_last_success") == [1]
    assert page.rows("plugway_config_pending_rejected") == [0]
    [listener] = {sample.labels["listener"] for sample in page.families["plugway_connections"].samples}
    assert listener.startswith("https:") and page.rows("plugway_connections") == [1]
    assert page.sum("plugway_panics_total") == 0
    [until] = set(page.rows("plugway_tls_certificate_not_after_seconds"))
    assert until > 1_700_000_000


def test_a_client_can_not_grow_the_page(world, http2):
    world.start(METRICS)
    client = world.session(http2=http2)
    client.get("/warm")
    client.get("/todos", token=token())
    client.request("GET", "/todos/1", token=world.service)
    rows = len(Page(world).text.splitlines())
    for number in range(50):
        client.get(f"/grow{number}")
        client.get(f"/todos/{number}", token=world.service, headers={"User-Agent": f"grow{number}"})
        client.get("/todos", token=token())
    page = Page(world)
    assert len(page.text.splitlines()) == rows
    assert "grow" not in page.text
    with httpx.Client(trust_env=False, base_url=client.http.base_url, verify=world.certificates.client()) as raw:
        for number in range(5):
            got = raw.request(f"GROW{number}", "/todos", headers={"Host": client.authority}, extensions={"sni_hostname": "localhost"})
            assert got.status_code in (400, 405, 501)
    assert "grow" not in Page(world).text.lower()


def test_metrics_of_reloads(world):
    world.start(METRICS)
    path = world.folder / "plugway.toml"
    good = path.read_text()
    path.write_text("nonsense")
    world.gateway.await_refusal()
    page = Page(world)
    assert (page.rows("plugway_config_pending_rejected"), page.rows("plugway_reload_last_success")) == ([1], [0])
    assert page.sum("plugway_reload_total", result="refused") == 1
    path.write_text(good.replace("Manage your to-dos.", "Mended."))
    eventually(lambda: Page(world).rows("plugway_generation") == [2])
    page = Page(world)
    assert (page.rows("plugway_config_pending_rejected"), page.rows("plugway_reload_last_success")) == ([0], [1])


# --- access lines ---

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_the_access_line_of_a_request(world, http2):
    world.start()
    client = world.session(http2=http2, token=world.service)
    got = client.post("/todos?secret=value", content=b"x" * 1234)
    line = world.gateway.line(got.headers["x-request-id"])
    assert TIME.fullmatch(line["time"])
    expected = {
        "client": "127.0.0.1", "plugin": "todo", "method": "POST", "path": "/todos", "operation": "addTodo", "token": "chatgpt",
        "principal": "chatgpt", "level": "service", "slot": "current", "status": 200, "upstream_status": 200, "outcome": "complete",
        "request_bytes": 1234, "response_bytes": len(got.content), "protocol": "HTTP/2" if http2 else "HTTP/1.1", "tls": True, "generation": 1,
    }
    assert {key: line.get(key) for key in expected} == expected
    assert line["duration_ms"] >= line["upstream_ms"] > 0 and line["first_byte_ms"] > 0
    assert "code" not in line
    item = client.get("/todos/some-id")
    line = world.gateway.line(item.headers["x-request-id"])
    assert (line["path"], line["operation"]) == ("/todos/{id}", "getTodo")


@pytest.mark.parametrize(("method", "path", "secret", "status", "code"), [
    ("GET", "/todos", None, 401, "missing_token"), ("GET", "/todos", "x", 401, "invalid_token"), ("GET", "/nothing", "good", 404, "no_route"),
    ("DELETE", "/todos", "good", 405, "method_not_allowed"), ("GET", "/todos/a%2Fb", "good", 400, "ambiguous_path"),
])
def test_the_access_line_of_a_refusal(world, http2, method, path, secret, status, code):
    world.start()
    client = world.session(http2=http2)
    url = client.http.base_url.copy_with(raw_path=path.encode())
    got = client.request(method, url, token=world.service if secret == "good" else secret)
    refusal(got, status, code)
    line = world.gateway.line(got.headers["x-request-id"])
    assert (line["status"], line["code"], line["plugin"]) == (status, code, "todo")
    assert "upstream_status" not in line and "upstream_ms" not in line


def test_which_lines_are_written(world):
    world.start({"log": {"access": "errors"}})
    client = world.session(token=world.service)
    client.get("/todos")
    failed = client.get("/nothing")
    assert world.gateway.line(failed.headers["x-request-id"])["status"] == 404
    assert len(world.gateway.lines()) == 1
    world.change({"log": {"access": "off"}, "plugins": {"todo": {"description": "Off."}}})
    eventually(lambda: client.get("/.well-known/ai-plugin.json").json()["description_for_human"] == "Off.")
    client.get("/nothing")
    world.gateway.stop()
    assert len(world.gateway.lines()) == 1


def test_nothing_secret_is_ever_written(world, http2):
    """Marked texts in every place where a client, an upstream or a file could leave one."""
    marks = {f"MARK{number}x{'Z' * 6}" for number in range(12)}
    mark = sorted(marks, key=lambda text: (len(text), text))
    world.upstream.document = dict(world.upstream.document)
    world.start(METRICS | {"log": {"level": "trace"}, "plugins": {"todo": {"upstream": {"timeout": "300ms", "credential": {"bearer": "${env:UP}"}}}}}, env={"UP": mark[0]})
    world.gateway.secrets |= marks
    client = world.session(http2=http2)
    secret = world.service
    headers = {"Cookie": f"s={mark[1]}", "X-Anything": mark[2], "User-Agent": mark[3], "Referer": f"https://x.example/{mark[4]}"}
    client.post(f"/todos?q={mark[5]}&access_token={mark[6]}", token=secret, headers=headers, content=mark[7].encode())
    client.get(f"/todos/{mark[8]}", token=secret)
    client.get(f"/{mark[8]}/nothing?x={mark[5]}", token=secret)
    for wrong in (f"Bearer {mark[9]}", f"Basic {mark[9]}", mark[9], f"Bearer {secret} {mark[9]}", f"Bearer {secret[:-1]}"):
        client.get("/todos", headers={"Authorization": wrong})
    client.get("/todos", token=secret, headers={"Host": f"{mark[10].lower()}.example"})
    # What the upstream says is its client's, not the log's.
    world.upstream.on("GET", "/search", Reply(500, [("Set-Cookie", mark[1]), ("X-Theirs", mark[2])], mark[11].encode()))
    client.get("/search", token=secret)
    world.upstream.on("POST", "/slow", lambda request: request.conn.send(f"HTTP/1.1 200 {mark[11]}\r\n{mark[11]}: ".encode() + b"\r\r\r\n\r\n"))
    refusal(client.post("/slow", token=secret), 502)
    held = threading.Event()
    world.upstream.on("GET", "/slow", lambda _request: held.wait(5) and Reply())
    refusal(client.get(f"/slow?x={mark[5]}", token=secret), 504)
    held.set()
    # Configurations that are refused.
    path = world.folder / "plugway.toml"
    good = path.read_text()
    literal = f'\n[tokens.x]\nlevel = "service"\nplugins = ["todo"]\nscopes = ["*"]\nsecret = "{mark[10]}"\n'
    path.write_text(good + literal)
    refused = world.gateway.await_refusal()
    assert not any(text in str(refused) for text in marks), refused["text"]
    path.write_text(good)
    eventually(lambda: world.gateway.command("status").code == 0)
    page = Page(world).text
    status = world.gateway.command("status").out + world.gateway.command("status", "--json").out
    for text in marks | {secret}:
        assert text not in page and text not in status
    # The rest is checked when the gateway has ended: neither of its outputs holds a mark.


def test_control_characters_do_not_break_lines(world):
    world.start({"trusted_proxies": ["127.0.0.0/8"]})
    client = world.session(tls=False, token=world.service)
    got = client.get("/todos", headers={"X-Request-Id": 'a"b\\c\u00e9d'.encode("latin-1")} | {})
    assert got.status_code == 200
    eventually(lambda: world.gateway.lines())
    assert all(line["message"] == "request" for line in world.gateway.lines())
