"""Expansion: counted, streamed, sampled, named; checked against the grid built the plain way."""

from __future__ import annotations

import itertools
import json
import math
import string
import tracemalloc
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exs.errors import InputError
from exs.model import NewJob, Spec
from exs.settings import Limits
from exs.sweep import distributions
from exs.sweep.expand import Axis, Block, checked_count, commands_digest, count_block, jobs, point_hash
from exs.sweep.grid import Grid, Group, canonical
from exs.sweep.model import Sweep
from exs.sweep.naming import Namer


def sweep_of(blocks: Sequence[Block], **more: Any) -> Sweep:
    return Sweep(
        name="e",
        source="s",
        dialect="exs",
        spec=Spec(commands={"run": {"argv": [["true"]]}}, cwd="/"),
        count=0,
        build=lambda sweep: jobs(sweep, blocks, Namer(), **more),
    )


def run(*blocks: Block, **more: Any) -> list[NewJob]:
    return list(sweep_of(blocks, **more).jobs())


def params(found: Sequence[NewJob]) -> list[dict[str, Any]]:
    return [dict(job.params) for job in found]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, -1.0]), st.sampled_from(["", "a", "a-B_1"])
)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    groups = []
    names = iter(string.ascii_lowercase)
    for width in draw(st.lists(st.integers(1, 2), max_size=4)):
        length = draw(st.integers(1, 4))
        column = st.lists(VALUES, min_size=length, max_size=length)
        groups.append([Axis(next(names), draw(column)) for _ in range(width)])
    axes = [axis for group in groups for axis in group]
    exclude = []
    for _ in range(draw(st.integers(0, 3)) if axes else 0):
        chosen = draw(st.lists(st.sampled_from(axes), min_size=1, max_size=3, unique_by=lambda axis: axis.name))
        exclude.append({axis.name: draw(st.sampled_from(list(axis.values))) for axis in chosen})
    return Block(axes=groups, constants={"zz": draw(VALUES)}, exclude=exclude, repeat=draw(st.integers(1, 3)))


def same(value: Any, wanted: Any) -> bool:
    return value is wanted if isinstance(value, bool) or isinstance(wanted, bool) else value == wanted


def plainly(block: Block) -> list[dict[str, Any]]:
    """Every point of a block in order, identical ones too, built without any cleverness."""
    rows = [
        [
            dict(zip([axis.name for axis in group], cells, strict=True))
            for cells in zip(*(a.values for a in group), strict=True)
        ]
        for group in block.axes
    ]
    found = []
    for combination in itertools.product(*rows):
        point = {name: value for row in combination for name, value in row.items()}
        if not any(all(same(point[name], value) for name, value in each.items()) for each in block.exclude):
            found += [{**point, **block.constants}] * block.repeat
    return found


@given(blocks())
def test_every_point_comes_once_in_the_order_written(block: Block) -> None:
    sweep = sweep_of([block])
    found = list(sweep.jobs())
    wanted = plainly(block)
    assert count_block(block) == len(wanted)
    first_seen = list(dict.fromkeys(canonical(point) for point in wanted))
    assert [canonical(dict(job.params)) for job in found] == [text for text in first_seen for _ in range(block.repeat)]
    assert sweep.duplicates == len(wanted) - len(found)
    assert [job.repeat for job in found] == [r for _ in first_seen for r in range(block.repeat)]


@given(blocks())
def test_no_two_jobs_share_a_name_or_a_point(block: Block) -> None:
    found = run(block)
    assert len({job.name for job in found}) == len(found)
    assert len({job.point for job in found}) == len(found)


@given(blocks(), st.integers(0, 30), st.integers(0, 5))
def test_a_sample_is_an_ordered_part_of_the_whole_and_the_same_each_time(block: Block, count: int, seed: int) -> None:
    whole = [job.point for job in run(block)]
    found = [job.point for job in run(block, sample=count, seed=seed)]
    assert len(found) == min(count * block.repeat, len(whole))
    assert found == [point for point in whole if point in set(found)]
    assert found == [job.point for job in run(block, sample=count, seed=seed)]


@given(blocks())
def test_a_point_is_found_by_its_number_as_by_walking(block: Block) -> None:
    grid = block.grid(canonical)
    walked = [[dict(row.values) for row in rows] for rows in grid]
    assert len(walked) == grid.size
    assert [[dict(row.values) for row in grid.at(index)] for index in range(grid.size)] == walked


@given(blocks(), blocks())
def test_identical_points_of_two_blocks_run_once(one: Block, two: Block) -> None:
    sweep = sweep_of([one, two])
    found = list(sweep.jobs())
    wanted = {(canonical(p), r) for block in (one, two) for p in plainly(block) for r in range(block.repeat)}
    assert {(canonical(dict(job.params)), job.repeat) for job in found} == wanted
    assert len(found) == len(wanted) == len({job.name for job in found})
    assert sweep.duplicates == count_block(one) + count_block(two) - len(found)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5), st.integers(0, 3))
def test_a_point_is_what_its_parameters_say_in_any_order(values: dict[str, Any], repeat: int) -> None:
    backwards = dict(reversed(list(values.items())))
    assert point_hash("e", "d", values, repeat) == point_hash("e", "d", backwards, repeat)
    others = [point_hash("f", "d", values, repeat), point_hash("e", "x", values, repeat)]
    others += [point_hash("e", "d", values, repeat + 1), point_hash("e", "d", {**values, "longer": 1}, repeat)]
    assert point_hash("e", "d", values, repeat) not in others
    assert len(point_hash("e", "d", values, repeat)) == 16


def test_streamed_points_are_those_of_point_hash() -> None:
    block = Block(
        axes=[[Axis("b", [1, 2]), Axis("z", ["x", "y"])], [Axis("a", [True])]], constants={"m": [1, {"k": 2}]}
    )
    sweep = sweep_of([block])
    digest = commands_digest(sweep.spec.commands)
    for job in sweep.jobs():
        assert job.point == point_hash("e", digest, job.params, 0)


def test_equal_numbers_of_different_type_are_different_points() -> None:
    sweep = sweep_of([Block(axes=[[Axis("p", [1, 1, 1.0, "1", True])]])])
    found = list(sweep.jobs())
    assert [job.params["p"] for job in found] == [1, 1.0, "1", True]
    assert sweep.duplicates == 1
    assert len({job.name for job in found}) == 4


def test_a_dialect_may_have_its_own_idea_of_identical() -> None:
    def text(value: Any) -> str:
        return f"{value:g}" if isinstance(value, float) else str(value)

    blocks = [Block(axes=[[Axis("p", [1, 1.0, "1"])]]), Block(axes=[[Axis("p", ["1", 2])]])]
    sweep = sweep_of(blocks, identity=text)
    assert [job.params["p"] for job in sweep.jobs()] == [1, 2]
    assert sweep.duplicates == 3


def test_names_that_round_to_the_same_are_told_apart_whatever_else_is_pushed() -> None:
    def names(values: list[float]) -> dict[float, str]:
        return {job.params["lr"]: job.name for job in run(Block(axes=[[Axis("lr", values)]]))}

    both = names([0.12345671, 0.12345672])
    assert len(set(both.values())) == 2
    assert names([0.12345672, 0.12345671]) == both


def test_a_value_that_looks_like_the_next_parameter_gets_no_other_jobs_directory() -> None:
    found = run(Block(axes=[[Axis("a", ["1-B_2", "1"])], [Axis("b", ["3", "2-B_3"])]]))
    assert len({job.name for job in found}) == 4


def test_zipped_values_that_look_like_their_neighbours_are_told_apart() -> None:
    zipped = [Axis("a", ["1", "1-B_5"]), Axis("c", ["2", "2"])]
    block = Block(axes=[zipped, [Axis("b", ["z", "5-B_z"])]], order=("a", "b", "c"))
    assert len({job.name for job in run(block)}) == 4


def test_names_that_are_too_long_are_cut_and_stay_different() -> None:
    axes = [[Axis(name, [f"{letter * 90}" for letter in "xyz"])] for name in ("first", "second", "third")]
    found = run(Block(axes=axes, repeat=2), limits=Limits(directory_chars=120))
    assert len({job.name for job in found}) == 54
    assert max(len(job.name) for job in found) <= 120


def test_many_jobs_with_one_long_beginning_have_different_names() -> None:
    found = run(
        Block(axes=[[Axis("text", ["x" * 100])], [Axis("n", range(20_000))]]), limits=Limits(directory_chars=30)
    )
    assert len({job.name for job in found}) == 20_000


def test_repeats_stand_beside_each_other() -> None:
    found = run(Block(axes=[[Axis("a", [1, 2])]], repeat=2))
    assert [(job.name, job.repeat) for job in found] == [("A_1-r0", 0), ("A_1-r1", 1), ("A_2-r0", 0), ("A_2-r1", 1)]


def test_a_block_without_axes_is_one_job_with_a_name() -> None:
    (job,) = run(Block(constants={"a": 1}))
    assert job.name and job.params == {"a": 1}


def test_a_huge_grid_with_exclusions_is_counted_and_sampled_exactly() -> None:
    axes = [[Axis(name, list(range(100)))] for name in "abcdefgh"]
    block = Block(axes=axes, exclude=[{"a": 0}, {"a": 1, "h": 5}, {"c": 3, "h": 5}])
    # 100^8 without a=0, and of the rest those with h=5 and (a=1 or c=3)
    wanted = 99 * 100**7 - (100**6 + 99 * 100**5 - 100**5)
    assert count_block(block) == wanted
    found = params(run(block, sample=200, seed=3))
    assert len(found) == 200 == len({canonical(point) for point in found})
    assert not [p for p in found if p["a"] == 0 or (p["h"] == 5 and (p["a"] == 1 or p["c"] == 3))]


def test_a_grid_larger_than_any_index_is_sampled() -> None:
    block = Block(axes=[[Axis(f"p{n}", list(range(100)))] for n in range(12)])
    assert count_block(block) == 10**24
    assert len({canonical(point) for point in params(run(block, sample=50))}) == 50


def test_every_part_of_a_small_grid_is_equally_likely() -> None:
    grid = Grid([Group([Axis("a", list(range(5)))])])
    seen: dict[tuple[int, ...], int] = {}
    for seed in range(4000):
        chosen = tuple(rows[0].values["a"] for rows in map(list, grid.sample(2, Random(seed))))
        seen[chosen] = seen.get(chosen, 0) + 1
    assert len(seen) == math.comb(5, 2)
    assert all(300 < count < 500 for count in seen.values())


def test_a_million_points_stream_in_little_memory() -> None:
    block = Block(axes=[[Axis(name, range(100), distinct=True)] for name in "abc"], constants={"x": 1})
    stream = iter(sweep_of([block]).jobs())
    tracemalloc.start()
    first = list(itertools.islice(stream, 30_000))[-1]
    del stream
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first.params == {"a": 2, "b": 99, "c": 99, "x": 1}
    assert peak < 60 * 2**20  # 30,000 jobs at once; the rest of the million was never made
    assert count_block(block) == 1_000_000


def test_too_many_jobs_are_counted_not_built() -> None:
    block = Block(axes=[[Axis(name, list(range(1000)))] for name in "abc"])
    with pytest.raises(InputError, match=r"f: has 1,000,000,000 jobs, more than the limit of 1,000,000"):
        checked_count([block], None, Limits(), "f")
    assert checked_count([block], 7, Limits(), "f") == 7
    with pytest.raises(InputError, match="has 3,000,000 jobs"):
        checked_count([Block(axes=block.axes, repeat=3)], 1_000_000, Limits(), "f")


def test_a_count_with_thousands_of_digits_is_still_said() -> None:
    block = Block(axes=[[Axis(f"p{n}", [1, 2])] for n in range(20_000)])
    with pytest.raises(InputError, match=r"f: has about 10\^6020 jobs"):
        checked_count([block], None, Limits(), "f")


def test_a_sweep_whose_points_are_all_excluded_is_refused() -> None:
    with pytest.raises(InputError, match="every point is excluded"):
        checked_count([Block(axes=[[Axis("a", [1])]], exclude=[{"a": 1}])], None, Limits(), "f")


def test_parameters_too_large_for_a_job_are_refused() -> None:
    block = Block(axes=[[Axis("a", ["x", "y" * 70_000])]])
    with pytest.raises(InputError, match="bytes of parameters, more than the limit of 65,536"):
        checked_count([block], None, Limits(), "f")


def test_exclusions_made_to_hurt_are_refused() -> None:
    axes = [[Axis(f"p{n}", [0, 1, 2])] for n in range(24)]
    block = Block(axes=[*axes, [Axis("z", [0, 1])]], exclude=[{f"p{n}": 0, "z": 0} for n in range(24)])
    with pytest.raises(InputError, match="too many exclusions"):
        count_block(block)


def test_what_is_excluded_costs_no_walk() -> None:
    axes = [[Axis("a", [0, 1])], [Axis("b", range(10**5), distinct=True)], [Axis("c", range(10**5), distinct=True)]]
    found = run(
        Block(axes=[*axes, [Axis("d", ["x", "y"])]], exclude=[{"a": 0}, *({"b": n} for n in range(900))]), sample=3
    )
    assert len(found) == 3 and all(job.params["a"] == 1 and job.params["b"] >= 900 for job in found)
    first = Block(axes=axes[:2], exclude=[{"a": 0}])
    assert next(sweep_of([first]).jobs()).params == {"a": 1, "b": 0}


def test_more_axes_than_python_can_recurse_are_counted() -> None:
    axes = [[Axis(f"p{n}", [1])] for n in range(3000)]
    assert count_block(Block(axes=axes, exclude=[{"p0": 1, "p2999": 1}])) == 0
    assert count_block(Block(axes=axes, exclude=[{"p0": 1, "p2999": 2}])) == 1


def test_draws_are_seeded_and_go_on_when_more_are_asked_for() -> None:
    block = Block(
        axes=[[Axis("a", ["x", "y"])]],
        draws={"u": distributions.uniform(1, 2), "n": distributions.int_uniform(1, 3)},
    )
    few, many = params(run(block, sample=5, seed=1)), params(run(block, sample=50, seed=1))
    assert many[:5] == few
    assert params(run(block, sample=5, seed=2)) != few
    assert all(1 <= point["u"] < 2 and point["n"] in (1, 2, 3) and point["a"] in "xy" for point in many)
    assert {point["n"] for point in many} == {1, 2, 3}


def test_identical_draws_run_once_and_are_counted() -> None:
    sweep = sweep_of([Block(draws={"n": distributions.int_uniform(1, 3)})], sample=50)
    assert len(list(sweep.jobs())) == 3
    assert sweep.duplicates == 47


@given(st.floats(1e-6, 1), st.floats(1, 1e6), st.integers())
def test_distributions_stay_inside_their_bounds(low: float, high: float, seed: int) -> None:
    random = Random(seed)
    assert low <= distributions.uniform(low, high)(random) <= high
    assert low * (1 - 1e-9) <= distributions.log_uniform(low, high)(random) <= high * (1 + 1e-9)


@settings(max_examples=50)
@given(st.lists(st.text(max_size=3), min_size=1, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_change_points(names: list[str], random: Any) -> None:
    shuffled = names[:]
    random.shuffle(shuffled)

    def points(order: list[str]) -> set[str]:
        return {job.point for job in run(Block(axes=[[Axis(name, [1, 2])] for name in order]))}

    assert points(names) == points(shuffled)


def test_params_stand_in_the_order_written() -> None:
    block = Block(axes=[[Axis("b", [1]), Axis("d", [2])]], constants={"a": 0, "c": 3}, order=("a", "b", "c", "d"))
    (job,) = run(block)
    assert list(job.params) == ["a", "b", "c", "d"]
    assert job.name == "B_1-D_2"


def test_a_job_is_strict_json() -> None:
    (job,) = run(Block(axes=[[Axis("a", [{"k": [1, None, "ü"]}])]]))
    values: Mapping[str, Any] = json.loads(json.dumps(dict(job.params), allow_nan=False))
    assert values == {"a": {"k": [1, None, "ü"]}}
