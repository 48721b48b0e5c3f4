"""`on_failure`, `log_policies`, `canary` and `breaker` of a sweep file, and what a slot makes of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exs.errors import InputError
from exs.model import Failure, JobState, Outcome, Spec
from exs.settings import Limits
from exs.sweep.load import load_file
from exs.sweep.model import Options, Sweep
from exs_worker import metrics
from exs_worker.judgement import alike, judged
from exs_worker.metrics import Scanner
from exs_worker.outcome import device_memory

DETERMINED = "entrypoint: python3 train.py\nsearcher: {name: single, metric: loss}\n"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def write_and_load(text: str, head: str = "command: python train.py\n", limits: Limits | None = None) -> Sweep:
        file = tmp_path / "sweep.yaml"
        file.write_text(head + text)
        return load_file(file, Options(), limits or Limits(), tmp_path)

    return write_and_load


def test_what_is_written_is_what_is_meant(load: Any) -> None:
    sweep = load(
        """\
on_failure: {timeout: fail, error: retry, oom: {retry: 1}, exit: {3: fail, '75': retry}, lost: {requeue: 5}, gpu: pause}
canary: 2
breaker: false
"""
    )
    assert sweep.spec.on_failure == {
        "timeout": ["fail", None],
        "error": ["retry", None],
        "oom": ["retry", 1],
        "lost": ["requeue", 5],
        "gpu": ["pause", None],
        "exit 3": ["fail", None],
        "exit 75": ["retry", None],
    }
    assert (sweep.canary, sweep.breaker) == (2, False)
    nothing = load("")
    assert (nothing.spec.on_failure, list(nothing.spec.log_policies)) == ({}, [])
    assert (nothing.canary, nothing.breaker) == (0, True)


@pytest.mark.parametrize("head", ["command: python train.py\n", DETERMINED], ids=["exs", "Determined"])
def test_log_policies_in_both_spellings(load: Any, head: str) -> None:
    text = """\
log_policies:
  - {pattern: '.*CUDA out of memory.*', action: cancel_retries}
  - {name: ECC Error, pattern: 'uncorrectable ECC', action: {type: exclude_node}}
  - {name: NaN, pattern: 'loss is nan'}
  - {name: CUDA OOM}
"""
    assert load(text, head).spec.log_policies == [
        {"name": "", "pattern": ".*CUDA out of memory.*", "action": "cancel_retries"},
        {"name": "ECC Error", "pattern": "uncorrectable ECC", "action": "exclude_node"},
        {"name": "NaN", "pattern": "loss is nan", "action": ""},
    ]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("on_failure: {eror: fail}", 2, "unknown key 'eror'. Did you mean 'error'?"),
        ("on_failure: {error: fial}", 2, "error: unknown action 'fial'. Did you mean 'fail'?"),
        ("on_failure: {lost: retry}", 2, "unknown action 'retry'. Known: fail, requeue, pause."),
        ("on_failure: {error: {fail: 2}}", 2, "unknown key 'fail'"),
        ("on_failure: {error: {retry: -1}}", 2, "'retry' must be a whole number from 0 to 1000"),
        ("on_failure: {error: 3}", 2, "'error' must be one of fail, retry, requeue, pause, or how often: {retry: 2}"),
        ("on_failure: {exit: {0: fail}}", 2, "'0' is no exit code of a failure. Write 1 to 255."),
        ("on_failure:\n  exit:\n    999: fail", 4, "'999' is no exit code"),
        ("on_failure: fail", 2, "'on_failure' must be a mapping"),
        ("on_failure: {3: fail}", 2, "the key 3 is not text"),
        ("log_policies: [{pattern: '(', action: cancel_retries}]", 2, "'(' is no regular expression"),
        ("log_policies: [{pattern: x, action: cancel}]", 2, "unknown action 'cancel'. "),
        ("log_policies: [{pattern: x, action: {typ: cancel_retries}}]", 2, "Did you mean 'type'?"),
        ("log_policies: [{pattern: x}]", 2, "neither an action nor a name"),
        ("log_policies: [{action: cancel_retries}]", 2, "has no pattern"),
        ("log_policies: [x]", 2, "must be a mapping"),
        ("log_policies: {pattern: x}", 2, "'log_policies' must be a list"),
        (f"log_policies: [{{name: x, pattern: {'y' * 2000}}}]", 2, "longer than 1000 characters"),
        (f"log_policies: [{', '.join(['{name: x, pattern: y}'] * 21)}]", 2, "21 patterns are more than 20"),
        ("canary: -1", 2, "'canary' must be a whole number"),
        ("breaker: 3", 2, "'breaker' must be true or false"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(load: Any, text: str, line: int, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert re.search(rf"sweep\.yaml:{line}: ", str(caught.value)) and says in str(caught.value), str(caught.value)


# ------------------------------------------------------------ what a slot decides

FAILED = Outcome(JobState.CRASHED, Failure.ERROR, "exit code 3", exit_code=3, tail="Traceback\nValueError: lr=0.1\n")


def policies(*items: dict[str, str], **rules: list[Any]) -> Spec:
    given = [{"name": "", "action": "", **item} for item in items]
    on_failure = {name.replace("_", " "): rule for name, rule in rules.items()}
    return Spec({}, "/", on_failure=on_failure, log_policies=given)


def test_an_exit_code_goes_before_its_class() -> None:
    spec = policies(error=["retry", None], exit_3=["fail", None])
    found = judged(FAILED, spec, {})
    assert (found.after, found.kind, found.detail) == (
        "fail",
        "exit 3",
        "exit code 3; not retried (on_failure: exit 3)",
    )
    other = judged(replace(FAILED, exit_code=4), spec, {})
    assert (other.after, other.kind) == ("retry", "error")
    timeout = replace(FAILED, failure=Failure.TIMEOUT)  # we chose that exit code
    assert judged(timeout, spec, {}).after == ""


def test_the_rule_that_pauses_a_sweep_is_named_once() -> None:
    """The sweep says by which rule and job it is paused, so that the job's own words need not."""
    found = judged(FAILED, policies(error=["pause", None]), {})
    assert (found.after, found.kind, found.detail) == ("pause", "error", "exit code 3")


def test_a_log_policy_that_cancels_retries_is_final() -> None:
    spec = policies({"name": "OOM", "pattern": "x", "action": "cancel_retries"}, error=["retry", 5])
    found = judged(FAILED, spec, {0: "CUDA out of memory" + "!" * 200})
    assert found.after == "fail" and "not retried (log policy OOM: CUDA out of memory!!!" in found.detail
    assert len(found.detail) < 200
    assert judged(FAILED, spec, {}).after == "retry"


def test_a_node_is_excluded_by_a_policy_and_by_requeue() -> None:
    spec = policies({"pattern": "ECC", "action": "exclude_node"})
    found = judged(FAILED, spec, {0: "ECC error"})
    assert (
        found.exclude_node
        and found.after == ""
        and "not again on this node (log policy ECC: ECC error)" in found.detail
    )
    assert judged(FAILED, policies(error=["requeue", None]), {}).exclude_node
    assert not judged(FAILED, policies(), {}).exclude_node


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ValueError: lr=0.1 at step 312", "ValueError: lr=1e-05 at step 7", True),
        ("File /home/a/run/Lr_0.1/x.py not found", "File /home/b/run/Lr_0.2/x.py not found", True),
        ("object at 0x7f1920a7a210", "object at 0x7f1920c6d310", True),
        ("run job-n3zfv4jfys of main-a1b2c3d4e5", "run job-sjvy2dyuyw of main-f6g7h8i9j0", True),
        ("job sjvyedyuyw failed", "job hefvfcbbxc failed", True),
        ("ValueError: bad", "KeyError: bad", False),
        ("progress 10%\rValueError: bad", "progress 90%\rValueError: bad", True),
    ],
)
def test_failures_are_compared_without_what_differs_from_job_to_job(one: str, other: str, same: bool) -> None:
    ids = ("sjvyedyuyw", "hefvfcbbxc")
    a, b = (alike(replace(FAILED, tail=f"...\n{text}\n"), ids) for text in (one, other))
    assert (a == b) is same, (a, b)


def test_other_exit_codes_are_other_failures() -> None:
    assert alike(FAILED) != alike(replace(FAILED, exit_code=4)) != alike(replace(FAILED, failure=Failure.TIMEOUT))


# ------------------------------------------------------------ patterns in the output


def test_the_line_in_which_a_policy_was_found_first() -> None:
    with Scanner({}, [".*CUDA out of memory.*", "^never$", "second"]) as scanner:
        scanner.feed(b"step 1\nRuntimeError: CUDA out of")
        assert scanner.hits == {}
        scanner.feed(b" memory. Tried\nCUDA out of memory again\nthe second")
        scanner.finish()
    assert scanner.hits == {0: "RuntimeError: CUDA out of memory. Tried", 2: "the second"}


def test_a_policy_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BUDGET", 0.05)
    with Scanner({"loss": r"loss=(\d+)"}, ["(a+)+b", "there"]) as scanner:
        scanner.feed(b"a" * 4000 + b"\nloss=3 is there\n")
        scanner.feed(b"a" * 4000 + b"\n")
    assert scanner.slow == [0] and scanner.hits == {1: "loss=3 is there"} and scanner.values == {"loss": 3}


def test_a_pattern_that_begins_with_anything_costs_a_long_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Determined's examples do; `re` would try each place of a line to its end."""
    monkeypatch.setattr(metrics, "BUDGET", 0.5)
    with Scanner({}, [".*CUDA out of memory.*"]) as scanner:
        scanner.feed((b"x" * 4000 + b"\n") * 500)
        scanner.feed(b"CUDA out of memory\n")
    assert scanner.slow == [] and list(scanner.hits) == [0]


@pytest.mark.parametrize(
    ("text", "gpu"),
    [
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", True),
        ("torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB", True),
        ("RuntimeError: CUDA error: out of memory", True),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        (
            "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes",
            True,
        ),
        (
            "ResourceExhaustedError: OOM when allocating tensor with shape[1] on device:GPU:0 by allocator GPU_0_bfc",
            True,
        ),
        ("ResourceExhaustedError: OOM when allocating tensor with shape[1] on device:CPU:0 by allocator cpu", False),
        ("failed to allocate 2.0G from device: CUDA_ERROR_OUT_OF_MEMORY: out of memory", True),
        ("cudaMalloc failed: out of memory", True),
        ("cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8,000 bytes", True),
        ("MemoryError", False),
        ("out of memory", False),
    ],
)
def test_the_memory_of_a_gpu_is_told_from_that_of_the_machine(text: str, gpu: bool) -> None:
    assert device_memory(text.encode()) is gpu
