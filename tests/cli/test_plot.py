"""`exs plot`: what is drawn in which form, with the right numbers and words, and what is said where it cannot be."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from cli.lab import Exs, Lab
from exs.model import Claim, Failure, JobState, Json, NewJob, Spec
from exs.store.push import Origin
from unit.mlxp_runs import write_run

S = JobState
SVG = "{http://www.w3.org/2000/svg}"


def push(lab: Lab, points: list[dict[str, Json]], name: str = "nets") -> None:
    spec = Spec(commands={"train": {"argv": [["true"]]}}, cwd=str(lab.cwd))
    jobs = [NewJob(params, f"P_{at}", f"{hash((name, at)) % 2**64:016x}") for at, params in enumerate(points)]
    lab.store.push(name, spec, jobs, Origin("alice", "laptop", f"/home/alice/{name}.yaml"))


def told(lab: Lab, claim: Claim, *values: float) -> None:
    """What a slot tells of the metric `loss` of a job that runs."""
    points = list(enumerate(values, 1))
    finite = [value for value in values if math.isfinite(value)]
    ends = {"first": points[0], "last": points[-1], "min": (1, min(finite)), "max": (1, max(finite))}
    text = "".join(f"{step} {value}\n" for step, value in points)
    metrics = {"loss": [{"n": len(values), "every": 1, **ends}, 0, text]}
    lab.store.report(claim.job, claim.attempt, {"whole": True, "metrics": metrics, "last": {"loss": values[-1]}})


def sweep(lab: Lab) -> None:
    """Two models, three rates, two seeds: 12 jobs, of which the last two fail."""
    grid = [{"model": m, "lr": lr, "seed": s} for m in ("r50", "vit") for lr in (0.001, 0.01, 0.1) for s in (0, 1)]
    push(lab, grid)
    for at, point in enumerate(grid):
        claim = lab.claim()
        told(lab, claim, 4.0, 1.0 + at, 2.0 + at)
        if at >= 10:
            lab.end(claim, S.CRASHED, failure=Failure.ERROR, detail="exit code 3", exit_code=3)
        else:
            lab.end(claim, result={"acc": 0.5 + 0.01 * at, "note": "fine", "model": point["model"]})


def words(file: Path) -> list[str]:
    """The texts of an SVG."""
    return ["".join(node.itertext()) for node in ET.parse(file).iter(f"{SVG}text")]


def numbers(plot: dict[str, Any]) -> dict[str, list[tuple[float, float, int]]]:
    """Label of a group -> x, mean and n of its points."""
    return {group["label"]: [(p["x"], round(p["y"], 6), p["n"]) for p in group["points"]] for group in plot["groups"]}


def test_a_plot_in_the_terminal_is_a_mean_over_seeds_in_80_columns(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    lines = exs("plot", "nets", "-x", "lr", "-y", "acc", "--color", "param.model").splitlines()
    assert lines[:2] == ["nets: acc by lr", "acc"]
    assert max(map(len, lines)) <= 80 and len(lines) <= 27
    assert next(line for line in lines if "┬" in line).count("┬") == 3
    assert "0.001" in "".join(lines) and "0.01" in "".join(lines)
    assert "param.model:  o r50  x vit" in lines
    caption = " ".join(lines[lines.index("param.model:  o r50  x vit") + 1 :])
    assert caption.startswith("12 jobs: 10 drawn, 2 failed. Mean over seed, n = 2. lr on a log scale")
    assert "Bars: ± one standard deviation." in caption
    plot = exs.json("plot", "nets", "-x", "lr", "-y", "acc", "--color", "param.model")
    assert numbers(plot) == {
        "r50": [(0.001, 0.505, 2), (0.01, 0.525, 2), (0.1, 0.545, 2)],
        "vit": [(0.001, 0.565, 2), (0.01, 0.585, 2)],
    }
    (point, *_) = plot["groups"][0]["points"]
    assert point["high"] - point["y"] == pytest.approx(0.01 / math.sqrt(2))


def test_it_chooses_what_is_not_said(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    plot = exs.json("plot", "nets")
    assert (plot["x"]["label"], plot["y"]["label"], plot["kind"]) == ("lr", "acc", "line")
    assert plot["x"]["scale"] == "log" and plot["y"]["scale"] == "linear"
    assert plot["caption"][1] == "Mean over model, seed, n = 2 to 4."
    assert exs.json("plot", "nets", "--log", "none")["x"]["scale"] == "linear"
    assert exs.json("plot", "nets", "-x", "param.model")["x"]["words"] == ["r50", "vit"]
    assert exs.json("plot", "nets", "-x", "step")["kind"] == "curves"


def test_every_kind_is_written_in_every_form(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "html": b"<!doctype html>"}
    for kind, asked in {
        "scatter": ["-x", "lr", "-y", "acc"],
        "heatmap": ["-x", "lr", "-x", "param.model", "-y", "acc"],
        "parallel": ["-y", "acc"],
        "curves": ["-y", "loss", "--color", "lr"],
    }.items():
        for form in starts if kind == "scatter" else ("svg", "html"):
            said = exs("plot", "nets", "--kind", kind, *asked, "-o", f"{kind}.{form}")
            assert said == f"{kind}.{form}: 12 jobs: 10 drawn, 2 failed.\n"
            data = (exs.cwd / f"{kind}.{form}").read_bytes()
            assert data.startswith(starts[form])
    assert not list(exs.cwd.glob(".*.svg.*")), "nothing half written stays"
    found = words(exs.cwd / "scatter.svg")
    assert {"nets: acc by lr", "lr", "acc", "0.001", "0.01", "0.1"} <= set(found)
    found = words(exs.cwd / "heatmap.svg")
    assert {"0.505", "0.525", "0.545", "0.565", "0.585", "r50", "vit", "lr", "param.model"} <= set(found)
    assert any("1 pair of values without a job" in text for text in found)
    assert {"model", "lr", "acc", "r50", "vit", "0.001"} <= set(words(exs.cwd / "parallel.svg"))
    found = words(exs.cwd / "curves.svg")
    assert {"nets: loss by step", "step", "loss", "0.001", "0.01", "0.1"} <= set(found)
    assert any("Bands: ± one standard deviation." in text for text in found)


def test_a_png_has_the_size_that_was_asked_for(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    exs("plot", "nets", "-o", "a.png", "--width", "640", "--height", "400")
    head = (exs.cwd / "a.png").read_bytes()[16:24]
    assert (int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")) == (640, 400)
    assert "320 x 240" in exs.both("plot", "nets", "-o", "a.png", "--width", "20", code=2)[1]


def test_a_page_needs_nothing_else_and_says_what_each_point_is(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    exs("plot", "nets", "-x", "lr", "-y", "acc", "--color", "param.model", "-o", "a.html")
    text = (exs.cwd / "a.html").read_text()
    assert not re.search(r"<script|(src|href)=\"(?!#|data:)", text)
    assert "<title>lr 0.001, param.model r50: 0.505 ± 0.0071, n 2</title>" in text
    assert "<th>param.model</th><th>lr</th><th>acc</th><th>low</th><th>high</th><th>n</th>" in text
    assert '<td>vit</td><td>0.01</td><td class="n">0.585</td>' in text
    exs("plot", "nets", "-x", "lr", "-y", "acc", "--raw", "-o", "a.html")
    text = (exs.cwd / "a.html").read_text()
    assert "<title>nets/3: lr 0.01: 0.53</title>" in text
    assert "<th>lr</th><th>acc</th><th>job</th>" in text and "<td>nets/3</td>" in text


def test_every_point_of_a_curve_says_what_it_is_on_a_page_and_every_job_that_is_a_line(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    curves = ("plot", "nets", "-x", "step", "-y", "loss", "--color", "param.model")
    exs(*curves, "-o", "a.html")
    text = (exs.cwd / "a.html").read_text()
    tips = re.findall(r"<title>(step .*?)</title>", text)
    assert len(tips) == 2 * 3 and tips[0] == "step 1, param.model r50: 4 ± 0, n 6"
    assert text.count('id="hidden-') == 2 and "g[id^=hidden] use { opacity: 0 }" in text
    exs(*curves, "-o", "a.svg")
    assert "hidden" not in (exs.cwd / "a.svg").read_text()
    exs(*curves, "--raw", "-o", "a.html")
    assert "<title>nets/3, param.model r50</title>" in (exs.cwd / "a.html").read_text()


def test_there_is_no_tick_between_two_steps(exs: Exs, lab: Lab) -> None:
    push(lab, [{"lr": 0.1}])
    told(lab, lab.claim(), 4.0, 2.0, 1.0, 0.5)
    exs("plot", "nets", "-x", "step", "-y", "loss", "-o", "a.svg")
    found = words(exs.cwd / "a.svg")
    assert {"1", "2", "3", "4"} <= set(found) and not {"1.5", "2.5"} & set(found[: found.index("step")])


def test_curves_are_means_where_jobs_have_points(exs: Exs, lab: Lab) -> None:
    push(lab, [{"lr": 0.1, "seed": 0}, {"lr": 0.1, "seed": 1}, {"lr": 0.1, "seed": 2}])
    told(lab, lab.claim(), 4.0, 2.0, 1.0)
    told(lab, lab.claim(), 2.0, 4.0)
    told(lab, lab.claim(), 3.0, math.nan, 3.0)
    plot = exs.json("plot", "nets", "-x", "step", "-y", "loss")
    assert numbers(plot) == {"": [(1, 3.0, 3), (2, 3.0, 3), (3, 2.0, 2)]}  # on the line over the hole
    assert any("1 of the jobs had a loss that is no finite number" in text for text in plot["caption"])
    lines = exs.json("plot", "nets", "-x", "step", "-y", "loss", "--raw")["groups"][0]["runs"]
    assert [[p["y"] for p in run] for run in lines] == [[4.0, 2.0, 1.0], [2.0, 4.0], [3.0, 3.0]]


def test_parts_of_metrics_and_seconds_are_values(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    plot = exs.json("plot", "nets", "-x", "lr", "-y", "loss.max")
    assert numbers(plot)[""][0] == (0.001, (4 + 4 + 8 + 9) / 4, 4)
    assert "loss.max is the highest loss of a job." in plot["caption"]
    assert numbers(exs.json("plot", "nets", "-x", "lr", "-y", "seconds"))[""][2][2] == 2
    assert numbers(exs.json("plot", "nets/0-1", "-x", "lr", "-y", "loss.max")) == {"": [(0.001, 4.0, 2)]}
    assert "loss is the last of a job." in exs.json("plot", "nets", "-x", "lr", "-y", "loss")["caption"]


def test_jobs_that_failed_or_run_are_drawn_where_they_are_asked_for(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    plot = exs.json("plot", "nets", "-x", "seed", "-y", "loss", "--status", "crashed")
    assert numbers(plot) == {"": [(0, 12.0, 1), (1, 13.0, 1)]}
    assert plot["caption"][0] == "2 jobs, all drawn."


def test_a_number_that_is_text_stands_on_an_axis_of_numbers_and_values_of_two_kinds_are_words(
    exs: Exs, lab: Lab
) -> None:
    push(lab, [{"lr": "1e-5", "k": 1}, {"lr": "1e-3", "k": "auto"}, {"lr": 0.1, "k": True}])
    for loss in (1.0, 2.0, 3.0):
        lab.end(lab.claim(), result={"loss": loss})
    x = exs.json("plot", "nets", "-x", "lr")["x"]
    assert (x["scale"], x["low"], x["high"]) == ("log", 1e-5, 0.1)
    assert exs.json("plot", "nets", "-x", "k")["x"]["words"] == ["1", "auto", "true"]


def test_powers_are_told_from_ranges(exs: Exs, lab: Lab) -> None:
    push(lab, [{"even": 100 + 10 * at, "power": 2**at, "zero": 0 if at == 0 else 10**at} for at in range(5)])
    for at in range(5):
        lab.end(lab.claim(), result={"loss": at - 1.0})
    scales = {name: exs.json("plot", "nets", "-x", name)["x"]["scale"] for name in ("even", "power", "zero")}
    assert scales == {"even": "linear", "power": "log", "zero": "linear"}
    said = exs.both("plot", "nets", "-x", "zero", "--log", "x", code=2)[1]
    assert said == "exs: zero has no log scale: 1 of its 5 values is 0 or below.\n     Leave out --log x.\n"
    assert "2 of its 5 values are 0 or below" in exs.both("plot", "nets", "-x", "even", "--log", "y", code=2)[1]


def test_no_control_character_of_a_name_or_value_gets_out(exs: Exs, lab: Lab) -> None:
    evil = "\x1b[2J<b>&\u202e"
    push(lab, [{evil: f"a{evil}", "n": 1}, {evil: f"b{evil}", "n": 2}])
    for loss in (1.0, 2.0):
        lab.end(lab.claim(), result={"loss": loss, evil: loss})
    for more in ([], ["--kind", "parallel"], ["--kind", "heatmap", "-x", f"param.{evil}", "-x", "n"]):
        out = exs("plot", "nets", "-y", "loss", "--color", f"param.{evil}", *more)
        assert "\\x1b[2J" in out and "\x1b" not in out and "\u202e" not in out
    exs("plot", "nets", "-x", f"param.{evil}", "-y", f"result.{evil}", "-o", "a.html")
    text = (exs.cwd / "a.html").read_text()
    assert "\x1b" not in text and "<b>" not in text and "\\x1b[2J&lt;b&gt;&amp;" in text


def test_a_terminal_without_unicode_gets_ascii(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    exs.env["PYTHONIOENCODING"] = "ascii:backslashreplace"
    for more in ([], ["-x", "step"], ["--kind", "heatmap"], ["--kind", "parallel"]):
        out = exs("plot", "nets", *more)
        assert out.isascii() and "\\u" not in out and "\\x" not in out


def test_what_cannot_be_drawn_is_one_sentence(exs: Exs, lab: Lab) -> None:
    assert "no experiment or job 'nets'" in exs.both("plot", "nets", code=2)[1]
    push(lab, [{"lr": 0.1, "seed": 0}, {"lr": 0.2, "seed": 1}])
    assert "there is nothing to plot yet: 2 jobs: 0 drawn, 2 not finished." in exs.both("plot", "nets", code=2)[1]
    assert "no job has reported a metric yet" in exs.both("plot", "nets", "-x", "step", code=2)[1]
    lab.end(lab.claim(), result={"note": "fine"})
    assert "no job has a result that is a number" in exs.both("plot", "nets", code=2)[1]
    lab.end(lab.claim(), result={"loss": 0.5, "note": "fine"})

    def refused(*asked: str) -> str:
        out, err = exs.both("plot", "nets", *asked, code=2)
        assert out == "" and err.startswith("exs: ")
        return err

    assert "cannot plot 'lrr': no job has such" in refused("-x", "lrr") and "'lr'?" in refused("-x", "lrr")
    assert "Did you mean 'loss'?" in refused("-y", "los")
    assert "cannot plot 'note': none of its values is a number." in refused("-y", "note")
    assert "has one x axis, and 2 were given" in refused("-x", "lr", "-x", "seed")
    assert "no two parameters differ" not in exs("plot", "nets", "--kind", "heatmap", "-x", "lr", "-x", "seed")
    assert "no parameter differs" in refused("--kind", "heatmap")
    assert "curves are drawn over the step, not over 'lr'" in refused("--kind", "curves", "-x", "lr")
    assert "its ending says no form of picture" in refused("-o", "a.jpg")
    assert "is no directory" in refused("-o", "nowhere/a.png")
    assert "give one of them" in refused("-o", "a.png", "--json")
    assert list(exs.cwd.glob("*.png")) == []


def test_a_library_that_is_not_installed_is_named_with_what_to_type(exs: Exs, lab: Lab) -> None:
    sweep(lab)
    absent = exs.cwd / "absent"
    for library in ("matplotlib", "plotille"):
        (absent / library).mkdir(parents=True)
        (absent / library / "__init__.py").write_text("raise ModuleNotFoundError(f'No module named {__name__!r}')")
    exs.env["PYTHONPATH"] = f"{absent}:{exs.env['PYTHONPATH']}"
    for more, library in ((["-o", "a.png"], "matplotlib"), (["-o", "a.html"], "matplotlib"), ([], "plotille")):
        err = exs.both("plot", "nets", *more, code=2)[1]
        assert f"drawn by {library}, and that cannot be imported: No module named '{library}'." in err
        assert err.endswith("Install it: pip install 'exs[plot]'\n")
    assert exs.json("plot", "nets")["kind"] == "line"


def test_curves_of_mlxps_runs_count_their_steps_as_the_queue_does(exs: Exs) -> None:
    for seed in (1, 2):
        losses = [{"epoch": epoch, "loss": seed + epoch, "note": "fine"} for epoch in range(1200)]
        write_run(exs.cwd / "logs", seed, {"lr": 0.1, "seed": seed}, {"train": losses})
    with (exs.cwd / "logs/1/metrics/train.json").open("a") as file:
        file.write('{"epoch": 1200, "lo')
    (group,) = exs.json("plot", "logs", "-x", "step", "-y", "train.loss")["groups"]
    first, *_, last = group["points"]
    assert (first["x"], first["y"], first["n"]) == (1, 1.5, 2) and (last["x"], last["y"]) == (1200, 1200.5)


def test_run_directories_and_exported_files_are_drawn_too(exs: Exs, lab: Lab) -> None:
    for at in range(4):
        folder = exs.cwd / "output" / f"Lr_{at}"
        (folder / "metrics").mkdir(parents=True)
        (folder / "param.json").write_text(json.dumps({"lr": 10.0**-at, "_commands": {"train": "true"}}))
        (folder / "stat.json").write_text(json.dumps({"train": {"code": int(at == 3)}}))
        (folder / "metrics" / "loss.json").write_text(f'{{"step": 1, "loss": 4}}\n{{"step": 2, "loss": {at}}}\n')
    plot = exs.json("plot", "./output", "-x", "lr", "-y", "loss.min")
    assert numbers(plot) == {"": [(0.01, 2.0, 1), (0.1, 1.0, 1), (1.0, 0.0, 1)]}
    assert plot["caption"][0] == "4 jobs: 3 drawn, 1 failed." and plot["title"] == "output: loss.min by lr"
    plot = exs.json("plot", "output", "-x", "step")
    assert numbers(plot)["0.1"] == [(1, 4.0, 1), (2, 1.0, 1)] and plot["title"] == "output: loss by step"
    assert plot["caption"][0] == "4 jobs: 3 drawn, 1 failed."
    sweep(lab)
    exs("export", "nets", "nets.jsonl")
    for more in (["-x", "lr", "-y", "acc"], ["-x", "step", "-y", "loss"]):
        assert numbers(exs.json("plot", "nets.jsonl", *more)) == numbers(exs.json("plot", "nets", *more))


def test_a_step_that_no_axis_has_is_counted_and_an_archive_with_one_is_refused(exs: Exs, lab: Lab) -> None:
    for at, wrong in enumerate(["NaN", "Infinity", "1" + "0" * 400, "1e300"]):
        folder = exs.cwd / "output" / f"Lr_{at}"
        (folder / "metrics").mkdir(parents=True)
        (folder / "param.json").write_text(json.dumps({"lr": at, "_commands": {"train": "true"}}))
        (folder / "stat.json").write_text('{"train": {"code": 0}}')
        lines = f'{{"step": 1, "loss": 4}}\n{{"step": {wrong}, "loss": 2}}\n'
        (folder / "metrics" / "loss.json").write_text(lines)
    plot = exs.json("plot", "./output", "-x", "step", "-y", "loss")
    assert all(points == [(1, 4.0, 1), (2, 2.0, 1)] for points in numbers(plot).values()) and plot["groups"]
    push(lab, [{"lr": 1}])
    claim = lab.claim()
    told(lab, claim, 4.0, 3.0)
    lab.end(claim, result={})
    exs("export", "nets", "nets.jsonl")
    text = (exs.cwd / "nets.jsonl").read_text()
    for wrong in ("Infinity", "1" + "0" * 400):
        (exs.cwd / "nets.jsonl").write_text(re.sub(r'("points": ?\[\[)1(?:\.0)?,', rf"\g<1>{wrong},", text))
        assert "nets.jsonl" in exs.both("plot", "nets.jsonl", "-x", "step", "-y", "loss", code=2)[1]


def test_directories_have_all_metrics_that_are_named_and_need_no_redis(exs: Exs) -> None:
    for seed in (1, 2):
        lines = [{"loss": 1.0 * seed, "acc": 0.5 * seed, "size": seed}]
        write_run(exs.cwd / "logs", seed, {"seed": seed}, {"train": lines})
    exs.env["EXS_REDIS_URL"] = "unix:///nowhere"
    plot = exs.json("plot", "logs", "-x", "train.acc", "-y", "train.loss.min", "--color", "train.size")
    assert sorted(point for group in numbers(plot).values() for point in group) == [(0.5, 1.0, 1), (1.0, 2.0, 1)]
    assert len(plot["groups"]) == 2
    exs.both("plot", "nowhere", "-y", "train.loss", code=3)
