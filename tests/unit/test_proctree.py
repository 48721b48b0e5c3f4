"""The process tree: found whole, signalled by identity, ended for good."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path

import pytest

from exs_worker import proctree
from exs_worker.proctree import Proc
from slotprocess import gone, in_slot_process, wait_until


def started(argv: list[str], **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, start_new_session=True, **more)  # type: ignore[call-overload,no-any-return]


def pids_in(path: Path, count: int) -> list[int]:
    wait_until(lambda: path.exists() and len(path.read_text().split()) >= count, f"{count} pids in {path}")
    return [int(word) for word in path.read_text().split()]


def test_a_process_is_read_even_with_a_hostile_name(tmp_path: Path) -> None:
    program = tmp_path / "a) Z (b 1"
    program.symlink_to("/bin/sleep")
    child = started([str(program), "60"])
    try:
        wait_until(lambda: b"(b" in Path(f"/proc/{child.pid}/stat").read_bytes(), "exec")
        stat = proctree.read(child.pid)
        assert stat is not None
        assert (stat.proc.pid, stat.parent, stat.group) == (child.pid, os.getpid(), child.pid)
        assert stat.state in "RS"
    finally:
        child.kill()
        child.wait()
    assert proctree.read(child.pid) is None


@pytest.mark.fault(20)
def test_f20_a_pid_with_a_new_owner_is_not_signalled() -> None:
    child = started(["/bin/sleep", "60"])
    try:
        stat = proctree.read(child.pid)
        assert stat is not None
        stranger = Proc(child.pid, stat.proc.start - 1)
        assert not proctree.send(stranger, signal.SIGKILL)
        assert proctree.end([stranger], grace=0.0) == []
        assert child.poll() is None
        assert proctree.send(stat.proc, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert not proctree.send(stat.proc, signal.SIGKILL)
    finally:
        child.kill()


def test_descendants_in_every_session_are_found(tmp_path: Path) -> None:
    script = f"setsid sh -c 'echo $$ >> {tmp_path}/pids; sleep 60 & echo $! >> {tmp_path}/pids; wait' & wait"
    child = started(["/bin/sh", "-c", script])
    try:
        pids = pids_in(tmp_path / "pids", 2)
        found = {stat.proc.pid for stat in proctree.descendants(child.pid)}
        assert set(pids) <= found
        assert child.pid not in found
    finally:
        stat = proctree.read(child.pid)
        assert stat is not None
        assert proctree.end([stat.proc], grace=0.0) == []
        child.wait()
    assert all(gone(pid) for pid in pids)


def test_end_kills_what_ignores_sigterm_and_lets_others_finish(tmp_path: Path) -> None:
    stubborn = started(["/bin/sh", "-c", f"trap '' TERM; echo $$ > {tmp_path}/a; while :; do sleep 0.1; done"])
    polite = started(
        [
            "/bin/sh",
            "-c",
            f"trap 'echo bye > {tmp_path}/said; exit 0' TERM; echo $$ > {tmp_path}/b; while :; do sleep 0.01; done",
        ]
    )
    pids_in(tmp_path / "a", 1)
    pids_in(tmp_path / "b", 1)
    both = [proctree.read(child.pid) for child in (stubborn, polite)]
    assert proctree.end([stat.proc for stat in both if stat], grace=0.5) == []
    assert (tmp_path / "said").read_text() == "bye\n"
    assert stubborn.wait() == -signal.SIGKILL
    assert polite.wait() == 0


def test_orphans_are_adopted_and_reaped() -> None:
    def body() -> tuple[bool, bool]:
        child = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & exit 0"])
        child.wait()
        left = proctree.reap()
        proctree.signal_tree(os.getpid(), signal.SIGKILL)
        wait_until(lambda: not proctree.reap(), "no child left")
        return left, proctree.reap()

    assert in_slot_process(body) == (True, False)


def test_survivors_are_found_by_their_attempt() -> None:
    mark = f"test-{os.getpid()}"
    env = {**os.environ, "EXS_ATTEMPT": mark}
    child = started(["/bin/sleep", "60"], env=env)
    try:
        wait_until(lambda: proctree.attempt_of(child.pid) == mark, "the environment")
        assert [proc.pid for proc in proctree.survivors()[mark]] == [child.pid]
        assert mark not in proctree.survivors(keep={mark})
    finally:
        child.kill()
        child.wait()
    assert mark not in proctree.survivors()


def test_a_process_that_no_signal_ends_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    child = started(["/bin/sleep", "60"])
    try:
        stat = proctree.read(child.pid)
        assert stat is not None
        with monkeypatch.context() as kernel:
            kernel.setattr(signal, "pidfd_send_signal", lambda fd, signum: None)
            assert proctree.end([stat.proc], grace=0.0, stuck_after=0.05) == [stat.proc]
    finally:
        child.kill()
        child.wait()


@pytest.mark.root
def test_a_process_that_proc_hides_is_not_gone() -> None:
    """On many clusters /proc shows a user his own processes alone: nobody else's slot is dead for that."""
    if os.geteuid() != 0:
        pytest.skip("to hide processes needs root")

    def body(pid: int, start: int) -> list[bool]:
        libc = ctypes.CDLL(None, use_errno=True)
        alone, mount = 0x00020000, ["mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc"]
        if libc.unshare(alone) or subprocess.run(["mount", "--make-rprivate", "/"]).returncode:
            return []
        if subprocess.run(mount).returncode:
            return []
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        proc = Proc(pid, start)
        return [proctree.read(pid) is None, proctree.gone(proc), proctree.gone(Proc(1 << 22, 1))]

    child = started(["sleep", "60"])
    try:
        stat = proctree.read(child.pid)
        assert stat is not None
        seen = in_slot_process(body, *stat.proc)
        if not seen:
            pytest.skip("no mount name space to be had here")
        assert seen == [True, False, True]
        assert not proctree.gone(stat.proc) and proctree.gone(Proc(child.pid, stat.proc.start + 1))
    finally:
        child.kill()
        child.wait()
    assert proctree.gone(stat.proc) and proctree.gone(Proc(0, 0))
