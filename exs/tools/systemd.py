"""The systemd unit of a worker, as `exs node install` writes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from exs.errors import InputError, Refused

NAME = "exs-worker.service"
#: First line of each file that is ours to replace.
_MARK = "# Written by exs node install; what is changed here is lost when it runs again."

_UNIT = """\
{mark}
[Unit]
Description=exs worker: runs jobs of a queue on this machine
After=network-online.target
Wants=network-online.target
# It waits for Redis by itself; a machine that comes up before the network must not give up.
StartLimitIntervalSec=0

[Service]
Type=exec
{user}EnvironmentFile={environment}
ExecStart={command}
# To the agent alone: it hands running jobs back to the queue, which have their grace to save what they have.
KillMode=mixed
KillSignal=SIGUSR1
TimeoutStopSec=5min
# A job that the kernel ends for want of memory must not take the worker with it.
OOMPolicy=continue
# Slots may put jobs into control groups of their own.
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576
Restart=on-failure
RestartSec=5s
# Bad options and a refused Redis stay so until somebody mends them.
RestartPreventExitStatus=2 4

[Install]
WantedBy={target}
"""

#: systemd starts what the machine runs in /, where this user may write nothing.
_USER = """\
User={user}
# Here results go of jobs whose own directory is not on this machine.
WorkingDirectory=-~
"""


def unit(command: Sequence[str], environment: Path, user: str = "") -> str:
    """The text of a unit that runs `command`; with `user` one of the system's that runs it as that user."""
    return _UNIT.format(
        mark=_MARK,
        user=_USER.format(user=user) if user else "",
        environment=_escaped(str(environment), "path"),
        command=" ".join(_word(word) for word in command),
        target="multi-user.target" if user else "default.target",
    )


def environment_text(values: dict[str, str]) -> str:
    """The text of an EnvironmentFile. Raises InputError for a value that cannot stand in one."""
    lines = [_MARK]
    for name, value in values.items():
        if not value.isprintable():
            raise InputError(f"{name} holds characters that no environment file can carry.")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
        lines.append(f'{name}="{quoted}"')
    return "\n".join(lines) + "\n"


def write(path: Path, text: str, mode: int) -> bool:
    """Write a file of ours, whole or not at all; False if it is there as it should be.

    Raises Refused for one that somebody else wrote, InputError where it cannot be written.
    """
    try:
        try:
            found = path.read_text(encoding="utf-8", errors="replace")
            if found == text and path.stat().st_mode & 0o777 == mode:
                return False
            if not found.startswith(_MARK):
                raise Refused(f"{path} was not written by exs.", "Move it away, and try again.")
        except FileNotFoundError:
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.chmod(mode)
        new.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.", "As root, or with --user.") from None
    return True


def _word(word: str) -> str:
    """One argument of ExecStart."""
    if word and all(ch.isalnum() or ch in "/._-+,:=@" for ch in word):
        return word
    return '"' + _escaped(word, "argument").replace("$", "$$") + '"'


def _escaped(text: str, what: str) -> str:
    if not text.isprintable():
        raise InputError(f"the {what} {text!r} cannot stand in a unit.")
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
