"""The options of a launched script, besides its overrides."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields

_WORDS = """
key=value        another value for a key of the configuration: optimizer.lr=0.1
key=v1,v2        several runs, one per value; of several such keys the last is the fastest
                 also range(1,4), which is 1,2,3, and choice(a,b); a list is in brackets: sizes=[1,2]
+key=value       a key that the configuration has not; ++key=value whether it has it or not
~key             without this key
group=option     another file of configs/group/, where config.yaml has it in its defaults
mlxp.logger.parent_log_dir=DIR     where the runs are kept; ./logs
mlxp.logger.forced_log_id=N        go on with run N
"""


@dataclass(frozen=True)
class Push:
    """How the points go to the queue."""

    name: str | None = None
    pool: str | None = None
    priority: int | None = None
    force: bool = False
    if_code_changed: bool = False
    into: bool = False
    no_context: bool = False


@dataclass(frozen=True)
class Arguments:
    """A command line. `show`: print the configuration and do nothing. `push`: queue the points, None to run them."""

    words: tuple[str, ...]
    show: bool
    push: Push | None


def parse(given: Sequence[str], script: str) -> Arguments:
    """The command line of `script`. Ends the process for --help and for an option that is none."""
    parser = argparse.ArgumentParser(
        prog=os.path.basename(script) or "python",
        description="Runs once for each point of the command line, each in a directory of its own.",
        epilog="overrides:\n" + _WORDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", metavar="OVERRIDE", help="changes of the configuration, see below")
    parser.add_argument("--cfg", choices=["job"], help="print the configuration of the first point, and run nothing")
    parser.add_argument("-m", "--multirun", action="store_true", help="Hydra's; several points need no option here")
    queue = parser.add_argument_group("the queue of exs")
    queue.add_argument("--push", action="store_true", help="make each point a job; exs worker runs it")
    queue.add_argument("--name", help="of the experiment")
    queue.add_argument("--pool", help="only workers of this pool run it")
    queue.add_argument("--priority", type=int, help="1 to 99, lower runs first")
    queue.add_argument("--force", action="store_true", help="run again what succeeded")
    queue.add_argument(
        "--if-code-changed", action="store_true", help="run again what succeeded or crashed with other code"
    )
    queue.add_argument("--into", action="store_true", help="add to an experiment of another script or user")
    queue.add_argument("--no-context", action="store_true", help="send no code: the jobs run what is on the nodes")
    given = list(given)
    end = given.index("--") if "--" in given else len(given)  # argparse takes options behind it, too
    found = parser.parse_intermixed_args(given[:end])
    push = Push(**{field.name: getattr(found, field.name) for field in fields(Push)})
    if not found.push and push != Push():
        *names, last = (f"--{field.name.replace('_', '-')}" for field in fields(Push))
        parser.error(f"{', '.join(names)} and {last} belong to --push")
    return Arguments((*found.words, *given[end + 1 :]), found.cfg is not None, push if found.push else None)
