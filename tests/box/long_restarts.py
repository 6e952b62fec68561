"""Restarts under load: a hundred by take-over, a hundred with sockets that somebody else holds, and
successors that are killed at random moments. No request fails for a client that follows HTTP."""

from __future__ import annotations

import os
import random
import subprocess
import time
from contextlib import suppress

from materials import token
from plugway import Gateway, binary, environment, eventually, write
from restarts import Activated, Fresh, Load, OneOne, Two, listening, port_of, successor

RESTARTS = int(os.environ.get("RESTARTS", "100"))
KILLS = int(os.environ.get("KILLS", "30"))
ALL = (OneOne, OneOne, Two, Fresh, Fresh)
QUIET = {"log": {"access": "errors"}}


def end(load: Load, what: str, took: list[float]) -> None:
    told = load.end()
    took.sort()
    print(f"\n{what}: {told}; each p50 {took[len(took) // 2] * 1e3:.0f} ms, worst {took[-1] * 1e3:.0f} ms")
    assert not load.faults, load.faults[:10]
    assert sum(load.again.values()) <= len(took), "more than the race that the protocol has"


def gone(gateway: Gateway) -> None:
    assert gateway.wait() == 0, gateway.stderr


def test_take_overs(world):
    gateway = world.start(QUIET)
    made = gateway.command("token", "create", "--name", "kept", "--level", "service", "--plugin", "todo", "--scope", "*", "--json")
    assert made.code == 0, made
    secret = made.json["secret"]
    world.upstream.secrets.add(secret)
    load, took = Load(gateway.address("http")[1], secret, ALL), []
    for _ in range(RESTARTS):
        old, begun = world.gateways.pop(), time.monotonic()
        successor(world)
        took.append(time.monotonic() - begun)
        load.progress(5)
        gone(old)
    end(load, f"{RESTARTS} take-overs", took)


def test_restarts_with_sockets_that_are_held(world):
    sock = listening()
    write(world.folder, world.base(QUIET | {"listen": {"http": f"127.0.0.1:{port_of(sock)}", "https": None}}))
    world.gateways.append(Activated(world.folder, [sock]))
    load, took = Load(port_of(sock), world.service, ALL), []
    for _ in range(RESTARTS):
        old, begun = world.gateways.pop(), time.monotonic()
        old.signal()
        gone(old)
        world.gateways.append(Activated(world.folder, [sock]))
        took.append(time.monotonic() - begun)
        load.progress(5)
    end(load, f"{RESTARTS} restarts with sockets that are held", took)


def test_successors_that_are_killed(world):
    """At a random moment before it serves: the old one goes on, and its tokens can be changed."""
    world.start(QUIET)
    chance, killed, late, took = random.Random(7), 0, 0, 0.2
    while killed < KILLS:
        gateway = world.gateway
        load = Load(gateway.address("http")[1], world.service, ALL)
        load.progress(5)
        while killed < KILLS:
            process = subprocess.Popen([binary(), "serve", "--config", "plugway.toml", "--take-over"], cwd=world.folder, env=environment(),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.random() * took)
            process.kill()
            process.wait()
            name = f"t{killed}-{token()[4:8]}"
            create = ("token", "create", "--name", name, "--level", "service", "--plugin", "todo", "--scope", "*")
            eventually(lambda create=create: "the successor serves" in gateway.stderr or gateway.command(*create).code == 0)
            if "the successor serves" in gateway.stderr:
                break
            killed += 1
        told = load.end()
        if "the successor serves" in gateway.stderr:
            # It was killed while it served: what that costs is not asked here.
            late, took = late + 1, took * 0.8
            gone(world.gateways.pop())
            world.run("serve", "--config", "plugway.toml")
        else:
            assert not load.faults, load.faults[:10]
    print(f"\n{killed} successors killed before they served, {late} after; the last load: {told}")
