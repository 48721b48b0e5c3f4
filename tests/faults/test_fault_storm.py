"""F55, the short form: two nodes, random faults by seed, then quiet; what must hold after any history holds."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from exs.model import JobState
from exs_worker import proctree
from harness.fleet import Fleet
from harness.node import Node
from harness.proxy import Proxy

S = JobState
#: Seconds of trouble; long enough for a loss by time and a return.
TROUBLE = 10.0


class Storm:
    """Does one random thing after the other to two nodes and their Redis."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        self.random = random.Random(seed)
        self.proxies: dict[str, Proxy] = {name: fleet.proxy() for name in ("a", "b")}
        self.nodes = {
            name: fleet.node(name, "--cpus", "2", slots=0, url=proxy.url, EXS_CRASH_BUDGET="1000")
            for name, proxy in self.proxies.items()
        }
        self.frozen: list[int] = []
        self.history: list[str] = []

    def one(self) -> None:
        """One fault, of one node or of Redis."""
        name = self.random.choice(sorted(self.nodes))
        what = self.random.choice((self.kill_slot, self.kill_agent, self.power_off, self.freeze, self.cut, self.redis))
        self.history.append(f"{what.__name__} {name}")
        what(self.nodes[name], self.proxies[name])
        pause = time.monotonic() + self.random.uniform(0.1, 0.8)
        self.fleet.wait(lambda: time.monotonic() > pause, "the next fault")

    def kill_slot(self, node: Node, proxy: Proxy) -> None:
        for pid in node.slots()[:1]:
            self.signal(pid, signal.SIGKILL)

    def kill_agent(self, node: Node, proxy: Proxy) -> None:
        self.signal(node.pid, signal.SIGKILL)
        assert node.agent is not None
        node.agent.wait(10)
        node.launch("--cpus", "2")

    def power_off(self, node: Node, proxy: Proxy) -> None:
        node.power_off()
        node.launch("--cpus", "2")

    def freeze(self, node: Node, proxy: Proxy) -> None:
        self.thaw()
        for pid in node.slots()[:1]:
            self.frozen.append(pid)
            self.signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self.frozen:
            self.signal(pid, signal.SIGCONT)
        self.frozen.clear()

    def cut(self, node: Node, proxy: Proxy) -> None:
        self.random.choice((proxy.cut, proxy.stall, proxy.go, proxy.go))()

    def redis(self, node: Node, proxy: Proxy) -> None:
        self.random.choice((self.fleet.server.stop, self.fleet.server.kill))()
        self.fleet.server.start()

    def signal(self, pid: int, number: signal.Signals) -> None:
        if proctree.read(pid) is not None:
            os.kill(pid, number)

    def calm(self) -> None:
        """No more faults: everything answers, every node has an agent."""
        self.thaw()
        for name, node in self.nodes.items():
            self.proxies[name].go()
            if node.ended() is not None:
                node.launch("--cpus", "2")


@pytest.mark.parametrize("seed", [int(os.environ.get("EXS_STORM_SEED", "1"))])
def test_f55_a_storm(fleet: Fleet, seed: int) -> None:
    jobs = fleet.push("daemons", "pause", "0.4", "result", '{"loss": 1}', jobs=40)
    storm = Storm(fleet, seed)
    end = time.monotonic() + TROUBLE
    while time.monotonic() < end:
        storm.one()
    storm.calm()
    rows = fleet.wait_all(seconds=60)
    said = f"seed {seed}: {', '.join(storm.history)}"
    assert [row.id for row in rows] == jobs, said
    assert {(row.state, row.failure) for row in rows} == {(S.DONE, "")}, said
    assert all(row.result == {"loss": 1} for row in rows), said
    fleet.wait(lambda: not fleet.witness.living(), f"the end of everything, {said}", 30)
    fleet.wait(lambda: not [path for node in storm.nodes.values() for path in node.home.rglob("*.outcome.json")], said)
    fleet.check()
