"""Runs of a launched script: numbers, failures, kills, going on; none of what is wrong in MLXP is wrong here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.lab import wait_for
from exs import Reader
from exs.alive import status_of
from seeds.mlxp import Project

CONFIG = "seed: 0\nsteps: 3\nfail_at: -1\nmodel:\n  width: 4\noptimizer:\n  lr: 10.\n"
SCRIPT = """
import sys, time
import exs

@exs.launch(config_path="./configs")
def main(ctx):
    try:
        begin = ctx.logger.load_checkpoint()["step"]
    except FileNotFoundError:
        begin = 0
    print("begin", begin, "seed", ctx.config.seed, "lr", ctx.config["optimizer"]["lr"], flush=True)
    for step in range(begin, ctx.config.steps):
        if step == ctx.config.fail_at:
            raise ValueError(f"step {step} of seed {ctx.config.seed}")
        ctx.logger.log_metrics({"step": step, "loss": 1 / (step + 1)}, log_name="train")
        ctx.logger.log_checkpoint({"step": step + 1})

if __name__ == "__main__":
    main()
"""
HANGS = SCRIPT.replace("    for step", "    while ctx.config.seed == 9:\n        time.sleep(0.01)\n    for step")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", SCRIPT, CONFIG)


def body(*lines: str, more: str = "") -> str:
    """A script whose function does this."""
    text = "".join(f"    {line}\n" for line in lines)
    return f'import exs\n{more}\n@exs.launch()\ndef main(ctx):\n{text}\nif __name__ == "__main__":\n    main()\n'


def alive(project: Project, number: int) -> str:
    """The status of a run, as a reader tells it."""
    return status_of(project.yaml(f"{number}/metadata/info.yaml"), str(project.file(f"{number}/metadata/.lock")))


# ------------------------------------------------------------ numbers


def test_a_number_is_never_given_again(project: Project) -> None:
    project("seed=1,2,3")
    subprocess.run(["rm", "-r", *map(str, (project.file("3"), project.file("2")))], check=True)
    project()
    assert project.runs() == [1, 4]
    project.file(".last_id").unlink()
    project()
    assert project.runs() == [1, 4, 5], "without the counter the directories tell"
    project.file("6").mkdir()
    project()
    assert project.runs() == [1, 4, 5, 6, 7], "a directory of somebody else's is left alone"


def test_scripts_that_start_at_once_have_numbers_of_their_own(project: Project) -> None:
    started = [project.start("seed=1,2") for _ in range(4)]
    assert [process.wait(60) for process in started] == [0] * 4
    assert project.runs() == [1, 2, 3, 4, 5, 6, 7, 8]
    seeds = sorted(project.yaml(f"{number}/metadata/config.yaml")["seed"] for number in project.runs())
    assert seeds == [1] * 4 + [2] * 4
    for process in started:
        process.communicate()


# ------------------------------------------------------------ failures


def test_one_failing_point_does_not_stop_the_others(project: Project) -> None:
    out, err = project.both("fail_at=-1,1,-1", "seed=5", code=1)
    assert out.count("begin") == 3
    assert [project.status(number) for number in project.runs()] == ["COMPLETE", "FAILED", "COMPLETE"]
    assert "ValueError: step 1 of seed 5" in err
    assert "exs/compat" not in err.replace("\\", "/"), "the traceback is the user's"
    assert err.splitlines()[-1] == "exs: 1 of 3 runs failed: logs/2."


def test_the_exception_of_a_single_run_is_the_scripts(project: Project) -> None:
    assert project.both("fail_at=1", code=1)[1].endswith("ValueError: step 1 of seed 0\n")
    assert project.status(1) == "FAILED"
    project.script(body("raise SystemExit(3)"))
    project(code=3)
    assert project.status(2) == "FAILED"
    project.script(body("raise SystemExit"))
    project()
    assert project.status(3) == "COMPLETE"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_does_not_look_as_if_it_ran(project: Project, number: signal.Signals) -> None:
    project.script(HANGS)
    process = project.start("seed=9,1")
    wait_for(lambda: project.file("1/metadata/info.yaml").exists() and project.status(1) == "RUNNING", "the run")
    assert alive(project, 1) == "RUNNING"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == -number, "and what killed it is what its parent sees"
    assert alive(project, 1) == "FAILED"
    if number is signal.SIGKILL:
        assert project.status(1) == "RUNNING", "it could not say more, so who looks does"
        (run,) = Reader(str(project.file("1").parent)).filter()
        assert run["info.status"] == "FAILED"
    assert project.status(1) == "FAILED"
    if number is not signal.SIGKILL:
        assert project.yaml("1/metadata/info.yaml")["end_date"] is not None
    assert project.runs() == [1]


def test_handlers_of_the_script_stay(project: Project) -> None:
    project.script(
        body(
            "signal.signal(signal.SIGHUP, lambda *_: print('mine'))",
            "os.kill(os.getpid(), signal.SIGHUP)",
            "os.kill(os.getpid(), signal.SIGTERM)",
            more="import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: print('mine too'))\n",
        )
    )
    assert project() == "mine\nmine too\n"
    assert project.status(1) == "COMPLETE"


def test_a_forked_process_that_is_terminated_says_nothing_of_the_run(project: Project) -> None:
    project.script(
        body(
            "child = os.fork()",
            "if not child:",
            "    time.sleep(60)",
            "    os._exit(1)",
            "os.kill(child, signal.SIGTERM)",
            "print(os.WTERMSIG(os.waitpid(child, 0)[1]))",
            "info = open(ctx.logger.metadata_dir + '/info.yaml').read()",
            "print(info.split()[1])",
            more="import os, signal, time",
        )
    )
    assert project() == "15\nRUNNING\n"


def test_to_import_exs_changes_nothing(tmp_path: Path, project: Project) -> None:
    code = """
import os, signal
before = [signal.getsignal(number) for number in signal.valid_signals()]
import exs
exs.launch, exs.Context
assert before == [signal.getsignal(number) for number in signal.valid_signals()]
"""
    for name in ("multirun.yaml", "user_choices.yaml"):
        (project.root / name).write_text("mine")
    subprocess.run([sys.executable, "-c", code], cwd=project.root, env=project.env, check=True, timeout=60)
    project()
    assert (project.root / "multirun.yaml").read_text() == (project.root / "user_choices.yaml").read_text() == "mine"


# ------------------------------------------------------------ going on


def test_a_run_goes_on_with_what_it_began_with(project: Project) -> None:
    project("fail_at=2", "optimizer.lr=0.5", "+new=[1,2]", "~model", code=1)
    out, _ = project.both("+mlxp.logger.forced_log_id=1", code=1)
    assert out == "begin 2 seed 0 lr 0.5\n", "of the configuration nothing is forgotten: it fails there again"
    assert project.yaml("1/metadata/config.yaml")["new"] == [1, 2]
    same = ("optimizer.lr=0.5", "+new=[1,2]", "~model")
    assert project(*same, "fail_at=-1", "mlxp.logger.forced_log_id=1") == "begin 2 seed 0 lr 0.5\n"
    config = project.yaml("1/metadata/config.yaml")
    assert (config["fail_at"], "model" in config, project.status(1), project.runs()) == (-1, False, "COMPLETE", [1])
    lines = project.file("1/metrics/train.json").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2]


def test_one_run_is_gone_on_with_not_a_sweep(project: Project) -> None:
    project()
    assert "forced_log_id=1 is one run, and these are 2" in project.refused("seed=1,2", "mlxp.logger.forced_log_id=1")


def test_two_processes_are_never_at_one_run(project: Project) -> None:
    project.script(HANGS)
    first = project.start("seed=9")
    wait_for(lambda: project.file("1/metadata/info.yaml").exists() and project.status(1) == "RUNNING", "the run")
    _, err = project.both("mlxp.logger.forced_log_id=1", code=4)
    assert err.endswith("logs/1 belongs to a run that another process is at. Wait for it, or end it.\n")
    assert alive(project, 1) == "RUNNING"
    first.kill()
    first.communicate(timeout=30)


def test_half_a_line_of_a_killed_process_is_cut_off(project: Project) -> None:
    project("fail_at=2", code=1)
    with project.file("1/metrics/train.json").open("a") as file:
        file.write('{"step": 2, "lo')
    project("fail_at=-1", "mlxp.logger.forced_log_id=1")
    lines = project.file("1/metrics/train.json").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2]


def test_a_number_of_the_users_choice_is_given_to_no_other(project: Project) -> None:
    project("mlxp.logger.forced_log_id=7")
    project()
    assert project.runs() == [7, 8]


def test_a_job_of_a_batch_scheduler_runs_where_it_was_submitted(project: Project) -> None:
    """What `mlxpsub` and `exs submit` add to its command; the directory is there, with what they wrote of it."""
    place = project.file("1/metadata")
    place.mkdir(parents=True)
    (place / "info.yaml").write_text("status: STARTING\n")
    root = project.file("1").parent
    mine = ["+mlxp.logger.forced_log_id=1", f"+mlxp.logger.parent_log_dir={root}", "+mlxp.use_scheduler=False"]
    more = ["+mlxp.use_version_manager=False", "+mlxp.interactive_mode=False"]
    project.env["SLURM_JOB_ID"] = "4711"
    project("optimizer.lr=1.", "seed=2", *mine, *more)
    info, config = project.yaml("1/metadata/info.yaml"), project.yaml("1/metadata/config.yaml")
    assert (info["status"], info["scheduler"]) == ("COMPLETE", {"scheduler_job_id": "4711"})
    assert (config["optimizer"]["lr"], config["seed"], config["steps"]) == (1.0, 2, 3)
    project.env.pop("SLURM_JOB_ID")
    project()
    assert project.runs() == [1, 2]


# ------------------------------------------------------------ seeds, settings


def test_the_seeding_function_gets_the_seed(project: Project) -> None:
    project.script(
        SCRIPT.replace(
            'launch(config_path="./configs")', 'launch("configs", seeding_function=lambda seed: print("to", seed))'
        )
    )
    assert project("seed={a: 1},2").splitlines()[0::2] == ["to a: 1", "to 2"]
    assert "the seeding_function needs the key seed" in project.refused("~seed")


def test_settings_of_mlxp(project: Project) -> None:
    settings = project.root / "configs" / "mlxp.yaml"
    settings.write_text("logger:\n  parent_log_dir: ./elsewhere\n  log_streams_to_file: true\n")
    project.script(SCRIPT.replace("    for step", "    print('to stderr', file=sys.stderr)\n    for step"))
    project()
    assert (project.root / "elsewhere" / "1" / "log.stdout").read_text() == "begin 0 seed 0 lr 10.0\n"
    assert (project.root / "elsewhere" / "1" / "log.stderr").read_text() == "to stderr\n"
    project("+mlxp.logger.parent_log_dir=./logs")
    assert project.runs() == [1]
    project.script(body("print(ctx.logger, ctx.info.status)"))
    assert project("mlxp.use_logger=false") == "None STARTING\n"
    assert project.runs() == [1]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("mlxp.bogus=1", "mlxp.bogus=: MLXP has no setting 'bogus'."),
        ("+mlxp.loger.parent_log_dir=x", "MLXP has no setting 'loger'. Did you mean 'logger'?"),
        ("mlxp.use_version_manager=true", "is not something that exs does"),
        ("mlxp.use_scheduler=true", "Write --push"),
        ("mlxp.logger.name=os.system", "there is one logger"),
        ("mlxp.use_logger=1", "use_logger is true or false, not 1"),
        ("mlxp={}", "settings are changed one by one"),
        ("mlxp.logger.forced_log_id=-7", "is the number of a run"),
    ],
)
def test_settings_that_are_none(project: Project, word: str, sentence: str) -> None:
    assert sentence in project.refused(word)


def test_an_unknown_key_in_mlxp_yaml_is_no_reason_to_ignore_the_file(project: Project) -> None:
    (project.root / "configs" / "mlxp.yaml").write_text("use_loger: false\n")
    assert "mlxp.yaml: MLXP has no setting 'use_loger'. Did you mean 'use_logger'?" in project.refused()


# ------------------------------------------------------------ a sweep is quick


def test_two_hundred_runs_of_one_process(project: Project) -> None:
    """MLXP takes 75 ms each, after 0.6 s; what is asserted is that nothing grows with the number of runs."""
    began = time.monotonic()
    project("seed=range(200)", "steps=1")
    assert project.runs() == list(range(1, 201))
    assert {project.status(number) for number in (1, 100, 200)} == {"COMPLETE"}
    print(f"{(time.monotonic() - began) * 5:.1f} ms per run")


def test_a_directory_that_cannot_be_written_is_one_sentence(project: Project) -> None:
    (project.root / "logs").write_text("a file")
    _, err = project.both(code=2)
    assert err.startswith("exs: no run can be kept in ./logs: ") and err.count("\n") == 1
    assert os.path.isfile(project.root / "logs")
