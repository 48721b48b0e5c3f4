"""What of a directory does not belong to a capsule.

`.exsignore` has gitignore's syntax and may stand in any directory; the deepest one that says something decides.
`.detignore` is Determined's: read at the root alone, never sent, wherever it stands. Weaker than both are the names
that Determined leaves out by default; stronger than both is what is never code: `.git`, caches, virtual
environments, run directories.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from exs.errors import InputError

EXSIGNORE, DETIGNORE = ".exsignore", ".detignore"

#: Directories that are never code, whatever a file says.
_NEVER = frozenset(
    {
        ".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".tox",
        ".nox", ".ipynb_checkpoints",
    }
)  # fmt: skip
#: Determined's defaults (its constants.py), which a file can take back: `!terraform`.
_SOFT = frozenset({"terraform", "terraform_data", ".vscode", ".idea", ".DS_Store"})
_SOFT_STARTS = ("terraform.tfstate", "terraform.tfvars", ".terraform")
_SOFT_ENDS = (".pyc", ".pyo", "$py.class")

#: True: leave out; False: take back what a weaker rule leaves out; None: says nothing.
Verdict = Callable[[str], "bool | None"]


@dataclass(frozen=True)
class Rules:
    """The ignore files that hold in one directory, the deepest first: where each stands, and what it says."""

    files: tuple[tuple[str, Verdict], ...] = ()

    def below(self, folder: str, verdict: Verdict) -> Rules:
        """These, and one more that stands in `folder` ("" for the root)."""
        return Rules(((f"{folder}/" if folder else "", verdict), *self.files))

    def leave_out(self, path: str, name: str, folder: bool) -> bool:
        """True if what stands at `path`, called `name`, does not belong to the capsule."""
        if name == DETIGNORE or (name in _NEVER and (folder or name == ".git")):
            return True
        for base, verdict in self.files:
            said = verdict(path[len(base) :] + ("/" if folder else ""))
            if said is not None:
                return said
        return name in _SOFT or name.startswith(_SOFT_STARTS) or name.endswith(_SOFT_ENDS) or path == "shared_fs"


def verdict(text: str, where: str) -> Verdict:
    """What the ignore file with this text, at `where`, says of a path. Raises InputError for a pattern that is none."""
    from pathspec import GitIgnoreSpec  # only for those who have such a file: 15 ms

    try:
        spec = GitIgnoreSpec.from_lines(text.splitlines())
    except ValueError as error:
        raise InputError(f"{where}: {error}.", "It has gitignore's syntax.") from None

    def of(path: str) -> bool | None:
        return spec.check_file(path).include

    return of


def not_code(names: Collection[str]) -> bool:
    """True for a directory with these entries that is a virtual environment, a run directory, or `logs/` of runs."""
    if "pyvenv.cfg" in names or "conda-meta" in names or ".last_id" in names:
        return True
    ran = "stat.json" in names or any(name.startswith((".exs-report.", "log.")) for name in names)
    return "param.json" in names and ran
