"""Blocks of a sweep become jobs: counted first, then streamed, each point once and under a name of its own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from exs.command import as_stored, canonical
from exs.errors import InputError
from exs.model import Json, NewJob, Params, Resources
from exs.settings import Limits
from exs.sweep.distributions import Draw
from exs.sweep.grid import Axis, Grid, Group, Identity, Part, Row, fragment
from exs.sweep.model import Sweep
from exs.sweep.naming import Namer, longest_name, unique

__all__ = ["Axis", "Block", "canonical", "checked_count", "count_block", "jobs", "point_hash"]


@dataclass(frozen=True)
class Block:
    """One product of axes with what all its jobs share.

    `axes`: groups that move together, the last one fastest. `exclude`: values of axes that no job has together.
    `draws`: parameters drawn anew for each sample.
    `order`: names in the order written; names left out follow.
    """

    axes: Sequence[Sequence[Axis]] = ()
    constants: Mapping[str, Json] = field(default_factory=dict)
    exclude: Sequence[Mapping[str, Json]] = ()
    commands: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    repeat: int = 1
    draws: Mapping[str, Draw] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    def grid(self, identity: Identity | None = None, part: Part | None = None) -> Grid:
        """The grid of the axes; with `identity`, without what it calls the same; with `part`, its rows named."""
        return Grid([Group(axes, identity, part) for axes in self.axes], self.exclude)


def count_block(block: Block) -> int:
    """Jobs of a block, identical ones counted each; for a block with draws, those of one sample."""
    return block.grid().size * block.repeat


def checked_count(
    blocks: Sequence[Block], sample: int | None, limits: Limits, source: str, identity: Identity = canonical
) -> int:
    """Jobs of a sweep before identical ones are dropped; raises InputError if there are none or too many."""
    try:
        total = sum(_count(block, sample, identity) for block in blocks)
    except InputError as error:
        raise InputError(f"{source}: {error.message}", error.hint) from None
    if total > limits.sweep_jobs:
        raise InputError(
            f"{source}: has {_many(total)} jobs, more than the limit of {limits.sweep_jobs:,}.",
            "Sample it (--sample N), or set EXS_SWEEP_JOBS.",
        )
    if not total:
        raise InputError(f"{source}: has no jobs: every point is excluded.")
    for block in blocks:
        _check_width(block, limits, source)
    return total


def _many(total: int) -> str:
    """`total` for people; Python refuses to write numbers of more than 4300 digits."""
    return f"{total:,}" if total < 10**30 else f"about 10^{int(total.bit_length() * math.log10(2))}"


def _count(block: Block, sample: int | None, identity: Identity) -> int:
    if sample is None:
        return count_block(block)
    size = block.grid(identity).size
    return (sample * min(1, size) if block.draws else min(sample, size)) * block.repeat


def _check_width(block: Block, limits: Limits, source: str) -> None:
    width = sum(group.widest() for group in block.grid().groups)
    width += sum(len(fragment(name) + canonical(value)) for name, value in block.constants.items())
    if width > limits.params_bytes:
        raise InputError(
            f"{source}: a job has {width:,} bytes of parameters, more than the limit of {limits.params_bytes:,}.",
            "Put large values into files.",
        )


def commands_digest(commands: Mapping[str, Json], names: Sequence[str] = ()) -> str:
    """Identity of the commands that a job runs, all or those of `names`; how values are spelled does not count."""
    chosen = [(name, _unspelled(command)) for name, command in commands.items() if not names or name in names]
    return hashlib.blake2b(canonical(chosen).encode(), digest_size=8).hexdigest()


def _unspelled(command: Mapping[str, Json]) -> Mapping[str, Json]:
    if "argv" not in command:
        return command
    return {"argv": [[_plain(segment) for segment in word] for word in command["argv"]]}


def _plain(segment: Json) -> Json:
    return {"value": segment["value"]} if isinstance(segment, dict) and "spelled" in segment else segment


def point_hash(experiment: str, commands_digest: str, params: Params, repeat: int) -> str:
    """16 hex digits that identify a point; the order of the parameters and the spelling of values do not count."""
    texts = (fragment(name) + canonical(params[name]) for name in sorted(params))
    return _point(_head(experiment, commands_digest), ",".join(texts), repeat)


def _head(experiment: str, digest: str) -> Any:
    return hashlib.blake2b(f"{canonical(experiment)},{digest},".encode(), digest_size=8)


def _point(head: Any, texts: str, repeat: int) -> str:
    hasher = head.copy()
    hasher.update(f"{repeat},{{{texts}}}".encode())
    return str(hasher.hexdigest())


def jobs(
    sweep: Sweep,
    blocks: Sequence[Block],
    namer: Namer,
    sample: int | None = None,
    seed: int | str = 0,
    identity: Identity = canonical,
    limits: Limits | None = None,
) -> Iterator[NewJob]:
    """The jobs of `blocks` in the order written, each point once; counts `sweep.duplicates` as it goes.

    `sample`: random points per block, with `seed`. `namer`: what they are called.
    `identity`: two values with the same text are the same value. Needs memory for the points only where
    one block cannot know what another has: two sets of integers.
    """
    several = len(blocks) > 1 or any(block.draws for block in blocks)
    points: set[int] | None = set() if several else None
    names = _Names(longest_name(sweep.spec, (limits or Limits()).directory_chars), several)
    for number, block in enumerate(blocks):
        stream = _Stream(sweep, block, namer, identity, names)
        if sample is None:
            sweep.duplicates += count_block(block) - stream.grid.size * block.repeat
        for rows, drawn in stream.points(sample, Random(f"{seed}:{number}")):
            for repeat in range(block.repeat):
                job = stream.job(rows, drawn, repeat, points)
                if job is None:
                    sweep.duplicates += 1
                else:
                    yield job


class _Names:
    """Gives each job a name of its own. `several`: names may meet in ways that no axis shows."""

    def __init__(self, limit: int, several: bool) -> None:
        self._limit = limit
        self._several = several
        self._given: set[int] = set()

    def name(self, called: str, suffix: str, point: str, ambiguous: bool) -> str:
        """`called` and `suffix` if that is free and short enough, else with digits of the point between them."""
        limit = self._limit - len(suffix)
        if not ambiguous and len(called) <= limit:
            name = called + suffix
            if not (self._several and self._taken(name)):
                return name
        name = unique(called, point, limit) + suffix
        if self._taken(name):  # the few digits that `unique` appends met those of another job
            name = f"{called[: limit - len(point) - 1]}-{point}{suffix}"
        return name

    def _taken(self, name: str) -> bool:
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return _seen(self._given, int.from_bytes(digest, "big"))


def _seen(numbers: set[int], number: int) -> bool:
    """True if `number` is in the set, to which it is added."""
    known = number in numbers
    numbers.add(number)
    return known


class _Stream:
    """The jobs of one block, with everything computed once that they share."""

    def __init__(self, sweep: Sweep, block: Block, namer: Namer, identity: Identity, names: _Names) -> None:
        self.grid = block.grid(identity, namer.part)
        self._block = block
        self._namer = namer
        self._identity = identity
        self._names = names
        swept = [name for group in self.grid.groups for name in group.names] + list(block.draws)
        order = dict.fromkeys([*block.order, *swept, *block.constants])
        self._base = {name: block.constants.get(name) for name in order}
        #: Fragments come as constants, rows in group order, draws; these say where each name's stands.
        flat = [*block.constants, *swept]
        places = {name: at for at, name in enumerate(flat)}
        self._sorted = [places[name] for name in sorted(flat)]
        self._in_order = [places[name] for name in order]
        self._named = [swept.index(name) for name in order if name in swept]
        self._fixed = [fragment(name) + canonical(value) for name, value in block.constants.items()]
        self._stored = [fragment(name) + as_stored(v, canonical(v)) for name, v in block.constants.items()]
        self._digest = commands_digest(sweep.spec.commands, block.commands)
        self._experiment = sweep.name
        self._head = _head(sweep.name, self._digest)
        self._ambiguous = any(_ambiguous(group, namer) for group in self.grid.groups)

    def points(self, sample: int | None, random: Random) -> Iterator[tuple[Sequence[Row], Mapping[str, Json]]]:
        draws = self._block.draws
        if not draws:
            found = iter(self.grid) if sample is None else self.grid.sample(sample, random)
            yield from ((rows, {}) for rows in found)
            return
        for _ in range(sample or 0):
            rows = self.grid.at(random.randrange(self.grid.size))
            yield rows, {name: draw(random) for name, draw in draws.items()}

    def job(self, rows: Sequence[Row], drawn: Mapping[str, Json], repeat: int, seen: set[int] | None) -> NewJob | None:
        """The job at `rows`; None if its point is in `seen`."""
        params = self._base.copy()
        texts, stored, called = self._fixed[:], self._stored[:], list[str]()
        for row in rows:
            params.update(row.values)
            texts += row.texts
            stored += row.stored
            called += row.called
        if drawn:
            params.update(drawn)
            texts += [fragment(name) + canonical(value) for name, value in drawn.items()]
            stored += [fragment(name) + as_stored(value, canonical(value)) for name, value in drawn.items()]
            called += [self._namer.part(name, value) for name, value in drawn.items()]
        point = _point(self._head, ",".join([texts[at] for at in self._sorted]), repeat)
        if seen is not None and _seen(seen, int(self._same(params, repeat, point), 16)):
            return None
        suffix = f"-r{repeat}" if self._block.repeat > 1 else ""
        name = self._names.name(self._namer.name([called[at] for at in self._named]), suffix, point, self._ambiguous)
        text = f"{{{','.join([stored[at] for at in self._in_order])}}}"
        return NewJob(params, name, point, self._block.commands, repeat, self._block.resources, text)

    def _same(self, params: Params, repeat: int, point: str) -> str:
        """What a point is looked up under: itself, unless the dialect has its own idea of identical."""
        if self._identity is canonical:
            return point
        return point_hash(
            self._experiment, self._digest, {name: self._identity(value) for name, value in params.items()}, repeat
        )


def _ambiguous(group: Group, namer: Namer) -> bool:
    """True if two points may get the same name because of this group.

    Two points can only meet if two rows of a group are called the same, or one value as the beginning of another
    that goes on with what stands between parts.
    """
    called = [set[int]() for _ in group.names]
    rows = called[0] if len(group.names) == 1 else set[int]()
    dashed: list[tuple[int, str]] = []
    for at in range(len(group)):
        parts = group.row(at).called
        if _seen(rows, hash(namer.name(parts))):
            return True
        for column, text in enumerate(parts):
            called[column].add(hash(text))
            if namer.between in text:
                dashed.append((column, text))
    return any(hash(text[:at]) in called[column] for column, text in dashed for at in _places(namer.between, text))


def _places(sought: str, text: str) -> list[int]:
    return [at for at, char in enumerate(text) if char == sought]
