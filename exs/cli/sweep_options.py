"""The options with which `plan`, `push` and `run` name a sweep, and how they read it.

They are runner's, with runner's meaning; `-o` is its output directory, or, with a `=` in it, an override.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from exs.cli.session import host, settings, user
from exs.errors import InputError
from exs.sweep.model import Options, Sweep

if TYPE_CHECKING:
    from exs.store.push import Origin

Verb = TypeVar("Verb", bound=Callable[..., Any])

#: What is read when no file is named: runner's.
DEFAULT_FILE = "params.yaml"

#: `./a=b` is a directory; `lr=0.1` and `params.lr=0.1` are overrides.
_OVERRIDE = re.compile(r"[A-Za-z_][\w.\[\]-]*=")

_WORDS = "exs.words"


@dataclass(frozen=True)
class Request:
    """What a command line asks for: a file, or the words after `--` (None without one), and how to read them."""

    file: str | None
    words: tuple[str, ...] | None
    options: Options
    force: bool = False


class SweepCommand(click.Command):
    """A command whose words after `--` are a command line to sweep over, untouched."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_WORDS] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        context = " [CONTEXT]" if any(param.name == "context" for param in self.params) else ""
        return [f"[OPTIONS] [FILE{context} | -- COMMAND WORD key=v1,v2 ...]"]


_OPTIONS = (
    click.argument("file", required=False),
    click.option("-y", "--yaml", metavar="FILE", help=f"The sweep file; {DEFAULT_FILE} if none is named."),
    click.option("--name", metavar="NAME", help="Name of the experiment."),
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        metavar="DIR|KEY=VALUE",
        help="Root of the run directories; or another value for a key of the file, params.lr=0.1.",
    ),
    click.option("-t", "--title", metavar="TITLE", help="Only the documents with this _title."),
    click.option("-c", "--command", "commands", multiple=True, metavar="NAME", help="Only this command of the file."),
    click.option("--sample", type=click.IntRange(min=1), metavar="N", help="N random points instead of all."),
    click.option("--sample-seed", type=int, metavar="N", help="Another N, other random points."),
    click.option("--no-param-dir", is_flag=True, help="No directory per job: logs go to the output directory."),
    click.option("-f", "--force", is_flag=True, help="Run again what succeeded before."),
)


def sweep_options(verb: Verb) -> Verb:
    """Adds the options, given to `verb` as one keyword argument `request`. Use with `cls=SweepCommand`."""

    @functools.wraps(verb)
    def collected(
        *args: Any,
        file: str | None,
        yaml: str | None,
        outputs: tuple[str, ...],
        force: bool,
        no_param_dir: bool,
        sample_seed: int | None,
        **rest: Any,
    ) -> Any:
        ours = {name: rest.pop(name) for name in ("name", "title", "commands", "sample")}
        if file and yaml and file != yaml:
            raise click.UsageError(f"Two sweep files were given: {file} and {yaml}.")
        output, overrides = _output_and_overrides(outputs)
        options = Options(output=output, overrides=overrides, job_dirs=not no_param_dir, seed=sample_seed, **ours)
        words = click.get_current_context().meta.get(_WORDS)
        return verb(*args, request=Request(yaml or file, words, options, force), **rest)

    decorated: Any = collected
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast(Verb, decorated)


def _output_and_overrides(given: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    directories = [text for text in given if not _OVERRIDE.match(text)]
    if len(directories) > 1:
        raise click.UsageError(f"-o names two output directories: {directories[0]} and {directories[1]}.")
    return (directories[0] if directories else None), tuple(text for text in given if _OVERRIDE.match(text))


def read_sweep(request: Request) -> Sweep:
    """The sweep, read and checked, from this directory. Raises InputError."""
    cwd = Path.cwd()
    if request.words is not None:
        if request.file:
            raise InputError(f"a sweep file ({request.file}) and a command were given.", "Leave one of them out.")
        from exs.sweep.commandline import from_words

        return from_words(request.words, request.options, settings().limits, cwd)
    file = request.file
    if file is None:
        if not Path(DEFAULT_FILE).exists():
            raise InputError(
                f"no sweep was given, and there is no {DEFAULT_FILE} here.",
                "Name a file, or write a command after --: exs push -- python train.py lr=0.1,0.01",
            )
        file = DEFAULT_FILE
    from exs.sweep.load import load_file

    return load_file(Path(file), request.options, settings().limits, cwd)


def origin_of(sweep: Sweep, into: bool = False) -> Origin:
    """Who pushes `sweep` from where."""
    from exs.store.push import Origin

    return Origin(user=user(), host=host(), source=sweep.source, into=into)
