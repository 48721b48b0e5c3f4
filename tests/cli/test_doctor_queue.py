"""exs doctor at a queue in which something is wrong."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

import exs as package
from cli.doctoring import bad, doctor, findings, typed
from cli.lab import Exs, Lab, wait_for
from exs.model import JobState, NewJob, Resources, Spec
from exs.settings import Limits, Settings
from exs.store import keys
from exs.store.push import Origin
from exs.store.store import open_store
from harness.node import gpus


def queue(well: Exs, code: int) -> list[tuple[str, str, list[str]]]:
    """Warnings and errors about the queue."""
    return [one for one in findings(well, code, "queue") if one[0] in ("warning", "error")]


def push(ward: Lab, name: str, jobs: int = 2, pool: str = "default", **wants: object) -> None:
    spec = Spec(commands={"train": {"argv": [["true"]]}}, cwd=str(ward.cwd))
    needs = Resources(**wants)  # type: ignore[arg-type]  # a dict of its fields
    points = [NewJob({"i": i}, f"i={i}", f"{i:016x}", resources=needs) for i in range(jobs)]
    ward.store.push(name, spec, points, Origin("ann", "laptop", f"{name}.yaml"), pool=pool)


def test_a_queue_that_is_well(well: Exs, ward: Lab) -> None:
    ward.push("resnet", jobs=3)
    ward.claim()
    said = [what for _, what, _ in findings(well, 0, "queue")]
    assert "1 experiment, 3 jobs, each in exactly one place" in said
    assert "1 slot on 1 node: 1 busy" in said


def test_jobs_and_nobody_to_run_them(well: Exs, ward: Lab) -> None:
    ward.push("resnet", jobs=3)
    ((severity, what, do),) = queue(well, 1)
    assert (severity, what) == ("warning", "3 jobs wait, and no worker is running.")
    assert do[0].startswith("exs worker ")
    assert doctor(well, "-q", code=1) == "warning: 3 jobs wait, and no worker is running.\n"


def test_jobs_that_no_slot_has_the_time_for(well: Exs, ward: Lab) -> None:
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 600))
    words = ("worker", "--cpus", "1", "--until", until, "--grace", "5s")
    agent = well.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(ward.store.workers, "the slot")
        spec = Spec(commands={"train": {"argv": [["true"]]}}, cwd=str(ward.cwd), timeout=4 * 3600.0)
        job = NewJob({}, "i", "0" * 16, resources=Resources())
        ward.store.push("long", spec, [job], Origin("ann", "laptop", "long.yaml"))
        push(ward, "fits")
        wait_for(lambda: ward.store.counts("fits")[JobState.DONE] == 2, "the jobs that fit")
        said = [one for one in findings(well, 0, "queue") if one[0] == "note"]
        ((_, what, lines),) = said
        assert what == "jobs of long wait for a slot that has more time: those that could run them end before."
        assert lines[0].startswith("exs why long") and lines[1].startswith("exs worker")
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)


@pytest.mark.parametrize(
    ("pool", "wants", "why", "do"),
    [
        ("a100", {}, "no slot serves the pool a100", "exs worker --pool a100"),
        ("default", {"gpus": 2}, "they want 2 GPUs each, and no node has so many in its slots (the largest slot has 1)",
         "exs worker --gpus all"),
        ("default", {"nodes": ("n1", "n2")}, "only n1, n2 may run them, and no slot is there", "exs worker"),
        ("default", {"gpus": 0}, "they want a slot without a GPU, and there is none", "exs worker --cpus 1"),
        ("default", {"gpus": 1, "gpu_memory": 80 << 30}, "they want 80 GiB of GPU memory, and the largest slot has 24",
         "exs worker"),
        ("default", {"indices": ("3", "4")}, "they may run on GPUs 3,4 only", "exs worker --gpus 3,4"),
    ],
)  # fmt: skip
def test_jobs_that_no_slot_can_take(
    well: Exs, ward: Lab, pool: str, wants: dict[str, object], why: str, do: str
) -> None:
    """Judged by what a real slot, idle beside them, offers."""
    well.env["EXS_FAKE_GPUS"] = "999x24GiB"
    agent = well.start("worker", "--gpus", *gpus(1), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(ward.store.workers, "the slot")
        push(ward, "fits", pool="default")
        push(ward, "stuck", pool=pool, **wants)
        wait_for(lambda: ward.store.counts("fits")[JobState.DONE] == 2, "the jobs that fit")
        said = queue(well, 1)
        ((severity, what, typed_lines),) = said
        assert severity == "warning" and what.startswith(f"2 jobs of stuck wait in vain: {why}")
        assert typed_lines[0].startswith(do)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=30)


def test_a_job_that_a_slot_can_take_waits_without_a_word(well: Exs, ward: Lab) -> None:
    push(ward, "a", 3, gpus=1)
    ward.claim()
    assert bad(well, 0) == []
    assert queue(well, 0) == []


def test_jobs_that_were_lost_doubled_or_miscounted(well: Exs, ward: Lab) -> None:
    ward.push("resnet", jobs=4)
    client = ward.store._client
    first, second, *_ = (row.id for row in ward.store.jobs("resnet"))
    client.lrem(keys.RQ_QUEUE + "resnet", 0, first)
    client.zadd(keys.RQ_FAILED + "resnet", {second: 1})
    errors = [(what, do) for severity, what, do in queue(well, 4) if severity == "error"]
    assert any(first in what and "stands in nowhere instead of queue" in what for what, _ in errors)
    assert any(second in what and "failed, queue" in what for what, _ in errors)
    assert all(do for _, do in errors)


def test_f49_a_record_that_is_no_job(well: Exs, ward: Lab) -> None:
    """It is named, and can be looked at and forgotten with what doctor says; its name does nothing to a terminal."""
    ward.push("resnet", jobs=1)
    client = ward.store._client
    evil = "x'; \x1b[2J$(touch INJECTED)"
    client.hset(keys.RQ_JOB + evil, "data", "pickle")
    client.lpush(keys.RQ_QUEUE + "resnet", evil)
    ward.claim()
    assert "\x1b" not in doctor(well, code=1)
    ((severity, what, do),) = queue(well, 1)
    assert severity == "warning" and "quarantined" in what
    client.zrem(keys.QUARANTINE, evil)
    client.zadd(keys.QUARANTINE, {"plain": 1})
    client.hset(keys.RQ_JOB + "plain", "data", "pickle")
    ((_, _, do),) = queue(well, 1)
    assert "pickle" in typed(well, *do)
    assert queue(well, 0) == []
    assert not (well.cwd / "INJECTED").exists()


def test_a_stock_worker_on_a_queue_of_ours(well: Exs, ward: Lab) -> None:
    ward.push("resnet", jobs=1)
    ward.end(ward.claim())
    stock = subprocess.Popen(
        [sys.executable, "-m", "rq.cli", "worker", "--name", "stock", "-u", well.env["EXS_REDIS_URL"], "resnet"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: [one for one in ward.store.strangers() if one.queues], "the stock worker")
        ((severity, what, do),) = queue(well, 1)
        assert severity == "warning" and "the stock rq worker stock listens on resnet" in what
        assert str(stock.pid) in typed(well, *do)
    finally:
        stock.kill()
        stock.wait()


def test_a_suspended_queue(well: Exs, ward: Lab) -> None:
    ward.store._client.set(keys.RQ_SUSPENDED, 1)
    ((severity, what, do),) = queue(well, 1)
    assert severity == "warning" and "rq suspend" in what
    typed(well, *do)
    assert queue(well, 0) == []


@pytest.fixture
def half(ward: Lab) -> Iterator[None]:
    """A push of three batches that died after the first, twenty minutes ago."""

    class Killed(Exception):
        pass

    def points() -> Iterator[NewJob]:
        for i in range(6):
            if i == 5:
                raise Killed
            yield NewJob({"i": i}, f"i={i}", f"{i:016x}")

    url = ward.store.url
    doomed = open_store(url, Settings(redis_url=url, limits=Limits(push_batch=2)))
    with pytest.raises(Killed):
        doomed.push(
            "half", Spec(commands={"main": {"argv": ["true"]}}, cwd="/tmp"), points(), Origin("ann", "laptop", "h.yaml")
        )
    (stage,) = doomed._client.zrange(keys.STAGES, 0, -1)
    doomed._client.zincrby(keys.STAGES, -20 * 60_000, stage)
    yield


@pytest.mark.usefixtures("half")
def test_a_push_that_stopped_half_way(well: Exs) -> None:
    notes = [what for severity, what, _ in findings(well, 0, "queue") if severity == "note"]
    (note,) = (note for note in notes if "half" in note)
    assert re.search("a push of half stopped half-way 20m ago: .* is removed in (39|40)m", note)


def test_slots_that_say_nothing_and_their_jobs(well: Exs, ward: Lab) -> None:
    ward.push("resnet", jobs=2)
    claim = ward.claim("gpu7")
    client = ward.store._client
    now = ward.store.now()
    client.zadd(keys.LEASES, {claim.job: (now - 60) * 1000})
    client.hset(keys.RQ_WORKER + ward.offer("gpu7").slot, "last_heartbeat", "2026-01-01T00:00:00.000000Z")
    client.hset(keys.PULSE, mapping={"at": int((now - 300) * 1000)})
    said = [what for _, what, _ in queue(well, 1)]
    assert len(said) == 4, said
    assert any(what.startswith("no word from 1 slot of gpu7 for ") for what in said)
    late = re.compile(r"resnet/0 on gpu7 for 1m3\ds\..* after 5m00s at the earliest")
    assert any(map(late.search, said)), said
    assert any("nobody has looked for lost jobs for 5m" in what for what in said)


def test_slots_of_another_version(well: Exs, ward: Lab) -> None:
    ward.push("resnet", jobs=1)
    ward.claim("gpu7")
    ward.store._client.hset(keys.RQ_WORKER + ward.offer("gpu7").slot, "exs_version", "0.0.9")
    notes = [what for severity, what, _ in findings(well, 0, "queue") if severity == "note"]
    assert notes == [f"1 slot of gpu7 run exs 0.0.9, this is {package.__version__}."]


def test_a_gpu_that_gets_no_job(well: Exs, ward: Lab) -> None:
    ward.store.gpus_unused("gpu7", {"1": "process 77 of bob (python)"}, 60.0)
    ((severity, what, _),) = queue(well, 1)
    assert (severity, what) == ("warning", "GPU 1 of gpu7 gets no job: process 77 of bob (python).")


def test_a_queue_at_work_is_never_called_broken(well: Exs, ward: Lab) -> None:
    """Jobs move while doctor counts them."""
    ward.push("busy", jobs=400)
    stop = threading.Event()
    other = Lab(open_store(ward.store.url, Settings(redis_url=ward.store.url)), ward.cwd)

    def work() -> None:
        while not stop.is_set():
            claim = other.store.claim(replace(other.offer(), slot="busy-0"), other_attempt())
            if claim is None:
                other.store.retry([row.id for row in other.store.jobs("busy")], force=True)
                continue
            other.end(claim)

    numbers = iter(range(10**9))

    def other_attempt() -> str:
        return f"busy{next(numbers):06d}"

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(4):
            assert [one for one in queue(well, 0) if one[0] == "error"] == []
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("key", ["exs:order:default", "rq:queue:resnet", "exs:schema", "exs:stages"])
def test_a_key_that_somebody_made_into_something_else(well: Exs, ward: Lab, key: str) -> None:
    """Redis refuses what is done with it, and names none: doctor does, and moves it out of the way."""
    ward.push("resnet", jobs=3)
    client = ward.store._client
    client.rename(key, "was") if client.exists(key) else client.delete("was")
    client.sadd(key, "x")
    ((severity, what, do),) = [one for one in queue(well, 4) if key in one[1]]
    assert severity == "error" and f"the key {key} is a set, and has to be a" in what
    typed(well, *do)
    assert client.smembers(f"broken:{key}") == {b"x"}
    if client.exists("was"):
        client.rename("was", key)
    assert not [one for one in findings(well, 1, "queue") if "has to be a" in one[1]]


def test_a_slot_whose_record_cannot_be_read(well: Exs, ward: Lab) -> None:
    ward.push("resnet", jobs=1)
    client = ward.store._client
    client.hset(keys.RQ_WORKER + "a:cpu0", "x", "\x1b[2J")
    client.sadd(keys.RQ_WORKERS, keys.RQ_WORKER + "a:cpu0")
    ((_, what, do),) = [one for one in queue(well, 1) if "slot" in one[1] and "read" in one[1]]
    assert what == "the record of slot a:cpu0 cannot be read: somebody wrote over it."
    typed(well, *do)
    assert not [one for one in queue(well, 1) if "be read" in one[1] or "no word" in one[1]]


def test_records_that_were_overwritten_or_are_gone(well: Exs, ward: Lab) -> None:
    """Workers cannot mend them: what doctor says to type does."""
    ward.push("resnet", jobs=2)
    job = ward.store.jobs("resnet")[1].id
    client = ward.store._client
    client.hset(keys.RQ_JOB + job, "st", "\x1b[2J")
    client.lrem(keys.RQ_QUEUE + "resnet", 0, job)
    client.zadd(keys.EXPERIMENTS, {"it's gone": 1})
    wrong = [(what, do) for severity, what, do in queue(well, 4) if severity == "error"]
    typed(
        well,
        *(
            line.replace("exs ", f"{sys.executable} -m exs ")
            for _, do in wrong
            for line in do
            if "again in" not in line
        ),
    )
    assert [what for severity, what, _ in queue(well, 1) if severity == "error"] == []
    assert [row.index for row in ward.store.jobs("resnet")] == [0]
