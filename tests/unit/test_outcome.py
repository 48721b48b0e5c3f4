"""What the end of a command means, and what its report and its output say."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from exs.model import Failure
from exs_worker import metrics
from exs_worker.metrics import LINE, Scanner, number
from exs_worker.outcome import Exit, OomCounter, failure_of


@pytest.mark.parametrize(
    ("end", "recent", "kills", "failure", "detail"),
    [
        (Exit(code=0), b"MemoryError", 1, None, ""),
        (Exit(code=3), b"", 0, Failure.ERROR, "exit code 3"),
        (Exit(signal=11), b"", 0, Failure.ERROR, "killed by SIGSEGV"),
        (Exit(signal=9), b"", 0, Failure.ERROR, "killed by SIGKILL"),
        (Exit(signal=9), b"", 1, Failure.OOM, "out of memory: killed by the kernel"),
        (Exit(code=137), b"", 2, Failure.OOM, "out of memory: killed by the kernel"),
        (Exit(code=137), b"", 0, Failure.ERROR, "exit code 137 (killed by SIGKILL)"),
        (Exit(signal=11), b"", 1, Failure.ERROR, "killed by SIGSEGV"),
        (Exit(signal=60), b"", 0, Failure.ERROR, "killed by SIG60"),
        (Exit(code=1), b"...\nMemoryError\n", 0, Failure.OOM, "out of memory: MemoryError, exit code 1"),
        (Exit(code=1), b"torch.cuda.OutOfMemoryError: CUDA out of memory. Tried", 0, Failure.OOM, None),
        (Exit(code=1), b"numpy.core._exceptions._ArrayMemoryError: Unable to allocate", 0, Failure.OOM, None),
        (Exit(code=1), b"I catch MemoryError politely", 0, Failure.ERROR, "exit code 1"),
    ],
)
def test_the_true_cause(end: Exit, recent: bytes, kills: int, failure: Failure | None, detail: str | None) -> None:
    found, line = failure_of(end, recent, kills)
    assert found == failure
    if detail is not None:
        assert line == detail


@pytest.mark.parametrize(
    ("membership", "file"),
    [("0::/job\n", "job/memory.events"), ("4:memory:/job\n0::/\n", "memory/job/memory.oom_control")],
    ids=["v2", "v1"],
)
def test_the_kernels_memory_kills_are_counted(tmp_path: Path, membership: str, file: str) -> None:
    (tmp_path / "cgroup").write_text(membership)
    events = tmp_path / file
    events.parent.mkdir(parents=True)
    events.write_text("low 0\noom 7\noom_kill 2\n")
    counter = OomCounter(str(tmp_path), str(tmp_path / "cgroup"))
    assert counter.count() == 2
    events.write_text("low 0\noom 7\noom_kill 3\n")
    assert counter.count() == 3
    counter.close()
    assert OomCounter(str(tmp_path), str(tmp_path / "absent")).count() == 0


def scanned(metrics: dict[str, str], *chunks: bytes) -> Scanner:
    with Scanner(metrics) as scanner:
        for chunk in chunks:
            scanner.feed(chunk)
        scanner.finish()
    return scanner


def test_the_last_match_counts_wherever_the_chunks_are_cut() -> None:
    text = b"loss=3 acc=1\nloss=2.5 loss=2\r  5%|loss=1e-3\nbest=abc \xff\xfe"
    for cut in range(len(text)):
        found = scanned({"loss": r"loss=(\S+)", "best": r"best=(\w+)"}, text[:cut], text[cut:])
        assert found.values == {"loss": 0.001, "best": "abc"}


def test_numbers_become_numbers_and_the_rest_stays_text() -> None:
    texts = ["3", "-0.5", "nan", "inf", "1e999", "x", "9" * 5000]
    assert [number(text) for text in texts] == [3, -0.5, "nan", "inf", "1e999", "x", "9" * 5000]


def test_f37_a_line_without_end_is_cut() -> None:
    found = scanned({"x": r"x=(\d+)"}, b"x=1" + b" " * LINE, *[b"y" * 1000] * 50, b"x=2")
    assert found.values == {"x": 1}
    assert len(found._rest) <= LINE


def test_an_expression_that_backtracks_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BUDGET", 0.1)
    before = signal.getsignal(signal.SIGVTALRM)
    found = scanned({"bad": r"(a+)+$", "good": r"ok=(\d)"}, b"ok=1\n" + b"a" * 4000 + b"b\n", b"ok=2\n")
    assert found.dropped == ["bad"]
    assert found.values == {"good": 2}
    assert signal.getsignal(signal.SIGVTALRM) == before


@pytest.mark.parametrize("expression", ["(", "no group", "(a{99999999999})"])
def test_an_expression_that_is_none_names_the_metric(expression: str) -> None:
    with pytest.raises(ValueError, match="metrics: loss"):
        Scanner({"loss": expression})


def test_memory_that_a_job_shares_with_its_slot_is_not_called_its_own() -> None:
    """The kernel counts the copy of the slot that the job was before exec."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert Exit.of(0, own).max_rss == 0
    assert Exit.of(0, own * 3).max_rss == own * 3 * 1024
