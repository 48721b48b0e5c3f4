"""All checks, as far as they can be made: a Redis that is away hides nothing of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exs import settings as config
from exs.answers import Finding, Severity
from exs.doctor import node, queue, redis
from exs.errors import ExsError, InputError, OtherSchema, RedisRefused, RedisUnreachable
from exs.settings import Settings
from exs.store.store import open_store


@dataclass(frozen=True)
class Examined:
    """`headings`: what each part is about. `unreachable`: Redis could not be asked."""

    headings: Mapping[str, str]
    findings: Sequence[Finding]
    unreachable: bool


def examine(connect: Callable[[], Settings], host: str) -> Examined:
    """Findings about the Redis that `connect` names or starts, the machine `host` and the queue.

    Raises InputError for settings that cannot be read.
    """
    findings: list[Finding] = []
    headings = {"redis": "", "node": host, "queue": ""}
    unreachable = False
    ours = config.load()
    try:
        ours = connect()
        headings["redis"] = redis.address(ours.redis_url)
        unreachable = not _ask(ours, findings)
    except InputError:
        raise
    except RedisUnreachable as error:  # the embedded server does not start
        unreachable = True
        findings.append(_as_finding("redis", error))
    findings += node.checks(ours)
    if not any(finding.where == "queue" for finding in findings):
        del headings["queue"]
    return Examined(headings, findings, unreachable)


def _ask(ours: Settings, findings: list[Finding]) -> bool:
    """Ask Redis, then the queue; False if it did not answer."""
    store = open_store(ours.redis_url, ours)
    try:
        findings += redis.checks(store)
    except RedisUnreachable as error:
        findings.append(_as_finding("redis", error))
        return False
    try:
        findings += queue.checks(store)
    except OtherSchema:
        pass  # said above
    except RedisRefused as error:
        findings.append(_as_finding("queue", error))
    except RedisUnreachable as error:
        findings.append(_as_finding("redis", error))
        return False
    return True


def _as_finding(where: str, error: ExsError) -> Finding:
    return Finding(where, Severity.ERROR, error.message, f"# {error.hint}" if error.hint else "")
