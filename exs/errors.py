"""Every sentence exs says when it refuses something: one class tree, one exit code each.

An error is one sentence: what failed, where (file:line or job id), why; the hint says what to do.
"""

from __future__ import annotations

#: Exit codes of every command: 0 is success, 1 means that some job failed.
EXIT_OK = 0
EXIT_JOB_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_REDIS = 3
EXIT_REFUSED = 4
#: What a shell reports for a program that Ctrl-C ended.
EXIT_INTERRUPTED = 130


class ExsError(Exception):
    """Something a user can cause or mend, said in one sentence."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InputError(ExsError):
    """Bad input: a file, an option, a name, a value. Nothing was changed."""


class NotFound(InputError):
    """No experiment, job, slot or file of that name."""


class RedisUnreachable(ExsError):
    """Redis does not answer, or refuses us."""

    exit_code = EXIT_REDIS


class RedisRefused(RedisUnreachable):
    """Redis answers, but cannot take the write: no memory, no disk, read-only, not permitted."""


class OtherSchema(RedisRefused):
    """The queue in Redis is of another version of exs. To wait does not help, and to go on would damage it."""

    exit_code = EXIT_REFUSED

    def __init__(self, found: str, spoken: str) -> None:
        super().__init__(
            f"this Redis holds a queue of schema {found}, and this exs speaks {spoken}.",
            "Use the same version of exs on every machine: pip install --upgrade exs",
        )


class Refused(ExsError):
    """Understood and possible, but not safe: another user's experiment, an open Redis, a taken GPU."""

    exit_code = EXIT_REFUSED


class BrokenRecord(ExsError):
    """A record in Redis or on disk that cannot be read; it is quarantined, not trusted."""


# ------------------------------------------------------------------ those that users of Schedy's client catch


class SchedyError(ExsError):
    """What a call of Schedy's interface refuses; `exs.compat.schedy` raises these and the ones above."""


class HTTPError(SchedyError):
    """Named, and printed, as Schedy's client did: no HTTP is spoken here. `code` is what its server answered."""

    def __init__(self, body: str, code: int | None = None) -> None:
        super().__init__(body)
        self.body = body
        self.code = code

    def __str__(self) -> str:
        return f"HTTP Error {self.code}:\n> {self.body}"


class ClientError(HTTPError):
    """The caller is wrong, or too late."""


class ClientRequestError(ClientError):
    """What was asked for cannot be done."""


class NoJobError(ClientRequestError):
    """No job waits in the experiment."""

    def __init__(self, experiment: str) -> None:
        super().__init__(f"No job left for experiment {experiment}.")


class ResourceExistsError(ClientRequestError):
    """There is an experiment of that name."""

    exit_code = EXIT_REFUSED

    def __init__(self, body: str) -> None:
        super().__init__(body, 412)


class UnsafeUpdateError(ClientRequestError):
    """Somebody else has changed it since it was read, or holds it now; nothing was written."""

    exit_code = EXIT_REFUSED

    def __init__(self, body: str) -> None:
        super().__init__(body, 412)
