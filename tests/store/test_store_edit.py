"""An edit and the end of an attempt meet in every order: the job becomes what was asked, and nothing stays of the old
point."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exs.model import JobState
from exs.store import keys
from store.actors import CANCELED, CRASHED, DONE, ME, SPEC, Lab, Slot, points

S = JobState
NEW = "00000000000000aa"


def edit(lab: Lab, job: str, point: str = NEW) -> str:
    row = lab.store.job(job)
    return lab.store.edit(job, (row.point, row.spec), {"i": 99}, "i=99", point, SPEC)[0]


ENDS: dict[str, Callable[[Lab, Slot], object]] = {
    "stopped": lambda lab, slot: slot.release(),
    "done": lambda lab, slot: slot.finish(DONE),
    "crashed": lambda lab, slot: slot.finish(CRASHED),
    "lost": lambda lab, slot: lab.store.slot_dead(["s1"], "killed"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("also", ["", "pause", "pause, activate", "cancel"])
def test_an_edit_of_a_running_job_comes_true_whatever_ends_it(lab: Lab, end: str, also: str) -> None:
    lab.push(1, retries=1)
    slot = lab.slot("s1")
    job = slot.must_claim().job
    was = lab.store.job(job).point
    lab.client.hset(keys.RQ_JOB + job, mapping={"rt": 1, "ck": "{}"})
    assert edit(lab, job) == "asked"
    if "pause" in also:
        lab.store.pause([job], "ann")
    if "activate" in also:
        lab.store.activate([job])
    if also == "cancel":
        lab.store.cancel([job])
    ENDS[end](lab, slot)
    row = lab.store.job(job)
    assert row.state is {"pause": S.PAUSED, "cancel": S.CANCELED}.get(also, S.QUEUED)
    assert (row.params, row.name, row.point, row.lost, row.exit_code) == ({"i": 99}, "i=99", NEW, 0, None)
    assert not lab.client.hexists(keys.RQ_JOB + job, "rt") and not lab.client.hexists(keys.RQ_JOB + job, "ck")
    assert not lab.client.hexists(keys.RQ_JOB + job, "ed")
    assert [past.number for past in row.history] == [1]
    assert not lab.client.hexists(keys.points("e", was), was)
    assert lab.client.hget(keys.points("e", NEW), NEW) == job
    assert lab.store.audit() == []


@pytest.mark.parametrize(
    "text", ["", "nonsense", "7", "[]", '{"nm": 1}', '{"nm": "x", "pr": {}, "pt": "", "sp": ""}', "{" * 999]
)
def test_an_edit_that_somebody_else_wrote_ends_no_script_half_way(lab: Lab, text: str) -> None:
    lab.push(1)
    slot = lab.slot("s1")
    job = slot.must_claim().job
    lab.store.pause([job], "ann")
    lab.client.hset(keys.RQ_JOB + job, "ed", text)
    lab.client.rpush(keys.ATTEMPTS + job, "nonsense", "7")
    slot.release()
    row = lab.store.job(job)
    assert (row.state, row.params) == (S.PAUSED, {"i": 1})
    assert edit(lab, job) == "edited"
    assert lab.store.audit() == []


def test_what_was_is_new_when_it_is_pushed_again_and_what_is_is_not(lab: Lab) -> None:
    lab.push(1, 2)
    job = lab.ids()[0]
    two = lab.store.jobs("e")[1].point
    assert edit(lab, job, two) == "duplicate"
    assert edit(lab, job) == "edited"
    assert edit(lab, job) == "same"
    assert lab.push(1).new == 1
    lab.store.remove([lab.ids()[1]])
    assert edit(lab, job, two) == "edited"
    assert lab.store.plan("e", points(2), ME).new == 0
    assert lab.store.audit() == []


def test_what_is_over_about_to_end_or_edited_by_another_is_left(lab: Lab) -> None:
    lab.push(1, 2)
    slot, other = lab.slot("a"), lab.slot("b")
    first, second = slot.must_claim().job, other.must_claim().job
    slot.finish(DONE)
    lab.store.cancel([second])
    assert edit(lab, first) == "over"
    assert edit(lab, second) == "ending"
    other.finish(CANCELED)
    lab.store.retry([second])
    row = lab.store.job(second)
    for was in (("0123456789abcdef", row.spec), (row.point, "0123456789abcdef")):
        assert lab.store.edit(second, was, {"i": 9}, "i=9", NEW, SPEC)[0] == "changed"
    assert lab.store.edit("nosuchjob2", ("", ""), {}, "x", "", SPEC)[0] == "missing"


def test_where_earlier_attempts_left_their_files_is_remembered_under_the_old_name(lab: Lab) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    claim = slot.must_claim()
    lab.store.renew(claim.job, claim.attempt, slot.offer, f"/out/{claim.name}", f"/out/{claim.name}/log.main.1")
    slot.finish(CRASHED)
    (before,) = lab.store.job(claim.job).history
    assert edit(lab, claim.job) == "edited"
    (after,) = lab.store.job(claim.job).history
    assert (after.directory, after.log) == (before.directory, before.log) != ("", "")
    assert lab.store.job(claim.job).directory == ""
