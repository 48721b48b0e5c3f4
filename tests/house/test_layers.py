"""The layers of the house: who may import whom. A test, because nobody reads a rule twice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {"exs": ROOT / "exs", "exs_worker": ROOT / "workers" / "exs_worker"}

#: layer -> what it may import of ours, itself apart. `exs` is `exs/__init__.py`, which holds the version.
MAY = {
    "errors": set(),
    "job": set(),
    "process": set(),
    "alive": {"process"},
    "ids": {"paths"},
    "person": {"settings"},
    "values": {"errors", "model"},
    "tasks": {"errors", "values"},
    "calls": {"errors", "job", "settings", "tasks"},
    "command": {"errors", "model"},
    "paths": {"errors"},
    "settings": {"errors"},
    "model": set(),
    "rows": {"model"},
    "reported": {"model"},
    "answers": {"model", "rows"},
    "sweep": {"errors", "model", "settings", "paths", "command"},
    "capsule": {"errors", "model"},
    "store": {"errors", "model", "answers", "rows", "settings", "paths"},
    "view": {"errors", "model", "answers", "rows", "settings", "paths", "command"},
    "reader": {"alive", "errors", "model", "reported", "rows", "paths", "view"},
    "server": {"errors", "model", "settings", "paths"},
    "tools": {"errors", "ids", "model", "settings", "paths", "command", "sweep"},
    "doctor": {"exs", "errors", "model", "answers", "rows", "settings", "paths", "store", "view"},
    "fetch": {"errors", "rows", "paths", "store"},
    "pull": {"exs", "errors", "model", "settings", "person", "process", "store"},
    "api": {
        "errors",
        "model",
        "answers",
        "rows",
        "settings",
        "paths",
        "person",
        "sweep",
        "store",
        "view",
        "server",
        "reader",
        "capsule",
        "tools",
    },
    "compat": {
        "exs",
        "alive",
        "ids",
        "command",
        "errors",
        "job",
        "model",
        "rows",
        "paths",
        "person",
        "process",
        "settings",
        "values",
        "sweep",
        "store",
        "view",
        "pull",
        "api",
    },
    "cli": {
        "exs",
        "fetch",
        "person",
        "pull",
        "api",
        "capsule",
        "compat",
        "errors",
        "model",
        "answers",
        "rows",
        "settings",
        "paths",
        "command",
        "sweep",
        "store",
        "view",
        "server",
        "tools",
        "doctor",
        "reader",
    },
    "exs_worker": {
        "exs",
        "errors",
        "model",
        "answers",
        "rows",
        "settings",
        "paths",
        "process",
        "pull",
        "reported",
        "values",
        "command",
        "capsule",
        "store",
        "tools",
    },
    "exs": {"api", "compat", "errors", "reader", "tasks"},  # each with its first use: tests/cli/test_python_api.py
    "__main__": {"cli"},
}
#: Libraries that only these layers may import.
ONLY = {
    "redis": {"store", "exs_worker"},
    "rq": {"exs_worker"},
    "yaml": {"sweep", "reader"},
    "click": {"cli"},
    "pynvml": {"exs_worker"},
    "pathspec": {"capsule"},
    "matplotlib": {"view"},
    "plotille": {"view"},
}
#: Modules that may start processes, by any means.
STARTERS = {
    "exs/server/launch.py",
    "exs/server/binary.py",
    "exs/server/certificate.py",
    "exs/tools/batch/allocation.py",
    "exs/tools/batch/record.py",
    "exs/tools/batch/submit.py",
    "exs/tools/git.py",
    "exs/tools/uv.py",
    "workers/exs_worker/launch.py",
    "workers/exs_worker/seat.py",
}
#: Modules for which the import of what a node needs stands inside functions: a laptop has no need of it.
LAZY = {"cli", "doctor"}


def modules() -> Iterator[tuple[str, Path]]:
    for top, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if top == "exs_worker":
                yield "exs_worker", path
            else:
                yield ("exs" if parts == ("__init__",) else parts[0]), path


def imported(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(dotted module, line, at the top level) of every import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    outer = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno, id(node) in outer
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            base = node.module or ""
            if base == "exs":
                for name in node.names:
                    yield f"exs.{name.name}", node.lineno, id(node) in outer
            else:
                yield base, node.lineno, id(node) in outer


def layer_of(module: str) -> str | None:
    top, _, rest = module.partition(".")
    if top == "exs_worker":
        return "exs_worker"
    if top == "exs":
        first = rest.split(".")[0]
        return first if first in MAY else "exs"
    return None


@pytest.mark.parametrize(("layer", "path"), list(modules()), ids=lambda value: getattr(value, "stem", value))
def test_a_module_imports_only_layers_below_it(layer: str, path: Path) -> None:
    assert layer in MAY, f"{path} belongs to no layer"
    wrong = []
    for module, line, top_level in imported(path):
        target = layer_of(module)
        if target == "exs_worker" and layer in LAZY:
            if top_level:
                wrong.append(f"{path}:{line} imports {module} at the top, not inside a function")
        elif target is not None and target != layer and target not in MAY[layer]:
            wrong.append(f"{path}:{line} imports {module}")
        library = module.split(".")[0]
        if library in ONLY and layer not in ONLY[library]:
            wrong.append(f"{path}:{line} imports {library}")
    assert not wrong, "\n".join(wrong)


def test_processes_are_started_in_few_places() -> None:
    starts = re.compile(r"subprocess\.(Popen|run|call|check_)|os\.(system|popen|posix_spawn|exec|spawn)|\bpty\.")
    found = {str(path.relative_to(ROOT)) for _, path in modules() if starts.search(path.read_text(encoding="utf-8"))}
    assert found <= STARTERS


def test_nothing_trusts_what_it_reads() -> None:
    """No unpickling, no evaluation of text, no shell between us and a program, no unsafe YAML."""
    words = re.compile(r"\bpickle\b|\beval\(|\bexec\(|shell=True|yaml\.load\(|CSafeLoader|__import__\(|marshal")
    for layer, path in modules():
        pickles = path.parent == ROOT / "exs" / "compat" / "mlxp"  # where a user's own code asks for it, in words
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if layer == "store" and "_client.eval(" in line:
                continue  # Redis's EVAL, of our own script
            if pickles and (path.name == "pickled.py" or not re.search(r"import pickle|pickle\.|Unpickler", line)):
                line = re.sub(r"\bpickle\b", "", line)
            assert not words.search(line), f"{path}:{number}: {line.strip()}"


def test_no_lua_script_has_a_shebang() -> None:
    for path in (ROOT / "exs" / "store" / "lua").rglob("*.lua"):
        assert not path.read_text(encoding="utf-8").startswith("#!"), f"{path}: Redis 6.2 refuses it"


def test_the_wall_clock_is_read_for_display_only() -> None:
    reads = re.compile(r"\btime\.time\(\)|datetime\.now\(|\.utcnow\(")
    allowed = {
        *("exs/sweep/load.py", "workers/exs_worker/rundir.py"),  # the {_datetime} of a name
        "workers/exs_worker/terms.py",  # a time of day is what the user says when a worker is to leave
        "exs/tools/batch/allocation.py",  # a batch scheduler ends a job at a time of day
        "exs/store/server.py",  # by how much the two clocks differ
    }
    found = {
        str(path.relative_to(ROOT))
        for layer, path in modules()
        if layer not in ("view", "cli") and reads.search(path.read_text(encoding="utf-8"))
    }
    assert found <= allowed


def test_the_top_of_the_repository_is_what_it_should_be() -> None:
    expected = {"pyproject.toml", "exs", "workers", "tests", "deploy", "README.md"}
    ours = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - {"build"}
    assert {name for name in ours if not name.endswith(".egg-info")} == expected
