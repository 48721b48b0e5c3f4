"""A TCP proxy in front of Redis that fails on demand: it stalls, cuts, refuses, swallows everything or one reply."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from harness.redis_server import free_port


class Proxy:
    """Modes: pass · stall (connected, nothing moves until it may) · swallow (connected, what is sent is gone, nobody
    is told: a half-open connection) · cut (what is connected breaks, nobody gets in)."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._drop_reply_to: bytes | None = None
        self._then_cut = False
        self._stall_at: bytes | None = None
        self._let_by = 0
        self._lossy = False
        self.dropped = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def go(self) -> None:
        """Let everything pass from now on."""
        self._call(self._go)

    def heal(self) -> None:
        """Let everything pass, and forget every fault that is still to come."""
        self._drop_reply_to = self._stall_at = None
        self.go()

    def stall(self) -> None:
        """Move nothing; connections stay."""
        self._call(lambda: self._passing.clear())

    def swallow(self) -> None:
        """Lose what either side sends; connections stay, and new ones are accepted."""
        self._call(self._swallow)

    def cut(self) -> None:
        """Break every connection and let none in."""
        self._call(self._cut)

    def drop_reply(self, request: bytes, then_cut: bool = False) -> None:
        """Swallow the reply to the next request that contains these bytes, and break that connection, or all."""
        self._then_cut = then_cut
        self._drop_reply_to = request

    def stall_at(self, request: bytes, after: int = 0) -> None:
        """Stall as soon as a request contains these bytes, for the `after + 1`st time; it is held back with all that
        follows."""
        self._stall_at, self._let_by = request, after

    @property
    def stalled(self) -> bool:
        """True while nothing moves."""
        return not self._passing.is_set()

    def close(self) -> None:
        """End the proxy."""
        self._call(self._cut)
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(10)

    def _end(self) -> None:
        tasks = asyncio.all_tasks()
        for task in tasks:
            task.cancel()
        asyncio.gather(*tasks, return_exceptions=True).add_done_callback(lambda done: self._loop.stop())

    def _call(self, step: Callable[[], Any]) -> None:
        done = threading.Event()

        def run() -> None:
            step()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def _go(self) -> None:
        self._open, self._lossy = True, False
        self._passing.set()

    def _swallow(self) -> None:
        self._lossy = True

    def _cut(self) -> None:
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._passing = asyncio.Event()
        self._go()
        self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve_one(reader, writer)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, far_writer)
        self._writers |= {writer, far_writer}
        await asyncio.gather(
            self._copy(reader, far_writer, link, requests=True), self._copy(far_reader, writer, link, requests=False)
        )
        self._writers -= {writer, far_writer}

    def _let(self, data: bytes, stall_at: bytes) -> int:
        """How much of what was sent goes on; requests that follow each other without waiting arrive as one piece."""
        at = data.find(stall_at)
        while at >= 0:
            if self._let_by == 0:
                self._stall_at = None
                self._passing.clear()
                return max(0, data.rfind(b"*", 0, at))
            self._let_by -= 1
            at = data.find(stall_at, at + 1)
        return 0

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, requests: bool
    ) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(65536):
                if requests and self._stall_at is not None:
                    before = self._let(data, self._stall_at)
                    writer.write(data[:before])
                    data = data[before:]
                await self._passing.wait()
                if self._lossy:
                    continue
                if requests and self._drop_reply_to is not None and self._drop_reply_to in data:
                    self._drop_reply_to, link.doomed = None, True
                elif not requests and link.doomed:
                    self.dropped += 1
                    if self._then_cut:
                        self._cut()
                    break
                writer.write(data)
                await writer.drain()
        link.break_off()


class _Link:
    """One connection through the proxy. `doomed`: the next reply on it is swallowed."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends
        self.doomed = False

    def break_off(self) -> None:
        for end in self._ends:
            end.transport.abort()
