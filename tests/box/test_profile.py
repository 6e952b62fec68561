"""`profile/rustc`, which cargo calls for the compiler."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import plugway

FOLDER = Path(__file__).resolve().parents[2] / "profile"
OPTIMIZED = ["--crate-name", "x y", "-C", "opt-level=3"]


def called(wrapper: Path, arguments: list[str], **environment: str) -> list[str]:
    """What the compiler is called with."""
    compiler = ["printf", "%s\n"]  # says what it is given
    inherited = {name: value for name, value in os.environ.items() if name != "PLUGWAY_PROFILE"}
    done = subprocess.run([wrapper, *compiler, *arguments], capture_output=True, text=True, check=True, env=inherited | environment)
    return done.stdout.splitlines()


def test_optimized_code_gets_the_profile_and_nothing_else_does() -> None:
    wrapper = FOLDER / "rustc"
    assert (FOLDER / "plugway.profdata").stat().st_size > 1 << 20
    with_it = [*OPTIMIZED, f"-Cprofile-use={FOLDER}/plugway.profdata", "-Cllvm-args=-no-pgo-warn-mismatch"]
    if sys.platform == "linux":
        with_it.append("-Clink-arg=-Wl,-z,keep-text-section-prefix")
    assert called(wrapper, OPTIMIZED) == with_it
    assert called(wrapper, OPTIMIZED, PLUGWAY_PROFILE="on") == with_it
    for plain in (["-vV"], ["--crate-name", "x", "-C", "opt-level=0"], [*OPTIMIZED, "--cfg", "fuzzing"]):
        assert called(wrapper, plain) == plain
        assert called(wrapper, plain, PLUGWAY_PROFILE="make") == plain
    assert called(wrapper, OPTIMIZED, PLUGWAY_PROFILE="off") == OPTIMIZED
    assert called(wrapper, OPTIMIZED, PLUGWAY_PROFILE="make") == [*OPTIMIZED, "-Cprofile-generate"]


def test_the_unwinder_is_part_of_the_binary() -> None:
    """Whatever is loaded at a start takes its time. Only the binary for this machine: others are linked otherwise."""
    program = ["--crate-name", "plugway", "--crate-type", "bin"]
    with_it = [*program, f"-Lnative={FOLDER}/link"] if sys.platform == "linux" else program
    assert called(FOLDER / "rustc", program) == with_it
    for plain in (
        [*program, "--target", "x86_64-unknown-linux-gnu"], ["--crate-name", "plugway", "--crate-type", "lib"],
        ["--crate-name", "build_script_build", "--crate-type", "bin"],
    ):
        assert called(FOLDER / "rustc", plain) == plain
    needed = subprocess.run(["readelf", "-d", plugway.binary()], capture_output=True, text=True, check=True).stdout
    assert "libc.so" in needed and "libgcc" not in needed


def test_without_a_profile_code_is_compiled_as_ever(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    wrapper = Path(shutil.copy(FOLDER / "rustc", folder))
    assert called(wrapper, OPTIMIZED) == OPTIMIZED


def test_a_compiler_that_fails_has_its_say() -> None:
    assert subprocess.run([FOLDER / "rustc", "sh", "-c", "exit 7"]).returncode == 7


def test_the_binary_is_what_the_settings_of_the_build_make_it() -> None:
    """`.cargo/config.toml`: random numbers are seeded by the system, which takes no time; `heap::copies`: the copies are
    its own."""
    symbols = subprocess.run(["nm", "--defined-only", plugway.binary()], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1] for line in symbols.splitlines() if line.strip()}
    assert len(names) > 10_000
    assert not [name for name in names if name.startswith("jent_")]
    assert platform.machine() != "x86_64" or "memcpy" in names
