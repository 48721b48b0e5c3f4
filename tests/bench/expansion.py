"""Points per second of a sweep, from its YAML on, beside a plain product of the axes written as JSON."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable

from exs.settings import Limits
from exs.sweep.load import load_file
from exs.sweep.model import Options
from tests.bench.bench import Bench
from tests.bench.figures import Report
from tests.bench.measure import alternately

AXES = {"lr": [0.1, 0.03, 0.01, 0.003, 0.001], "wd": [0.1, 0.01, 0.001, 0.0], "optimizer": ["sgd", "adam"]}
#: What makes a sweep more than a product.
MORE = """zip: [[lr, warmup]]
exclude: [{lr: 0.1, wd: 0.0}]
repeat: 2
"""


def _consume(things: Iterable[object]) -> int:
    return sum(1 for _ in things)


def run(bench: Bench) -> Report:
    """A grid of three axes and a seed; then one with zip, exclude and repeat."""
    seeds = bench.size(5000, 500)
    text = "command: python3 train.py --lr {lr} --wd {wd} --seed {seed} --optimizer {optimizer}\nparams:\n"
    text += "".join(f"  {name}: {json.dumps(values)}\n" for name, values in AXES.items())
    text += f"  seed: {{range: [0, {seeds}]}}\n"
    files = {
        "a grid of four parameters": text,
        "with zip, exclude and repeat": f"{text}  warmup: [1, 2, 3, 4, 5]\n{MORE}",
    }
    paths = {}
    for at, (what, content) in enumerate(files.items()):
        paths[what] = bench.scratch / f"sweep{at}.yaml"
        paths[what].write_text(content)

    def plain() -> float:
        began = time.process_time()
        axes = [*AXES.values(), range(seeds)]
        names = [*AXES, "seed"]
        count = _consume(json.dumps(dict(zip(names, point, strict=True))) for point in itertools.product(*axes))
        return count / (time.process_time() - began)

    def expanded(what: str) -> float:
        began = time.process_time()
        count = _consume(load_file(paths[what], Options(), Limits(), bench.scratch).jobs())
        return count / (time.process_time() - began)

    floor, *found = alternately(3, plain, *(lambda what=what: expanded(what) for what in files))
    report = Report(f"expansion: points per second of CPU, {40 * seeds:,} points")
    report.add("itertools.product, json.dumps", floor, "points/s")
    for what, rate in zip(files, found, strict=True):
        report.add(what, rate, "points/s", ratio=rate / floor, of="the product")
    return report
