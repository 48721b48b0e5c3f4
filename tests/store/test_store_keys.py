"""`keys.py` is the whole schema: whatever is done, Redis holds no key that the page does not name."""

from __future__ import annotations

import json
import re

import pytest

from exs.model import Resources, Update
from exs.store import keys
from exs.store.logs import LogChunk
from store.actors import CANCELED, CRASHED, DONE, ME, PRUNED, SPEC, Killed, Lab, killed_after, points

PREFIXES = {
    value
    for name, value in vars(keys).items()
    if name.isupper() and isinstance(value, str) and value.startswith(("rq:", "exs:"))
}


def test_every_key_and_field_is_documented(lab: Lab) -> None:
    store = lab.store
    store.node_up("s1-node", "boot-1", "machine", 1)
    lab.slot("idle").claim()
    killed_after(2, store)
    with pytest.raises(Killed):
        store.push("half", SPEC, points(*range(900)), ME)
    del store._call, store._stream  # it lives again
    lab.push(*range(6), retries=1, max_running=5, lost_after=9.0, code="c0de")
    lab.push(*range(10, 12), resources=Resources(gpus=1))
    store.push("e", SPEC, points(*range(20, 1200)), ME)
    slot = lab.slot("s1")
    for outcome in (DONE, PRUNED, CRASHED, CANCELED):
        slot.must_claim()
        slot.renew()
        slot.finish(outcome)
    slot.must_claim()
    store.slot_dead(["s1"], "killed")
    slot.must_claim()
    store.cancel([slot.must_claim().job])
    store.retry([row.id for row in store.jobs("e") if row.state.value == "DONE"], force=True)
    for operation, value in (
        ("weight", "2"),
        ("max-slots", "3"),
        ("resource-pool", "a100"),
        ("resource-pool", "default"),
    ):
        store.update([Update("e", operation, value)])
    store.gpus_unused("s1-node", {"0": "busy"}, 9.0)
    store.ask_log("s1-node", "job", "", 0, 10, 0.01)
    request = store.next_log_request("s1-node", 1.0)
    assert request is not None
    store.answer_log(request, LogChunk(b"x", 0, 1))
    store.drain(["s1-node"], "ann", why="dust", grace=9.0)
    lab.contact()
    store.reap()

    found = set(lab.client.keys("*"))
    assert {key for key in found if not key.startswith(tuple(PREFIXES))} == set()
    ours = set(keys.JOB_FIELDS)
    for key in lab.client.keys(keys.RQ_JOB + "*"):
        assert {field for field in lab.client.hkeys(key) if len(field) == 2} <= ours
    fields = {re.sub(r"^s:\d+$", "s:K", field) for field in lab.client.hkeys(keys.EXPERIMENT + "e")}
    assert fields <= set(keys.EXPERIMENT_FIELDS)
    fields = {re.sub(r"^q:.*$", "q:QUEUE", field) for field in lab.client.hkeys(keys.STAGE + "half")}
    assert fields | {"again"} == set(keys.STAGE_FIELDS)
    fields = {re.sub(r"^s:.*$", "s:SLOT", re.sub(r"^j:.*$", "j:ID", f)) for f in lab.client.hkeys(keys.BREAKER + "e")}
    assert fields and fields <= set(keys.BREAKER_FIELDS)
    for key in lab.client.keys(keys.RQ_WORKER + "*"):
        assert {field for field in lab.client.hkeys(key) if field.startswith("exs_")} <= set(keys.WORKER_FIELDS)
    assert set(json.loads(lab.client.hget(keys.DRAINED, "s1-node") or "{}")) <= set(keys.DRAIN_FIELDS)
    assert store.audit() == []


def test_every_name_on_the_page_is_used() -> None:
    import inspect

    from exs.store import audit, base, connect, lease, logs, look, push, scripts

    text = "".join(path.read_text() for path in scripts._LUA.rglob("*.lua"))
    python = "".join(inspect.getsource(module) for module in (audit, base, connect, lease, logs, look, push))
    unused = [
        name
        for name, value in vars(keys).items()
        if name.isupper() and isinstance(value, (str, int)) and not re.search(rf"\b{name}\b", text + python)
    ]
    assert unused == []


def test_scripts_get_the_values_of_the_page_and_stay_within_what_lua_allows() -> None:
    from exs.store import scripts

    text = "local a = RQ_JOB .. id -- RQ_JOB\nlocal t = {POOL = 'JOBS', x = f.IDS} if #RQ_JOB == WORKER_TTL then end"
    assert keys.inlined(text) == (
        "local a = 'rq:job:' .. id -- RQ_JOB\nlocal t = {POOL = 'JOBS', x = f.IDS} if #'rq:job:' == 480 then end"
    )
    for path in scripts._LUA.rglob("*.lua"):
        own = set(re.findall(r"\blocal (?:function )?([A-Z][A-Z_]+)\b", path.read_text()))
        assert not own & set(keys._CONSTANTS), f"{path.name} calls something else by the name of a key"
        if path.parent == scripts._LUA:
            source = scripts.source(path.stem)
            lines = [line.split("=")[0].split("(")[0] for line in source.splitlines() if line.startswith("local ")]
            assert sum(len(line.split(",")) for line in lines) < 180, f"{path.name}: Lua allows 200 locals"
