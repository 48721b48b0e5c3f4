"""The main promise: two nodes share a sweep that was pushed from a third place, each job once, on its own GPU."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import pytest

from exs.errors import EXIT_REDIS
from exs.model import JobState
from harness.fleet import Fleet
from harness.netns import NEAR, Wire
from harness.node import gpus
from harness.redis_server import RedisServer
from slotprocess import wait_until

S = JobState
JOBS = 200


def push_sweep(fleet: Fleet) -> None:
    words = shlex.join(fleet.witness.command("square"))
    (fleet.home / "sweep.yaml").write_text(
        f"name: shared\ncommand: {words} {{i}}\nresources: {{gpus: 1}}\nparams:\n  i: {{range: [0, {JOBS}]}}\n"
    )
    fleet.exs("push", "sweep.yaml")


def check_sweep(fleet: Fleet, pinned: dict[str, list[str]]) -> None:
    rows = fleet.wait_all("shared", 90)
    assert {(row.state, row.attempts, row.lost) for row in rows} == {(S.DONE, 1, 0)} and len(rows) == JOBS
    assert set(fleet.witness.runs().values()) == {1} and len(fleet.witness.runs()) == JOBS
    seen = {start.job: start for start in fleet.witness.seen("start")}
    for row in rows:
        assert row.gpus in pinned[row.node] and seen[row.id].devices == row.gpus
        assert seen[row.id].cwd.endswith(f"/{row.node}/work") and row.result == {"square": row.index**2}
    assert Counter(row.node for row in rows).keys() == set(pinned)  # shared: each had some
    fleet.check()


def test_two_nodes_share_a_sweep(fleet: Fleet) -> None:
    names = gpus(4)
    pinned = {"a": names[:2], "b": names[2:]}
    for node, devices in pinned.items():
        fleet.node(node, "--gpus", ",".join(devices), slots=2)
    push_sweep(fleet)
    check_sweep(fleet, pinned)
    table = fleet.exs("list", "-t", "shared")
    assert f"{JOBS} done" in table and "square" in table
    places = {f"{node}:{gpu}" for node, devices in pinned.items() for gpu in devices}
    assert all(place in table for place in places)
    jobs = fleet.json("list", "-t", "shared")["jobs"]
    assert [job["result"]["square"] for job in jobs] == [i * i for i in range(JOBS)]
    assert {job["status"] for job in jobs} == {"DONE"}


@pytest.mark.root
def test_two_nodes_share_a_sweep_across_network_namespaces(tmp_path: Path, network: Wire) -> None:
    """Redis is bound to the address of one machine, with a password; the other reaches it over the wire."""
    ends = {"a": network.near, "b": network.far}
    server = RedisServer(tmp_path / "redis", NEAR, 6379, "s3cr3t-word", network.near).start()
    fleet = Fleet(tmp_path, server, network.far)
    try:
        wait_until(lambda: fleet.command("list").wait(20) == 0, "redis-server answers", 20)
        names = gpus(4)
        pinned = {"a": names[:2], "b": names[2:]}
        refused = fleet.node("open", start=False, prefix=network.far, url=server.plain_url)
        assert refused.launch().wait(20) == EXIT_REDIS
        assert "wants a password" in refused.text()
        for node, devices in pinned.items():
            fleet.node(node, "--gpus", ",".join(devices), slots=2, prefix=ends[node])
        push_sweep(fleet)  # from a home directory, whose code is not sent
        fleet.exs("wait", "shared")
        jobs = fleet.json("list", "-t", "shared")["jobs"]
        for node in ("a", "b"):
            assert "s3cr3t-word" not in (tmp_path / node / "log").read_text()
        assert len(jobs) == JOBS and {job["node"] for job in jobs} == {"a", "b"}
        assert set(fleet.witness.runs().values()) == {1} and len(fleet.witness.runs()) == JOBS
        seen = {start.job: start for start in fleet.witness.seen("start")}
        assert all([seen[job["id"]].devices] == job["gpus"] for job in jobs)
        assert all(set(job["gpus"]) <= set(pinned[job["node"]]) for job in jobs)
    finally:
        fleet.close()
        server.kill()
