"""Objects that a configuration names: `instance_from_dict("torch.optim.SGD", config.optimizer)`.

A name is looked up in the script, never imported: what a configuration can reach is what the script itself has
imported or defined, the submodules and classes of it, and nothing that begins with an underscore.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from exs.errors import InputError
from exs.sweep.suggest import hint, shorten


def instantiate(class_name: str) -> Any:
    """The class or function that `class_name` names in the script that calls. Raises InputError."""
    return _found(class_name, sys._getframe(1).f_globals)


def instance_from_dict(class_name: str, arguments: Mapping[str, Any]) -> Any:
    """The class that `class_name` names in the script that calls, called with `arguments`. Raises InputError."""
    found = _found(class_name, sys._getframe(1).f_globals)
    if not callable(found):
        raise InputError(f"{class_name} is a {type(found).__name__}, and cannot be called.")
    return found(**arguments)


def _found(name: Any, scope: Mapping[str, Any]) -> Any:
    steps = name.split(".") if isinstance(name, str) else []
    if not steps or not all(step.isidentifier() and not step.startswith("_") for step in steps):
        raise InputError(f"{shorten(name)} names no class.", "Write module.Name, and import module in the script.")
    main = vars(sys.modules["__main__"])
    first = steps[0]
    if first not in scope and first not in main:
        public = [word for word in {*scope, *main} if not word.startswith("_")]
        raise InputError(
            f"{name} is not known: the script has no {first!r}, and a configuration imports nothing.",
            f"{hint(first, sorted(public), 'It has')} Import it there.",
        )
    found = scope[first] if first in scope else main[first]
    for at, step in enumerate(steps[1:], 1):
        found = _inside(found, step, ".".join(steps[:at]))
    return found


def _inside(owner: Any, name: str, shown: str) -> Any:
    """What a module or class has of that name. Another module that a module has imported is not its own."""
    if not isinstance(owner, (ModuleType, type)):
        raise InputError(f"{shown} is neither a module nor a class, so nothing in it can be named.")
    found = getattr(owner, name, None)
    if found is None:
        known = sorted(word for word in dir(owner) if not word.startswith("_"))
        raise InputError(f"{name!r} was not found in {shown}.", hint(name, known, "There are"))
    inner = isinstance(found, ModuleType) and isinstance(owner, ModuleType)
    if inner and not found.__name__.startswith(f"{owner.__name__}."):
        raise InputError(f"{shown}.{name} is a module of its own.", f"Import {found.__name__} in the script.")
    return found
