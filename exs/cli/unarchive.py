"""`exs unarchive`."""

from __future__ import annotations

import click

from exs.cli.output import forms, say
from exs.cli.selectors import experiments_argument
from exs.cli.session import open_store
from exs.errors import NotFound
from exs.view.text import safe


@click.command("unarchive")
@experiments_argument
@forms(json="Print what became of each as JSON.", quiet="Print the names of what is back only.")
def command(names: tuple[str, ...], form: str | None) -> None:
    """Bring archived experiments back into the lists; `exs push` and `exs retry` can add to them again."""
    store = open_store()
    rows = [store.experiment(name) for name in names]
    became = {row.name: store.unarchive(row.name) for row in rows}
    for name, code in became.items():
        if code == "missing":
            raise NotFound(f"no experiment {name!r}.", "exs list -a shows them.")
    said = {"unarchived": "{} is back", "already": "{} was not archived"}
    back = (name for name, code in became.items() if code == "unarchived")
    say(form, dict(became), back, (said[code].format(safe(name)) for name, code in became.items()))
