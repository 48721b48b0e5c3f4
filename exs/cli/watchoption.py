"""`--watch [SECONDS]`: an option whose value may be left out, also in front of a name."""

from __future__ import annotations

import click

#: Seconds between two looks where nobody says them.
EVERY_SECONDS = "2"


class WatchCommand(click.Command):
    """Reads `--watch NAME` as `--watch` and NAME: click would take the name for the number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given: list[str] = []
        for at, word in enumerate(args):
            given.append(word)
            if word == "--":
                given += args[at + 1 :]
                break
            if word == "--watch" and not (at + 1 < len(args) and _number(args[at + 1])):
                given.append(EVERY_SECONDS)
        return super().parse_args(ctx, given)


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
