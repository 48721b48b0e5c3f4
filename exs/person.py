"""Who we are in lists: the user and the machine."""

from __future__ import annotations

import getpass
import os
import socket

from exs.settings import Settings


def user() -> str:
    """The name under which this user pushes; the number where the system has none for it, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def host(settings: Settings) -> str:
    """The name of this machine in lists."""
    return settings.node or socket.gethostname()
