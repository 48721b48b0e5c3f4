"""The options `--json`, `--csv`, `-q`, and the renderer that each of them chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from exs.cli.session import out_screen, put
from exs.model import Json
from exs.view.render import Listing, Renderer, Text, as_csv, as_ids, as_json, dumped

Verb = TypeVar("Verb", bound=Callable[..., Any])

_FORMS: Mapping[str, Renderer] = {"json": as_json, "csv": as_csv, "ids": as_ids}


def forms(csv: bool = False) -> Callable[[Verb], Verb]:
    """Adds the parameter `form`: "json" (--json), "ids" (-q), if wanted "csv" (--csv), and None for text."""

    def decorate(verb: Verb) -> Verb:
        if csv:
            verb = click.option("--csv", "form", flag_value="csv", help="As CSV, with every column.")(verb)
        verb = click.option("-q", "--quiet", "form", flag_value="ids", help="Ids only, one per line.")(verb)
        return click.option("--json", "form", flag_value="json", help="As JSON, with everything there is.")(verb)

    return decorate


def show(listing: Listing, form: str | None = None) -> None:
    """Print `listing` in the form that was asked for."""
    renderer = _FORMS[form] if form is not None else Text(out_screen())
    put(renderer(listing))


def show_json(value: Json) -> None:
    """Print one JSON document."""
    put([dumped(value)])


def jobs_of(number: int, kind: str = "") -> str:
    """`1 job`, `3 running jobs`: `kind` is an adjective with a space behind it."""
    return f"{number} {kind}{'job' if number == 1 else 'jobs'}"
