"""The words of exs as types: states and their transitions, and the records that pass between layers.

Everything here is data. `sweep` makes `NewJob`s, `store` keeps them, `exs_worker` turns a `Claim`
into an `Outcome`. What people are shown of it stands in `exs.rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

DEFAULT_POOL = "default"
DEFAULT_PRIORITY = 42
#: The highest weight of an experiment in a fair-share pool; every one is above 0, and 1 if nothing is said.
WEIGHT_MOST = 1e6

Json = Any  #: what strict JSON can hold: None, bool, int, finite float, str, list, dict with str keys
Params = Mapping[str, Json]  #: trial parameters: name -> value, in the order in which they were written


class JobState(str, Enum):
    """State of a job, as stored. SUSPECT is no state: it is a RUNNING job whose lease is late."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    DONE = "DONE"
    PRUNED = "PRUNED"
    CRASHED = "CRASHED"
    CANCELED = "CANCELED"


class Scheduler(str, Enum):
    """How a pool chooses whose job is next."""

    PRIORITY = "priority"  #: the lowest priority number, then the place in the queue
    FAIR_SHARE = "fair_share"  #: the experiment with the fewest slots by its weight and demand


_S = JobState

#: Allowed transitions; every Lua script enforces them and a test compares the two.
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.RUNNING, _S.PAUSED, _S.CANCELED}),
    _S.RUNNING: frozenset({_S.QUEUED, _S.PAUSING, _S.DONE, _S.PRUNED, _S.CRASHED, _S.CANCELED}),
    _S.PAUSING: frozenset({_S.PAUSED, _S.QUEUED, _S.DONE, _S.PRUNED, _S.CRASHED, _S.CANCELED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELED}),
    _S.DONE: frozenset({_S.QUEUED}),
    _S.PRUNED: frozenset({_S.QUEUED}),
    _S.CRASHED: frozenset({_S.QUEUED}),
    _S.CANCELED: frozenset({_S.QUEUED}),
}

FINAL = frozenset({_S.DONE, _S.PRUNED, _S.CRASHED, _S.CANCELED})
SUCCEEDED = frozenset({_S.DONE, _S.PRUNED})
HELD = frozenset({_S.RUNNING, _S.PAUSING})  #: states in which a holder has a lease

#: Which RQ status stands for which state in RQ's own tools.
RQ_STATUS: dict[JobState, str] = {
    _S.QUEUED: "queued",
    _S.RUNNING: "started",
    _S.PAUSING: "started",
    _S.PAUSED: "deferred",
    _S.DONE: "finished",
    _S.PRUNED: "finished",
    _S.CRASHED: "failed",
    _S.CANCELED: "canceled",
}


class Failure(str, Enum):
    """Why a job CRASHED, told apart so that each can have its own policy."""

    ERROR = "error"  #: exit code other than 0, or a signal that was not ours
    TIMEOUT = "timeout"  #: ran longer than `timeout`
    OOM = "oom"  #: the kernel or the GPU ran out of memory
    SPAWN = "spawn"  #: could not be started: no such program, directory, permission
    LOST = "lost"  #: its slot or node was declared lost
    POISON = "poison"  #: its slot died with it more often than the crash budget allows
    GPU = "gpu"  #: a GPU of its slot failed under it


class After(str, Enum):
    """What becomes of a job whose attempt failed, where its sweep says something about that failure."""

    FAIL = "fail"  #: it is CRASHED, whatever retries are left
    RETRY = "retry"  #: it runs again while retries are left
    REQUEUE = "requeue"  #: it runs again, on another node if it can, unpunished, within the crash budget
    PAUSE = "pause"  #: it goes back to its place, unpunished, and its experiment is paused


#: Failures of the slot, not of the job: no retry is spent on them, and the queue itself decides what follows.
LOSSES = (Failure.LOST, Failure.GPU, Failure.POISON)


#: Signals with which a job can be asked to stop: those that a program can catch and that mean nothing else to it.
STOP_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM")


# ------------------------------------------------------------------ what a sweep is made of


@dataclass(frozen=True)
class Again:
    """Which points that are over a push queues again, to run as it says: those in one of the states `of`, and those in
    one of the states `older` that were pushed with other code than it sends."""

    of: frozenset[JobState] = frozenset()
    older: frozenset[JobState] = frozenset()


#: Of a push that leaves what is there as it is; of one with --force; of one with --if-code-changed.
NOT_AGAIN = Again()
FORCED = Again(of=SUCCEEDED)
IF_CODE_CHANGED = Again(older=SUCCEEDED | {_S.CRASHED})


def gpu_memory(count: int) -> str:
    """Bytes of GPU memory for people: `24 GiB`, `10.8 GiB`. The GiB of NVML, so that a card is named as it is sold."""
    return f"{count / 2**30:.1f}".removesuffix(".0") + " GiB"


@dataclass(frozen=True)
class Resources:
    """What one job needs: a slot, or k slots of one node that have a GPU each.

    `gpus`: None takes any slot, 0 wants a slot without a GPU, k >= 1 wants k GPUs.
    `indices`: only these GPU indices (NVML's) may run it; None means any.
    `gpu_memory`: bytes of GPU memory that each device must have in total.
    `pool`: of this alternative, "" for the experiment's. `nodes`: the only ones that may run it, () for any;
    `exclude_nodes`: those that may not. `others`: alternatives, each without `others`; the first slot that fits any
    of them takes the job.
    """

    gpus: int | None = None
    indices: tuple[str, ...] | None = None
    gpu_memory: int | None = None
    pool: str = ""
    nodes: tuple[str, ...] = ()
    exclude_nodes: tuple[str, ...] = ()
    others: tuple[Resources, ...] = ()

    @classmethod
    def any_of(cls, alternatives: Sequence[Resources]) -> Resources:
        """The needs of a job for which any of these, at least one, will do."""
        first, *others = dict.fromkeys(alternatives)
        return replace(first, others=tuple(others))

    @property
    def alternatives(self) -> tuple[Resources, ...]:
        """Each on its own, in the order in which they were written."""
        return (replace(self, others=()), *self.others) if self.others else (self,)


@dataclass(frozen=True)
class Spec:
    """How every job of one push is run; stored once per experiment under its digest.

    `commands`: name -> compiled template (see `exs.command`), run in this order, stopping at the first failure.
    `cwd`: absolute directory in which the push was made. A job runs there if it exists on its node.
    `output`: root of the run directories, relative to the job's working directory, or absolute.
    `datetime`: runner's `{_datetime}`, one per push.
    """

    commands: Mapping[str, Mapping[str, Json]]
    cwd: str
    output: str = "output"
    env: Mapping[str, str] = field(default_factory=dict)
    #: False is runner's --no-param-dir: logs go to `output` itself, the job's name ends their file names.
    job_dirs: bool = True
    #: Seconds per attempt; None means no limit.
    timeout: float | None = None
    #: Seconds between the stop signal and SIGKILL; None means `Timing.grace`.
    grace: float | None = None
    #: What a job is sent that is to stop: one of `STOP_SIGNALS`.
    stop_signal: str = "SIGTERM"
    #: Result name -> regular expression with one group, matched against the output.
    metrics: Mapping[str, str] = field(default_factory=dict)
    #: A failure class, or "exit 3" -> [an `After`, how often that may repeat: None says `retries` or the crash budget].
    on_failure: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    #: {name, pattern, action: "cancel_retries", "exclude_node" or ""}: what a failed attempt's output decides.
    log_policies: Sequence[Mapping[str, str]] = ()
    #: runner's rule: a command whose stat.json says 0 is skipped, whichever job wrote it.
    skip_done: bool = False
    datetime: str = ""
    #: Digest of the capsule in whose copy the commands run; "" for none: they run in `cwd`.
    capsule: str = ""
    #: "auto": with the Python that the capsule's lock file or requirements.txt describes; "" for the worker's.
    python: str = ""
    #: Names in `env` whose values are shown to nobody.
    secrets: Sequence[str] = ()
    #: Of an attempt whose job another slot was given, as its own was thought lost: "" to kill it, "keep" to let it end.
    on_lost: str = ""


@dataclass(frozen=True)
class NewJob:
    """One point of a sweep, ready to be queued.

    `name`: its directory name, unique in the experiment. `point`: 16 hex digits that identify
    (experiment, commands, parameters, repeat). `commands`: names of the spec's commands to run, () for all.
    `params`: every resolved parameter, defaults included. `text`: the same as JSON where that is known, else "".
    """

    params: Params
    name: str
    point: str
    commands: tuple[str, ...] = ()
    repeat: int = 0
    resources: Resources = field(default_factory=Resources)
    text: str = ""


# ------------------------------------------------------------------ holders, leases, attempts


@dataclass(frozen=True)
class Offer:
    """What a slot offers when it asks for a job.

    `slot`: its name, unique in the fleet. `boot`: identity of this boot of the node.
    `gpus`: device strings it is pinned to ("0", or a UUID), () for a CPU slot; `gpu_memory`: bytes of the smallest.
    `only`: claim from this experiment alone (`exs run`), "" for any.
    `ends`: when the slot is to end, on the clock of `time.monotonic`: a job whose timeout is longer than the rest is
    left to others; 0 for no end.
    """

    slot: str
    node: str
    boot: str
    pools: tuple[str, ...] = (DEFAULT_POOL,)
    gpus: tuple[str, ...] = ()
    gpu_memory: int = 0
    only: str = ""
    ends: float = 0.0


@dataclass(frozen=True)
class Mate:
    """Another slot of one GPU that a job of several runs on. `lock` names the lock of its GPU, `pid` holds that."""

    slot: str
    gpu: str
    lock: str
    pid: int


@dataclass(frozen=True)
class Following:
    """What a slot is told while another one, `leader`, runs `job` on the GPUs of both: it takes no job meanwhile."""

    attempt: str
    leader: str
    job: str


@dataclass(frozen=True)
class Claim:
    """A job as leased to a holder. `attempt` is the fence: every later write carries it."""

    job: str
    attempt: str
    number: int  #: 1 for the first attempt
    experiment: str
    index: int
    name: str
    params: Params
    point: str
    spec: str  #: digest under which the store keeps the `Spec`
    commands: tuple[str, ...]
    force: bool  #: run also the commands that succeeded before
    #: Where an earlier attempt can be gone on from: `path` in the run directory, `step`. {} for nowhere.
    checkpoint: Mapping[str, Json] = field(default_factory=dict)
    problem: str = ""  #: why the record cannot be run; its other fields are then empty
    gpus: tuple[str, ...] = ()  #: all that it runs on, where that is more than its slot has
    mates: tuple[Mate, ...] = ()  #: the slots that have the others


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended. `state` is what the job becomes unless a retry is left.

    `detail` is one line for people ("exit code 3", "killed by SIGKILL"); `tail` the end of its output.
    `requeue`: the attempt was stopped by us (pause, preemption, drain, second SIGTERM); the job goes back unpunished,
    or is PAUSED where that was asked.
    `report`: all that the job told of itself, as `Store.report` takes it; {} for nothing.
    """

    state: JobState
    failure: Failure | None = None
    detail: str = ""
    exit_code: int | None = None
    signal: int | None = None
    seconds: float = 0.0
    result: Mapping[str, Json] = field(default_factory=dict)
    report: Mapping[str, Json] = field(default_factory=dict)
    tail: str = ""
    requeue: bool = False
    directory: str = ""
    log: str = ""
    max_rss: int = 0  #: bytes
    log_dropped: int = 0  #: bytes of output not kept
    gpu_peak: int = 0  #: most bytes of its GPUs' memory that it had at once, 0 for unknown
    gpu_load: float | None = None  #: mean utilisation of its GPUs, percent
    gpu_load_max: float | None = None  #: the highest
    after: str = ""  #: what its sweep says becomes of a job that failed so: an `After`, "" for nothing in particular
    again: int | None = None  #: how often `after` may repeat for `kind`
    kind: str = ""  #: what that is counted under: a failure class or "exit 3"
    exclude_node: bool = False  #: its next attempt must not run on this node
    device_memory: bool = False  #: the GPU's memory was too small for it
    alike: str = ""  #: how it failed, without what differs from job to job


class Fenced(str, Enum):
    """Answer of every fenced script."""

    OURS = "ours"  #: done, or done before under the same fence
    FENCED = "fenced"  #: the job has another holder or none; end the tree, keep the output as that attempt's
    GONE = "gone"  #: the job was removed


class Told(str, Enum):
    """Answer to what an attempt tells of itself."""

    OURS = "ours"
    FENCED = "fenced"
    GONE = "gone"
    AGAIN = "again"  #: Redis has not what it builds upon: tell all of it


@dataclass(frozen=True)
class Renewed:
    """What a renewal says. `want`: "" to go on, or one of those that `ask` in Lua knows.

    `stale`: an experiment with a push that was broken off long ago, or "".
    """

    fence: Fenced
    want: str = ""
    stale: str = ""


# ------------------------------------------------------------------ what a person changes


@dataclass(frozen=True)
class Update:
    """One change of what the queue goes by.

    `target`: an experiment, by its name, its eight digits or `last`; or a job, as NAME/17 or by its id, which has a
    place in its experiment and nothing else. `operation` and `value`: `priority` 1 to 99, `weight` a number above 0,
    `resource-pool` a pool, `max-slots` a number or `none`, `ahead-of`, `behind-of` another one, `to-top` "".
    """

    target: str
    operation: str
    value: str = ""
