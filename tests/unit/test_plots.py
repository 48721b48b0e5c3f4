"""Axes and drawings of plots, without a queue."""

from __future__ import annotations

import pytest

from exs.model import JobState
from exs.reader.reducers import REDUCERS
from exs.view.plots import terminal
from exs.view.plots.chart import Chart, Parallel
from exs.view.plots.groups import colours, mean_and_spread
from exs.view.plots.samples import Sample, Wish
from exs.view.plots.scale import number, number_axis, spread_like_powers, text_axis
from exs.view.plots.wanted import draw
from exs.view.screen import Screen
from exs.view.text import width


def sample(at: int, **values: object) -> Sample:
    return Sample(f"nets/{at}", JobState.DONE, values, values)


@pytest.mark.parametrize(
    ("values", "powers"),
    [
        ([0.001, 0.01, 0.1, 3.0], True),
        ([16, 32, 64, 128], True),
        ([1, 2, 3, 4], False),
        ([0.0, 0.1, 1.0, 10.0], False),
        ([0.1, 0.5, 0.9], False),
        ([1, 50, 100, 150, 200], False),
        ([0.1, 0.01], False),
    ],
)
def test_values_given_as_powers_are_known(values: list[float], powers: bool) -> None:
    assert spread_like_powers(values) is powers


def test_ticks_are_round_numbers_or_the_values_themselves() -> None:
    assert [text for _, text in number_axis("y", [0.0, 1.0], False).ticks(6)] == [
        "0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1.0",
    ]
    assert [text for _, text in number_axis("y", [1.2e6, 5e6], False).ticks(4)] == ["2e+06", "4e+06"]
    assert [text for _, text in number_axis("y", [1e-5, 10.0], True).ticks(8)] == [
        "1e-05", "0.0001", "0.001", "0.01", "0.1", "1", "10",
    ]  # fmt: skip
    axis = number_axis("lr", [0.003, 0.1], True, [(0.003, "3e-3"), (0.1, "0.1")])
    assert axis.ticks(8) == [(axis.place(0.003), "3e-3"), (axis.place(0.1), "0.1")]
    assert [round(place, 3) for place, _ in text_axis("m", ["a", "b"]).ticks(9)] == [0.25, 0.75]
    assert number_axis("one", [2.0], False).ticks(5) == [(0.5, "2")]


def test_what_is_a_number() -> None:
    assert number("1e-5") == 1e-5 and number(3) == 3.0
    words: list[object] = [True, None, "nan", "1_000", "x", float("inf"), 10**400, "9" * 500]
    assert [number(value) for value in words] == [None] * len(words)


def test_many_values_share_few_signs() -> None:
    labels, of, note = colours([sample(at, wd=at / 100) for at in range(50)], "wd")
    assert labels == ["0 to 0.09", "0.1 to 0.19", "0.2 to 0.29", "0.3 to 0.39", "0.4 to 0.49"]
    assert [of.count(group) for group in range(5)] == [10] * 5 and "50 values" in note
    names = [f"m{at % 12}" for at in range(30)]
    labels, of, _ = colours([sample(at, m=name) for at, name in enumerate(names)], "m")
    assert labels[-1] == "5 others" and len(labels) == 8 and max(of) == 7


def test_no_more_lines_are_drawn_than_can_be_seen() -> None:
    rows = [sample(at, lr=at / 7, loss=float(at)) for at in range(5000)]
    plot = draw(rows, Wish("nets", ("lr",), "loss", kind="parallel"))
    assert isinstance(plot, Parallel) and len(plot.lines) == 1000
    assert "1000 of 5000 lines, evenly chosen." in plot.caption


@pytest.mark.parametrize("kind", ["scatter", "line", "heatmap", "parallel"])
def test_no_line_is_wider_than_the_screen(kind: str) -> None:
    names = ["日本語" * 9, "an optimizer with quite a long name", "sgd"]
    rows = [sample(at, opt=names[at % 3], bs=2**at, loss=1.5**at) for at in range(12)]
    x = ("opt", "bs") if kind in ("heatmap", "parallel") else ("opt",)
    for columns in (40, 60, 80, 120):
        plot = draw(rows, Wish("nets", x, "loss", "", kind))
        lines = list(terminal.lines(plot, Screen(columns), terminal.Size(columns, 20)))
        assert max(map(width, lines)) <= columns
        assert any("日" in line for line in lines)


def test_points_of_several_groups_at_one_place_stand_side_by_side() -> None:
    rows = [sample(at, opt="sgd", model=f"m{at}", loss=1.0) for at in range(3)]
    plot = draw(rows, Wish("nets", ("opt",), "loss", "model"))
    assert isinstance(plot, Chart)
    places = [plot.places(number, group.points)[0][0] for number, group in enumerate(plot.groups)]
    assert places == sorted(set(places)) and places[1] == 0.5


@pytest.mark.parametrize("size", [1.0, 1e160, 1.7e308])
def test_mean_and_spread_of_a_loss_that_went_through_the_roof(size: float) -> None:
    mean, spread = mean_and_spread([size, size, size, size / 2])
    assert mean == pytest.approx(0.875 * size) and spread == pytest.approx(0.25 * size)
    assert REDUCERS["mean"]([size, size, size, size / 2]) == pytest.approx(mean)
    assert REDUCERS["std"]([size, size, size, size / 2]) == pytest.approx(spread)
