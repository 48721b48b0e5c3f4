"""Writes the figures of README.md from one run of the side-by-side benchmark and, if given, of `tests.bench --json`.

    python -m tests.bench.readme ALL.JSON [--alone ALONE.JSON] [--write README.md]

ALL.JSON is what the side-by-side benchmark leaves of a run in which exs (exs_adapter) and other queues took part, with
repeats. Every rate is shown as a share of what a C program reaches that starts the same programs and keeps nothing,
measured just before and after each; a run on a busy machine is marked with ~. Prints the section, or with `--write`
puts it between the two marks of README.md.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.figures import spelled

BEGIN = "<!-- figures: written by tests/bench/readme.py -->"
END = "<!-- end of figures -->"

#: Peer as the run names it -> what it is called, and what it keeps of a job by default as it was run.
PEERS: dict[str, tuple[str, str]] = {
    "exs_adapter": ("**exs**", "directory, log, record, fence"),
    "huey": ("huey", "result"),
    "ray": ("Ray", "result in memory"),
    "sgs": ("simple_gpu_scheduler", "nothing"),
    "tsp": ("task-spooler", "exit code in memory"),
    "tsp:files": ("task-spooler with output files", "log, exit code in memory"),
    "celery": ("Celery", "result"),
    "dask": ("Dask", "result in memory"),
    "rq:simple": ("RQ SimpleWorker", "record, result"),
    "hq": ("HyperQueue", "record in memory"),
    "dramatiq": ("dramatiq", "result"),
    "mlrunner": ("mlrunner", "directory, log"),
    "rq": ("RQ", "record, result"),
}
#: A run beside which others used more than this many cores is not quiet.
BUSY = 0.3


def find(run: Mapping[str, Any], *path: str) -> Any:
    """What stands at a path of names; None where it ends before."""
    for name in path:
        if not isinstance(run, Mapping) or name not in run:
            return None
        run = run[name]
    return run


def middle(runs: Sequence[Mapping[str, Any]], *path: str) -> tuple[float | None, bool]:
    """The median over repeats, of the quiet ones if there is one; and whether they were quiet."""
    found = [(find(run, *path), find(run, path[0], "other_cores") or 0.0) for run in runs]
    numbers = [(value, other) for value, other in found if isinstance(value, int | float)]
    quiet = [value for value, other in numbers if other <= BUSY]
    chosen = quiet or [value for value, _ in numbers]
    return (statistics.median(chosen) if chosen else None), bool(quiet)


def cell(runs: Sequence[Mapping[str, Any]], *path: str, form: str = "{:.2f}") -> str:
    """One cell of the table; empty where the peer has no such figure."""
    value, quiet = middle(runs, *path)
    return "" if value is None else ("" if quiet else "~") + form.format(value)


def share_with_backlog(runs: Sequence[Mapping[str, Any]]) -> str:
    """The rate with 100,000 queued, as a share of the floor measured before it."""
    shares = []
    for run in runs:
        rate, floor = find(run, "scale", "jobs_per_s"), find(run, "scale", "floor_before_jobs_per_s")
        if rate and floor:
            shares.append({"scale": {"share": rate / floor, "other_cores": find(run, "scale", "other_cores") or 0.0}})
    return cell(shares, "scale", "share")


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The peers, fastest first."""
    rows: list[tuple[float, str]] = []
    for peer, (label, keeps) in PEERS.items():
        runs = [{**(find(run, "custom") or {}), **run} for run in found.get(peer, ())]
        rate, _ = middle(runs, "drain", "x_of_floor")
        if rate is None:
            continue
        kind = next((kind for kind in ("bulk", "expand", "single") if find(runs[0], "submit", kind)), "")
        cells = (
            label,
            keeps,
            cell(runs, "drain", "x_of_floor"),
            share_with_backlog(runs),
            cell(runs, "submit", kind, "jobs_per_s", form="{:,.0f}"),
            cell(runs, "latency", "submit_to_start", "median_ms", form="{:.1f}"),
        )
        rows.append((rate, "| " + " | ".join(cells) + " |"))
    head = ["queue", "keeps of a job", "2,000 jobs", "100,000 queued", "push, jobs/s", "push to start, ms"]
    floor = "| C: posix_spawn, waitpid | nothing | 1.00 | 1.00 | | |"
    return [
        "| " + " | ".join(head) + " |",
        "|---|---|---|---|---|---|",
        floor,
        *(line for _, line in sorted(rows, reverse=True)),
    ]


def alone(found: Mapping[str, Any], wanted: Sequence[tuple[str, str, str]]) -> list[str]:
    """Chosen figures of exs alone, as a table. Raises LookupError for one that its benchmark does not have."""
    lines = []
    for name, what, label in wanted:
        if name in found:
            figures = {figure["what"]: figure for figure in found[name]["figures"]}
            if what not in figures:
                raise LookupError(f"the benchmark {name} has no figure {what!r}; was it run with --quick?")
            figure = figures[what]
            ratio = f"{figure['ratio']:.2g}x of {figure['of']}" if figure["ratio"] is not None else ""
            lines.append(f"| {label} | {spelled(figure['value'])} {figure['unit']} | {ratio} |")
    return ["| exs alone | | beside |", "|---|---|---|", *lines] if lines else []


#: (benchmark, its figure, how README.md calls it).
ALONE = (
    ("expansion", "a grid of four parameters", "expanding a sweep"),
    ("push", "100,000 points: rate", "`exs push`, 100,000 points"),
    ("push", "1,000,000 points: time", "`exs push`, 1,000,000 points"),
    ("push", "1,000,000 points: another client waits at most", "another client meanwhile waits at most"),
    ("claim", "1,000,000 queued: claim", "claim, 1,000,000 queued, in Redis"),
    ("claim", "500 experiments: claim", "claim, 500 experiments, in Redis"),
    ("latency", "push to start: median", "push to start, median"),
    ("latency", "push to start: p99", "push to start, p99"),
    ("startup", "exs --help", "`exs --help`"),
    ("startup", "exs list", "`exs list`"),
    ("list", "10,000 jobs", "`exs list -t`, 10,000 jobs"),
    ("list", "100,000 jobs", "`exs list -t`, 100,000 jobs"),
    ("memory", "a slot, fresh", "a slot, private memory"),
    ("memory", "Redis per queued job, 100,000 queued", "Redis per queued job"),
    ("memory", "Redis per finished job, small result", "Redis per finished job"),
    ("idle", "a real slot", "an idle slot"),
    ("idle", "1,000 simulated slots: Redis", "Redis with 1,000 idle slots"),
    ("slots", "jobs of 20 s: finish and claim, p99", "finish and claim, 1,000 busy slots, p99"),
    ("slots", "a core of Redis carries (extrapolated)", "claims per core of Redis (extrapolated)"),
    ("output", "through exs", "1 GiB of output"),
)


def reach(own: Mapping[str, Any]) -> str:
    """How far one Redis carries, in a sentence for README.md; "" if that was not measured."""
    if not {"slots", "million"} <= set(own):
        return ""
    found = {
        name: {figure["what"]: figure["value"] for figure in own[name]["figures"]} for name in ("slots", "million")
    }

    def of(name: str, what: str) -> str:
        if what not in found[name]:
            raise LookupError(f"the benchmark {name} has no figure {what!r}; was it run with --quick?")
        return spelled(found[name][what])

    return (
        "How far one Redis carries. Measured: 1,000 slots with jobs of 20 s take "
        f"{of('slots', 'jobs of 20 s: Redis')} % of one core of it, and an outcome with the next claim "
        f"{of('slots', 'jobs of 20 s: finish and claim, median')} ms "
        f"(p99 {of('slots', 'jobs of 20 s: finish and claim, p99')} ms); 1,000,000 queued jobs take "
        f"{of('million', 'Redis per job')} bytes each, and a claim among them "
        f"{of('million', 'claim, in Redis')} us. Extrapolated from that: "
        f"{of('slots', 'a core of Redis carries (extrapolated)')} jobs a second, or "
        f"{of('slots', 'slots with jobs of 10 minutes, half a core (extrapolated)')} slots with jobs of ten minutes on "
        "half a core. Past it, take a machine with faster cores, with Redis or valkey, or give each pool a Redis of "
        "its own: `EXS_REDIS_URL` says which."
    )


def section(peers: Mapping[str, Sequence[Mapping[str, Any]]], own: Mapping[str, Any]) -> str:
    """What stands between the marks."""
    repeats = max(len(runs) for runs in peers.values())
    times = f"medians of up to {repeats} runs each" if repeats > 1 else "one run"
    intro = (
        "Jobs of `/bin/true` on two slots: the rate as a share of what a C program reaches that starts the same and "
        f"keeps nothing; {times} on one machine, side by side. exs runs as a user runs it: with directory, log, "
        "records and fence, and with Redis writing its append-only file."
    )
    text = [*textwrap.wrap(intro, 120), "", *table(peers)]
    if own:
        text += ["", "`python -m tests.bench all --json` on the same machine:", "", *alone(own, ALONE)]
    if carried := reach(own):
        text += ["", *textwrap.wrap(carried, 120)]
    return "\n".join(text)


def main() -> int:
    """Print or write it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.readme", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("all", type=Path, metavar="ALL.JSON")
    parser.add_argument("--alone", type=Path, metavar="ALONE.JSON")
    parser.add_argument("--write", type=Path, metavar="README.md")
    given = parser.parse_args()
    own = json.loads(given.alone.read_text()) if given.alone else {}
    try:
        text = section(json.loads(given.all.read_text()), own)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    if given.write is None:
        print(text)
        return 0
    page = given.write.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        print(f"{given.write} does not have the lines {BEGIN} and {END} once each.", file=sys.stderr)
        return 2
    marked = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    given.write.write_text(marked.sub(lambda _: f"{BEGIN}\n{text}\n{END}", page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
