"""The options `--json`, `--csv`, `-q`, and the renderer that each of them chooses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import click

from exs.cli.session import out_screen, put
from exs.model import Json
from exs.view.render import Listing, Renderer, Text, as_csv, as_ids, as_json, dumped
from exs.view.text import safe

Verb = TypeVar("Verb", bound=Callable[..., Any])

_FORMS: Mapping[str, Renderer] = {"json": as_json, "csv": as_csv, "ids": as_ids}


#: Parameter and form of each option.
_OPTIONS = {"as_json": ("--json", "json"), "quiet": ("-q", "ids"), "as_csv": ("--csv", "csv")}


def forms(
    csv: bool = False, json: str = "As JSON, with everything there is.", quiet: str = "Ids only, one per line."
) -> Callable[[Verb], Verb]:
    """Adds the parameter `form`: "json" (--json), "ids" (-q), if wanted "csv" (--csv), and None for text.

    Two at once are refused. `json` and `quiet` are the help of their options.
    """

    def decorate(verb: Verb) -> Verb:
        @functools.wraps(verb)
        def chosen(*args: Any, **options: Any) -> Any:
            given = [name for name in _OPTIONS if options.pop(name, False)]
            if len(given) > 1:
                first, second = (_OPTIONS[name][0] for name in given[:2])
                raise click.UsageError(f"{first} and {second} are two forms of output: give one of them.")
            return verb(*args, form=_OPTIONS[given[0]][1] if given else None, **options)

        decorated: Any = chosen
        if csv:
            decorated = click.option("--csv", "as_csv", is_flag=True, help="As CSV, with every column.")(decorated)
        decorated = click.option("-q", "--quiet", is_flag=True, help=quiet)(decorated)
        return cast(Verb, click.option("--json", "as_json", is_flag=True, help=json)(decorated))

    return decorate


def show(listing: Listing, form: str | None = None) -> None:
    """Print `listing` in the form that was asked for."""
    renderer = _FORMS[form] if form is not None else Text(out_screen())
    put(renderer(listing))


def show_json(value: Json) -> None:
    """Print one JSON document."""
    put([dumped(value)])


def say(form: str | None, document: Json, ids: Iterable[str], lines: Iterable[str]) -> None:
    """Print what a verb did, in the form that was asked for. Only that of the three is looked at."""
    if form == "json":
        show_json(document)
    else:
        put(map(safe, ids) if form == "ids" else lines)


def jobs_of(number: int, kind: str = "") -> str:
    """`1 job`, `3 running jobs`: `kind` is an adjective with a space behind it."""
    return f"{number} {kind}{'job' if number == 1 else 'jobs'}"
