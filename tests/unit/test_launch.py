"""Environment of a job, and every way in which a command can fail to start (M20)."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exs.model import Claim
from exs_worker.launch import (
    SpawnError,
    base_environment,
    explain,
    job_environment,
    keep_descriptors,
    pinning,
    seed,
    spawn,
)

CLAIM = Claim("jobid", "attempt", 1, "exp", 0, "Lr_1", {"lr": 1, "note": 'a "b"\n'}, "ab" * 8, "d", (), False)


def test_secrets_and_an_outer_jobs_identity_stay_with_the_worker() -> None:
    worker = {
        "PATH": "/bin",
        "EXS_REDIS_URL": "redis://:hunter2@h",
        "EXS_JOB": "outer",
        "MY_URL": "x",
        "EXS_LEASE": "3",
    }
    assert base_environment(worker, {"MY_URL"}) == {"PATH": "/bin", "EXS_LEASE": "3"}


def test_a_job_finds_itself_in_its_environment() -> None:
    env = job_environment(CLAIM, {"A": "worker", "B": "worker"}, {"A": "sweep", "CUDA_VISIBLE_DEVICES": "7"}, ("1",))
    assert (env["A"], env["B"]) == ("sweep", "worker")
    assert (env["EXS_JOB"], env["EXS_EXPERIMENT"], env["EXS_ATTEMPT"]) == ("jobid", "exp", "attempt")
    assert json.loads(env["EXS_PARAMS"]) == CLAIM.params
    assert env["CUDA_VISIBLE_DEVICES"] == "1"
    assert "EXS_CHECKPOINT" not in env


def test_pinning_by_index_by_uuid_and_to_nothing() -> None:
    assert pinning(("0", "2")) == {"CUDA_VISIBLE_DEVICES": "0,2", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert pinning(("GPU-1a", "MIG-2b")) == {"CUDA_VISIBLE_DEVICES": "GPU-1a,MIG-2b"}
    assert pinning(()) == {"CUDA_VISIBLE_DEVICES": ""}


def test_the_seed_is_the_parameter_or_follows_from_the_point() -> None:
    assert seed(replace(CLAIM, params={"seed": 12})) == 12
    derived = seed(CLAIM)
    assert derived == seed(replace(CLAIM, job="other", params={"seed": True}))
    assert derived != seed(replace(CLAIM, point="cd" * 8))
    assert 0 <= derived < 1 << 31
    assert seed(replace(CLAIM, point="")) != seed(replace(CLAIM, point="", job="other"))


def test_the_seed_of_a_sweep_is_a_base_from_which_its_jobs_differ() -> None:
    def of(point: str, base: str) -> str:
        return job_environment(replace(CLAIM, point=point), {}, {"EXS_SEED": base}, ())["EXS_SEED"]

    seeds = [of(point, base) for point in ("ab" * 8, "cd" * 8) for base in ("1", "2")]
    assert len(set(seeds)) == 4 and not {"1", "2"} & set(seeds)
    assert of("ab" * 8, "1") == seeds[0]


def deep() -> Any:
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    return value


NOWHERE = os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize(
    ("argv", "env", "sentence"),
    [
        (["no-such-program-here"], {}, "no such program: 'no-such-program-here'"),
        (["/etc/passwd"], {}, "may not be executed"),
        (["/usr"], {}, "may not be executed"),
        (["/bin/echo", "a\0b"], {}, "NUL"),
        (["/bin/echo", "x" * (1 << 20)], {}, "too large"),
        (["/bin/echo"], {"N": 3}, "record cannot be used"),
        (["/bin/echo"], {"A=B": "c"}, "holds `=`"),
        (["/bin/echo", "\ud800"], {}, "surrogate"),
        ([], {}, "command is empty"),
        ([""], {}, "command is empty"),
        (["/bin/echo", 7], {}, "record cannot be used"),
    ],
)
def test_what_cannot_be_started_is_said_in_one_sentence(argv: list[Any], env: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpawnError) as caught:
        spawn(argv, {"PATH": "/bin", **env}, "/", NOWHERE)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_directory_that_is_gone_and_a_file_that_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(SpawnError, match="cannot enter the directory /nowhere"):
        spawn(["/bin/true"], {}, "/nowhere", NOWHERE)
    text = tmp_path / "script"
    text.write_text("echo hi\n")
    text.chmod(0o755)
    with pytest.raises(SpawnError, match="first line"):
        spawn([str(text)], {}, "/", NOWHERE)


def test_parameters_nested_too_deep_have_a_sentence_too() -> None:
    with pytest.raises(RecursionError) as caught:
        job_environment(replace(CLAIM, params={"x": deep()}), {}, {}, ())
    assert explain(caught.value) == "the parameters are nested too deep."


def test_the_program_is_looked_for_in_the_jobs_own_path(tmp_path: Path) -> None:
    program = tmp_path / "mine"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    child = spawn(["mine"], {"PATH": str(tmp_path)}, "/", NOWHERE)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_job_has_its_own_session_and_no_terminal() -> None:
    source, sink = os.pipe()
    child = spawn(["/bin/sh", "-c", "ps -o sid= -p $$; cat"], {"PATH": "/usr/bin:/bin"}, "/", sink)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        assert int(file.read()) == child
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_worker_stays_in_its_own_directory(tmp_path: Path) -> None:
    here = Path.cwd()
    os.waitpid(spawn(["/bin/true"], {}, str(tmp_path), NOWHERE), 0)
    with pytest.raises(SpawnError):
        spawn(["/bin/nothing"], {}, str(tmp_path), NOWHERE)
    assert Path.cwd() == here


def test_a_job_inherits_no_descriptor_and_ignores_no_signal() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source, sink = os.pipe()
    os.set_inheritable(source, True)
    keep_descriptors()
    try:
        child = spawn(["/bin/sh", "-c", "ls /proc/self/fd; grep SigIgn /proc/self/status"], {"PATH": "/bin"}, "/", sink)
    finally:
        signal.signal(signal.SIGTERM, before)
    os.close(sink)
    with os.fdopen(source) as file:
        *descriptors, ignored = file.read().split("\n")[:-1]
    os.waitpid(child, 0)
    assert descriptors == ["0", "1", "2", "3"]  # 3 is that of ls itself
    assert int(ignored.split()[1], 16) % 2**31 == 0  # beyond are those that the C library keeps for itself
