"""`exs cmd`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import click

from exs.cli.onejob import one_job
from exs.cli.session import open_store, put
from exs.model import Claim, Spec
from exs.rows import JobRow
from exs.view.commands import typed
from exs.view.text import masked_all, safe_lines, secret


@click.command("cmd")
@click.argument("job")
def command(job: str) -> None:
    """A line for a shell that runs what JOB runs, with its code, parameters and seed; secrets are left to be set."""
    store = open_store()
    row, spec = one_job(store, job)
    put([safe_lines(" && ".join(_parts(row, spec)))])


def _parts(row: JobRow, spec: Spec) -> Iterator[str]:
    if spec.capsule:
        folder = shlex.quote(f"{row.experiment}-{row.index}")
        yield f"exs checkout {shlex.quote(f'{row.experiment}/{row.index}')} {folder}"
        yield f"cd {folder}"
        yield from _python(spec)
        yield "{ [ ! -f startup-hook.sh ] || . ./startup-hook.sh; }"
    else:
        yield f"cd {shlex.quote(spec.cwd)}"
        yield from _python(spec)
    words = " ".join(_assignments(row, spec))
    for line in typed(row, spec).values():
        yield f"env {words} bash -c {shlex.quote(line)}" if _needs_shell(line) else f"env {words} {line}"


def _python(spec: Spec) -> Iterator[str]:
    """What makes the environment of `python: auto`, as a node does (exs/tools/uv.py)."""
    if spec.python:
        yield f"exs_python={'$PWD/.venv' if spec.capsule else '$(mktemp -d)'}"
        yield 'uv venv -q --clear "$exs_python"'
        sync = 'UV_PROJECT_ENVIRONMENT="$exs_python" uv sync -q --frozen --no-install-project --no-default-groups'
        install = 'uv pip install -q --python "$exs_python" -r requirements.txt'
        yield f"if [ -f uv.lock ]; then {sync}; else {install}; fi"
        yield '. "$exs_python/bin/activate"'


def _assignments(row: JobRow, spec: Spec) -> Iterator[str]:
    from exs_worker.launch import seed

    for name, value in spec.env.items():
        hidden = name in spec.secrets or secret(name)
        yield f'{name}="${name}"' if hidden else f"{name}={shlex.quote(value)}"
    yield f"EXS_PARAMS={shlex.quote(json.dumps(masked_all(row.params)))}"
    claim = Claim(
        job=row.id,
        attempt="",
        number=1,
        experiment=row.experiment,
        index=row.index,
        name=row.name,
        params=row.params,
        point=row.point,
        spec=row.spec,
        commands=row.commands,
        force=False,
    )
    yield f"EXS_SEED={seed(claim, spec.env.get('EXS_SEED', ''))}"


def _needs_shell(line: str) -> bool:
    """True where the words of a command are a shell's, and not `env`'s."""
    try:
        words = shlex.split(line)
    except ValueError:
        return True
    return shlex.join(words) != line or "=" in words[0]
