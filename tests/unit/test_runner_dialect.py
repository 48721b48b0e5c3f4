"""Runner's files run unmodified, with runner's meaning; what runner got wrong is one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exs.command import render
from exs.errors import InputError
from exs.model import NewJob
from exs.settings import Limits
from exs.sweep.load import load_file
from exs.sweep.model import Options, Sweep

HEAD = "template:\n  run: python run.py {p}\nresource: [0, 1]\n"


def load(text: str, tmp_path: Path, **options: object) -> Sweep:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load_file(path, Options(**options), Limits(), tmp_path)  # type: ignore[arg-type]


def refused(text: str, tmp_path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load(text, tmp_path, **options)
    return str(caught.value).replace(f"{tmp_path}/", "")


def typed(sweep: Sweep, job: NewJob) -> list[str]:
    """The commands of a job as a person would type them."""
    reserved = {"_name": job.name, "_output": f"output/{job.name}", "_datetime": "now"}
    names = job.commands or tuple(sweep.spec.commands)
    return [render(sweep.spec.commands[name], job.params, reserved).typed for name in names]


MINIMAL = """
template:
  run: python run.py {param}

resource: [ 0, 1 ]

---
param: [ 1, 2, 3, 4 ]
"""


def test_the_minimal_file_of_the_readme(tmp_path: Path) -> None:
    sweep = load(MINIMAL, tmp_path)
    jobs = list(sweep.jobs())
    assert [typed(sweep, job) for job in jobs] == [[f"python run.py {n}"] for n in (1, 2, 3, 4)]
    assert [job.name for job in jobs] == ["Param_1", "Param_2", "Param_3", "Param_4"]
    assert sweep.local_slots == ("0", "1")
    assert sweep.spec.skip_done and sweep.spec.job_dirs and sweep.spec.output == "output"
    assert sweep.spec.cwd == str(tmp_path) and re.fullmatch(r"\d{4}-\d\d-\d\d\.\d\d:\d\d:\d\d", sweep.spec.datetime)
    assert sweep.notes == [
        "Tasks: 4, commands to run: 4",
        "resource: when pushed, only GPU 0, 1 of a node may run these jobs",
    ]


PACKS = """
template:
  base: echo {curl} [bracket] {_datetime} {_name} {_output}
  pack: echo {remap_curl} [remap_bracket]
  remap: echo [alias_remap]
  replace: echo [alias_replace]
resource: [0]
default: {bracket: 1, alias_remap: remap1, alias_replace: 1}
alias:
  alias_remap:
    remap1: {new_bracket1: 1, new_bracket2: 2}
    remap2: {new_bracket1: 3}
  alias_replace: [replaced1, replaced2]
pack:
  remap:
    remap1: {remap_bracket: 0, remap_curl: 0}
    remap2: {remap_bracket: true, remap_curl: "a b"}
---
curl: [1]
bracket: [1, 2]
remap: [remap1]
---
curl: 1
remap: [remap1, remap2]
alias_remap: remap2
"""


def test_defaults_aliases_and_packs_of_the_readmes_param_json(tmp_path: Path) -> None:
    sweep = load(PACKS, tmp_path)
    jobs = list(sweep.jobs())
    assert typed(sweep, jobs[0]) == [
        "echo 1 --bracket 1 now Curl_1-Bracket_1-Remap_remap1 output/Curl_1-Bracket_1-Remap_remap1",
        "echo 0 --remap_bracket 0",
        "echo --new_bracket1 1 --new_bracket2 2",
        "echo --replaced1 1 --replaced2 1",
    ]
    assert typed(sweep, jobs[3])[1:3] == ["echo 'a b' --remap_bracket", "echo --new_bracket1 3"]
    assert jobs[0].params == {
        "curl": 1,
        "bracket": 1,
        "remap": "remap1",
        "remap_bracket": 0,
        "remap_curl": 0,
        "alias_remap": "remap1",
        "alias_replace": 1,
    }
    assert jobs[3].name == "Curl_1-Remap_remap2-alRemap_remap2".replace("alRe", "AlRe")
    assert sweep.notes[0] == "Tasks: 4, commands to run: 16"
    assert not any("Orphan" in note for note in sweep.notes)


def test_an_alias_that_no_template_shows_is_a_pack(tmp_path: Path) -> None:
    text = (
        "template: {run: 'python [norm] {dim}'}\nresource: [0]\n"
        "alias: {arch: {pre: {norm: true, dim: 8}, post: {norm: false, dim: 9}}}\n---\narch: [pre, post]\n"
    )
    sweep = load(text, tmp_path)
    assert [typed(sweep, job) for job in sweep.jobs()] == [["python --norm 8"], ["python 9"]]
    assert [job.name for job in sweep.jobs()] == ["Arch_pre", "Arch_post"]


def test_the_readme_has_six_combinations_and_five_tasks(tmp_path: Path) -> None:
    text = (
        "template: {a: 'echo {x}', b: 'echo {y}', c: 'echo [x]'}\nresource: [0]\ndefault: {y: 1}\n"
        "---\nx: [1, 2]\ny: [1, 2]\n---\nx: [1, 3]\n"
    )
    sweep = load(text, tmp_path)
    assert sweep.count == 6
    assert sweep.notes[0] == "Tasks: 5, commands to run: 15"
    assert len(list(sweep.jobs())) == 5 and sweep.duplicates == 1


def test_values_that_runner_took_for_the_same_run_once(tmp_path: Path) -> None:
    sweep = load(HEAD + '---\np: [1, 1, 1.0, "1", 2]\n', tmp_path)
    assert [job.params["p"] for job in sweep.jobs()] == [1, 2]
    assert sweep.duplicates == 3


def test_values_that_only_look_the_same_in_a_name_both_run_apart(tmp_path: Path) -> None:
    jobs = list(load(HEAD + "---\np: [0.12345671, 0.12345672]\n", tmp_path).jobs())
    assert len({job.name for job in jobs}) == 2
    assert all(job.name.startswith("P_0.123457") for job in jobs)


def test_a_name_too_long_for_a_file_is_cut_and_told_apart(tmp_path: Path) -> None:
    values = ", ".join(f"{letter * 99}{n}" for letter in "ab" for n in (1, 2))
    text = f"template: {{run: 'echo [p] [q] [r]'}}\nresource: [0]\n---\np: [{values}]\nq: [{values}]\nr: [{values}]\n"
    names = [job.name for job in load(text, tmp_path).jobs()]
    assert len(set(names)) == 64 and max(map(len, names)) <= Limits.directory_chars


def test_yaml_is_read_as_runner_read_it(tmp_path: Path) -> None:
    sweep = load(HEAD + "---\np: [1e-5, 1.0e-3, yes]\n", tmp_path)
    assert [typed(sweep, job)[0] for job in sweep.jobs()] == [
        "python run.py 1e-5",
        "python run.py 0.001",
        "python run.py True",
    ]
    assert [job.name for job in sweep.jobs()] == ["P_1e-5", "P_0.001", "P_T"]


TITLED = "{head}---\n_title: machine1\np: [1, 2]\n---\n_title: 2\np: [3]\n---\np: [4]\n---\n_title: machine1\np: 5\n"


def test_a_title_selects_its_documents(tmp_path: Path) -> None:
    text = TITLED.format(head=HEAD)
    assert [job.params["p"] for job in load(text, tmp_path, title="machine1").jobs()] == [1, 2, 5]
    assert [job.params["p"] for job in load(text, tmp_path, title="2").jobs()] == [3]
    assert [job.params["p"] for job in load(text, tmp_path).jobs()] == [1, 2, 3, 4, 5]
    assert [job.name for job in load(text, tmp_path, title="2").jobs()] == ["P_3"]
    assert refused(text, tmp_path, title="machine3") == (
        "params.yaml: no document has the title 'machine3'. There are: machine1, 2."
    )
    assert "No document has a `_title`." in refused(MINIMAL, tmp_path, title="a")


TWO = "template:\n  train: python train.py {p}\n  test: python test.py {p} {q}\nresource: [0]\n"


def test_commands_are_chosen_by_name_and_run_in_their_order(tmp_path: Path) -> None:
    text = TWO + "---\np: [1]\nq: 1\n---\np: [2]\n_cmd: train\n---\np: [3]\nq: 3\n_cmd: [test, train]\n"
    assert [job.commands for job in load(text, tmp_path).jobs()] == [(), ("train",), ()]
    chosen = load(TWO + "---\np: 1\nq: 1\n_cmd: train\n", tmp_path, commands=("test",))
    assert [job.commands for job in chosen.jobs()] == [("test",)]
    assert chosen.notes[0] == "Tasks: 1, commands to run: 1"
    assert refused(text, tmp_path, commands=("nope",)) == "-c: there is no command 'nope'. There are: train, test."
    assert refused(TWO + "---\np: 1\n_cmd: tset\n", tmp_path) == (
        "params.yaml:7: there is no command 'tset'. There are: train, test."
    )


def test_samples_can_be_drawn_again(tmp_path: Path) -> None:
    text = HEAD + "---\np: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n---\np: [10]\n"

    def drawn(seed: int) -> list[object]:
        return [job.params["p"] for job in load(text, tmp_path, sample=3, seed=seed).jobs()]

    assert len(drawn(1)) == 4 and drawn(1) == drawn(1) and drawn(1)[-1] == 10
    assert len({tuple(map(str, drawn(seed))) for seed in range(8)}) > 1
    assert "--sample must be from 1" in refused(text, tmp_path, sample=0)


def test_one_directory_for_all_is_runners_no_param_dir(tmp_path: Path) -> None:
    spec = load(MINIMAL, tmp_path, job_dirs=False, output="o").spec
    assert not spec.job_dirs and spec.output == "o"


def test_the_logs_of_one_directory_for_all_have_names_that_a_file_system_takes(tmp_path: Path) -> None:
    text = (
        f"template: {{{'c' * 60}: 'echo [p] [q]'}}\nresource: [0]\n---\np: [{'a' * 99}]\nq: [{'b' * 99}, {'d' * 99}]\n"
    )
    names = [job.name for job in load(text, tmp_path, job_dirs=False).jobs()]
    logs = [f"log.{'c' * 60}.2026-01-31.23:59:59.12.{name}-k3m9x2c4aa" for name in names]
    assert len(set(names)) == 2 and 240 < max(map(len, logs)) <= 255
    assert max(len(job.name) for job in load(text, tmp_path).jobs()) == Limits.directory_chars
    with pytest.raises(InputError, match=r"--no-param-dir: the command .* is too long to name the logs"):
        list(load(text.replace("c" * 60, "c" * 199), tmp_path, job_dirs=False).jobs())


def test_params_that_reach_no_command_are_named(tmp_path: Path) -> None:
    sweep = load(HEAD + "---\np: 1\nseed: [1, 2]\nnote: x\n", tmp_path)
    assert "Orphan params: seed, note" in sweep.notes
    assert [job.name for job in sweep.jobs()] == ["P_1-Seed_1-Note_x", "P_1-Seed_2-Note_x"]


def test_a_path_that_exists_is_called_by_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "data" / "cifar").mkdir(parents=True)
    jobs = load(HEAD + "---\np: [data/cifar, data/none]\n", tmp_path).jobs()
    assert [job.name for job in jobs] == ["P_cifar", "P_data_none"]


def test_a_folded_command_is_one_line(tmp_path: Path) -> None:
    text = "template:\n  run: >\n    python run.py\n      --p {p}\n      --q 1\nresource: [0]\n---\np: [1]\n"
    sweep = load(text, tmp_path)
    assert [typed(sweep, job) for job in sweep.jobs()] == [["python run.py --p 1 --q 1"]]


@pytest.mark.parametrize(
    ("resource", "slots", "gpus", "indices"),
    [
        ("[0, 1, 0, 1]", ("0", "1", "0", "1"), None, ("0", "1")),
        ('["0,1", "2, 3"]', ("0,1", "2,3"), 2, ("0", "1", "2", "3")),
        ('["0,1", 2]', ("0,1", "2"), None, ("0", "1", "2")),
        ('["", ""]', ("", ""), None, None),
        ("[GPU-8f3a-1]", ("GPU-8f3a-1",), None, ("GPU-8f3a-1",)),
    ],
)
def test_resources_are_local_slots(
    resource: str, slots: tuple[str, ...], gpus: int | None, indices: tuple[str, ...] | None, tmp_path: Path
) -> None:
    sweep = load(MINIMAL.replace("[ 0, 1 ]", resource), tmp_path)
    job = next(sweep.jobs())
    assert (sweep.local_slots, job.resources.gpus, job.resources.indices) == (slots, gpus, indices)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("template: {}\nresource: [0]\n---\np: 1\n", "params.yaml:1: 'template' has no command."),
        ("template: {run: 3}\n---\np: 1\n", "params.yaml:1: 'run' must be text, not 3."),
        ("template: {run: ''}\n---\np: 1\n", "params.yaml:1: the command is empty."),
        (HEAD, "params.yaml: has no choices of parameters."),
        (HEAD + "---\np: 1\n---\n", "params.yaml:7: this document is empty."),
        (HEAD + "---\np: []\n", "params.yaml:5: 'p' must be a list of at least one value, not []."),
        (HEAD + "---\np: {range: [0, 5]}\n", "params.yaml:5: 'p' must be a list"),
        (HEAD + "---\nq: 1\n", "params.yaml:2: placeholder {p}: no parameter of that name."),
        (HEAD + "---\np: 1\n---\nq: 1\n", "params.yaml:7: command 'run' needs p, which this document does not set."),
        (HEAD + "---\np: 1\n_titel: a\n", "params.yaml:6: unknown key '_titel'. Did you mean '_title'?"),
        (HEAD + "defaults: {p: 1}\n---\np: 1\n", "params.yaml:4: unknown key 'defaults'. Did you mean 'default'?"),
        (HEAD + "---\np: [null]\n", "params.yaml:2: parameter p is null, which no command can show."),
        (MINIMAL.replace("[ 0, 1 ]", "[]"), "params.yaml:5: 'resource' must be a list of at least one item, not []."),
        (MINIMAL.replace("[ 0, 1 ]", "0"), "params.yaml:5: 'resource' must be a list"),
        (MINIMAL.replace("[ 0, 1 ]", "[x]"), "params.yaml:5: 'x' is not a GPU."),
        (MINIMAL.replace("[ 0, 1 ]", "[true]"), "params.yaml:5: True is not a GPU."),
        (MINIMAL.replace("[ 0, 1 ]", "[-1]"), "params.yaml:5: -1 is not a GPU."),
        (MINIMAL.replace("[ 0, 1 ]", "['0,0']"), "params.yaml:5: '0,0' lists a GPU twice."),
        ("template: {a/b: x}\n---\np: 1\n", "params.yaml:1: the command 'a/b' cannot be part of a file name."),
        (
            PACKS.replace("remap: [remap1]", "remap: [remap3]"),
            "params.yaml:21: 'remap' has no value 'remap3'. There are: remap1, remap2.",
        ),
        (
            PACKS.replace("alias_remap: remap2", "alias_remap: [remap2, x]"),
            "params.yaml:25: 'alias_remap' has no value 'x'. There are: remap1, remap2.",
        ),
        (
            PACKS.replace("alias_remap: remap1,", "alias_remap: y,"),
            "params.yaml:8: 'alias_remap' has no value 'y'. There are: remap1, remap2.",
        ),
        (
            PACKS.replace("remap_bracket: true, ", ""),
            "params.yaml:15: the values of 'remap' do not all fill the same parameters.",
        ),
        (PACKS.replace("{curl} ", "{curl} {remap} "), "params.yaml:15: 'remap' only fills other parameters"),
        (PACKS.replace("curl: 1\n", "curl: 1\nremap_curl: 1\n"), "'remap_curl' is set here and by a pack."),
        (PACKS.replace("[replaced1, replaced2]", "x"), "params.yaml:13: 'alias_replace' must be a list of names"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    said = refused(text, tmp_path)
    assert sentence in said and said.startswith("params.yaml")


@pytest.mark.parametrize("title", ["machine1", "machine2"])
def test_the_readmes_file_with_titles(title: str, tmp_path: Path) -> None:
    text = """template:
  run: python parse.py {file}

resource: [ 0, 1 ]

---
_title: machine1
file: [ text.txt.0, text.txt.1 ]

---
_title: machine2
file: [ text.txt.3, text.txt.4 ]
"""
    first = {"machine1": 0, "machine2": 3}[title]
    sweep = load(text, tmp_path, title=title)
    assert [job.name for job in sweep.jobs()] == [f"File_text.txt.{n}" for n in (first, first + 1)]


def test_the_readmes_file_with_two_commands(tmp_path: Path) -> None:
    text = """template:
  train: python train.py {file}
  test: python test.py {file}

resource: [ 0, 1 ]

---
file: [ text.txt.0, text.txt.1 ]
"""
    assert load(text, tmp_path).notes[0] == "Tasks: 2, commands to run: 4"
    only_test = load(text, tmp_path, commands=("test",))
    assert [typed(only_test, job) for job in only_test.jobs()] == [
        ["python test.py text.txt.0"],
        ["python test.py text.txt.1"],
    ]
