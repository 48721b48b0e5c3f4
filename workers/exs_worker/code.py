"""What a capsule adds to an attempt: its working copy, its environment, its startup hook. Imported for those."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from exs.model import Claim, Spec
from exs_worker.launch import SpawnError
from exs_worker.place import Place
from exs_worker.prepare import Command, Prepared
from exs_worker.pythons import python_environment

#: Determined's: a script in the root of the context that is sourced before the command, so that it can set variables.
HOOK = "startup-hook.sh"
#: Ends with the exit code of what failed in the hook, and says so; never with success, for nothing has run then. The
#: command's own words stand behind it, untouched, also by a hook that says `set --`.
_HOOKED = (
    "bash",
    "-c",
    """exs_words=("$@")
trap 'exs_code=$?
  echo "$0: error: it ended with exit code $exs_code, and the command was not run" >&2
  exit $((exs_code ? exs_code : 1))' EXIT
set -e; . "./$0"; set +e
trap - EXIT
exec "${exs_words[@]}\"""",
    HOOK,
)


@contextmanager
def enter(
    prepared: Prepared, claim: Claim, spec: Spec, place: Place, stopped: Callable[[], bool]
) -> Iterator[Prepared]:
    """The attempt in a copy of its capsule, and in its Python environment, both there as long as the block lasts.

    Waits, unless `stopped`, while Redis is away. Raises what `launch.BAD_JOB` lists, and leaves nothing then.
    """
    with ExitStack() as stack:
        if spec.capsule:
            if place.workshop is None:
                raise SpawnError("its code is a capsule, and nothing here can bring it: let a worker run it.")
            copy = place.workshop().copy(spec.capsule, claim.attempt, stopped)
            stack.callback(copy.drop)
            prepared = replace(prepared, cwd=copy.path)
        if spec.python:
            env = stack.enter_context(python_environment(prepared.cwd, prepared.env, place.limits, stopped))
            prepared = replace(prepared, env=env)
        if spec.capsule and os.path.isfile(f"{prepared.cwd}/{HOOK}"):
            prepared = replace(prepared, commands=[_hooked(command) for command in prepared.commands])
        yield prepared


def _hooked(command: Command) -> Command:
    return replace(command, rendered=replace(command.rendered, argv=[*_HOOKED, *command.rendered.argv]))
