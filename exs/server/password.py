"""The password of the embedded server: generated once, kept in a file of this user, never in an argument.

It is set from the first start, although a Unix socket in a private directory needs none: clients that were
given their URL before `--listen` can go on with it afterwards. URLs name the user `default`, since Redis
refuses the shorter form of AUTH when no password is set, and accepts this one.
"""

from __future__ import annotations

import re

from exs.paths import ServerFiles
from exs.server.places import write_once

#: Bytes of randomness, and characters that they make in base64; none of them needs quoting in a URL.
_BYTES = 32
_WHOLE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def read(files: ServerFiles) -> str:
    """The password, or "" before the first start."""
    try:
        return files.password.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""


def make(files: ServerFiles) -> str:
    """The password, generated if there is none. Only for who holds the server's lock."""
    import secrets

    if not _WHOLE.match(read(files)):
        # There was none, or a command was killed while it wrote it: no server has run with it.
        files.password.unlink(missing_ok=True)
        write_once(files.password, secrets.token_urlsafe(_BYTES))
    return read(files)
