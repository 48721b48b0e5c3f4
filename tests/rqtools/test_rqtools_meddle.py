"""What people do to the queue with RQ's own tools, and what RQ's own workers do to it, leaves it consistent."""

from __future__ import annotations

import signal

import pytest
import redis
from rq import Queue

from exs.model import JobState
from harness.fleet import Fleet
from harness.node import ROOT
from rqtools.tools import Dashboard, RqCommand, not_found

S = JobState
REFUSAL = "this job belongs to exs: run it with `exs worker`, not with `rq worker`"


def consistent(fleet: Fleet) -> None:
    """Every job stands where it should, one reap interval after the meddling at the latest."""
    fleet.wait(lambda: fleet.store.audit() == [], "a consistent queue", seconds=5)


def counts(fleet: Fleet) -> dict[str, int]:
    return {state.value: n for state, n in fleet.store.counts("work").items() if n}


# ------------------------------------------------------------ workers of RQ


def test_a_stock_worker_is_refused_and_what_it_took_runs_as_if_nothing_had_been(fleet: Fleet, rq: RqCommand) -> None:
    ids = fleet.push(jobs=5)
    said = rq("worker", "--burst", "--max-jobs", "2", "--name", "stray", "work", knows_exs=ROOT)
    assert REFUSAL in said
    said = rq("worker", "--burst", "--name", "stray2", "--max-jobs", "1", "work")  # where nobody installed exs
    assert "Traceback" in said
    fleet.store.reap()
    consistent(fleet)
    assert [(row.state, row.attempts, row.lost, row.failure) for row in fleet.rows()] == [(S.QUEUED, 0, 0, "")] * 5
    assert fleet.server.client().lrange("rq:queue:work", 0, -1) == ids
    assert "the stock rq worker stray took jobs of exs" in fleet.both("list")[1]
    assert "the stock rq worker stray2 took jobs of exs" in fleet.both("workers")[1]
    assert fleet.both("workers", "--json")[1] == ""
    fleet.node("n1")
    assert [row.attempts for row in fleet.wait_all()] == [1] * 5
    assert set(fleet.witness.runs().values()) == {1}
    fleet.check()


@pytest.mark.parametrize("verb", ["worker", "worker-pool"])
def test_stock_workers_that_stay_cannot_fail_a_job(fleet: Fleet, rq: RqCommand, verb: str) -> None:
    """They and the slots take jobs from one queue for a while; each job runs once, and none is punished."""
    gate = fleet.root / "gate"
    fleet.push("until", gate, jobs=8)
    stray = rq.start(verb, "work", *(["--num-workers", "2"] if verb == "worker-pool" else ["--name", "stray"]))
    try:
        fleet.wait(lambda: any(one.queues for one in fleet.store.strangers()), "the stock worker")
        fleet.node("n1", "--cpus", "2", slots=2)
        fleet.wait(lambda: len(fleet.witness.seen("start")) == 2, "two jobs")
        fleet.wait(lambda: any(one.took_ago is not None for one in fleet.store.strangers()), "jobs put back")
        assert any("listens on work; stop it" in finding for finding in fleet.store.audit())
        assert "listens on work" in fleet.both("list")[1]
        assert {row.node for row in fleet.store.workers()} == {"n1"}
    finally:
        stray.send_signal(signal.SIGINT)
        stray.communicate(timeout=30)
    consistent(fleet)
    gate.touch()
    rows = fleet.wait_all()
    assert [(row.state, row.attempts, row.lost) for row in rows] == [(S.DONE, 1, 0)] * 8
    assert set(fleet.witness.runs().values()) == {1}
    fleet.check()


def test_a_worker_pool_of_another_queue_works_beside(fleet: Fleet, rq: RqCommand) -> None:
    fleet.push(jobs=10)
    other = Queue("other", connection=redis.Redis.from_url(fleet.server.url))
    theirs = [other.enqueue(len, "four") for _ in range(5)]
    fleet.node("n1")
    rq("worker-pool", "other", "--burst", "--num-workers", "2")
    fleet.wait_all()
    assert [job.return_value(refresh=True) for job in theirs] == [4] * 5
    assert counts(fleet) == {"DONE": 10}
    assert [row.name for row in fleet.store.experiments()] == ["work"]
    assert fleet.store.strangers() == []
    fleet.check()


# ------------------------------------------------------------ commands of RQ


def test_suspend_and_resume(fleet: Fleet, rq: RqCommand, dashboard: Dashboard) -> None:
    gate = fleet.root / "gate"
    first, *_ = fleet.push("until", gate, jobs=4)
    fleet.node("n1")
    fleet.wait_running(first)
    rq("suspend")
    gate.touch()
    fleet.wait_state(first, S.DONE)  # what ran is left to end
    fleet.wait(lambda: [w["state"] for w in dashboard.workers().values()] == ["suspended"], "a suspended slot")
    assert counts(fleet) == {"DONE": 1, "QUEUED": 3}
    consistent(fleet)
    rq("resume")
    fleet.wait_all()
    fleet.check()


def test_rq_info_again_and_again_ends_nothing(fleet: Fleet, rq: RqCommand) -> None:
    """Its look runs RQ's registry clean-up."""
    gate = fleet.root / "gate"
    ids = fleet.push("until", gate, jobs=3)
    node = fleet.node("n1", "--cpus", "2", slots=2)
    for job in ids[:2]:
        fleet.wait_running(job)
    for _ in range(3):
        assert rq.info() == {"work": "1, 2 executing, 0 finished, 0 failed"}
    consistent(fleet)
    gate.touch()
    assert [row.attempts for row in fleet.wait_all()] == [1] * 3
    assert rq.info() == {"work": "0, 0 executing, 3 finished, 0 failed"}
    assert node.ended() is None
    fleet.check()


# ------------------------------------------------------------ buttons of the dashboard


def test_requeue_of_a_failed_job_is_a_retry(fleet: Fleet, dashboard: Dashboard) -> None:
    gate = fleet.root / "gate"
    ids = fleet.push("fail_unless", gate, jobs=3)
    fleet.node("n1")
    assert {row.state for row in fleet.wait_all()} == {S.CRASHED}
    assert dashboard.queues() == {"work": {"failed": 3}}
    gate.touch()
    assert dashboard.press(f"/job/{ids[1]}/requeue") == {"status": "OK"}
    row = fleet.wait_state(ids[1], S.DONE)
    assert (row.attempts, [past.failure for past in row.history]) == (2, ["error"])
    assert dashboard.press("/requeue/work") == {"status": "OK", "count": 2}
    fleet.wait(lambda: counts(fleet) == {"DONE": 3}, "the other two")
    consistent(fleet)
    assert dashboard.queues() == {"work": {"finished": 3}}
    fleet.check()


def test_deleted_jobs_are_gone_and_their_points_can_be_pushed_again(fleet: Fleet, dashboard: Dashboard) -> None:
    gate = fleet.root / "gate"
    ids = fleet.push("until", gate, jobs=6)
    fleet.node("n1")
    running = fleet.wait_running(ids[0])
    for job in (ids[0], ids[2]):  # one that runs, one that waits
        assert dashboard.press(f"/job/{job}/delete") == {"status": "OK"}
        assert not_found(dashboard, job)
    fleet.wait_gone(running.attempt, seconds=10)
    fleet.wait_running(ids[1])
    consistent(fleet)
    assert counts(fleet) == {"RUNNING": 1, "QUEUED": 3}
    assert dashboard.press("/queue/work/queued/empty") == {"status": "OK"}
    consistent(fleet)
    assert counts(fleet) == {"RUNNING": 1} == {"RUNNING": fleet.store.experiment("work").jobs}
    gate.touch()
    fleet.wait_state(ids[1], S.DONE)
    assert len(fleet.push("until", gate, jobs=6)) == 6
    fleet.wait_all()
    assert counts(fleet) == {"DONE": 6}
    assert dashboard.press("/queue/work/finished/empty")["status"] == "OK"
    consistent(fleet)
    assert fleet.store.experiment("work").jobs == 0
    assert fleet.store.remove_experiment("work")
    fleet.check()
