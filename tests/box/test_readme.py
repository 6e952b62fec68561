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


def test_every_file_it_names_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        if "://" not in target:
            assert (README.parent / target).exists(), target
    assert os.access(README.parent / "tests/run", os.X_OK)
