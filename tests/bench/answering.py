"""`exs results`: a query with groups over finished jobs, and over run directories, beside bare reading."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from exs.model import JobState, Offer, Outcome
from tests.bench.bench import Bench, Queue
from tests.bench.figures import Report
from tests.bench.measure import Used

#: Reads the fields and the metrics of every job, and makes the groups: what no query can do without.
PLAIN = """
import collections, json, redis, sys
r = redis.Redis.from_url(sys.argv[1])
ids = [i for key in r.scan_iter('exs:jobs:*', count=1000) for i in r.lrange(key, 0, -1)]
groups = collections.defaultdict(list)
for start in range(0, len(ids), 1000):
    with r.pipeline(transaction=False) as pipe:
        for i in ids[start:start + 1000]:
            pipe.hgetall(b'rq:job:' + i)
            pipe.hgetall(b'exs:metrics:' + i)
        told = pipe.execute()
    for job, metrics in zip(told[::2], told[1::2]):
        groups[json.loads(job[b'pr'])['wd']].append(json.loads(metrics[b'loss'])['min'][1])
for wd, values in groups.items():
    print(wd, sum(values) / len(values), len(values))
"""
#: Reads two YAML files of every run directory with PyYAML, as MLXP's reader does.
PYYAML = """
import os, sys, yaml
for name in os.listdir(sys.argv[1]):
    for file in ('config.yaml', 'info.yaml'):
        with open(os.path.join(sys.argv[1], name, 'metadata', file)) as f:
            yaml.safe_load(f)
"""
QUERY = "info.status == 'COMPLETE' & loss.min < 0.9"


def run(bench: Bench) -> Report:
    """Jobs in the queue, then directories."""
    report = Report("results: a query with --group-by and a reducer of a metric")
    _queue(bench, report)
    _directories(bench, report)
    return report


def _queue(bench: Bench, report: Report) -> None:
    count = bench.size(100_000, 2000)
    words = ("results", "resnet", "-q", QUERY, "--group-by", "wd", "--columns", "loss.min", "--agg", "mean,std,count")
    with bench.server() as queue:
        queue.push_three("resnet", count)
        _finish_all(queue)
        ours: list[Used] = []
        plain: list[Used] = []
        for _ in range(3):
            ours.append(bench.command(bench.exs(*words), queue.url))
            plain.append(bench.command([sys.executable, "-c", PLAIN, queue.url], queue.url))
    best, bare = min(ours, key=lambda used: used.wall), min(plain, key=lambda used: used.wall)
    most = None if bench.quick else 5.0
    report.add(f"{count:,} jobs", best.wall, "s", ratio=best.wall / bare.wall, of="reading alone", most=most)
    report.add(f"{count:,} jobs: memory", best.memory / 1e6, "MB", ratio=best.memory / bare.memory, of="reading alone")


def _finish_all(queue: Queue) -> None:
    """Every job is claimed, tells ten points of two metrics, and is done."""
    store = queue.store
    offer = Offer("gpu01:gpu0@1a2b", "gpu01", "b0fd8a51-8c9d-4a0f-9c1e-4a1fe8e0f7e1", gpus=("0",))
    claim = store.claim(offer, "attempt000000")
    number = 0
    while claim is not None:
        number += 1
        low = (number * 7919 % 1000) / 1000
        points = "".join(f"{step} {low + (10 - step) / 10:.9g}\n" for step in range(1, 11))
        summary = {
            "n": 10,
            "first": [1, low + 0.9],
            "last": [10, low],
            "min": [10, low],
            "max": [1, low + 0.9],
            "every": 1,
        }
        told = {
            "whole": True,
            "metrics": {"loss": [summary, 0, points], "acc": [summary, 0, points]},
            "last": {"loss": low, "acc": low},
        }
        done = Outcome(JobState.DONE, exit_code=0, seconds=12.5, result={"score": low}, report=told)
        _, claim = store.finish_and_claim(claim.job, claim.attempt, done, offer, f"attempt{number:06d}")


def _directories(bench: Bench, report: Report) -> None:
    count = bench.size(10_000, 500)
    root = bench.directory("logs")
    for number in range(1, count + 1):
        _write_run(root, number)
    words = bench.exs(
        "results", f"{root}/", "-q", "config.seed in [1, 4]", "--group-by", "optimizer.lr", "--columns", "seed"
    )
    first = bench.command(words)
    plain = bench.command([sys.executable, "-c", PYYAML, str(root)])
    again = min((bench.command(words) for _ in range(3)), key=lambda used: used.wall)
    (root / "1/metadata/info.yaml").write_text("status: FAILED\n")
    changed = bench.command(words)
    most = None if bench.quick else 20.0
    report.add(f"{count:,} directories", first.wall, "s", ratio=first.wall / plain.wall, of="PyYAML alone", most=most)
    report.add(f"{count:,} directories: again", again.wall, "s", ratio=again.wall / plain.wall, of="PyYAML alone")
    report.add(
        f"{count:,} directories: one changed", changed.wall, "s", ratio=changed.wall / plain.wall, of="PyYAML alone"
    )


def _write_run(root: Path, number: int) -> None:
    """A run of MLXP's quick start, with ten points of two metrics."""
    folder = root / str(number)
    for name in ("metadata", "metrics/.keys", "artifacts"):
        (folder / name).mkdir(parents=True)
    (folder / "metadata/config.yaml").write_text(
        f"seed: {number % 6}\nnum_epoch: 10\nmodel:\n  num_units: {number % 3}\ndata:\n  d_int: 10\n  device: cpu\n"
        f"optimizer:\n  lr: {10.0 if number % 2 else 1.0}\n"
    )
    (folder / "metadata/info.yaml").write_text(
        "status: COMPLETE\ncurrent_file_path: /home/alice/my_project/main.py\nexecutable: /home/alice/venv/bin/python\n"
        "hostname: vm\nprocess_id: 12403\nstart_date: 20/11/2026\nstart_time: 04:56:28\nend_date: 20/11/2026\n"
        f"end_time: '14:56:28'\nwork_dir: /home/alice/my_project\nlogger:\n  log_id: {number}\n  log_dir: {folder}\n"
        f"  metrics_dir: {folder}/metrics\n  metadata_dir: {folder}/metadata\n  artifacts_dir: {folder}/artifacts\n"
        "scheduler: null\nversion_manager: null\n"
    )
    lines = (json.dumps({"loss": 1 / (epoch + number), "epoch": epoch}) for epoch in range(10))
    (folder / "metrics/train.json").write_text("".join(line + "\n" for line in lines))
    (folder / "metrics/.keys/train.yaml").write_text("loss: ''\nepoch: ''\n")
