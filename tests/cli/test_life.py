"""pause, activate, kill, archive, unarchive: what they change and what they say."""

from __future__ import annotations

import subprocess

from cli.lab import Exs, Lab
from exs.model import Failure, JobState

S = JobState


def states(lab: Lab, name: str = "resnet") -> list[str]:
    return [row.state.value for row in lab.store.jobs(name)]


def test_pause_of_an_experiment_asks_what_runs_and_leaves_the_queue(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=4)
    claim = lab.claim()
    exs.env["LOGNAME"] = "bob"
    assert exs("pause", "resnet", "--why", "out of disk") == "paused resnet, asked 1 running job to pause\n"
    assert exs("pause", "resnet") == "resnet was paused already, by bob: out of disk, 1 job still stopping\n"
    assert states(lab) == ["PAUSING", "QUEUED", "QUEUED", "QUEUED"]
    assert "paused by bob: out of disk" in exs("list")
    assert "resnet  (paused by bob: out of disk)" in exs("list", "-t", "resnet")
    assert "paused by bob: out of disk" in exs("show", "resnet")
    (listed,) = exs.json("list")["experiments"]
    assert (listed["paused"], listed["paused_by"]) == (True, "bob: out of disk")
    lab.store.release(claim.job, claim.attempt, "paused", lab.offer())
    assert states(lab)[0] == "PAUSED"
    assert "paused by bob: out of disk" in exs("show", "resnet/0")
    assert lab.store.claim(lab.offer(), "another") is None
    assert exs("activate", "resnet") == "activated resnet, 1 job\n"
    assert exs("activate", "resnet") == "resnet is not paused\n"
    assert lab.claim().index == 0


def test_pause_can_leave_what_runs_alone(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    lab.claim()
    assert exs("pause", "resnet", "--keep-running") == "paused resnet, 1 running job left to go on\n"
    assert states(lab) == ["RUNNING", "QUEUED"]
    assert exs("activate", "resnet") == "activated resnet\n"


def test_pause_and_activate_of_single_jobs(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=6)
    lab.end(lab.claim())
    lab.claim()
    assert exs("pause", "resnet/0-3") == "paused 2 jobs, asked 1 running job to pause; 1 was over already\n"
    assert states(lab) == ["DONE", "PAUSING", "PAUSED", "PAUSED", "QUEUED", "QUEUED"]
    assert exs("pause", "resnet/1-2") == "paused 0 jobs; 2 already so, or about to end\n"
    assert exs("activate", "resnet/0-3") == "activated 2 jobs, 1 more when stopped; 1 was over already\n"
    assert exs("activate", "resnet/4") == "activated 0 jobs; 1 was not paused\n"
    assert states(lab) == ["DONE", "PAUSING", "QUEUED", "QUEUED", "QUEUED", "QUEUED"]
    assert exs.json("pause", "resnet", "--status", "queued")["paused"] == 4
    assert states(lab)[2:] == ["PAUSED"] * 4
    assert not lab.store.experiment("resnet").paused
    assert exs("activate", "resnet") == "activated resnet, 4 jobs\n"


def test_ids_only_are_the_ids_of_what_moves(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    ids = [row.id for row in lab.store.jobs("resnet")]
    assert exs("pause", "-q", "resnet/1").split() == [ids[1]]
    assert exs("activate", "-q", "resnet").split() == [ids[1]]


def test_a_job_of_a_paused_experiment_that_is_activated_is_told_to_wait(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    exs("pause", "resnet/1")
    exs("pause", "resnet")
    out, err = exs.both("activate", "resnet/1")
    assert out == "activated 1 job\n"
    assert "resnet as a whole is paused by" in err and "exs activate resnet" in err


def test_what_is_over_cannot_be_paused_and_says_so(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    lab.end(lab.claim())
    assert exs("pause", "resnet") == "resnet has nothing left to run\n"
    assert exs("pause", "resnet/0") == "paused 0 jobs; 1 was over already\n"
    assert exs("activate", "resnet/0") == "activated 0 jobs; 1 was over already\n"
    _, err = exs.both("pause", "nosuch", code=2)
    assert "nosuch" in err


def test_kill_ends_running_jobs_at_once_and_overrides_cancel(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    lab.end(lab.claim())
    lab.claim()
    exs("cancel", "resnet/1")
    assert exs("kill", "resnet") == "canceled 1 job, killing 1 running job; 1 was over already\n"
    assert lab.store.jobs("resnet")[1].want == "kill"
    exs("cancel", "resnet/1")
    assert lab.store.jobs("resnet")[1].want == "kill"


def test_cancel_and_rm_of_paused_jobs(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    exs("pause", "resnet/0-1")
    assert exs("cancel", "resnet/0") == "canceled 1 job\n"
    assert exs("rm", "-y", "resnet/1") == "removed 1 job\n"
    assert states(lab) == ["CANCELED", "QUEUED"]
    assert lab.store.audit() == []


def test_retry_by_the_way_in_which_jobs_crashed(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    for failure in ("error", "timeout"):
        lab.end(lab.claim(), S.CRASHED, failure=Failure(failure), exit_code=1)
    for _ in range(3):  # its crash budget
        lab.claim()
        lab.leave()
        for job in lab.store._client.zrange("exs:later", 0, -1):
            lab.store._client.zadd("exs:later", {job: 1})
        lab.store.reap()
    assert [row.failure for row in lab.store.jobs("resnet")] == ["error", "timeout", "poison"]
    assert exs("retry", "resnet", "--status", "lost") == "queued 1 job again, left 2 crashed\n"
    assert exs("retry", "resnet", "--status", "timeout,canceled") == "queued 1 job again, left 1 crashed, 1 queued\n"
    assert "(1 shown)" in exs("list", "-t", "resnet", "--status", "error")
    _, err = exs.both("retry", "resnet", "--status", "tiemout", code=2)
    assert "Did you mean 'timeout'?" in err


def test_archive_hides_what_is_over_and_unarchive_brings_it_back(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    lab.push("other", jobs=1)
    queues = lab.store._client.smembers("rq:queues")
    _, err = exs.both("archive", "resnet", "other", code=4)
    assert "resnet has 2 jobs that are not over; it was not archived." in err
    for _ in range(2):
        lab.end(lab.claim())
    assert exs("archive", "resnet") == "archived resnet\n"
    assert exs("archive", "resnet") == "resnet was archived already\n"
    assert "resnet" not in exs("list") and "other" in exs("list")
    for option in ("-a", "--archived"):
        assert "archived" in exs("list", option)
    assert lab.store._client.smembers("rq:queues") == queues - {b"rq:queue:resnet"}
    lab.store._client.delete("exs:pulse")
    lab.store.reap()  # which lists queues that RQ's clients took off
    assert b"rq:queue:resnet" not in lab.store._client.smembers("rq:queues")
    assert "2 done" in exs("list", "-t", "resnet")
    _, err = exs.both("retry", "resnet", "--force", code=4)
    assert "resnet is archived" in err and "exs unarchive resnet" in err
    _, err = exs.both("activate", "resnet", code=4)
    assert "exs unarchive resnet" in err
    assert exs("unarchive", "resnet") == "resnet is back\n"
    assert exs("unarchive", "resnet") == "resnet was not archived\n"
    assert "resnet" in exs("list")
    assert lab.store._client.smembers("rq:queues") == queues
    assert lab.store.audit() == []


def test_wait_says_what_holds_it_up(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    exs("pause", "resnet")
    process = exs.start("wait", "resnet")
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith(b"resnet is paused by ") and said.endswith(b": exs activate resnet; still waiting\n")
    exs("activate", "resnet")
    lab.end(lab.claim())
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"1 done\n")
    assert b"paused" not in err, "said once"


def test_wait_for_a_paused_job(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    lab.end(lab.claim())
    exs("pause", "resnet/1")
    for selector, said in (
        ("resnet", "1 paused job in resnet: exs activate resnet"),
        ("resnet/1", "resnet/1 is paused: exs activate resnet/1"),
    ):
        process = exs.start("wait", selector, stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert process.stderr.readline().decode().startswith(said)
        process.kill()
        process.communicate()
    assert states(lab) == ["DONE", "PAUSED"]


def test_a_push_to_a_paused_experiment_says_that_it_waits(exs: Exs, lab: Lab) -> None:
    (exs.cwd / "s.yaml").write_text("name: paused\ncommand: 'true {a}'\nparams: {a: [1]}\n")
    exs("push", "s.yaml")
    exs("pause", "paused")
    out = exs("push", "s.yaml", "-o", "params.a=2")
    assert "paused by" in out and "exs activate paused" in out
