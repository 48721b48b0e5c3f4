"""What the end of a command means, and what its report and its output say."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from exs.model import Failure
from exs_worker import metrics
from exs_worker.metrics import LINE, Scanner, number
from exs_worker.outcome import Exit, OomCounter, failure_of
from exs_worker.report import READ, Report, Unreadable, parse, read_result


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


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", {}),
        ('{"loss": 0.5, "step": 100}', {"loss": 0.5, "step": 100}),
        ('{\n  "loss": 0.5,\n  "best": {"at": 3}\n}\n', {"loss": 0.5, "best": {"at": 3}}),
        ('{"result": {"a": 1}}\n{"step": 1, "metrics": {"x": 2}}\n{"result": {"b": 2, "a": 3}}\n', {"a": 3, "b": 2}),
        ('{"progress": 0.5}\n{"status": "ok"}\n{"checkpoint": "c"}', {}),
        ('{"result": 0.93}', {"result": 0.93}),
        ('{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": "nan", "b": "-inf", "c": "inf"}),
        ('\r\n  {"a": 1}  {"b": 2}\r\n', {"a": 1, "b": 2}),
    ],
)
def test_reports_that_can_be_read(text: str, result: dict[str, Any]) -> None:
    found = parse(text.encode(), 1000)
    assert found == result
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "why", "rest"),
    [
        (b'{"a": 1}\n{"b": 2}\n{"c": \n', "line 4: Expecting value", {"a": 1, "b": 2}),
        (b'{"a": 1}\nloss=3\n{"b": 2}\n', "line 2: Expecting value", {"a": 1, "b": 2}),
        (b"[1, 2]", "line 1: not an object but list", {}),
        (b"\xff\xfe\0", "line 1: ", {}),
        (b'{"a": "\\ud800"}', "line 1: a lone surrogate", {}),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "line 1: nested deeper than 32", {}),
        (b'{"a": ' + b"[" * 99999, "line 1: nested too deep", {}),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 1: ", {}),
        (b'{"a": "' + b"x" * 2000 + b'"}\n{"b": 2}', "line 1: larger than 1000 bytes", {"b": 2}),
        (b"".join(b'{"k%d": "%s"}\n' % (n, b"x" * 100) for n in range(20)), "larger than 1000 bytes", {}),
    ],
)
def test_reports_that_cannot_say_where(text: bytes, why: str, rest: dict[str, Any]) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(text, 1000)
    assert str(caught.value).startswith(why)
    assert caught.value.result == rest


def test_f48_a_report_that_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"password": 1}')
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(Unreadable):
            read_result(tmp_path / name, 1000)
    with pytest.raises(Unreadable):
        read_result(tmp_path, 1000)
    assert read_result(tmp_path / "absent", 1000) == {}


def test_of_a_huge_report_the_end_counts(tmp_path: Path) -> None:
    line = b'{"step": 1, "metrics": {"x": "%s"}}\n' % (b"x" * 1000)
    path = tmp_path / "report"
    path.write_bytes(b'{"result": {"early": 1}}\n' + line * (READ // len(line) + 1) + b'{"result": {"late": 1}}\n')
    assert read_result(path, 10_000) == {"late": 1}


def test_what_the_job_says_beats_its_output_and_that_beats_an_earlier_attempt(tmp_path: Path) -> None:
    (tmp_path / "old").write_text('{"a": "old", "b": "old", "c": "old"}')
    report = Report(tmp_path / "new", 1000)
    report.carry(tmp_path / "old", keep=True)
    with (tmp_path / "new").open("a") as file:
        file.write('{"c": "job"}\n')
    report.matched = {"b": "output", "c": "output"}
    report.collect()
    assert report.settle() == {"a": "old", "b": "output", "c": "job"}
    assert report.problem == ""
    later = Report(tmp_path / "later", 1000)
    later.carry(tmp_path / "new", keep=False)
    assert later.settle() == {"a": "old", "b": "output", "c": "job"}


def test_a_command_that_overwrites_the_report_loses_nothing(tmp_path: Path) -> None:
    report = Report(tmp_path / "report", 1000)
    (tmp_path / "report").write_text('{"train": 1}')
    report.collect()
    (tmp_path / "report").write_text('{"test": 2}')
    report.collect()
    assert report.settle() == {"train": 1, "test": 2}


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
