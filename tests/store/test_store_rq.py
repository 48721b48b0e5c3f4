"""RQ's own tools tell the truth about exs; a contract that fails loudly when RQ changes its schema."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis
import rq
from rq import Queue, Worker, registry
from rq.job import Job

from exs.model import RQ_STATUS, JobState
from exs.store import keys
from store.actors import CANCELED, CRASHED, DONE, Lab


@pytest.fixture
def rq_client(queue_url: str, client: redis.Redis) -> Iterator[redis.Redis]:
    """A connection as RQ wants it: bytes."""
    raw = redis.Redis.from_url(queue_url)
    yield raw
    raw.close()


@pytest.fixture
def one_of_each(lab: Lab) -> dict[JobState, str]:
    """A job in each state that a job can be in now, and the slot that runs one."""
    lab.push(*range(6), retries=0)
    slot = lab.slot()
    jobs = {}
    for outcome in (DONE, CRASHED, CANCELED):
        jobs[outcome.state] = slot.must_claim().job
        slot.finish(outcome)
    jobs[JobState.RUNNING] = slot.must_claim().job
    jobs[JobState.QUEUED] = lab.ids()[4]
    return jobs


def test_rq_spells_its_keys_as_we_do(rq_client: redis.Redis) -> None:
    assert rq.VERSION.split(".")[0] == "2"
    queue = Queue("e", connection=rq_client)
    assert Queue.redis_queues_keys == keys.RQ_QUEUES
    assert queue.key == keys.RQ_QUEUE + "e"
    assert Job.key_for("x") == keys.RQ_JOB + "x"
    assert Worker.redis_worker_namespace_prefix == keys.RQ_WORKER
    assert Worker.redis_workers_keys == keys.RQ_WORKERS
    spelled = {
        registry.StartedJobRegistry: keys.RQ_WIP,
        registry.FinishedJobRegistry: keys.RQ_FINISHED,
        registry.FailedJobRegistry: keys.RQ_FAILED,
        registry.CanceledJobRegistry: keys.RQ_CANCELED,
        registry.ScheduledJobRegistry: keys.RQ_SCHEDULED,
        registry.DeferredJobRegistry: keys.RQ_DEFERRED,
    }
    assert {kind("e", connection=rq_client).key: prefix + "e" for kind, prefix in spelled.items()} == {
        prefix + "e": prefix + "e" for prefix in spelled.values()
    }


def test_rq_counts_and_lists_what_is_there(lab: Lab, rq_client: redis.Redis, one_of_each: dict[JobState, str]) -> None:
    queue = Queue("e", connection=rq_client)
    assert [found.name for found in Queue.all(connection=rq_client)] == ["e"]
    assert queue.count == 2
    assert queue.get_job_ids() == lab.ids()[4:]
    assert queue.started_job_registry.get_job_ids() == [one_of_each[JobState.RUNNING]]
    assert queue.finished_job_registry.get_job_ids() == [one_of_each[JobState.DONE]]
    assert queue.failed_job_registry.get_job_ids() == [one_of_each[JobState.CRASHED]]
    assert queue.canceled_job_registry.get_job_ids() == [one_of_each[JobState.CANCELED]]
    assert lab.store.audit() == []  # what RQ's cleaners did meanwhile has changed nothing


def test_rq_fetches_a_job_in_every_state(lab: Lab, rq_client: redis.Redis, one_of_each: dict[JobState, str]) -> None:
    for state, job_id in one_of_each.items():
        job = Job.fetch(job_id, connection=rq_client)
        assert job.get_status().value == RQ_STATUS[state]
        lifetime = None if state is JobState.DONE else -1  # what is over has none to be told
        assert (job.origin, job.func_name) == ("e", "exs.run")
        assert job.timeout == job.result_ttl == lifetime
        assert job.created_at is not None
    crashed = Job.fetch(one_of_each[JobState.CRASHED], connection=rq_client)
    with pytest.deprecated_call():
        assert crashed.exc_info == "exit code 3"
    assert crashed.ended_at is not None
    assert Job.fetch(one_of_each[JobState.RUNNING], connection=rq_client).worker_name == "s1"


def test_a_job_that_waits_for_its_retry_is_scheduled(lab: Lab, rq_client: redis.Redis) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.finish(CRASHED)
    queue = Queue("e", connection=rq_client)
    assert (queue.count, queue.scheduled_job_registry.get_job_ids()) == (0, [job])
    assert Job.fetch(job, connection=rq_client).get_status().value == "scheduled"


def test_rq_info_says_the_same_and_changes_nothing(lab: Lab, queue_url: str, one_of_each: dict[JobState, str]) -> None:
    path = queue_url.removeprefix("unix://")
    shown = subprocess.run(
        [sys.executable, "-m", "rq.cli", "info", "--raw", "--url", f"unix://{path}?db=0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "queue e 2" in shown
    assert lab.store.audit() == []
    assert lab.states() == ["DONE", "CRASHED", "CANCELED", "RUNNING", "QUEUED", "QUEUED"]


def test_cleaners_of_rq_cannot_end_a_running_job(lab: Lab, rq_client: redis.Redis) -> None:
    lab.push(1)
    slot = lab.slot()
    slot.must_claim()
    registry.clean_registries(Queue("e", connection=rq_client))
    assert lab.states() == ["RUNNING"]
    slot.finish(DONE)
    registry.clean_registries(Queue("e", connection=rq_client))
    assert lab.states() == ["DONE"]
    assert lab.store.audit() == []


def test_what_rq_deletes_is_gone_and_stops_nobody(
    lab: Lab, rq_client: redis.Redis, one_of_each: dict[JobState, str]
) -> None:
    Job.fetch(one_of_each[JobState.QUEUED], connection=rq_client).delete()
    Job.fetch(one_of_each[JobState.DONE], connection=rq_client).delete()
    assert len(lab.store.jobs("e")) == 4
    assert lab.slot("s2").must_claim().index == 5
    lab.store.slot_dead(["s1", "s2"], "end")
    assert lab.push(*range(6)).new == 2  # their points are free again
    lab.store.cancel(lab.ids())
    lab.store.remove(lab.ids())
    assert lab.store.remove_experiment("e")


def test_a_job_that_a_slot_holds_and_rq_deletes_is_gone_for_it(lab: Lab, rq_client: redis.Redis) -> None:
    lab.push(1)
    slot = lab.slot()
    Job.fetch(slot.must_claim().job, connection=rq_client).delete()
    assert slot.renew()[0].value == "gone"
    assert slot.finish().value == "gone"


def test_a_slot_that_vanished_without_a_word_leaves_every_list(lab: Lab, rq_client: redis.Redis) -> None:
    """Its record expires, as that of a node whose power failed; its name stood in RQ's sets for ever."""
    lab.push(1, 2)
    for name in ("s1", "s2"):
        lab.slot(name).must_claim()
        lab.client.sadd(f"{keys.RQ_WORKERS}:default", keys.RQ_WORKER + name)
    lab.reap()
    queue = Queue("e", connection=rq_client)
    assert Worker.count(connection=rq_client) == Worker.count(queue=queue) == 2
    lab.client.delete(keys.RQ_WORKER + "s1")
    lab.reap()
    for listed in (keys.RQ_WORKERS, f"{keys.RQ_WORKERS}:default", f"{keys.RQ_WORKERS}:e"):
        assert lab.client.smembers(listed) == {keys.RQ_WORKER + "s2"}
