"""Keys that somebody made into something else: they are named, and what runs into them says one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from exs.errors import RedisRefused
from exs.store import keys
from exs.store.kinds import KINDS
from store.actors import CRASHED, DONE, Lab, Slot


def test_the_types_are_those_of_the_page() -> None:
    page = Path(keys.__file__).read_text()
    ours = re.findall(r"^#: (string|hash|list|set|zset)\b.*\n(?:^#: .*\n)*^([A-Z_]+) = ", page, re.MULTILINE)
    assert {getattr(keys, name): kind for kind, name in ours}.items() <= KINDS.items()
    rows = re.findall(r"^\| `?rq:([a-z/]+)(:?)[^|]*\| (list|hash|zset|set) +\|", page, re.MULTILINE)
    theirs = {f"rq:{name}{colon}": kind for names, colon, kind in rows for name in names.split("/")}
    assert {key: kind for key, kind in KINDS.items() if key.startswith("rq:")} == {**theirs, "rq:workers": "set"}
    assert {key for key in KINDS if key.startswith("exs:")} == {getattr(keys, name) for _, name in ours}


def test_a_queue_as_it_is_has_none_and_each_that_was_replaced_is_named(lab: Lab) -> None:
    lab.push(*range(4), retries=1)
    slot = lab.slot("s1")
    slot.must_claim()
    slot.finish(CRASHED)
    slot.must_claim()
    lab.store.node_up("s1-node", "boot-1", "machine", 1)
    assert list(lab.store.wrong_kinds()) == []
    for key in sorted(lab.client.keys("*")):
        was = lab.client.type(key)
        lab.client.rename(key, "aside")
        lab.client.xadd(key, {"a": "b"})
        assert list(lab.store.wrong_kinds()) == [(key, "stream", was)]
        lab.client.rename("aside", key)


def test_what_rq_keeps_of_a_job_under_further_names_is_not_the_job(lab: Lab) -> None:
    lab.push(1)
    lab.client.sadd(f"{keys.RQ_JOB}{lab.ids()[0]}:dependents", "other")
    lab.client.sadd(f"{keys.RQ_JOB}{lab.ids()[0]}:dependencies", "other")
    assert list(lab.store.wrong_kinds()) == []


def test_all_of_a_large_queue_is_looked_at(lab: Lab) -> None:
    lab.push(*range(3000))
    for job in lab.ids()[::1000]:
        lab.client.set(keys.RQ_JOB + job, "x")
    assert {wrong.found for wrong in lab.store.wrong_kinds()} == {"string"}
    assert len(list(lab.store.wrong_kinds())) == 3


@pytest.mark.parametrize("make", ["set", "list"])
def test_a_script_that_runs_into_one_says_one_sentence(lab: Lab, make: str) -> None:
    """None that speaks of lines of Lua: not even where it is the script that failed, not Redis that refused."""
    lab.push(1)
    lab.client.delete(keys.EXPERIMENT + "e")
    lab.client.sadd(keys.EXPERIMENT + "e", "x") if make == "set" else lab.client.rpush(keys.EXPERIMENT + "e", "x")
    for call in (lambda: lab.push(2), lambda: lab.store.remove_experiment("e")):
        with pytest.raises(RedisRefused) as caught:
            call()
        assert "exs doctor" in caught.value.hint
        assert not re.search(r"user_script|script:|\n|[0-9a-f]{40}", str(caught.value))


def test_what_fails_inside_a_script_is_told_without_where(lab: Lab) -> None:
    lab.push(1)
    with pytest.raises(
        RedisRefused, match=r"a script of exs cannot read: attempt to perform arithmetic on [^.@]*\. exs doctor"
    ):
        lab.store._call("states", "e", 0)


KEYS = (
    keys.LEASES, keys.LATER, keys.RQ_QUEUE + "e", keys.RQ_WIP + "e", keys.RQ_FINISHED + "e", keys.RQ_FAILED + "e",
    keys.RQ_SCHEDULED + "e", keys.QUEUES + "e", keys.ORDER + "default", keys.SHAPES + "default",
    keys.READY + "default:||",
)  # fmt: skip
ENDS: dict[str, Callable[[Lab, Slot], object]] = {
    "done": lambda lab, slot: slot.finish(DONE),
    "crashed": lambda lab, slot: slot.finish(CRASHED),
    "released": lambda lab, slot: slot.release(),
    "died": lambda lab, slot: lab.store.slot_dead([slot.offer.slot], "killed"),
    "claims": lambda lab, slot: lab.slot("third").claim("attempt-of-third"),
}


@pytest.mark.parametrize("end", ENDS)
def test_once_the_key_is_back_every_job_stands_where_it_should(lab: Lab, end: str) -> None:
    """A script that Redis stopped in the middle has done half of its work, each time that it was called again."""
    for key in KEYS:
        lab.client.flushall()
        lab.push(*range(5), retries=1, max_running=3)
        slot, other = lab.slot("first"), lab.slot("second")
        slot.must_claim()
        other.must_claim()
        other.finish(CRASHED)
        lab.client.renamenx(key, "aside") if lab.client.exists(key) else lab.client.delete("aside")
        lab.client.set(key, "x")
        for _ in range(4):
            with suppress(RedisRefused):
                ENDS[end](lab, slot)
        lab.client.delete(key)
        if lab.client.exists("aside"):
            lab.client.rename("aside", key)
        ENDS[end](lab, slot)
        for _ in range(4):
            lab.hasten()
            lab.reap()
            lab.store.mend("e", 5.0)
        running = lab.states().count("RUNNING")
        assert (lab.store.audit(), int(lab.client.hget(keys.EXPERIMENT + "e", "running") or 0)) == ([], running), key
