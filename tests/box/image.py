"""The image's root file system, assembled without an engine, and gateways in it: with a read-only root, as an
ordinary user, in a mount namespace of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import plugway
from plugway import Gateway, Ran

REPOSITORY = Path(__file__).resolve().parents[2]
USER = 65532
"""The image's user, as deploy/image/rootfs names it."""

ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"
  shift 2
done
shift
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec unshare --root "$root" --wd /plugway --setgid 65532 --setuid 65532 -- "$@"
"""
"""What an engine does before it starts the entry point: the volumes, then nothing else can be written."""


def assemble(root: Path) -> Path:
    """The root of the image with the binary under test."""
    subprocess.run([REPOSITORY / "deploy/image/rootfs", plugway.binary(), root], check=True)
    return root


def size(root: Path) -> int:
    """Bytes of all files."""
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def entering(root: Path, volumes: dict[str, Path], *command: str) -> list[str]:
    """The command that runs another in the image. `volumes`: folders of this machine for paths of the image."""
    for folder in volumes.values():
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, USER, USER)
    mounts = [str(part) for path, folder in volumes.items() for part in (folder, path)]
    script = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
    return [*script, str(root), *mounts, "--", *command]


class Contained(Gateway):
    """A gateway in the image."""

    def __init__(self, root: Path, arguments: list[str], volumes: dict[str, Path], env: dict[str, str] | None = None):
        self.root, self.volumes = root, volumes
        super().__init__(root.parent, [*arguments, "--json"], env)

    def launch(self, arguments: list[str]) -> tuple[list[str], dict]:
        return entering(self.root, self.volumes, "/bin/plugway", *arguments), {}

    def inside(self, *arguments: str, env: dict[str, str] | None = None) -> Ran:
        """A command beside it, as the engine's health check or `docker exec` runs one."""
        enter = ["nsenter", "-t", str(self.process.pid), "--mount", "--root", "--wd", "-S", str(USER), "-G", str(USER)]
        done = subprocess.run([*enter, "/bin/plugway", *arguments], env=plugway.environment(env or self.env),
                              capture_output=True, text=True, timeout=plugway.PATIENCE, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    def identity(self) -> tuple[int, ...]:
        """The users that the process is: real, effective, saved, of the file system."""
        line = next(line for line in self._proc("status").splitlines() if line.startswith("Uid:"))
        return tuple(int(word) for word in line.split()[1:])

    def is_read_only(self, path: str) -> bool:
        """Whether the mount at this path is."""
        mounts = [line.split() for line in self._proc("mountinfo").splitlines()]
        options = [fields[5] for fields in mounts if fields[4] == path]
        return "ro" in options[-1].split(",")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()
