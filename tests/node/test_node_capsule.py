"""The code travels: a node that never saw a project runs the bytes that were pushed, and gives logs and results."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from exs.model import JobState
from harness.fleet import Fleet
from harness.node import Node

S = JobState

TRAIN = """\
import json, os, sys
from pkg.model import score
with open("data/table.txt") as file:
    numbers = [int(line) for line in file]
print("cwd", os.getcwd())
print("mode", oct(os.stat("run.sh").st_mode)[-3:], os.path.islink("link"), os.path.isdir("empty"))
value = score(numbers) * float(sys.argv[1])
with open("written", "x") as file:  # a copy of its own: nobody else has made it
    file.write("x")
open("pkg/model.py", "a").write("raise SystemExit('shared')\\n")
with open(os.environ["EXS_REPORT"], "a") as file:
    file.write(json.dumps({"value": value}) + "\\n")
"""


def project(root: Path) -> Path:
    """Two modules, a data file, an executable, a link, an empty directory; and what is no code."""
    (root / "pkg").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "empty").mkdir()
    (root / "train.py").write_text(TRAIN)
    (root / "pkg" / "__init__.py").touch()
    (root / "pkg" / "model.py").write_text("def score(numbers):\n    return sum(numbers)\n")
    (root / "data" / "table.txt").write_text("1\n2\n3\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("data/table.txt")
    (root / "sweep.yaml").write_text(
        "name: travel\ncommand: python3 train.py {lr}\nparams: {lr: [1, 2, 3]}\noutput: runs\n"
    )
    return root


def state_of(node: Node) -> Path:
    (state,) = (node.home / "state" / "exs").iterdir()
    return state


def test_a_node_that_never_saw_the_project_runs_it(fleet: Fleet) -> None:
    root = project(fleet.home / "proj")
    out, said = fleet.both("push", "proj/sweep.yaml", "proj")
    assert "+3 new" in out.decode() and f"of {root}" in said and "code: 6 files" in said
    for path in sorted(root.rglob("*"), reverse=True):  # whatever happens to the tree afterwards
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    root.rmdir()
    node = fleet.node("far", "--cpus", "2", slots=2)
    rows = fleet.wait_all("travel")
    assert [(row.state, row.result) for row in rows] == [(S.DONE, {"value": 6.0 * k}) for k in (1, 2, 3)], node.text()
    log = fleet.exs("logs", "travel/1")
    assert "mode 755 True True" in log
    work = state_of(node) / "work"
    assert f"cwd {work}/" in log
    assert all(row.directory.startswith(str(node.work / "runs")) for row in rows)
    assert list(work.iterdir()) == []  # nothing of a copy is left
    assert len([p for p in (state_of(node) / "capsules").iterdir() if p.is_dir()]) == 1
    fleet.check()


def test_the_bytes_that_were_pushed_run_and_each_push_its_own(fleet: Fleet) -> None:
    root = fleet.home / "proj"
    root.mkdir()
    (root / "say.sh").write_text("echo one $1\n")
    (root / "sweep.yaml").write_text("name: own\ncommand: sh say.sh {x}\nparams: {x: [1]}\n")
    fleet.exs("push", "proj/sweep.yaml", "proj")
    (root / "say.sh").write_text("echo two $1\n")
    (root / "sweep.yaml").write_text("name: own\ncommand: sh say.sh {x}\nparams: {x: [1, 2]}\n")
    said = fleet.both("push", "proj/sweep.yaml", "proj")[1]
    assert "code: 2 files" in said
    fleet.node("n1")
    fleet.wait_all("own")
    assert [fleet.exs("logs", f"own/{i}").strip() for i in (0, 1)] == ["one 1", "two 2"]


def test_a_directory_on_this_machine_is_used_where_nobody_asked_for_a_capsule(fleet: Fleet) -> None:
    """A queue on this machine: jobs run where the push was made, and what they write there stays."""
    root = fleet.home / "proj"
    root.mkdir()
    (root / "sweep.yaml").write_text("name: here\ncommand: touch written\n")
    _, said = fleet.both("push", "proj/sweep.yaml")
    assert "code:" not in said
    assert json.loads(fleet.exs("push", "proj/sweep.yaml", "--json"))["capsule"] is None
    said = fleet.both("push", "proj/sweep.yaml", "--name", "sent", EXS_CAPSULE="always")[1]
    assert "code:" in said
    said = fleet.both("push", "proj/sweep.yaml", "--name", "unsent", "--no-context", EXS_CAPSULE="always")[1]
    assert "code:" not in said


def test_what_is_too_large_is_refused_before_anything_is_sent(fleet: Fleet) -> None:
    root = project(fleet.home / "proj")
    said = fleet.exs("push", "proj/sweep.yaml", "proj", code=2, EXS_CAPSULE_BYTES="100")
    assert "data/table.txt" in said and "train.py" in said and "--no-context" in said
    assert fleet.server.client().keys("exs:*") == []
    (root / "up").symlink_to("/etc")
    said = fleet.exs("push", "proj/sweep.yaml", "proj", code=2)
    assert "up is a link to /etc" in said
    said = fleet.exs("push", "proj/sweep.yaml", "proj", "--no-context", code=2)
    assert "--no-context" in said
    (fleet.home / "sweep.yaml").write_text("name: all\ncommand: echo\n")
    said = fleet.exs("push", "sweep.yaml", code=2, EXS_CAPSULE="always")
    assert "would be all of" in said  # the home directory


def test_the_hook_of_the_capsule_runs_first(fleet: Fleet) -> None:
    root = fleet.home / "proj"
    root.mkdir()
    (root / "startup-hook.sh").write_text("export GREETING='a  b'\nset -- other words\necho hook\n")
    (root / "sweep.yaml").write_text(
        "name: hook\ncommand: python3 -c 'import os, sys; print(os.environ[\"GREETING\"], sys.argv[1:])' {x}\n"
        "params: {x: [\"$HOME 'q'\"]}\n"
    )
    (root / "bad.yaml").write_text("name: bad\ncommand: echo never\n")
    fleet.exs("push", "proj/sweep.yaml", "proj")
    (root / "startup-hook.sh").write_text("echo broken\nfalse\necho unreached\n")
    fleet.exs("push", "proj/bad.yaml", "proj")
    (root / "startup-hook.sh").write_text("exit 0\n")
    fleet.exs("push", "proj/bad.yaml", "proj", "--name", "early")
    fleet.node("n1")
    (row,) = fleet.wait_all("hook")
    assert row.state is S.DONE
    assert fleet.exs("logs", "hook/0") == "hook\na  b [\"$HOME 'q'\"]\n"
    (row,) = fleet.wait_all("bad")
    assert (row.state, row.exit_code) == (S.CRASHED, 1)
    said = "startup-hook.sh: error: it ended with exit code 1, and the command was not run"
    assert fleet.exs("logs", "bad/0") == f"broken\n{said}\n" and said in fleet.exs("show", "bad/0")
    (row,) = fleet.wait_all("early")
    assert (row.state, row.exit_code) == (S.CRASHED, 1), "what has not run is not done"


def test_a_slot_that_is_killed_leaves_no_copy(fleet: Fleet) -> None:
    root = fleet.home / "proj"
    root.mkdir()
    (root / "wait.sh").write_text('touch "$1"; sleep 600\n')
    mark = fleet.root / "mark"
    (root / "sweep.yaml").write_text(f"name: killed\ncommand: sh wait.sh {mark}\n")
    fleet.exs("push", "proj/sweep.yaml", "proj")
    node = fleet.node("n1")
    fleet.wait(mark.exists, "the job")
    work = state_of(node) / "work"
    (first,) = [path for path in work.iterdir() if path.is_dir()]
    (slot,) = node.slots()
    os.kill(slot, signal.SIGKILL)
    fleet.wait(lambda: not first.exists(), "the copy is removed")
    fleet.exs("kill", "killed")
    assert [row.state for row in fleet.wait_all("killed")] == [S.CANCELED]
    fleet.wait(lambda: list(work.iterdir()) == [], "all copies are removed")


def test_what_nobody_needs_is_taken_away_though_no_slot_is_ever_idle(fleet: Fleet) -> None:
    """Of a fleet that is busy for days neither removed experiments nor broken pushes fill the memory of Redis."""
    client = fleet.server.client()
    (job,) = fleet.push("until", fleet.root / "never", name="long")
    fleet.node("n1", EXS_PUSH_TTL="2")
    fleet.wait_running(job)  # on the only slot
    project(fleet.home / "proj")
    fleet.exs("push", "proj/sweep.yaml", "proj")
    assert client.keys("exs:chunk:*")
    fleet.exs("rm", "-f", "travel")
    push = fleet.command("push", "proj/sweep.yaml", "--no-context", "-o", "params.lr={range: [1, 500000]}")
    fleet.wait(lambda: client.exists("exs:stage:travel"), "the push has begun")
    push.kill()
    push.communicate()
    fleet.wait(lambda: not client.keys("exs:capsule*"), "the code is taken away")
    fleet.wait(lambda: not client.keys("exs:stage*") and not client.keys("rq:queue:travel*"), "and the broken push")
    assert not client.keys("exs:chunk*")
    row = fleet.row(job)
    assert row.state is S.RUNNING and row.attempts == 1


@pytest.mark.parametrize("gone", ["manifest", "chunk", "changed"])
def test_code_that_is_not_in_redis_any_more_is_one_sentence(fleet: Fleet, gone: str) -> None:
    root = fleet.home / "proj"
    root.mkdir()
    (root / "sweep.yaml").write_text("name: lost\ncommand: echo never\n")
    fleet.exs("push", "proj/sweep.yaml", "proj")
    client = fleet.server.client()
    if gone == "changed":
        for key in client.keys("exs:chunk:*"):
            client.set(key, b"rm -rf /")
    else:
        client.delete(*client.keys("exs:capsule:*" if gone == "manifest" else "exs:chunk:*"))
    node = fleet.node("n1")
    (row,) = fleet.wait_all("lost")
    assert row.state is S.CRASHED
    assert ("not what its name says" if gone == "changed" else "Push it again") in row.detail
    assert "Traceback" not in node.text()
    assert list((state_of(node) / "work").glob("*")) == []
