"""Attempts, with real processes: what runs, how it ends, and that nothing of it is left."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from exs.model import Claim, Spec
from exs.settings import Limits, Timing
from exs_worker import proctree, supervise
from exs_worker.attempt import Attempt
from exs_worker.launch import base_environment
from exs_worker.place import Place
from slotprocess import gone, in_slot_process, wait_until

CLAIM = Claim("job1", "a1", 1, "exp", 0, "Lr_1", {"lr": 1, "text": "it's"}, "ab" * 8, "d", (), False)
PYTHON = sys.executable


def sh(text: str) -> dict[str, Any]:
    return {"argv": [["/bin/sh"], ["-c"], [text]]}


def spec(*texts: str, **more: Any) -> Spec:
    names = ("train", "test", "third")
    return Spec(dict(zip(names, map(sh, texts), strict=False)), "/not/on/this/node", **more)


def place(root: Path, **more: Any) -> Place:
    env = base_environment(os.environ)
    return Place("node", "slot", ("1",), env, Timing(grace=5.0), workdir=str(root), **more)


def run(root: Path, spec: Spec, claim: Claim = CLAIM, act: Callable[..., None] | None = None, **more: Any) -> Any:
    """One attempt in a slot process; `act(attempt, wake)` runs beside it in a thread."""

    def body() -> dict[str, Any]:
        source, sink = os.pipe()
        attempt = Attempt(claim, spec, place(root, **more))
        if act is not None:
            threading.Thread(target=act, args=(attempt, lambda: os.write(sink, b"x")), daemon=True).start()
        attempt.prepare()
        found = asdict(attempt.run(source))
        found["state"] = found["state"].value
        found["failure"] = found["failure"].value if found["failure"] else None
        left = proctree.reap() or [stat.proc.pid for stat in proctree.descendants(os.getpid())]
        assert attempt.stuck or not left, left
        return {**found, "stuck": attempt.stuck}

    return in_slot_process(body)


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"), f"a pid in {path}")
    return int(path.read_text())


def stopping(root: Path, *kinds: str, file: str = "pid") -> Callable[..., None]:
    """Ask for each kind of stop once the job has written `file`."""

    def act(attempt: Attempt, wake: Callable[[], int]) -> None:
        pid_in(root / file)
        for kind in kinds:
            attempt.request_stop(kind)
            wake()

    return act


# ------------------------------------------------------------------ what runs


def test_a_job_leaves_runners_files(tmp_path: Path) -> None:
    sweep = Spec({"base": {"argv": [["echo"], ["lr=", {"value": "lr"}], [{"value": "text"}]]}}, "/nowhere")
    outcome = run(tmp_path, sweep)
    root = tmp_path / "output/Lr_1"
    assert (outcome["state"], outcome["exit_code"], outcome["detail"]) == ("DONE", 0, "")
    assert (outcome["directory"], outcome["tail"]) == (str(root), "")
    log = Path(outcome["log"])
    assert log.read_bytes() == b"lr=1 it's\n"
    assert log.parent == root and log.name.startswith("log.base.20")
    assert (root / "stat.json").read_text() == '{"base": {"code": 0, "gpu": "1"}}\n'
    params = json.loads((root / "param.json").read_text())
    typed = f"CUDA_VISIBLE_DEVICES=1 echo lr=1 'it'\"'\"'s' > output/Lr_1/{log.name} 2>&1"
    assert params.pop("_datetime") == log.name.removeprefix("log.base.")
    assert params == {
        "_attempt": "a1",
        "_commands": {"base": typed},
        "_experiment": "exp",
        "_job": "job1",
        "_name": "Lr_1",
        "_output": "output/Lr_1",
        "_point": "ab" * 8,
        "lr": 1,
        "text": "it's",
    }
    assert sorted(os.listdir(root)) == sorted([log.name, "param.json", "stat.json"])
    assert outcome["seconds"] > 0


def test_a_job_sees_its_identity_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXS_REDIS_URL", "redis://:canary@host")
    outcome = run(tmp_path, spec("env; pwd", env={"WANDB_MODE": "offline"}))
    text = Path(outcome["log"]).read_text()
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    root = str(tmp_path / "output/Lr_1")
    assert lines["WANDB_MODE"] == "offline"
    assert (lines["EXS_JOB"], lines["EXS_EXPERIMENT"], lines["EXS_ATTEMPT"]) == ("job1", "exp", "a1")
    assert (lines["EXS_OUTPUT"], lines["EXS_REPORT"]) == (root, f"{root}/.exs-report.a1")
    assert lines["EXS_CONTROL"].startswith(root)
    assert json.loads(lines["EXS_PARAMS"]) == CLAIM.params
    assert lines["CUDA_VISIBLE_DEVICES"] == "1"
    assert "canary" not in text
    assert text.splitlines()[-1] == str(tmp_path)


def test_the_chain_stops_at_the_first_failure(tmp_path: Path) -> None:
    outcome = run(tmp_path, spec("exit 0", "echo oops; exit 3", "touch third"))
    assert (outcome["state"], outcome["failure"], outcome["exit_code"]) == ("CRASHED", "error", 3)
    assert (outcome["detail"], outcome["tail"]) == ("exit code 3", "oops\n")
    assert "log.test." in outcome["log"]
    stat = json.loads((tmp_path / "output/Lr_1/stat.json").read_text())
    assert stat == {"train": {"code": 0, "gpu": "1"}, "test": {"code": 1, "gpu": "1"}}
    assert not (tmp_path / "third").exists()


def test_a_retry_skips_what_succeeded_and_keeps_its_result(tmp_path: Path) -> None:
    train = 'echo x >> trained; echo \'{"train": 1}\' > "$EXS_REPORT"'
    sweep = spec(train, 'test -f ok && echo \'{"test": 2}\' > "$EXS_REPORT"')
    first = run(tmp_path, sweep)
    assert (first["state"], first["result"]) == ("CRASHED", {"train": 1})
    second = run(tmp_path, sweep, replace(CLAIM, attempt="a2", number=2))
    assert (second["state"], second["result"]) == ("CRASHED", {"train": 1})
    (tmp_path / "ok").touch()
    third = run(tmp_path, sweep, replace(CLAIM, attempt="a3", number=3))
    assert (third["state"], third["result"]) == ("DONE", {"train": 1, "test": 2})
    assert (tmp_path / "trained").read_text() == "x\n"
    commands = json.loads((tmp_path / "output/Lr_1/param.json").read_text())["_commands"]
    assert set(commands) == {"train", "test"}
    again = run(tmp_path, sweep, replace(CLAIM, attempt="a4", number=4))
    assert (again["state"], again["detail"]) == ("DONE", "skipped: done before")
    forced = run(tmp_path, sweep, replace(CLAIM, attempt="a5", force=True))
    assert (forced["state"], forced["detail"]) == ("DONE", "")
    assert (tmp_path / "trained").read_text() == "x\nx\n"


def test_another_job_of_the_same_point_runs_again_unless_runners_rule_is_wanted(tmp_path: Path) -> None:
    sweep = spec('echo x >> trained; echo \'{"a": 1}\' > "$EXS_REPORT"')
    run(tmp_path, sweep)
    other = replace(CLAIM, job="job2", attempt="a2")
    skipped = run(tmp_path, replace(sweep, skip_done=True), other)
    assert (skipped["detail"], skipped["result"]) == ("skipped: done before", {"a": 1})
    assert skipped["directory"] == str(tmp_path / "output/Lr_1")
    assert run(tmp_path, sweep, other)["detail"] == ""
    assert (tmp_path / "trained").read_text() == "x\nx\n"


def test_an_old_success_does_not_hide_a_lost_attempt(tmp_path: Path) -> None:
    """The slot of job2 dies in its first attempt: the success that stat.json held was job1's."""
    sweep = spec("echo x >> trained")
    run(tmp_path, sweep)
    second = Attempt(replace(CLAIM, job="job2", attempt="a2"), sweep, place(tmp_path))
    second.prepare()
    run(tmp_path, sweep, replace(CLAIM, job="job2", attempt="a3"))
    assert (tmp_path / "trained").read_text() == "x\nx\n"


def test_one_command_of_several_can_be_chosen(tmp_path: Path) -> None:
    outcome = run(tmp_path, spec("touch train", "touch test"), replace(CLAIM, commands=("test",)))
    assert outcome["state"] == "DONE"
    assert (tmp_path / "test").exists() and not (tmp_path / "train").exists()


# ------------------------------------------------------------------ what cannot run


@pytest.mark.parametrize(
    ("sweep", "claim", "sentence"),
    [
        (Spec({"a": {"argv": [["no-such-program"]]}}, "/"), CLAIM, "no such program"),
        (Spec({"a": {"argv": [["echo"], [{"value": "x"}]]}}, "/"), CLAIM, "x"),
        (Spec({"a": {"argv": [["echo"], ["a\0b"]]}}, "/"), CLAIM, "NUL"),
        (Spec({"a": {"argv": [["echo"], ["x" * 200_000]]}}, "/"), CLAIM, "too large"),
        (Spec({"a": {"argv": 3}}, "/"), CLAIM, "record cannot be used"),
        (Spec({"a": {}}, "/"), CLAIM, "record cannot be used"),
        (Spec({"../a": sh("true")}, "/"), CLAIM, "'../a' cannot be part of the name"),
        (Spec({}, "/"), CLAIM, "no command"),
        (spec("true"), replace(CLAIM, commands=("gone",)), "no command named 'gone'"),
        (spec("true"), replace(CLAIM, name="../../x"), "cannot name the directory"),
        (spec("true", output="../x"), CLAIM, "outside"),
        (spec("true", env={"A": 3}), CLAIM, "record cannot be used"),
        (spec("true", env={"A=B": "c"}), CLAIM, "holds `=`"),
        (spec("true"), replace(CLAIM, params={"x": "\ud800"}), ""),
        (spec("true"), replace(CLAIM, params={"x": float("nan")}), "record cannot be used"),
        (spec("true", metrics={"a": "("}), CLAIM, "metrics: a"),
    ],
)
def test_hostile_jobs_fail_and_the_worker_lives(tmp_path: Path, sweep: Spec, claim: Claim, sentence: str) -> None:
    outcome = run(tmp_path, sweep, claim)
    if not sentence:
        assert outcome["state"] == "DONE"
        return
    assert (outcome["state"], outcome["failure"]) == ("CRASHED", "spawn")
    assert sentence in outcome["detail"]
    assert "\n" not in outcome["detail"]


def test_f36_an_output_that_cannot_be_written_fails_the_job_alone(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("a file")
    outcome = run(tmp_path, spec("true"))
    assert (outcome["state"], outcome["failure"]) == ("CRASHED", "spawn")
    assert outcome["detail"].startswith(f"cannot create {tmp_path}/output")


def test_f36_an_output_that_vanishes_meanwhile_does_not_fail_the_job(tmp_path: Path) -> None:
    outcome = run(tmp_path, spec("rm -r output; echo on"))
    assert outcome["state"] == "DONE"
    assert "stat.json not written" in outcome["detail"]


# ------------------------------------------------------------------ how it ends


@pytest.mark.parametrize(
    ("text", "failure", "detail"),
    [
        ("kill -SEGV $$", "error", "killed by SIGSEGV"),
        ("kill -9 $$", "error", "killed by SIGKILL"),
        ("echo MemoryError; exit 1", "oom", "out of memory: MemoryError, exit code 1"),
    ],
)
def test_the_cause_is_told(tmp_path: Path, text: str, failure: str, detail: str) -> None:
    outcome = run(tmp_path, spec(text))
    assert (outcome["state"], outcome["failure"], outcome["detail"]) == ("CRASHED", failure, detail)


def test_a_kill_by_the_kernel_for_memory_is_told_apart(tmp_path: Path) -> None:
    class Kernel:
        counts = iter([4, 5])

        def count(self) -> int:
            return next(self.counts)

    outcome = run(tmp_path, spec("kill -9 $$"), oom=Kernel())
    assert (outcome["failure"], outcome["signal"]) == ("oom", signal.SIGKILL)


def test_f8_daemons_that_a_job_leaves_are_ended_and_counted(tmp_path: Path) -> None:
    daemon = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    outcome = run(tmp_path, spec(f"setsid sh -c '{daemon}' & while [ ! -s {tmp_path}/pid ]; do sleep 0.01; done"))
    assert outcome["state"] == "DONE"
    assert outcome["detail"] == "ended 1 process that it left behind"
    assert gone(pid_in(tmp_path / "pid"))


TREE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
root = sys.argv[1]
def note(name):
    with open(f"{root}/{name}.new", "w") as file:
        file.write(f"{os.getpid()}\\n")
    os.rename(f"{root}/{name}.new", f"{root}/{name}")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note("daemon")
        while True:
            time.sleep(60)
    os._exit(0)
os.wait()
if os.fork() == 0:
    note("child")
    while True:
        time.sleep(60)
while not (os.path.exists(f"{root}/daemon") and os.path.exists(f"{root}/child")):
    time.sleep(0.005)
note("pid")
while True:
    time.sleep(60)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Spec]:
    """A job whose tree ignores SIGTERM: itself, a child, and a daemon in a session of its own."""
    (tmp_path / "tree.py").write_text(TREE)
    argv = [[PYTHON], [str(tmp_path / "tree.py")], [str(tmp_path)]]
    yield Spec({"train": {"argv": argv}}, "/nowhere", grace=0.3)
    for name in ("pid", "child", "daemon"):
        assert gone(pid_in(tmp_path / name)), name


@pytest.mark.parametrize(
    ("kind", "state", "detail"),
    [
        ("cancel", "CANCELED", "canceled (ended by SIGKILL)"),
        ("kill", "CANCELED", "killed on request (ended by SIGKILL)"),
        ("requeue", "QUEUED", "handed back by its worker (ended by SIGKILL)"),
        ("fenced", "CANCELED", "taken over by another attempt (ended by SIGKILL)"),
    ],
)
def test_f18_every_stop_ends_the_whole_tree(tmp_path: Path, tree: Spec, kind: str, state: str, detail: str) -> None:
    outcome = run(tmp_path, tree, act=stopping(tmp_path, kind))
    assert (outcome["state"], outcome["failure"], outcome["detail"]) == (state, None, detail)
    assert outcome["requeue"] == (kind == "requeue")
    assert (tmp_path / "output/Lr_1/stat.json").exists() == (kind in ("cancel", "kill"))


def test_a_timeout_ends_the_whole_tree(tmp_path: Path, tree: Spec) -> None:
    outcome = run(tmp_path, replace(tree, timeout=1.0))
    assert (outcome["state"], outcome["failure"]) == ("CRASHED", "timeout")
    assert outcome["detail"] == "ran longer than its timeout of 1 s"


def test_f6_the_death_of_the_job_takes_its_tree_with_it(tmp_path: Path, tree: Spec) -> None:
    def act(attempt: Attempt, wake: Callable[[], int]) -> None:
        os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)

    outcome = run(tmp_path, tree, act=act)
    assert (outcome["state"], outcome["signal"]) == ("CRASHED", signal.SIGKILL)
    assert outcome["detail"] == "killed by SIGKILL; ended 2 processes that it left behind"


def slot_in_background(root: Path, tree: Spec, attempt: str) -> int:
    """A slot process that runs the tree; returns its pid once the tree is complete."""
    slot = os.fork()
    if slot == 0:
        proctree.become_subreaper()
        source, _ = os.pipe()
        running = Attempt(replace(CLAIM, attempt=attempt), tree, place(root))
        running.prepare()
        running.run(source)
        os._exit(0)
    pid_in(root / "pid")
    return slot


def test_f3_the_tree_of_a_killed_slot_falls_to_its_agent(tmp_path: Path, tree: Spec) -> None:
    def agent() -> None:
        slot = slot_in_background(tmp_path, tree, "a1")
        os.kill(slot, signal.SIGKILL)
        os.waitpid(slot, 0)
        while proctree.reap():
            orphans = [stat.proc for stat in map(proctree.read, proctree.children(os.getpid())) if stat]
            assert proctree.end(orphans, grace=0.0) == []

    in_slot_process(agent)


def test_f5_what_survives_slot_and_agent_is_found_by_its_attempt(tmp_path: Path, tree: Spec) -> None:
    mark = f"lost-{os.getpid()}"

    def agent() -> None:
        os.kill(slot_in_background(tmp_path, tree, mark), signal.SIGKILL)

    in_slot_process(agent)
    left = proctree.survivors(keep={"somebody else's"})[mark]
    assert {proc.pid for proc in left} == {pid_in(tmp_path / name) for name in ("pid", "child", "daemon")}
    assert proctree.end(left, grace=0.0) == []


def test_an_error_of_ours_leaves_nothing_behind(tmp_path: Path, tree: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    real, first = os.pidfd_open, iter([True])

    def out_of_descriptors_once(pid: int) -> int:
        if next(first, False):
            pid_in(tmp_path / "pid")
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(pid)

    monkeypatch.setattr(os, "pidfd_open", out_of_descriptors_once)
    outcome = run(tmp_path, tree)
    assert outcome["detail"] == "Too many open files."
    assert (outcome["state"], outcome["failure"]) == ("CRASHED", "spawn")


def test_a_kill_cuts_the_grace_of_a_cancel_short(tmp_path: Path, tree: Spec) -> None:
    outcome = run(tmp_path, replace(tree, grace=3600.0), act=stopping(tmp_path, "cancel", "kill"))
    assert outcome["state"] == "CANCELED"


def test_a_job_has_its_grace_to_write_a_checkpoint(tmp_path: Path) -> None:
    text = f"trap 'echo saved; exit 0' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.01; done"
    outcome = run(tmp_path, spec(text), act=stopping(tmp_path, "requeue"))
    assert (outcome["state"], outcome["requeue"], outcome["exit_code"]) == ("QUEUED", True, 0)
    assert outcome["detail"] == "handed back by its worker (exit code 0)"
    assert Path(outcome["log"]).read_bytes().endswith(b"saved\n")


def test_a_stop_that_comes_before_the_start_starts_nothing(tmp_path: Path) -> None:
    def body() -> tuple[str, str]:
        source, _ = os.pipe()
        attempt = Attempt(CLAIM, spec(f"touch {tmp_path}/ran"), place(tmp_path))
        attempt.prepare()
        attempt.request_stop("cancel")
        outcome = attempt.run(source)
        return outcome.state.value, outcome.detail

    assert in_slot_process(body) == ("CANCELED", "canceled (before it began)")
    assert not (tmp_path / "ran").exists()


def test_an_unknown_way_to_stop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown way to stop: 'halt'"):
        Attempt(CLAIM, spec("true"), place(tmp_path)).request_stop("halt")


def test_f19_a_tree_that_no_signal_ends_is_reported_as_stuck(
    tmp_path: Path, tree: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as kernel:
        kernel.setattr(supervise, "STUCK_AFTER", 0.1)
        kernel.setattr(signal, "pidfd_send_signal", lambda fd, signum: None)
        kernel.setattr(os, "killpg", lambda group, signum: None)
        outcome = run(tmp_path, tree, act=stopping(tmp_path, "kill"))
    pids = {pid_in(tmp_path / name) for name in ("pid", "child", "daemon")}
    assert set(outcome["stuck"]) == pids
    assert "stuck: SIGKILL does not end" in outcome["detail"]
    assert outcome["state"] == "CANCELED"
    found = [stat.proc for stat in map(proctree.read, pids) if stat]
    assert proctree.end(found, grace=0.0) == []


# ------------------------------------------------------------------ output and result


def test_f38_any_bytes_reach_the_log(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "data").write_bytes(data)
    outcome = run(tmp_path, spec("cat data; cat data >&2"))
    assert Path(outcome["log"]).read_bytes() == data * 2
    crashed = run(tmp_path, spec("cat data; exit 1"), replace(CLAIM, job="j2", attempt="a2", point="cd" * 8))
    assert len(crashed["tail"]) <= 2048
    json.dumps(crashed["tail"]).encode("utf-8")


def test_f37_a_flood_is_capped_and_counted(tmp_path: Path) -> None:
    size = 50 << 20
    outcome = run(
        tmp_path, spec(f"head -c {size} /dev/zero; echo the end"), limits=Limits(log_bytes=1 << 20, log_tail_bytes=9)
    )
    head, line, end = Path(outcome["log"]).read_bytes().split(b"\n", 2)
    assert outcome["state"] == "DONE"
    assert outcome["log_dropped"] == size - (1 << 20) - 1
    assert len(head) == 1 << 20
    assert line == b"... %d bytes not kept ..." % outcome["log_dropped"]
    assert end == b"\0the end\n"


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="needs root to mount a small disk")
@pytest.mark.root
def test_f35_a_full_disk_does_not_stop_the_job(tmp_path: Path) -> None:
    disk = tmp_path / "output"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=256k tmpfs {disk}") != 0:
        pytest.skip("mount is not permitted here")
    try:
        outcome = run(tmp_path, spec("head -c 1000000 /dev/zero; echo '{\"a\": 1}' > /dev/null; exit 0"))
        assert outcome["state"] == "DONE"
        assert outcome["log_dropped"] > 700_000
    finally:
        os.system(f"umount {disk}")


def test_results_come_from_the_report_and_from_the_output(tmp_path: Path) -> None:
    sweep = spec(
        'echo loss=3; echo loss=0.25; echo \'{"acc": NaN, "n": 2}\' > "$EXS_REPORT"', metrics={"loss": r"loss=(\S+)"}
    )
    outcome = run(tmp_path, sweep)
    assert outcome["result"] == {"loss": 0.25, "acc": "nan", "n": 2}
    again = run(tmp_path, sweep, replace(CLAIM, attempt="a2"))
    assert (again["detail"], again["result"]) == ("skipped: done before", outcome["result"])


def test_a_report_that_cannot_be_read_does_not_fail_the_job(tmp_path: Path) -> None:
    outcome = run(tmp_path, spec('printf \'{"a": 1}\\n\\nloss=3\\n\' > "$EXS_REPORT"'))
    assert (outcome["state"], outcome["result"]) == ("DONE", {"a": 1})
    assert outcome["detail"] == "report not readable: line 3: Expecting value"


def test_r18_a_report_cannot_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"password": 1}')
    outcome = run(tmp_path, spec(f'ln -s {tmp_path}/secret "$EXS_REPORT"'))
    assert (outcome["state"], outcome["result"]) == ("DONE", {})
    assert "report not readable" in outcome["detail"]


def test_a_job_that_closes_its_output_is_still_waited_for(tmp_path: Path) -> None:
    outcome = run(tmp_path, spec("exec >&- 2>&-; sleep 0.2; exit 4"))
    assert (outcome["exit_code"], Path(outcome["log"]).read_bytes()) == (4, b"")
