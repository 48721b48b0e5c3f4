"""The code of a job, looked at from the laptop: `exs diff`, `exs cmd`, `exs checkout`; `--env` and `--secret`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from cli.lab import Exs, Lab
from exs import connect
from exs.errors import Refused

CANARY = "canary-7f3a"


@pytest.fixture
def project(exs: Exs) -> Path:
    root = exs.cwd / "proj"
    (root / "pkg").mkdir(parents=True)
    (root / "train.py").write_text("import os, sys\nprint(sys.argv[1:], os.environ['MODE'], os.environ['EXS_SEED'])\n")
    (root / "pkg" / "model.py").write_text("one\ntwo\nthree\n")
    (root / "blob").write_bytes(b"\0\1")
    (root / "sweep.yaml").write_text(
        "name: code\ncommand: python3 train.py --lr {lr}\nparams: {lr: [0.1, \"a 'b\"]}\nenv: {MODE: 'fast one'}\n"
    )
    return root


def test_the_code_comes_back_and_a_diff_says_what_changed(exs: Exs, project: Path) -> None:
    exs("push", "proj/sweep.yaml", "proj")
    assert exs("diff", "code/0") == ""
    (project / "pkg" / "model.py").write_text("one\n2\nthree\n")
    (project / "blob").write_bytes(b"\0\2")
    (project / "train.py").chmod(0o700)
    (project / "new.py").write_text("x\x1b[31m\n")
    (project / "sweep.yaml").unlink()
    (project / "empty").mkdir()
    said = exs("diff", "code/1")
    assert "--- pushed/pkg/model.py\n+++ now/pkg/model.py" in said and "\n-two\n+2\n" in said
    assert "binary blob: differs" in said and "mode of train.py: 644 -> 700" in said
    assert "+++ now/new.py" in said and "\x1b" not in said
    assert "+++ /dev/null" in said and "only now: empty/" in said

    exs("checkout", "code/0", "back")
    assert (exs.cwd / "back" / "pkg" / "model.py").read_text() == "one\ntwo\nthree\n"
    assert exs("diff", "code/0", "back") == ""
    _, said = exs.both("checkout", "code/0", "back", code=2)
    assert "is there already" in said
    assert sorted(path.name for path in exs.cwd.glob(".back*")) == []
    _, said = exs.both("diff", "code/0", "nowhere", code=2)
    assert "nowhere is not here" in said


def test_a_diff_knows_what_was_included_and_where_results_go(exs: Exs, project: Path) -> None:
    (exs.cwd / "lib").mkdir()
    (exs.cwd / "lib" / "tool.py").write_text("one\n")
    exs("push", "proj/sweep.yaml", "proj", "--include", "lib")
    (project / "output" / "Lr_0.1").mkdir(parents=True)
    assert exs("diff", "code/0") == ""
    exs("checkout", "code/0", "back")
    assert exs("diff", "code/0", "back") == ""
    (exs.cwd / "lib" / "tool.py").write_text("two\n")
    assert "--- pushed/lib/tool.py" in exs("diff", "code/0")
    shutil.rmtree(exs.cwd / "lib")
    assert "+++ /dev/null" in exs("diff", "code/0")


def test_a_push_that_is_refused_sends_no_code(
    exs: Exs, project: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.push("code", jobs=1)
    _, err = exs.both("push", "proj/sweep.yaml", "proj", code=4)
    assert err.startswith("exs: experiment code belongs to alice")
    monkeypatch.chdir(exs.cwd)
    monkeypatch.setenv("EXS_REDIS_URL", lab.store.url)
    with pytest.raises(Refused):
        connect().push("proj/sweep.yaml", context="proj")
    assert redis.Redis.from_url(lab.store.url).keys("exs:c*") == []
    exs("push", "proj/sweep.yaml", "proj", "--into")


def test_a_line_that_runs_what_a_job_runs(exs: Exs, project: Path) -> None:
    exs("push", "proj/sweep.yaml", "proj")
    (project / "startup-hook.sh").write_text("echo hook\n")
    exs("push", "proj/sweep.yaml", "proj", "--name", "hooked")
    words = " ".join(exs.words())
    for name in ("code", "hooked"):
        line = exs("cmd", f"{name}/1").replace("exs checkout", f"{words} checkout", 1)
        ran = subprocess.run(
            ["bash", "-c", line], cwd=exs.cwd, env=exs.env, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, (line, ran.stderr)
        assert ("hook\n" in ran.stdout) == (name == "hooked")
        assert "['--lr', \"a 'b\"] fast one " in ran.stdout


def test_what_git_knew_is_kept(exs: Exs, project: Path) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", "-b", "trunk"], ["add", "train.py", "pkg"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True, env=exs.env)
    (project / "pkg" / "model.py").write_text("changed\n")
    exs("push", "proj/sweep.yaml", "proj")
    said = exs("diff", "code/0", "--git")
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True, env=exs.env).strip()
    assert said.startswith(f"commit {commit}\nbranch trunk\n")
    assert "untracked blob\n" in said and "+changed" in said
    exs("push", "proj/sweep.yaml", "proj", "--name", "nogit", env={**exs.env, "PATH": "/nowhere"})
    assert "there is no git on PATH" in exs("diff", "nogit/0", "--git")


@pytest.mark.parametrize(
    ("state", "said"), [("none", "not a git repository"), ("new", "there is no commit yet"), ("large", "(cut: ")]
)
def test_what_git_could_not_tell_is_said(exs: Exs, project: Path, state: str, said: str) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b"]
    if state != "none":
        subprocess.run([*git, "init", "-q"], check=True, env=exs.env)
    if state == "large":
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True, env=exs.env)
        (project / "more").mkdir()
        for number in range(1001):
            (project / "more" / str(number)).touch()
    exs("push", "proj/sweep.yaml", "proj")
    assert said in exs("diff", "code/0", "--git")


def test_a_job_without_code_says_where_it_runs(exs: Exs, project: Path) -> None:
    exs("push", "proj/sweep.yaml")
    _, said = exs.both("checkout", "code/0", "x", code=2)
    assert f"it runs what is in {exs.cwd}" in said
    _, said = exs.both("diff", "code/0", code=2)
    assert "no code of its own" in said
    assert exs("cmd", "code/0").startswith(f"cd {exs.cwd} && env MODE='fast one' ")


def test_variables_come_from_the_command_line_and_secrets_are_shown_nowhere(exs: Exs, project: Path) -> None:
    exs.env["FROM_HERE"] = "here"
    exs.env["HUB"] = f"{CANARY}-1"
    exs(
        "push",
        "proj/sweep.yaml",
        "--env",
        "FROM_HERE",
        "--env",
        "A=b c=d",
        "--secret",
        "HUB",
        "--secret",
        f"W={CANARY}-2",
    )
    (project / "sweep.yaml").write_text("name: listed\ncommand: echo\nsecrets: [HUB]\n")
    exs("push", "proj/sweep.yaml", "proj")
    shown = ""
    verbs = ("show code", "show code/0", "show code --json", "show code/0 --json", "cmd code/0", "list -t code --json")
    for verb in (
        *verbs,
        "list --json",
        "why code",
        "show listed",
        "diff listed/0",
        "compare code listed",
        "compare code listed --json",
    ):
        shown += "".join(exs.both(*verb.split()))
    exs("export", "code", "code.jsonl")
    shown += (exs.cwd / "code.jsonl").read_text()
    assert CANARY not in shown
    assert "FROM_HERE=here" in shown and "b c=d" in shown and 'HUB="$HUB"' in shown and "HUB=***" in shown
    del exs.env["HUB"]
    _, said = exs.both("push", "proj/sweep.yaml", code=2)
    assert "HUB has no value here" in said
    for words in (["--env", "NOT_HERE"], ["--env", "1=2"], ["--secret", "EXS_JOB=1"]):
        _, said = exs.both("push", "proj/sweep.yaml", "--secret", "HUB=1", *words, code=2)
        assert words[0] in said


def test_an_empty_word_is_no_directory(exs: Exs, project: Path) -> None:
    """As of a variable that is not set: what would be sent instead is not what was meant."""
    for verb in ("push", "plan"):
        _, said = exs.both(verb, "proj/sweep.yaml", "", code=2)
        assert "is an empty word" in said


def test_another_value_of_python_is_refused(exs: Exs, project: Path) -> None:
    (project / "sweep.yaml").write_text("name: listed\ncommand: echo\npython: conda\n")
    _, said = exs.both("push", "proj/sweep.yaml", code=2)
    assert "sweep.yaml:3" in said and "auto" in said


def test_files_of_experiment_scheduler_stand_at_the_top(exs: Exs, project: Path, queue_url: str) -> None:
    (exs.cwd / "far").mkdir()
    (exs.cwd / "far" / "table.csv").write_text("1\n")
    (project / "es.yaml").write_text(
        f"name: es\ntasks:\n- {{name: t, cmd: cat table.csv, files: [{exs.cwd}/far/table.csv, train.py]}}\n"
    )
    exs("push", "es.yaml", ".", cwd=project)
    exs("checkout", "es/0", "es")
    assert (exs.cwd / "es" / "table.csv").read_text() == "1\n"
    assert redis.Redis.from_url(queue_url).scard("rq:queues") == 1
    assert "passed" in exs("run", "--local", "--test", "--cpus", "1", "es.yaml", cwd=project)
    _, said = exs.both("push", "es.yaml", "--name", "here", cwd=project)
    assert "code: " in said, "only a copy has them beside each other"
    _, said = exs.both("push", "es.yaml", "--name", "nowhere", "--no-context", cwd=project)
    assert "code: " not in said
    exs("run", "--cpus", "1", "es.yaml", "--name", "ran", cwd=project)
    assert exs("logs", "ran/0") == "1\n"


def test_where_the_copy_would_be_all_of_a_home_directory_a_run_goes_on_without(exs: Exs) -> None:
    (exs.cwd / "far").mkdir()
    (exs.cwd / "far" / "table.csv").write_text("1\n")
    (exs.cwd / "es.yaml").write_text("name: es\ntasks:\n- {name: t, cmd: cat far/table.csv, files: [far/table.csv]}\n")
    _, said = exs.both("run", "--cpus", "1", "es.yaml")
    assert "no code is sent: the code of es would be all of" in said
    assert exs("logs", "es/0") == "1\n"


def test_a_file_that_is_called_like_a_secret_is_compared_all_the_same(exs: Exs, project: Path) -> None:
    for name in ("one", "two"):
        (project / "auth.token").write_text(name)
        (project / "sweep.yaml").write_text(f"name: {name}\ncommand: echo\n")
        exs("push", "proj/sweep.yaml", "proj")
    found = {row["name"]: row for row in exs.json("compare", "one/0", "two/0")["rows"]}
    assert "file auth.token" in found and "***" not in found["file auth.token"].values()
