"""`--env K[=V]` and `--secret K[=V]`: variables that a push gives to its jobs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from exs.errors import InputError
from exs.sweep.model import Sweep


def with_environment(sweep: Sweep, env: Sequence[str], secrets: Sequence[str]) -> Sweep:
    """The sweep with these variables beside its own `env`; one without a value has that of this shell, and so has a
    name in the sweep's `secrets` that its `env` does not set.

    Raises InputError for a name that cannot be one, or has no value here.
    """
    given = dict(sweep.spec.env)
    given |= dict(_assignment(text, "--env") for text in env)
    named = dict(_assignment(text, "--secret") for text in secrets)
    given |= named
    for name in sweep.spec.secrets:
        if name not in given:
            given[name] = _here(name, f"{sweep.source}: secrets")
    hidden = tuple(dict.fromkeys((*sweep.spec.secrets, *named)))
    if given == sweep.spec.env and hidden == tuple(sweep.spec.secrets):
        return sweep
    return replace(sweep, spec=replace(sweep.spec, env=given, secrets=hidden))


def _assignment(text: str, option: str) -> tuple[str, str]:
    from exs.sweep.dialects.own import check_env_name  # for those who give one

    name, equals, value = text.partition("=")
    check_env_name(name, option)
    return name, value if equals else _here(name, option)


def _here(name: str, where: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise InputError(f"{where}: {name} has no value here.", f"Set it before: export {name}=...")
    return value
