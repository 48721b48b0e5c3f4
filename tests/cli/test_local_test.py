"""exs run --local --test: what a queue asks of a job is tried here, stage by stage, without a queue."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.lab import Exs

TRAINS = """\
import os, sys, time
from exs import job

latest = job.latest_checkpoint()
print("begins", "anew" if latest is None else "from a checkpoint", flush=True)
for step in range(3 if os.environ.get("EXS_TEST_MODE") == "1" and latest is None else 100_000):
    job.report(step=step, loss=1 / (step + 1))
    if step == 2:
        with job.checkpoint(step=step) as folder:
            (folder / "weights").write_text("1")
    if job.should_stop():
        break
    time.sleep(0.01)
"""


@pytest.fixture
def alone(exs: Exs, tmp_path_factory: pytest.TempPathFactory) -> Exs:
    """No Redis: the test needs none. What a failed one leaves goes with this test."""
    exs.env["TMPDIR"] = str(tmp_path_factory.mktemp("scratch"))
    exs.env["EXS_REDIS_URL"] = "redis://127.0.0.1:1"
    return exs


def stages(exs: Exs, sweep: str, *options: str, code: int = 0) -> tuple[dict[str, str], str]:
    """What was found of each stage, and all that was printed."""
    (exs.cwd / "s.yaml").write_text(sweep)
    out, _ = exs.both("run", "--local", "--test", "--cpus", "1", *options, "s.yaml", code=code)
    found = re.findall(r"^  (ok|FAIL|-) +(\S.*?)  +", out, re.MULTILINE)
    return {stage: word for word, stage in found}, out


def scratch(out: str) -> Path:
    match = re.search(r"^test .* in (/\S+)$", out, re.MULTILINE)
    assert match
    return Path(match[1])


def test_a_training_script_passes_every_stage_and_leaves_nothing(alone: Exs) -> None:
    (alone.cwd / "train.py").write_text(TRAINS)
    found, out = stages(alone, "name: t\ncommand: python3 train.py\nparams: {lr: [0.1, 0.2]}\n")
    assert found == {
        "command started": "ok",
        "output seen": "ok",
        "metric reported": "ok",
        "checkpoint written and readable": "ok",
        "exit code": "ok",
        "stopped when asked": "ok",
    }, out
    assert "it answered (ack)" in out and "at step 2" in out and out.endswith("passed\n")
    assert not scratch(out).exists()
    assert sorted(path.name for path in alone.cwd.iterdir()) == ["s.yaml", "train.py"], "run directories were touched"


def test_one_that_goes_on_is_asked_to_stop_after_the_time_that_was_said(alone: Exs) -> None:
    (alone.cwd / "train.py").write_text(TRAINS.replace("3 if", "9999 if"))
    found, out = stages(alone, "name: t\ncommand: python3 train.py\n", "--test-time", "2s")
    assert found["exit code"] == "-" and found["stopped when asked"] == "ok"
    assert "it still ran after 2.0s" in out


def test_any_script_will_do(alone: Exs) -> None:
    found, out = stages(alone, "name: t\ncommand: sh -c 'test $EXS_TEST_MODE = 1 && true'\n")
    assert found == {
        "command started": "ok",
        "output seen": "-",
        "metric reported": "-",
        "checkpoint written": "-",
        "exit code": "ok",
        "stopped when asked": "-",
    }, out


@pytest.mark.parametrize(
    ("sweep", "stage", "said"),
    [
        ("command: no-such-program\n", "command started", "no such program"),
        ("command: 'echo the end of it; exit 3'\n", "exit code", "  | the end of it"),
        ("command: echo x=1\nmetrics: {loss: 'loss=([0-9]+)'}\n", "metric reported", "the pattern of loss"),
        (
            "command: \"trap '' TERM; echo up; while :; do sleep 0.05; done\"\ngrace: 0.5s\n",
            "stopped when asked",
            "should_stop()",
        ),
        (
            "command: 'echo ''{\"checkpoint\": \"gone\"}'' > $EXS_REPORT'\n",
            "report readable",
            "is not in the run directory",
        ),
    ],
)
def test_what_could_never_work_fails_with_its_reason(alone: Exs, sweep: str, stage: str, said: str) -> None:
    if "gone" in sweep:
        sweep = f"command: {json.dumps('echo ' + repr(json.dumps({'checkpoint': 'gone'})) + ' > $EXS_REPORT')}\n"
    found, out = stages(alone, f"name: t\n{sweep}", "--test-time", "1s", code=1)
    assert found[stage] == "FAIL", out
    assert said in out
    assert scratch(out).is_dir(), "what it left is there to be looked at"


def test_where_code_would_travel_it_runs_a_copy_after_the_startup_hook(alone: Exs) -> None:
    (alone.cwd / "startup-hook.sh").write_text("export FROM_HOOK=heard\n")
    (alone.cwd / "t.sh").write_text("echo $FROM_HOOK; touch written; false\n")
    sweep = "name: t\ncommand: sh t.sh\n"
    _, out = stages(alone, sweep, code=1)
    assert "heard" not in out and (alone.cwd / "written").exists(), "a queue of this machine runs what stands here"
    (alone.cwd / "written").unlink()
    alone.env |= {"EXS_REDIS_URL": "redis://queue.invalid:6379", "HOME": "/elsewhere"}
    _, out = stages(alone, sweep, code=1)
    assert out.startswith("code: 3 files of ") and "  | heard\n" in out and not (alone.cwd / "written").exists()


def test_it_names_the_command_that_failed_with_its_values_and_last_words(alone: Exs) -> None:
    commands = "{prepare: \"echo {x} {token}\", train: 'echo up; false', score: echo}"
    _, out = stages(alone, f"name: t\ncommands: {commands}\nparams: {{x: ['a b'], token: [hidden]}}\n", code=1)
    assert "command started                  prepare: echo 'a b' ***\n" in out
    assert "train: " in out and "-     command started                  score: not begun\n" in out
    assert "exit code                        train: exit code 1\n  | up\nfailed\n" in out
    assert "hidden" not in out
    _, out = stages(alone, "name: t\ncommands: {one: echo 1, two: no-such-program}\n", code=1)
    assert "ok    command started                  one: echo 1\n" in out
    assert "FAIL  command started                  two: no such program" in out


def test_the_end_of_the_output_is_there_whatever_failed(alone: Exs) -> None:
    (alone.cwd / "t.sh").write_text("echo the end of it\necho no json > $EXS_REPORT\n")
    found, out = stages(alone, "name: t\ncommand: sh t.sh\n", code=1)
    assert found["report readable"] == "FAIL" and found["exit code"] == "ok"
    assert "  | the end of it\nfailed\n" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--local",), "--local goes with --test."),
        (("--test", "-d"), "-d and --test contradict each other."),
        (("--test-time", "5s"), "--test-time goes with --test."),
    ],
)
def test_what_makes_no_sense_is_refused(alone: Exs, words: tuple[str, ...], said: str) -> None:
    (alone.cwd / "s.yaml").write_text("name: t\ncommand: 'true'\n")
    _, err = alone.both("run", *words, "s.yaml", code=2)
    assert said in err
