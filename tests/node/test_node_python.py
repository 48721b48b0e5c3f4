"""`python: auto`: a project's lock file or requirements make its environment, once per node, for all its jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exs.model import JobState
from harness.fleet import Fleet
from harness.node import Node

S = JobState
UV = shutil.which("uv") or shutil.which("uv", path=os.path.dirname(sys.executable))
pytestmark = pytest.mark.skipif(UV is None, reason="uv is not installed")

WHEEL = "hello-1.0-py3-none-any.whl"
TRAIN = """\
import json, os, sys
import hello
from pkg import model
with open("data.txt") as file:
    print(hello.__file__, sys.prefix, model.double(int(file.read())))
with open(os.environ["EXS_REPORT"], "a") as file:
    file.write(json.dumps({"said": hello.WORD, "uid": os.getuid()}) + "\\n")
try:
    open(hello.__file__, "a")
except OSError:
    print("sealed")
"""


def wheel(folder: Path) -> None:
    """A package of one module, made without any index."""
    with zipfile.ZipFile(folder / WHEEL, "w") as file:
        file.writestr("hello.py", "WORD = 'from the wheel'\n")
        file.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        file.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("hello-1.0.dist-info/RECORD", "hello.py,,\n")


def project(root: Path) -> Path:
    (root / "pkg").mkdir(parents=True)
    wheel(root)
    (root / "train.py").write_text(TRAIN)
    (root / "pkg" / "model.py").write_text("def double(x):\n    return 2 * x\n")
    (root / "data.txt").write_text("21")
    (root / "sweep.yaml").write_text("name: env\ncommand: python train.py\nrepeat: 3\npython: auto\n")
    return root


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A directory that another user can reach."""
    path = Path(tempfile.mkdtemp(prefix="exs-node-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def another_user() -> tuple[str, ...]:
    """Words that start a command as somebody else; none where we are not root, or he cannot reach the interpreter."""
    words = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    if os.geteuid() or not shutil.which("setpriv"):
        return ()
    tried = subprocess.run([*words, sys.executable, "-c", "import redis, uv"], capture_output=True, check=False)
    real = subprocess.run([*words, "test", "-x", os.path.realpath(sys.executable)], check=False)
    return () if tried.returncode or real.returncode else words


def stranger(fleet: Fleet, root: Path, user: tuple[str, ...]) -> Node:
    """A second machine, as far as one can be had here: another HOME, TMPDIR and tree, and another user if possible."""
    node = Node("far", fleet.server.url, root, user, TMPDIR=str(root / "far" / "tmp"))
    (node.home / "tmp").mkdir()
    if user:
        for path in (node.home, *node.home.rglob("*")):
            os.chown(path, 65534, 65534)
    fleet._nodes.append(node)
    return node.start("--cpus", "2", slots=2)


@pytest.mark.parametrize("kind", ["requirements", "lock"])
def test_a_node_of_another_user_builds_it_once_and_runs_the_project(fleet: Fleet, elsewhere: Path, kind: str) -> None:
    root = project(fleet.home / "proj")
    if kind == "requirements":
        (root / "requirements.txt").write_text(f"./{WHEEL}\n")
    else:
        (root / "pyproject.toml").write_text(
            "[project]\nname = 'proj'\nversion = '1'\nrequires-python = '>=3.10'\ndependencies = ['hello']\n"
            f"[tool.uv.sources]\nhello = {{path = '{WHEEL}'}}\n"
        )
        assert UV is not None
        subprocess.run([UV, "lock", "--offline", "-q", "--python", sys.executable], cwd=root, check=True)
    fleet.exs("push", "proj/sweep.yaml", "proj")
    shutil.rmtree(root)
    user = another_user()
    node = stranger(fleet, elsewhere, user)
    rows = fleet.wait_all("env", seconds=60)
    assert [row.state for row in rows] == [S.DONE] * 3, [row.detail for row in rows]
    uid = 65534 if user else os.getuid()
    assert [row.result for row in rows] == [{"said": "from the wheel", "uid": uid}] * 3
    assert node.text().count("make python=") == 1
    (state,) = (node.home / "state" / "exs").iterdir()
    log = fleet.exs("logs", "env/2")
    assert f"{state}/environments/" in log and log.split()[-2 if uid else -1] == "42"
    assert not uid or log.endswith("sealed\n")
    fleet.check()


def test_the_line_of_a_job_makes_its_environment_too(fleet: Fleet) -> None:
    root = project(fleet.home / "proj")
    (root / "requirements.txt").write_text(f"./{WHEEL}\n")
    fleet.exs("push", "proj/sweep.yaml", "proj")
    fleet.exs("checkout", "env/0", "env-0")
    line = fleet.exs("cmd", "env/0")
    begins = "exs checkout env/0 env-0 && "
    assert line.startswith(begins) and UV is not None
    path = f"{os.path.dirname(UV)}:{os.environ['PATH']}"
    report = fleet.home / "report"
    ran = subprocess.run(
        ["bash", "-c", line.removeprefix(begins)],
        cwd=fleet.home,
        env={**os.environ, "PATH": path, "EXS_REPORT": str(report), "UV_PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert str(fleet.home / "env-0" / ".venv") in ran.stdout and "from the wheel" in report.read_text()


def test_what_uv_says_is_the_reason(fleet: Fleet) -> None:
    root = project(fleet.home / "proj")
    (root / "requirements.txt").write_text("./missing-1.0-py3-none-any.whl\n")
    fleet.exs("push", "proj/sweep.yaml", "proj")
    (root / "requirements.txt").unlink()
    fleet.exs("push", "proj/sweep.yaml", "proj", "--name", "none")
    node = fleet.node("n1")
    rows = [*fleet.wait_all("env", seconds=60), *fleet.wait_all("none")]
    assert {row.state for row in rows} == {S.CRASHED}
    assert "missing-1.0" in rows[0].detail and "neither uv.lock nor requirements.txt" in rows[-1].detail
    assert "Traceback" not in node.text()
    (state,) = (node.home / "state" / "exs").iterdir()
    assert [path for path in (state / "environments").iterdir() if path.is_dir()] == []
