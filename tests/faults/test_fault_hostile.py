"""Hostile input: files, values, names, links and records that were made to break out or to break in."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import redis

from exs import paths
from exs.model import FINAL, JobState, NewJob, Offer, Outcome, Spec
from exs.store import keys
from exs.store.push import Origin
from exs_worker.spool import Spool, Spooled
from harness.fleet import Fleet
from store.test_store_hostile import VALUES
from unit.test_command import HOSTILE

S = JobState
ME = Origin("alice", "laptop", "/work.yaml")
#: What a sweep file can carry, and a command line too.
WORDS = [value for value in HOSTILE if value.isprintable() or value.isascii()]
FORMS = {
    "direct": """/usr/bin/printf '%s\\0' {v} x{v}y "a {v} b" 'c {v} d'""",
    "shell": """printf '%s\\0' {v} x{v}y "a {v} b" 'c {v} d'; true""",
}


@pytest.mark.fault(47)
@pytest.mark.parametrize("form", FORMS)
def test_f47_values_with_shell_syntax(fleet: Fleet, form: str) -> None:
    """They arrive byte for byte, wherever the placeholder stands, and nothing of them is run."""
    sweep = {"name": "work", "command": FORMS[form], "params": {"v": WORDS}}
    (fleet.home / "work.yaml").write_text(json.dumps(sweep))
    fleet.node("a", "--cpus", "2", slots=2)
    fleet.exs("push", "work.yaml")
    rows = fleet.wait_all()
    assert [row.params["v"] for row in rows] == WORDS
    for row in rows:
        v = row.params["v"]
        assert row.state is S.DONE, (v, row.detail)
        words = Path(row.log).read_bytes().decode().split("\0")[:-1]
        assert words == [v, f"x{v}y", f"a {v} b", f"c {v} d"]
    assert list(fleet.root.rglob("HACKED")) == []
    fleet.exs("list", "-t", "work", "-a")
    fleet.check()


LEADING_OUT = ["/etc/passwd", "../../x", "..", ".", "a/../../x", "a\0b", "x" * 300, ""]


@pytest.mark.fault(48)
def test_f48_names_and_links_that_lead_out(fleet: Fleet) -> None:
    """Refused by push; and by the slot, should somebody write them past push. Nothing is written outside."""
    outside = fleet.root / "outside"
    outside.mkdir()
    node = fleet.node("a", "--cpus", "2", slots=2)
    for name in LEADING_OUT:
        if "\0" not in name:
            assert fleet.exs("push", "--name", name, "--", "true", code=2)
            assert name in (".", "") or fleet.exs("push", "-o", f"../{name}", "--", "true", code=2)
    assert fleet.store.experiments() == []

    (node.work / "output").mkdir()
    (node.work / "output" / "linked").symlink_to(outside)
    (node.work / "gone").symlink_to(outside)
    command = {"train": {"argv": [[word] for word in fleet.witness.command()]}}
    named = [NewJob({"i": i}, name, f"{i:016x}") for i, name in enumerate([*LEADING_OUT, "linked"])]
    fleet.store.push("named", Spec(command, cwd=str(fleet.home)), named, ME)
    for i, output in enumerate(["../elsewhere", "a/../../elsewhere", "x\0y"]):
        fleet.store.push(
            f"output{i}", Spec(command, cwd=str(fleet.home), output=output), [NewJob({}, "n", "ab" * 8)], ME
        )
    for experiment in fleet.store.experiments():
        for row in fleet.wait_all(experiment.name):
            assert (row.state, row.failure) == (S.CRASHED, "spawn"), (experiment.name, row.name)
    assert fleet.witness.runs() == {}
    assert list(outside.iterdir()) == [] and not (fleet.root / "a" / "elsewhere").exists()

    (fleet.root / "secret").write_text('{"password": "c4nary"}')
    words = ["ln", "-s", str(fleet.root / "secret"), "$EXS_REPORT"]
    (fleet.home / "report.yaml").write_text(f"name: report\ncommand: {' '.join(words)}\n")
    fleet.exs("push", "report.yaml")
    (row,) = fleet.wait_all("report")
    assert (row.state, row.result) == (S.DONE, {}) and "report not readable" in row.detail
    fleet.check()


class Bomb:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.fault(49)
def test_f49_records_that_somebody_wrote_past_us(fleet: Fleet) -> None:
    """Every field of a job, and whole records, hold what they never should. The healthy finish; lists go on."""
    bomb = pickle.dumps(Bomb(fleet.root / "HACKED"))
    values = {**VALUES, "bomb": bomb}
    fields = [*keys.JOB_FIELDS, "origin", "data"]
    jobs = fleet.push(name="broken", jobs=len(fields) * 2)
    raw = redis.Redis.from_url(fleet.server.url)
    for i, job in enumerate(jobs):
        kind = list(values)[(i * 5 + i // len(fields)) % len(values)]
        raw.hset(keys.RQ_JOB + job, fields[i % len(fields)], values[kind])
    whole = fleet.push(name="whole", jobs=3)
    raw.delete(*(keys.RQ_JOB + job for job in whole))
    raw.set(keys.RQ_JOB + whole[0], bomb)
    raw.lpush(keys.RQ_JOB + whole[1], bomb)
    raw.hset(keys.RQ_JOB + whole[2], mapping={"data": bomb, "status": "queued", "origin": "whole"})
    (spec,) = fleet.push(name="spec")
    raw.hset(keys.SPECS + "spec", *raw.hkeys(keys.SPECS + "spec"), bomb)
    raw.rpush(keys.RQ_QUEUE + "broken", bomb, b"\xff\xfe", "../../x", "x" * 100_000)
    good = fleet.push(name="good", jobs=5)

    node = fleet.node("a", "--cpus", "2", slots=2)
    slots = sorted(node.slots())
    rows = fleet.wait_all("good")
    assert [(row.id, row.state, row.attempts) for row in rows] == [(job, S.DONE, 1) for job in good]
    crashed = fleet.wait_state(spec, S.CRASHED)
    assert crashed.failure == "spawn" and "broken record" in crashed.detail
    client = fleet.server.client()
    fleet.wait(lambda: client.llen(keys.RQ_QUEUE + "broken") == 0, "an empty queue")
    fleet.wait(lambda: {row.state for row in fleet.store.workers()} == {"idle"}, "idle slots")
    assert sorted(node.slots()) == slots and "Traceback" not in node.text()
    assert client.zcard(keys.QUARANTINE) > 0 and fleet.store.audit() != []
    for words in (("list", "-a"), ("workers",), *(("list", "-a", "-t", name) for name in ("broken", "whole", "good"))):
        assert "\x1b" not in fleet.exs(*words)
    assert {row.state for row in fleet.rows("broken")} <= {*FINAL, S.QUEUED}
    assert not (fleet.root / "HACKED").exists()


@pytest.mark.parametrize(("field", "value"), [("detail", None), ("result", 7), ("seconds", "long")])
def test_an_outcome_on_disk_that_makes_no_sense_is_put_aside(fleet: Fleet, field: str, value: object) -> None:
    """It is kept for a person, and keeps no worker from starting."""
    node = fleet.node("a", start=False)
    (job,) = fleet.push()
    spool = Spool(paths.state_dir({"EXS_STATE_DIR": node.env["EXS_STATE_DIR"]}).spool)
    path = spool.put(Spooled(job, "attempt001", Offer("a:cpu0", "a", "boot"), Outcome(S.DONE)))
    record = json.loads(path.read_text())
    record["outcome"][field] = value
    path.write_text(json.dumps(record))
    node.start()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    assert spool.waiting() == ([], [path.with_suffix(".broken")])
