"""What the clients share: jobs come in as a JSON file, one line of JSON goes out for each.

Each client runs in a virtual environment of its own, so this file imports the standard library only.
A job names a document (`source`: a file or a URL), and perhaps a call of one of its operations."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import resource
import signal
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path

MEMORY = 6 << 30
"""Bytes of address space that a Python client may take."""


class Slow(BaseException):
    """A job took too long; no client's `except Exception` swallows it."""


def _alarm(*_: object) -> None:
    raise Slow


def token() -> str:
    return os.environ["CLIENT_TOKEN"]


def authority() -> str:
    """The file of the test's certificate authority."""
    return os.environ["SSL_CERT_FILE"]


def text(source: str) -> str:
    if source.startswith("https:"):
        with urllib.request.urlopen(source, timeout=30) as response:
            return response.read().decode()
    return Path(source).read_text(encoding="utf-8")


def normal(name: str) -> str:
    """A name without what generators change in one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def short(error: BaseException) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}: {line[:300]}"


def run(load: Callable[[dict], tuple[list[str], Callable[[dict], object]]]) -> None:
    """For each job `load` gives the operations that the client has, and what calls one of them."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL if not os.environ.get("CLIENT_LOG") else logging.NOTSET)
    limit = int(os.environ.get("CLIENT_MEMORY", MEMORY))
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, _alarm)
    jobs = json.loads(Path(sys.argv[1]).read_text())
    out, sys.stdout = sys.stdout, io.StringIO()
    for job in jobs:
        done = {"document": job["document"], "stage": job["stage"], "names": None, "problem": None, "call": None}
        begun = time.monotonic()
        signal.alarm(int(job["patience"]))
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                names, call = load(job)
                done["names"] = names
                if job["call"]:
                    try:
                        call(job["call"])
                        done["call"] = "made"
                    except Exception as error:  # noqa: BLE001 - whatever a client raises is what it says
                        done["call"] = short(error)
        except Slow:
            done["problem"] = f"not within {job['patience']} s"
        except (Exception, SystemExit) as error:  # noqa: BLE001
            done["problem"] = short(error)
        finally:
            signal.alarm(0)
        done["said"] = job.get("said")
        done["seconds"] = round(time.monotonic() - begun, 1)
        print(json.dumps(done), file=out, flush=True)
