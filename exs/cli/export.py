"""`exs export`."""

from __future__ import annotations

import click

from exs.cli.output import forms, jobs_of, show_json
from exs.cli.session import open_store, put
from exs.view.text import safe


@click.command("export")
@click.argument("name", metavar="NAME|last")
@click.argument("path", metavar="FILE|DIR")
@forms(json="Print the file and its number of jobs as JSON.", quiet="Print the name of the file only.")
def command(name: str, path: str, form: str | None) -> None:
    """Write an experiment to a file: its jobs, results, metrics and earlier attempts, as JSON lines with a checksum.

    `exs results FILE` and `exs list -t FILE` read it. In a directory the file is called NAME.jsonl; a name that ends in
    .gz is compressed. A file that is there is left as it is. `exs archive NAME --to FILE` takes it out of Redis, too.
    """
    from exs.api.archiving import export

    written, count = export(open_store(), name, path)
    if form == "json":
        show_json({"file": written, "jobs": count})
    else:
        put([safe(written) if form == "ids" else f"wrote {jobs_of(count)} to {safe(written)}"])
