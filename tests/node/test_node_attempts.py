"""What a job gets and what becomes of it: retries, timeouts, seeds, times, and what a busy or idle slot costs Redis."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import redis

from exs.model import JobState
from exs.store import keys
from harness.fleet import Fleet
from harness.redis_server import RedisServer

S = JobState


def test_a_failing_job_is_retried_with_growing_waits_then_crashed(fleet: Fleet) -> None:
    fleet.node("a", EXS_RETRY_WAIT="0.3")
    (job,) = fleet.push("exit", 3, retries=2)
    row = fleet.wait_state(job, S.CRASHED)
    assert (row.attempts, row.lost, row.failure, row.exit_code) == (3, 0, "error", 3)
    assert [(attempt.number, attempt.exit_code) for attempt in row.history] == [(1, 3), (2, 3)]
    starts = [seen.at for seen in fleet.witness.seen("start")]
    assert starts[1] - starts[0] >= 0.3 and starts[2] - starts[1] >= 0.6
    assert len({seen.attempt for seen in fleet.witness.seen("start")}) == 3
    assert len({seen.seed for seen in fleet.witness.seen("start")}) == 1
    fleet.check()


def test_a_job_that_runs_too_long_is_ended_with_its_tree(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = fleet.push("stubborn", "daemons", "until", fleet.root / "never", timeout=0.5)
    row = fleet.wait_state(job, S.CRASHED)
    assert row.failure == "timeout" and "0.5 s" in row.detail and not fleet.witness.living()
    fleet.check()


def test_seeds_and_times(fleet: Fleet) -> None:
    """Each job has its own seed below the sweep's base; times are Redis's and in order."""
    fleet.node("a")
    before = fleet.store.now()
    fleet.push(jobs=3, env={"EXS_SEED": "7"})
    rows = fleet.wait_all()
    seeds = [seen.seed for seen in fleet.witness.seen("start")]
    assert len(set(seeds)) == 3 and "7" not in seeds
    for row in rows:
        assert before <= row.created_at <= row.started_at <= row.ended_at <= fleet.store.now()
        assert row.seconds == row.ended_at - row.started_at
    fleet.check()


def test_a_users_own_modules_are_not_ours(fleet: Fleet) -> None:
    """A redis.py, yaml.py and rq.py in the directory in which the worker was started, and in that of the job."""
    node = fleet.node("a", start=False)
    for name in ("redis", "yaml", "rq", "click", "exs_worker", "logging"):
        for directory in (node.home, node.work):
            (directory / f"{name}.py").write_text("raise SystemExit('the user has a module of that name')")
    node.start()
    (job,) = fleet.push()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    assert "the user has" not in node.text()
    fleet.check()


class Monitor:
    """Every command that clients send, but for what scripts call and the agent's wait for requests of logs."""

    def __init__(self, server: RedisServer) -> None:
        self.words: list[str] = []
        self._client = server.client()
        self._monitor = self._client.monitor()
        self._monitor.__enter__()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for command in self._monitor.listen():
                if command["client_type"] != "lua" and keys.ASK not in command["command"]:
                    self.words.append(command["command"].split()[0].upper())
        except (redis.RedisError, OSError, ValueError):
            return


def test_a_job_costs_one_round_trip(fleet: Fleet) -> None:
    """finish and the next claim in one; a short job costs no renewal and no other command."""
    node = fleet.node("a", EXS_RENEW="30", EXS_LEASE="90", EXS_IDLE_POLL="30", EXS_SOCKET_TIMEOUT="60")
    (first,) = fleet.push("until", fleet.root / "go", name="first")
    fleet.wait_running(first)
    fleet.push(jobs=30)
    monitor = Monitor(fleet.server)
    descriptors = Path(f"/proc/{node.slots()[0]}/fd")
    open_before = len(list(descriptors.iterdir()))
    (fleet.root / "go").touch()
    fleet.wait(lambda: len(fleet.witness.seen("end")) == 31 and "BLPOP" in monitor.words, "31 jobs")
    counts = Counter(monitor.words)
    # 31 x (finish, claim); then the idle slot reaps, looks whether it is in the list, and waits.
    assert 62 <= counts["EVALSHA"] <= 64, counts
    assert counts["HGET"] == 1  # the spec of the second push
    assert set(counts) <= {"EVALSHA", "HGET", "BLPOP", "SISMEMBER"}, counts
    assert len(list(descriptors.iterdir())) <= open_before


def test_an_idle_slot_costs_at_most_a_command_per_second(fleet: Fleet) -> None:
    """With the times that a lab has."""
    lab = dict.fromkeys(("EXS_RENEW", "EXS_LEASE", "EXS_IDLE_POLL", "EXS_SOCKET_TIMEOUT", "EXS_LOST_AFTER"), "")
    fleet.node("a", "--cpus", "4", slots=4, **lab)
    fleet.wait(lambda: [row.state for row in fleet.store.workers()] == ["idle"] * 4, "four idle slots")
    monitor = Monitor(fleet.server)
    began = time.monotonic()
    fleet.wait(lambda: monitor.words.count("BLPOP") >= 12, "three waits of each slot", 40)
    assert len(monitor.words) <= 4 * (time.monotonic() - began) + 8, Counter(monitor.words)
