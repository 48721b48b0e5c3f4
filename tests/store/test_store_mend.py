"""What RQ's own clients write past us is found and repaired at the next reap, or honoured where a person meant it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import FinishedJobRegistry, ScheduledJobRegistry

from exs.store import keys
from exs.store.push import Origin
from store.actors import CANCELED, CRASHED, DONE, PRUNED, SPEC, Lab, points

OTHER = Origin("ann", "laptop", "/other.yaml")


@pytest.fixture
def raw(queue_url: str, client: redis.Redis) -> Iterator[redis.Redis]:
    """A connection as RQ wants it: bytes."""
    connection = redis.Redis.from_url(queue_url)
    yield connection
    connection.close()


class SleepyWorker(SimpleWorker):
    """A stock worker that dies where a test says."""

    def perform_job(self, job: Job, queue: Queue) -> bool:
        raise KeyboardInterrupt


def take(raw: redis.Redis, jobs: int = 1, *names: str) -> None:
    """A stock worker takes jobs and fails them."""
    queues = [Queue(name, connection=raw) for name in names or ("e",)]
    SimpleWorker(queues, connection=raw, name="stock").work(burst=True, max_jobs=jobs, logging_level="ERROR")


def listed(lab: Lab, name: str = "e") -> list[str]:
    return list(lab.client.lrange(keys.RQ_QUEUE + name, 0, -1))


@pytest.mark.parametrize("taken", [1, 3, 8])
def test_what_a_stock_worker_failed_is_back_in_its_place_unpunished(lab: Lab, raw: redis.Redis, taken: int) -> None:
    lab.push(*range(8), retries=2)
    ids = lab.ids()
    take(raw, taken)
    assert len(listed(lab)) == 8 - taken
    lab.reap()
    assert lab.store.audit() == []
    assert listed(lab) == ids
    for row in lab.store.jobs("e"):
        assert (row.state.value, row.attempts, row.lost, row.failure, row.slot) == ("QUEUED", 0, 0, "", "")
    fetched = Job.fetch(ids[0], connection=raw)
    assert (fetched.get_status().value, fetched.latest_result(), fetched.worker_name) == ("queued", None, None)
    assert [lab.slot().must_claim().index for _ in range(1)] == [0]


def test_a_stock_worker_is_named_while_it_listens_and_after_it_took(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1, 2)
    stock = SimpleWorker([Queue("e", connection=raw), Queue("mine", connection=raw)], connection=raw, name="stock")
    stock.register_birth()
    assert [str(one) for one in lab.store.strangers()] == ["the stock rq worker stock listens on e"]
    assert lab.store.workers() == []
    assert any("stock rq worker stock listens on e" in finding for finding in lab.store.audit())
    stock.register_death()
    assert lab.store.audit() == lab.store.strangers() == []
    take(raw)
    lab.reap()
    assert [(one.name, one.queues) for one in lab.store.strangers()] == [("stock", ())]
    assert lab.store.audit() == []


def test_a_stock_worker_elsewhere_is_no_stranger(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1)
    lab.slot().must_claim()
    SimpleWorker([Queue("default", connection=raw), Queue("mine", connection=raw)], connection=raw).register_birth()
    assert lab.store.strangers() == []
    assert [row.name for row in lab.store.workers() if row.job] == ["s1"]


@pytest.mark.parametrize("queues", [("e",), ("e", "f")], ids=["into the intermediate list", "into nothing"])
def test_a_job_that_died_in_the_hands_of_a_stock_worker_is_found(
    lab: Lab, raw: redis.Redis, queues: tuple[str, ...]
) -> None:
    lab.push(1, 2, 3)
    lab.push(1, name="f", origin=OTHER)
    ids = lab.ids()
    taken = [Queue(name, connection=raw) for name in queues]
    assert Queue.dequeue_any(taken, None, connection=raw) is not None
    assert len(listed(lab)) == 2
    lab.reap()
    assert lab.store.audit() == []
    assert listed(lab) == ids


def test_a_stock_worker_that_dies_during_the_job_leaves_it_started(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1, 2)
    worker = SleepyWorker([Queue("e", connection=raw)], connection=raw, name="stock")
    job, queue = worker.dequeue_job_and_maintain_ttl(timeout=None)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    assert Job.fetch(job.id, connection=raw).get_status().value == "started"
    lab.reap()
    assert lab.store.audit() == []
    assert listed(lab) == lab.ids()
    assert queue.started_job_registry.get_job_ids() == []


def test_a_stock_failure_that_comes_after_our_claim_does_not_end_the_attempt(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1)
    worker = SimpleWorker([Queue("e", connection=raw)], connection=raw, name="stock")
    job, queue = worker.dequeue_job_and_maintain_ttl(timeout=None)
    lab.reap()
    slot = lab.slot()
    assert slot.must_claim().job == job.id
    worker.execute_job(job, queue)
    lab.reap()
    assert lab.store.audit() == []
    assert (lab.store.job(job.id).state.value, lab.store.job(job.id).slot) == ("RUNNING", "s1")
    assert Job.fetch(job.id, connection=raw).get_status().value == "started"
    assert slot.finish(DONE).value == "ours"
    assert lab.store.audit() == []


@pytest.mark.parametrize("claimed_first", [False, True])
def test_a_failed_job_requeued_through_rq_is_retried(lab: Lab, raw: redis.Redis, claimed_first: bool) -> None:
    lab.push(*range(4), retries=0)
    slot = lab.slot()
    first = slot.must_claim().job
    slot.finish(CRASHED)
    Queue("e", connection=raw).failed_job_registry.requeue(first)
    if claimed_first:  # claim meets it in the list before anybody looked
        for _ in range(3):
            slot.must_claim()
            slot.finish(DONE)
        assert slot.claim() is None
    lab.reap()
    assert lab.store.audit() == []
    row = lab.store.job(first)
    assert (row.state.value, row.failure, row.attempts, len(row.history)) == ("QUEUED", "", 1, 1)
    assert listed(lab)[0] == first
    assert slot.must_claim().number == 2


def delete(lab: Lab, raw: redis.Redis, ids: list[str]) -> list[int]:
    for i in (0, 1, 2, 3, 6):
        Job.fetch(ids[i], connection=raw).delete()
    return [0, 1, 2, 3, 6]


def empty_queue(lab: Lab, raw: redis.Redis, ids: list[str]) -> list[int]:
    Queue("e", connection=raw).empty()
    return [5, 6, 7]


def empty_finished(lab: Lab, raw: redis.Redis, ids: list[str]) -> list[int]:
    registry = FinishedJobRegistry("e", connection=raw)
    for job in registry.get_job_ids():
        registry.remove(job, delete_job=True)
    return [0, 3]


@pytest.mark.parametrize("deletion", [delete, empty_queue, empty_finished])
def test_what_rq_deletes_is_no_longer_counted_and_can_be_pushed_again(
    lab: Lab, raw: redis.Redis, deletion: Callable[[Lab, redis.Redis, list[str]], list[int]]
) -> None:
    lab.push(*range(8), retries=0)
    ids = lab.ids()
    slot = lab.slot()
    for outcome in (DONE, CRASHED, CANCELED, PRUNED):
        slot.must_claim()
        slot.finish(outcome)
    slot.must_claim()
    gone = deletion(lab, raw, ids)
    lab.reap()
    assert lab.store.audit() == []
    row = lab.store.experiment("e")
    assert row.jobs == 8 - len(gone) == sum(row.counts.values())
    states = [one.state for one in lab.store.jobs("e")]
    assert {state: n for state, n in row.counts.items() if n} == {state: states.count(state) for state in states}
    assert lab.push(*range(8)).new == len(gone)
    assert lab.store.audit() == []


def test_a_running_job_that_rq_deletes_frees_its_place_under_max_running(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1, 2, max_running=1)
    Job.fetch(lab.slot().must_claim().job, connection=raw).delete()
    assert lab.slot("s2").claim() is None
    lab.reap()
    assert lab.store.audit() == []
    assert lab.slot("s2").must_claim().index == 1


def test_a_waiting_job_canceled_through_rq_is_canceled(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1, 2)
    Job.fetch(lab.ids()[0], connection=raw).cancel()
    lab.reap()
    assert lab.states() == ["CANCELED", "QUEUED"]
    assert lab.store.audit() == []


def test_a_running_job_canceled_through_rq_is_asked_to_end(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1)
    slot = lab.slot()
    Job.fetch(slot.must_claim().job, connection=raw).cancel()
    lab.reap()
    assert slot.renew() == ("ours", "cancel")
    assert lab.store.audit() == []
    slot.finish(CRASHED)
    assert lab.states() == ["CANCELED"]
    assert lab.store.audit() == []


def test_a_finished_job_canceled_through_rq_stays_what_it_was(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.finish(DONE)
    Job.fetch(job, connection=raw).cancel()
    lab.reap()
    assert lab.states() == ["DONE"]
    assert lab.store.audit() == []
    assert Job.fetch(job, connection=raw).get_status().value == "finished"


def test_the_scheduler_of_rq_may_queue_what_is_due(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1, 2, retries=1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.finish(CRASHED)
    registry = ScheduledJobRegistry("e", connection=raw)
    queue = Queue("e", connection=raw)
    for due in registry.get_jobs_to_schedule(timestamp=1 << 40):
        queue._enqueue_job(Job.fetch(due, connection=raw))
        registry.remove(due)
    lab.hasten()
    lab.reap()
    assert lab.store.audit() == []
    assert sorted(listed(lab)) == sorted(lab.ids())
    assert Job.fetch(job, connection=raw).get_status().value == "queued"


def test_a_queue_that_rq_forgot_is_listed_again(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1)
    Queue("e", connection=raw).delete(delete_jobs=False)
    lab.reap()
    assert lab.store.audit() == []
    assert [queue.name for queue in Queue.all(connection=raw)] == ["e"]
    assert lab.slot().must_claim().index == 0


def test_a_long_queue_is_repaired_in_bounded_calls(lab: Lab, raw: redis.Redis) -> None:
    lab.push(*range(3000))
    lab.push(*range(3000, 3200))
    ids = lab.ids()
    lab.client.ltrim(keys.RQ_QUEUE + "e", 150, -1)
    for i in (700, 1500, 2999, 3100):
        Job.fetch(ids[i], connection=raw).delete()
    lab.client.lrem(keys.RQ_QUEUE + "e", 1, ids[2000])
    left = [job for i, job in enumerate(ids) if i not in (700, 1500, 2999, 3100)]
    lab.client.config_resetstat()
    lab.reap()
    assert lab.client.slowlog_get(1) == [] or lab.store.audit() == []
    assert listed(lab) == left
    assert lab.store.experiment("e").jobs == len(left)
    assert lab.store.audit() == []


def test_an_untouched_queue_costs_a_reap_the_same_however_long_it_is(lab: Lab) -> None:
    def commands(jobs: int) -> int:
        lab.client.flushall()
        lab.push(*range(jobs))
        lab.reap()
        lab.client.config_resetstat()
        lab.reap()
        return sum(stat["calls"] for stat in lab.client.info("commandstats").values())

    assert commands(10) == commands(3000)


def test_jobs_of_others_in_a_list_of_ours_stay_with_them(lab: Lab, raw: redis.Redis) -> None:
    lab.push(1)
    Queue("e", connection=raw).enqueue(print, "mine")
    lab.reap()
    assert lab.states() == ["QUEUED"]
    assert len(listed(lab)) == 2
    assert lab.client.exists(keys.MEND + "e") == 0


def test_mending_what_needs_none_changes_nothing(lab: Lab) -> None:
    lab.store.push("e", SPEC, points(*range(6)), OTHER, retries=0)
    slot = lab.slot()
    for outcome in (DONE, CRASHED, CANCELED, PRUNED):
        slot.must_claim()
        slot.finish(outcome)
    before = {key: lab.client.dump(key) for key in lab.client.keys("rq:*")}
    lab.store.mend("e")
    assert {key: lab.client.dump(key) for key in lab.client.keys("rq:*")} == before
