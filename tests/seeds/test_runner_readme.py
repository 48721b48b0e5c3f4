"""runner's README, block by block, through `exs run` instead of `run`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.lab import Exs
from exs.model import JobState
from exs.store.store import Store
from seeds.documents import fenced, text_of

MINIMAL, FILES, MACHINES, TRAIN_TEST = fenced("runner-readme.md", "yaml")
PARAM_JSON, STAT_JSON = (json.loads(block) for block in fenced("runner-readme.md", "json"))

#: What the README's commands call: it prints its arguments and its GPUs.
SCRIPT = "import os, sys\nprint(*sys.argv[1:], 'on', os.environ['CUDA_VISIBLE_DEVICES'])\n"
STAMP = r"\d{4}-\d\d-\d\d\.\d\d:\d\d:\d\d"


@pytest.fixture
def project(exs: Exs) -> Path:
    """A project directory with the scripts that the README calls."""
    for name in ("run.py", "parse.py", "train.py", "test.py"):
        (exs.cwd / name).write_text(SCRIPT)
    return exs.cwd


def logs(project: Path, command: str = "run") -> list[str]:
    """Contents of all logs of a command, sorted."""
    return sorted(path.read_text() for path in project.glob(f"output/*/log.{command}.*"))


def written(project: Path, name: str, file: str) -> Any:
    return json.loads((project / "output" / name / file).read_text())


def test_the_minimal_file_runs_four_jobs_on_two_gpus(exs: Exs, project: Path) -> None:
    (project / "params.yaml").write_text(MINIMAL)
    out, err = exs.both("run")
    assert "+4 new  on gpu0, gpu1" in out and "GPUs are pinned by index, unchecked" in err
    assert "when pushed" not in err and "only GPU 0, 1 of a node" in exs.both("plan")[1]
    assert [text.split()[0] for text in logs(project)] == ["1", "2", "3", "4"]
    for number in (1, 2, 3, 4):
        param = written(project, f"Param_{number}", "param.json")
        (log,) = (project / "output" / f"Param_{number}").glob("log.run.*")
        gpu = log.read_text().split()[-1]
        assert gpu in ("0", "1")
        assert param["_commands"] == {
            "run": f"CUDA_VISIBLE_DEVICES={gpu} python run.py {number} > output/Param_{number}/{log.name} 2>&1"
        }
        assert (param["param"], param["_name"], param["_output"]) == (
            number,
            f"Param_{number}",
            f"output/Param_{number}",
        )
        assert re.fullmatch(STAMP, param["_datetime"])
        assert written(project, f"Param_{number}", "stat.json")["run"]["code"] == 0


@pytest.mark.parametrize(
    ("resource", "slots", "gpus"),
    [
        ("[0, 1, 0, 1]", "gpu0.0, gpu0.1, gpu1.0, gpu1.1", {"0", "1"}),
        ('["0,1", "2,3"]', "gpu0-1, gpu2-3", {"0,1", "2,3"}),
    ],
)
def test_gpus_are_shared_and_joined(exs: Exs, project: Path, resource: str, slots: str, gpus: set[str]) -> None:
    assert f"`resource: {resource}`" in text_of("runner-readme.md")
    (project / "params.yaml").write_text(MINIMAL.replace("[ 0, 1 ]", resource))
    # Each job waits until as many run as there are slots: the README's "all 4 instances will run at the same time".
    together = len(slots.split(", "))
    (project / "run.py").write_text(
        SCRIPT + "import pathlib, time\n"
        "here = pathlib.Path('here'); here.mkdir(exist_ok=True); (here / sys.argv[1]).touch()\n"
        f"end = time.monotonic() + 30\nwhile len(list(here.iterdir())) < {together}:\n"
        "    assert time.monotonic() < end\n    time.sleep(0.01)\n"
    )
    assert f"on {slots}" in exs("run")
    assert {text.split()[-1] for text in logs(project)} == gpus


def test_no_param_dir_puts_all_logs_into_the_output_directory(exs: Exs, project: Path) -> None:
    (project / "params.yaml").write_text(FILES)
    exs("run", "-o", "output", "-y", "params.yaml", "--no-param-dir")
    found = {path.name for path in (project / "output").iterdir() if path.name.startswith("log.")}
    assert len(found) == 3, "text.txt.0, text.txt.1 and the dots of the README"
    for name in ("File_text.txt.0", "File_text.txt.1"):
        (log,) = [name_ for name_ in found if name_.endswith(f".{name}")]
        assert re.fullmatch(rf"log\.run\.{STAMP}\.{re.escape(name)}", log)
    assert not [path for path in (project / "output").iterdir() if path.is_dir()]
    # A third file is processed although two are done: each has a record of its own.
    (project / "params.yaml").write_text(FILES.replace("text.txt.1,", "text.txt.1, text.txt.2,"))
    assert "+1 new" in exs("run", "--no-param-dir")


def test_titles_choose_what_a_machine_runs(exs: Exs, project: Path, store: Store) -> None:
    (project / "params.yaml").write_text(MACHINES)
    exs("run", "-t", "machine1")
    assert [job.params["file"] for job in store.jobs(store.last())] == ["text.txt.0", "text.txt.1"]
    assert (project / "output" / "params.yaml.machine1").read_text() == MACHINES, "runner kept a copy"
    (project / "sub").mkdir()
    (project / "params.yaml").rename(project / "sub" / "m.yaml")
    exs("run", "-y", "sub/m.yaml", "-t", "machine2", "--name", "second")
    assert {path.name for path in (project / "output").glob("*.yaml*")} == {"params.yaml.machine1", "m.yaml.machine2"}
    (project / "sub" / "m.yaml").rename(project / "params.yaml")
    assert [text.split()[0] for text in logs(project)] == [f"text.txt.{n}" for n in (0, 1, 3, 4)]
    _, err = exs.both("run", "-t", "machine3", code=2)
    assert "machine1, machine2" in err


def test_one_command_alone_runs_after_the_others(exs: Exs, project: Path) -> None:
    (project / "params.yaml").write_text(TRAIN_TEST)
    exs("run", "-c", "train")
    assert (len(logs(project, "train")), len(logs(project, "test"))) == (2, 0)
    exs("run", "-c", "test")
    assert (len(logs(project, "train")), len(logs(project, "test"))) == (2, 2)
    name = "File_text.txt.0"
    assert list(written(project, name, "param.json")["_commands"]) == ["test", "train"]
    assert {key: value["code"] for key, value in written(project, name, "stat.json").items()} == {"train": 0, "test": 0}
    exs("run")
    assert (len(logs(project, "train")), len(logs(project, "test"))) == (2, 2), "success commands are skipped"


def test_debug_runs_the_first_choice_and_prints_its_output(exs: Exs, project: Path, store: Store) -> None:
    (project / "params.yaml").write_text(TRAIN_TEST)
    out, err = exs.both("run", "-d")
    assert out == "text.txt.0 on 0\ntext.txt.0 on 0\n" and "DONE" in err
    assert store.experiments() == [] and not list(project.glob("output/*/stat.json"))
    assert len(logs(project, "train")) == 1, "the log is written, too"
    exs("run")
    assert len(logs(project, "train")) == 3, "what was only debugged has not succeeded"


def test_a_rerun_skips_what_succeeded_and_repeats_what_failed(exs: Exs, project: Path) -> None:
    (project / "params.yaml").write_text(TRAIN_TEST)
    (project / "test.py").write_text(SCRIPT + "sys.exit(sys.argv[1] == 'text.txt.1')\n")
    assert "exit code 1" in exs("run", code=1)
    codes = {key: value["code"] for key, value in written(project, "File_text.txt.1", "stat.json").items()}
    assert codes == {"train": 0, "test": 1}
    (project / "test.py").write_text(SCRIPT)
    assert "^1 run again  =1 done" in exs("run")
    assert (len(logs(project, "train")), len(logs(project, "test"))) == (2, 3)
    assert written(project, "File_text.txt.1", "stat.json")["test"]["code"] == 0
    assert "^2 run again" in exs("run", "-f")
    assert (len(logs(project, "train")), len(logs(project, "test"))) == (4, 5)


#: The README's param.json shows what came out, not what went in; this is the file that gives it.
ALIASES = """\
template:
  base: echo {curl} [bracket] {_datetime} {_name} {_output}
  pack: echo {curl} [bracket]
  remap: echo [alias_remap]
  replace: echo [alias_replace]
resource: [1]
default: {alias_remap: remap1, alias_replace: 1, remap: remap1, remap_bracket: 0, remap_curl: 0, replace: 1}
alias:
  alias_remap:
    remap1: {alias_remap_new_bracket1: 1, alias_remap_new_bracket2: 2}
  alias_replace: [alias_replaced1, alias_replaced2]
---
curl: [1]
bracket: [1]
"""


def test_param_and_stat_json_are_those_of_the_document(exs: Exs, project: Path, store: Store) -> None:
    (project / "params.yaml").write_text(ALIASES)
    exs("run")
    name = PARAM_JSON["_name"]
    param, stat = written(project, name, "param.json"), written(project, name, "stat.json")
    stamp = param["_datetime"]
    theirs = json.loads(json.dumps(PARAM_JSON).replace(PARAM_JSON["_datetime"], stamp))
    logged = re.compile(rf"(log\.\w+)\.{STAMP}")
    for record in (param, theirs):
        record["_commands"] = {key: logged.sub(r"\1", line) for key, line in record["_commands"].items()}
    ours = {"_job", "_experiment", "_point", "_attempt"}
    assert {key: value for key, value in param.items() if key not in ours} == theirs
    assert list(param) == sorted(param)
    assert {key: {"code": value["code"]} for key, value in stat.items()} == STAT_JSON
    (job,) = store.jobs(store.last())
    assert job.state is JobState.DONE and not [key for key in job.params if key.startswith("_")]
