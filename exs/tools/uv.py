"""Python environments made by uv, of what a project says that it needs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from exs.errors import InputError

#: What makes an environment: a lock file, else requirements. The first that is there counts.
LOCK, REQUIREMENTS = "uv.lock", "requirements.txt"
#: Files that say more about it.
_BESIDE = ("pyproject.toml", ".python-version")
#: Seconds between two looks whether it is done, or not wanted any more.
_LOOK = 0.1
#: Bytes of the end of what uv says that an error quotes.
_SAID = 600


def digest(project: str) -> str:
    """Names the environment of a project: the same files and the same Python give the same. Raises InputError for a
    project that says nothing."""
    names = [name for name in (LOCK, REQUIREMENTS) if os.path.isfile(os.path.join(project, name))]
    if not names:
        raise InputError(
            f"python: auto, but the code has neither {LOCK} nor {REQUIREMENTS} at its top.",
            "Add one of them, or leave out python: auto.",
        )
    wanted = [LOCK, *_BESIDE] if names[0] == LOCK else [*_BESIDE, *_requirements(project)]
    found = hashlib.sha256(f"{sys.version_info[:2]} {sys.platform} {os.uname().machine}".encode())
    for name in wanted:
        path = os.path.join(project, name)
        if os.path.isfile(path):
            found.update(f"\0{name}\0".encode() + Path(path).read_bytes())
    return found.hexdigest()[:32]


def _requirements(project: str) -> list[str]:
    """Every requirements file at the top, for one may name another."""
    return sorted(name for name in os.listdir(project) if name.startswith("requirements") and name.endswith(".txt"))


def build(project: str, target: str, env: Mapping[str, str], stopped: Callable[[], bool]) -> None:
    """Make the environment of a project in the directory `target`, which may be moved afterwards.

    Raises InputError with the end of what uv said, or that there is no uv; also when `stopped` says so meanwhile.
    """
    uv = shutil.which("uv", path=env.get("PATH")) or shutil.which("uv", path=os.path.dirname(sys.executable))
    if uv is None:
        raise InputError("python: auto needs uv on this node.", "Install it beside exs: pip install uv")
    # Nobody's own environment or cache of byte code counts; what an index needs to be reached does.
    clean = {name: value for name, value in env.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")}
    clean |= {"UV_PROJECT_ENVIRONMENT": target, "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    pinned = os.path.isfile(os.path.join(project, ".python-version"))
    python = [] if pinned else ["--python", sys.executable]
    steps = [[uv, "venv", "--relocatable", "--clear", *python, target]]
    if os.path.isfile(os.path.join(project, LOCK)):
        steps.append(
            [uv, "sync", "--frozen", "--no-install-project", "--no-default-groups", "--compile-bytecode", *python]
        )
    else:
        steps.append([uv, "pip", "install", "--python", target, "--compile-bytecode", "-r", REQUIREMENTS])
    for step in steps:
        _run(step, project, clean, stopped)


def _run(words: list[str], project: str, env: Mapping[str, str], stopped: Callable[[], bool]) -> None:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words,
            cwd=project,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            while process.poll() is None and not stopped():
                time.sleep(_LOOK)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _SAID))
            text = " ".join(said.read().decode("utf-8", "replace").split())
            raise InputError(f"uv {words[1]} ended with exit code {process.returncode}: {text}")
