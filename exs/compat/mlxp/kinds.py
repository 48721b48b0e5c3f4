"""Types of artifacts: how each is written to a file and read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exs.compat.mlxp import pickled
from exs.errors import InputError

#: Nesting of what JSON can hold here; its encoder gives up near 1000.
DEPTH = 200


@dataclass(frozen=True)
class Kind:
    """`save(artifact, path)` and `load(path)`."""

    save: Callable[[Any, str], object]
    load: Callable[[str], Any]


def check_json(value: Any, what: str, depth: int = 0) -> None:
    """Raise InputError, which begins with `what`, for a value that JSON would not give back as it is."""
    if value is None or type(value) in (str, int, float, bool):
        return
    if depth > DEPTH:
        raise InputError(f"{what} is nested deeper than {DEPTH}.")
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise InputError(f"{what} has the key {key!r:.60}, and JSON has texts alone as keys.")
            check_json(item, f"{what}[{key!r:.60}]", depth + 1)
    elif type(value) is list:
        for at, item in enumerate(value):
            check_json(item, f"{what}[{at}]", depth + 1)
    else:
        raise InputError(f"{what} is of type {type(value).__name__}, which JSON cannot hold as it is.")


def _save_json(value: Any, path: str) -> None:
    check_json(value, "the artifact")
    # NaN and infinities as Python's json reads them again: a best loss of inf is in many checkpoints.
    Path(path).write_text(json.dumps(value), encoding="utf-8")


def _load_json(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _save_text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"an artifact of type text is a str, not a {type(value).__name__}.")
    with open(path, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
        file.write(value)


def _load_text(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123
        return file.read()


def _save_bytes(value: Any, path: str) -> None:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise InputError(f"an artifact of type bytes is bytes, not a {type(value).__name__}.")
    Path(path).write_bytes(value)


def _save_numpy(value: Any, path: str) -> None:
    """One array as .npy, a mapping of names to arrays as .npz, whatever the file is called."""
    numpy = _library("numpy", "numpy")
    if not isinstance(value, Mapping):
        with open(path, "wb") as file:  # noqa: PTH123
            numpy.lib.format.write_array(file, _array(numpy, value, "the artifact"), allow_pickle=False)
        return
    from zipfile import ZipFile

    with ZipFile(path, "w") as archive:
        for name, item in value.items():
            array = _array(numpy, item, f"the artifact[{name!r:.60}]")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                numpy.lib.format.write_array(entry, array, allow_pickle=False)


def _array(numpy: Any, value: Any, what: str) -> Any:
    array = numpy.asanyarray(value)
    if array.dtype.hasobject:
        raise InputError(f"{what} is no array of numbers: numpy would pickle it.", "Convert it, or use another type.")
    return array


def _load_numpy(path: str) -> Any:
    numpy = _library("numpy", "numpy")
    found = numpy.load(path, allow_pickle=False)
    if isinstance(found, numpy.ndarray):
        return found
    with found:
        return {name: found[name] for name in found.files}


def _save_image(value: Any, path: str) -> None:
    """An image of Pillow, a figure of matplotlib, an array of pixels, or the bytes of an image file."""
    if isinstance(value, (bytes, bytearray)):
        Path(path).write_bytes(value)
        return
    if not hasattr(value, "save") and not hasattr(value, "savefig"):
        value = _library("PIL.Image", "pillow").fromarray(value)
    save = getattr(value, "savefig", None) or value.save
    if Path(path).suffix:
        save(path)
    else:
        save(path, format="png")


def _load_image(path: str) -> Any:
    image = _library("PIL.Image", "pillow").open(path)
    image.load()
    return image


def _save_torch(value: Any, path: str) -> None:
    _library("torch", "torch").save(value, path)


def _load_torch(path: str) -> Any:
    return _library("torch", "torch").load(path, weights_only=True)


def _library(module: str, package: str) -> Any:
    """One of the libraries that exs has no need of itself; `module` is one of those named in this file."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"artifacts of this type need {package}, which is not installed.", f"pip install {package}"
        ) from None


PICKLE = "pickle"
JSON = "json"
KINDS: dict[str, Kind] = {
    JSON: Kind(_save_json, _load_json),
    "text": Kind(_save_text, _load_text),
    "bytes": Kind(_save_bytes, lambda path: Path(path).read_bytes()),
    "numpy": Kind(_save_numpy, _load_numpy),
    "image": Kind(_save_image, _load_image),
    "torch": Kind(_save_torch, _load_torch),
    PICKLE: Kind(pickled.save, pickled.load),
}
