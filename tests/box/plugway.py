"""The gateway as a process, and its command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tomli_w

PATIENCE = 20.0
"""Seconds after which something that a test waits for is not going to happen."""

T = TypeVar("T")


def binary() -> str:
    path = os.environ.get("PLUGWAY_BIN")
    default = Path(__file__).resolve().parents[2] / "target/release/plugway"
    return path or str(default)


def eventually(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `look` gives as soon as it is true and raises no AssertionError."""
    end = time.monotonic() + patience
    while True:
        failure = None
        try:
            if value := look():
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() > end:
            raise failure or AssertionError(f"not within {patience} s: {look}")
        time.sleep(0.005)


@dataclass
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would steer plugway."""
    steering = ("PLUGWAY_", "FLY_", "PORT", "NO_COLOR", "RUST_LOG")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(steering)}
    return clean | (extra or {})


def descriptors_of(pid: int) -> int:
    """Files and sockets that a process has open, but for what it makes for itself, which may be after
    it said that it is ready: those in reserve, which an accept loop takes when it begins, and what it
    waits with (epoll, inotify)."""
    folder, count = f"/proc/{pid}/fd", 0
    for number in os.listdir(folder):
        try:
            count += not os.readlink(f"{folder}/{number}").startswith(("/dev/null", "anon_inode:"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return count


def connections_of(pid: int) -> int:
    """TCP connections that a process has open, to clients and to upstreams, whether or not anything
    happens on them. Not the sockets that it listens on."""
    connected = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A":  # TCP_LISTEN
                connected.add(f"socket:[{fields[9]}]")
    folder, count = f"/proc/{pid}/fd", 0
    for number in os.listdir(folder):
        try:
            count += os.readlink(f"{folder}/{number}") in connected
        except FileNotFoundError:
            pass  # closed meanwhile
    return count


def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None, patience: float = PATIENCE,
        stdin: str | bytes | None = None) -> Ran:
    """Runs a command to its end."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [binary(), *arguments], cwd=cwd, env=environment(env), input=given or b"",
        capture_output=True, timeout=patience, check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "panicked" not in err, err
    return Ran(done.returncode, out, err)


class NotReady(Exception):
    """The process ended before it was ready."""

    def __init__(self, ran: Ran):
        super().__init__(f"exit code {ran.code}\n{ran.out}\n{ran.err}")
        self.ran = ran


class Gateway:
    """A running `plugway serve` or `plugway dev`."""

    def __init__(self, folder: Path, arguments: list[str], env: dict[str, str] | None = None):
        self.folder = folder
        self.env = env or {}
        self.secrets: set[str] = set()
        """What must never be written: tokens, and whatever else a test marks."""
        self.stdout = ""
        self.stderr = ""
        self.after: list[Callable[[], None]] = []
        """What has to be closed before the process is asked to end."""
        command, more = self.launch(arguments)
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **more,
        )
        self.readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self.readers:
            reader.start()
        self.ready, self.length = self._await_ready()

    def launch(self, arguments: list[str]) -> tuple[list[str], dict]:
        """The command, and how it is run."""
        return [binary(), *arguments], {}

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as pipe:
            for line in pipe:
                setattr(self, name, getattr(self, name) + line)

    def _await_ready(self) -> tuple[dict, int]:
        """The ready object, and how many characters it has."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                ready, length = json.JSONDecoder().raw_decode(self.stdout)
                if "listeners" in ready:
                    return ready, length
            except json.JSONDecodeError:
                pass
            if self.process.poll() is not None:
                for reader in self.readers:
                    reader.join(PATIENCE)
                raise NotReady(Ran(self.process.returncode, self.stdout, self.stderr))
            time.sleep(0.003)
        self.process.kill()
        raise AssertionError(f"not ready within {PATIENCE} s:\n{self.stdout}\n{self.stderr}")

    def address(self, kind: str, index: int = 0) -> tuple[str, int]:
        """Where a listener really is."""
        found = [entry["address"] for entry in self.ready["listeners"] if entry["kind"] == kind]
        host, _, port = found[index].rpartition(":")
        return host.strip("[]"), int(port)

    # --- what it says ---

    def lines(self) -> list[dict]:
        """Access lines so far."""
        text = self.stdout[self.length:]
        whole = text[: text.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line.strip()]

    def line(self, request_id: str) -> dict:
        """The one access line of a request, when it is there."""
        def look() -> list[dict]:
            return [line for line in self.lines() if line["request_id"] == request_id]

        found = eventually(look)
        assert len(found) == 1, found
        return found[0]

    def await_messages(self, *texts: str) -> None:
        """Standard error has each of them. What another channel tells of the same may be read before."""
        def look() -> bool:
            for text in texts:
                assert text in self.stderr, self.stderr
            return True

        eventually(look)

    def command(self, *arguments: str) -> Ran:
        """A command that speaks to this gateway."""
        return run(*arguments, "--admin", self.ready["admin"], cwd=self.folder)

    def status(self) -> dict:
        ran = self.command("status", "--json")
        assert ran.code in (0, 3), ran
        return ran.json

    def reload(self, *arguments: str) -> Ran:
        return self.command("reload", "--json", *arguments)

    def generation(self) -> int:
        return self.status()["generation"]["number"]

    def await_refusal(self) -> dict:
        return eventually(lambda: self.status()["pending_rejected"])

    # --- its end ---

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        return code

    def stop(self) -> None:
        """Ends it, and what must be true at the end of every test."""
        for close in self.after:
            close()
        if self.process.poll() is None:
            self.signal()
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise AssertionError(f"it does not end:\n{self.stderr}") from None
        assert code == 0, f"exit code {code}:\n{self.stderr}"
        for text in (self.stdout[self.length:], self.stderr):
            assert "panic" not in text.lower(), text
            for secret in self.secrets:
                assert secret not in text, f"{secret[:12]}… was written"
        for line in self.lines():
            assert line["generation"] >= 1, line


def write(folder: Path, config: dict | str, name: str = "plugway.toml") -> Path:
    """Writes a configuration as an editor does: whole, in one step."""
    path = folder / name
    replace(path, config if isinstance(config, str) else tomli_w.dumps(config))
    return path


def replace(path: Path, content: str | bytes) -> None:
    """Puts a file in the place of another."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
