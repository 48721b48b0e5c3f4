"""What `plan` and `push` say of jobs that ran with older code, and `--if-code-changed`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import exs as exs_api
from cli.lab import Exs, Lab
from exs.errors import InputError
from exs.model import JobState
from exs.store.store import Store
from harness.node import Node

S = JobState
SWEEP = "name: far\ncommand: python3 train.py --x {x}\nparams: {x: [1, 2, 3]}\n"
CODE = "import sys\nprint('code %d', sys.argv[2])\nsys.exit(sys.argv[2] == '3' and %d == 1)\n"


@pytest.fixture
def project(exs: Exs) -> Path:
    root = exs.cwd / "proj"
    root.mkdir()
    (root / "sweep.yaml").write_text(SWEEP)
    write(root, 1)
    return root


@pytest.fixture
def node(store: Store, tmp_path: Path) -> Iterator[Node]:
    machine = Node("node", store.url, tmp_path)
    yield machine
    machine.power_off()


def write(project: Path, version: int) -> None:
    (project / "train.py").write_text(CODE % (version, version))


def first(text: str) -> str:
    return text.splitlines()[0]


def test_what_ran_with_older_code_is_told_and_runs_again_with_the_new(exs: Exs, project: Path, node: Node) -> None:
    far = ("proj/sweep.yaml", "proj")
    assert exs("plan", *far) == "plan for far: +3 new\n"
    exs("push", *far)
    node.start()
    exs("wait", "far", code=1)
    ended = "far: +0 new  =2 done  ~1 crashed (exs retry far)"
    assert exs("plan", *far) == f"plan for {ended}\n"
    git(exs, project, "init -q", "add train.py", "commit -q -m first")
    (project / "sweep.yaml").write_text(SWEEP + "# a commit, and another line of the sweep file, are no other code\n")
    assert exs("plan", *far, "--if-code-changed") == f"plan for {ended}\n"
    assert first(exs("push", *far, "--if-code-changed")) == f"pushed {ended}"

    write(project, 2)
    older = "far: +0 new  =2 done (2 with older code)  ~1 crashed (1 with older code; exs retry far)"
    assert exs("plan", *far) == f"plan for {older}\n"
    assert first(exs("push", *far)) == f"pushed {older}"
    found = exs.json("plan", *far)
    assert found["older"] == {"queued": 0, "done": 2, "crashed": 1, "canceled": 0}
    assert exs("plan", *far, "--if-code-changed") == "plan for far: +0 new  ^3 run again\n"
    assert exs.json("plan", *far, "--if-code-changed")["forced"] == 3
    assert exs("plan", "proj/sweep.yaml") == f"plan for {ended}\n"  # nothing would be sent from here
    assert exs.json("plan", "proj/sweep.yaml")["older"] is None

    assert first(exs("push", *far, "--if-code-changed")) == "pushed far: +0 new  ^3 run again"
    exs("wait", "far")
    for x in (1, 2, 3):
        assert exs("logs", f"far/{x - 1}").splitlines() == [f"code 2 {x}"]
    assert exs("diff", "far/2", "proj") == ""
    assert first(exs("push", *far, "--if-code-changed")) == "pushed far: +0 new  =3 done"
    write(project, 3)
    assert first(exs("push", *far, "--force")) == "pushed far: +0 new  ^3 run again"
    exs("wait", "far")
    assert exs("logs", "far/0") == "code 3 1\n"
    assert exs("plan", *far) == "plan for far: +0 new  =3 done\n"


def git(exs: Exs, project: Path, *lines: str) -> None:
    for line in lines:
        words = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b", *line.split()]
        subprocess.run(words, check=True, env=exs.env)


def test_what_waits_keeps_its_code_and_is_counted(exs: Exs, project: Path, store: Store) -> None:
    exs("push", "proj/sweep.yaml", "proj")
    write(project, 2)
    counts = exs.json("push", "proj/sweep.yaml", "proj", "--if-code-changed")
    assert (counts["forced"], counts["queued"], counts["older"]["queued"]) == (0, 3, 3)
    assert "=3 in the queue (3 with older code)" in exs("plan", "proj/sweep.yaml", "proj")
    exs("rm", "-f", "far/0-1")
    assert first(exs("push", "proj/sweep.yaml", "proj")).endswith("+2 new  =1 in the queue (1 with older code)")
    exs("checkout", "far/4", "back")
    assert (exs.cwd / "back" / "train.py").read_text() == CODE % (2, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("proj/sweep.yaml", "this push sends none: the jobs run what is in"),
        ("proj/sweep.yaml --no-context", "--no-context sends none"),
        ("proj/sweep.yaml proj -f", "Leave one of them out"),
        ("proj/sweep.yaml --no-context proj", "Leave one of them out"),
    ],
)
def test_where_there_is_nothing_to_compare_it_is_refused(exs: Exs, project: Path, words: str, said: str) -> None:
    for verb in ("plan", "push"):
        out, err = exs.both(verb, *words.split(), "--if-code-changed", code=2)
        assert out == "" and err.startswith("exs: --") and said in err and len(err.splitlines()) <= 2
    assert exs("list") == exs("list", "-a")


def test_a_job_by_hand_and_a_fork_do_not_take_it(exs: Exs, project: Path, store: Store) -> None:
    exs("push", "proj/sweep.yaml", "proj")
    exs("add", "byhand", "manual")
    for name in ("far", "byhand"):
        _, err = exs.both("push", name, "--if-code-changed", "-p", "x", "9", code=2)
        assert err.startswith("exs: -p adds a job that runs as those pushed last")
    _, err = exs.both("push", "--from", "far", "--if-code-changed", code=2)
    assert err.startswith("exs: --from EXPERIMENT keeps its code")
    (project / "other.yaml").write_text(SWEEP.replace("far", "byhand"))
    for verb in ("plan", "push"):
        _, err = exs.both(verb, "proj/other.yaml", "proj", "--into", "--if-code-changed", code=4)
        assert err.startswith("exs: experiment byhand is a pull experiment.")
    assert len(store.ids("far")) == 3 and store.ids("byhand") == []


def test_a_fork_knows_the_code_that_it_has(exs: Exs, project: Path) -> None:
    exs("push", "proj/sweep.yaml", "proj")
    exs("push", "--from", "far", "--name", "again")
    assert "=3 in the queue" in exs("plan", "proj/sweep.yaml", "proj", "--name", "again")
    write(project, 2)
    assert "=3 in the queue (3 with older code)" in exs("plan", "proj/sweep.yaml", "proj", "--name", "again")


def test_python_asks_for_it_too(exs: Exs, project: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXS_REDIS_URL", lab.store.url)
    monkeypatch.chdir(project)
    queue = exs_api.connect()
    queue.push("sweep.yaml", context=".")
    lab.end(lab.claim())
    write(project, 2)
    told = queue.push("sweep.yaml", context=".").pushed
    assert told is not None and told.older is not None and (told.done, told.older.done) == (1, 1)
    again = queue.push("sweep.yaml", context=".", if_code_changed=True).pushed
    assert again is not None and (again.forced, again.done) == (1, 0)
    with pytest.raises(InputError, match="compares the code that travels"):
        queue.push("sweep.yaml", if_code_changed=True)
    with pytest.raises(InputError, match="Leave one of them out"):
        queue.push("sweep.yaml", context=".", if_code_changed=True, force=True)
