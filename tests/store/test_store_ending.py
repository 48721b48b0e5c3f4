"""Slots that have an end: which jobs they leave to others, who is woken instead, and what `exs why` says of it."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from exs.answers import Lasting, Why
from exs.model import JobState
from exs.store import keys
from store.actors import PRUNED, SPEC, Lab, Slot, wait_until

HOUR = 3600.0


def ending(lab: Lab, seconds: float, name: str = "short") -> Slot:
    """A slot that ends in so many seconds, and says so in lists once it has claimed."""
    made = lab.slot(f"{name}:cpu0@1a2b", node=name, ends=time.monotonic() + seconds)
    terms = {"until": 0.0, "grace": None, "stop_by": lab.store.now() + seconds}
    lab.client.hset(keys.RQ_WORKER + made.offer.slot, "exs_terms", json.dumps(terms))
    return made


def done(lab: Lab, seconds: float, jobs: int, name: str = "e", saved: int = 0) -> None:
    """The next jobs of an experiment took so long each, and `saved` of them saved a checkpoint."""
    other = lab.slot("other:cpu0@1a2b", only=name)
    for number in range(jobs):
        job = other.must_claim().job
        lab.began(job, seconds)
        if number < saved:
            lab.client.hset(keys.RQ_JOB + job, "ck", json.dumps({"path": "checkpoints/a", "step": 1}))
        other.finish()
    other.store.slot_dead([other.offer.slot], "it left")


def said(why: Why) -> dict[str, str]:
    return {verdict.slot.lasting: verdict.kind for verdict in why.verdicts}


def test_what_takes_longer_than_the_slot_has_is_left_to_others(lab: Lab) -> None:
    lab.push(*range(10))
    lab.push(*range(10), name="quick")
    done(lab, 4 * HOUR, 3)
    done(lab, 60, 3, "quick")
    assert ending(lab, HOUR).must_claim().experiment == "quick"
    assert ending(lab, 5 * HOUR, "long").must_claim().experiment == "e"
    assert lab.slot("none").must_claim().experiment == "e"


def test_half_of_the_jobs_decide(lab: Lab) -> None:
    lab.push(*range(30))
    done(lab, 4 * HOUR, 4)
    done(lab, 60, 5)
    short = ending(lab, HOUR)
    assert short.claim() is not None
    short.finish(PRUNED)
    done(lab, 4 * HOUR, 3)
    lab.client.hdel(keys.EXPERIMENT + "e", "tk")  # the minute for which it is believed is over
    assert short.claim() is None


def test_the_first_of_an_experiment_is_taken_unless_its_timeout_is_too_long(lab: Lab) -> None:
    lab.push(1, 2, spec=replace(SPEC, timeout=2 * HOUR))
    lab.push(1, name="open")
    short = ending(lab, HOUR)
    assert short.must_claim().experiment == "open"
    short.finish()
    assert short.claim() is None
    assert lab.slot("none").must_claim().experiment == "e"
    assert ending(lab, 3 * HOUR, "long").must_claim().experiment == "e"


@pytest.mark.parametrize("timeout", [None, 8 * HOUR])
def test_a_job_that_goes_on_from_a_checkpoint_is_taken(lab: Lab, timeout: float | None) -> None:
    lab.push(*range(20), spec=replace(SPEC, timeout=timeout))
    done(lab, 4 * HOUR, 4)
    short = ending(lab, HOUR)
    assert short.claim() is None
    (job,) = [row.id for row in lab.store.jobs("e") if row.index == 4]
    lab.client.hset(keys.RQ_JOB + job, "ck", json.dumps({"path": "checkpoints/a", "step": 7}))
    why = lab.store.why("e")
    assert why.lasting is None and said(why)["short:cpu0"] == "idle"
    claim = short.must_claim()
    assert (claim.index, claim.checkpoint["step"]) == (4, 7)
    short.finish()
    assert short.claim() is None, "the next one has not saved any"


def test_a_job_whose_like_save_checkpoints_is_taken(lab: Lab) -> None:
    lab.push(*range(20))
    done(lab, 4 * HOUR, 4, saved=1)
    short = ending(lab, HOUR)
    assert short.claim() is None
    done(lab, 4 * HOUR, 2, saved=2)
    lab.client.hdel(keys.EXPERIMENT + "e", "tk")
    assert short.must_claim().index == 6


def test_a_slot_of_one_experiment_goes_by_the_same_rule(lab: Lab) -> None:
    lab.push(*range(5))
    done(lab, 4 * HOUR, 2)
    short = ending(lab, HOUR)
    short.offer = replace(short.offer, only="e")
    assert short.claim() is None
    short.offer = replace(short.offer, ends=time.monotonic() + 5 * HOUR)
    assert short.claim() is not None


def too_long(lab: Lab, count: int, timeout: float | None = None) -> None:
    """Experiments e0, e1, ..., of each of which one job took four hours, and one waits."""
    for number in range(count):
        lab.push(0, 1, name=f"e{number}", spec=replace(SPEC, timeout=timeout))
        done(lab, 4 * HOUR, 1, f"e{number}")


def test_no_claim_measures_all_of_many_experiments(lab: Lab) -> None:
    """That would hold Redis for long: of the rest the timeouts say who is left to others."""
    too_long(lab, 50)
    assert ending(lab, HOUR).must_claim().experiment == "e20"


def test_of_what_is_not_measured_in_time_the_timeout_counts(lab: Lab) -> None:
    too_long(lab, 50, timeout=5 * HOUR)
    lab.push(0, name="quick")
    assert ending(lab, HOUR).must_claim().experiment == "quick"


def test_an_old_measure_is_better_than_none(lab: Lab) -> None:
    """What a slot that claims once an hour finds is older than a minute each time."""
    too_long(lab, 30)
    lab.push(0, 1, name="quick")
    done(lab, 60, 1, "quick")
    for number in range(30):
        lab.client.hset(keys.EXPERIMENT + f"e{number}", "tk", "14400000 1 0 1")
    assert ending(lab, HOUR).must_claim().experiment == "quick"


def test_what_stands_behind_many_begins_on_a_full_server(lab: Lab) -> None:
    too_long(lab, 30)
    short = ending(lab, HOUR)
    lab.client.config_set("maxmemory", 1)
    try:
        assert short.must_claim().experiment == "e20", "it keeps no measure, and would measure the same ones each time"
    finally:
        lab.client.config_set("maxmemory", 0)


@pytest.mark.parametrize("finished", [0, 1])
def test_an_experiment_of_many_queues_is_measured_once(lab: Lab, finished: int) -> None:
    """A claim that measured for each of them looked at the square of their number."""
    lab.push(*range(61), spec=replace(SPEC, timeout=2 * HOUR))
    done(lab, 4 * HOUR, finished)
    for number, job in enumerate(lab.ids()[finished:60]):
        lab.store.cancel([job])
        lab.store._call("retry", 0, "", f"{job} *|||not=n{number}")
    lab.client.config_resetstat()
    assert ending(lab, HOUR).claim() is None
    assert lab.client.info("commandstats")["cmdstat_hkeys"]["calls"] == 1


def test_what_the_first_of_many_lack_is_no_measure(lab: Lab) -> None:
    for number in range(50):
        lab.push(0, name=f"e{number}", spec=replace(SPEC, timeout=4 * HOUR))
    lab.push(0, name="quick")
    assert ending(lab, HOUR).must_claim().experiment == "quick"


def test_a_claim_without_an_end_costs_nothing_for_it(lab: Lab) -> None:
    def commands(name: str) -> dict[str, int]:
        """Of a claim by a slot that has claimed before."""
        slot = lab.slot(f"{name}:cpu0", only=name)
        slot.must_claim()
        slot.finish()
        lab.client.config_resetstat()
        slot.must_claim()
        stats = lab.client.info("commandstats")
        return {command: entry["calls"] for command, entry in stats.items() if command != "cmdstat_config|resetstat"}

    lab.push(*range(20), name="new")
    lab.push(*range(20), name="old")
    done(lab, 4 * HOUR, 10, "old")
    assert commands("old") == commands("new")
    assert "tk" not in lab.client.hgetall(keys.EXPERIMENT + "old")


def test_a_full_server_keeps_no_measure_and_runs_its_queue_empty(lab: Lab) -> None:
    for name, seconds in (("e", 4 * HOUR), ("quick", 60.0)):
        lab.push(*range(5), name=name)
        done(lab, seconds, 2, name)
    short = ending(lab, HOUR)
    lab.client.config_set("maxmemory", 1)
    try:
        assert short.must_claim().experiment == "quick"
        short.finish()
        assert "tk" not in lab.client.hgetall(keys.EXPERIMENT + "e")
    finally:
        lab.client.config_set("maxmemory", 0)


def test_who_has_no_end_is_woken_first(lab: Lab) -> None:
    """Else the job would wait for the next look of the others, because who was woken leaves it to them."""
    slots = [ending(lab, HOUR, f"short{n}") for n in range(5)] + [lab.slot("none:cpu0@1a2b", node="none")]
    for slot in slots:
        assert slot.claim() is None
    lab.push(1, name="one", spec=replace(SPEC, timeout=2 * HOUR))
    assert [slot.offer.node for slot in slots if lab.client.llen(keys.WAKE + slot.offer.slot)] == ["none"]
    lab.push(1, 2, 3, name="more")
    woken = [slot.offer.node for slot in slots if lab.client.llen(keys.WAKE + slot.offer.slot)]
    assert len(woken) == 4, "the others are woken when more is there than they can take"


class TestWhy:
    def test_a_timeout(self, lab: Lab) -> None:
        lab.push(1, 2, spec=replace(SPEC, timeout=4 * HOUR))
        short = ending(lab, HOUR)
        assert short.claim() is None
        why = lab.store.why("e")
        assert (why.word, why.lasting) == ("ending", Lasting(4 * HOUR, "timeout"))
        assert said(why) == {"short:cpu0": "ending"} and why.estimate is None
        busy = lab.slot("none:cpu0@1a2b", node="none")
        busy.must_claim()
        why = lab.store.why("e")
        assert (why.word, said(why)) == ("busy", {"short:cpu0": "ending", "none:cpu0": "busy"})

    def test_what_others_took(self, lab: Lab) -> None:
        lab.push(*range(9))
        done(lab, 4 * HOUR, 3)
        assert ending(lab, HOUR).claim() is None
        why = lab.store.why("e")
        assert why.lasting is not None
        assert (why.word, why.lasting.by, why.lasting.samples) == ("ending", "median", 3)
        assert why.lasting.seconds == pytest.approx(4 * HOUR, abs=5)
        lab.slot("none:cpu0@1a2b", node="none").claim()
        assert lab.store.why("e").word == "busy"

    def test_a_busy_slot_that_is_free_too_late_gives_no_estimate(self, lab: Lab) -> None:
        lab.push(*range(9))
        done(lab, HOUR, 3)
        short = ending(lab, 1.5 * HOUR)
        short.must_claim()
        why = lab.store.why("e")
        assert (why.word, why.estimate) == ("busy", None)
        assert why.unsure == "the slots that could run it are likely to end before they have finished it"
        assert short.held is not None
        lab.began(short.held.job, 0.9 * HOUR)
        assert lab.store.why("e").estimate is not None

    def test_lists_say_the_same(self, lab: Lab) -> None:
        lab.push(1, 2, spec=replace(SPEC, timeout=4 * HOUR))
        lab.push(1, 2, name="quick", paused="ann")
        assert ending(lab, HOUR).claim() is None
        lab.store.activate_experiment("quick")
        listed = lab.store.experiments()
        lab.store.waits(lab.store.workers(), listed).note(listed)
        assert {row.name: row.why for row in listed} == {"e": "ending", "quick": "soon"}
        jobs = lab.store.jobs("e", states={JobState.QUEUED})
        lab.store.waits(lab.store.workers(), listed[:1]).note_jobs(listed[0], jobs)
        assert {row.why for row in jobs} == {"ending"}


def test_a_slot_that_leaves_a_job_to_others_keeps_nobody_from_making_room_for_it(lab: Lab) -> None:
    """It is woken and expected to take the job, in vain, again and again."""
    lab.store.set_pool("default", preemption=True)
    lab.push(1, name="late", priority=60)
    busy = lab.slot("busy")
    busy.must_claim()
    short = ending(lab, HOUR)
    assert short.claim() is None
    lab.push(1, name="urgent", priority=1, spec=replace(SPEC, timeout=8 * HOUR))

    def asked() -> bool:
        assert short.claim() is None
        lab.store.reap()
        return busy.renew()[1] == "preempt"

    wait_until(asked, "a job is stopped for it", 20)
