"""Push and plan: a sweep goes in whole or not at all, and points that are there already stay as they are."""

from __future__ import annotations

import base64
import contextlib
import math
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exs.answers import Pushed
from exs.errors import ExsError, InputError, RedisRefused, Refused
from exs.model import DEFAULT_POOL, DEFAULT_PRIORITY, LOSSES, NOT_AGAIN, Again, JobState, NewJob, Resources, Spec
from exs.store import records
from exs.store.scripts import Arg
from exs.store.shapes import shape
from exs.store.steer import Steering
from exs.store.tally import Tally

#: A stage whose push says nothing for this long may be discarded by the next push of that name, ms.
STAGE_LOCK = 10_000
#: Jobs and bytes of one batch: above either, one script call would hold Redis too long.
_BATCH_JOBS = 2000
_BATCH_BYTES = 1 << 20
#: Points that a plan asks for at once: less than 3 ms of Redis.
_BATCH_POINTS = 500
#: Characters of what somebody else wrote that a sentence quotes.
_SHOWN = 200
#: A job as push.lua takes it: name, parameters, point; and its kind, which is its shape and its commands.
_Encoded = tuple[str, str, str, tuple[str, str]]
_Item = TypeVar("_Item")


def new_ids(count: int) -> list[str]:
    """Job or attempt ids: each 10 random characters of base32, 50 bits."""
    text = base64.b32encode(os.urandom(-(-count * 25 // 4))).decode().lower()
    return [text[at : at + 10] for at in range(0, 10 * count, 10)]


def new_id() -> str:
    """One of `new_ids`."""
    return new_ids(1)[0]


@dataclass(frozen=True)
class Origin:
    """Whose push it is. Another user's or another source's push to the same name is refused without `into`."""

    user: str
    host: str
    source: str
    into: bool = False


class Producers(Steering):
    """What a laptop does to the queue."""

    def push(
        self,
        name: str,
        spec: Spec,
        jobs: Iterable[NewJob],
        origin: Origin,
        *,
        pool: str = DEFAULT_POOL,
        priority: int = DEFAULT_PRIORITY,
        retries: int = 0,
        max_running: int | None = None,
        lost_after: float | None = None,
        weight: float | None = None,
        preemptible: bool = True,
        canary: int = 0,
        breaker: bool = True,
        paused: str = "",
        kind: str = "run",
        code: str = "",
        again: Again = NOT_AGAIN,
        add: bool = False,
        on_busy: Callable[[], None] = lambda: None,
    ) -> Pushed:
        """Queue the jobs whose points the experiment does not have yet; all of them or none.

        `weight`: of its share in a fair-share pool, above 0; None leaves it. `preemptible`: False keeps its jobs
        running whoever else waits.
        `add`: the experiment is there and keeps its pool, priority, retries and limits.
        `canary`: so many of them, or of those that run again, must succeed before others run.
        `breaker`: False lets them fail alike for ever.
        `paused`: who or what keeps slots from taking any of them, from the first moment on; "" for nobody.
        `on_busy` is called once when it has to wait for another push of NAME, under way or broken off.
        `code`: digest of the code that travels, `Capsule.code`; "" for none.
        `again`: what is queued again once the rest is in, as if it were new, but where it was.
        Safe to repeat: a second push of the same points finds them. Raises Refused when NAME belongs to another
        user or source, and InputError for jobs that are too large.
        """
        spec_text, digest = records.spec_text(spec)
        meta = {
            "name": name, "push": new_id(), "user": records.plain(origin.user), "host": records.plain(origin.host),
            "source": records.plain(origin.source), "into": origin.into, "kind": kind, "pool": pool,
            "priority": priority, "retries": retries, "id8": secrets.token_hex(4), "spec_digest": digest,
            "spec": spec_text, "lock": STAGE_LOCK, "code": code or None,
            "collect": _as_set(again.of), "collect_older": _as_set(again.older), "add": add or None,
            "max": max_running, "lost": int(lost_after * 1000) if lost_after else None,
            "weight": f"{weight:.15g}" if weight is not None else None, "preemptible": None if preemptible else 0,
            "canary": canary or None, "breaker": None if breaker else 0,
            "paused": records.plain(paused) or None, **_losses(spec),
        }  # fmt: skip
        meta = {key: value for key, value in meta.items() if value is not None}
        tally = Tally()
        try:
            self._send(meta, jobs, tally, on_busy)
        except (InputError, RedisRefused, KeyboardInterrupt):
            with contextlib.suppress(ExsError):  # what went wrong before is what matters
                self._discard(name, 1 << 50, str(meta["push"]))
            raise
        every = JobState.DONE in again.of or bool(again.older)  # also the commands that succeeded
        forced = self._retry(tally.collected, every, digest)["queued"]
        return tally.pushed(name, code, again, forced)

    def plan(
        self,
        name: str,
        jobs: Iterable[NewJob],
        origin: Origin,
        *,
        spec: Spec | None = None,
        code: str = "",
        again: Again = NOT_AGAIN,
    ) -> Pushed:
        """What `push` would do, without doing it; without `spec` nothing is said of code."""
        tally = Tally()
        user, source = records.plain(origin.user), records.plain(origin.source)
        digest = records.spec_text(spec)[1] if spec else ""
        batches = _batches(((job.point, 0) for job in jobs), _BATCH_POINTS)
        head: tuple[Arg, ...] = (name, user, source, int(origin.into), digest, code)
        for reply in self._stream("points", ((*head, *batch) for _, batch, _ in batches)):
            _refuse(name, reply)
            tally.add(reply)
        return tally.pushed(name, code, again)

    def discard_stage(self, name: str, older_than: float, seconds: float = math.inf) -> None:
        """Take back a push of NAME that was never committed and has been silent for `older_than` seconds; for about
        `seconds`, after which the rest is for the next one who looks."""
        self._discard(name, int(older_than * 1000), seconds=seconds)

    def _discard(self, name: str, older_than: int, push: str = "", seconds: float = math.inf) -> None:
        end = time.monotonic() + seconds
        while self._call("discard", name, self._batch_jobs(), older_than, push) and time.monotonic() < end:
            pass

    def _batch_jobs(self) -> int:
        return min(self.settings.limits.push_batch, _BATCH_JOBS)

    def _encoded(self, jobs: Iterable[NewJob]) -> Iterator[tuple[_Encoded, int]]:
        """Each job as push.lua wants it, and its size."""
        kinds: dict[tuple[Resources, tuple[str, ...]], tuple[str, str]] = {}
        for job in jobs:
            params = job.text or records.dumps(job.params)
            if len(params) > self.settings.limits.params_bytes:
                raise InputError(
                    f"the parameters of {job.name} take {len(params)} bytes of JSON.",
                    f"At most {self.settings.limits.params_bytes} (params_bytes); put large values into a file.",
                )
            kind = kinds.get((job.resources, job.commands))
            if kind is None:
                commands = records.dumps(list(job.commands)) if job.commands else ""
                kind = kinds[job.resources, job.commands] = (shape(job.resources), commands)
            yield (job.name, params, job.point, kind), len(params)

    def _send(self, meta: dict[str, object], jobs: Iterable[NewJob], tally: Tally, on_busy: Callable[[], None]) -> None:
        """Push all batches. The first one waits for whoever else pushes; of those that follow, the next is on its way
        before the answer to the last is read, so that Redis works on one while we make the other."""
        batches = _batches(self._encoded(jobs), self._batch_jobs())
        calls = (
            _arguments({**meta, "batch": number, "first": first, "last": last}, batch)
            for number, (first, batch, last) in enumerate(batches)
        )
        self._push_batch(*next(calls), tally, on_busy)
        sent: list[_Call] = []

        def noted() -> Iterator[Sequence[Arg]]:
            for call in calls:
                sent[:] = [call]
                yield _packed(call)

        for reply in self._stream("push", noted()):
            if reply[0] == b"id":
                self._push_batch(*sent[0], tally, on_busy)
            else:
                _refuse(str(meta["name"]), reply)
                tally.add(reply)

    def _push_batch(self, meta: dict[str, object], args: list[Arg], tally: Tally, on_busy: Callable[[], None]) -> None:
        name = str(meta["name"])
        waited = False
        while True:
            reply = self._call("push", records.dumps(meta), *args)
            code = reply[0]
            if code == b"busy":
                if not waited:
                    waited = True
                    on_busy()
                time.sleep(min(0.25, reply[1] / 1000))  # another push of NAME is under way; it holds no lock on us
            elif code == b"stale":
                self.discard_stage(name, STAGE_LOCK / 1000)
            elif code == b"id":
                meta["id8"] = secrets.token_hex(4)
            else:
                _refuse(name, reply)
                tally.add(reply)
                return


def _losses(spec: Spec) -> dict[str, object]:
    """What `lose` reads of `on_failure`: it ends attempts that no slot speaks for."""
    rules = {loss.value: spec.on_failure[loss.value] for loss in LOSSES if loss.value in spec.on_failure}
    found = {f"on_{name}": rule[0] if rule[1] is None else rule[1] for name, rule in rules.items()}
    return {name: value for name, value in found.items() if value != "requeue"}


def _as_set(states: Collection[JobState]) -> dict[str, bool]:
    """For Lua, which takes an empty one for a list."""
    return {state.value: True for state in states} or {"": True}


_Call = tuple[dict[str, object], list[Arg]]


def _arguments(meta: dict[str, object], batch: list[_Encoded]) -> _Call:
    """What push.lua takes: what is said once, then five words per job."""
    kinds: dict[tuple[str, str], int] = {}
    args: list[Arg] = []
    for job_id, (name, params, point, kind) in zip(new_ids(len(batch)), batch, strict=True):
        args += (job_id, name, params, point, kinds.setdefault(kind, len(kinds) + 1))
    spec = meta["spec"] if meta["last"] else ""
    return {**meta, "kinds": list(kinds), "spec": spec}, args


def _packed(call: _Call) -> Sequence[Arg]:
    return (records.dumps(call[0]), *call[1])


def _refuse(name: str, reply: list[bytes]) -> None:
    code, *found = reply
    if code == b"ok":
        return
    shown = [records.text(value)[:_SHOWN] for value in found if isinstance(value, bytes)]
    if code == b"taken":
        user, source = shown
        raise Refused(
            f"experiment {name} belongs to {user}, pushed from {source}.",
            "Choose another with --name, or add to it with --into.",
        )
    if code == b"kind":
        raise Refused(f"experiment {name} is a {shown[0]} experiment.", "Choose another with --name.")
    if code == b"archived":
        raise Refused(f"experiment {name} is archived.", f"exs unarchive {name}, or choose another with --name.")
    raise Refused(f"another push of {name} took over.", "Push again: what is there is kept.")


def _batches(items: Iterable[tuple[_Item, int]], most: int) -> Iterator[tuple[bool, list[_Item], bool]]:
    """(first, batch, last) of items that come with their size; one empty batch when there are none."""
    batch: list[_Item] = []
    size = 0
    first = True
    for item, item_size in items:
        if batch and (len(batch) >= most or size + item_size > _BATCH_BYTES):
            yield first, batch, False
            batch, size, first = [], 0, False
        batch.append(item)
        size += item_size
    yield first, batch, True
