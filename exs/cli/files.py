"""Files that a command writes because it was told to: whole or not at all, and never over another."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from exs.errors import InputError, Refused


def write_new(path: str, lines: Iterable[str]) -> None:
    """Write text to a file that is not there yet. Raises Refused, InputError."""
    write_bytes(path, ((line + "\n").encode("utf-8", "backslashreplace") for line in lines))


def write_bytes(path: str, pieces: Iterable[bytes]) -> None:
    """Write bytes to a file that is not there yet. Raises Refused, InputError."""
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        raise Refused(f"{path} exists; it was left as it is.", "Name another file, or remove it.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", "Name another place.") from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.writelines(pieces)
    except OSError as error:
        with suppress(OSError):
            os.unlink(path)
        raise InputError(f"{path} cannot be written: {error.strerror}.", "Name another place.") from None
