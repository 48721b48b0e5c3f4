"""Whether the server answers, and as what."""

from __future__ import annotations

from enum import Enum

from exs.errors import RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.server import password
from exs.server.places import check_private
from exs.server.wire import ErrorReply, Wire


class State(Enum):
    """What a PING found."""

    GONE = "gone"  #: nobody listens
    LOADING = "loading"  #: reads its data, takes no commands yet
    READY = "ready"


def state(files: ServerFiles, timeout: float) -> State:
    """The state of the server. Raises RedisUnreachable if it hangs, Refused if it is not ours."""
    wire = connect(files, timeout)
    if wire is None:
        return State.GONE
    with wire:
        try:
            wire.call("PING")
        except ErrorReply as error:
            # Any other error, such as MISCONF for a full disk, still comes from a server that can be read.
            return State.LOADING if error.code == "LOADING" else State.READY
        except TimeoutError:
            raise hangs(files, timeout) from None
        except OSError:
            return State.GONE  # it is shutting down
    return State.READY


def connect(files: ServerFiles, timeout: float) -> Wire | None:
    """A connection to the server, or None where nobody listens.

    Raises RedisUnreachable if it does not answer in `timeout` seconds or takes no more clients, Refused if it
    does not know our password or the socket lies where others could have put it.
    """
    try:
        check_private(files.local)
        wire = Wire(files.socket, timeout)
    except (TimeoutError, BlockingIOError):
        raise hangs(files, timeout) from None
    except OSError:
        return None
    try:
        wire.call("AUTH", "default", password.read(files))
    except ErrorReply as error:
        wire.close()
        if error.code != "WRONGPASS":
            raise answers_with(files, error) from None
        raise Refused(
            f"the server at {files.socket} does not accept the password in {files.password}.",
            "Has it been changed while the server ran? Try: exs server stop",
        ) from None
    except TimeoutError:
        wire.close()
        raise hangs(files, timeout) from None
    except OSError:
        wire.close()
        return None
    return wire


def answers_with(files: ServerFiles, error: ErrorReply) -> RedisUnreachable:
    """The sentence for a server that is there but refuses a plain question."""
    return RedisUnreachable(
        f"the embedded Redis at {files.socket} answers: {str(error).rstrip('.')}.", f"Its log: {files.log}"
    )


def hangs(files: ServerFiles, seconds: float) -> RedisUnreachable:
    """The sentence for a server that holds its socket or its lock and says nothing."""
    from exs.server.lock import holder

    pid = holder(files)
    who = f"the embedded Redis (process {pid})" if pid else "the embedded Redis"
    return RedisUnreachable(
        f"{who} did not answer within {seconds:g} s at {files.socket}.",
        f"Its log: {files.log}. To end it: exs server stop" + (f", or kill -9 {pid}" if pid else ""),
    )
