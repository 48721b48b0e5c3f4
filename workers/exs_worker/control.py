"""What a slot tells its job: one JSON line in `$EXS_CONTROL`, then a signal; and what the job answers.

    {"stop": "pause"}        preempt, edit, drain: the job is to run again later; cancel: it is not

A job that has said {"ack": "ready"} in `$EXS_REPORT`, as the first `exs.job.should_stop()` does, looks by itself: it
gets no signal, which would end a Python program and its data loaders where they are, unless it has not answered when
half of the grace is over, or its sweep names a signal.

The job answers with the line {"ack": "stop"} in `$EXS_REPORT`, when it has saved what it wants to go on from. One that
answered has stopped, whatever its exit code; one that did not and exits with 0 has done its work.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal

from exs.model import STOP_SIGNALS
from exs_worker import plainfile


def tell(path: str, want: str) -> None:
    """Write what is wanted to `path`, seen whole or not at all; a disk that is full leaves the signal to say it."""
    line = json.dumps({"stop": "drain" if want == "requeue" else want}).encode() + b"\n"
    temporary = f"{path}.new"
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        fd = plainfile.create(temporary)
        try:
            plainfile.write_all(fd, line)
        finally:
            os.close(fd)
        os.replace(temporary, path)


def stop_signal(name: str) -> int:
    """The number of a stop signal; SIGTERM's for a name that no push lets through."""
    return signal.Signals[name if name in STOP_SIGNALS else "SIGTERM"].value
