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
    directory. `untracked`: files that git neither knows nor ignores. `cut`: there is more of these than is kept."""

    commit: str
    branch: str
    diff: str
    untracked: tuple[str, ...]
    cut: bool = False


def checkout(directory: str) -> Checkout | str:
    """What git says of a directory; why it says nothing where there is no git, no repository, no commit or no leave."""
    commit, said = _ask(directory, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return said
    branch = _ask(directory, "symbolic-ref", "--short", "-q", "HEAD")[0] or ""
    diff = _ask(directory, *_DIFF)[0] or ""
    names = (_ask(directory, "ls-files", "--others", "--exclude-standard", "-z")[0] or "").split("\0")[:-1]
    cut = len(diff) > DIFF or len(names) > NAMES
    return Checkout(commit.strip(), branch.strip(), diff[:DIFF], tuple(names[:NAMES]), cut)


def _ask(directory: str, *words: str) -> tuple[str | None, str]:
    """What git answers, None if nothing; and the first line of what it says against it."""
    env = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_EXTERNAL_DIFF"):
        env.pop(name, None)
    try:
        done = subprocess.run(
            ["git", *_SAFE, "-C", directory, *words],
            stdin=subprocess.DEVNULL, capture_output=True, env=env, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return None, "there is no git on PATH"
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    if done.returncode:
        said = done.stderr.decode("utf-8", "backslashreplace").splitlines()
        return None, _reason(said[0]) if said else f"exit code {done.returncode}"
    return done.stdout.decode("utf-8", "backslashreplace"), ""


def _reason(said: str) -> str:
    text = said.removeprefix("fatal: ")
    return "there is no commit yet" if text == "Needed a single revision" else text
