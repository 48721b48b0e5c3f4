"""Signals that end a process which does nothing about them: a run notes that one ended it, and is then ended by it.

Handlers are set while a run runs, where nobody handles the signal, and are taken away before a fork: a signal that
reaches a child of a process with a Python handler right after the fork is lost (CPython clears what is pending), so a
pool of processes that is terminated early could wait for ever.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_DEADLY = (signal.SIGTERM, signal.SIGHUP)
_watching: list[Watch] = []


class Watch:
    """`told` is called when a signal is about to end this process, from the first run on until `close`."""

    def __init__(self, told: Callable[[], object]) -> None:
        self._told = told
        self._pid = os.getpid()
        self._set: list[signal.Signals] = []
        self.hook()
        if not _watching:
            _register()
        _watching.append(self)

    def close(self) -> None:
        """Handle nothing any more."""
        self.unhook()
        _watching.remove(self)

    def hook(self) -> None:
        """Handle what nobody handles."""
        if threading.current_thread() is threading.main_thread():  # no other one may
            for number in _DEADLY:
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._killed)
                    self._set.append(number)

    def unhook(self) -> None:
        """Leave it to what else there is."""
        if threading.current_thread() is threading.main_thread():
            for number in self._set:
                if signal.getsignal(number) == self._killed:
                    signal.signal(number, signal.SIG_DFL)
            self._set.clear()

    def _killed(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() == self._pid:  # not a process that another thread has forked
            self._told()
        os.kill(os.getpid(), number)


def _register(done: list[bool] = []) -> None:  # noqa: B006 - once per process: it cannot be undone
    if done:
        return
    done.append(True)
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork)


def _before_fork() -> None:
    for each in _watching:
        each.unhook()


def _after_fork() -> None:
    for each in _watching:
        each.hook()
