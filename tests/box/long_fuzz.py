"""Bytes of any kind, grown from what is usual and from what is odd: no panic, no hang, bounded memory,
and what each target of `fuzz/fuzz_targets` says must hold. `tests/long fuzz [SECONDS] [TARGET]`; needs a
nightly compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from fuzz_seeds import LONGEST, ROOT, SEEDS

FUZZ = ROOT / "fuzz"
TOOLS = ROOT / "tests" / ".env" / "cargo"


class Target(NamedTuple):
    """How one is run."""

    dictionary: str
    longest: int


TARGETS = {
    "document": Target("openapi", LONGEST),
    "requests": Target("http", 4096),
    "responses": Target("http", 4096),
    "targets": Target("http", 2048),
    "config": Target("config", LONGEST),
    "tokens": Target("tokens", 4096),
}
# Seconds that each of all has, and one that is named.
EACH, NAMED = 60, 300


def cargo_fuzz() -> str:
    """The program; installed if it is missing."""
    if found := shutil.which("cargo-fuzz"):
        return found
    program = TOOLS / "bin" / "cargo-fuzz"
    if not program.exists():
        subprocess.run(["cargo", "install", "--locked", "--quiet", "cargo-fuzz", "--root", TOOLS], check=True)
    return str(program)


def seeds(target: str, folder: Path) -> int:
    """Writes what mutation begins with."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in SEEDS[target]():
        if len(content) <= TARGETS[target].longest:
            (folder / re.sub(r"[^A-Za-z0-9.]+", "-", name)).write_bytes(content)
    return len(list(folder.iterdir()))


def fuzz(target: str, seconds: int) -> bool:
    """Runs a target; whether it found nothing."""
    corpus, seeded = FUZZ / "corpus" / target, FUZZ / "corpus" / "seeds" / target
    corpus.mkdir(parents=True, exist_ok=True)
    print(f"{target}: {seeds(target, seeded)} seeds", flush=True)
    how = TARGETS[target]
    # No unsafe code is in the gateway, so that the address sanitizer would only slow it down.
    command = [cargo_fuzz(), "run", "--sanitizer", "none", target, str(corpus), str(seeded), "--",
               f"-max_total_time={seconds}", f"-max_len={how.longest}", "-timeout=5", "-rss_limit_mb=1024",
               f"-dict={FUZZ / how.dictionary}.dict", "-print_final_stats=1", "-verbosity=1"]
    environment = os.environ | {"RUSTUP_TOOLCHAIN": os.environ.get("FUZZ_TOOLCHAIN", "nightly")}
    run = subprocess.Popen(command, cwd=FUZZ, env=environment, stderr=subprocess.PIPE, text=True, errors="replace")
    last, reports = "", []
    for line in run.stderr:
        if " cov: " in line:
            last = line.strip()
        if not line.startswith("#") or "DONE" in line or "pulse" in line:
            reports.append(line)
    code = run.wait()
    print("".join(reports[-400:] if code else [line for line in reports if line.startswith("stat::")]), end="")
    print(f"last state: {last}", flush=True)
    if code:
        print(f"a finding is in fuzz/artifacts/{target}; reproduce it with the command above, and make it a unit test")
    return code == 0


def main() -> int:
    given = sys.argv[1:]
    names = [word for word in given if not word.isdecimal()]
    seconds = [int(word) for word in given if word.isdecimal()]
    if len(names) > 1 or len(seconds) > 1 or any(name not in TARGETS for name in names):
        print(f"usage: tests/long fuzz [SECONDS] [TARGET], with TARGET one of: {' '.join(TARGETS)}", file=sys.stderr)
        return 2
    each = seconds[0] if seconds else NAMED if names else EACH
    found = [target for target in names or TARGETS if not fuzz(target, each)]
    if found:
        print(f"findings of: {', '.join(found)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
