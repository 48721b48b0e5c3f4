"""What training code does with `exs.job`, in processes of its own, as a job and outside of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exs.paths import RunDir
from exs_worker.metricfiles import MetricFiles
from exs_worker.report import Report
from exs_worker.series import Metrics

ROOT = Path(__file__).resolve().parents[2]
START = "import math, os, sys, threading\nfrom exs import job\n"


def program(folder: Path, text: str, code: int = 0, start: str = START, **env: str) -> str:
    """Standard output of a program that runs in `folder`."""
    names = ("EXS_JOB", "EXS_PARAMS", "EXS_OUTPUT", "EXS_REPORT", "EXS_CONTROL", "EXS_CHECKPOINT", "EXS_SEED")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", start + text],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def inside(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a job whose run directory is `folder`."""
    files = RunDir(str(folder))
    return {
        "EXS_JOB": "j",
        "EXS_EXPERIMENT": "e",
        "EXS_PARAMS": '{"lr": 0.1, "layers": [1, 2]}',
        "EXS_OUTPUT": str(folder),
        "EXS_REPORT": files.report("a"),
        "EXS_CONTROL": files.control("a"),
        "EXS_SEED": "7",
        **more,
    }


def lines(path: str | Path) -> list[Any]:
    return [json.loads(line, parse_constant=pytest.fail) for line in Path(path).read_text().splitlines()]


def test_it_is_light() -> None:
    """Training code is imported a million times: nothing but json, which it has anyway, and what that needs."""
    probe = "import json, sys; old = set(sys.modules)\nfrom exs import job\nprint(*sorted(set(sys.modules) - old))"
    found = set(program(ROOT, probe, start="").split())
    assert {name for name in found if name.startswith("exs")} == {"exs", "exs.job"}
    assert {name.split(".")[0] for name in found} <= {"__future__", "exs", "importlib", "warnings"}


def test_a_job_knows_itself(tmp_path: Path) -> None:
    text = "print(job.id, job.experiment, job.params, job.seed, job.output == os.getcwd(), job.latest_checkpoint())"
    shown = "{'lr': 0.1, 'layers': [1, 2]}"
    assert program(tmp_path, text, **inside(tmp_path)) == f"j e {shown} 7 True None\n"
    assert program(tmp_path, text) == "  {} 0 True None\n"


VALUES = """
from decimal import Decimal
class Scalar:
    def __init__(self, value): self.value = value
    def item(self): return self.value
    def tolist(self): return self.value
class Array(Scalar):
    def item(self): raise ValueError("only one element arrays")
job.report(step=1, loss=math.nan, dec=Decimal('0.5'), up=math.inf, down=-math.inf, yes=True, scalar=Scalar(0.5))
job.report({"val/loss": 0.25, 3: 1, None: 2, "\\ud800": 4})
job.result({1: {2.5: [math.nan, Scalar(7), Array([1, math.inf])]}, "set": {1}, "what": os.__class__,
            "t": (1, "\\udfff")})
job.status("two\\nlines \\u00fc")
job.progress(Scalar(0.5).value)
for bad in ("x", None, [1], Array([1, 2]), object()):
    try: job.report(step=2, fine=1, loss=bad)
    except TypeError as error: print("refused", str(error)[:10])
for bad in (-0.1, 1.1, math.nan):
    try: job.progress(bad)
    except ValueError: print("refused")
"""


@pytest.mark.parametrize("as_job", [True, False])
def test_every_value_has_a_defined_result_and_no_line_is_broken(tmp_path: Path, as_job: bool) -> None:
    env = inside(tmp_path) if as_job else {}
    said = program(tmp_path, VALUES, **env)
    refused = [f"refused loss is {kind}" for kind in ("st", "No", "li", "Ar", "ob")]
    assert said.splitlines() == [*refused, "refused", "refused", "refused"]
    path = env.get("EXS_REPORT", str(tmp_path / "exs-report.jsonl"))
    assert lines(path) == [
        {
            "step": 1,
            "metrics": {"loss": "nan", "dec": 0.5, "up": "inf", "down": "-inf", "yes": 1, "scalar": 0.5},
        },
        {"metrics": {"val/loss": 0.25, "3": 1, "null": 2, "?": 4}},
        {"result": {"1": {"2.5": ["nan", 7, [1, "inf"]]}, "set": [1], "what": "<class 'module'>", "t": [1, "?"]}},
        {"status": "two\nlines \u00fc"},
        {"progress": 0.5},
    ]
    files = RunDir(str(tmp_path))
    report = Report(path, str(tmp_path), 1000, Metrics(MetricFiles(files, "a"), 500, 100))
    report.look(final=True)
    assert report.problem == ""
    assert report.whole()["metrics"]["loss"][0]["last"] == [1, "nan"]


CROWD = """
def work(who):
    for n in range(200):
        job.report({f"m{who}": n, "x" * 2000: 1}, step=n)
children = []
for rank in range(4):
    pid = os.fork()
    if not pid:
        threads = [threading.Thread(target=work, args=(f"{rank}-{t}",)) for t in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_ranks_and_threads_never_tear_a_line(tmp_path: Path) -> None:
    program(tmp_path, CROWD, **inside(tmp_path))
    found = lines(inside(tmp_path)["EXS_REPORT"])
    assert len(found) == 4 * 3 * 200
    for who in {name for line in found for name in line["metrics"] if name.startswith("m")}:
        assert [line["step"] for line in found if who in line["metrics"]] == list(range(200))


def test_a_full_disk_costs_lines_and_not_the_job(tmp_path: Path) -> None:
    """The half line that went in does not spoil the first one after it."""
    text = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
job.report(step=1, loss=1)
size = os.path.getsize(os.environ["EXS_REPORT"])
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, resource.RLIM_INFINITY))
for step in (2, 3, 4):
    job.report(step=step, loss=step)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
job.report(step=5, loss=5)
print("done")
"""
    said = program(tmp_path, text, **inside(tmp_path))
    assert said.count("cannot write") == 1 and said.startswith("done")
    metrics = Metrics(MetricFiles(RunDir(str(tmp_path)), "a"), 9, 9)
    report = Report(inside(tmp_path)["EXS_REPORT"], str(tmp_path), 1000, metrics)
    report.look(final=True)
    assert [line["loss"] for line in lines(tmp_path / "metrics" / "loss.json")] == [1, 5]


CHECKPOINTS = """
print(job.latest_checkpoint())
with job.checkpoint(step=3, note="x") as folder:
    assert job.latest_checkpoint() is None
    (folder / "deep").mkdir()
    (folder / "deep" / "state").write_text("3")
first = job.latest_checkpoint()
print(first.parent, (first / "deep" / "state").read_text(), (first / "metadata.json").read_text())
try:
    with job.checkpoint(step=4) as folder:
        (folder / "state").write_text("half")
        raise KeyError("no")
except KeyError:
    pass
assert job.latest_checkpoint() == first
for step in range(5, 9):
    with job.checkpoint(step, keep=2) as folder:
        (folder / "state").write_text(str(step))
print(len(os.listdir(first.parent)), (job.latest_checkpoint() / "state").read_text())
"""


@pytest.mark.parametrize("as_job", [True, False])
def test_a_checkpoint_appears_whole_or_not_at_all(tmp_path: Path, as_job: bool) -> None:
    env = inside(tmp_path) if as_job else {}
    said = program(tmp_path, CHECKPOINTS, **env)
    assert said == f'None\n{tmp_path}/checkpoints 3 {{\n  "note": "x",\n  "step": 3\n}}\n\n2 8\n'
    told = lines(env.get("EXS_REPORT", tmp_path / "exs-report.jsonl"))
    assert [line["checkpoint"]["step"] for line in told] == [3, 5, 6, 7, 8]
    last = tmp_path / told[-1]["checkpoint"]["path"]
    assert (last / "state").read_text() == "8"
    text = "print(job.latest_checkpoint())"
    assert program(tmp_path, text, **({**env, "EXS_CHECKPOINT": str(last)} if as_job else {})) == f"{last}\n"
    if as_job:  # only exs says where a job goes on from: its metrics go on from there too
        assert program(tmp_path, text, **env) == "None\n"


def test_a_process_that_is_killed_leaves_no_half_checkpoint(tmp_path: Path) -> None:
    text = """
with job.checkpoint(step=1) as folder:
    (folder / "state").write_text("1")
with job.checkpoint(step=2) as folder:
    (folder / "state").write_text("2")
    os.kill(os.getpid(), 9)
"""
    program(tmp_path, text, code=-9)
    assert program(tmp_path, "print((job.latest_checkpoint() / 'state').read_text())") == "1\n"


@pytest.mark.parametrize("as_job", [True, False])
def test_it_is_asked_to_stop_once_and_says_so(tmp_path: Path, as_job: bool) -> None:
    env = inside(tmp_path) if as_job else {}
    control = Path(env.get("EXS_CONTROL", tmp_path / "exs-control"))
    text = "print(job.should_stop(), job.should_stop())"
    for none in (None, "{", "[]", "{}", '{"stop": ""}'):
        if none is not None:
            control.write_text(none)
        assert program(tmp_path, text, **env) == "False False\n"
    control.write_text('{"stop": "pause"}\n')
    assert program(tmp_path, text, **env) == "True True\n"
    said = lines(env.get("EXS_REPORT", tmp_path / "exs-report.jsonl"))
    assert said == ([{"ack": "ready"}] * 6 if as_job else []) + [{"ack": "stop"}]


def test_numpy_is_understood(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    text = """
import numpy as np
job.report(step=np.int64(3), a=np.float32(0.5), b=np.float64("nan"), c=np.array(2), d=np.array([7]), e=np.bool_(True))
job.result(a=np.float32(0.5), m=np.eye(2), n=np.array([np.inf]))
"""
    program(tmp_path, text, **inside(tmp_path))
    assert lines(inside(tmp_path)["EXS_REPORT"]) == [
        {"step": 3, "metrics": {"a": 0.5, "b": "nan", "c": 2, "d": 7, "e": 1}},
        {"result": {"a": 0.5, "m": [[1, 0], [0, 1]], "n": ["inf"]}},
    ]
