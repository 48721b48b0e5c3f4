"""exs why, and its word in lists."""

from __future__ import annotations

import re

from cli.lab import Exs, Lab
from exs.model import JobState, Offer
from exs.store.push import new_id


def there(lab: Lab, *names: str) -> None:
    for name in names:
        assert lab.store.claim(Offer(f"{name}@1a2b", name.partition(":")[0], "b", gpus=("0",)), new_id()) is None


def test_a_job_that_waits_says_why_where_and_when(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=4)
    lab.push("bert", jobs=2, priority=1)
    lab.claim("gpu01")
    out = exs("why", "resnet/3")
    assert re.search(r"^resnet/3  \w{10}  QUEUED  every slot that can run it has a job$", out, re.MULTILINE)
    assert "1 experiment with 1 job ahead (bert), 3 jobs of its own experiment before it" in out
    assert re.search(r"slots +gpu01-0  busy for \S+ \(bert/0\)", out)
    assert "no estimate: no job of resnet is done yet" in out
    assert "exs update resnet --to-top" in out
    document = exs.json("why", "resnet/3")
    assert (document["why"], document["jobs_before"], document["ahead"]) == ("busy", 3, {"bert": 1})
    assert document["slots"][0]["kind"] == "busy"
    assert exs("why", "resnet/3", "-q").strip() == document["job"]["id"]


def test_it_says_what_to_do(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    assert "no worker is running" in exs("why", "resnet") and "next: exs worker" in exs("why", "resnet")
    lab.claim("gpu01")
    exs("drain", "gpu01", "--why", "dust")
    out = exs("why", "resnet")
    assert "every slot that could run it is drained" in out
    assert re.search(r"gpu01-0  drained by \w+ .*: dust", out) and "exs enable gpu01" in out
    lab.store.pause_experiment("resnet", "ann: no disk")
    out = exs("why", "resnet")
    assert "its experiment is paused by ann: no disk" in out and "exs activate resnet" in out


def test_many_slots_that_say_the_same_are_one_line(exs: Exs, lab: Lab) -> None:
    there(lab, *(f"gpu{n:02}:gpu0" for n in range(30)))
    there(lab, "big:gpu0")
    exs("drain", "big", "--why", "dust")
    exs("drain", *(f"gpu{n:02}" for n in range(30)), "--why", "moved")
    lab.push(jobs=1)
    out = exs("why", "resnet")
    assert re.search(r"30 slots on 30 nodes  drained .*: moved", out)
    assert re.search(r"big:gpu0  drained .*: dust", out)
    assert len(out.splitlines()) < 10


def test_one_that_does_not_wait_says_what_it_is(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    first = lab.claim("gpu01")
    assert re.search(r"RUNNING  does not wait: runs on gpu01:0 for", exs("why", "resnet/0"))
    lab.end(first, JobState.CRASHED, node="gpu01", detail="exit code 3")
    assert re.search(r"CRASHED  does not wait: ended .*exit code 3", exs("why", "resnet/0"))
    exs("cancel", "resnet/1")
    assert exs("why", "resnet").startswith("no job of resnet waits: 1 crashed")
    assert "has no job 7" in exs.both("why", "resnet/7", code=2)[1]
    assert "Did you mean resnet?" in exs.both("why", "resnit", code=2)[1]


def test_its_word_stands_in_lists(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    assert re.search(r"^resnet +0 +0 +2 +0 +no worker", exs("list"), re.MULTILINE)
    assert "| no worker" in exs("list", "-t", "resnet")
    lab.claim("gpu01")
    assert re.search(r"^resnet +0 +1 +1 +0 +busy", exs("list"), re.MULTILINE)
    assert "| busy" in exs("list", "-t", "resnet")
    assert exs.json("list")["experiments"][0]["why"] == "busy"
    assert [job["why"] for job in exs.json("list", "-t", "resnet")["jobs"]] == [None, "busy"]
    exs("cancel", "resnet/1")
    assert "why" not in exs("list").splitlines()[1].split()
