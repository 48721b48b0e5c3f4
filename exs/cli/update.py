"""`exs update` and `exs update-batch`: what the queue goes by."""

from __future__ import annotations

from collections.abc import Sequence

import click

from exs.cli.output import show_json
from exs.cli.session import open_store, put
from exs.errors import InputError
from exs.model import Update

#: Option -> its short form, metavar and help. Each is one operation of an Update.
_OPTIONS = {
    "priority": ("-p", "1..99", "Lower runs first; 42 unless the sweep says otherwise."),
    "weight": ("-w", "F", "Share of the slots of a fair-share pool, beside that of others; 1 unless set."),
    "resource-pool": ("", "POOL", "Let it wait in another pool; what runs goes on."),
    "ahead-of": ("", "ID2", "Directly before another one, with its priority."),
    "behind-of": ("", "ID2", "Directly behind another one, with its priority."),
    "max-slots": ("", "N|none", "So many slots at a time at most."),
}


def _with_operations(verb: click.Command) -> click.Command:
    for name, (short, metavar, text) in _OPTIONS.items():
        words = [f"--{name}", *([short] if short else []), *(["--pool"] if name == "resource-pool" else [])]
        verb.params.append(click.Option([*words, name.replace("-", "_")], metavar=metavar, help=text))
    verb.params.append(click.Option(["--to-top", "to_top"], is_flag=True, help="Before all others of its pool."))
    verb.params.append(click.Option(["--json", "as_json"], is_flag=True, help="What was changed, as JSON."))
    return verb


@click.command("update", short_help="Another place, priority, weight or pool.")
@click.argument("target", metavar="ID")
def command(target: str, as_json: bool, to_top: bool, **given: str | None) -> None:
    """Change the place, the priority or the pool of an experiment (NAME, its id, or last): one thing at a time.

    A job (NAME/17, or its id) is moved inside its experiment, ahead of or behind another one, or to the top. Works
    while workers take jobs. `exs queue` shows the order, update-batch makes several changes or none.
    """
    asked = [(name.replace("_", "-"), value) for name, value in given.items() if value is not None]
    asked += [("to-top", "")] if to_top else []
    names = [f"--{name}" for name, _ in asked]
    if len(asked) > 1:
        raise click.UsageError(f"{names[0]} and {names[1]} are two changes: give one, or use exs update-batch.")
    if not asked:
        raise click.UsageError(f"What is to change? Give one of --{', --'.join(_OPTIONS)} and --to-top.")
    _make([Update(target, *asked[0])], as_json)


_with_operations(command)


@click.command("update-batch", short_help="Several such changes, or none.")
@click.argument("operations", nargs=-1, required=True, metavar="ID.OPERATION=VALUE ...")
@click.option("--json", "as_json", is_flag=True, help="What was changed, as JSON.")
def batch(operations: tuple[str, ...], as_json: bool) -> None:
    """Make several changes in this order, or none of them: a.priority=1 b.ahead-of=a c.resource-pool=a100.

    Operations: priority, weight, resource-pool, max-slots, ahead-of, behind-of, to-top. The operation is what follows
    the last dot before the first =, so that names may have dots.
    """
    _make([_parsed(text) for text in operations], as_json)


def _parsed(text: str) -> Update:
    head, equals, value = text.partition("=")
    target, dot, operation = head.rpartition(".")
    if not (equals and dot and target and operation):
        raise InputError(f"{text[:100]!r} is not of the form ID.OPERATION=VALUE.", "For example: resnet.priority=1")
    return Update(target, operation, value)


def _make(updates: Sequence[Update], as_json: bool) -> None:
    from exs.view.queue import changed, records_of

    changes = open_store().update(updates)
    if as_json:
        show_json({"changes": records_of(changes)})
    else:
        put(map(changed, changes))
