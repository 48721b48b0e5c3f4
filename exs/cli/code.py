"""The code that travels with a push: which one it is, and what ran with another one. For `plan` and `push`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from exs.api.context import Wish, wanted
from exs.cli.session import note, settings
from exs.cli.sweep_options import origin_of
from exs.errors import InputError
from exs.sweep.model import Sweep

if TYPE_CHECKING:
    from exs.store.store import Store

Verb = TypeVar("Verb", bound=Callable[..., Any])


@dataclass(frozen=True)
class CodeRequest:
    """What a command line says of code. `if_changed`: jobs that ran with other code run again."""

    wish: Wish = field(default_factory=Wish)
    if_changed: bool = False


_OPTIONS = (
    click.argument("context", required=False),
    click.option("--no-context", is_flag=True, help="Send no code: the jobs run what is on the nodes."),
    click.option("--include", "includes", multiple=True, metavar="PATH", help="Send this file or directory too."),
    click.option(
        "--if-code-changed",
        "if_changed",
        is_flag=True,
        help="Run again what succeeded or crashed with other code than is sent now; "
        "what waits or runs keeps the code that it has.",
    ),
)


def code_options(verb: Verb) -> Verb:
    """Adds the options, given to `verb` as one keyword argument `code`. Stands below `sweep_options`."""

    @functools.wraps(verb)
    def collected(
        *args: Any, context: str | None, no_context: bool, includes: tuple[str, ...], if_changed: bool, **rest: Any
    ) -> Any:
        if context == "":
            raise InputError("the directory to send is an empty word.", "Name it; . is this one.")
        if no_context and (context or includes):
            raise InputError("--no-context sends no code, and code to send was named.", "Leave one of them out.")
        if no_context and if_changed:
            raise InputError("--if-code-changed compares the code that is sent, and --no-context sends none.")
        if rest["request"].force and if_changed:
            raise InputError(
                "--force runs again all that succeeded, --if-code-changed only what ran with other code.",
                "Leave one of them out.",
            )
        code = CodeRequest(Wish(context or "", no_context, includes), if_changed)
        return verb(*args, code=code, **rest)

    decorated: Any = collected
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast(Verb, decorated)


def travels(url: str, sweep: Sweep, code: CodeRequest) -> bool:
    """Whether the push of a sweep to the queue at `url` sends code; says why not where it could be expected to.

    Raises InputError where none is sent that could be compared.
    """
    from exs.api.code import directory_of

    if not wanted(code.wish, url, settings()) and not needs_copy(sweep, code.wish):
        if code.if_changed:
            raise InputError(
                "--if-code-changed compares the code that is sent, and this push sends none: "
                f"the jobs run what is in {sweep.spec.cwd} when they start.",
                "Name the directory to send: exs push FILE DIR; --force runs again all that succeeded.",
            )
        return False
    if settings().capsule == "auto" and not (code.wish.context or code.wish.includes):
        try:
            directory_of(sweep, "")
        except InputError as error:  # nobody asked for code to be sent
            if code.if_changed:
                raise
            note(f"no code is sent: {error.message} {error.hint}")
            return False
    return True


def needs_copy(sweep: Sweep, wish: Wish) -> bool:
    """Whether the jobs of a sweep find all of its `files` beside each other only in a copy, as experiment-scheduler
    made one; `capsule = never` and --no-context say that there is to be none."""
    if not sweep.files or wish.without or settings().capsule != "auto":
        return False
    from exs.api.code import loose_files

    return bool(loose_files(sweep, sweep.spec.cwd))


def send_code(store: Store, sweep: Sweep, wish: Wish, into: bool = False) -> Sweep:
    """The sweep with its code, which is in the queue then; says what was sent.

    Raises InputError; Refused where the push itself would be, before anything is sent.
    """
    from exs.api.code import send

    store.plan(sweep.name, (), origin_of(sweep, into))
    sweep, sent = send(store, sweep, wish, settings())
    note(sent.summary)
    if sent.found.skipped:
        note(f"left out, being neither file nor directory: {', '.join(sent.found.skipped[:5])}")
    return sweep


def with_code(sweep: Sweep, wish: Wish) -> Sweep:
    """The same without sending anything. Raises InputError."""
    from exs.api.code import packed, with_capsule

    return with_capsule(sweep, packed(sweep, wish, settings())[1])
