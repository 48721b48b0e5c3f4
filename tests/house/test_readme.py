"""Every command that README.md shows is run, in the order in which it stands there, as its reader would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exs.settings import Limits
from exs.sweep.load import load_file
from exs.sweep.model import Options
from harness.redis_server import free_port

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def exs_on_path(folder: Path) -> str:
    """A PATH on which `exs` is the code under test, installed or not."""
    folder.mkdir()
    launcher = folder / "exs"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exs "$@"\n')
    launcher.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.timeout(400)  # sixty commands, on a machine that may do other things
def test_every_command_works(tmp_path: Path) -> None:
    work = shutil.copytree(ROOT / "deploy" / "examples" / "two-moons", tmp_path / "work")
    env = {name: value for name, value in os.environ.items() if not name.startswith("EXS_")}
    env |= {
        "PATH": exs_on_path(tmp_path / "bin"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workers'}",
        "EXS_STATE_DIR": str(tmp_path / "state"),
    }
    (python,) = blocks("python")
    (work / "from_python.py").write_text(python)
    commands = "".join(blocks("sh")) + f"{sys.executable} from_python.py\n"
    # Whoever runs these tests beside us on this machine takes the README's port, too.
    commands = commands.replace("127.0.0.1:16379", f"127.0.0.1:{free_port()}")
    script = f"set -euxo pipefail\ntrap 'unset EXS_REDIS_URL; exs worker stop --now; exs server stop' EXIT\n{commands}"
    done = subprocess.run(["bash", "-c", script], cwd=work, env=env, capture_output=True, text=True, timeout=350)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plan for two-moons: +12 new" in done.stdout
    assert "highest accuracy" in done.stdout
    assert "+6 new" in done.stdout
    assert "4 new" in done.stdout
    assert "DONE     |   1 |   2 |        5 |" in done.stdout
    assert "[(0.001, 'CANCELED'), (0.001, 'QUEUED'), " in done.stdout


def test_the_training_code_shown_runs_outside_of_a_job(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("EXS_")}
    (text,) = blocks("python job")
    words = [sys.executable, "-c", text]
    subprocess.run(words, cwd=tmp_path, env=env | {"PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    assert set(os.listdir(tmp_path)) == {"exs-report.jsonl", "checkpoints"}


def test_the_launched_program_shown_runs(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("EXS_")}
    (text,) = blocks("python launch")
    (tmp_path / "main.py").write_text(text)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("num_epoch: 2\nseed: 0\noptimizer: {lr: 1}\n")
    words = [sys.executable, "main.py", "optimizer.lr=10.,1.", "seed=1,2", "+new=1"]
    subprocess.run(words, cwd=tmp_path, env=env | {"PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    assert (tmp_path / "logs" / "4" / "metrics" / "train.json").read_text().endswith('{"epoch": 1, "loss": 0.5}\n')


def test_the_sweep_file_shown_is_one(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^    (name: resnet-lr.*?)^\S", README, re.MULTILINE | re.DOTALL)
    file = tmp_path / "sweep.yaml"
    file.write_text(re.sub(r"^ {4}", "", shown, flags=re.MULTILINE))
    sweep = load_file(file, Options(), Limits(), tmp_path)
    assert len(list(sweep.jobs())) == 60  # 20 samples, 3 times each


def test_what_is_shown_of_failures_is_understood(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^    (on_failure:.*?)^\S", README, re.MULTILINE | re.DOTALL)
    file = tmp_path / "sweep.yaml"
    file.write_text("command: python3 train.py\n" + re.sub(r"^ {4}", "", shown, flags=re.MULTILINE))
    sweep = load_file(file, Options(), Limits(), tmp_path)
    assert len(sweep.spec.on_failure) == 5 and len(sweep.spec.log_policies) == 2
    assert sweep.canary == 1 and sweep.breaker


def test_the_two_commands_of_a_stranger_are_there() -> None:
    assert len(blocks("sh setup")) == 2
