"""`exs show`: everything about one job or one experiment, as a page of labelled lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from exs.model import FINAL, HELD, JobState, Json, Spec, gpu_memory
from exs.rows import ExperimentRow, JobRow, Metric, PastAttempt, RunFiles
from exs.view import records
from exs.view.columns import assignments
from exs.view.commands import templates, typed, without_hidden
from exs.view.experiments import active, pace_line, paused
from exs.view.jobs import LAST_WORDS_ON_PAGE, reason, selector, where
from exs.view.screen import STATE_STYLE, Screen
from exs.view.sizes import size
from exs.view.text import masked, masked_all, safe, safe_lines, shown, without_secrets
from exs.view.when import ago, clock, duration

#: Files of a run directory that the page names.
_FILES = 20
#: Lines of a crashed job's output that the page ends with.
_TAIL_LINES = 12


@dataclass
class JobPage:
    """One job with its attempts; `now` is Redis time, `spec` says what it runs, None that nothing does.

    `files`: those of its run directory; None where they are not known, and `no_files` says why.
    """

    row: JobRow
    now: float
    spec: Spec | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    files: RunFiles | None = None
    no_files: str = ""

    def lines(self, screen: Screen) -> Iterator[str]:
        row = self.row
        head = f"{screen.paint(safe(selector(row)), 'bold')}  {safe(row.id)}"
        yield f"{head}  {screen.paint(row.state.value, STATE_STYLE[row.state])}"
        for label, text in self._fields():
            if text:
                yield f"  {label:<10}  {text}"
        for attempt in row.history:
            yield f"  attempt {attempt.number:<2}  {_attempt(attempt, self.now)}"
        if row.tail and row.state is JobState.CRASHED:
            yield "  its output ends with"
            tail = safe_lines(row.tail.replace("\r\n", "\n")).rstrip("\n").replace("\r", "\\r")
            yield from (f"    {line}" for line in tail.split("\n")[-_TAIL_LINES:])
        yield screen.paint("next: " + " · ".join(self._next()), "dim")

    def document(self) -> Mapping[str, Json]:
        row = self.row
        history = [records.attempt(attempt, row.params) for attempt in row.history]
        lines = typed(row, self.spec) if self.spec else {}
        return records.job(row, self.now) | {
            "command_lines": lines,
            "tail": row.tail,
            "history": history,
            "series": records.series(self.metrics),
            "files": None if self.files is None else records.files(self.files),
        }

    def records(self) -> Iterator[Mapping[str, Json]]:
        yield records.flat(records.job(self.row, self.now))

    def ids(self) -> Iterator[str]:
        yield self.row.id

    def _fields(self) -> Iterator[tuple[str, str]]:
        row = self.row
        yield "why", reason(row, LAST_WORDS_ON_PAGE)
        for label, values in (("params", row.params), ("results", row.result)):
            for number, (name, value) in enumerate(values.items()):
                yield "" if number else label, f"{safe(name)} = {shown(masked(name, value))}"
        yield from _metrics(self.metrics)
        yield "progress", f"{row.progress:.0%}" if row.progress is not None else ""
        yield "says", safe(row.said)
        lines = typed(row, self.spec) if self.spec else {}
        for number, (name, line) in enumerate(lines.items()):
            label = "commands" if len(lines) > 1 else "command"
            yield "" if number else label, safe(f"{name}: {line}" if len(lines) > 1 else line)
        yield "where", where(row, self.now)
        yield "slots", safe(", ".join((f"{row.slot} (leads)", *row.mates))) if row.mates and row.state in HELD else ""
        yield "pushed", _moment(row.created_at, self.now)
        yield "started", _moment(row.started_at, self.now)
        yield "ended", _moment(row.ended_at, self.now)
        yield "run time", duration(records.run_time(row, self.now)) if row.started_at else ""
        lost = f", {row.lost} of them lost with their slot" if row.lost else ""
        yield "attempts", f"{row.attempts}{lost}" if row.attempts > 1 or row.lost else ""
        yield "not on", safe(", ".join(row.excluded))
        yield "needs", f"a GPU with more than {gpu_memory(row.least_memory)}" if row.least_memory else ""
        yield "memory", f"{size(row.max_rss)} at most" if row.max_rss else ""
        yield "gpu memory", f"{size(row.gpu_peak)} at most" if row.gpu_peak else ""
        yield "gpu load", _load(row)
        directory = safe(without_secrets(row.directory, row.params))
        if not directory and row.state in HELD and row.spec:
            directory = f"not known yet: {safe(row.node)} tells it when it first renews the lease"
        yield "directory", directory
        yield "checkpoint", _checkpoint(row)
        yield "log", safe(without_secrets(row.log, row.params))
        yield "", f"{row.log_dropped} bytes of output were not kept" if row.log_dropped else ""
        yield from self._listed()

    def _listed(self) -> Iterator[tuple[str, str]]:
        """The files of its run directory, those at the top first."""
        if self.files is None:
            yield "files", safe(self.no_files)
            return
        files = sorted(self.files.files, key=lambda file: (file.path.count("/"), file.path))
        for number, file in enumerate(files[:_FILES]):
            yield "" if number else "files", f"{size(file.size):>8}  {safe(file.path)}"
        hidden = len(files) - _FILES
        if hidden > 0:
            rest = sum(file.size for file in files[_FILES:])
            yield "", f"{size(rest):>8}  in {hidden}{' and more' if self.files.more else ''} others"

    def _next(self) -> list[str]:
        name = safe(selector(self.row))
        if self.row.state is JobState.RUNNING:
            return [*([f"exs logs -f {name}"] if self.row.log or self.row.spec else []), f"exs cancel {name}"]
        logs = [f"exs logs {name}"] if self.row.log or self.row.spec else []  # a pull job has none but from `exs pull`
        if self.row.state in (JobState.CRASHED, JobState.CANCELED):
            return [*logs, f"exs retry {name}"]
        if self.row.state in FINAL:
            return logs or [f"exs list -t {safe(self.row.experiment)}"]
        return [*([f"exs activate {name}"] if self.row.state is JobState.PAUSED else []), f"exs cancel {name}"]


@dataclass
class ExperimentPage:
    """One experiment; `specs`: digest -> one of the ways in which its jobs are run; `scheduler`: how they are drawn."""

    row: ExperimentRow
    specs: Mapping[str, Spec]
    now: float
    scheduler: Mapping[str, Json] = field(default_factory=dict)

    def lines(self, screen: Screen) -> Iterator[str]:
        row = self.row
        yield f"{screen.paint(safe(row.name), 'bold')}  {safe(row.id)}"
        for label, text in self._fields():
            if text:
                yield f"  {label:<10}  {text}"
        name = safe(row.name)
        next_ = [f"exs list -t {name}"]
        if row.paused:
            next_.append(f"exs activate {name}")
        elif row.kind == "pull":
            next_.append(f"exs pull {name} -- COMMAND %h")
        elif active(row):
            next_.append(f"exs wait {name}")
        if row.counts.get(JobState.CRASHED, 0):
            next_.append(f"exs retry {name}")
        yield screen.paint("next: " + " · ".join(next_), "dim")

    def document(self) -> Mapping[str, Json]:
        more = {"scheduler": dict(self.scheduler)} if self.row.kind == "pull" else {}
        specs = [{"digest": digest} | _spec(spec) for digest, spec in self._specs()]
        return records.experiment(self.row) | {"specs": specs, **more}

    def records(self) -> Iterator[Mapping[str, Json]]:
        yield records.flat(records.experiment(self.row))

    def ids(self) -> Iterator[str]:
        yield self.row.name

    def _fields(self) -> Iterator[tuple[str, str]]:
        row = self.row
        counts = [f"{number} {state.value}" for state, number in row.counts.items() if number]
        yield "jobs", f"{row.jobs}: {', '.join(counts)}" if counts else str(row.jobs)
        yield "progress", pace_line(row)
        yield "", f"{row.waiting_retry} wait for their next attempt" if row.waiting_retry else ""
        yield "", f"preempted by {safe(row.preempted_by)}" if row.preempted_by else ""
        yield "", paused(row) if row.paused else ""
        yield "", "archived" if row.archived else ""
        yield "", "" if row.committed else "its push is not complete: push it again"
        yield "pushed", f"{_moment(row.created_at, self.now)} by {safe(row.user)} on {safe(row.host)}"
        yield "from", safe(row.source)
        limit = f", at most {row.max_running} at a time" if row.max_running is not None else ""
        weight = f", weight {row.weight:g}" if row.weight != 1 else ""
        kept = "" if row.preemptible else ", never preempted"
        if row.kind == "pull":
            yield from self._drawn()
            return
        yield "queue", f"pool {safe(row.pool)}, priority {row.priority}{weight}{limit}{kept}"
        yield "retries", str(row.retries) if row.retries else ""
        first = "1 job" if row.canary == 1 else f"{row.canary} jobs"
        yield "canary", f"{first} must be done before the others run" if row.canary else ""
        for digest, spec in self._specs():
            if len(self.specs) > 1:
                yield "spec", f"{safe(digest)}{', of the last push' if digest == row.spec else ''}"
            yield from _templates(spec)
            yield "run in", f"a copy of capsule {safe(spec.capsule[:12])}" if spec.capsule else safe(spec.cwd)
            yield "python", safe(spec.python)
            yield "output", safe(spec.output)
            yield "env", assignments(without_hidden(spec))
            yield "timeout", duration(spec.timeout) if spec.timeout else ""
            yield from _policies(spec)

    def _specs(self) -> Iterator[tuple[str, Spec]]:
        """That of the last push first."""
        yield from sorted(self.specs.items(), key=lambda one: one[0] != self.row.spec)

    def _drawn(self) -> Iterator[tuple[str, str]]:
        """A pull experiment: how Schedy called what makes its jobs, and what each parameter is drawn from."""
        name, drawn = next(iter(self.scheduler.items()), ("Manual", None))
        yield "scheduler", safe(name)
        for parameter, how in drawn.items() if isinstance(drawn, dict) else ():
            kind, arguments = next(iter(how.items())) if isinstance(how, dict) and how else ("", how)
            yield "", f"{safe(parameter)}: {safe(kind)} ({shown(masked(parameter, arguments))})"


def _templates(spec: Spec) -> Iterator[tuple[str, str]]:
    """The commands as the sweep has them."""
    lines = templates(spec)
    for number, (name, line) in enumerate(lines.items()):
        label = "commands" if len(lines) > 1 else "command"
        yield "" if number else label, safe(f"{name}: {line}" if len(lines) > 1 else line)


def _metrics(metrics: Mapping[str, Metric]) -> Iterator[tuple[str, str]]:
    """One line each: the last value, and where the lowest and the highest were."""
    for number, metric in enumerate(metrics.values()):
        facts = [f"at step {metric.last[0]:.12g}"]
        for word, point in (("min", metric.lowest), ("max", metric.highest)):
            if point is not None and metric.count > 1:
                facts.append(f"{word} {shown(masked(metric.name, point[1]))} at {point[0]:.12g}")
        facts.append(f"{metric.count} value{'s' if metric.count > 1 else ''}")
        line = f"{safe(metric.name)} = {shown(masked(metric.name, metric.last[1]))}  ({', '.join(facts)})"
        yield "" if number else "metrics", line


def _checkpoint(row: JobRow) -> str:
    path, step = row.checkpoint.get("path"), row.checkpoint.get("step")
    if not isinstance(path, str):
        return ""
    return safe(path) + (f"  (step {shown(step)})" if step is not None else "")


def _policies(spec: Spec) -> Iterator[tuple[str, str]]:
    """What becomes of jobs that fail: `oom: retry 1`, and what is looked for in their output."""
    rules = (
        f"{kind}: {rule[0]}" + (f" {rule[1]}" if rule[1] is not None else "") for kind, rule in spec.on_failure.items()
    )
    yield "on failure", safe(", ".join(rules))
    for number, policy in enumerate(spec.log_policies):
        what = " ".join(filter(None, (policy["action"] or "noted", policy["name"] and f"({policy['name']})")))
        yield "" if number else "in the log", safe(f"{policy['pattern']}  {what}")


def _spec(spec: Spec) -> dict[str, Json]:
    return {
        "commands": {name: dict(template) for name, template in spec.commands.items()},
        "cwd": spec.cwd,
        "output": spec.output,
        "env": masked_all(without_hidden(spec)),
        "capsule": spec.capsule or None,
        "python": spec.python or None,
        "timeout": spec.timeout,
        "on_failure": {kind: list(rule) for kind, rule in spec.on_failure.items()},
        "log_policies": [dict(policy) for policy in spec.log_policies],
    }


def _load(one: JobRow | PastAttempt) -> str:
    if one.gpu_load is None or one.gpu_load_max is None:
        return ""
    return f"{one.gpu_load:.0f}% on average, {one.gpu_load_max:.0f}% at most"


def _moment(then: float, now: float) -> str:
    return f"{ago(then, now)}  ({clock(then)})" if then else ""


def _attempt(attempt: PastAttempt, now: float) -> str:
    """One earlier attempt on one line: why it ended, where, how long it took, when."""
    what = safe(attempt.detail) or "ended"
    if attempt.failure not in ("", "error"):
        what = f"{safe(attempt.failure)}: {what}"
    place = f"on {safe(attempt.node)}" + (f":{safe(attempt.gpus)}" if attempt.gpus else "") if attempt.node else ""
    took = duration(max(0.0, attempt.ended_at - attempt.started_at)) if attempt.started_at and attempt.ended_at else ""
    when = ago(attempt.ended_at, now) if attempt.ended_at else ""
    used = f"{size(attempt.gpu_peak)} of GPU memory" if attempt.gpu_peak else ""
    return "  ".join(filter(None, (what, place, took, used, when)))
