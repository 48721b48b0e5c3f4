"""Replies that are lost after the script ran: the call is made again, and all is as if nothing had been.

The first test is exhaustive: a script that is added must say here what calls it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from exs.errors import RedisUnreachable
from exs.model import Fenced, JobState, Scheduler, Told, Update
from exs.settings import Limits, Settings
from exs.store import keys, scripts
from exs.store.records import etag
from exs.store.scripts import sha
from exs.store.store import Store, open_store
from harness.fleet import Fleet
from harness.proxy import Proxy
from harness.redis_server import RedisServer
from store.actors import CRASHED, DONE, ME, SPEC, Killed, Lab, Slot, killed_after, points

S = JobState
LUA = Path(scripts.__file__).parent / "lua"
#: What differs between two runs of the same steps.
MOMENTS = {"id", "attempt", "created_at", "queued_at", "started_at", "ended_at", "lease_late", "retry_at", "now"}


@dataclass
class Scene:
    """A queue in which something was done already: five jobs, of which `slot` holds the first, `other` the second."""

    lab: Lab
    slot: Slot
    other: Slot
    ids: list[str]

    def wip(self) -> str:
        """The queue's registry of running jobs."""
        return keys.RQ_WIP + "e"


def crash(scene: Scene) -> None:
    scene.slot.finish(CRASHED)


def silent(scene: Scene) -> None:
    scene.lab.silence(scene.ids[0], 10_000)
    scene.lab.contact()


def ended(scene: Scene) -> None:
    scene.slot.finish(DONE)
    scene.other.finish(DONE)
    scene.lab.store.cancel(scene.ids)


def archived(scene: Scene) -> None:
    ended(scene)
    scene.lab.store.archive("e")


def paused(scene: Scene) -> None:
    scene.lab.store.pause_experiment("e", "ann")
    scene.lab.store.pause(scene.ids[:3], "ann")


def drained(scene: Scene) -> None:
    scene.lab.store.drain(["first"], "ann")


def staged(scene: Scene) -> None:
    """Another push of the same name that died half way."""
    doomed = open_store(scene.lab.store._url, Settings(limits=Limits(push_batch=2)))
    killed_after(2, doomed)
    with pytest.raises(Killed):
        doomed.push("e", SPEC, points(*range(10, 17)), ME)


def astray(scene: Scene) -> None:
    """One of RQ's tools moved a waiting job to the failed ones."""
    scene.lab.client.lrem(keys.RQ_QUEUE + "e", 0, scene.ids[3])
    scene.lab.client.zadd(keys.RQ_FAILED + "e", {scene.ids[3]: 1})


def emptied(scene: Scene) -> None:
    scene.slot.release()
    scene.other.release()
    scene.lab.store.remove(scene.ids)


#: An experiment for jobs by hand, and the id of one: what the Store makes up anew for each call.
ADDED = json.dumps(
    {"name": "hand", "user": "ann", "host": "h", "source": "s", "id8": "12345678", "priority": 42, "scheduler": ""}
)
JOB = "abcdefghij"
PUT_ETAG = etag([b"st", b"QUEUED", b"pr", b'{"x":1}'])


def by_hand(scene: Scene) -> None:
    assert scene.lab.store._call("add", ADDED)[0] == b"ok"


def job_by_hand(scene: Scene) -> None:
    by_hand(scene)
    assert scene.lab.store._call("add_job", "hand", JOB, '{"x":1}', "QUEUED", "", 0)[0] == b"ok"


def keep_code(store: Store) -> None:
    manifest = '{"chunks": ["00", "11"]}'
    assert store.put_capsule("ca" * 32, manifest, {"00": b"zero", "11": b"one"}, "nobody") >= 0


def code_kept(scene: Scene) -> None:
    keep_code(scene.lab.store)
    time.sleep(0.002)  # older than nothing at all, in Redis's milliseconds


def nothing(scene: Scene) -> None:
    pass


#: Script -> what was done before, and the call whose reply is lost.
CALLS: dict[str, tuple[Callable[[Scene], None], Callable[[Store, Scene], Any]]] = {
    "activate": (paused, lambda store, scene: store.activate(scene.ids)),
    "activate_experiment": (paused, lambda store, scene: store.activate_experiment("e")),
    "add": (nothing, lambda store, scene: store._call("add", ADDED)),
    "add_job": (by_hand, lambda store, scene: store._call("add_job", "hand", JOB, '{"x":1}', "QUEUED", "", 0)),
    "archive": (ended, lambda store, scene: store.archive("e")),
    "audit_job": (astray, lambda store, scene: store.audit()),
    "capsule_commit": (nothing, lambda store, scene: keep_code(store)),
    "capsule_drop": (nothing, lambda store, scene: store.drop_chunks(["00", "22"])),
    "capsule_have": (nothing, lambda store, scene: keep_code(store)),
    "capsule_put": (nothing, lambda store, scene: keep_code(store)),
    "capsule_sweep": (code_kept, lambda store, scene: store.sweep_capsules(0)),
    "cancel": (nothing, lambda store, scene: store.cancel(scene.ids)),
    "claim": (nothing, lambda store, scene: store.claim(scene.lab.slot("third").offer, "attempt-of-third")),
    "crash": (nothing, lambda store, scene: crashed(store, scene)),
    "discard": (staged, lambda store, scene: store._discard("e", 0)),
    "durations": (nothing, lambda store, scene: store.why("e/4")),
    "why": (nothing, lambda store, scene: store.why("e/4")),
    "drain": (nothing, lambda store, scene: store.drain(["first"], "ann", why="dust", grace=600)),
    "enable": (drained, lambda store, scene: store.enable(["first"])),
    "edit": (nothing, lambda store, scene: edit(store, scene)),
    "experiments": (nothing, lambda store, scene: store.experiments()),
    "finish": (nothing, lambda store, scene: finish(store, scene)),
    "follow": (nothing, lambda store, scene: store.follow(scene.slot.offer)),
    "gpus_unused": (nothing, lambda store, scene: store.gpus_unused("n", {"0": "busy"}, 60)),
    "job": (nothing, lambda store, scene: store.job(scene.ids[0])),
    "jobs": (nothing, lambda store, scene: store.jobs("e")),
    "kinds": (nothing, lambda store, scene: list(store.wrong_kinds())),
    "lasting": (nothing, lambda store, scene: store._call("lasting", "e")),
    "metrics": (nothing, lambda store, scene: store.metrics(scene.ids)),
    "mend": (astray, lambda store, scene: mend(store)),
    "mend_marked": (astray, lambda store, scene: store.mend("e")),
    "node_up": (nothing, lambda store, scene: store.node_up("n", "b", "m", 1)),
    "states": (astray, lambda store, scene: store.misplaced()),
    "pace": (nothing, lambda store, scene: store.note_pace(store.experiments())),
    "pause": (nothing, lambda store, scene: store.pause(scene.ids, "ann")),
    "pause_experiment": (nothing, lambda store, scene: store.pause_experiment("e", "ann")),
    "points": (nothing, lambda store, scene: store.plan("e", points(1, 2, 99), ME)),
    "pool_set": (nothing, lambda store, scene: store.set_pool("default", preemption=True)),
    "puller_up": (nothing, lambda store, scene: store._call("puller_up", "p", "pull:hand", "n", "b", 1, 1, "0")),
    "put": (job_by_hand, lambda store, scene: put(store)),
    "pool_sort": (nothing, lambda store, scene: store.set_pool("default", scheduler=Scheduler.FAIR_SHARE)),
    "pools": (nothing, lambda store, scene: store.pools()),
    "queue": (nothing, lambda store, scene: store.queue()),
    "push": (nothing, lambda store, scene: store.push("e", SPEC, points(*range(8)), ME)),
    "reap": (silent, lambda store, scene: store.reap()),
    "report": (nothing, lambda store, scene: report(store, scene)),
    "release": (nothing, lambda store, scene: release(store, scene)),
    "remove": (nothing, lambda store, scene: store.remove(scene.ids)),
    "remove_experiment": (emptied, lambda store, scene: store.remove_experiment("e")),
    "renew": (silent, lambda store, scene: renew(store, scene)),
    "retry": (crash, lambda store, scene: store.retry(scene.ids)),
    "slot_dead": (nothing, lambda store, scene: store.slot_dead([scene.slot.offer.slot], "killed")),
    "unarchive": (archived, lambda store, scene: store.unarchive("e")),
    "update": (nothing, lambda store, scene: store.update([Update("e", "priority", "7")])),
    "unused_gpus": (nothing, lambda store, scene: store.unused_gpus()),
    "workers": (nothing, lambda store, scene: store.workers()),
}


def put(store: Store) -> None:
    """With the etag of the job as it was added: the second time the job is another one, and as it should be."""
    assert store.put(JOB, PUT_ETAG, "", S.DONE, {"x": 1}, {"y": 2})


def mend(store: Store) -> None:
    while store._call("mend", "e", 300):
        pass


def finish(store: Store, scene: Scene) -> None:
    held = scene.slot.held
    assert held is not None
    fence, claim = store.finish_and_claim(held.job, held.attempt, DONE, scene.slot.offer, "next-attempt")
    assert fence is Fenced.OURS and claim is not None


def crashed(store: Store, scene: Scene) -> None:
    held = scene.slot.held
    assert held is not None
    outcome = replace(CRASHED, exclude_node=True, after="requeue", kind="error", alike="error")
    assert store.finish(held.job, held.attempt, outcome, scene.slot.offer) is Fenced.OURS


def edit(store: Store, scene: Scene) -> None:
    for job in scene.ids[1], scene.ids[3]:  # one that runs, one that waits
        row = store.job(job)
        code, _ = store.edit(job, (row.point, row.spec), {"i": 70}, "I_70", f"{row.index:016x}", SPEC)
        assert code in ("edited", "asked")


def release(store: Store, scene: Scene) -> None:
    assert scene.slot.held is not None
    assert store.release(scene.slot.held.job, scene.slot.held.attempt, "asked", scene.slot.offer) is Fenced.OURS


def report(store: Store, scene: Scene) -> None:
    assert scene.slot.held is not None
    told = {"whole": True, "progress": 0.5, "metrics": {"loss": [{"n": 1}, 0, "1 0.5\n"]}}
    assert store.report(scene.slot.held.job, scene.slot.held.attempt, told) is Told.OURS


def renew(store: Store, scene: Scene) -> None:
    assert scene.slot.held is not None
    assert store.renew(scene.slot.held.job, scene.slot.held.attempt, scene.slot.offer)[0].fence is Fenced.OURS


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.kill()


def scene(server: RedisServer, before: Callable[[Scene], None]) -> Scene:
    client = server.client()
    client.flushall()
    for name in CALLS:
        client.script_load(scripts.source(name))
    lab = Lab(open_store(server.url, Settings()), client)
    lab.push(*range(5))
    made = Scene(lab, lab.slot("first"), lab.slot("second"), lab.ids())
    made.slot.claim("attempt-of-first")
    made.other.claim("attempt-of-second")
    before(made)
    return made


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what differs between two runs."""
    earlier = [timeless(past) for past in row.get("history", ())]
    detail = re.sub(r"for \d+ s", "for so long", row.get("detail", ""))
    return {**{name: row[name] for name in row.keys() - MOMENTS}, "history": earlier, "detail": detail}


def seen(scene: Scene) -> Any:
    """All that anybody can see of the queue, but for moments and names drawn by lot."""
    store = scene.lab.store
    rows = [store.job(row.id) for row in store.jobs("e")]
    shown = [timeless(asdict(row)) for row in rows]
    experiments = [timeless(asdict(row)) for row in store.experiments()]
    slots = [(row.name, row.state, row.index, row.done, row.failed) for row in store.workers()]
    client = scene.lab.client
    numbers = {job: str(number) for number, job in enumerate(scene.ids)}
    order = [numbers.get(job, "new") for job in client.lrange("rq:queue:e", 0, -1)]
    there = {key: client.type(key) for key in client.keys("*") if not key.startswith("rq:job:")}
    job = re.compile("(?<=:)[a-z2-7]{10}(?=$|:)")
    named = {job.sub(lambda found: numbers.get(found[0], found[0]), key): there[key] for key in there}
    return shown, experiments, slots, order, named, [row.why for row in store.unused_gpus()]


@pytest.mark.fault(26)
@pytest.mark.parametrize("script", sorted(path.stem for path in LUA.glob("*.lua")))
def test_f26_a_reply_is_lost_after_the_script_ran(server: RedisServer, script: str) -> None:
    assert script in CALLS, "say in CALLS what calls it, and it is tested"
    before, call = CALLS[script]
    plain = scene(server, before)
    call(plain.lab.store, plain)
    expected = seen(plain)

    lossy = scene(server, before)
    proxy = Proxy(server.host, server.port)
    try:
        store = open_store(proxy.url, Settings())
        proxy.drop_reply(sha(script).encode())
        with pytest.raises(RedisUnreachable):
            call(store, lossy)
        assert proxy.dropped == 1
        call(store, lossy)
    finally:
        proxy.close()
    assert seen(lossy) == expected
    lossy.lab.client.zrem(keys.RQ_FAILED + "e", *lossy.ids)
    if before is not astray:
        assert lossy.lab.store.audit() == []


@pytest.mark.parametrize("script", ["claim", "renew", "finish", "release"])
def test_a_slot_makes_the_call_again_whose_reply_was_lost(fleet: Fleet, script: str) -> None:
    """Every job runs once, and none is held by nobody."""
    go, proxy = fleet.root / "go", fleet.proxy()
    jobs = fleet.push("until", go, jobs=3)
    if script == "claim":
        proxy.drop_reply(sha(script).encode())
    node = fleet.node("a", url=proxy.url)
    fleet.wait_running(jobs[0])
    if script != "claim":
        proxy.drop_reply(sha(script).encode())
    if script == "release":
        os.kill(node.pid, signal.SIGTERM)
        node.wait_for("once more hands back")
        node.hand_back()
        assert node.agent is not None and node.agent.wait(20) == 0
        assert [fleet.row(job).state for job in jobs] == [S.QUEUED] * 3
        node.start()
    elif script == "renew":
        fleet.wait(lambda: proxy.dropped, "a lost reply")
    go.touch()
    rows = fleet.wait_all()
    expected = {jobs[0]: 2 if script == "release" else 1, jobs[1]: 1, jobs[2]: 1}
    assert proxy.dropped == 1
    assert {row.id: row.attempts for row in rows} == expected == fleet.witness.runs()
    assert all(row.state is S.DONE and row.lost == 0 for row in rows)
    fleet.check()
