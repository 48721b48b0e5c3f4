"""Push: whole or not at all, each point once, and nobody else stalled."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis

from exs.errors import InputError, RedisRefused, RedisUnreachable, Refused
from exs.model import FORCED, JobState, NewJob, Resources
from exs.settings import Limits, Settings
from exs.store import keys
from exs.store import push as push_module
from exs.store.push import Origin
from exs.store.store import Store, open_store
from store.actors import CRASHED, DONE, ME, PRUNED, SPEC, Killed, Lab, before_batches, killed_after, points, wait_until

S = JobState


def refusals(lab: Lab) -> bool:
    """Whether Redis has refused a command for want of memory since its statistics were reset."""
    return any(found["failed_calls"] for found in lab.client.info("commandstats").values())


@pytest.fixture
def small(queue_url: str, client: redis.Redis) -> Store:
    """Pushes in batches of three jobs."""
    return open_store(queue_url, Settings(limits=Limits(push_batch=3)))


@pytest.fixture(autouse=True)
def short_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "STAGE_LOCK", 100)


class TestWhole:
    def test_nothing_is_visible_before_the_last_batch(self, lab: Lab, small: Store) -> None:
        seen = []

        def jobs() -> Iterator[NewJob]:
            for job in points(*range(8)):
                seen.append((len(lab.store.experiments()), lab.slot().claim(), lab.client.smembers(keys.RQ_QUEUES)))
                for key in lab.client.keys(keys.RQ_JOB + "*"):
                    job_id = key.removeprefix(keys.RQ_JOB)
                    assert lab.store.cancel([job_id])["missing"] == 1
                    assert lab.store.remove([job_id])["missing"] == 1
                    with pytest.raises(InputError, match="no job"):
                        lab.store.job(job_id)
                yield job

        assert small.push("e", SPEC, jobs(), ME).new == 8
        assert set(map(str, seen)) == {str((0, None, set()))}
        assert lab.states() == ["QUEUED"] * 8
        assert lab.store.audit() == []
        assert [lab.slot().must_claim().index for _ in range(8)] == list(range(8))

    @pytest.mark.parametrize("batches", [0, 1, 2, 3])
    def test_killed_after_any_batch_and_repeated_it_is_whole(
        self, lab: Lab, small: Store, queue_url: str, batches: int
    ) -> None:
        """F43: ten jobs in four batches."""
        doomed = open_store(queue_url, small.settings)
        killed_after(batches, doomed)
        with pytest.raises(Killed):
            doomed.push("e", SPEC, points(*range(10)), ME)
        assert lab.store.experiments() == []
        assert small.push("e", SPEC, points(*range(10)), ME).new == 10
        assert lab.store.audit() == []
        assert sorted(row.params["i"] for row in lab.store.jobs("e")) == list(range(10))
        assert len(lab.client.keys(keys.RQ_JOB + "*")) == 10

    def test_what_an_edited_file_no_longer_holds_is_not_queued(self, lab: Lab, small: Store, queue_url: str) -> None:
        doomed = open_store(queue_url, small.settings)
        killed_after(2, doomed)
        with pytest.raises(Killed):
            doomed.push("e", SPEC, points(*range(10)), ME)
        assert small.push("e", SPEC, points(100, 101, 102, 103), ME).new == 4
        assert [row.params["i"] for row in lab.store.jobs("e")] == [100, 101, 102, 103]
        assert len(lab.client.keys(keys.RQ_JOB + "*")) == 4

    def test_the_janitor_takes_back_a_push_that_nobody_repeats(self, lab: Lab, small: Store) -> None:
        lab.push(1)
        killed_after(3, small)
        with pytest.raises(Killed):
            small.push("e", SPEC, points(*range(2, 12)), ME)
        lab.client.zadd(keys.STAGES, {"e": 1})
        lab.client.hset(keys.STAGE + "e", "at", 1)
        lab.contact()
        assert lab.store.reap()[1] == "e"
        lab.store.discard_stage("e", 3600)
        assert len(lab.client.keys(keys.RQ_JOB + "*")) == 1
        assert not lab.client.exists(keys.STAGE + "e", keys.STAGES, keys.JOBS + "e:2", keys.RQ_QUEUE + "e~2")
        assert lab.states() == ["QUEUED"]
        assert sum(lab.client.hlen(bucket) for bucket in lab.client.keys(keys.POINTS + "*")) == 1
        assert lab.store.plan("e", points(1, 2), ME).new == 1
        assert lab.push(1, 2).new == 1
        assert lab.store.audit() == []

    def test_a_stage_that_is_still_spoken_for_is_left_alone(self, lab: Lab, small: Store) -> None:
        killed_after(1, small)
        with pytest.raises(Killed):
            small.push("e", SPEC, points(*range(10)), ME)
        lab.store.discard_stage("e", 3600)
        assert len(lab.client.keys(keys.RQ_JOB + "*")) == 3

    def test_a_job_that_is_refused_takes_back_those_before_it(self, lab: Lab, small: Store) -> None:
        def jobs() -> Iterator[NewJob]:
            yield from points(*range(7))
            yield NewJob({"x": "y" * 70_000}, "large", "f" * 16)

        with pytest.raises(InputError, match=r"parameters of large take 70.* bytes"):
            small.push("e", SPEC, jobs(), ME)
        assert lab.client.keys("rq:*") == []
        assert lab.client.keys(keys.STAGE + "*") == []

    def test_redis_forgets_its_scripts_in_the_middle(self, lab: Lab, small: Store) -> None:
        """F32."""
        before_batches(small, lambda script, args: lab.client.script_flush())
        assert small.push("e", SPEC, points(*range(20)), ME).new == 20
        lab.client.script_flush()
        assert [row.params["i"] for row in lab.store.jobs("e")] == list(range(20))
        assert lab.store.audit() == []

    @pytest.mark.parametrize("refused", [1, 2, 5])
    def test_a_batch_that_finds_redis_full_takes_the_push_back(self, lab: Lab, small: Store, refused: int) -> None:
        """Also when there is room again for the batches behind it."""
        batches = 0

        def told(script: str, args: Sequence[Any]) -> None:
            nonlocal batches
            if script != "push":
                return
            if batches == refused:
                lab.client.config_set("maxmemory", 1)
            elif batches == refused + 1:
                wait_until(lambda: refusals(lab), "the batch is refused")
                lab.client.config_set("maxmemory", 0)
            batches += 1

        lab.push(100)
        lab.client.config_resetstat()
        before_batches(small, told)
        with pytest.raises(RedisRefused, match="no memory left"):
            small.push("e", SPEC, points(*range(21)), ME)
        lab.client.config_set("maxmemory", 0)
        assert lab.states() == ["QUEUED"]
        assert lab.client.keys(keys.STAGE + "*") == []
        assert len(lab.client.keys(keys.RQ_JOB + "*")) == 1
        assert lab.push(*range(21)).new == 21
        assert lab.store.audit() == []

    def test_the_reply_of_the_commit_is_lost_and_the_push_repeated(
        self, lab: Lab, small: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """F44."""
        real = small._stream

        def stream(script: str, calls: Iterable[Sequence[Any]]) -> Iterator[Any]:
            replies = list(real(script, calls))
            yield from replies[:-1]
            raise RedisUnreachable("the reply was lost.")

        with monkeypatch.context() as broken:
            broken.setattr(small, "_stream", stream)
            with pytest.raises(RedisUnreachable):
                small.push("e", SPEC, points(*range(7)), ME)
        again = small.push("e", SPEC, points(*range(7)), ME)
        assert (again.new, again.queued) == (0, 7)
        assert lab.store.audit() == []


class TestTwice:
    @pytest.mark.parametrize("batch", [3, 500])
    def test_racing_pushes_of_one_file_queue_each_point_once(
        self, lab: Lab, queue_url: str, client: redis.Redis, batch: int
    ) -> None:
        """F42: all succeed."""
        results = []

        def one() -> None:
            store = open_store(queue_url, Settings(limits=Limits(push_batch=batch)))
            results.append(store.push("e", SPEC, points(*range(20)), ME))

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted((pushed.new, pushed.queued) for pushed in results) == [(0, 20)] * 5 + [(20, 0)]
        assert sorted(row.params["i"] for row in lab.store.jobs("e")) == list(range(20))
        assert lab.store.audit() == []

    def test_plan_says_what_push_does(self, lab: Lab, small: Store) -> None:
        lab.push(*range(5))
        slot = lab.slot()
        for outcome in (DONE, CRASHED, PRUNED):
            slot.must_claim()
            slot.finish(outcome)
        lab.store.cancel(lab.ids()[3:4])
        wanted = (*range(1, 5), *range(10, 18))
        planned = small.plan("e", points(*wanted), ME)
        pushed = small.push("e", SPEC, points(*wanted), ME)
        assert replace(pushed, first_ids=(), id="") == planned
        assert (planned.new, planned.done, planned.crashed, planned.canceled, planned.queued, planned.gone) == (
            8,
            1,
            1,
            1,
            1,
            1,
        )
        assert lab.store.audit() == []

    def test_what_is_there_is_kept_and_force_runs_it_again(self, lab: Lab) -> None:
        lab.push(0, 1, 2)
        slot = lab.slot()
        for outcome in (DONE, PRUNED, CRASHED):
            slot.must_claim()
            slot.finish(outcome)
        assert lab.push(0, 1, 2).new == 0
        assert lab.states() == ["DONE", "PRUNED", "CRASHED"]
        again = lab.push(0, 1, 2, again=FORCED)
        assert (again.forced, again.done, again.crashed) == (2, 0, 1)
        assert lab.states() == ["QUEUED", "QUEUED", "CRASHED"]
        assert slot.must_claim().force
        slot.finish(CRASHED)
        lab.store.retry([lab.ids()[0]])
        assert not slot.must_claim().force
        assert lab.store.audit() == []

    def test_what_runs_again_has_the_resources_of_the_file_and_the_rest_is_counted(self, lab: Lab) -> None:
        lab.push(*range(4))
        slot, two = lab.slot(), lab.slot(gpus=("0", "1"))
        for outcome in (DONE, CRASHED):
            slot.must_claim()
            slot.finish(outcome)
        wider = [replace(job, resources=Resources(gpus=2)) for job in points(*range(4))]
        again = lab.store.push("e", SPEC, wider, ME)
        assert (again.queued, again.other_resources) == (2, 3), "two wait, one crashed"
        again = lab.store.push("e", SPEC, wider, ME, again=FORCED)
        assert (again.forced, again.other_resources) == (1, 3)
        assert slot.must_claim().index == 2, "the first one is for two GPUs now"
        assert two.must_claim().index == 0
        two.finish(DONE)
        assert lab.store.push("e", SPEC, wider, ME).other_resources == 3, "what is done is not counted"
        lab.store.retry([lab.ids()[0]], force=True)
        assert two.must_claim().index == 0
        assert lab.store.audit() == []

    def test_a_removed_point_is_new_again(self, lab: Lab) -> None:
        lab.push(0, 1)
        lab.store.remove(lab.ids()[:1])
        assert lab.push(0, 1).new == 1
        assert [row.index for row in lab.store.jobs("e")] == [1, 2]

    def test_jobs_without_a_point_are_queued_each_time(self, lab: Lab) -> None:
        for _ in range(2):
            assert lab.store.push("e", SPEC, [NewJob({"x": 1}, "x=1", "")], ME).new == 1
        assert len(lab.ids()) == 2


class TestRefusals:
    @pytest.mark.parametrize("origin", [replace(ME, user="bob"), replace(ME, source="/other.yaml")])
    def test_of_anothers_experiment(self, lab: Lab, origin: Origin) -> None:
        lab.push(1)
        with pytest.raises(Refused, match="belongs to ann"):
            lab.push(2, origin=origin)
        with pytest.raises(Refused, match="--into"):
            lab.store.plan("e", points(2), origin)
        assert lab.push(2, origin=replace(origin, into=True)).new == 1
        assert lab.store.experiment("e").user == "ann"

    def test_of_another_kind(self, lab: Lab) -> None:
        lab.push(1, kind="pull")
        with pytest.raises(Refused, match="pull experiment"):
            lab.push(2)
        assert lab.slot().claim() is None


def test_text_that_is_not_utf8_does_not_stop_a_push(lab: Lab) -> None:
    odd = Origin("ann", "laptop", "/data/\udcff.yaml")
    spec = replace(SPEC, cwd="/data/\udcff", env={"A": "\udcfe"})
    assert lab.push(1, origin=odd, spec=spec).new == 1
    assert lab.push(1, origin=odd, spec=spec).queued == 1
    claim = lab.slot().must_claim()
    assert lab.store.spec("e", claim.spec).cwd == "/data/\udcff"


def test_no_script_of_a_push_carries_more_than_a_batch(lab: Lab, queue_url: str) -> None:
    """Nobody stalls: Redis does one script at a time, so what one may carry is capped in jobs and in bytes."""
    calls: list[int] = []
    store = open_store(queue_url, Settings(limits=Limits(push_batch=1_000_000)))

    def told(script: str, args: Sequence[Any]) -> None:
        if script == "push":
            calls.append(sum(len(str(arg)) for arg in args))

    before_batches(store, told)
    heavy = (replace(job, params={"x": "y" * 60_000, **job.params}) for job in points(*range(100)))
    store.push("e", SPEC, heavy, ME)
    assert len(calls) >= 6
    assert max(calls) < 2 << 20
    calls.clear()
    store.push("light", SPEC, points(*range(5000)), ME)
    assert len(calls) == 3
    assert lab.store.audit() == []


def test_a_large_push_has_a_queue_per_shape_and_keeps_its_order(lab: Lab, small: Store) -> None:
    mixed = [*points(0, 1), *points(2, 3, resources=Resources(gpus=1)), *points(4, 5, 6, 7)]
    small.push("e", SPEC, mixed, ME)
    small.push("e", SPEC, points(*range(20, 30)), ME)
    assert len(lab.client.smembers(keys.RQ_QUEUES)) == 3
    slot = lab.slot(gpus=("0",))
    taken = []
    while claim := slot.claim():
        taken.append(claim.index)
        slot.finish()
    assert taken == list(range(18))
    assert lab.store.audit() == []
