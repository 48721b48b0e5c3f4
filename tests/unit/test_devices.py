"""GPUs as found and as divided into slots."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from exs.errors import InputError
from exs_worker import gpuwatch, proctree
from exs_worker.devices import Device, DeviceError, Discovery, DriverNvml, Health, Usage, discover, open_nvml
from exs_worker.fakegpus import GIB, FakeNvml
from exs_worker.gpulock import GpuLock, Loan, borrower_of
from exs_worker.slotplan import SlotPlan, index_note, plan_slots
from exs_worker.strangers import strangers

UUIDS = [f"GPU-{letter * 8}-1111-2222-3333-444444444444" for letter in "abcd"]
FOUR = Discovery(tuple(Device(index, uuid, "X", (index + 1) * GIB) for index, uuid in enumerate(UUIDS)))
PARTS = (Device(0, "MIG-aaaa", "part", 10 * GIB), Device(0, "MIG-bbbb", "part", 20 * GIB))
WITH_MIG = Discovery((Device(0, UUIDS[0], "X", 80 * GIB, PARTS), Device(1, UUIDS[1], "X", 80 * GIB)))
BLIND = Discovery(nvml=False, why="NVML: no driver.")


class Driver:
    """pynvml as far as it is used; GPU 1 has fallen off the bus, GPU 2 is divided, GPU 3 knows no MIG."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 4

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        if index == 1:
            raise self.NVMLError("GPU is lost")
        return f"gpu{index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:
        return uuid

    def nvmlDeviceGetMigMode(self, handle: Any) -> list[int]:
        if handle == "gpu3":
            raise self.NVMLError("Not Supported")
        return [int(handle == "gpu2"), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, place: int) -> Any:
        if place not in (0, 3):
            raise self.NVMLError("Not Found")
        return f"part{place}"

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:
        if handle == "gpu3":
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(total=5 * GIB)

    def nvmlDeviceGetUUID(self, handle: Any) -> bytes | str:
        return b"GPU-0" if handle == "gpu0" else f"U-{handle}"

    def nvmlDeviceGetName(self, handle: Any) -> str:
        return "H1"

    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any:
        if handle == "gpu3":
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=87, memory=20)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> Any:
        return [SimpleNamespace(pid=77, usedGpuMemory=5 * GIB), SimpleNamespace(pid=78, usedGpuMemory=None)]


def test_f39_what_the_driver_says_and_one_lost_gpu_does_not_hide_the_others() -> None:
    nvml = DriverNvml(Driver())
    found = discover(nvml)
    assert found.nvml
    assert [device.index for device in found.devices] == [0, 2, 3]
    assert found.devices[0] == Device(0, "GPU-0", "H1", 5 * GIB)
    assert [part.uuid for part in found.devices[1].mig] == ["U-part0", "U-part3"]
    assert found.devices[2].memory == 0
    assert found.lost == ((1, "NVML: GPU is lost."),)
    assert nvml.processes("GPU-0") == [77, 78]
    with pytest.raises(InputError, match=r"GPU 1 does not answer: NVML: GPU is lost\."):
        plan_slots(found, gpus="0,1")


def test_what_a_gpu_does_by_pid_and_a_part_of_one_that_cannot_say_its_load() -> None:
    nvml = DriverNvml(Driver())
    assert nvml.usage("gpu0") == Usage({77: 5 * GIB, 78: 0}, 87.0)
    assert nvml.usage("gpu3").load is None


def test_f40_a_machine_without_a_driver_is_no_error() -> None:
    class NoDriver(Driver):
        def nvmlInit(self) -> None:
            raise self.NVMLError("Driver Not Loaded")

    with pytest.raises(DeviceError, match="Driver Not Loaded"):
        DriverNvml(NoDriver())
    found = discover(SimpleNamespace(count=lambda: DriverNvml(NoDriver()).count()))  # type: ignore[arg-type]
    assert (found.nvml, found.devices) == (False, ())
    assert "Driver Not Loaded" in found.why


class Failing(Driver):
    """GPU-0 answers with what is set; the driver has one thing to report."""

    def __init__(self) -> None:
        self.code = 0
        self.rows = (0, 0, 0, 0)
        self.errors = 0
        self.reasons = 0
        self.xid = 0

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:
        if self.code:
            error = self.NVMLError("GPU is lost" if self.code == 15 else "Unknown Error")
            error.value = self.code  # type: ignore[attr-defined]
            raise error
        return uuid

    def nvmlDeviceGetRemappedRows(self, handle: Any) -> Any:
        return self.rows

    def nvmlDeviceGetTotalEccErrors(self, handle: Any, kind: int, counter: int) -> int:
        return self.errors

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any) -> int:
        return self.reasons

    def nvmlEventSetCreate(self) -> str:
        return "events"

    def nvmlDeviceRegisterEvents(self, handle: Any, kinds: int, events: Any) -> None:
        assert (handle, kinds, events) == ("GPU-0", 8, "events")

    def nvmlEventSetWait_v2(self, events: Any, milliseconds: int) -> Any:
        if not self.xid:
            raise self.NVMLError("Timeout")
        return SimpleNamespace(device="gpu0", eventData=self.xid)


def test_f39_what_tells_a_failed_gpu_from_one_that_only_cannot_say() -> None:
    driver = Failing()
    nvml = DriverNvml(driver)
    assert nvml.health("GPU-0") == Health()
    driver.errors = 2
    assert nvml.health("GPU-0") == Health(uncorrected=2)
    assert gpuwatch.failure(nvml, "GPU-0", 2) == ""
    assert gpuwatch.failure(nvml, "GPU-0", 1) == "1 uncorrectable memory error (ECC)."
    driver.rows = (0, 9, 0, 1)
    assert "row remapping failed" in nvml.health("GPU-0").broken
    driver.code = 999
    assert nvml.health("GPU-0") == Health()
    driver.code = 15
    assert nvml.health("GPU-0").broken == "NVML: GPU is lost."
    assert DriverNvml(Driver()).health("GPU-0") == Health()


def test_f39_the_driver_reports_a_failure_and_is_silent_otherwise() -> None:
    driver = Failing()
    nvml = DriverNvml(driver)
    assert nvml.failures(["GPU-0"], 0.01) == []
    driver.xid = 79
    assert nvml.failures(["GPU-0"], 0.01) == [("GPU-0", 79)]
    with pytest.raises(DeviceError, match="knows no nvmlEventSetCreate"):
        DriverNvml(Driver()).failures(["GPU-0"], 0.01)


def test_f41_strangers_are_named_with_their_owner_and_our_own_are_none() -> None:
    code = "import os, time; os.fork() or (os.setsid(), print(flush=True)); time.sleep(60)"
    ours = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={"EXS_ATTEMPT": "a"})
    theirs = subprocess.Popen(["sleep", "60"])
    assert ours.stdout
    try:
        ours.stdout.readline()
        (below,) = [stat.proc.pid for stat in proctree.descendants(ours.pid)]
        (found,) = strangers([ours.pid, below, theirs.pid, 2**22 + 1], slots=[])
        assert str(found) == f"process {theirs.pid} of {getpass.getuser()} (sleep)"
        assert strangers([theirs.pid], slots=[os.getpid()]) == []
    finally:
        os.kill(below, 9)
        for process in (ours, theirs):
            process.kill()
            process.wait()


def test_what_a_person_should_see_to_does_not_take_a_gpu_from_its_jobs() -> None:
    driver = Failing()
    nvml = DriverNvml(driver)
    assert nvml.health("GPU-0") == Health()
    driver.rows, driver.reasons = (0, 1, 1, 0), 0x40 | 0x4
    assert nvml.health("GPU-0") == Health(
        "", 0, ("waits for a reset to replace broken memory", "is slowed down by heat")
    )
    driver.rows, driver.reasons = (0, 0, 0, 0), 0x80
    assert nvml.health("GPU-0").ailments == ("is slowed down for want of power",)
    driver.reasons = 0x1  # idle
    assert nvml.health("GPU-0") == Health()


def test_fake_gpus_come_from_the_environment() -> None:
    found = discover(open_nvml({"EXS_FAKE_GPUS": "2x24GiB"}))
    assert [(device.index, device.memory) for device in found.devices] == [(0, 24 * GIB), (1, 24 * GIB)]
    assert len({plan.suffix for plan in plan_slots(found)}) == 2
    with pytest.raises(InputError, match="EXS_FAKE_GPUS='lots'"):
        FakeNvml("lots")


def brief(plans: list[SlotPlan]) -> list[tuple[str, str]]:
    return [(plan.suffix, ",".join(plan.devices)) for plan in plans]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gpus": "0,2"}, [("gpu0", "0"), ("gpu2", "2")]),
        ({"gpus": "all"}, [("gpu0", "0"), ("gpu1", "1"), ("gpu2", "2"), ("gpu3", "3")]),
        ({}, [("gpu0", "0"), ("gpu1", "1"), ("gpu2", "2"), ("gpu3", "3")]),
        ({"slots": ["0,1", "2,3"]}, [("gpu0-1", "0,1"), ("gpu2-3", "2,3")]),
        ({"gpus": "1", "slots": ["2,3"]}, [("gpu1", "1"), ("gpu2-3", "2,3")]),
        ({"gpus": "3", "per_gpu": 2}, [("gpu3.0", "3"), ("gpu3.1", "3")]),
        ({"cpus": 2}, [("cpu0", ""), ("cpu1", "")]),
        ({"gpus": "0", "cpus": 1}, [("gpu0", "0"), ("cpu0", "")]),
        ({"gpus": UUIDS[1]}, [("gpubbbbbbbb-1111", UUIDS[1])]),
        ({"gpus": "GPU-cc"}, [("gpucccccccc-1111", UUIDS[2])]),
        ({"gpus": "all", "visible": "3,1"}, [("gpu3", "3"), ("gpu1", "1")]),
        ({"gpus": "all", "visible": "1,9,2"}, [("gpu1", "1")]),
        ({"gpus": "all", "visible": UUIDS[2]}, [("gpucccccccc-1111", UUIDS[2])]),
        ({"gpus": "2", "visible": UUIDS[2]}, [("gpu2", "2")]),
        ({"visible": ""}, [("cpu0", "")]),
        ({"gpus": " 0 , 1 "}, [("gpu0", "0"), ("gpu1", "1")]),
    ],
)
def test_slots_as_asked_for(options: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert brief(plan_slots(FOUR, **options)) == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gpus": "7"}, "GPU 7 does not exist on this machine. It has: 0, 1, 2, 3."),
        ({"gpus": "0,0"}, "GPU 0 is given twice in --gpus 0,0. --per-gpu 2"),
        ({"gpus": "0,00"}, "given twice"),
        ({"gpus": f"0,{UUIDS[0]}"}, "given twice"),
        ({"slots": ["0,1", "1,2"]}, "GPU 1 is given twice: in --slot 0,1 and in --slot 1,2"),
        ({"gpus": "all", "slots": ["1,2"]}, "GPU 1 is given twice: in --gpus all"),
        ({"gpus": "0", "visible": "1,2"}, "GPU 0 of --gpus 0 is outside CUDA_VISIBLE_DEVICES=1,2"),
        ({"gpus": "all", "visible": ""}, "no GPU can be used: CUDA_VISIBLE_DEVICES='' shows none"),
        ({"gpus": "-1"}, "'-1' is no GPU"),
        ({"gpus": "0,"}, "'' is no GPU"),
        ({"gpus": "one"}, "'one' is no GPU"),
        ({"gpus": "²"}, "no GPU"),
        ({"gpus": "GPU-"}, "does not exist"),
        ({"gpus": "0", "per_gpu": 0}, "--per-gpu 0 is not possible"),
        ({"gpus": ""}, "--gpus names no GPU. Give indices"),
        ({"gpus": " ", "cpus": 1}, "--gpus names no GPU"),
        ({"slots": [""]}, "--slot names no GPU"),
        ({"cpus": 0}, "--cpus 0 is not possible. Give a number from 1 to"),
        ({"cpus": -1}, "--cpus -1 is not possible"),
        ({"cpus": 10**9}, "not possible"),
        ({"slots": ["0,1"], "per_gpu": 2}, "--per-gpu divides the GPUs of --gpus"),
        ({"slots": [f"0,{UUIDS[1]}"]}, "mixes indices and UUIDs"),
    ],
)
def test_slots_that_cannot_be(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_slots(FOUR, **options)
    assert sentence in str(caught.value)


def test_memory_is_that_of_the_smallest_device_or_the_share() -> None:
    assert plan_slots(FOUR, slots=["3,1"])[0].memory == 2 * GIB
    assert [plan.memory for plan in plan_slots(FOUR, gpus="3", per_gpu=2)] == [2 * GIB, 2 * GIB]


def test_a_divided_gpu_gives_its_parts() -> None:
    assert brief(plan_slots(WITH_MIG)) == [("migaaaa", "MIG-aaaa"), ("migbbbb", "MIG-bbbb"), ("gpu1", "1")]
    assert plan_slots(WITH_MIG, gpus="MIG-bbbb")[0].memory == 20 * GIB
    with pytest.raises(InputError, match=r"GPU 0 is divided by MIG\. Give a part of it: MIG-aaaa, MIG-bbbb"):
        plan_slots(WITH_MIG, gpus="0")


def test_without_nvml_gpus_are_taken_by_index_and_that_is_said() -> None:
    plans = plan_slots(BLIND, gpus="0,5")
    assert brief(plans) == [("gpu0", "0"), ("gpu5", "5")]
    assert index_note(BLIND, plans) == "GPUs are pinned by index, unchecked: NVML: no driver."
    assert brief(plan_slots(BLIND, gpus="all", visible="4,2")) == [("gpu4", "4"), ("gpu2", "2")]
    assert brief(plan_slots(BLIND)) == [("cpu0", "")]
    assert index_note(BLIND, plan_slots(BLIND)) == ""
    with pytest.raises(InputError, match="no GPU can be used"):
        plan_slots(BLIND, per_gpu=2)
    with pytest.raises(InputError, match=r"no GPU can be used: NVML: no driver\. Name them as --gpus 0,1"):
        plan_slots(BLIND, gpus="all")
    with pytest.raises(InputError, match="given twice"):
        plan_slots(BLIND, gpus="1,01")


def test_a_gpu_has_one_holder_and_its_pid_is_known() -> None:
    name = plan_slots(FOUR, gpus="0")[0].locks[0]
    code = f"""
from exs_worker.gpulock import GpuLock
lock = GpuLock({name!r})
print(lock.acquire(), flush=True)
input()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert other.stdin and other.stdout
    lock = GpuLock(name)
    assert other.stdout.readline() == "True\n"
    assert not lock.acquire()
    assert lock.holder_pid() == other.pid
    other.kill()
    other.communicate()
    assert lock.holder_pid() is None
    assert lock.acquire()
    lock.release()


def test_shares_of_a_gpu_exclude_the_whole_but_not_each_other() -> None:
    whole, first, second, again = (GpuLock(f"test-shares{end}") for end in ("", "/0", "/1", "/0"))
    assert first.acquire() and second.acquire()
    assert not again.acquire()
    assert not whole.acquire()
    first.release()
    second.release()
    assert whole.acquire()
    assert not first.acquire()
    whole.release()


def test_a_gpu_is_borrowed_from_the_process_that_holds_it_and_from_nobody_else() -> None:
    name = f"GPU-test-loan-{os.getpid()}"
    lock, loan, other = GpuLock(name), Loan(), Loan()
    assert not loan.take(name, os.getpid()), "nobody holds it"
    assert lock.acquire()
    assert not loan.take(name, os.getpid() + 1), "somebody else holds it: the lender was started anew"
    assert borrower_of([name]) is None
    assert loan.take(name, os.getpid())
    assert borrower_of(["GPU-test-another", name]) == os.getpid()
    assert not other.take(name, os.getpid())
    loan.end()
    assert borrower_of([name]) is None
    for _ in range(5000):
        lock.owner_pid()
    assert other.take(name, os.getpid()), "the lock was asked more often than it can answer"
    other.end()
    lock.release()
