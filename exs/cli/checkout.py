"""`exs checkout`."""

from __future__ import annotations

import click

from exs.cli.onejob import one_job
from exs.cli.session import note, open_store


@click.command("checkout")
@click.argument("job")
@click.argument("directory")
def command(job: str, directory: str) -> None:
    """Bring the code of JOB, as it was pushed, into a new DIRECTORY."""
    from exs.api.checkout import bring, code_of

    store = open_store()
    row, spec = one_job(store, job)
    code = code_of(store, row, spec)
    bring(code, directory)
    noun = "file" if code.manifest.files == 1 else "files"
    note(f"{row.experiment}/{row.index}: {code.manifest.files} {noun} in {directory}")
