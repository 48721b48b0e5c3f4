"""`exs diff`."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from exs.cli.onejob import one_job
from exs.cli.session import open_store, put
from exs.errors import InputError
from exs.model import Json
from exs.view.text import safe, safe_lines


@click.command("diff")
@click.argument("job")
@click.argument("directory", required=False)
@click.option("--git", is_flag=True, help="What git knew at the push: commit, branch, changes, untracked files.")
def command(job: str, directory: str | None, git: bool) -> None:
    """What DIRECTORY, or the one that was pushed, has otherwise today than the code of JOB."""
    from exs.api.checkout import code_of, differences

    store = open_store()
    row, spec = one_job(store, job)
    code = code_of(store, row, spec)
    if git:
        put(_git_lines(code.record))
        return
    root = directory or code.root
    if not os.path.isdir(root):
        raise InputError(f"{root} is not here to be compared.", "Name a directory: exs diff JOB DIRECTORY")
    put(map(safe, differences(code, root, spec.output)))


def _git_lines(record: Mapping[str, Json]) -> list[str]:
    if "commit" not in record:
        why = str(record.get("no_git") or "it was no repository")
        return [f"git knew nothing of {safe(str(record.get('root', '')))} when it was pushed: {safe(why)}."]
    lines = [f"commit {safe(str(record['commit']))}", f"branch {safe(str(record.get('branch') or '(none)'))}"]
    untracked = record.get("untracked")
    lines += [f"untracked {safe(str(name))}" for name in untracked] if isinstance(untracked, list) else []
    lines += safe_lines(str(record.get("diff", ""))).splitlines()
    return [*lines, "(cut: not all of the changes or untracked files were kept)"] if record.get("cut") else lines
