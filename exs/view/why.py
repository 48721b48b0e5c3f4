"""`exs why`: why a job waits, what each slot says to it, and when it is likely to start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from exs.answers import Estimate, Lasting, Verdict, Why
from exs.model import FINAL, HELD, JobState, Json
from exs.rows import JobRow
from exs.view import records
from exs.view.counts import counted
from exs.view.jobs import LAST_WORDS_ON_PAGE, place, reason, selector
from exs.view.needs import needed
from exs.view.screen import STATE_STYLE, Screen
from exs.view.slots import drained_line
from exs.view.text import safe
from exs.view.when import ago, clock_of_day, duration, iso, until

#: Slots that have a line each; more are put together where they say the same.
_EACH = 12
#: Nodes that a line names.
_NODES = 4


@dataclass
class WhyPage:
    """The answer, on one screen."""

    why: Why

    def lines(self, screen: Screen) -> Iterator[str]:
        job, row = self.why.job, self.why.experiment
        if job is None:
            yield f"no job of {screen.paint(safe(row.name), 'bold')} waits: {counted(row.counts, screen)}"
            return
        head = f"{screen.paint(safe(selector(job)), 'bold')}  {safe(job.id)}"
        yield f"{head}  {screen.paint(job.state.value, STATE_STYLE[job.state])}  {_sentence(self.why)}"
        for label, text in self._fields():
            if text:
                yield f"  {label:<10}  {text}"
        advice = _advice(self.why)
        if advice:
            yield screen.paint("next: " + " · ".join(advice), "dim")

    def document(self) -> Mapping[str, Json]:
        why = self.why
        return {
            "job": None if why.job is None else records.job(why.job, why.now),
            "experiment": records.experiment(why.experiment),
            "why": why.word or None,
            "sentence": None if why.job is None else _sentence(why),
            "jobs_before": why.before if why.before >= 0 else None,
            "ahead": dict(why.ahead),
            "fair_share": why.fair,
            "slots": [_record(verdict, why) for verdict in why.verdicts],
            "unused_gpus": [records.unused_gpu(gpu) for gpu in why.unused],
            "lasting": None if why.lasting is None else asdict(why.lasting),
            "estimate": None if why.estimate is None else _estimate(why.estimate),
            "no_estimate": why.unsure or None,
        }

    def records(self) -> Iterator[Mapping[str, Json]]:
        return (_record(verdict, self.why) for verdict in self.why.verdicts)

    def ids(self) -> Iterator[str]:
        if self.why.job is not None:
            yield self.why.job.id

    def _fields(self) -> Iterator[tuple[str, str]]:
        why = self.why
        assert why.job is not None
        if why.job.state is JobState.QUEUED:
            yield "position", _position(why)
            needs = why.experiment.needs.get(why.job.queue)
            yield "needs", needed(needs) if needs is not None else ""
            lines = [*_slots(why)]
            lines += [f"{safe(gpu.node)}:{safe(gpu.gpu)}  no slot: {safe(gpu.why)}" for gpu in why.unused]
            for number, line in enumerate(lines):
                yield "" if number else "slots", line
            yield "starts", _starts(why)
        elif why.estimate is not None:
            yield "ends", f"~{clock_of_day(why.estimate.start, why.now)} {_sure(why.estimate, why)}"


def _sentence(why: Why) -> str:
    """Why it waits, or what it does instead."""
    job, row = why.job, why.experiment
    assert job is not None
    by = f" by {safe(row.paused_by)}" if row.paused_by else ""
    if why.word.startswith("held "):
        held, wanted = why.word.removeprefix("held ").split("/")
        return f"{held} of the {wanted} slots that it wants are held for it, the others have jobs"
    sentences = {
        "pull": "only next_job() and exs pull take it",
        "archived": "its experiment is archived",
        "paused": f"its experiment is paused{by}",
        "canary": "the canary of its experiment must succeed first",
        "max_slots": f"max_slots reached: {row.max_running} of its experiment may run at a time",
        "no worker": "no worker is running",
        "unfit": "no slot that is there could ever run it",
        "drained": "every slot that could run it is drained, or leaves after its job",
        "suspended": "the queue is suspended (rq suspend)",
        "ending": "every slot that could run it ends before it would be done",
        "soon": "a slot that can run it is idle and takes what is next",
        "busy": "every slot that can run it has a job",
        "retry": f"waits for its next attempt, {until(job.retry_at, why.now)}",
    }
    return sentences.get(why.word, "") or _doing(job, why.now)


def _doing(job: JobRow, now: float) -> str:
    if job.state in HELD:
        stops = f", is to {safe(job.want)}" if job.want else ""
        silent = f", no contact {duration(job.lease_late)}" if job.lease_late > 0 else ""
        return f"does not wait: runs on {place(job)} for {duration(now - job.started_at)}{stops}{silent}"
    if job.state is JobState.PAUSED:
        return f"paused by {safe(job.paused_by)}" if job.paused_by else "paused"
    why = reason(job, LAST_WORDS_ON_PAGE)
    return f"does not wait: ended {ago(job.ended_at, now)}{f', {why}' if why else ''}"


def _position(why: Why) -> str:
    if why.word == "retry":
        return ""
    parts = []
    if why.ahead:
        others = sum(why.ahead.values())
        nouns = "experiment" if len(why.ahead) == 1 else "experiments", "job" if others == 1 else "jobs"
        named = ", ".join(safe(name) for name in list(why.ahead)[:_NODES])
        more = f" and {len(why.ahead) - _NODES} more" if len(why.ahead) > _NODES else ""
        parts.append(f"{len(why.ahead)} {nouns[0]} with {others} {nouns[1]} ahead ({named}{more})")
    if why.before > 0:
        parts.append(f"{why.before} {'job' if why.before == 1 else 'jobs'} of its own experiment before it")
    if why.before < 0:
        parts.append("its place in its own experiment is not known")
    line = ", ".join(parts) or "it is next"
    return f"{line}; slots are shared by weight, which changes that" if why.fair else line


def _slots(why: Why) -> Iterator[str]:
    verdicts = why.verdicts
    if not verdicts:
        yield "none"
    if len(verdicts) <= _EACH:
        names = [safe(verdict.slot.lasting) for verdict in verdicts]
        size = max(map(len, names), default=0)
        for name, verdict in zip(names, verdicts, strict=True):
            yield f"{name:<{size}}  {_verdict(verdict, why)}"
        return
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        drained = verdict.slot.drain.why if verdict.kind == "drained" and verdict.slot.drain else ""
        groups.setdefault((verdict.kind, verdict.text or drained), []).append(verdict)
    for alike in sorted(groups.values(), key=len, reverse=True):
        yield f"{_who(alike)}  {_verdict(alike[0], why) if len(alike) == 1 else _together(alike, why)}"


def _who(alike: Sequence[Verdict]) -> str:
    if len(alike) == 1:
        return safe(alike[0].slot.lasting)
    nodes = list(dict.fromkeys(verdict.slot.node for verdict in alike))
    if len(nodes) > _NODES:
        return f"{len(alike)} slots on {len(nodes)} nodes"
    return f"{len(alike)} slots on {', '.join(map(safe, nodes))}"


def _verdict(verdict: Verdict, why: Why) -> str:
    """`busy until ~14:20 (bert/3)`, `needs 24 GiB, has 11 GiB`, `drained by ann 5m ago: dust`."""
    slot, now = verdict.slot, why.now
    job = f" ({safe(slot.experiment)}/{slot.index})" if slot.experiment and slot.index >= 0 else ""
    leaves = f", leaves {clock_of_day(slot.until, now)}" if slot.until else ""
    if slot.leaves:
        leaves = ", leaves after it"
    if verdict.kind == "silent":
        return f"no contact {duration(slot.seen_ago)}"
    if verdict.kind == "drained" and slot.drain is not None:
        return drained_line(slot.drain, now)
    if verdict.kind == "ending" and why.lasting is not None:
        return f"{_expected(why.lasting)} outlasts this slot, which ends in {until(slot.ends, now)}"
    if verdict.kind == "busy" and verdict.free_at:
        return f"busy until ~{clock_of_day(verdict.free_at, now)}{job}{leaves}"
    if verdict.kind == "busy":
        since = f" for {duration(now - slot.job_started_at)}" if slot.job_started_at else ""
        return f"busy{since}{job}{leaves}"
    return (safe(verdict.text) or verdict.kind) + ("" if verdict.kind == "unfit" else leaves)


def _expected(lasting: Lasting) -> str:
    """`its timeout of 4h00m`, `what jobs of its experiment take, 4h00m (median of 15),`."""
    if lasting.by == "timeout":
        return f"its timeout of {duration(lasting.seconds)}"
    return f"what jobs of its experiment take, {duration(lasting.seconds)} (median of {lasting.samples}),"


def _together(alike: Sequence[Verdict], why: Why) -> str:
    kind, now = alike[0].kind, why.now
    if kind == "busy":
        ends = [verdict.free_at for verdict in alike if verdict.free_at]
        if not ends:
            return "busy"
        first, last = clock_of_day(min(ends), now), clock_of_day(max(ends), now)
        return f"busy until ~{first}" if first == last else f"busy until ~{first} to ~{last}"
    if kind == "silent":
        return f"no contact {duration(min(verdict.slot.seen_ago for verdict in alike))} or more"
    if kind == "ending" and why.lasting is not None:
        end = max(verdict.slot.ends for verdict in alike)
        return f"{_expected(why.lasting)} outlasts them all, the last of which ends in {until(end, now)}"
    return _verdict(alike[0], why)


def _starts(why: Why) -> str:
    if why.estimate is None:
        return f"no estimate: {safe(why.unsure)}" if why.unsure else ""
    if why.estimate.start - why.now < 1:
        return "now"
    left = f"in {until(why.estimate.start, why.now)}"
    return f"~{clock_of_day(why.estimate.start, why.now)} ({left}) {_sure(why.estimate, why)}"


def _sure(guess: Estimate, why: Why) -> str:
    """How sure that is."""
    if not guess.samples:
        return "from what runs now"
    early, late = clock_of_day(guess.early, why.now), clock_of_day(guess.late, why.now)
    between = f"between {early} and {late}, " if early != late else ""
    jobs = "1 job" if guess.samples == 1 else f"{guess.samples} jobs"
    few = ", few to judge by" if guess.samples < 5 else ""
    return f"{between}if jobs take as long as those done: {duration(guess.typical)} (median of {jobs}{few})"


def _advice(why: Why) -> list[str]:
    """What to type to change it."""
    row, job = why.experiment, why.job
    assert job is not None
    name = safe(row.name)
    drains = dict.fromkeys(v.slot.drain.place for v in why.verdicts if v.kind == "drained" and v.slot.drain)
    commands = {
        "archived": [f"exs unarchive {name}"],
        "paused": [f"exs activate {name}"],
        "max_slots": [f"exs update {name} --max-slots none"],
        "no worker": ["exs worker"],
        "unfit": ["exs workers", f"exs show {safe(selector(job))}"],
        "drained": [f"exs enable {safe(place)}" for place in list(drains)[:_NODES]],
        "pull": [f"exs pull {name}"],
        "ending": ["exs workers", "exs worker"],
        "busy": ["exs queue", f"exs update {name} --to-top"] if why.ahead and not why.fair else ["exs queue"],
    }
    if job.state in HELD:
        return [f"exs logs -f {safe(selector(job))}"]
    if job.state is JobState.PAUSED:
        return [f"exs activate {safe(selector(job))}"]
    if job.state in FINAL:
        return [f"exs show {safe(selector(job))}"]
    return commands.get(why.word, [])


def _record(verdict: Verdict, why: Why) -> dict[str, Json]:
    return {
        "slot": verdict.slot.name,
        "node": verdict.slot.node,
        "gpus": verdict.slot.gpus.split(",") if verdict.slot.gpus else [],
        "kind": verdict.kind,
        "verdict": _verdict(verdict, why),
        "free_at": iso(verdict.free_at),
    }


def _estimate(guess: Estimate) -> dict[str, Json]:
    return {
        "at": iso(guess.start),
        "early": iso(guess.early),
        "late": iso(guess.late),
        "median_seconds": round(guess.typical, 3),
        "samples": guess.samples,
    }
