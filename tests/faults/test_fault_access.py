"""Who may not, and what must not be seen: passwords, TLS, permissions, secrets, and a cancel that comes too late."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from exs.errors import EXIT_REDIS
from exs.model import FINAL, JobState, Spec
from harness.fleet import Fleet

S = JobState


@pytest.mark.fault(51)
@pytest.mark.parametrize(
    ("scheme", "user", "said"),
    [
        ("redis", ":hunter2", "refused the user or password"),
        ("redis", "mallory:hunter2", "refused the user or password"),
        ("rediss", "alice:s3same", "rediss:// speaks TLS: does that port?"),
        ("redis", "reader:hunter2", "does not permit this user to do that"),
    ],
    ids=["password", "user", "tls", "permission"],
)
def test_f51_redis_does_not_let_us_in(fleet: Fleet, scheme: str, user: str, said: str) -> None:
    """One sentence of two lines at most, no secret in it, exit 3; for people and for workers."""
    client = fleet.server.client()
    client.execute_command("ACL", "SETUSER", "alice", "on", ">s3same", "~*", "&*", "+@all")
    client.execute_command("ACL", "SETUSER", "reader", "on", ">hunter2", "%R~*", "-@all", "+@read", "+@connection")
    client.execute_command("CONFIG", "SET", "requirepass", "s3same")
    url = f"{scheme}://{user}@127.0.0.1:{fleet.server.port}"
    for words in (("list",), ("push", "--", "true"), ("workers",), ("worker", "--cpus", "1")):
        out, err = fleet.both(*words, code=EXIT_REDIS, EXS_REDIS_URL=url, EXS_CONNECT_TIMEOUT="1")
        lines = err.splitlines()
        assert out == b"" and lines[0].startswith("exs: ") and len(lines) <= 2
        assert said in err, words
        assert "hunter2" not in err and "s3same" not in err


#: Where it is put -> the secret.
CANARIES = {"url": "c4nary-url", "worker": "c4nary-worker", "sweep": "c4nary-sweep", "param": "c4nary-param"}


def visible(fleet: Fleet) -> dict[str, str]:
    """All that exs shows anybody, by the words that were typed."""
    table = ("list", "-a", "-t", "work")
    plain = [("list", "-a"), ("workers",), table, ("show", "work/0"), ("show", "work/1"), ("plan", "work.yaml")]
    every = (*plain, *((*words, "--json") for words in plain), (*table, "--csv"), ("logs", "work/1"), ("doctor",))
    typed = {" ".join(words): fleet.command(*words) for words in every}
    return {words: b"".join(process.communicate(timeout=60)).decode() for words, process in typed.items()}


def reachable(root: Path) -> list[Path]:
    """Files below `root` that other users could read."""
    files = [path for path in root.rglob("*") if path.is_file() and path.stat().st_mode & 0o044]
    return [path for path in files if all(folder.stat().st_mode & 0o011 for folder in _between(root, path))]


def _between(root: Path, path: Path) -> list[Path]:
    return [folder for folder in path.parents if folder.is_relative_to(root)]


@pytest.mark.fault(52)
def test_f52_secrets_stay_where_they_are(fleet: Fleet) -> None:
    """Not in lists, pages, logs, the worker's log, names of processes; what is kept on disk is its owner's alone."""
    fleet.server.client().config_set("requirepass", CANARIES["url"])
    fleet.server.password(CANARIES["url"])
    node = fleet.node("a", WANDB_API_KEY=CANARIES["worker"], start=False)
    node.start("--cpus", "1")
    go = fleet.root / "go"
    until = [*fleet.witness.command("until", go)]
    sweep = {
        "name": "work",
        "command": f"python3 -c 'import os, sys; os.execv(sys.argv[1], sys.argv[1:])' {' '.join(until)} exit {{code}}",
        "params": {"code": [0, 3], "api_token": [CANARIES["param"]]},
        "env": {"WANDB_API_KEY": CANARIES["sweep"]},
    }
    (fleet.home / "work.yaml").write_text(json.dumps(sweep))
    fleet.exs("push", "work.yaml")
    fleet.wait_event("start")
    (start,) = fleet.witness.seen("start")
    job = Path(f"/proc/{start.pid}/environ").read_bytes()
    lines = [Path(f"/proc/{proc.pid}/cmdline").read_bytes().decode() for proc in node.pids()]
    go.touch()
    assert [row.state for row in fleet.wait_all()] == [S.DONE, S.CRASHED]
    shown = visible(fleet)
    assert CANARIES["sweep"].encode() in job and CANARIES["url"].encode() not in job
    for where, text in {**shown, "worker log": node.text(), "ps": "\n".join(lines)}.items():
        assert "Traceback" not in text, where
        assert [name for name, canary in CANARIES.items() if canary in text] == [], where
    assert reachable(node.home / "state") == [] == reachable(fleet.home / "state")
    fleet.check()


@pytest.mark.fault(54)
@pytest.mark.parametrize("seed", [1, 2])
def test_f54_cancel_races_finish(fleet: Fleet, seed: int) -> None:
    """A hundred jobs, each canceled at a moment of its own: done or canceled, one of them, and nothing lives on."""
    rng = random.Random(seed)
    fleet.node("a", "--cpus", "2", slots=2)
    jobs = fleet.push("result", '{"loss": 1}', "pause", 0.02, jobs=100, grace=0.2)
    store = fleet.store
    for job in jobs:
        held = [row for row in fleet.rows() if row.state is S.RUNNING]
        target = rng.choice([*[row.id for row in held], job])
        until = time.monotonic() + rng.uniform(0, 0.06)
        fleet.wait(lambda until=until: time.monotonic() > until, "the moment")
        store.cancel([target], kill=rng.random() < 0.5)
    rows = fleet.wait_all(seconds=60)
    starts, ends = fleet.witness.runs(), {seen.job for seen in fleet.witness.seen("end")}
    assert {row.state for row in rows} == {S.DONE, S.CANCELED}
    for row in rows:
        assert starts[row.id] <= row.attempts <= 1, row  # what is canceled at once may not get to say that it began
        assert row.state is S.CANCELED or (row.id in ends and row.result == {"loss": 1}), row
    assert all(row.state in FINAL for row in rows)
    fleet.wait_gone("")
    fleet.check()


@pytest.mark.fault(54)
def test_cancel_races_a_failure(fleet: Fleet) -> None:
    """Jobs that fail, with a retry left: one whose end was asked for before it failed is canceled, and not retried."""
    rng = random.Random(3)
    fleet.node("a", "--cpus", "2", slots=2, EXS_RETRY_WAIT="0.01")
    jobs = fleet.push("pause", 0.02, "exit", 3, jobs=60, retries=1, breaker=False)
    asked = set()
    for job in jobs:
        fleet.wait(lambda job=job: fleet.row(job).state is not S.QUEUED or fleet.row(job).attempts, "its turn")
        until = time.monotonic() + rng.uniform(0, 0.06)
        fleet.wait(lambda until=until: time.monotonic() > until, "the moment")
        said = fleet.store.cancel([job])
        if said["asked"] or said["canceled"]:
            asked.add(job)
    rows = fleet.wait_all(seconds=60)
    assert asked and {row.id for row in rows if row.state is S.CANCELED} == asked
    assert {row.state for row in rows} <= {S.CRASHED, S.CANCELED}
    assert all(row.attempts <= 2 for row in rows)
    fleet.wait_gone("")
    fleet.check()


@pytest.mark.fault(54)
def test_edit_races_claim_and_finish(fleet: Fleet) -> None:
    """A hundred jobs, each edited at a moment of its own: what was not over has run to its end with the new value."""
    rng = random.Random(4)
    fleet.node("a", "--cpus", "2", slots=2)
    verbs = ("told", "EXS_PARAMS", "pause", 0.02)
    jobs = fleet.push(*verbs, jobs=100, grace=0.2)
    spec = Spec({"train": {"argv": [[word] for word in fleet.witness.command(*verbs)]}}, str(fleet.home), grace=0.2)
    expected = {}
    digest = fleet.store.job(jobs[0]).spec
    for number, job in enumerate(jobs):
        until = time.monotonic() + rng.uniform(0, 0.02)
        fleet.wait(lambda until=until: time.monotonic() > until, "the moment")
        if number % 10 == 9:  # one in ten too late
            fleet.wait_state(job, S.DONE)
        value = number + 1000
        code, _ = fleet.store.edit(job, (f"{number:016x}", digest), {"i": value}, f"I_{value}", f"{value:016x}", spec)
        expected[job] = value if code in ("edited", "asked") else number
    rows = fleet.wait_all(seconds=60)
    last = {seen.job: json.loads(seen.text)["i"] for seen in fleet.witness.seen("told")}
    assert len({value >= 1000 for value in expected.values()}) == 2, "some were over before, some were not"
    assert last == expected == {row.id: row.params["i"] for row in rows}
    assert {row.state for row in rows} == {S.DONE}
    fleet.wait_gone("")
    fleet.check()
