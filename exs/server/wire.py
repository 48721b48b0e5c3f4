"""A Redis connection on a bare Unix socket, for the few words that starting and looking need.

Importing redis-py takes far longer than `ensure` does when the server already runs.
"""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType

from exs.errors import RedisUnreachable


class ErrorReply(Exception):
    """Redis answered with an error; `code` is its first word, such as NOAUTH or LOADING."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class Wire:
    """One connection. Calls raise ErrorReply for an error answer, OSError when the connection fails."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._answers.close()
        self._socket.close()

    def call(self, *words: str) -> str:
        """The answer to one command whose answer is a simple or bulk string."""
        request = [f"*{len(words)}\r\n".encode()]
        for word in words:
            data = word.encode()
            request.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self._socket.sendall(b"".join(request))
        line = self._answers.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("connection closed by the server")
        kind, text = line[:1], line[1:-2].decode("utf-8", "replace")
        if kind == b"-":
            raise ErrorReply(text)
        if kind == b"$":
            return self._answers.read(int(text) + 2)[:-2].decode("utf-8", "replace")
        if kind not in b"+:":
            raise RedisUnreachable(f"what listens at {self._path} is not a Redis server.")
        return text

    def info(self) -> dict[str, str]:
        """What INFO says, all sections together."""
        lines = (line.partition(":") for line in self.call("INFO").splitlines() if not line.startswith("#"))
        return {key: value for key, _, value in lines if key}
