"""What lists show: a job, an experiment, a slot. What verbs answer stands in `exs.answers`; `view` prints both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from exs.model import JobState, Json, Params, Resources, Scheduler

#: What tells the processes of one slot apart, at the end of its name.
_PROCESS = re.compile(r"@[0-9a-f]+\Z")


@dataclass(frozen=True)
class PastAttempt:
    """An attempt that ended before the last one. Times as in JobRow."""

    number: int
    node: str = ""
    gpus: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    failure: str = ""
    detail: str = ""
    exit_code: int | None = None
    directory: str = ""
    log: str = ""
    gpu_peak: int = 0
    gpu_load: float | None = None
    gpu_load_max: float | None = None


@dataclass(slots=True)  # as JobRow
class Metric:
    """What is kept of one metric of one job. Points are (step, value) in the order in which they came.

    A value is a number, or "nan", "inf" or "-inf"; `lowest` and `highest` are the finite ones'. `points` are every
    `every`-th of `count`, rounded to nine digits.
    """

    name: str
    count: int
    first: tuple[float, Json]
    last: tuple[float, Json]
    lowest: tuple[float, Json] | None = None
    highest: tuple[float, Json] | None = None
    every: int = 1
    points: tuple[tuple[float, float], ...] = ()


@dataclass(slots=True)  # a list of 100,000 is made faster and half as large
class JobRow:
    """Everything a list shows of one job. Times are Redis seconds since the epoch, 0.0 when there is none."""

    id: str
    experiment: str
    index: int
    state: JobState
    name: str
    params: Params
    point: str = ""
    spec: str = ""
    commands: tuple[str, ...] = ()
    attempt: str = ""
    attempts: int = 0  #: attempts started so far
    lost: int = 0  #: of which lost with their slot
    node: str = ""
    slot: str = ""
    gpus: str = ""  #: "0" or "0,1"; "" for none
    mates: tuple[str, ...] = ()  #: the other slots that run it, or ran it last, where it wants several
    created_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    lease_late: float = 0.0  #: seconds by which the lease is late; > 0 is SUSPECT
    retry_at: float = 0.0  #: when a job that waits for its next attempt is queued again
    failure: str = ""
    detail: str = ""
    exit_code: int | None = None
    result: Mapping[str, Json] = field(default_factory=dict)
    directory: str = ""
    log: str = ""
    tail: str = ""
    max_rss: int = 0
    gpu_peak: int = 0  #: most bytes of its GPUs' memory that it had at once, 0 for unknown
    gpu_load: float | None = None  #: mean utilisation of its GPUs, percent
    gpu_load_max: float | None = None  #: the highest
    log_dropped: int = 0
    want: str = ""
    paused_by: str = ""  #: who or what paused it, while it is PAUSING or PAUSED
    preempted_by: str = ""  #: the experiment for which it is asked to make room
    excluded: tuple[str, ...] = ()  #: nodes on which it must not run again
    least_memory: int = 0  #: bytes that its GPU must have, after one with less was too small
    progress: float | None = None  #: 0 to 1, as the job says
    said: str = ""  #: what the job says that it is doing
    checkpoint: Mapping[str, Json] = field(default_factory=dict)  #: from which it can go on: path, step; {} for none
    metrics: Mapping[str, Json] = field(default_factory=dict)  #: last value of each, of as many as a record holds
    queue: str = ""  #: of its experiment, in which it waits when it waits
    first_queue: str = ""  #: the one that it was pushed to, once a failure moved it to another
    why: str = ""  #: of one that waits, in a word
    series: Mapping[str, Metric] = field(default_factory=dict)  #: what `Store.metrics` has, where it was asked
    history: tuple[PastAttempt, ...] = ()  #: earlier attempts, oldest first; only in `Store.job`

    @property
    def seconds(self) -> float:
        """Run time of the last attempt that has ended."""
        return max(0.0, self.ended_at - self.started_at) if self.ended_at else 0.0


@dataclass(frozen=True)
class RunFile:
    """A plain file of a run directory. `path` is inside it; `modified`: ns since the epoch, by its node's clock."""

    path: str
    size: int
    modified: int


@dataclass(frozen=True)
class RunFiles:
    """What stands in the run directory of a job, on its node. `left_out`: path -> why it is not to be had.

    `more`: there are more than are listed.
    """

    directory: str
    files: tuple[RunFile, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    more: bool = False


@dataclass(frozen=True)
class Pace:
    """How far an experiment has come of which jobs run.

    `share`: 0 to 1 of its jobs, those that run by how far they are. `left`: seconds until the last one that runs or
    waits is over, if as many run at once as now; None where nobody knows. `typical`: median of `samples` finished ones.
    """

    share: float
    left: float | None = None
    typical: float | None = None
    samples: int = 0


@dataclass
class ExperimentRow:
    """One line of `exs list`."""

    name: str
    id: str  #: eight hex digits
    user: str
    host: str
    source: str  #: the sweep file or command line it came from
    kind: str  #: "run" or "pull"
    pool: str
    priority: int
    created_at: float
    jobs: int
    counts: Mapping[JobState, int]
    waiting_retry: int = 0
    retries: int = 0
    paused: bool = False
    paused_by: str = ""  #: who or what paused it, one line
    archived: bool = False
    committed: bool = True
    max_running: int | None = None
    spec: str = ""  #: digest of the Spec pushed last, "" if there is none
    canary: int = 0  #: jobs that must succeed before the others may run
    weight: float = 1.0  #: in a fair-share pool
    preemptible: bool = True
    preempted_by: str = ""  #: the experiment for which one of its jobs was stopped, until one runs again
    lost_after: float | None = None  #: seconds, None for the default
    breaker: bool = True
    #: queue -> needs of its jobs; None for what fits nowhere
    needs: Mapping[str, Resources | None] = field(default_factory=dict)
    queued: Mapping[str, int] = field(default_factory=dict)  #: queue -> jobs that stand in it
    why: str = ""  #: why its jobs wait, in a word or two
    pace: Pace | None = None  #: what `Store.note_pace` has, where it was asked

    @property
    def stopped_itself(self) -> bool:
        """Whether it is paused for its failures (crash.lua and lose.lua say so), not by a person."""
        return self.paused and self.paused_by.startswith(("breaker: ", "canary: ", "on_failure of "))


@dataclass(frozen=True)
class Drain:
    """Why a slot takes no job though it lives. Times are Redis seconds, 0.0 for never."""

    place: str  #: NODE, or NODE:SUFFIX for one slot at whatever start
    why: str = ""
    by: str = ""
    at: float = 0.0
    kind: str = ""  #: "drain" (a person's) or "quarantine" (the breaker's)
    until: float = 0.0  #: when it ends by itself
    stop_at: float = 0.0  #: when what still runs is asked to stop


@dataclass(frozen=True)
class Hold:
    """For which job a slot is kept idle: it will run on `wanted` slots of the node, of which `held` wait for it.

    `wanted` is 0 where the slot is of no use to it, but may not begin what has a worse priority.
    """

    experiment: str
    index: int
    held: int
    wanted: int


@dataclass
class SlotRow:
    """One line of `exs workers`."""

    name: str
    node: str
    gpus: str
    pools: tuple[str, ...]
    state: str  #: "busy", "idle", "suspended", "gone", "draining" (its last job runs), "drained"
    job: str = ""
    experiment: str = ""
    index: int = -1
    pid: int = 0
    born_at: float = 0.0
    seen_ago: float = 0.0  #: seconds since its last word
    done: int = 0
    failed: int = 0
    version: str = ""
    boot: str = ""
    pid_start: int = 0  #: start of the process in clock ticks after boot, which tells it from a later one of that pid
    memory: int = 0  #: bytes of its smallest device, 0 if it has none or does not tell
    only: str = ""  #: the one experiment of which it takes jobs, "" for any
    job_started_at: float = 0.0
    until: float = 0.0  #: when its worker takes no more jobs, 0.0 for never
    ends: float = 0.0  #: when what it still runs is handed back: it takes no job that is likely to outlast this
    idle_exit: float = 0.0  #: seconds without a job after which its worker leaves
    max_jobs: int = 0  #: jobs after which its worker leaves
    drain: Drain | None = None
    hold: Hold | None = None
    leaves: bool = False  #: it was told to leave when its job is done
    leader: str = ""  #: the slot that runs its job on the GPU of this one too, "" for none

    @property
    def held_for(self) -> str:
        """NAME/17: the job of several slots for which it is held, "" for none."""
        return f"{self.hold.experiment}/{self.hold.index}" if self.hold else ""

    @property
    def lasting(self) -> str:
        """What it is called at every start of its worker: `gpu01:gpu0`."""
        return _PROCESS.sub("", self.name)


@dataclass(frozen=True)
class PoolSettings:
    """How the jobs of a pool are scheduled.

    `preemption`: jobs that run may be stopped for ones that are better placed. `backfill`: worse placed jobs may pass
    one that waits for slots to come free.
    """

    scheduler: Scheduler = Scheduler.PRIORITY
    preemption: bool = False
    backfill: bool = False


@dataclass(frozen=True)
class UnusedGpu:
    """A GPU of some node that gets no job. `why` is one line for people."""

    node: str
    gpu: str
    why: str
