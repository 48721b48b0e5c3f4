"""MLXP's quick start is followed to the letter, but for the import line; then in exs's queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.lab import Exs, wait_for
from exs.model import JobState
from exs.store.store import Store
from seeds.documents import text_of
from seeds.mlxp import DOCUMENT, Project, block, tree

SCRIPT = block("@mlxp.launch").replace("import mlxp", "import exs as mlxp")
CONFIG = block("caption: ./configs/config.yaml")
(LINE, OTHER) = [line.split()[2:] for line in block("model.num_units=100,200").splitlines() if "python" in line]

#: What the document says of a run that logs `train` and a checkpoint: its tree, with code that does so.
LOGGING = SCRIPT.replace(
    'log_name="Quickstart")',
    'log_name="train")\n     ctx.logger.log_checkpoint({"epoch": i}, "last_ckpt.pkl", pickle=True)',
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "my_project", SCRIPT, CONFIG)


def printed(command: str) -> str:
    """What the document says that a command prints; of numbers, what they are."""
    first, _, shown = block(f"$ {command}\n").partition("\n")
    assert first == f"$ {command}"
    return shown.lstrip().replace("10.\n", "10.0\n")


def test_the_project_is_the_one_of_the_document(project: Project) -> None:
    wanted = tree(block("my_project/"))
    assert wanted == ["my_project/", "my_project/configs/", "my_project/configs/config.yaml", "my_project/main.py"]
    assert all((project.root.parent / path).exists() for path in wanted)


def test_the_output_is_the_one_shown(project: Project) -> None:
    assert project() == printed("python main.py")
    assert project("optimizer.lr=0.1") == printed("python main.py optimizer.lr=0.1")
    assert project.runs() == [1, 2]
    assert project.yaml("2/metadata/config.yaml")["optimizer"] == {"lr": 0.1}
    lines = project.file("1/metrics/Quickstart.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"epoch": epoch} for epoch in range(10)]


def test_the_files_are_those_of_its_tree(project: Project) -> None:
    project.script(LOGGING)
    project()
    # The guide says metrics.yaml; MLXP itself calls the file like the log.
    wanted = {path.replace(".keys/metrics.yaml", ".keys/train.yaml") for path in tree(block("caption: ./logs/"))}
    assert len(wanted) == 13 and "logs/1/artifacts/pickle/last_ckpt.pkl" in wanted
    found = {str(path.relative_to(project.root)) + "/" * path.is_dir() for path in project.root.glob("logs/**/*")}
    assert wanted - {"logs/"} <= found
    assert found - wanted == {
        "logs/.last_id",
        "logs/1/metadata/.lock",
        "logs/1/artifacts/.keys/",
        "logs/1/artifacts/.keys/artifacts.yaml",
    }
    assert project.file("1/metrics/.keys/train.yaml").read_text() == "epoch: ''\n"
    assert project.yaml("1/artifacts/.keys/artifacts.yaml") == {"pickle": {"": {"last_ckpt.pkl": ""}}}
    assert project.yaml("1/metadata/mlxp.yaml")["logger"]["parent_log_dir"] == "./logs"


def test_info_says_what_mlxps_does_in_its_order(project: Project) -> None:
    project()
    info = project.yaml("1/metadata/info.yaml")
    wanted = "status current_file_path executable hostname process_id start_date start_time end_date end_time work_dir"
    assert list(info) == [*wanted.split(), "logger", "scheduler", "version_manager", "exs"]
    root = str(project.root / "logs" / "1")
    assert info["logger"] == {
        "log_id": 1,
        "log_dir": root,
        **{f"{name}_dir": f"{root}/{name}" for name in ("metrics", "metadata", "artifacts")},
    }
    assert (info["status"], info["current_file_path"]) == ("COMPLETE", str(project.root / "main.py"))
    assert (info["executable"], info["work_dir"]) == (sys.executable, str(project.root))


def test_a_missing_config_is_made_with_its_directory(tmp_path: Path) -> None:
    assert "they will be created automatically" in text_of(DOCUMENT)
    project = Project(tmp_path / "empty", SCRIPT.replace("ctx.config.num_epoch", "3"))
    assert "optimizer.lr=" in project.refused("optimizer.lr=0.1")
    assert not (project.root / "configs").exists(), "nothing half done"
    assert project() == "\n"
    assert (project.root / "configs" / "config.yaml").read_text() == ""
    assert project("+optimizer.lr=0.1") == "optimizer:\n lr: 0.1\n"


def test_the_job_script_is_eight_runs(project: Project) -> None:
    """Its lines for a batch scheduler are comments to bash."""
    assert "(10.,1), (10,2), (1.,1), (1.,2)" in text_of(DOCUMENT)
    (project.root / "script.sh").write_text(block("model.num_units=100,200"))
    programs = project.root.parent / "bin"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    env = project.env | {"PATH": f"{programs}{os.pathsep}{project.env['PATH']}"}
    subprocess.run(["bash", "script.sh"], cwd=project.root, env=env, check=True, capture_output=True, timeout=60)
    configs = [project.yaml(f"{number}/metadata/config.yaml") for number in project.runs()]
    assert [(each["optimizer"]["lr"], each["seed"]) for each in configs[:4]] == [(10, 1), (10, 2), (1, 1), (1, 2)]
    assert [(each["model"]["num_units"], each["seed"]) for each in configs[4:]] == [
        (100, 1),
        (100, 2),
        (200, 1),
        (200, 2),
    ]
    assert {project.status(number) for number in project.runs()} == {"COMPLETE"}


# ------------------------------------------------------------ the same as jobs


@pytest.fixture
def queued(exs: Exs) -> Project:
    """The project in the directory where `exs` is typed."""
    project = Project(exs.cwd, SCRIPT, CONFIG)
    project.env = exs.env
    return project


def test_pushed_it_is_one_job_per_point_that_runs_as_typed(queued: Project, exs: Exs, store: Store) -> None:
    assert "+4 new" in queued(*LINE, "--push", "--name", "quick")
    assert queued.runs() == []
    assert "+4 new" in queued("--push", "--name", "other", *OTHER)
    assert "=4 in the queue" in queued("--push", "--name", "quick", *LINE)
    points = [(job.params["optimizer.lr"], job.params["seed"]) for job in store.jobs("quick")]
    assert points == [(10.0, 1), (10.0, 2), (1.0, 1), (1.0, 2)]
    worker = exs.start("worker", "--cpus", "1", "--idle-exit", "0.2s")
    worker.communicate(timeout=60)
    assert {job.state for name in ("quick", "other") for job in store.jobs(name)} == {JobState.DONE}
    configs = [queued.yaml(f"{number}/metadata/config.yaml") for number in range(1, 5)]
    assert [(each["optimizer"]["lr"], each["seed"]) for each in configs] == points
    assert (
        exs("logs", "quick/0").splitlines()[-9:] == printed("python main.py").replace("seed: 0", "seed: 1").splitlines()
    )
    (first, *_) = store.jobs("quick")
    assert queued.yaml("1/metadata/info.yaml")["scheduler"] == {"scheduler_job_id": first.id}
    assert exs.json("show", "quick/0")["metrics"]["Quickstart.epoch"] == 9


def test_a_word_with_shell_syntax_is_one_word_of_the_job(queued: Project, exs: Exs, store: Store) -> None:
    note = "a b; touch hacked $(touch hacked) 'c, d'"
    queued("--push", "--name", "odd", f'+note="{note}"', "num_epoch=1")
    exs.start("worker", "--cpus", "1", "--idle-exit", "0.2s").communicate(timeout=60)
    assert [job.state for job in store.jobs("odd")] == [JobState.DONE]
    assert queued.yaml("1/metadata/config.yaml")["note"] == note
    assert not (queued.root / "hacked").exists()


def test_where_the_code_travels_the_runs_stay(queued: Project, exs: Exs, store: Store) -> None:
    queued.script(FLAKY)
    queued.file("7").mkdir(parents=True)
    queued.file(".last_id").write_text("7\n")
    queued.env["EXS_CAPSULE"] = "always"
    out, err = queued.both("--push", "--name", "far", "seed=1,2")
    assert "+2 new" in out and "code: 2 files" in err, "main.py and config.yaml, no logs"
    worker = ("worker", "--cpus", "1", "--idle-exit", "0.2s")
    exs.start(*worker).communicate(timeout=60)
    exs("retry", "far")
    exs.start(*worker).communicate(timeout=60)
    assert [job.state for job in store.jobs("far")] == [JobState.DONE] * 2
    queued.env, own = queued.env | {"LOGNAME": "mallory"}, queued.env
    refused = queued.both("--push", "--name", "far", "seed=1,2", code=4)[1]
    assert "far" in refused and "code: " not in refused, "refused before anything is sent"
    queued.env = own
    runs = sorted(queued.root.glob("output/*/logs/1/metrics/train.json"))
    assert [len(path.read_text().splitlines()) for path in runs] == [4, 4], "the second attempt went on with the first"
    same = ("--push", "--name", "far", "seed=1,2", "--if-code-changed")
    assert "=2 done" in queued(*same) and "again" not in queued(*same)
    queued.script(FLAKY + "# better\n")
    assert "^2 run again" in queued(*same)
    del queued.env["EXS_CAPSULE"]
    assert "this push sends none" in queued.both(*same, code=2)[1]


FLAKY = """
import os, signal
import exs

@exs.launch()
def main(ctx):
    try:
        done = ctx.logger.load_checkpoint()["done"]
    except FileNotFoundError:
        done = 0
    print("begins at", done)
    for step in range(done, 4):
        ctx.logger.log_metrics({"step": step}, "train")
        ctx.logger.log_checkpoint({"done": step + 1})
        if step == 1 and done == 0:
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    main()
"""


def test_the_next_attempt_goes_on_in_the_same_directory(queued: Project, exs: Exs, store: Store) -> None:
    queued.script(FLAKY)
    queued("--push", "--name", "flaky", "seed=1")
    exs.start("worker", "--cpus", "1", "--idle-exit", "0.2s").communicate(timeout=60)
    assert [job.state for job in store.jobs("flaky")] == [JobState.CRASHED]
    exs("retry", "flaky")
    exs.start("worker", "--cpus", "1", "--idle-exit", "0.2s").communicate(timeout=60)
    assert [job.state for job in store.jobs("flaky")] == [JobState.DONE]
    assert queued.runs() == [1]
    assert queued.status(1) == "COMPLETE"
    assert [json.loads(line)["step"] for line in queued.file("1/metrics/train.json").read_text().splitlines()] == [
        0,
        1,
        2,
        3,
    ]
    assert "begins at 2" in exs("logs", "flaky/0")
    exs("retry", "flaky", "--force")
    exs.start("worker", "--cpus", "1", "--idle-exit", "0.2s").communicate(timeout=60)
    assert queued.runs() == [1, 2], "what was complete is begun anew"


def test_asked_to_stop_a_run_says_so_and_goes_on_later(queued: Project, exs: Exs, store: Store) -> None:
    queued.script(
        FLAKY.replace("import os, signal", "import sys, time").replace(
            "        if step == 1 and done == 0:\n            os.kill(os.getpid(), signal.SIGKILL)\n",
            "        while done == 0 and not exs.job.should_stop():\n            time.sleep(0.01)\n"
            "        if exs.job.should_stop():\n            sys.exit()\n",
        )
    )
    queued("--push", "--name", "long")
    worker = exs.start("worker", "--cpus", "1", "--idle-exit", "0.5s")
    wait_for(lambda: queued.file("1/artifacts/json/checkpoint").exists(), "the first checkpoint")
    exs("pause", "long")
    wait_for(lambda: store.jobs("long")[0].state is JobState.PAUSED, "the pause")
    assert queued.status(1) == "STOPPED"
    worker.communicate(timeout=60)
    exs("activate", "long")
    exs.start("worker", "--cpus", "1", "--idle-exit", "0.2s").communicate(timeout=60)
    assert (store.jobs("long")[0].state, queued.runs(), queued.status(1)) == (JobState.DONE, [1], "COMPLETE")
