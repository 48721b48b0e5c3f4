"""The log pump: every byte, or a count of those that are missing; never in the job's way."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from exs_worker import plainfile
from exs_worker.logpump import LogPump
from slotprocess import in_slot_process


def pumped(path: Path, data: bytes, head: int, tail: int, recent: int = 100, piece: int = 1 << 16) -> LogPump:
    pump = LogPump(plainfile.create(path), head, tail, recent)
    feed(pump, data, piece)
    pump.close()
    return pump


def feed(pump: LogPump, data: bytes, piece: int = 1 << 16) -> None:
    for at in range(0, len(data), piece):
        os.write(pump.writer, data[at : at + piece])
        assert pump.pump()


@pytest.mark.parametrize(
    "data",
    [b"", b"one line\n", b"no newline", bytes(range(256)) * 300, b"\x1b[2J\0\xff\xfe\r\n" * 999],
    ids=["empty", "line", "no newline", "all bytes", "control characters"],
)
def test_f38_output_is_kept_byte_for_byte(tmp_path: Path, data: bytes) -> None:
    pump = pumped(tmp_path / "log", data, head=1 << 20, tail=10)
    assert (tmp_path / "log").read_bytes() == data
    assert (pump.total, pump.dropped) == (len(data), 0)
    assert pump.recent == data[-100:]


def test_the_middle_of_too_much_output_is_replaced_by_one_line(tmp_path: Path) -> None:
    data = b"".join(b"%09d\n" % number for number in range(100_000))
    pump = pumped(tmp_path / "log", data, head=1000, tail=500)
    missing = len(data) - 1500
    assert (tmp_path / "log").read_bytes() == data[:1000] + b"... %d bytes not kept ...\n" % missing + data[-500:]
    assert pump.dropped == missing


def test_output_that_fits_into_head_and_tail_has_no_gap(tmp_path: Path) -> None:
    data = os.urandom(1500)
    assert pumped(tmp_path / "log", data, head=1000, tail=500, piece=7).dropped == 0
    assert (tmp_path / "log").read_bytes() == data


def test_f37_one_endless_line_is_cut_and_the_gap_has_its_own_line(tmp_path: Path) -> None:
    pump = pumped(tmp_path / "log", b"x" * 1_000_000, head=1000, tail=10)
    text = (tmp_path / "log").read_bytes()
    assert text == b"x" * 1000 + b"\n... 998990 bytes not kept ...\n" + b"x" * 10
    assert pump.dropped == 998_990


def test_f37_a_flood_leaves_the_memory_small(tmp_path: Path) -> None:
    def body() -> tuple[int, int, int]:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pump = LogPump(plainfile.create(tmp_path / "log"), 4 << 20, 1 << 20)
        child = subprocess.Popen(["head", "-c", str(200 << 20), "/dev/zero"], stdout=pump.writer)
        pump.close_writer()
        os.set_blocking(pump.source, True)
        while pump.pump():
            pass
        pump.close()
        assert child.wait() == 0
        return pump.total, pump.dropped, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    total, dropped, growth_kib = in_slot_process(body)
    assert total == 200 << 20
    assert dropped == total - (5 << 20)
    assert (tmp_path / "log").stat().st_size < (5 << 20) + 100
    assert growth_kib < 20 * 1024


def test_f35_a_full_disk_drops_and_counts(tmp_path: Path) -> None:
    pump = LogPump(os.open("/dev/full", os.O_WRONLY), 1000, 1000)
    feed(pump, b"lost\n" * 1000)
    pump.close()
    assert (pump.total, pump.dropped, pump.recent[-5:]) == (5000, 5000, b"lost\n")


def test_f35_a_file_that_takes_only_its_beginning(tmp_path: Path) -> None:
    def body() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        return pumped(tmp_path / "log", b"0123456789" * 1000, head=1 << 20, tail=100, piece=1000).dropped

    assert in_slot_process(body) == 7000
    assert (tmp_path / "log").read_bytes() == b"0123456789" * 300


def test_a_disk_with_room_again_is_used_again(tmp_path: Path) -> None:
    def body() -> int:
        pump = LogPump(plainfile.create(tmp_path / "log"), 1 << 20, 100)
        feed(pump, b"before\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (7, resource.RLIM_INFINITY))
        feed(pump, b"lost\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        feed(pump, b"after\n")
        pump.close()
        return pump.dropped

    assert in_slot_process(body) == 5
    assert (tmp_path / "log").read_bytes() == b"before\n... 5 bytes not kept ...\nafter\n"


def test_a_daemon_that_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    pump = LogPump(plainfile.create(tmp_path / "log"), 1000, 1000)
    daemon = subprocess.Popen(["sleep", "60"], stdout=pump.writer)
    os.write(pump.writer, b"last words")
    pump.close()
    assert (tmp_path / "log").read_bytes() == b"last words"
    daemon.kill()
    daemon.wait()
