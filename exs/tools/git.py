"""What git knows of a directory: commit, branch, what is not committed. Nothing where there is no git."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

#: Seconds for one question: a large repository on a slow network must not hold up a push for ever.
PATIENCE = 10.0
#: Bytes of a diff, and names of files, that are kept.
DIFF = 512 * 1024
NAMES = 1000
#: No program that a repository's configuration names is started, no lock is taken, nobody is asked for a password.
_SAFE = (
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.quotePath=false",
)
_DIFF = ("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--binary", "--relative", "--", ".")


@dataclass(frozen=True)
class Checkout:
    """A directory of a repository. `branch`: "" where no branch is checked out. `diff`: against the commit, of this
    directory. `untracked`: files that git neither knows nor ignores."""

    commit: str
    branch: str
    diff: str
    untracked: tuple[str, ...]


def checkout(directory: str) -> Checkout | None:
    """What git says of a directory; None without git, a repository, or a commit."""
    commit = _ask(directory, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    branch = _ask(directory, "symbolic-ref", "--short", "-q", "HEAD") or ""
    diff = _ask(directory, *_DIFF) or ""
    names = (_ask(directory, "ls-files", "--others", "--exclude-standard", "-z") or "").split("\0")
    return Checkout(commit.strip(), branch.strip(), diff[:DIFF], tuple(name for name in names[:NAMES] if name))


def _ask(directory: str, *words: str) -> str | None:
    env = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_EXTERNAL_DIFF"):
        env.pop(name, None)
    try:
        done = subprocess.run(
            ["git", *_SAFE, "-C", directory, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "backslashreplace") if done.returncode == 0 else None
