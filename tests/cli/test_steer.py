"""cancel, retry, rm."""

from __future__ import annotations

from cli.lab import Exs, Lab
from exs.model import JobState

S = JobState


def states(lab: Lab, name: str = "resnet") -> list[str]:
    return [row.state.value for row in lab.store.jobs(name)]


def test_cancel_takes_queued_jobs_and_asks_running_ones(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=4)
    lab.end(lab.claim())
    lab.claim()
    assert exs("cancel", "resnet") == "canceled 2 jobs, asked 1 running job to end; 1 was over already\n"
    assert states(lab) == ["DONE", "RUNNING", "CANCELED", "CANCELED"]
    assert lab.store.jobs("resnet")[1].want == "cancel"
    assert exs("cancel", "resnet/1") == "asked 1 running job to end\n"
    assert exs("cancel", "resnet/0") == "canceled 0 jobs; 1 was over already\n"
    assert exs.json("cancel", "resnet/1", "--kill")["asked"] == 1
    assert lab.store.jobs("resnet")[1].want == "kill"


def test_cancel_takes_ranges_and_several_selectors_once_each(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=6)
    assert exs("cancel", "resnet/1-2", "resnet/2", "resnet/5") == "canceled 3 jobs\n"
    assert states(lab) == ["QUEUED", "CANCELED", "CANCELED", "QUEUED", "QUEUED", "CANCELED"]


def test_retry_queues_what_crashed_or_was_canceled_and_leaves_the_rest(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=4)
    lab.end(lab.claim())
    lab.end(lab.claim(), S.CRASHED, exit_code=1)
    exs("cancel", "resnet/3")
    assert exs("retry", "resnet") == "queued 2 jobs again, left 1 done, 1 queued\n"
    assert states(lab) == ["DONE", "QUEUED", "QUEUED", "QUEUED"]
    assert exs("retry", "resnet/0") == "queued 0 jobs again, left 1 done (--force runs them again)\n"
    assert exs("retry", "resnet/0", "--force") == "queued 1 job again\n"


def test_retry_of_one_status_leaves_others(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    lab.end(lab.claim(), S.CRASHED, exit_code=1)
    exs("cancel", "resnet/1")
    assert exs("retry", "resnet", "--status", "canceled") == "queued 1 job again, left 1 crashed\n"
    assert states(lab) == ["CRASHED", "QUEUED"]


def test_rm_asks_unless_told_not_to(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    _, err = exs.both("rm", "resnet", code=4)
    assert "resnet with its 3 jobs" in err and "-y" in err
    assert exs("rm", "-y", "resnet/0") == "removed 1 job\n"
    assert [row.index for row in lab.store.jobs("resnet")] == [1, 2]
    assert exs("rm", "-y", "resnet") == "removed 2 jobs and resnet\n"
    assert lab.store.experiments() == []


def test_rm_refuses_running_jobs(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    lab.claim()
    _, err = exs.both("rm", "-y", "resnet", code=4)
    assert "1 running job" in err and "exs cancel resnet" in err
    assert len(lab.store.jobs("resnet")) == 2
    out, err = exs.both("rm", "-y", "resnet/0-1", code=4)
    assert out == "removed 1 job\n" and "1 running job" in err
    assert states(lab) == ["RUNNING"]


def test_a_verb_without_a_selector_is_bad_usage(exs: Exs) -> None:
    for verb in ("cancel", "retry", "rm", "show", "logs", "wait"):
        _, err = exs.both(verb, code=2)
        assert err.startswith("exs: Missing argument")
