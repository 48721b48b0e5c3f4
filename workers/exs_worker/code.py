"""What a capsule adds to an attempt: its working copy, its environment, its startup hook. Imported for those."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from exs.model import Claim, Spec
from exs_worker.launch import SpawnError
from exs_worker.place import Place
from exs_worker.prepare import Command, Prepared
from exs_worker.workshop import Copy

#: Determined's: a script in the root of the context that is sourced before the command, so that it can set variables.
HOOK = "startup-hook.sh"
#: Ends with the exit code of what failed in the hook; the command's own words stand behind it, untouched.
_HOOKED = ("bash", "-c", f'set -e; . ./{HOOK}; set +e; exec "$@"', HOOK)


def enter(
    prepared: Prepared, claim: Claim, spec: Spec, place: Place, stopped: Callable[[], bool]
) -> tuple[Prepared, Copy]:
    """The attempt in a copy of its capsule, and the copy, to be dropped after it.

    Waits, unless `stopped`, while Redis is away. Raises what `launch.BAD_JOB` lists, and leaves no copy then.
    """
    if place.workshop is None:
        raise SpawnError("its code is a capsule, and nothing here can bring it: push it, and let a worker run it.")
    copy = place.workshop().copy(spec.capsule, claim.attempt, stopped)
    commands = prepared.commands
    if os.path.isfile(f"{copy.path}/{HOOK}"):
        commands = [_hooked(command) for command in commands]
    return replace(prepared, cwd=copy.path, commands=commands), copy


def _hooked(command: Command) -> Command:
    return replace(command, rendered=replace(command.rendered, argv=[*_HOOKED, *command.rendered.argv]))
