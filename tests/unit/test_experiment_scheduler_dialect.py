"""experiment-scheduler's files run unmodified, and do what its document promised and its code did not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exs.command import render
from exs.errors import InputError
from exs.settings import Limits
from exs.sweep.load import load_file
from exs.sweep.model import Options, Sweep

FILE = """\
# hp_optimization.yaml
name: hyper_parameter_optimization
resource:
- available_cuda: "0,1,2,3"

# tasks to execute are here
tasks:
- cmd: ./train_model.sh --lr 0.01 --bs 16
  condition:
    gpu: 1
  name: train_default_hp
- cmd: ./train_model.sh --lr 0.02 --bs 16
  condition:
    gpu: 1
  name: test_previous_best_hp
"""


def load(text: str, tmp_path: Path, **options: object) -> Sweep:
    path = tmp_path / "hp.yaml"
    path.write_text(text)
    return load_file(path, Options(**options), Limits(), tmp_path)  # type: ignore[arg-type]


def refused(text: str, tmp_path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load(text, tmp_path, **options)
    return str(caught.value).replace(f"{tmp_path}/", "")


def typed(sweep: Sweep) -> dict[str, str]:
    """Job name -> its one command as a person would type it."""
    return {
        job.name: render(sweep.spec.commands[job.commands[0]], job.params, {"_output": "", "_name": ""}).typed
        for job in sweep.jobs()
    }


def test_the_file_of_the_document(tmp_path: Path) -> None:
    sweep = load(FILE, tmp_path)
    assert sweep.name == "hyper_parameter_optimization"
    assert sweep.local_slots == ("0", "1", "2", "3")
    assert typed(sweep) == {
        "train_default_hp": "./train_model.sh --lr 0.01 --bs 16",
        "test_previous_best_hp": "./train_model.sh --lr 0.02 --bs 16",
    }
    assert sweep.count == 2
    for job in sweep.jobs():
        assert job.commands == (job.name,)
        assert job.resources.gpus == 1 and job.resources.indices == ("0", "1", "2", "3")
    assert sweep.notes == ["available_cuda: when pushed, only GPU 0, 1, 2, 3 of a node may run these jobs"]
    assert sweep.spec.cwd == str(tmp_path) and not sweep.spec.skip_done


@pytest.mark.parametrize("key", ["repitition", "repetition"])
@pytest.mark.parametrize("tasks", ["task", "tasks"])
def test_the_fragment_with_repetitions(key: str, tasks: str, tmp_path: Path) -> None:
    text = (
        f"name: a\n{tasks}:\n- cmd: ./train_model.sh --lr 0.01 --bs 16\n  condition:\n    gpu: 1\n"
        f"  name: train_default_hp\n  {key}: 3\n"
    )
    sweep = load(text, tmp_path)
    jobs = list(sweep.jobs())
    assert [job.name for job in jobs] == [f"train_default_hp_repit{n}" for n in (1, 2, 3)]
    assert [job.repeat for job in jobs] == [0, 1, 2] and len({job.point for job in jobs}) == 3
    assert {job.commands for job in jobs} == {("train_default_hp",)}
    assert sweep.count == 3 and sweep.local_slots == ()


def test_arguments_multiply(tmp_path: Path) -> None:
    text = (
        "name: a\ntasks:\n- name: train\n  cmd: ./t.sh --lr {{ lr }} --bs {{bs}} {lr}\n"
        "  arguments: {lr: [0.1, 1e-5], bs: [4, 8]}\n"
    )
    assert typed(load(text, tmp_path)) == {
        "train_lr_0.1_bs_4": "./t.sh --lr 0.1 --bs 4 '{lr}'",
        "train_lr_0.1_bs_8": "./t.sh --lr 0.1 --bs 8 '{lr}'",
        "train_lr_1e-5_bs_4": "./t.sh --lr 1e-5 --bs 4 '{lr}'",
        "train_lr_1e-5_bs_8": "./t.sh --lr 1e-5 --bs 8 '{lr}'",
    }


def test_arguments_and_repetitions(tmp_path: Path) -> None:
    text = "name: a\ntasks:\n- {name: t, cmd: 'a {{ x }}', arguments: {x: [1, 'b c']}, repetition: 2}\n"
    assert list(typed(load(text, tmp_path))) == ["t_x_1_repit1", "t_x_1_repit2", "t_x_b_c_repit1", "t_x_b_c_repit2"]


def test_no_two_jobs_share_a_name(tmp_path: Path) -> None:
    text = (
        "name: a\ntasks:\n- {name: t, cmd: a}\n- {name: t, cmd: a}\n- {name: t_2, cmd: b}\n"
        "- {name: u, cmd: 'a {{ x }}', arguments: {x: [1, 2]}}\n- {name: u_x_1, cmd: c}\n- {cmd: d}\n"
    )
    names = [job.name for job in load(text, tmp_path).jobs()]
    assert names[:5] == ["t", "t_2", "t_2_2", "u_x_1", "u_x_2"]
    assert re.fullmatch(r"u_x_1-[0-9a-f]{6}", names[5]) and names[6] == "task_6"
    long = f"name: a\ntasks:\n- {{name: {'n' * 190}, cmd: 'a {{{{ x }}}}', arguments: {{x: [111111111, 222222222]}}, "
    names = [job.name for job in load(long + "repetition: 12}\n", tmp_path).jobs()]
    assert len(set(names)) == 24 and max(map(len, names)) <= Limits.directory_chars


def test_a_command_can_be_a_shell_line(tmp_path: Path) -> None:
    sweep = load("name: a\ntasks:\n- {name: t, cmd: 'cd x && ./t.sh > log'}\n", tmp_path)
    assert typed(sweep) == {"t": "cd x && ./t.sh > log"}


def test_c_selects_tasks(tmp_path: Path) -> None:
    assert list(typed(load(FILE, tmp_path, commands=("train_default_hp",)))) == ["train_default_hp"]
    assert "There are: train_default_hp, test_previous_best_hp." in refused(FILE, tmp_path, commands=("x",))


def test_files_are_where_the_job_runs(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    text = "name: a\ntasks:\n- {name: t, cmd: x, files: [a.py]}\n- {name: u, cmd: x, execute_here: true}\n"
    assert load(text, tmp_path).notes == [
        f"task t: its files, of {tmp_path}: a.py",
        f"task u: runs in {tmp_path} or a copy of it, as every job does (execute_here)",
    ]
    assert refused(text.replace("a.py", "b.py"), tmp_path).startswith("hp.yaml:3: 'b.py': no such file in ")


def test_an_argument_that_the_command_does_not_show_is_named(tmp_path: Path) -> None:
    sweep = load("name: a\ntasks:\n- {name: t, cmd: x, arguments: {lr: [1, 2]}}\n", tmp_path)
    assert sweep.notes == ["task t: arguments that its command does not show: lr"]
    assert sweep.count == 2


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ("[]", "hp.yaml:2: 'tasks' must be a list of at least one item, not []."),
        ("[{name: t}]", "hp.yaml:2: the task has no command."),
        ("[{name: t, cmd: ''}]", "hp.yaml:2: the task has no command."),
        ("[{name: t, cmd: ' '}]", "hp.yaml:2: the command is empty."),
        ("[{name: t, cmd: 3}]", "hp.yaml:2: 'cmd' must be text, not 3."),
        ("[x]", "hp.yaml:2: "),
        ("[{name: ../t, cmd: a}]", "hp.yaml:2: the task '../t' cannot be part of a file name."),
        (f"[{{name: {'t' * 201}, cmd: a}}]", "hp.yaml:2: the task 'tttt"),
        ("[{name: t, cmd: a, conditions: {gpu: 1}}]", "hp.yaml:2: unknown key 'conditions'. Did you mean 'condition'?"),
        ("[{name: t, cmd: a, condition: {gpus: 1}}]", "hp.yaml:2: unknown key 'gpus'. Did you mean 'gpu'?"),
        ("[{name: t, cmd: a, condition: {gpu: one}}]", "hp.yaml:2: 'gpu' must be a whole number"),
        ("[{name: t, cmd: a, condition: {gpu: 3}}]", "hp.yaml:2: asks for 3 GPUs, but available_cuda lists 2."),
        ("[{name: t, cmd: a, repitition: 0}]", "hp.yaml:2: 'repitition' must be a whole number of at least 1"),
        ("[{name: t, cmd: a, repitition: 1, repetition: 1}]", "hp.yaml:2: has both 'repitition' and 'repetition'."),
        ("[{name: t, cmd: 'a {{ lr }}'}]", "hp.yaml:2: placeholder {{ lr }}: no parameter of that name."),
        ("[{name: t, cmd: a, arguments: {x: []}}]", "hp.yaml:2: 'x' must be a list of at least one value"),
        ("[{name: t, cmd: a, arguments: {x: [null]}}]", "hp.yaml:2: 'x' must be a list of at least one value"),
        ("[{name: t, cmd: a, execute_here: here}]", "hp.yaml:2: 'execute_here' must be true or false"),
    ],
)
def test_a_bad_task_is_one_sentence(tasks: str, sentence: str, tmp_path: Path) -> None:
    said = refused(f'name: a\ntasks: {tasks}\nresource: [available_cuda: "0,1"]\n', tmp_path)
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        ("[]", "'resource' must be a list of at least one item, not []."),
        ("[available_cuda: x]", "'x' is not a GPU."),
        ("[available_cuda: '0,0']", "'0,0' lists a GPU twice."),
        ("[available_cuda: 0, available_cuda: 0]", "lists a GPU twice."),
        ("[cuda: '0']", "unknown key 'cuda'."),
        ("[available_cuda: ]", "None is not a GPU."),
    ],
)
def test_a_bad_resource_is_one_sentence(resource: str, sentence: str, tmp_path: Path) -> None:
    assert refused(f"tasks: [{{name: t, cmd: a}}]\nresource: {resource}\n", tmp_path).startswith(
        f"hp.yaml:2: {sentence}"
    )


def test_a_file_without_a_name_is_called_after_itself(tmp_path: Path) -> None:
    assert load("tasks: [{name: t, cmd: a}]\n", tmp_path).name.endswith("-hp")


def test_both_spellings_of_tasks_are_one_too_many(tmp_path: Path) -> None:
    assert "has both 'tasks' and 'task'" in refused("tasks: [{cmd: a}]\ntask: [{cmd: a}]\n", tmp_path)
