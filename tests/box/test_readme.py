"""What README.md shows is what one gets."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from plugway import binary, environment, eventually

README = Path(__file__).resolve().parents[2] / "README.md"


def masked(text: str) -> str:
    return re.sub(r"(pl[su]_)[0-9A-Za-z]{46}", r"\1…", text)


def test_the_first_command_prints_what_the_first_screen_shows(folder):
    block = re.search(r"```console\n\$ (cargo run --release -- dev)\n(.*?)```", README.read_text(), re.S)
    assert block, "README.md shows no command and its output"
    # The ports are the ones that README.md names; nobody else may have them now.
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen([binary(), "dev"], cwd=folder, stdout=out, stderr=subprocess.PIPE, env=environment())
    try:
        said = eventually(lambda: "Ctrl-C" in (text := (folder / "out").read_text()) and text)
        assert masked(said).strip() == block[2].strip()
        line = next(line for line in said.splitlines() if "curl" in line)
        ran = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, timeout=20)
        assert ran.returncode == 0 and '"todos"' in ran.stdout, ran
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err


def test_the_tour_of_a_rotation_works_as_pasted(folder):
    block = re.search(r"### Rotate a token\n.*?```sh\n(.*?)```", README.read_text(), re.S)
    assert block, "README.md has no tour of a rotation"
    (folder / "bin").mkdir()
    (folder / "bin/plugway").symlink_to(binary())
    env = environment({"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"})
    process = subprocess.Popen(["plugway", "dev", "--json"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    try:
        assert process.stdout and process.stdout.readline()
        script = "set -e\n" + block[1].replace("curl", "curl --silent --show-error")
        # Whoever has pasted it once pastes it again.
        for _ in range(2):
            ran = subprocess.run(["sh", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
            assert ran.returncode == 0, ran
            assert ran.stdout.count('"todos"') == 2, ran.stdout
            assert "previous secret works" in ran.stdout and "last used" in ran.stdout
            assert "HTTP/1.1 401" in ran.stdout and "replaced by another secret" in ran.stdout
            assert "finish" in ran.stdout and "rotate" in ran.stdout
            assert not re.search(r"pl[sua]_[0-9A-Za-z]{46}", ran.stdout + ran.stderr)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_every_file_it_names_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        if "://" not in target:
            assert (README.parent / target).exists(), target
    assert os.access(README.parent / "tests/run", os.X_OK)
