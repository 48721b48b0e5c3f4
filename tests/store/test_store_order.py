"""Which job a slot gets, how many run at once, and who is woken."""

from __future__ import annotations

import pytest

from exs.model import JobState, Resources
from exs.store import keys
from exs.store.push import new_id
from store.actors import CANCELED, Lab


class TestOrder:
    def test_jobs_of_one_experiment_run_by_index(self, lab: Lab) -> None:
        lab.push(*range(6))
        slot = lab.slot()
        taken = []
        for _ in range(6):
            taken.append(slot.must_claim().index)
            slot.finish()
        assert taken == list(range(6))

    def test_priority_goes_before_age(self, lab: Lab) -> None:
        lab.push(1, name="old")
        lab.push(2, name="urgent", priority=1)
        lab.push(3, name="idle", priority=99)
        slot = lab.slot()
        assert [slot.must_claim().experiment for _ in range(3)] == ["urgent", "old", "idle"]

    def test_the_lowest_index_over_the_shapes_of_an_experiment(self, lab: Lab) -> None:
        lab.push(0, 1, resources=Resources(gpus=1))
        lab.push(2, 3, resources=Resources(gpus=0))
        lab.push(4, resources=Resources(gpus=1))
        gpu, cpu = lab.slot("g", gpus=("0",)), lab.slot("c")
        assert cpu.must_claim().index == 2
        assert [gpu.must_claim().index for _ in range(3)] == [0, 1, 4]
        assert cpu.must_claim().index == 3
        assert gpu.claim() is None
        assert lab.store.audit() == []

    def test_only_one_experiment_is_claimed_from(self, lab: Lab) -> None:
        lab.push(1, name="other", priority=1)
        lab.push(2, 3, name="mine")
        slot = lab.slot(only="mine")
        assert [slot.must_claim().experiment for _ in range(2)] == ["mine", "mine"]
        assert slot.claim() is None
        assert lab.states("other") == ["QUEUED"]

    def test_pools_are_apart(self, lab: Lab) -> None:
        lab.push(1, name="here", pool="a100")
        assert lab.slot("s1").claim() is None
        assert lab.slot("s2", pools=("default", "a100")).must_claim().experiment == "here"

    def test_a_push_that_names_another_pool_moves_what_waits(self, lab: Lab) -> None:
        lab.push(1)
        lab.push(1, 2, pool="a100")
        assert lab.slot("s1").claim() is None
        assert lab.slot("s2", pools=("a100",)).must_claim().index == 0
        assert lab.store.experiment("e").pool == "a100"


@pytest.mark.parametrize(
    ("wants", "fits"),
    [
        (Resources(), {"cpu", "gpu0", "pair", "uuid"}),
        (Resources(gpus=0), {"cpu"}),
        (Resources(gpus=1), {"gpu0", "pair", "uuid"}),
        (Resources(gpus=2), {"pair"}),
        (Resources(gpus=1, gpu_memory=1 << 35), {"pair"}),
        (Resources(gpus=1, indices=("0", "3")), {"gpu0"}),
        (Resources(indices=("0", "1")), {"gpu0", "pair"}),
        (Resources(indices=("MIG-GPU-1/2/3",)), {"uuid"}),
    ],
)
def test_a_job_goes_only_where_it_fits(lab: Lab, wants: Resources, fits: set[str]) -> None:
    lab.push(1, resources=wants)
    offers = {
        "cpu": {},
        "gpu0": {"gpus": ("0",), "gpu_memory": 1 << 34},
        "pair": {"gpus": ("0", "1"), "gpu_memory": 1 << 36},
        "uuid": {"gpus": ("MIG-GPU-1/2/3",), "gpu_memory": 1 << 33},
    }
    took = set()
    for name, offer in offers.items():
        slot = lab.slot(name, **offer)
        if slot.claim():
            took.add(name)
            slot.release()
    assert took == fits


class TestMaxRunning:
    def test_is_kept_over_several_queues(self, lab: Lab) -> None:
        lab.push(0, 1, resources=Resources(gpus=1), max_running=2)
        lab.push(2, 3, resources=Resources(gpus=0), max_running=2)
        gpu, cpu, more = lab.slot("g", gpus=("0",)), lab.slot("c"), lab.slot("m", gpus=("1",))
        gpu.must_claim()
        cpu.must_claim()
        assert more.claim() is None
        cpu.finish()
        assert more.must_claim().index == 1
        assert cpu.claim() is None

    @pytest.mark.parametrize("end", ["finish", "release", "lose", "cancel"])
    def test_room_is_made_by_every_end(self, lab: Lab, end: str) -> None:
        lab.push(0, 1, 2, max_running=1)
        slot, other = lab.slot("s1"), lab.slot("s2")
        job = slot.must_claim().job
        assert other.claim() is None
        if end == "finish":
            slot.finish()
        elif end == "release":
            slot.release()
        elif end == "lose":
            lab.store.slot_dead(["s1"], "killed")
        else:
            lab.store.cancel([job])
            slot.finish(CANCELED)
        assert other.claim() is not None
        assert lab.slot("s3").claim() is None
        assert lab.store.audit() == []


class TestWakeUp:
    def tokens(self, lab: Lab) -> set[str]:
        return {key.removeprefix(keys.WAKE) for key in lab.client.keys(keys.WAKE + "*")}

    def test_a_push_wakes_no_more_slots_than_it_has_jobs(self, lab: Lab) -> None:
        for name in ("s1", "s2", "s3"):
            assert lab.slot(name).claim() is None
        lab.push(1, 2)
        assert len(self.tokens(lab)) == 2
        assert all(0 < lab.client.ttl(keys.WAKE + name) <= keys.WAKE_TTL for name in self.tokens(lab))

    def test_only_slots_that_fit_are_woken(self, lab: Lab) -> None:
        lab.slot("cpu").claim()
        lab.slot("other", only="other").claim()
        lab.slot("gpu", gpus=("0",)).claim()
        lab.push(1, 2, resources=Resources(gpus=1))
        assert self.tokens(lab) == {"gpu"}

    def test_no_token_is_left_for_a_slot_that_went_silent(self, lab: Lab) -> None:
        lab.slot("silent").claim()
        (waiting,) = lab.client.keys(keys.IDLE + "default:*")
        lab.client.zadd(waiting, {"silent": 1000})
        lab.slot("waits").claim()
        lab.push(1, 2)
        assert self.tokens(lab) == {"waits"}
        assert lab.client.keys(keys.IDLE + "*") == []

    def test_slots_that_died_together_do_not_wake_each_other(self, lab: Lab) -> None:
        lab.push(1)
        busy = lab.slot("busy")
        busy.must_claim()
        for name in ("dead", "lives"):
            lab.slot(name).claim()
        assert lab.store.slot_dead(["busy", "dead"], "its slot on n died") == 1
        assert self.tokens(lab) == {"lives"}

    def test_who_waits_is_forgotten_when_all_fall_silent(self, lab: Lab) -> None:
        lab.slot(pools=("default", "a100")).claim()
        waiting = [*lab.client.keys(keys.IDLE + "*"), *lab.client.keys(keys.OFFERS + "*")]
        assert len(waiting) == 4
        assert all(0 < lab.client.pttl(key) <= lab.store.settings.timing.lease * 1000 for key in waiting)

    def test_slots_that_fit_nothing_cost_a_reap_nothing(self, lab: Lab) -> None:
        for name in range(20):
            lab.push(1, name=f"e{name}", resources=Resources(gpus=1))
        before = self.commands_of_a_reap(lab)
        for name in range(50):
            assert lab.slot(f"cpu{name}").claim() is None
        assert self.commands_of_a_reap(lab) - before < 30  # 20 ask whether workers live

    def commands_of_a_reap(self, lab: Lab) -> int:
        lab.reap()
        lab.contact()
        lab.client.config_resetstat()
        lab.store.reap()
        return sum(found["calls"] for found in lab.client.info("commandstats").values())

    def test_a_woken_slot_finds_the_job_at_once(self, lab: Lab) -> None:
        slot = lab.slot()
        assert slot.claim() is None
        lab.push(1)
        claim = lab.store.claim_when_woken(slot.offer, new_id(), 3.0)
        assert claim is not None and claim.index == 0

    def test_a_slot_that_is_not_woken_looks_all_the_same(self, lab: Lab) -> None:
        slot = lab.slot()
        lab.push(1)
        claim = lab.store.claim_when_woken(slot.offer, new_id(), 0.01)
        assert claim is not None and claim.index == 0

    def test_what_an_interrupted_slot_was_given_goes_back(self, lab: Lab) -> None:
        """It heard no answer, and knows its attempt alone."""
        slot = lab.slot()
        lab.push(2)
        attempt = new_id()
        given = lab.store.claim_when_woken(slot.offer, attempt, 0.01)
        assert given is not None
        lab.store.release_unknown(new_id(), "its slot left", slot.offer)
        assert lab.store.job(given.job).state is JobState.RUNNING
        for _ in range(2):
            lab.store.release_unknown(attempt, "its slot left", slot.offer)
            assert lab.store.job(given.job).state is JobState.QUEUED
        assert lab.slot("other").must_claim().job == given.job
