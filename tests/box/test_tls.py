"""TLS as clients see it: every suite, keys that change, sessions that go on, records that are damaged."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

V13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
V12 = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"]


def authority(world) -> Path:
    return world.certificates.write_ca(world.folder / "authority.pem")


def context(world, version: ssl.TLSVersion) -> ssl.SSLContext:
    made = world.certificates.client()
    made.minimum_version = made.maximum_version = version
    return made


@pytest.mark.parametrize("suite", V13 + V12)
def test_every_suite_carries_bodies(world, http2, suite):
    world.start()
    body = "".join(chr(33 + at % 90) for at in range(300_000))
    (world.folder / "body").write_text(body)
    chosen = ["--tls13-ciphers", suite, "--tlsv1.3"] if suite in V13 else ["--tls-max", "1.2", "--ciphers", f"ECDHE-ECDSA-{suite}"]
    host, port = world.gateway.address("https")
    ran = subprocess.run([
        "curl", "--silent", "--show-error", "--fail", "--cacert", authority(world), "--http2" if http2 else "--http1.1", *chosen,
        "--resolve", f"localhost:{port}:{host}", "--header", f"Authorization: Bearer {world.service}", "--header", "Content-Type: text/plain",
        "--data-binary", f"@{world.folder / 'body'}", "--write-out", "\n%{http_version}", f"https://localhost:{port}/todos",
    ], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    answer, version = ran.stdout.rsplit("\n", 1)
    assert version == ("2" if http2 else "1.1")
    assert json.loads(answer)["body"] == body


def test_keys_change_while_a_connection_is_used(world):
    """`K` asks for new keys in both directions, `k` for one's own."""
    world.start()
    host, port = world.gateway.address("https")
    request = f"GET /todos HTTP/1.1\nHost: localhost\nAuthorization: Bearer {world.service}\n\n"
    with subprocess.Popen(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "localhost", "-tls1_3", "-crlf", "-CAfile", authority(world)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as client:
        try:
            for number, order in enumerate(["", "K\n", "k\n", "K\n"], 1):
                if order:
                    # It looks for an order in each piece that it reads, so that one has to stand alone.
                    client.stdin.write(order)
                    client.stdin.flush()
                    assert any("KEYUPDATE" in line for line in iter(client.stdout.readline, ""))
                client.stdin.write(request)
                client.stdin.flush()
                assert any(line.startswith("HTTP/1.1 200") for line in iter(client.stdout.readline, "")), order
                assert len(world.upstream.requests) == number
        finally:
            client.kill()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_goes_on(world, version):
    world.start()
    client, session = context(world, version), None
    for is_second in (False, True):
        with socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
            with client.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
                assert tls.session_reused is is_second
                tls.sendall(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n".encode())
                assert tls.recv(12) == b"HTTP/1.1 200"
                session = tls.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_damaged_record_ends_its_connection_and_no_other(world, version):
    world.start()
    good = world.session(token=world.service)
    assert good.get("/todos").status_code == 200
    with socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
        came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(world, version).wrap_bio(came, out, server_hostname="localhost")

        def step(what):
            while True:
                try:
                    done = what()
                    raw.sendall(out.read())
                    return done
                except ssl.SSLWantReadError:
                    raw.sendall(out.read())
                    piece = raw.recv(65536)
                    came.write(piece) if piece else came.write_eof()

        step(tls.do_handshake)
        tls.write(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\n\r\n".encode())
        raw.sendall(out.read())
        assert step(lambda: tls.read(12)) == b"HTTP/1.1 200"
        tls.write(b"GET /todos HTTP/1.1\r\n")
        record = bytearray(out.read())
        record[-1] ^= 1
        raw.sendall(record)
        with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
            while True:
                step(lambda: tls.read(65536))
    assert good.get("/todos").status_code == 200


def test_a_client_that_says_all_at_once(world):
    """The end of its handshake, a request, and that there will be no other: in one piece."""
    world.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with socket.create_connection(world.gateway.address("https"), timeout=10) as raw:
            came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context(world, version).wrap_bio(came, out, server_hostname="localhost")
            held = b""
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    raw.sendall(out.read())
                    came.write(raw.recv(65536))
            held += out.read()
            tls.write(f"GET /todos HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.service}\r\nConnection: close\r\n\r\n".encode())
            raw.sendall(held + out.read())
            answer = b""
            while not answer.endswith(b"}"):
                try:
                    piece = tls.read(65536)
                except ssl.SSLWantReadError:
                    came.write(raw.recv(65536))
                    continue
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200")
