"""Checks of the queue: is every job where it should be, and is there somebody to run it?"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import exs
from exs.answers import Finding, Severity
from exs.errors import NotFound
from exs.model import Resources
from exs.rows import ExperimentRow, SlotRow
from exs.settings import Timing
from exs.store import keys, safety, shapes
from exs.store.health import Health
from exs.store.store import Store
from exs.view.when import duration

GIB = 1 << 30
_UNKNOWN_STATE = re.compile(r"job (?P<job>\S+) \(.*\) has the unknown state ")
_UNREADABLE = re.compile(r"the record of experiment (?P<name>.*) cannot be read\.$", re.DOTALL)
_KINDS = {"zset": "sorted set"}
#: Jobs and names that one finding lists.
_NAMED = 5
#: Misplaced jobs that are said one by one.
_SENTENCES = 10
#: Seconds without a word after which a push is taken for one that will not go on by itself.
_HALF = 60.0


def checks(store: Store) -> Iterator[Finding]:
    """Everything about the queue of `store`. Raises RedisUnreachable."""
    timing = store.settings.timing
    yield from kinds(store)
    experiments, slots = store.experiments(), store.workers()
    health = store.health([row.name for row in experiments])
    yield from jobs(store, experiments)
    yield from quarantine(store)
    yield from strangers(store)
    yield from suspended(store, health)
    yield from halves(health, timing)
    yield from workers(store, slots)
    yield from versions(slots)
    yield from unused(store)
    yield from late(store, health, timing)
    yield from waiting(experiments, health, slots, timing)
    yield from ending(store, experiments, slots)


def _found(severity: Severity, what: str, do: str = "") -> Finding:
    return Finding("queue", severity, what, do)


def _listed(names: Iterable[str]) -> str:
    known = sorted(set(names))
    return ", ".join(known[:_NAMED]) + (f" and {len(known) - _NAMED} more" if len(known) > _NAMED else "")


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def kinds(store: Store) -> Iterator[Finding]:
    """Did somebody make a key of ours into something else? Redis refuses what is done with it."""
    shell = safety.shell(store.url)
    for key, found, wanted in islice(store.wrong_kinds(), _NAMED):
        quoted, aside = shlex.quote(key), shlex.quote(f"broken:{key}")
        is_one, be_one = (_KINDS.get(kind, kind) for kind in (found, wanted))
        yield _found(
            Severity.ERROR,
            f"the key {key} is a {is_one}, and has to be a {be_one}: something else writes to this Redis.",
            f"{shell} RENAME {quoted} {aside}   # then exs doctor again: workers make anew what they can",
        )  # fmt: skip


def jobs(store: Store, experiments: Sequence[ExperimentRow]) -> Iterator[Finding]:
    """Does every job stand in exactly one place (I1)?"""
    wrong = store.misplaced()
    for sentence in wrong[:_SENTENCES]:
        yield _found(Severity.ERROR, sentence, _remedy(store, sentence))
    if len(wrong) > _SENTENCES:
        yield _found(Severity.ERROR, f"{len(wrong) - _SENTENCES} more like these.")
    if not wrong:
        total = sum(row.jobs for row in experiments)
        where = ", each in exactly one place" if total else ""
        yield _found(Severity.OK, f"{_many(len(experiments), 'experiment')}, {_many(total, 'job')}{where}")


def _remedy(store: Store, sentence: str) -> str:
    """What to type about something that the audit found."""
    if found := _UNKNOWN_STATE.match(sentence):
        return f"exs rm -f {found['job']}   # its record was overwritten; the same push once more queues it anew"
    if found := _UNREADABLE.match(sentence):
        shell, name = safety.shell(store.url), found["name"]
        return (
            f"{shell} EXISTS {shlex.quote(keys.EXPERIMENT + name)}   # 0: it is gone; then forget its name:\n"
            f"{shell} ZREM {keys.EXPERIMENTS} {shlex.quote(name)}"
        )
    return "exs doctor   # again in a minute: workers mend what RQ's tools moved"


def quarantine(store: Store) -> Iterator[Finding]:
    """Was there something in a queue that is no job of ours (R12)?"""
    shell = safety.shell(store.url)
    for job in store.quarantine():
        key, member = shlex.quote(keys.RQ_JOB + job), shlex.quote(job)
        yield _found(
            Severity.WARNING, f"record {job} is quarantined: it stood in a queue, and is no job of exs or broken.",
            f"{shell} HGETALL {key}   # look at it, then forget it:\n{shell} ZREM {keys.QUARANTINE} {member}",
        )  # fmt: skip


def strangers(store: Store) -> Iterator[Finding]:
    """Do stock RQ workers take jobs that they cannot run?"""
    shell = safety.shell(store.url)
    for stranger in store.strangers():
        key = shlex.quote(keys.RQ_WORKER + stranger.name)
        if stranger.queues:
            yield _found(
                Severity.WARNING, f"{stranger}: it can run none of their jobs, and what it takes is put back.",
                f"{shell} HMGET {key} hostname pid   # end it there, and start exs worker instead",
            )  # fmt: skip
        else:
            yield _found(Severity.NOTE, f"{stranger}; they were put back.")


def suspended(store: Store, health: Health) -> Iterator[Finding]:
    """Did somebody stop everything?"""
    if health.suspended:
        yield _found(
            Severity.WARNING, "no slot takes a job: the queue is suspended (rq suspend).",
            f"{safety.shell(store.url)} DEL {keys.RQ_SUSPENDED}   # or: rq resume",
        )  # fmt: skip


def halves(health: Health, timing: Timing) -> Iterator[Finding]:
    """Are there pushes that were interrupted?"""
    for name, ago in health.halves:
        if ago > _HALF:
            left = max(0.0, timing.push_ttl - ago)
            yield _found(
                Severity.NOTE, f"a push of {name} stopped half-way {duration(ago)} ago: none of its jobs run, and what "
                f"is there is removed in {duration(left)}.", "exs push FILE   # the same once more completes it",
            )  # fmt: skip


def workers(store: Store, slots: Sequence[SlotRow]) -> Iterator[Finding]:
    """Who works, and who is not heard of?"""
    shell, timing = safety.shell(store.url), store.settings.timing
    known = [row for row in slots if row.node]
    silent = [row for row in known if not _live(row, timing)]
    for node in sorted({row.node for row in silent}):
        of = [row for row in silent if row.node == node]
        ago = duration(min(row.seen_ago for row in of))
        yield _found(
            Severity.WARNING, f"no word from {_many(len(of), 'slot')} of {node} for {ago}.",
            "exs doctor   # on that machine; if it is up and exs worker runs there, look at its network",
        )  # fmt: skip
    for row in slots:
        if not row.node:
            yield _found(
                Severity.WARNING, f"the record of slot {row.name} cannot be read: somebody wrote over it.",
                f"{shell} DEL {shlex.quote(keys.RQ_WORKER + row.name)}   # if it lives, it registers anew",
            )  # fmt: skip
    live = [row for row in known if _live(row, timing)]
    if live:
        states = Counter(row.state for row in live)
        nodes = _many(len({row.node for row in live}), "node")
        shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        yield _found(Severity.OK, f"{_many(len(live), 'slot')} on {nodes}: {shown}")


def _live(row: SlotRow, timing: Timing) -> bool:
    return row.seen_ago <= timing.lease


def versions(slots: Sequence[SlotRow]) -> Iterator[Finding]:
    """Do all speak the same version of exs?"""
    others: dict[str, list[SlotRow]] = {}
    for row in slots:
        if row.version and row.version != exs.__version__:
            others.setdefault(row.version, []).append(row)
    for version, rows in sorted(others.items()):
        yield _found(
            Severity.NOTE, f"{_many(len(rows), 'slot')} of {_listed(row.node for row in rows)} run exs {version}, this "
            f"is {exs.__version__}.", "exs worker stop   # there, when it suits; upgrade, and start it again",
        )  # fmt: skip


def unused(store: Store) -> Iterator[Finding]:
    """Which GPUs get no job, says their agent?"""
    for gpu in store.unused_gpus():
        what = f"GPU {gpu.gpu} of {gpu.node} gets no job: {gpu.why.rstrip('.')}."
        yield _found(Severity.WARNING, what, "exs doctor   # on that machine")


def late(store: Store, health: Health, timing: Timing) -> Iterator[Finding]:
    """Which running jobs has nobody heard of, and does anybody look after them?"""
    if health.late_total:
        shown = ", ".join(
            f"{_label(store, job)} for {duration(ago + timing.lease)}" for job, ago in health.late[:_NAMED]
        )
        more = f" and {health.late_total - _NAMED} more" if health.late_total > _NAMED else ""
        yield _found(
            Severity.WARNING, f"no word from running jobs: {shown}{more}. Late is not lost: they go on when their node "
            f"returns, and run again elsewhere after {duration(timing.lost_after)} at the earliest.", "exs workers",
        )  # fmt: skip
    if health.held and health.reaped_ago is not None and health.reaped_ago > max(60.0, timing.lease * 2):
        yield _found(
            Severity.WARNING, f"nobody has looked for lost jobs for {duration(health.reaped_ago)}: no slot is there to "
            "do it.", "exs worker   # anywhere: every slot does",
        )  # fmt: skip


def _label(store: Store, job: str) -> str:
    try:
        row = store.job(job)
    except NotFound:
        return job
    return f"{row.experiment}/{row.index} on {row.node}"


def waiting(
    experiments: Sequence[ExperimentRow], health: Health, slots: Sequence[SlotRow], timing: Timing
) -> Iterator[Finding]:
    """Are there queued jobs that no slot can take?"""
    live = [row for row in slots if _live(row, timing)]
    run = [row for row in experiments if row.kind == "run" and not row.paused]
    if not live:
        total = sum(sum(health.waiting.get(row.name, {}).values()) for row in run)
        if total:
            what = f"{_many(total, 'job')} wait, and no worker is running."
            yield _found(Severity.WARNING, what, "exs worker   # on each machine that should run them")
        return
    for row in run:
        for needs, count in health.waiting.get(row.name, {}).items():
            why, do = _hindrance(row, needs, live)
            if why:
                yield _found(Severity.WARNING, f"{_many(count, 'job')} of {row.name} wait in vain: {why}.", do)


def ending(store: Store, experiments: Sequence[ExperimentRow], slots: Sequence[SlotRow]) -> Iterator[Finding]:
    """Are there queued jobs that every slot leaves to others, because it ends before they would be done?"""
    store.waits(slots, experiments).note(experiments)
    for row in experiments:
        if "ending" in row.why.split(", "):
            what = f"jobs of {row.name} wait for a slot that has more time: those that could run them end before."
            yield _found(Severity.NOTE, what, f"exs why {row.name}\nexs worker   # one without an end")


def _hindrance(row: ExperimentRow, needs: Resources, live: Sequence[SlotRow]) -> tuple[str, str]:
    """Why no live slot takes such a job, and what to type; ("", "") if one does, or several of a node together do."""
    if shapes.runnable(needs, live, row.pool, row.name):
        return "", ""
    found = [_lack(row, one, live) for one in needs.alternatives]
    return "; or ".join(dict.fromkeys(why for why, _ in found)), found[0][1]


def _lack(row: ExperimentRow, one: Resources, live: Sequence[SlotRow]) -> tuple[str, str]:
    """What the slots lack for one alternative, which none of them can run."""
    wanted = one.pool or row.pool
    pool = [slot for slot in live if wanted in slot.pools]
    if not pool:
        return f"no slot serves the pool {wanted}", f"exs worker --pool {shlex.quote(wanted)}"
    free = [slot for slot in pool if slot.only in ("", row.name)]
    if not free:
        return "the slots of its pool take jobs of other experiments only", "exs worker"
    here = [slot for slot in free if slot.node not in one.exclude_nodes and slot.node in (one.nodes or (slot.node,))]
    if not here:
        named = f"only {', '.join(one.nodes)} may run them" if one.nodes else "the nodes that may run them"
        return f"{named}, and no slot is there" if one.nodes else f"{named} have no slot", "exs worker   # there"
    return _misfit(one, here)


def _misfit(one: Resources, slots: Sequence[SlotRow]) -> tuple[str, str]:
    counts = {slot.name: len([gpu for gpu in slot.gpus.split(",") if gpu]) for slot in slots}
    if one.gpus == 0 and all(counts.values()):
        return "they want a slot without a GPU, and there is none", "exs worker --cpus 1"
    if one.indices:
        allowed = set(one.indices)
        slots = [slot for slot in slots if slot.gpus and set(slot.gpus.split(",")) <= allowed]
        if not slots:
            named = ",".join(one.indices)
            return f"they may run on GPUs {named} only, and no slot has just those", f"exs worker --gpus {named}"
    fits = [slot for slot in slots if not one.gpus or counts[slot.name] >= one.gpus] or slots
    # A slot that was listed by its first claim does not tell its memory.
    if one.gpu_memory and all((slot.memory and slot.memory < one.gpu_memory) or not slot.gpus for slot in fits):
        largest = max(slot.memory for slot in fits)
        have = f"the largest slot has {largest / GIB:.0f} GiB" if largest else "no slot has a GPU"
        return f"they want {one.gpu_memory / GIB:.0f} GiB of GPU memory, and {have}", "exs worker   # on a larger GPU"
    most = max(counts.values())
    have = f"no node has so many in its slots (the largest slot has {most})" if most else "no slot has one"
    return (
        f"they want {_many(one.gpus or 1, 'GPU')} each, and {have}",
        "exs worker --gpus all   # where there are so many",
    )
