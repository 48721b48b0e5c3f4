"""Claim, renew, finish, release, reap: what a holder does. Every call carries its attempt, the fence."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from exs.errors import BrokenRecord, ExsError
from exs.model import Claim, Failure, Fenced, Following, JobState, Offer, Outcome, Renewed, Spec
from exs.store import keys, records, rows
from exs.store.connect import sentences
from exs.store.mend import Menders
from exs.store.reports import calls_for
from exs.store.scripts import Arg

#: Jobs that one reap ends or queues again at most: 5 ms of Redis.
_REAPED = 100
_Call = tuple[str, Sequence[Arg]]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _outcome_args(outcome: Outcome, gpu_memory: int = 0) -> tuple[str, str, str]:
    """An outcome as finish, crash and release.lua take it: what it came to, its result, the end of its output."""
    result = records.dumps(dict(outcome.result)) if outcome.result else ""
    return records.outcome_text(outcome, gpu_memory), result, outcome.tail


class Holders(Menders):
    """What slots and agents do to the queue."""

    def node_up(self, node: str, boot: str, machine: str, pid: int) -> str:
        """Register an agent's node; jobs that an earlier boot of it held become lost once their lease is late.

        Returns the name to use: `node`, or `node-<4 hex>` when another machine goes by that name.
        """
        return records.text(self._call("node_up", node, boot, machine, pid))

    def forgot(self, node: str) -> bool:
        """True when Redis has no record of a node that registered: it was emptied, or it is another one."""
        with sentences(self._url):
            return not self._client.exists(keys.NODE + node)

    def slot_dead(self, slots: Sequence[str], why: str, failure: Failure = Failure.LOST) -> int:
        """Put back at once what these dead slots of our node held; returns how many jobs. `failure`: LOST or GPU."""
        timing = self.settings.timing
        return int(
            self._call(
                "slot_dead", why, failure.value, self.settings.limits.crash_budget, _ms(timing.retry_wait),
                _ms(timing.retry_wait_max), *slots,
            )
        )  # fmt: skip

    def warm_up(self) -> None:
        """Make the scripts of a slot's loop known to Redis."""
        with sentences(self._url):
            self._scripts.load("claim", "renew", "finish", "crash", "release", "reap", "report")

    def claim(self, offer: Offer, attempt: str) -> Claim | None:
        """Lease the job that stands first among those that fit; None when there is none.

        The same attempt id gets the same job again, so a lost reply loses nothing.
        """
        return self._claimed(self._call("claim", *self._claim_args(offer, attempt)))

    def claim_or_follow(self, offer: Offer, attempt: str, wait: float = 0.0) -> Claim | Following | None:
        """`claim` by a slot that may be one of several for a job: what it has to follow, if another one leads it.

        With `wait` as soon as a token wakes it, at the latest after so many seconds, in one round trip. Who is
        interrupted in it may have been given a job without knowing: `release_unknown`; or a leader: `follow`.
        """
        args = self._claim_args(offer, attempt)
        with sentences(self._url):
            if wait:
                key = keys.WAKE + offer.slot
                return self._answered(self._scripts.call_after_pop(key, self._bearable(wait), "claim", args))
            return self._answered(self._scripts.call("claim", *args))

    def follow(self, offer: Offer, wait: float = 0.0) -> Following | None:
        """Whom this slot still follows; None when it is free. `wait` as in `claim_or_follow`."""
        with sentences(self._url):
            if wait:
                key = keys.WAKE + offer.slot
                reply = self._scripts.call_after_pop(key, self._bearable(wait), "follow", (offer.slot,))
            else:
                reply = self._scripts.call("follow", offer.slot)
        return Following(*map(records.text, reply)) if reply else None

    def spec(self, experiment: str, digest: str) -> Spec:
        """How the jobs of that push are run. Raises BrokenRecord."""
        with sentences(self._url):
            text = self._client.hget(keys.SPECS + experiment, digest)
        if text is None:
            raise BrokenRecord(f"experiment {experiment} has no spec {digest}.")
        return records.spec_from(text, f"spec {digest} of {experiment}")

    def specs(self, experiment: str) -> dict[str, Spec]:
        """Every Spec with which jobs of an experiment were pushed, by digest; one that cannot be read is left out."""
        with sentences(self._url):
            texts = self._client.hgetall(keys.SPECS + experiment)
        found: dict[str, Spec] = {}
        for digest, text in sorted(texts.items()):
            with contextlib.suppress(BrokenRecord):
                found[records.text(digest)] = records.spec_from(text, f"spec of {experiment}")
        return found

    def renew(
        self, job: str, attempt: str, offer: Offer, directory: str = "", log: str = "", leaves: bool = False
    ) -> tuple[Renewed, bool]:
        """Prolong a lease and reap others'. The second value is False when the slot must register anew.

        `directory` and `log` say where a running job's files are; `leaves`: the slot takes no job after this one.
        """
        args = (job, attempt, offer.slot, _ms(self.settings.timing.lease), directory, log, int(leaves))
        renewed, reaped = self._call_many([("renew", args), ("reap", self._reap_args())], slice(1))
        stale = ""
        if not isinstance(reaped, Exception):
            self._mend_drifted(reaped)
            stale = records.text(reaped[3])
        fence, want, known = renewed
        return Renewed(Fenced(records.text(fence)), records.text(want), stale), bool(known)

    def finish(self, job: str, attempt: str, outcome: Outcome, offer: Offer) -> Fenced:
        """Store how an attempt ended, once, unless it was fenced out."""
        script, args = self._ending(job, attempt, outcome, offer)
        return Fenced(records.text(self._end(script, args, calls_for(job, attempt, outcome.report))[0]))

    def finish_and_claim(
        self, job: str, attempt: str, outcome: Outcome, offer: Offer, next_attempt: str
    ) -> tuple[Fenced, Claim | None]:
        """`finish` and `claim` in one round trip. A claim that is refused is none, and the outcome is stored."""
        script, args = self._ending(job, attempt, outcome, offer)
        claim = ("claim", self._claim_args(offer, next_attempt))
        answer, claimed = self._end(script, args, calls_for(job, attempt, outcome.report), claim)
        return Fenced(records.text(answer)), None if isinstance(claimed, Exception) else self._claimed(claimed)

    def release(self, job: str, attempt: str, why: str, offer: Offer, outcome: Outcome | None = None) -> Fenced:
        """Give a job back to its place, or to those that are paused where that was asked; it counts as no failure.

        `outcome`: how far its attempt came, if it began.
        """
        what = _outcome_args(outcome) if outcome else ("", "", "")
        told = calls_for(job, attempt, outcome.report) if outcome else []
        return Fenced(records.text(self._end("release", (job, attempt, offer.slot, why, *what), told)[0]))

    def release_unknown(self, attempt: str, why: str, offer: Offer) -> None:
        """`release` what the slot was given under an attempt id, if anything, where the answer was not heard."""
        self._call("release", "", attempt, offer.slot, why, "", "", "")

    def reap(self) -> tuple[int, str]:
        """End the attempts that are lost, queue the jobs whose wait is over, put back what RQ's clients moved.

        Throttled on the server, so that everybody may call it often. Returns how many were lost, and the name
        of an experiment with a stale push for `discard_stage`, or "".
        """
        reply = self._call("reap", *self._reap_args())
        self._mend_drifted(reply)
        return int(reply[1]), records.text(reply[3])

    def woken(self, offer: Offer, seconds: float) -> bool:
        """Wait for a token that wakes this slot, at most `seconds`; True if one came."""
        return self._blpop(keys.WAKE + offer.slot, seconds) is not None

    def claim_when_woken(self, offer: Offer, attempt: str, seconds: float) -> Claim | None:
        """`claim` as soon as a token wakes this slot, at the latest after `seconds`, in one round trip.

        Who is interrupted in it may have been given a job without knowing: `release_unknown`.
        """
        found = self.claim_or_follow(offer, attempt, seconds)
        return found if isinstance(found, Claim) else None

    def _end(self, script: str, args: Sequence[Arg], told: list[_Call], *then: _Call) -> list[Any]:
        """The answers of a script that ends an attempt and of what runs behind it, `told` in front of them.

        That alone must succeed: a Redis without memory takes no metrics any more, and outcomes all the same (R4).
        """
        if not told and not then:
            return [self._call(script, *args)]
        first = len(told)
        return self._call_many([*told, (script, args), *then], slice(first, first + 1))[first:]

    def _mend_drifted(self, reaped: Sequence[bytes]) -> None:
        """Mend the experiment that a reap names. What keeps that from being done keeps nobody from working on."""
        if reaped[4]:
            with contextlib.suppress(ExsError):
                self.mend(records.text(reaped[4]), self.settings.timing.renew / 4)

    def _claim_args(self, offer: Offer, attempt: str) -> Sequence[Arg]:
        return (
            offer.slot, attempt, offer.node, offer.boot, _ms(self.settings.timing.lease), ",".join(offer.pools),
            ",".join(offer.gpus), offer.gpu_memory, offer.only,
            *((f"{max(0.0, offer.ends - time.monotonic()):.3f}",) if offer.ends else ()),
        )  # fmt: skip

    def _claimed(self, reply: Sequence[bytes] | None) -> Claim | None:
        found = self._answered(reply)
        return found if isinstance(found, Claim) else None

    def _answered(self, reply: Sequence[bytes] | None) -> Claim | Following | None:
        if reply is None:
            return None
        return rows.claim_from(reply) if reply[0] else Following(*map(records.text, reply[1:]))

    def _ending(self, job: str, attempt: str, outcome: Outcome, offer: Offer) -> tuple[str, Sequence[Arg]]:
        """The script that stores an outcome, and what it takes."""
        args = (job, attempt, offer.slot, *_outcome_args(outcome, offer.gpu_memory))
        if outcome.state is not JobState.CRASHED:
            return "finish", args
        t, limits = self.settings.timing, self.settings.limits
        return "crash", (
            *args, _ms(t.retry_wait), _ms(t.retry_wait_max), limits.crash_budget, limits.breaker_slots,
            limits.breaker_first, limits.breaker_streak, t.fast_failure, _ms(t.quarantine),
        )  # fmt: skip

    def _reap_args(self) -> Sequence[Arg]:
        t, limits = self.settings.timing, self.settings.limits
        return (
            _REAPED, _ms(t.renew / 2), _ms(t.lease * 2 / 3), _ms(t.lease), _ms(t.lost_after), t.lost_share,
            _ms(t.lost_max), limits.crash_budget, _ms(t.retry_wait), _ms(t.retry_wait_max), _ms(t.push_ttl),
        )  # fmt: skip
