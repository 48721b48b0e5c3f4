"""What is full: Redis's memory, its disk, the disk of the logs; and output that would fill any."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from exs.errors import EXIT_REDIS
from exs.model import JobState
from exs.settings import MIB
from harness.disk import ROOT, small_disk, small_files
from harness.fleet import Fleet
from harness.redis_server import RedisServer
from slotprocess import wait_until

S = JobState
#: Words in front of a command that should outlive a write beyond its limit.
UNKILLED = (sys.executable, "-c", "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])")
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.mark.fault(29)
def test_f29_redis_has_no_memory_left(fleet: Fleet) -> None:
    """What runs and what waits is recorded; a push is refused with a sentence; lists work."""
    go = fleet.root / "go"
    fleet.node("a")
    jobs = fleet.push("until", go, "result", '{"loss": 1}', jobs=3)
    fleet.wait_running(jobs[0])
    fleet.server.client().config_set("maxmemory", "1")
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        fleet.server.client().set("x", "y")
    said = fleet.exs("push", "--", "true", "x=1", code=EXIT_REDIS)
    assert "has no memory left for this." in said and "Raise maxmemory, or remove" in said
    go.touch()
    assert [(row.state, row.attempts, row.result) for row in fleet.wait_all()] == [(S.DONE, 1, {"loss": 1})] * 3
    assert "work" in fleet.exs("list", "-a") and "idle" in fleet.exs("workers")
    fleet.server.client().config_set("maxmemory", "0")
    (later,) = fleet.push(name="later")
    assert fleet.wait_state(later, S.DONE).attempts == 1
    fleet.check()


class Disk:
    """The disk of a redis-server, which can be filled and emptied."""

    def __init__(self, server: RedisServer, folder: Path, mounted: bool) -> None:
        self.server = server
        self._filler = folder / "filler"
        self._mounted = mounted

    def fill(self) -> None:
        if not self._mounted:
            size = max(path.stat().st_size for path in self.server.directory.rglob("*.aof"))
            resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            return
        with pytest.raises(OSError, match="No space left"), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))

    def empty(self) -> None:
        if self._mounted:
            self._filler.unlink()
        else:
            resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, NO_LIMIT)


@pytest.fixture(params=[pytest.param(True, marks=ROOT, id="mount"), pytest.param(False, id="limit")])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    with ExitStack() as stack:
        folder = tmp_path / "disk"
        if request.param:
            stack.enter_context(small_disk(folder, "3m"))
        server = RedisServer(folder / "redis", prefix=() if request.param else UNKILLED)
        stack.callback(server.kill)
        server.start()
        wait_until(server.answers, "redis-server answers", 20)
        yield Disk(server, folder, request.param)


@pytest.mark.fault(31)
def test_f31_the_disk_of_redis_is_full(tmp_path: Path, disk: Disk) -> None:
    """It is said as what it is; the job runs on; when there is room again all goes on by itself, and all is there."""
    fleet = Fleet(tmp_path, disk.server)
    try:
        go = fleet.root / "go"
        node = fleet.node("a")
        jobs = fleet.push("until", go, "result", '{"loss": 1}', jobs=3, lost_after=600)
        fleet.wait_running(jobs[0])
        disk.fill()
        fleet.wait(lambda: "cannot write its disk" in node.text(), "what the slot says of it")
        assert fleet.witness.living()
        said = fleet.exs("push", "--", "true", "x=1", code=EXIT_REDIS)
        assert "cannot write its disk." in said and "Free space there; it heals by itself." in said
        assert "work" in fleet.exs("list")
        go.touch()
        fleet.wait(lambda: list(node.home.rglob("*.outcome.json")), "an outcome on disk")
        disk.empty()
        rows = fleet.wait_all()
        assert [(row.state, row.attempts, row.result) for row in rows] == [(S.DONE, 1, {"loss": 1})] * 3
        disk.server.kill()
        disk.server.start()
        wait_until(disk.server.answers, "redis-server answers", 20)
        assert fleet.rows() == rows
        fleet.check()
    finally:
        fleet.close()


@pytest.mark.fault(35)
@pytest.mark.parametrize("mounted", [pytest.param(True, marks=ROOT, id="mount"), pytest.param(False, id="limit")])
def test_f35_the_disk_of_the_logs_is_full(fleet: Fleet, mounted: bool) -> None:
    """The job is not disturbed, what was dropped is counted, the result arrives."""
    node = fleet.node("a", start=False, prefix=() if mounted else small_files(MIB))
    with ExitStack() as stack:
        if mounted:
            stack.enter_context(small_disk(node.work, "1m"))
        stack.callback(node.power_off)
        node.start()
        (job,) = fleet.push("result", '{"loss": 1}', "flood", 3 * MIB, "\n")
        row = fleet.wait_state(job, S.DONE, S.CRASHED)
        assert (row.state, row.result) == (S.DONE, {"loss": 1})
        assert 2 * MIB <= row.log_dropped < 3 * MIB + 100
        assert Path(row.log).stat().st_size <= MIB
        fleet.check()


@pytest.mark.fault(37)
@pytest.mark.parametrize("end", ["\n", ""], ids=["lines", "one line"])
def test_f37_a_gibibyte_of_output(fleet: Fleet, end: str) -> None:
    """Little memory, a file within its cap, and the end of the output in it."""
    node = fleet.node("a")
    (slot,) = node.slots()
    (job,) = fleet.push("flood", 1024 * MIB, end)
    row = fleet.wait_state(job, S.DONE, S.CRASHED, seconds=90)
    assert row.state is S.DONE
    log = Path(row.log)
    limit = 64 * MIB + MIB + 200
    assert log.stat().st_size <= limit
    assert row.log_dropped >= 1024 * MIB - limit
    assert fleet.exs_bytes("logs", "--tail", "1", "work/0") == b"the end\n"
    (peak,) = [line.split() for line in Path(f"/proc/{slot}/status").read_text().splitlines() if "VmHWM" in line]
    assert int(peak[1]) * 1024 < 150 * MIB
    fleet.check()


def test_a_slot_that_a_full_redis_forgot_hears_a_cancel(fleet: Fleet) -> None:
    """It cannot register anew, and what the renewal carries counts all the same."""
    fleet.node("a", EXS_RECONNECT="3600")  # so long it does not look at what it subscribes to anew
    (job,) = fleet.push("until", fleet.root / "go")
    fleet.wait_running(job)
    client = fleet.server.client()
    fleet.wait(lambda: client.pubsub_channels("rq:pubsub:*"), "the slot listens")
    listened = {each["id"] for each in client.client_list(_type="pubsub")}
    client.client_kill_filter(_type="pubsub")
    fleet.wait(lambda: not listened & {each["id"] for each in client.client_list(_type="pubsub")}, "it is cut off")
    client.config_set("maxmemory", 1)
    client.delete(*client.keys("rq:worker:*"))
    fleet.store.cancel([job], kill=True)
    fleet.wait_state(job, S.CANCELED)
    client.config_set("maxmemory", 0)
    fleet.check()


def test_a_slot_that_starts_beside_a_full_redis_waits(fleet: Fleet) -> None:
    """It says why once, stays, and takes jobs when there is memory again."""
    client = fleet.server.client()
    node = fleet.node("a")
    (first,) = node.slots()
    client.config_set("maxmemory", 1)
    os.kill(first, signal.SIGKILL)
    (slot,) = fleet.wait(lambda: [pid for pid in node.slots() if pid != first], "another slot")
    node.wait_for("has no memory left")
    client.config_set("maxmemory", 0)
    (job,) = fleet.push()
    fleet.wait_state(job, S.DONE)
    assert node.slots() == [slot]
    assert node.text().count("has no memory left") == 1 and "Traceback" not in node.text()
    fleet.check()
