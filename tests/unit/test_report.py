"""What a job tells of itself in `$EXS_REPORT`: whatever it writes, and however it comes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from exs_worker import report as reports
from exs_worker.checkpoints import checkpoint, located, to_go_on_from
from exs_worker.report import Report


def told(path: Path, limit: int = 1000) -> Report:
    """The report of a job that has ended."""
    report = Report(str(path), str(path.parent), limit)
    report.look(final=True)
    return report


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", {}),
        ('{"loss": 0.5, "step": 100}', {"loss": 0.5, "step": 100}),
        ('{\n  "loss": 0.5,\n  "best": {"at": 3}\n}\n', {"loss": 0.5, "best": {"at": 3}}),
        ('{"result": {"a": 1}}\n{"step": 1, "metrics": {"x": 2}}\n{"result": {"b": 2, "a": 3}}\n', {"a": 3, "b": 2}),
        ('{"progress": 0.5}\n{"status": "ok"}\n{"ack": "stop"}', {}),
        ('{"result": 0.93}', {"result": 0.93}),
        ('{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": "nan", "b": "-inf", "c": "inf"}),
        ('\r\n  {"a": 1}  {"b": 2}\r\n', {"a": 1, "b": 2}),
    ],
)
def test_reports_that_can_be_read(tmp_path: Path, text: str, result: dict[str, Any]) -> None:
    (tmp_path / "report").write_text(text)
    found = told(tmp_path / "report").settle()
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
def test_reports_that_cannot_say_where(tmp_path: Path, text: bytes, why: str, rest: dict[str, Any]) -> None:
    (tmp_path / "report").write_bytes(text)
    report = told(tmp_path / "report")
    assert report.settle() == rest
    assert report.problem.startswith(why)


def test_f48_a_report_that_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"password": 1}')
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", "."):
        report = told(tmp_path / name)
        assert report.problem and report.settle() == {}
    report = told(tmp_path / "absent")
    assert (report.problem, report.settle()) == ("", {})


def test_of_a_flood_that_nobody_read_in_time_the_end_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "READ", 100_000)
    line = b'{"status": "%s"}\n' % (b"x" * 1000)
    path = tmp_path / "report"
    path.write_bytes(b'{"result": {"early": 1}}\n' + line * 1000 + b'{"result": {"late": 1}}\n')
    report = told(path)
    assert report.settle() == {"late": 1}
    assert report.problem.endswith("bytes of it came too late to be read")


def test_what_the_job_says_beats_its_output_and_that_beats_an_earlier_attempt(tmp_path: Path) -> None:
    (tmp_path / "old").write_text('{"a": "old", "b": "old", "c": "old"}')
    report = Report(str(tmp_path / "new"), str(tmp_path), 1000)
    report.carry(str(tmp_path / "old"), keep=True)
    with (tmp_path / "new").open("a") as file:
        file.write('{"c": "job"}\n')
    report.matched = {"b": "output", "c": "output"}
    report.look(final=True)
    assert report.settle() == {"a": "old", "b": "output", "c": "job"}
    assert report.problem == ""
    later = Report(str(tmp_path / "later"), str(tmp_path), 1000)
    later.carry(str(tmp_path / "new"), keep=False)
    assert later.settle() == {"a": "old", "b": "output", "c": "job"}


def test_a_command_that_overwrites_the_report_loses_nothing(tmp_path: Path) -> None:
    report = Report(str(tmp_path / "report"), str(tmp_path), 1000)
    (tmp_path / "report").write_text('{"train": 1}')
    report.look(final=True)
    (tmp_path / "report").write_text('{"test": 2}')
    report.look(final=True)
    assert report.settle() == {"train": 1, "test": 2}


def test_what_comes_in_pieces_reads_like_what_comes_at_once(tmp_path: Path) -> None:
    text = b'{"result": {"a": 1}}\n{\n "status": "one\\ntwo"\n}\n\nno\n{"progress": 0.25}\r\n'
    text += b'{"b": "\xc3\xbc"}  {"c": 2}\n{"d": 3}'
    for step in (1, 2, 3, 7, 19):
        path = tmp_path / f"report{step}"
        report = Report(str(path), str(tmp_path), 1000)
        for at in range(0, len(text), step):
            with path.open("ab") as file:
                file.write(text[at : at + step])
            report.look()
        report.look(final=True)
        assert report.settle() == {"a": 1, "b": "\u00fc", "c": 2, "d": 3}
        assert report.whole() == {"status": "one\ntwo", "progress": 0.25}
        assert report.problem == "line 6: Expecting value"


def test_news_are_told_once_and_again_when_redis_did_not_take_them(tmp_path: Path) -> None:
    path = tmp_path / "report"
    report = Report(str(path), str(tmp_path), 1000)
    report.look()
    assert report.news() is None
    path.write_text('{"progress": 0.5}\n')
    report.look()
    assert report.news() == {"progress": 0.5}
    assert report.news() is None
    path.write_text('{"status": "x"}\n')
    report.look()
    assert report.news() == {"progress": 0.5, "status": "x"}
    report.not_delivered()
    assert report.news() == {"progress": 0.5, "status": "x"}


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "report"
    report = Report(str(path), str(tmp_path), 1000)
    for n in range(5):  # of the same length each time
        path.write_text(json.dumps({f"n{n}": 1}))
        report.look(final=True)
    assert report.settle() == {f"n{n}": 1 for n in range(5)}


def test_a_line_without_end_is_given_up_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "report"
    report = Report(str(path), str(tmp_path), 1000)
    with path.open("ab") as file:
        for _ in range(5):
            file.write(b"x" * (1 << 20))
            file.flush()
            report.look()
            assert len(report._objects._rest) <= 1 << 20
        file.write(b'\n{"a": 1}\n')
    report.look(final=True)
    assert report.settle() == {"a": 1}
    assert report.problem.startswith("line 1: larger than")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"progress": 1.5}', "progress is not a number from 0 to 1"),
        ('{"progress": NaN}', "progress is not a number from 0 to 1"),
        ('{"progress": true}', "progress is not a number from 0 to 1"),
        ('{"status": 3}', "status is no text"),
        ('{"status": "\\ud800"}', "a lone surrogate"),
        ('{"checkpoint": 3}', "a checkpoint without a path"),
        ('{"checkpoint": {"step": 3}}', "a checkpoint without a path"),
        ('{"checkpoint": "absent"}', "the checkpoint 'absent' is not in the run directory"),
    ],
)
def test_what_makes_no_sense_is_said_and_the_rest_counts(tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "report").write_text(line + '\n{"progress": 0.5}\n')
    report = told(tmp_path / "report")
    assert report.problem == f"line 1: {why}"
    assert report.whole() == {"progress": 0.5}


@pytest.mark.parametrize("path", ["..", ".", "../x", "/etc", "link", "a/../../x", "\0", "x" * 5000, "link/passwd"])
def test_r18_a_checkpoint_lies_in_the_run_directory(tmp_path: Path, path: str) -> None:
    root = tmp_path / "run"
    root.mkdir()
    (tmp_path / "x").mkdir()
    (root / "a").mkdir()
    (root / "link").symlink_to("/etc")
    assert located(path, str(root)) is None
    with pytest.raises(ValueError, match="not in the run directory"):
        checkpoint({"path": path}, str(root))


def test_a_checkpoint_may_be_named_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "a").mkdir(parents=True)
    (tmp_path / "latest").symlink_to("checkpoints/a")
    kept = {"path": "checkpoints/a", "step": 7}
    for path in ("checkpoints/a", "latest", f"{tmp_path}/checkpoints/a", "checkpoints/../latest/"):
        assert checkpoint({"path": path, "step": 7, "more": "x"}, str(tmp_path)) == kept
    assert checkpoint("latest", str(tmp_path)) == {"path": "checkpoints/a"}


def test_a_checkpoint_that_was_replaced_before_redis_heard_of_it_is_found(tmp_path: Path) -> None:
    """A slot that was killed, or a Redis that was away, while the job kept only its newest one."""
    folder = tmp_path / "checkpoints"
    known = {"path": "checkpoints/gone", "step": 1}
    assert to_go_on_from(known, str(tmp_path)) == ("", None)
    for at, (name, metadata) in enumerate(
        [("b", '{"step": 5}'), ("a", '{"step": 7}'), (".half.tmp", '{"step": 8}'), ("c", "{"), ("d", None)]
    ):
        (folder / name).mkdir(parents=True)
        if metadata is not None:
            (folder / name / "metadata.json").write_text(metadata)
            os.utime(folder / name / "metadata.json", (at, at))
    assert to_go_on_from(known, str(tmp_path)) == (f"{folder}/a", 7)
    assert to_go_on_from({"path": "checkpoints/b", "step": 3}, str(tmp_path)) == (f"{folder}/b", 3)
    assert to_go_on_from({}, str(tmp_path)) == ("", None)


def test_it_is_known_whether_a_job_has_heard(tmp_path: Path) -> None:
    path = tmp_path / "report"
    report = Report(str(path), str(tmp_path), 1000)
    report.look()
    assert not report.acknowledged
    path.write_text('{"ack": "stop"}\n')
    report.look()
    assert report.acknowledged and report.settle() == {} and report.whole() == {}


def test_two_threads_may_look(tmp_path: Path) -> None:
    path = tmp_path / "report"
    report = Report(str(path), str(tmp_path), 100_000)
    threads = [threading.Thread(target=lambda: [report.look() for _ in range(300)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    with path.open("a") as file:
        for n in range(1000):
            file.write(json.dumps({f"k{n}": n}) + "\n")
            file.flush()
    for thread in threads:
        thread.join()
    report.look(final=True)
    assert report.settle() == {f"k{n}": n for n in range(1000)}
