"""Two jobs, experiments or run directories side by side: parameters, results, code, environment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from exs.model import Json, Spec
from exs.reader.frame import rank
from exs.reader.query import MISSING, same
from exs.reader.reducers import REDUCERS, number
from exs.reader.run import Run
from exs.view.commands import without_hidden
from exs.view.text import masked

PARAMETERS, RESULTS, RUN, CODE, ENVIRONMENT = "parameter", "result", "run", "code", "environment"
#: Words about a run: which section they belong to. Those that always differ (ids, times) are in none.
_SECTIONS = {
    **dict.fromkeys(("status", "seconds", "attempts", "lost", "failure", "detail", "exit_code", "max_rss"), RUN),
    **dict.fromkeys(("spec", "current_file_path", "version_manager", "commands", "scripts"), CODE),
    **dict.fromkeys(("hostname", "gpus", "executable", "work_dir"), ENVIRONMENT),
}
#: Of a command as `param.json` records it, what differs with each run: its GPUs, and the log that it goes to.
_CALL = re.compile(r"\A(?:CUDA_VISIBLE_DEVICES=[^ ]* )?(.*?)(?: > [^ ]*log\.[^ ]* 2>&1)?\Z", re.DOTALL)
#: Fields of a Spec that say how, not what: the others are about code.
_OF_ENVIRONMENT = ("cwd", "output", "timeout", "grace", "stop_signal", "skip_done", "job_dirs")


@dataclass
class Side:
    """One of the two. `sections`: section -> name -> value."""

    label: str
    sections: dict[str, dict[str, Json]] = field(default_factory=dict)

    def put(self, section: str, name: str, value: Json) -> None:
        """Set a value; what is secret by its name is masked."""
        self.sections.setdefault(section, {})[name] = masked(name.rpartition(".")[2], value)

    def put_file(self, path: str, digest: str) -> None:
        """Set the digest of a file of the code, which is no secret whatever the file is called."""
        self.sections.setdefault(CODE, {})[f"file {path}"] = digest


def side(
    label: str, runs: Sequence[Run], specs: Sequence[Spec] = (), commands: Mapping[str, str] | None = None
) -> Side:
    """What is known of one run, or of many: then the values that a parameter takes, and results in numbers.

    `commands`: what it runs, by the name of the command.
    """
    made = Side(label)
    flats = [run.flat() for run in runs]
    for key in dict.fromkeys(key for flat in flats for key in flat):
        prefix, _, name = key.partition(".")
        section = (
            PARAMETERS if prefix == "config" else _SECTIONS.get(name.partition(".")[0]) if prefix == "info" else None
        )
        if section is not None:
            values = [flat.get(key) for flat in flats]
            _put(made, section, name, list(map(_called, values)) if name.startswith("commands.") else values)
    _results(made, runs)
    for name, text in (commands or {}).items():
        made.put(CODE, f"command {name}", text)
    for spec in specs[-1:]:
        made.sections.get(CODE, {}).pop("spec", None)  # what is in it says more
        _spec(made, spec)
    return made


def _called(command: Json) -> Json:
    found = _CALL.match(command) if isinstance(command, str) else None
    return found[1] if found else command


def _put(made: Side, section: str, name: str, values: list[Json]) -> None:
    if len(values) == 1:
        made.put(section, name, values[0])
    elif section == RUN:
        if name == "status":
            for word, count in sorted(Counter(map(str, values)).items()):
                made.put(RUN, f"jobs {word}", count)
    else:
        distinct = {repr(value): value for value in values if value is not None}
        ordered = sorted(distinct.values(), key=rank)
        made.put(section, name, ordered[0] if len(ordered) == 1 else ordered)


def _results(made: Side, runs: Sequence[Run]) -> None:
    names: dict[str, None] = {}
    for run in runs:
        names.update(dict.fromkeys(run.metrics))
        names.update((key.removeprefix("result."), None) for key in run.flat() if key.startswith("result."))
    for name in names:
        if len(runs) == 1:
            made.put(RESULTS, name, runs[0].find(name))
            for how in ("min", "max"):
                value = runs[0].find(f"{name}.{how}")
                if value is not MISSING:
                    made.put(RESULTS, f"{name}.{how}", value)
            continue
        found = [number(value) for run in runs if (value := run.find(name)) is not MISSING]
        values = [value for value in found if value is not None]
        for how in ("mean", "std", "min", "max", "count"):
            made.put(RESULTS, f"{how}({name})", REDUCERS[how](values))


def _spec(made: Side, spec: Spec) -> None:
    for name, value in asdict(spec).items():
        if name in _OF_ENVIRONMENT and value is not None:
            made.put(ENVIRONMENT, name, value)
    for name, text in without_hidden(spec).items():
        made.put(ENVIRONMENT, f"env.{name}", text)


def differences(a: Side, b: Side, everything: bool = False) -> list[list[Json]]:
    """Rows of section, name, the two values, and for numbers by how much the second is more; only what differs."""
    rows: list[list[Json]] = []
    for section in (PARAMETERS, RESULTS, RUN, CODE, ENVIRONMENT):
        left, right = a.sections.get(section, {}), b.sections.get(section, {})
        for name in {**left, **right}:
            one, other = left.get(name), right.get(name)
            if everything or not same(one, other):
                rows.append([section, name, one, other, _more(one, other)])
    return rows


def _more(one: Json, other: Json) -> float | None:
    if isinstance(one, bool) or isinstance(other, bool):
        return None
    first, second = number(one), number(other)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and first is not None and second is not None:
        return second - first
    return None
