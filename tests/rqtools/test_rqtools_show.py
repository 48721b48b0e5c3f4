"""What `rq info`, rq-dashboard, rq-exporter and rq's own classes show of exs: their states for our eight."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import dataclass

import pytest
import redis
from rq import Queue

from exs.model import RQ_STATUS, JobState
from exs.store import keys
from exs.store.push import Origin
from harness.fleet import Fleet
from rqtools.tools import Dashboard, Exporter, RqCommand
from store.actors import CANCELED, CRASHED, DONE, PRUNED, Lab

S = JobState


@dataclass(frozen=True)
class Shown:
    """Of a job in one state: its status on its own page of the dashboard, the list of the dashboard that has it, the
    label under which the exporter counts it, and the word of `rq info` ("": it is counted nowhere)."""

    status: str
    registry: str
    exported: str
    info: str


#: What every tool shows for every state. A job that waits for its next attempt is QUEUED too.
SHOWN = {
    "QUEUED": Shown("queued", "queued", "queued", "queued"),
    "QUEUED, waits for its next attempt": Shown("scheduled", "scheduled", "scheduled", ""),
    "RUNNING": Shown("started", "started", "started", "executing"),
    "PAUSING": Shown("started", "started", "started", "executing"),
    "PAUSED": Shown("deferred", "deferred", "deferred", ""),
    "DONE": Shown("finished", "finished", "finished", "finished"),
    "PRUNED": Shown("finished", "finished", "finished", "finished"),
    "CRASHED": Shown("failed", "failed", "failed", "failed"),
    "CANCELED": Shown("canceled", "canceled", "", ""),
}


WAITS = "QUEUED, waits for its next attempt"


def one_of_each(lab: Lab) -> dict[str, tuple[str, str]]:
    """(queue, job) in every state; those of a pause, which no verb makes yet, are written as the scripts would."""
    lab.push(*range(8), retries=0)
    slot, second = lab.slot(), lab.slot("s2")
    found: dict[str, tuple[str, str]] = {}
    for outcome in (DONE, PRUNED, CRASHED, CANCELED):
        found[outcome.state.value] = "e", slot.must_claim().job
        slot.finish(outcome)
    found["RUNNING"] = "e", slot.must_claim().job
    found["PAUSING"] = "e", second.must_claim().job
    paused, queued = lab.ids()[6:]
    found["PAUSED"], found["QUEUED"] = ("e", paused), ("e", queued)
    lab.client.hset(keys.RQ_JOB + found["PAUSING"][1], "st", "PAUSING")
    lab.client.lrem(keys.RQ_QUEUE + "e", 1, paused)
    lab.client.hset(keys.RQ_JOB + paused, mapping={"st": "PAUSED", "status": RQ_STATUS[S.PAUSED]})
    lab.client.zadd(keys.RQ_DEFERRED + "e", {paused: 6})
    lab.client.hincrby(keys.EXPERIMENT + "e", "deferred", 1)
    lab.push(1, name="w", retries=1, origin=Origin("ann", "laptop", "/w.yaml"))
    third = lab.slot("s3", only="w")
    found[WAITS] = "w", third.must_claim().job
    third.finish(CRASHED)
    assert lab.store.audit() == []
    return found


@pytest.fixture
def lab(fleet: Fleet) -> Lab:
    return Lab(fleet.store, fleet.server.client())


def test_every_state_is_shown_as_the_table_says(
    lab: Lab, rq: RqCommand, dashboard: Dashboard, exporter: Exporter
) -> None:
    found = one_of_each(lab)
    assert set(SHOWN) == set(found) == {state.value for state in S} | {WAITS}
    registries: dict[str, Counter[str]] = {"e": Counter(), "w": Counter()}
    exported: dict[str, Counter[str]] = {"e": Counter(), "w": Counter()}
    said: dict[str, Counter[str]] = {"e": Counter(), "w": Counter()}
    for state, shown in SHOWN.items():
        queue, job = found[state]
        assert dashboard.job(job)["status"] == shown.status, state
        assert job in [one["id"] for one in dashboard.jobs(queue, shown.registry)], state
        registries[queue][shown.registry] += 1
        exported[queue][shown.exported] += 1
        said[queue][shown.info] += 1
    assert dashboard.queues() == registries
    assert exporter.jobs() == {queue: {k: n for k, n in counts.items() if k} for queue, counts in exported.items()}
    assert rq.info() == {
        queue: f"{n['queued']}, {n['executing']} executing, {n['finished']} finished, {n['failed']} failed"
        for queue, n in said.items()
    }
    crashed = dashboard.job(found["CRASHED"][1])
    assert (crashed["description"], crashed["origin"]) == ("exit code 3", "e")
    dashboard.pages("e", found["RUNNING"][1])
    assert lab.store.audit() == []  # what they looked at is as it was


def test_classes_of_rq_read_the_truth(lab: Lab, fleet: Fleet) -> None:
    found = one_of_each(lab)
    connection = redis.Redis.from_url(fleet.server.url)
    for queue in (Queue("e", connection=connection), Queue("w", connection=connection)):
        read = {
            "queued": queue.job_ids,
            "started": queue.started_job_registry.get_job_ids(),
            "finished": queue.finished_job_registry.get_job_ids(),
            "failed": queue.failed_job_registry.get_job_ids(),
            "deferred": queue.deferred_job_registry.get_job_ids(),
            "scheduled": queue.scheduled_job_registry.get_job_ids(),
            "canceled": queue.canceled_job_registry.get_job_ids(),
        }
        assert queue.count == len(read["queued"])
        for registry, ids in read.items():
            there = {
                found[s][1] for s, shown in SHOWN.items() if shown.registry == registry and found[s][0] == queue.name
            }
            assert set(ids) == there, registry
    assert lab.store.audit() == []


def test_a_sweep_that_runs_and_a_slot_that_is_killed_are_shown(
    fleet: Fleet, rq: RqCommand, dashboard: Dashboard, exporter: Exporter
) -> None:
    gate = fleet.root / "gate"
    ids = fleet.push("until", gate, jobs=6, lost_after=60)
    node = fleet.node("n1", "--cpus", "2", slots=2)
    for job in ids[:2]:
        fleet.wait_running(job)
    assert dashboard.queues() == {"work": {"queued": 4, "started": 2}}
    assert exporter.jobs() == {"work": {"queued": 4, "started": 2}}
    assert rq.info() == {"work": "4, 2 executing, 0 finished, 0 failed"}
    slots = {row.name: row for row in fleet.store.workers()}
    assert {name: w["current_job"]["job_id"] for name, w in dashboard.workers().items()} == {
        name: row.job for name, row in slots.items()
    }
    assert {w["pid"] for w in dashboard.workers().values()} == set(node.slots())
    assert exporter.workers() == dict.fromkeys(slots, "busy")
    fleet.wait(lambda: "2 workers, 1 queues" in rq("info"), "rq info that shows both slots")

    victim = next(row for row in slots.values() if row.job == ids[0])
    os.kill(victim.pid, signal.SIGKILL)
    assert fleet.wait_running(ids[0], attempts=2).lost == 1

    def recovered() -> bool:
        workers = dashboard.workers()
        return victim.name not in workers and len(workers) == 2

    fleet.wait(recovered, "the page of workers without the dead slot")
    assert dashboard.queues() == exporter.jobs() == {"work": {"queued": 4, "started": 2}}
    fleet.wait(lambda: victim.name not in rq("info") and "2 workers" in rq("info"), "rq info without the dead slot")
    assert fleet.store.audit() == []

    gate.touch()
    fleet.wait_all()
    assert dashboard.queues() == exporter.jobs() == {"work": {"finished": 6}}
    assert rq.info() == {"work": "0, 0 executing, 6 finished, 0 failed"}
    assert sum(w["successful_job_count"] for w in dashboard.workers().values()) >= 5  # the killed one had none
    fleet.check()
