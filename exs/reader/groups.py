"""A DataFrame per group of runs."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterator, KeysView, Mapping, Sequence
from typing import Any

from exs.reader.errors import InvalidMapError
from exs.reader.frame import DataFrame, pandas
from exs.reader.maps import GENERIC, Map

Key = tuple[Any, ...]


class GroupedDataFrame:
    """Maps the values of `group_keys`, as a tuple, to the runs that have them. Functions apply to each group.

    With `ungroup`, a call returns one table, with the group keys as columns.
    """

    def __init__(self, group_keys: Sequence[str], grouped_dict: Mapping[Key, DataFrame]) -> None:
        self.group_keys = list(group_keys)
        self.grouped_dict = dict(grouped_dict)

    def __getitem__(self, key: Key) -> DataFrame:
        return self.grouped_dict[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self.grouped_dict)

    def __len__(self) -> int:
        return len(self.grouped_dict)

    def keys(self) -> KeysView[Key]:
        """The values of the group keys, a tuple per group."""
        return self.grouped_dict.keys()

    def items(self) -> ItemsView[Key, DataFrame]:
        """Groups with their keys."""
        return self.grouped_dict.items()

    def ungroup(self) -> DataFrame:
        """All groups in one table, with the group keys as columns."""
        made = DataFrame()
        for key, frame in self.items():
            columns = dict(zip(self.group_keys, key, strict=True))
            made += [run.set(columns) for run in frame]
        return made

    def select(self, key_list: Collection[Key]) -> GroupedDataFrame:
        """The groups of these keys."""
        wanted = set(key_list)
        return self._made({key: frame for key, frame in self.items() if key in wanted})

    def aggregate(self, maps: Map, ungroup: bool = False) -> Any:
        """One row per group; see DataFrame.aggregate."""
        return self._finished({key: frame.aggregate(maps) for key, frame in self.items()}, ungroup)

    def transform(self, maps: Map, ungroup: bool = False) -> Any:
        """See DataFrame.transform."""
        return self._finished({key: frame.transform(maps) for key, frame in self.items()}, ungroup)

    def map(self, maps: Map, ungroup: bool = False) -> Any:
        """See DataFrame.map."""
        return self._finished({key: frame.map(maps) for key, frame in self.items()}, ungroup)

    def apply(self, maps: Map, map_type: str = GENERIC, ungroup: bool = False) -> Any:
        """See DataFrame.apply."""
        return self._finished({key: frame.apply(maps, map_type) for key, frame in self.items()}, ungroup)

    def filter(self, filter_map: Map, bygroups: str | Sequence[str] | None = None, ungroup: bool = False) -> Any:
        """The rows of each group that pass; within the groups of `bygroups` instead, where these are named.

        A group of which no row passes is left out.
        """
        if bygroups:
            kept = self.ungroup().filter(filter_map, bygroups)
            return kept if ungroup or not kept else kept.groupby(self.group_keys)
        found = {key: frame.filter(filter_map) for key, frame in self.items()}
        return self._finished({key: frame for key, frame in found.items() if frame}, ungroup)

    def sort(self, by: str | Sequence[str], ascending: bool = True, ungroup: bool = False) -> Any:
        """See DataFrame.sort."""
        return self._finished({key: frame.sort(by, ascending) for key, frame in self.items()}, ungroup)

    def groupby(self, group_keys: str | Sequence[str]) -> GroupedDataFrame:
        """Grouped further: by the keys of before, then by these. Raises InvalidMapError for one that is there."""
        more = [group_keys] if isinstance(group_keys, str) else list(group_keys)
        if twice := set(more) & set(self.group_keys):
            raise InvalidMapError(f"it is grouped by {sorted(twice)[0]} already.")
        made: dict[Key, DataFrame] = {}
        for key, frame in self.items():
            for inner, runs in frame.groupby(more).items():
                made[key + inner] = runs
        return GroupedDataFrame([*self.group_keys, *more], made)

    def toPandas(self, lazy: bool = True) -> Any:
        """A pandas DataFrame with the group keys as its index."""
        frames = [frame.toPandas(lazy=lazy) for frame in self.grouped_dict.values()]
        keys = list(self.grouped_dict)
        return pandas().concat(frames, keys=keys, names=self.group_keys) if frames else pandas().DataFrame()

    def __repr__(self) -> str:
        return f"{self.ungroup()!r} in {len(self)} groups by {', '.join(self.group_keys)}"

    def _made(self, groups: Mapping[Key, DataFrame]) -> GroupedDataFrame:
        return GroupedDataFrame(self.group_keys, groups)

    def _finished(self, groups: Mapping[Key, DataFrame], ungroup: bool) -> Any:
        made = self._made(groups)
        return made.ungroup() if ungroup else made
