"""MLXP's command line, and the table that Schedy's tutorial shows."""

from __future__ import annotations

import json
import re
import shlex

from cli.lab import Exs
from exs.store.store import Store
from seeds.documents import literal, text_of

(LINE, OTHER) = re.findall(r"^\s*(python main\.py  \S+,\S+ seed=1,2)$", text_of("mlxp-quick-start.rst"), re.MULTILINE)


def test_the_quick_starts_line_is_four_jobs_that_run_as_typed(exs: Exs, store: Store) -> None:
    (exs.cwd / "main.py").write_text("import sys\nprint(*sys.argv[1:])\n")
    assert "(10.,1), (10,2), (1.,1), (1.,2)" in text_of("mlxp-quick-start.rst")
    assert "+4 new" in exs("push", "--", *shlex.split(LINE))
    name = store.last()
    points = [(job.params["optimizer.lr"], job.params["seed"]) for job in store.jobs(name)]
    assert points == [(10.0, 1), (10.0, 2), (1.0, 1), (1.0, 2)]
    assert "=4 in the queue" in exs("run", "--cpus", "2", "--", *shlex.split(LINE))
    printed = [exs("logs", f"{name}/{index}").splitlines()[-1] for index in range(4)]
    assert printed == [f"optimizer.lr={lr} seed={seed}" for lr in ("10.", "1.") for seed in (1, 2)]


def test_the_quick_starts_other_line_is_four_more(exs: Exs) -> None:
    assert "+4 new" in exs("push", "--name", "other", "--", *shlex.split(OTHER))


def test_how_a_value_was_typed_is_no_parameter(exs: Exs, store: Store) -> None:
    code = "import os; print(os.environ['EXS_PARAMS'])"
    exs("run", "--cpus", "1", "--name", "typed", "--", "python", "-c", code, "lr=10.", "seed=007")
    (job,) = exs.json("list", "-t", "typed")["jobs"]
    assert job["params"] == {"lr": 10.0, "seed": 7}
    assert json.loads(exs("logs", "typed/0").splitlines()[-1]) == job["params"]
    (file,) = exs.cwd.glob("output/*/param.json")
    record = json.loads(file.read_text())
    assert {key for key in record if not key.startswith("_")} == {"lr", "seed"}
    for text in (exs("show", "typed/0"), exs("list", "-t", "typed"), file.read_text()):
        assert "_typed." not in text


def test_a_table_has_the_borders_of_schedys(exs: Exs, store: Store) -> None:
    report = "import json, os; json.dump({'result': 5}, open(os.environ['EXS_REPORT'], 'w'))"
    exs("run", "--cpus", "1", "--name", "MinimizeManual", "--", "python", "-c", report, "x=1", "y=2")
    ours = exs("list", "-t", "MinimizeManual").splitlines()[1:]
    theirs = literal("schedy-scheduler.rst", "| id     | status").splitlines()
    assert len(ours) == len(theirs) == 5
    for our, their in zip(ours, theirs, strict=True):
        assert re.sub(r"-+", "-", our)[:2] == re.sub(r"-+", "-", their)[:2]
        assert (our[0], our[-1], set(our) & set("+|-")) == (their[0], their[-1], set(their) & set("+|-"))
        assert len(our) == len(ours[0])
    cells = dict(zip(*([cell.strip() for cell in ours[at].split("|")] for at in (1, 3)), strict=True))
    assert {name: cells[name] for name in ("status", "x", "y", "result")} == {
        "status": "DONE",
        "x": "1",
        "y": "2",
        "result": "5",
    }
