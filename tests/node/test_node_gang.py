"""Jobs of several GPUs on real slots of one each: started, starved of nothing, killed in every part."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from exs.model import JobState, NewJob, Resources, Spec
from exs.rows import JobRow, SlotRow
from exs.store.push import Origin
from harness.fleet import Fleet
from harness.node import Node, gpus

S = JobState


def push(fleet: Fleet, *verbs: object, jobs: int = 1, name: str = "wide", wants: int = 3, **more: Any) -> list[str]:
    """Queue jobs of `wants` GPUs each."""
    command = {"argv": [[word] for word in fleet.witness.command(*verbs)]}
    needs = Resources(gpus=wants)
    points = [NewJob({"i": i}, f"I_{i}", f"{i:016x}", resources=needs) for i in range(jobs)]
    spec = Spec({"train": command}, cwd=str(fleet.home))
    fleet.store.push(name, spec, points, Origin("alice", "laptop", f"/{name}.yaml"), **more)
    return [row.id for row in fleet.store.jobs(name)]


def slots(fleet: Fleet) -> dict[str, SlotRow]:
    """The slots by their GPU."""
    return {row.gpus: row for row in fleet.store.workers()}


def nobody_shared(fleet: Fleet) -> None:
    """No job saw a process of another attempt on a GPU of its own."""
    assert fleet.witness.seen("shared") == []


@pytest.fixture
def three(fleet: Fleet) -> tuple[Node, list[str]]:
    """A node of three GPUs, idle."""
    devices = gpus(3)
    node = fleet.node("a", "--gpus", ",".join(devices), slots=3)
    fleet.wait(lambda: [row.state for row in fleet.store.workers()] == ["idle"] * 3, "three idle slots")
    return node, devices


def running(fleet: Fleet, devices: list[str], *verbs: object) -> tuple[JobRow, list[SlotRow]]:
    """A job of three GPUs that runs, and the slots of its mates, which know it."""
    (job,) = push(fleet, *verbs)
    row = fleet.wait_running(job)
    assert row.gpus == ",".join(devices)
    mates = [slot for slot in slots(fleet).values() if slot.name != row.slot]
    text = fleet.nodes[0].text
    fleet.wait(lambda: all(f"slot={mate.name} waits" in text() for mate in mates), "mates that know it")
    return row, mates


def test_it_has_all_gpus_and_everybody_says_so(fleet: Fleet, three: tuple[Node, list[str]]) -> None:
    _, devices = three
    go = fleet.root / "go"
    row, mates = running(fleet, devices, "until", go)
    (seen,) = fleet.witness.seen("start")
    assert seen.devices == ",".join(devices)
    assert [(slot.state, slot.job) for slot in slots(fleet).values()] == [("busy", row.id)] * 3
    push(fleet, jobs=2, name="small", wants=1)
    lines = fleet.exs("workers").splitlines()
    assert sum("wide/0" in line for line in lines) == 3 and sum(f"with {row.slot}" in line for line in lines) == 2
    assert f"{row.slot} (leads), " in fleet.exs("show", "wide/0")
    go.touch()
    assert fleet.wait_state(row.id, S.DONE).attempts == 1
    assert {one.state for one in fleet.wait_all("small")} == {S.DONE}
    assert len(mates) == 2
    fleet.check()


def test_a_stream_of_small_jobs_does_not_starve_it(fleet: Fleet) -> None:
    devices = gpus(4)
    push(fleet, "pause", 0.05, jobs=40, name="before", wants=1)
    (job,) = push(fleet, "alone", wants=4)
    push(fleet, "alone", "pause", 0.05, jobs=60, name="after", wants=1)
    fleet.node("a", "--gpus", ",".join(devices), slots=4)
    fleet.wait_state(job, S.DONE)
    begun = [seen.job for seen in fleet.witness.seen("start")]
    after = {row.id for row in fleet.rows("after")}
    assert not after & set(begun[: begun.index(job)]), "what is behind it began before it"
    assert {row.state for row in fleet.wait_all("after")} == {S.DONE}
    nobody_shared(fleet)
    fleet.check()


def test_several_of_different_sizes_end(fleet: Fleet) -> None:
    devices = gpus(4)
    fleet.node("a", "--gpus", ",".join(devices), slots=4)
    for number, wants in enumerate((3, 2, 4, 1, 2, 3, 4)):
        push(fleet, "alone", "pause", 0.1, name=f"e{number}", wants=wants, jobs=2)
    for number in range(7):
        assert {row.state for row in fleet.wait_all(f"e{number}", 60)} == {S.DONE}
    nobody_shared(fleet)
    fleet.check()


def test_while_slots_are_held_everybody_says_for_whom(fleet: Fleet, three: tuple[Node, list[str]]) -> None:
    go = fleet.root / "go"
    (small,) = push(fleet, "until", go, name="small", wants=1)
    fleet.wait_running(small)
    (job,) = push(fleet)
    fleet.wait(lambda: fleet.exs("workers").count("held for wide/0, 2 of 3") == 2, "two slots that are held")
    assert "held 2/3" in fleet.exs("list", EXS_LEASE="60")
    assert "held 2/3" in fleet.exs("list", "-t", "wide", EXS_LEASE="60")
    said = fleet.exs("why", "wide/0", EXS_LEASE="60")
    assert "2 of the 3 slots that it wants are held for it" in said and "held for wide/0" in said
    held = [slot for slot in fleet.json("workers")["workers"] if slot["hold"]]
    assert [slot["hold"] for slot in held] == [{"experiment": "wide", "index": 0, "held": 2, "wanted": 3}] * 2
    go.touch()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    fleet.check()


@pytest.mark.parametrize("whom", ["leader", "mate"])
def test_a_slot_of_it_is_killed(fleet: Fleet, three: tuple[Node, list[str]], whom: str) -> None:
    """Lost at once, its whole tree ended, and started again on the same GPUs when they are free."""
    _, devices = three
    (fleet.root / "go").touch()
    row, mates = running(fleet, devices, "alone", "daemons", "until", fleet.root / "never")
    push(fleet, "alone", "pause", 0.2, jobs=6, name="small", wants=1, priority=99)
    victim = (
        slots(fleet)[mates[0].gpus] if whom == "mate" else next(s for s in slots(fleet).values() if s.name == row.slot)
    )
    os.kill(victim.pid, signal.SIGKILL)
    fleet.wait_gone(row.attempt, 5)
    again = fleet.wait_running(row.id, 2)
    assert again.gpus == ",".join(devices) and again.lost == 1
    assert fleet.row(row.id).history[0].detail == "its slot on a died"
    fleet.store.cancel([row.id], kill=True)
    fleet.wait_state(row.id, S.CANCELED)
    assert {one.state for one in fleet.wait_all("small")} == {S.DONE}
    nobody_shared(fleet)
    assert fleet.store.audit() == []


def test_the_gpu_of_a_mate_fails(fleet: Fleet) -> None:
    devices, state = gpus(3), fleet.root / "gpus.json"
    fleet.node("a", "--gpus", ",".join(devices), slots=3, EXS_FAKE_GPUS_STATE=str(state), EXS_GPU_CHECK="0.2")
    row, mates = running(fleet, devices, "daemons", "until", fleet.root / "never")
    state.with_suffix(".new").write_text(json.dumps({"broken": {mates[0].gpus: "GPU is lost"}}))
    state.with_suffix(".new").rename(state)
    fleet.wait_gone(row.attempt, 10)
    waiting = fleet.wait_state(row.id, S.QUEUED)
    assert waiting.lost == 1 and "failed: GPU is lost" in waiting.detail
    push(fleet, jobs=4, name="small", wants=1)
    assert {one.state for one in fleet.wait_all("small")} == {S.DONE}, "two GPUs are left, which cannot run it"
    assert fleet.row(row.id).state is S.QUEUED


def test_a_worker_that_stops_lets_it_end(fleet: Fleet, three: tuple[Node, list[str]]) -> None:
    node, devices = three
    go = fleet.root / "go"
    row, _ = running(fleet, devices, "until", go)
    assert node.agent is not None
    node.agent.send_signal(signal.SIGTERM)
    node.wait_for("3 slots finish their jobs and leave")
    fleet.wait(lambda: len(node.slots()) == 3 and fleet.row(row.id).state is S.RUNNING, "slots that stay")
    go.touch()
    assert node.agent.wait(20) == 0
    assert fleet.row(row.id).state is S.DONE and fleet.row(row.id).attempts == 1
    fleet.check()


def test_a_worker_that_stops_at_once_hands_it_back(fleet: Fleet, three: tuple[Node, list[str]]) -> None:
    node, devices = three
    row, _ = running(fleet, devices, "until", fleet.root / "never")
    assert node.agent is not None
    node.agent.send_signal(signal.SIGTERM)
    node.wait_for("3 slots finish their jobs and leave")
    node.hand_back()
    assert node.agent.wait(20) == 0
    back = fleet.row(row.id)
    assert (back.state, back.lost) == (S.QUEUED, 0)
    assert fleet.store.audit() == []


def test_its_agent_dies(fleet: Fleet, three: tuple[Node, list[str]]) -> None:
    """The slots let it end and leave; none of them takes other work."""
    node, devices = three
    go = fleet.root / "go"
    row, mates = running(fleet, devices, "until", go)
    pids = [slot.pid for slot in slots(fleet).values()]
    os.kill(node.pid, signal.SIGKILL)
    push(fleet, name="small", wants=1)
    fleet.wait(lambda: node.text().count("the agent is gone") == 3, "slots that know")
    assert fleet.row(row.id).state is S.RUNNING
    go.touch()
    fleet.wait(lambda: fleet.row(row.id).state is S.DONE, "its end")
    fleet.wait(
        lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and alive(pid) for pid in pids), "slots that leave"
    )
    assert fleet.row(row.id).attempts == 1
    assert [one.state for one in fleet.rows("small")] == [S.QUEUED]
    assert len(mates) == 2


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    except OSError:
        return False


def test_agent_and_leader_die_together(fleet: Fleet, three: tuple[Node, list[str]]) -> None:
    """The mates see nobody lead for a lease and leave; the next worker ends what is left and runs it again."""
    node, devices = three
    row, mates = running(fleet, devices, "alone", "daemons", "until", fleet.root / "go")
    leader = next(slot for slot in slots(fleet).values() if slot.name == row.slot)
    os.kill(node.pid, signal.SIGSTOP)
    os.kill(leader.pid, signal.SIGKILL)
    os.kill(node.pid, signal.SIGKILL)
    fleet.wait(lambda: not any(alive(mate.pid) for mate in mates), "mates that leave", 30)
    (fleet.root / "go").touch()
    fleet.node("a2", "--gpus", ",".join(devices), slots=3)
    assert fleet.wait_state(row.id, S.DONE, seconds=30).attempts == 2
    nobody_shared(fleet)
    assert not fleet.witness.living()


def test_redis_is_away_meanwhile(fleet: Fleet) -> None:
    devices, proxy, go = gpus(3), fleet.proxy(), fleet.root / "go"
    node = fleet.node("a", "--gpus", ",".join(devices), slots=3, url=proxy.url)
    row, mates = running(fleet, devices, "alone", "until", go)
    push(fleet, "alone", jobs=6, name="small", wants=1)
    proxy.cut()
    fleet.wait(lambda: node.text().count("Waiting for it") >= 3, "slots that miss Redis")
    assert fleet.row(row.id).state is S.RUNNING
    go.touch()
    fleet.wait_event("end", 1)
    assert all(alive(mate.pid) for mate in mates)
    assert len(fleet.witness.seen("start")) == 1, "nobody took other work"
    proxy.heal()
    assert fleet.wait_state(row.id, S.DONE).attempts == 1
    assert {one.state for one in fleet.wait_all("small")} == {S.DONE}
    nobody_shared(fleet)
    fleet.check()


def test_it_is_paused_and_goes_on_from_its_checkpoint_on_as_many_gpus(
    fleet: Fleet, three: tuple[Node, list[str]]
) -> None:
    """Its mates are free at once, and smaller jobs take their GPUs; activated, it has its place before them."""
    _, devices = three
    kept = ("keep", "checkpoints/a", "report", '{"checkpoint": {"path": "checkpoints/a", "step": 3}}')
    row, _ = running(fleet, devices, "told", "EXS_CHECKPOINT", *kept, "obey", "SIGTERM", "ack", 3)
    fleet.wait(lambda: fleet.row(row.id).checkpoint, "the checkpoint")
    fleet.wait_event("ready")
    push(fleet, "alone", "until", fleet.root / "small", jobs=6, name="small", wants=1, priority=99)
    assert fleet.store.pause([row.id], "alice")["asked"] == 1
    paused = fleet.wait_state(row.id, S.PAUSED)
    assert (paused.detail, paused.lost) == ("paused (exit code 3)", 0)
    for job in fleet.store.jobs("small")[:3]:
        fleet.wait_running(job.id)
    fleet.store.activate([row.id])
    (fleet.root / "small").touch()
    again = fleet.wait_running(row.id, 2)
    assert again.gpus == ",".join(devices) and len(again.mates) == 2
    fleet.wait(lambda: len(fleet.witness.seen("told")) == 2, "its second start")
    first, second = [seen.text for seen in fleet.witness.seen("told")]
    assert first == "" and second.endswith("/output/I_0/checkpoints/a")
    fleet.store.cancel([row.id], kill=True)
    fleet.wait_state(row.id, S.CANCELED)
    assert {one.state for one in fleet.wait_all("small")} == {S.DONE}
    nobody_shared(fleet)
    assert fleet.store.audit() == []
