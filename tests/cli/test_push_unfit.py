"""A push that no slot could ever run says so at once, and is refused with --strict."""

from __future__ import annotations

import pytest

from cli.lab import Exs, Lab
from exs.model import Offer
from exs.store import keys
from exs.store.push import new_id

SWEEP = """\
name: big
command: python train.py --lr {lr}
params: {lr: [0.1, 0.01]}
resources: {gpus: 2, gpu_memory: 20GiB}
"""


@pytest.fixture
def big(exs: Exs) -> Exs:
    (exs.cwd / "big.yaml").write_text(SWEEP)
    return exs


def there(lab: Lab, node: str, gpus: tuple[str, ...], memory: int = 0) -> None:
    offer = Offer(f"{node}:x@1a2b", node, "b", gpus=gpus, gpu_memory=memory << 30)
    assert lab.store.claim(offer, new_id()) is None
    lab.store._client.hset(keys.RQ_WORKER + offer.slot, "exs_memory", memory << 30)


def test_what_no_slot_could_ever_run_is_said_with_what_there_is(big: Exs, lab: Lab) -> None:
    there(lab, "gpu01", ("0",), 11)
    there(lab, "gpu02", ("0",), 11)
    there(lab, "cpu01", ())
    out, err = big.both("push", "big.yaml")
    assert "pushed big: +2 new" in out
    assert (
        "no slot that is there could ever run 2 jobs of big: it needs 2 GPUs of 20 GiB; "
        "here: 2 slots with 1 GPU of 11 GiB, 1 slot without a GPU." in err
    )
    assert "exs why big" in err
    why = big("why", "big")
    assert "no slot that is there could ever run it" in why and "needs 20 GiB, has 11 GiB" in why
    assert "needs       2 GPUs of 20 GiB" in why
    assert "could ever run" not in big.both("push", "big.yaml")[1]  # nothing new


def test_what_runs_again_with_what_no_slot_has_is_said_too(exs: Exs, lab: Lab) -> None:
    (exs.cwd / "big.yaml").write_text(SWEEP.partition("resources")[0])
    exs("push", "big.yaml")
    for _ in range(2):
        lab.end(lab.claim())
    there(lab, "cpu01", ())
    (exs.cwd / "big.yaml").write_text(SWEEP)
    out, err = exs.both("push", "-f", "big.yaml")
    assert "^2 run again" in out
    assert "no slot that is there could ever run" in err


def test_strict_refuses_it_and_queues_nothing(big: Exs, lab: Lab) -> None:
    there(lab, "gpu01", ("0",), 11)
    _, err = big.both("push", "big.yaml", "--strict", code=4)
    assert "could ever run 2 jobs of big" in err and "Nothing was queued" in err
    assert lab.store.experiments() == []
    there(lab, "gpu03", ("0", "1"), 24)
    out, err = big.both("push", "big.yaml", "--strict")
    assert "+2 new" in out and "could ever" not in err


def test_without_any_worker_strict_says_no_workers(big: Exs, lab: Lab) -> None:
    _, err = big.both("push", "big.yaml", "--strict", code=4)
    assert "no workers" in err and lab.store.experiments() == []
    out, err = big.both("push", "big.yaml")
    assert "no worker is running" in out and "could ever" not in err


def test_a_pool_that_nobody_serves_is_nobody_s_fault_but_said(big: Exs, lab: Lab) -> None:
    there(lab, "gpu03", ("0", "1"), 24)
    _, err = big.both("push", "big.yaml", "--pool", "a100", "--strict", code=4)
    assert "it needs 2 GPUs of 20 GiB in pool a100; here: 1 slot with 2 GPUs of 24 GiB" in err


def test_what_is_drained_could_run_it_all_the_same(big: Exs, lab: Lab) -> None:
    there(lab, "gpu03", ("0", "1"), 24)
    lab.store.drain(["gpu03"], "ann")
    assert "+2 new" in big("push", "big.yaml", "--strict")


def test_a_job_by_hand_is_asked_about_too(big: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    assert "no workers" in big.both("push", "resnet", "-p", "lr", "3", "--strict", code=4)[1]
    there_before = len(lab.store.jobs("resnet"))
    big("push", "resnet", "-p", "lr", "3")
    assert len(lab.store.jobs("resnet")) == there_before + 1
