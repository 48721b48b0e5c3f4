"""Checks of a node for `exs doctor`: GPUs, what dead attempts left, what waits for Redis. Linux only; it only looks."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from exs import paths
from exs.answers import Finding, Severity
from exs.errors import InputError
from exs.settings import Settings
from exs_worker import proctree
from exs_worker.devices import Device, DeviceError, Nvml, discover, open_nvml
from exs_worker.janitor import is_orphan
from exs_worker.node import Agents
from exs_worker.outcome import OomCounter
from exs_worker.spool import Spool
from exs_worker.strangers import strangers, who

GIB = 1 << 30
#: Processes and files that one finding names.
_NAMED = 5
_XID = re.compile(r"NVRM: Xid \(PCI:(?P<bus>[0-9a-fA-F:.]+)\): (?P<code>\d+)")
#: Records of the kernel's log that are read, far more than its buffer holds.
_KERNEL_RECORDS = 200_000


def checks(settings: Settings) -> Iterator[Finding]:
    """Everything about this machine as a node. Raises nothing."""
    state = paths.state_dir(configured=settings.state_dir)
    agents = Agents(state.agents)
    yield from gpus()
    yield from xids(_kernel_log())
    yield from leftovers()
    yield from spooled(Spool(state.spool), bool(agents.running()))
    yield from limits()


def _found(severity: Severity, what: str, do: str = "") -> Finding:
    return Finding("node", severity, what, do)


def gpus(nvml: Nvml | None = None) -> Iterator[Finding]:
    """Does every GPU answer, is it sound, and is it ours alone?"""
    try:
        nvml = open_nvml() if nvml is None else nvml
    except DeviceError as error:
        if any(Path("/dev").glob("nvidia[0-9]*")):
            yield _found(Severity.ERROR, f"there are GPUs, and the driver does not answer: {error}", "nvidia-smi")
        else:
            yield _found(Severity.OK, "no GPU")
        return
    except InputError as error:
        yield _found(Severity.ERROR, error.message)
        return
    found = discover(nvml)
    if not found.nvml:
        yield _found(Severity.ERROR, f"the driver does not say how many GPUs there are: {found.why}", "nvidia-smi")
    for index, why in found.lost:
        yield _found(
            Severity.ERROR, f"GPU {index} does not answer: {why}",
            f"nvidia-smi -i {index}   # one that fell off the bus wants a reboot",
        )  # fmt: skip
    for device in found.devices:
        yield from _ailments(nvml, device)
        yield from _strangers(nvml, device)
    if found.devices:
        yield _found(Severity.OK, f"GPUs: {_counted(found.devices)}")


def _counted(devices: Iterable[Device]) -> str:
    """`4 x H100 (80 GiB)`, and how many parts MIG made."""
    kinds: dict[str, int] = {}
    for device in devices:
        size = f" ({device.memory / GIB:.0f} GiB)" if device.memory else ""
        parts = f" in {len(device.mig)} parts" if device.mig else ""
        kind = f"{device.name or 'GPU'}{size}{parts}"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.items())


def _ailments(nvml: Nvml, device: Device) -> Iterator[Finding]:
    """What the GPU says of itself."""
    look = f"nvidia-smi -q -i {device.index}"
    health = nvml.health(device.uuid)
    if health.broken:
        yield _found(Severity.ERROR, f"GPU {device.index} gets no job: {health.broken.rstrip('.')}.", look)
    if health.uncorrected:
        errors = f"{health.uncorrected} memory errors that could not be corrected"
        yield _found(Severity.WARNING, f"GPU {device.index} had {errors} since its driver was loaded.", look)
    for ailment in health.ailments:
        yield _found(Severity.WARNING, f"GPU {device.index} {ailment}.", look)


def _strangers(nvml: Nvml, device: Device) -> Iterator[Finding]:
    """Processes that compute there and belong to no job of exs."""
    pids: list[int] = []
    for part in device.mig or (device,):
        with contextlib.suppress(DeviceError):  # a GPU that answers, and does not tell
            pids += nvml.processes(part.uuid)
    found = strangers(pids, ())
    if found:
        yield _found(
            Severity.WARNING, f"GPU {device.index} gets no job while others compute on it: {_listed(found)}.",
            "exs worker --share-gpus   # not to mind, or agree with them",
        )  # fmt: skip


def _listed(found: Sequence[object]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(map(str, found[:_NAMED])) + more


def xids(log: str) -> Iterator[Finding]:
    """What the driver told the kernel about its GPUs since the machine booted; the last of each kind."""
    seen = {(match["bus"], match["code"]): None for match in _XID.finditer(log)}
    for bus, code in seen:
        yield _found(
            Severity.WARNING, f"the driver reported Xid {code} of the GPU at PCI {bus} since this machine booted.",
            f"dmesg | grep Xid   # what it means: https://docs.nvidia.com/deploy/xid-errors/#{code}",
        )  # fmt: skip


def _kernel_log() -> str:
    """The kernel's log where we may read it, which is root's on most machines; "" elsewhere."""
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    records: list[bytes] = []
    try:
        for _ in range(_KERNEL_RECORDS):
            records.append(os.read(log, 8192))
    except OSError:  # BlockingIOError at its end; EPIPE when it was overwritten while we read
        pass
    finally:
        os.close(log)
    return b"\n".join(records).decode("utf-8", "replace")


def leftovers() -> Iterator[Finding]:
    """Do processes of attempts live on whose slot has died?"""
    for attempt, procs in proctree.survivors().items():
        orphans = [proc for proc in procs if is_orphan(proc)]
        if orphans:
            shown = _listed([who(proc.pid) for proc in orphans])
            yield _found(
                Severity.WARNING, f"attempt {attempt} left processes behind, and its slot is dead: {shown}.",
                f"kill {' '.join(str(proc.pid) for proc in orphans)}   # or start exs worker, which ends them",
            )  # fmt: skip


def spooled(spool: Spool, agent: bool) -> Iterator[Finding]:
    """Do outcomes wait here for Redis, and is there somebody to deliver them?"""
    files, broken = spool.waiting()
    if files:
        what = f"{_outcomes(files)} in {spool.root} for Redis"
        if agent:
            yield _found(Severity.NOTE, f"{what}: the worker that runs here delivers them when it answers.")
        else:
            yield _found(
                Severity.WARNING,
                f"{what}, and no worker runs here to deliver them.",
                "exs worker   # delivers them first",
            )
    if broken:
        shown = ", ".join(path.name for path in broken[:_NAMED])
        yield _found(
            Severity.WARNING, f"{_outcomes(broken)} in {spool.root} that cannot be read: {shown}.",
            f"ls -l {spool.root}   # each job runs again by itself; remove them when you have looked",
        )  # fmt: skip


def _outcomes(files: list[Path]) -> str:
    return "1 outcome waits" if len(files) == 1 else f"{len(files)} outcomes wait"


def limits() -> Iterator[Finding]:
    """What the kernel lets a job have, and what it tells us of one that wanted more."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "any number of" if files == resource.RLIM_INFINITY else f"{files:,}"
    counter = OomCounter()
    tells = counter.readable
    counter.close()
    own = cgroup()
    if own is None:
        kind = "no cgroup v2"
    else:
        rights = "its own to divide" if os.access(own, os.W_OK) else "not ours to divide"
        kind = f"cgroup v2, {rights}{'' if (own / 'cgroup.kill').exists() else ', without cgroup.kill'}"
    yield _found(Severity.OK, f"a job may open {shown} files; {kind}")
    if not tells:
        yield _found(
            Severity.NOTE, "the kernel does not say when it ends a job for want of memory (no memory controller in our "
            "cgroup): such a job shows as killed by SIGKILL.",
        )  # fmt: skip


def cgroup(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> Path | None:
    """The directory of our cgroup, version 2; None where there is none."""
    try:
        lines = Path(membership).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        number, _, path = line.split(":", 2)
        # Inside a container the path is the host's, and the root of what we see is ours.
        for place in (Path(f"{root}{path}"), Path(root)):
            if number == "0" and (place / "cgroup.procs").exists():
                return place
    return None
