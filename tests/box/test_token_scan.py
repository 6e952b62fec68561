"""`token scan`: tokens in files, folders and standard input."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import plugway
import pytest

from materials import token


def scan(folder: Path, *paths: str, stdin: str | bytes | None = None) -> plugway.Ran:
    return plugway.run("token", "scan", *paths, cwd=folder, stdin=stdin)


def test_where_it_stands(folder: Path):
    service, user, admin = token("service"), token("user"), token("admin")
    (folder / "a.env").write_text(f"# keys\nKEY={service}\n\nBearer%20{user}, {admin}\n")
    ran = scan(folder, "a.env")
    assert ran.code == 1 and ran.out.splitlines() == [
        f"a.env:2:5: {service[:12]} (service token)", f"a.env:4:10: {user[:12]} (user token)", f"a.env:4:62: {admin[:12]} (admin token)"]
    assert "token rotate" in ran.err
    for secret in (service, user, admin):
        assert secret not in ran.out + ran.err
    as_json = scan(folder, "a.env", "--json")
    assert as_json.code == 1 and [(hit["path"], hit["line"], hit["column"], hit["id"], hit["level"]) for hit in as_json.json] == [
        ("a.env", 2, 5, service[:12], "service"), ("a.env", 4, 10, user[:12], "user"), ("a.env", 4, 62, admin[:12], "admin")]
    assert as_json.err == ""


def test_nothing(folder: Path):
    almost = token()
    almost = almost[:-1] + ("0" if almost[-1] != "0" else "1")
    (folder / "clean").write_text(f"{almost} {token()[:-1]} pls_ {'pl' * 100}")
    (folder / "empty").write_bytes(b"")
    ran = scan(folder, "clean", "empty")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    as_json = scan(folder, "clean", "empty", "--json")
    assert (as_json.code, as_json.json) == (0, [])


def test_standard_input(folder: Path):
    secret = token()
    ran = scan(folder, "-", stdin=f"x\n  {secret}")
    assert (ran.code, ran.out) == (1, f"-:2:3: {secret[:12]} (service token)\n")
    assert scan(folder, "-", stdin="x").code == 0
    assert scan(folder, "-").code == 0


def test_folders(folder: Path):
    """All that is in them, and nothing that they link to."""
    secrets = [token() for _ in range(3)]
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/b").write_text(secrets[0])
    (folder / "deep/.hidden").write_text(secrets[1])
    (folder / "outside").write_text(secrets[2])
    (folder / "deep/link").symlink_to(folder / "outside")
    (folder / "deep/round").symlink_to(folder / "deep")
    os.mkfifo(folder / "deep/fifo")
    ran = scan(folder, "deep", "--json")
    assert ran.code == 1
    assert {(hit["path"], hit["id"]) for hit in ran.json} == {("deep/er/b", secrets[0][:12]), ("deep/.hidden", secrets[1][:12])}
    assert {hit["id"] for hit in scan(folder, "deep/link", "outside", "--json").json} == {secrets[2][:12]}


def test_binary_content(folder: Path):
    first, second = token(), token("user")
    data = b"\xff\x00\n" + bytes(range(256)) + first.encode() + b"\x80" + second.encode() + b"\xff"
    (folder / "core").write_bytes(data)
    ran = scan(folder, "core", "--json")
    assert [hit["id"] for hit in ran.json] == [first[:12], second[:12]]
    for hit, secret in zip(ran.json, (first, second), strict=True):
        at = data.index(secret.encode())
        assert hit["line"] == data[:at].count(b"\n") + 1
        assert hit["column"] == at - data.rfind(b"\n", 0, at)


@pytest.mark.parametrize("at", [(1 << 18) - 49, (1 << 18) - 1, 1 << 18, (1 << 19) - 25])
def test_across_the_pieces_of_a_long_file(folder: Path, at: int):
    secret = token()
    (folder / "long").write_bytes(b"x" * at + secret.encode() + b"x" * (1 << 18))
    [hit] = scan(folder, "long", "--json").json
    assert (hit["id"], hit["line"], hit["column"]) == (secret[:12], 1, at + 1)


def test_what_can_not_be_read(folder: Path):
    """Is no answer of none; the rest is looked through."""
    secret = token()
    (folder / "there").write_text(secret)
    ran = scan(folder, "missing", "there")
    assert ran.code == 1 and secret[:12] in ran.out and "missing: No such file" in ran.err
    (folder / "there").write_text("nothing")
    assert scan(folder, "missing", "there").code == 3
    assert scan(folder, "missing").code == 3
    assert scan(folder).code == 2


def test_what_is_compressed(folder: Path):
    """By what it holds, whatever its name is: not to have found anything in it is no answer."""
    secret = token()
    (folder / "logs").mkdir()
    (folder / "logs/access.1").write_bytes(gzip.compress(secret.encode()))
    ran = scan(folder, "logs")
    assert ran.code == 3 and "logs/access.1: is compressed" in ran.err and "zcat" in ran.err, ran
    assert scan(folder, "-", stdin=gzip.compress(b"x")).code == 3
    (folder / "logs/plain.gz").write_text(secret)
    ran = scan(folder, "logs", "--json")
    assert ran.code == 1 and [hit["path"] for hit in ran.json] == ["logs/plain.gz"]
    (folder / "short").write_bytes(b"\x1f\x8b")
    assert scan(folder, "short").code == 0


def test_names_move_no_cursor(folder: Path):
    (folder / "a\n\x1b[31m").write_text(token())
    ran = scan(folder, ".")
    assert ran.code == 1 and len(ran.out.splitlines()) == 1 and "\x1b" not in ran.out
