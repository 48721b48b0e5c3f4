"""exs's own dialect: every key of a sweep file, overrides, and a sentence for each thing that can be wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from exs.command import render
from exs.errors import InputError
from exs.model import NewJob, Resources
from exs.settings import Limits
from exs.sweep.load import load_file
from exs.sweep.model import Options, Sweep

LIMITS = Limits()


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Writes a sweep file into a directory named `lab` and loads it."""
    lab = tmp_path / "lab"
    lab.mkdir()

    def write_and_load(text: str, limits: Limits = LIMITS, file: str = "sweep.yaml", **options: Any) -> Sweep:
        (lab / file).write_text(text, encoding="utf-8")
        return load_file(lab / file, Options(**options), limits, lab)

    return write_and_load


def jobs(sweep: Sweep) -> list[NewJob]:
    return list(sweep.jobs())


def values(sweep: Sweep, name: str) -> list[Any]:
    return [job.params[name] for job in jobs(sweep)]


def typed(sweep: Sweep, job: NewJob, command: str = "run") -> list[str]:
    reserved = {"_name": job.name, "_output": "out", "_datetime": "now"}
    return render(sweep.spec.commands[command], job.params, reserved).argv


DESIGN = """\
name: resnet-lr                # letters, digits, . _ -
command: python train.py --lr {lr} --seed {seed} [nesterov]
params:
  lr: [0.1, 1e-2]              # a list is a grid axis; 1e-2 is a number (YAML 1.2)
  warmup: [5, 50]
  seed: {range: [0, 5]}        # 0 1 2 3 4
  nesterov: [true, false]
zip: [[lr, warmup]]            # axes that move together
exclude: [{lr: 0.1, nesterov: true}]
sample_seed: 0
repeat: 3
resources: {gpus: 1, gpu_memory: 20GiB, pool: a100}
priority: 41
retries: 2
timeout: 4h
grace: 90s
lost_after: 1d12h
max_running: 7
env: {WANDB_MODE: offline, N: 3}
output: results
metrics: {val_loss: 'val_loss=([0-9.]+)'}
"""


def test_the_file_of_the_design_means_what_it_says(load: Any) -> None:
    sweep = load(DESIGN)
    assert (sweep.name, sweep.dialect, sweep.pool, sweep.priority) == ("resnet-lr", "exs", "a100", 41)
    assert (sweep.retries, sweep.max_running, sweep.lost_after) == (2, 7, 129_600.0)
    assert sweep.source.endswith("lab/sweep.yaml") and sweep.source.startswith("/")
    spec = sweep.spec
    assert (spec.timeout, spec.grace, spec.output) == (14_400.0, 90.0, "results")
    assert spec.env == {"WANDB_MODE": "offline", "N": "3"}
    assert spec.metrics == {"val_loss": "val_loss=([0-9.]+)"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.\d\d:\d\d:\d\d", spec.datetime)
    found = jobs(sweep)
    assert len(found) == sweep.count == (2 * 5 * 2 - 5) * 3
    assert found[0].resources == Resources(gpus=1, gpu_memory=20 * 2**30)
    assert {(job.params["lr"], job.params["warmup"]) for job in found} == {(0.1, 5), (0.01, 50)}
    assert [job.repeat for job in found[:3]] == [0, 1, 2]
    assert typed(sweep, found[-1]) == ["python", "train.py", "--lr", "0.01", "--seed", "4"]
    assert typed(sweep, found[-4])[-1] == "--nesterov"
    assert sweep.notes == ["parameter 'warmup' is in no command; a job finds it in $EXS_PARAMS"]


def test_the_last_axis_is_the_fastest(load: Any) -> None:
    sweep = load("command: x {a} {b}\nparams: {a: [1, 2], b: [x, y, z]}")
    assert [typed(sweep, job)[1:] for job in jobs(sweep)] == [
        ["1", "x"], ["1", "y"], ["1", "z"], ["2", "x"], ["2", "y"], ["2", "z"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{range: [0, 5]}", [0, 1, 2, 3, 4]),
        ("{range: [5, 0, -2]}", [5, 3, 1]),
        ("{range: [0, 0.5, 0.1]}", [0.0, 0.1, 0.2, 0.3, 0.4]),
        ("{range: [0.3, 1, 0.3]}", [0.3, 0.6, 0.9]),
        ("{choice: [a, b]}", ["a", "b"]),
        ("{values: [[1, 2], [3]]}", [[1, 2], [3]]),
        ("[[1, 2], {k: v}]", [[1, 2], {"k": "v"}]),
        ("[yes, no, 1e3, '1', null]", ["yes", "no", 1000.0, "1", None]),
    ],
)
def test_an_axis_has_the_values_written(load: Any, written: str, found: list[Any]) -> None:
    assert values(load(f"command: x\nparams: {{p: {written}}}"), "p") == found


def test_a_scalar_is_a_constant_and_no_part_of_the_name(load: Any) -> None:
    (job,) = jobs(load("command: x {a} {b}\nparams: {a: 3, b: [4]}"))
    assert job.params == {"a": 3, "b": 4} and job.name == "B_4"


def test_values_of_any_type_reach_the_command_as_one_word(load: Any) -> None:
    sweep = load("command: x {p}\nparams: {p: [[1, a b], {k: 'v w'}, '; rm -rf /', '$(id)']}")
    assert [typed(sweep, job) for job in jobs(sweep)] == [
        ["x", '[1,"a b"]'], ["x", '{"k":"v w"}'], ["x", "; rm -rf /"], ["x", "$(id)"],
    ]  # fmt: skip


def test_commands_run_in_the_order_written_and_can_be_chosen(load: Any) -> None:
    text = "commands: {train: 'a {x}', test: [b, '{x}', 3]}\nparams: {x: [1, 2]}"
    sweep = load(text)
    assert list(sweep.spec.commands) == ["train", "test"]
    assert jobs(sweep)[0].commands == ()
    assert typed(sweep, jobs(sweep)[1], "test") == ["b", "2", "3"]
    chosen = load(text, commands=("test",))
    assert [job.commands for job in jobs(chosen)] == [("test",), ("test",)]
    assert jobs(chosen)[0].point != jobs(sweep)[0].point


def test_samples_of_a_grid_are_different_points_in_order(load: Any) -> None:
    text = "command: x\nparams: {a: {range: [0, 100]}, b: {range: [0, 100]}}\nsamples: 20\nsample_seed: 5"
    found = [(job.params["a"], job.params["b"]) for job in jobs(load(text))]
    assert len(set(found)) == 20 and found == sorted(found)
    assert load(text).count == 20
    assert found == [(job.params["a"], job.params["b"]) for job in jobs(load(text))]
    assert len(jobs(load(text, sample=7))) == 7
    other = [(job.params["a"], job.params["b"]) for job in jobs(load(text, seed=6))]
    assert other != found


def test_distributions_draw_as_often_as_samples_says(load: Any) -> None:
    text = (
        "command: x {wd}\nsamples: 20\nparams:\n  wd: {log_uniform: [1e-6, 1e-2]}\n  u: {uniform: [-1, 1]}\n"
        "  n: {int_uniform: [1, 6]}\n  g: {normal: [0, 1]}\n  a: [x, y]\n"
    )
    found = jobs(load(text))
    assert len(found) == 20 == len({job.name for job in found})
    assert list(found[0].params) == ["wd", "u", "n", "g", "a"]
    assert all(1e-6 <= job.params["wd"] <= 1e-2 and -1 <= job.params["u"] <= 1 for job in found)
    assert {job.params["n"] for job in found} <= set(range(1, 7))
    assert {job.params["a"] for job in found} == {"x", "y"}


def test_a_pattern_that_python_warns_about_warns_nobody(load: Any, recwarn: pytest.WarningsRecorder) -> None:
    assert load("command: x\nmetrics: {a: '[[x]=(.*)'}").spec.metrics == {"a": "[[x]=(.*)"}
    assert not recwarn.list


def test_empty_lists_of_groups_and_exclusions_say_nothing(load: Any) -> None:
    assert load("command: x\nparams: {a: [1, 2]}\nzip: []\nexclude: []").count == 2


def test_identical_points_run_once_and_are_counted(load: Any) -> None:
    sweep = load("command: x {a}\nparams: {a: [1, 1, 2]}")
    assert (sweep.count, values(sweep, "a"), sweep.duplicates) == (3, [1, 2], 1)


def test_a_sweep_without_a_name_is_called_after_its_directory_and_file(load: Any) -> None:
    assert load("command: x", file="my sweep.yaml").name == "lab-my-sweep"
    assert load("command: x\nname: abc", name="other").name == "other"


def test_a_point_does_not_depend_on_what_else_the_file_has(load: Any) -> None:
    small = jobs(load("command: x {a}\nname: n\nparams: {a: [1, 2]}"))
    large = jobs(load("name: n\nparams: {a: [0, 2, 1]}\ncommand: x {a}\npriority: 3\nenv: {A: b}"))
    assert {job.point for job in small} < {job.point for job in large}
    assert {job.point for job in small}.isdisjoint(
        job.point for job in jobs(load("command: y {a}\nname: n\nparams: {a: [1, 2]}"))
    )


def test_the_output_option_beats_the_file(load: Any) -> None:
    sweep = load("command: x\noutput: a", output="b", job_dirs=False)
    assert sweep.spec.output == "b" and not sweep.spec.job_dirs


def test_the_home_of_whoever_pushes_stands_for_a_tilde(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert load("command: x\noutput: ~/runs").spec.output == "/home/alice/runs"
    assert load("command: x", output="~/runs").spec.output == "/home/alice/runs"
    assert load("command: x", output="runs//").spec.output == "runs"
    assert load("command: x", output="/").spec.output == "/"


@pytest.mark.parametrize(
    ("override", "param", "found"),
    [
        ("lr=0.5", "lr", [0.5]),
        ("lr=1e-3,1", "lr", [0.001, 1]),
        ("params.lr=1,2", "lr", [1, 2]),
        ("opt.lr=3,4", "opt.lr", [3, 4]),
        ("params.opt.lr=7", "opt.lr", [7]),
        ("lr=[[1, 2], 3]", "lr", [[1, 2], 3]),
        ("lr='a,b',c", "lr", ["a,b", "c"]),
        ("lr=a=b", "lr", ["a=b"]),
        ("lr={range: [0, 3]}", "lr", [0, 1, 2]),
        ("lr=007,yes", "lr", [7, "yes"]),
        ("lr=null", "lr", [None]),
        ("params.new=1,2", "new", [1, 2]),
    ],
)
def test_overrides_change_the_file_before_it_is_read(load: Any, override: str, param: str, found: list[Any]) -> None:
    text = "command: x\nparams: {lr: 0.1, opt.lr: 0.2}"
    assert values(load(text, overrides=(override,)), param) == found


@pytest.mark.parametrize("written", ["SIGUSR1", "USR1", "usr1", " sigusr1 "])
def test_a_stop_signal_is_taken_with_and_without_sig(load: Any, written: str) -> None:
    assert load(f"command: x\nstop_signal: '{written}'").spec.stop_signal == "SIGUSR1"
    found = load(f"entrypoint: x\nname: x\nhyperparameters: {{}}\nsearcher: {{name: single}}\nstop_signal: '{written}'")
    assert (found.dialect, found.spec.stop_signal) == ("Determined", "SIGUSR1")
    assert load("command: x").spec.stop_signal == "SIGTERM"


def test_what_was_lost_is_ended_unless_the_sweep_keeps_it(load: Any) -> None:
    for line, expected in (("", ""), ("on_lost: kill", ""), ("on_lost: keep", "keep")):
        assert load(f"command: x\n{line}").spec.on_lost == expected
    with pytest.raises(InputError, match=r":2: on_lost is 'requeue', not keep or kill"):
        load("command: x\non_lost: requeue")


def test_overrides_reach_every_key(load: Any) -> None:
    sweep = load(
        "command: x\nresources: {gpus: 1}\ntimeout: 4h",
        overrides=("resources.gpus=2", "priority=3", "env.A_B=c", "name=other", "timeout=", "retries=1"),
    )
    assert jobs(sweep)[0].resources.gpus == 2
    assert (sweep.priority, sweep.name, sweep.retries) == (3, "other", 1)
    assert (sweep.spec.env, sweep.spec.timeout) == ({"A_B": "c"}, None)


def test_needs_may_be_one_of_several(load: Any) -> None:
    sweep = load(
        """
command: x
resources:
  exclude_node: [n7]
  gpu_memory: 10GiB
  any:
  - {gpus: 1, pool: a100}
  - {gpus: 2, gpu_memory: 12GiB, node: [n1, n2]}
  - {gpus: 1, pool: a100}
"""
    )
    first = Resources(gpus=1, gpu_memory=10 << 30, pool="a100", exclude_nodes=("n7",))
    second = Resources(gpus=2, gpu_memory=12 << 30, nodes=("n1", "n2"), exclude_nodes=("n7",))
    assert jobs(sweep)[0].resources == Resources.any_of([first, second])
    assert sweep.pool == "a100"
    one = load("command: x\nresources: {gpus: 4, node: n1, exclude_node: n2, pool: t4}")
    assert jobs(one)[0].resources == Resources(gpus=4, nodes=("n1",), exclude_nodes=("n2",))
    assert one.pool == "t4"


BAD = {
    "empty file": ("", r"sweep\.yaml: is empty"),
    "no mapping": ("- a", r"sweep\.yaml:1: must hold a mapping"),
    "no command": ("name: a", r"sweep\.yaml: has no command"),
    "empty command": ("name: a\ncommand: ' '", r"sweep\.yaml:2: the command is empty"),
    "empty commands": ("commands: {}", r"sweep\.yaml: has no command"),
    "one empty command": ("commands:\n  a: x\n  b: ''", r"sweep\.yaml:3: the command is empty"),
    "both": ("command: x\ncommands: {a: y}", r"sweep\.yaml:2: has both 'command' and 'commands'"),
    "command number": ("command: 3", r"sweep\.yaml:1: 'command' must be a text or a list of words"),
    "command name": ("commands: {a/b: x}", r"sweep\.yaml:1: 'a/b' cannot name a command"),
    "unknown key": ("command: x\nparms: {}", r"sweep\.yaml:2: unknown key 'parms'\. Did you mean 'params'\?"),
    "unknown resource": ("command: x\nresources: {gpu: 1}", r"sweep\.yaml:2: unknown key 'gpu'.*'gpus'"),
    "placeholder": (
        "command: x {lerning_rate}\nparams: {learning_rate: 1}",
        r"sweep\.yaml:1: .*\{lerning_rate\}.*Did you mean 'learning_rate'",
    ),
    "flag": ("command: x [nesterov]\nparams: {lr: 1}", r"sweep\.yaml:1: .*\[nesterov\]"),
    "duplicate": ("command: x\nparams:\n  a: 1\n  a: 2", r"sweep\.yaml:4: the key 'a' stands twice"),
    "syntax": ("command: x\nparams: {a: 1", r"sweep\.yaml:\d: not valid YAML"),
    "empty axis": ("command: x\nparams:\n  a: []", r"sweep\.yaml:3: 'a' must have a list of at least one value"),
    "form": ("command: x\nparams: {a: {unifrom: [0, 1]}}", r"sweep\.yaml:2: 'a' must be .*Did you mean 'uniform'"),
    "two forms": ("command: x\nparams: {a: {range: [0, 1], choice: [1]}}", r"sweep\.yaml:2: 'a' must be"),
    "range": ("command: x\nparams: {a: {range: [1]}}", r"sweep\.yaml:2: range takes \[start, stop\]"),
    "empty range": ("command: x\nparams: {a: {range: [5, 0]}}", r"sweep\.yaml:2: the range \[5, 0\] is empty"),
    "step": ("command: x\nparams: {a: {range: [0, 5, 0]}}", r"sweep\.yaml:2: the step of a range cannot be 0"),
    "huge range": ("command: x\nparams: {a: {range: [0, 1e18]}}", r"sweep\.yaml:2: the range has 1,000,000,000,0"),
    "no samples": (
        "command: x\nparams:\n  b: 1\n  a: {uniform: [0, 1]}",
        r"sweep\.yaml:4: 'a' is drawn at random, but nothing says how often\. Add samples",
    ),
    "uniform": ("command: x\nsamples: 1\nparams: {a: {uniform: [1, 0]}}", r"sweep\.yaml:3: uniform goes from low"),
    "uniform one": ("command: x\nsamples: 1\nparams: {a: {uniform: 3}}", r"sweep\.yaml:3: uniform takes \[low, hi"),
    "wide": (
        "command: x\nsamples: 1\nparams: {a: {uniform: [-1e308, 1e308]}}",
        r"sweep\.yaml:3: the numbers .* are too",
    ),
    "log": ("command: x\nsamples: 1\nparams: {a: {log_uniform: [0, 1]}}", r"sweep\.yaml:3: log_uniform takes numb"),
    "int": ("command: x\nsamples: 1\nparams: {a: {int_uniform: [0, 1.5]}}", r"sweep\.yaml:3: int_uniform takes w"),
    "normal": ("command: x\nsamples: 1\nparams: {a: {normal: [0, -1]}}", r"sweep\.yaml:3: the deviation"),
    "param name": ("command: x\nparams: {a b: 1}", r"sweep\.yaml:2: 'a b' cannot name a parameter"),
    "reserved": ("command: x\nparams: {_name: 1}", r"sweep\.yaml:2: '_name' is what exs itself fills in"),
    "null in command": ("command: x {a}\nparams: {a: [1, null]}", r"sweep\.yaml:1: parameter a is null"),
    "zip": ("command: x\nparams: {a: [1], b: [2]}\nzip: [a, b]", r"sweep\.yaml:3: zip takes a list of groups"),
    "zip name": (
        "command: x\nparams: {rate: [1]}\nzip:\n- [rste]",
        r"sweep\.yaml:4: zip names 'rste'.*Did you mean 'rate'",
    ),
    "zip twice": ("command: x\nparams: {a: [1], b: [2]}\nzip: [[a, b], [a]]", r"sweep\.yaml:3: zip names 'a' twice"),
    "zip length": (
        "command: x\nparams: {a: [1, 2], b: [1]}\nzip: [[a, b]]",
        r"sweep\.yaml:3: axes that are zipped need the same number of values: a has 2, b has 1",
    ),
    "exclude": ("command: x\nparams: {a: [1]}\nexclude: [a]", r"sweep\.yaml:3: an exclusion is a mapping"),
    "exclude name": ("command: x\nparams: {ab: [1]}\nexclude: [{ac: 1}]", r"sweep\.yaml:3: 'ac' is no axis"),
    "exclude value": ("command: x\nparams: {a: [1]}\nexclude: [{a: 2}]", r"sweep\.yaml:3: 'a' never is 2"),
    "many exclusions": (
        "command: x\nparams: {a: {range: [0, 2000]}}\nexclude: [" + "{a: 1}," * 1001 + "]",
        r"sweep\.yaml: has 1,001 exclusions, more than 1,000",
    ),
    "all excluded": ("command: x\nparams: {a: [1]}\nexclude: [{a: 1}]", r"sweep\.yaml: has no jobs: every point"),
    "grid": (
        "command: x\nparams: {a: {range: [0, 1000]}, b: {range: [0, 1000]}, c: {range: [0, 1000]}}",
        r"sweep\.yaml: has 1,000,000,000 jobs, more than the limit of 1,000,000",
    ),
    "bad name": ("command: x\nname: a/b", r"sweep\.yaml:2: 'a/b' cannot name an experiment"),
    "verb": ("command: x\nname: push", r"sweep\.yaml:2: 'push' is a command of exs"),
    "last": ("command: x\nname: last", r"sweep\.yaml:2: 'last' stands for the newest experiment"),
    "hex": ("command: x\nname: deadbeef", r"sweep\.yaml:2: 'deadbeef' stands for an experiment's id"),
    "long name": ("command: x\nname: " + "a" * 81, r"sweep\.yaml:2: the name .* is longer than 80 characters"),
    "number as name": ("command: x\nname: 3", r"sweep\.yaml:2: 'name' must be text, not 3"),
    "repeat": ("command: x\nrepeat: 0", r"sweep\.yaml:2: 'repeat' must be a whole number from 1"),
    "samples": ("command: x\nsamples: 1.5", r"sweep\.yaml:2: 'samples' must be a whole number"),
    "priority": (
        "command: x\npriority: 100",
        r"sweep\.yaml:2: 'priority' must be a whole number from 1 to 99, not 100",
    ),
    "retries": ("command: x\nretries: true", r"sweep\.yaml:2: 'retries' must be a whole number of at least 0"),
    "timeout": ("command: x\ntimeout: 4 years", r"sweep\.yaml:2: '4 years' is not a duration\. Write 90s"),
    "timeout 0": ("command: x\ntimeout: 0", r"sweep\.yaml:2: 0 is not a duration"),
    "any": ("command: x\nresources: {any: {gpus: 1}}", r"sweep\.yaml:2: 'any' must be a list of at least one item"),
    "empty any": ("command: x\nresources:\n  any:\n  - gpus: 1\n  - {}", r"sweep\.yaml:5: an alternative must say"),
    "unknown in any": ("command: x\nresources:\n  any:\n  - gpu: 1", r"sweep\.yaml:4: unknown key 'gpu'.*'gpus'"),
    "any in any": ("command: x\nresources: {any: [{any: [{gpus: 1}]}]}", r"sweep\.yaml:2: unknown key 'any'"),
    "many": (
        f"command: x\nresources: {{any: {[{'gpus': n} for n in range(9)]}}}",
        r"sweep\.yaml:2: has 9 alternatives",
    ),
    "memory in any": (
        "command: x\nresources:\n  gpu_memory: 1GB\n  any: [{gpus: 0}]",
        r"sweep\.yaml:3: asks for GPU m",
    ),
    "node": ("command: x\nresources: {node: [a, 'b;c']}", r"sweep\.yaml:2: 'b;c' cannot name a node"),
    "node number": ("command: x\nresources: {node: 3}", r"sweep\.yaml:2: 3 must be the name of a node"),
    "no node left": ("command: x\nresources: {node: a, exclude_node: [b, a]}", r"sweep\.yaml:2: excludes every node"),
    "memory": ("command: x\nresources: {gpu_memory: 20 apples}", r"sweep\.yaml:2: '20 apples' is not a size"),
    "memory on CPU": ("command: x\nresources: {gpus: 0, gpu_memory: 1GB}", r"sweep\.yaml:2: asks for GPU memory, but"),
    "pool": ("command: x\nresources: {pool: 'a b'}", r"sweep\.yaml:2: 'a b' cannot name a pool"),
    "env": ("command: x\nenv: {A: true}", r"sweep\.yaml:2: A must be text, not True\. Quote it"),
    "env name": ("command: x\nenv: {A=B: c}", r"sweep\.yaml:2: 'A=B' cannot name an environment variable"),
    "env of exs": ("command: x\nenv: {CUDA_VISIBLE_DEVICES: 3}", r"sweep\.yaml:2: CUDA_VISIBLE_DEVICES is set by exs"),
    "metrics": ("command: x\nmetrics: {a: '('}", r"sweep\.yaml:2: 'a' is no regular expression"),
    "metric groups": ("command: x\nmetrics: {a: 'x=.*'}", r"sweep\.yaml:2: the pattern of 'a' has 0 groups, not one"),
    "section": ("command: x\nparams: [1]", r"sweep\.yaml:2: 'params' must be a mapping, not \[1\]"),
    "second document": ("command: x\n---\na: [1]", r"sweep\.yaml:3: a second document; only runner's files"),
    "template misspelt": ("templat: {a: x}\n---\na: [1]", r"has no 'template'\. Did you mean 'template'\?"),
    "mixture": (
        "tasks: []\nparams: {}",
        r"mixes the keys of different kinds .*'tasks' of experiment-scheduler's \(line 1\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_with_its_place(load: Any, case: str) -> None:
    text, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence) as caught:
        jobs(load(text))
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "a b"}, "--name: 'a b' cannot name an experiment"),
        ({"title": "t"}, "-t 't': this sweep has no titles"),
        ({"commands": ("tst",)}, r"-c: there is no command 'tst'\. There are: train, test\."),
        ({"sample": 0}, "--sample must be from 1"),
        ({"overrides": ("noeq",)}, "-o 'noeq': is not of the form key=value"),
        ({"overrides": ("a..b=1",)}, "is not of the form key=value"),
        ({"overrides": ("prority=1",)}, r"^-o 'prority=1': unknown key 'prority'\. Did you mean 'priority'"),
        ({"overrides": ("priority=x",)}, "^-o 'priority=x': 'priority' must be a whole number"),
        ({"overrides": ("params.a=[1",)}, "not valid YAML"),
        ({"overrides": ("params.a=[1,2",)}, "']' is missing"),
        ({"overrides": ("params.a='x,y",)}, "a quote is not closed"),
        ({"overrides": ("params.a=.inf",)}, "is not a finite number"),
    ],
)
def test_bad_options_are_named(load: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load("commands: {train: x, test: y}", **options)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        load_file(tmp_path / "none.yaml", Options(), LIMITS, tmp_path)


def test_a_relative_path_is_told_as_typed_and_kept_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text("command: x", encoding="utf-8")
    assert load_file(Path("s.yaml"), Options(), LIMITS, Path.cwd()).source == str(tmp_path / "s.yaml")
    Path("s.yaml").write_text("comand: x", encoding="utf-8")
    with pytest.raises(InputError, match=r"^s\.yaml:1: unknown key 'comand'\. Did you mean 'command'\?"):
        load_file(Path("s.yaml"), Options(), LIMITS, Path.cwd())


def test_a_file_has_one_source_and_name_wherever_it_is_pushed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab" / "sub").mkdir(parents=True)
    (tmp_path / "lab" / "s.yaml").write_text("command: x", encoding="utf-8")
    found = []
    for cwd, path in (("lab", "s.yaml"), ("lab/sub", "../s.yaml"), (".", "lab/s.yaml")):
        monkeypatch.chdir(tmp_path / cwd)
        sweep = load_file(Path(path), Options(), LIMITS, Path.cwd())
        found.append((sweep.source, sweep.name))
        assert sweep.spec.cwd == str(Path.cwd())
    assert set(found) == {(str(tmp_path / "lab" / "s.yaml"), "lab-s")}
