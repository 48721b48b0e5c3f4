"""Starting redis-server so that it outlives whoever started it.

The command forks it into a session of its own, and it forks again and leaves the first (`daemonize yes`): it
has no terminal, no parent but init, and of the command's descriptors only the lock.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from exs.errors import ExsError, InputError, RedisRefused, RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.server import listen, lock, password, places
from exs.server.binary import find_binary
from exs.server.contact import State, hangs, state
from exs.settings import Settings

#: Seconds to wait for a server that is starting; it takes 20 ms when there is little to load.
_PATIENCE = 20.0
#: Seconds to wait for one that loads its data: a million jobs take about 10.
_LOADING_PATIENCE = 120.0
_POLL = 0.01
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LD_LIBRARY_PATH", "TZ")
_LOG_PREFIX = re.compile(r"\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [.*#-] ")


def launch(files: ServerFiles, settings: Settings) -> None:
    """Start the server of `files`, or wait for the one that another command is starting, until it answers.

    Raises Refused where none must be started, RedisUnreachable with the end of its log if it ends at once.
    """
    begun = time.monotonic()
    attempt: _Attempt | None = None
    try:
        while (found := state(files, settings.timing.socket_timeout)) is not State.READY:
            if found is State.GONE and (held := lock.take(files)) is not None:
                try:
                    if attempt:
                        raise attempt.failed()
                    attempt = _Attempt(files, settings)
                    attempt.start(held)
                finally:
                    os.close(held)
            _wait_more(files, found, begun)
    except OSError as error:
        raise places.unusable(error, files.data) from None


def _wait_more(files: ServerFiles, found: State, begun: float) -> None:
    """Let a moment pass. Raises RedisUnreachable when patience, counted from `begun`, is at its end."""
    waited = time.monotonic() - begun
    if found is State.LOADING and waited > _LOADING_PATIENCE:
        raise RedisUnreachable(
            f"the embedded Redis is still loading its data after {waited:.0f} s.",
            f"Try again. Its log: {files.log}",
        )
    if found is State.GONE and waited > _PATIENCE:
        raise hangs(files, _PATIENCE)
    time.sleep(_POLL)


class _Attempt:
    """One try to start the server, by whoever holds the lock."""

    def __init__(self, files: ServerFiles, settings: Settings) -> None:
        if os.environ.get("EXS_ATTEMPT"):
            raise Refused(
                "a Redis started inside a job would end with the job.",
                "Set EXS_REDIS_URL, or run `exs server start` on this machine outside of jobs.",
            )
        places.claim(files)
        self._files = files
        self._binary = find_binary(settings.redis_server)
        if self._binary.version < (7,) and files.aof_of_redis_7.exists():
            raise Refused(
                f"the queue in {files.data} was written by Redis 7 or newer, and "
                f"{self._binary.label} would not see it.",
                "Put the newer server on PATH, or name it: EXS_REDIS_SERVER=/path/to/redis-server",
            )
        self._log_start = files.log.stat().st_size if files.log.exists() else 0

    def start(self, held: int) -> None:
        """Run the server, which inherits the lock `held`. Returns when it has left for the background."""
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        configuration = _as_input(_configuration(self._files))
        log = os.open(self._files.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                [self._binary.path, "-"],
                stdin=configuration,
                stdout=log,
                stderr=log,
                cwd=self._files.data,
                # C: its log is in English wherever it runs, and `failed` reads it.
                env={**environment, "LC_ALL": "C"},
                start_new_session=True,
                pass_fds=(held,),
                umask=0o077,
            )
        finally:
            os.close(configuration)
            os.close(log)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def failed(self) -> ExsError:
        """The sentence for a server that has ended at once, with the end of what it said."""
        with self._files.log.open("rb") as file:
            file.seek(self._log_start)
            said = file.read().decode("utf-8", "replace")
        lines = [_LOG_PREFIX.sub("", line).strip() for line in said.splitlines()]
        end = " / ".join([line for line in lines if line][-3:]) or "it said nothing"
        sentence = f"the embedded Redis, {self._binary.label}, did not start: {end}"
        hint = f"Its log: {self._files.log}"
        if "'tls-" in said and "Bad directive" in said:
            return InputError(
                f"--tls: {self._binary.label} is built without TLS.",
                "Install one with it (apt install redis-server), or leave out --tls on a network that you trust.",
            )
        if "No space left" in said:
            return RedisRefused(sentence, f"Free space on the disk of {self._files.data}. {hint}")
        return RedisUnreachable(sentence, hint)


def _configuration(files: ServerFiles) -> str:
    """All of the configuration, as the server reads it from its standard input.

    No argument and no file holds the password, and no path is taken for a pattern, as `include` takes it.
    """
    secret = password.make(files)
    address = listen.saved(files)
    own = [
        f"dir {_quoted(files.data)}",
        f"unixsocket {_quoted(files.socket)}",
        "unixsocketperm 700",
        f"pidfile {_quoted(files.pid)}",
        f"logfile {_quoted(files.log)}",
        "daemonize yes",
    ]
    own += [f"bind {address.host}"] if address else []
    own.append(f"port {address.port}" if address and not address.tls else "port 0")
    if address and address.tls:
        own += [
            f"tls-port {address.port}",
            f"tls-cert-file {_quoted(files.certificate)}",
            f"tls-key-file {_quoted(files.tls_key)}",
            f"tls-ca-cert-file {_quoted(files.certificate)}",
            "tls-auth-clients no",
        ]
    if address is None or address.password:
        own.append(f"requirepass {secret}")
    return Path(__file__).with_name("redis.conf").read_text(encoding="utf-8") + "\n".join(own) + "\n"


def _as_input(text: str) -> int:
    """A pipe that holds all of `text`, to read from; 16 KiB fit everywhere.

    Complete before the server starts: one that read half of its configuration, because the command was killed in
    between, would run without a password.
    """
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(text.encode())
    return reading


def _quoted(path: Path) -> str:
    """`path` as one word of a Redis configuration, whatever bytes it has."""
    plain = b"/._-+,:=@~ "
    text = (
        chr(b) if chr(b).isascii() and (chr(b).isalnum() or b in plain) else f"\\x{b:02x}" for b in os.fsencode(path)
    )
    return '"' + "".join(text) + '"'
