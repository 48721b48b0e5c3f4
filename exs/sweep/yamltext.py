"""Plain data as YAML that YAML 1.1 and 1.2 read alike: what either would take for a number or a boolean is quoted."""

from __future__ import annotations

import yaml

from exs.model import Json
from exs.sweep.scalars import Core


class _Dumper(yaml.SafeDumper):
    """No aliases: a value that stands twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        """See yaml.SafeDumper."""
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [
        *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
        *((tag, pattern) for tag, pattern in Core.yaml_implicit_resolvers.get(first, [])),
    ]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *Core.yaml_implicit_resolvers}
}


def dump(value: Json, indent: int = 2) -> str:
    """`value`, of which subclasses of dict and list are not, as a block of YAML; keys in their order, "" for {}."""
    if value == {}:
        return ""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, indent=indent, width=2**31 - 1))
