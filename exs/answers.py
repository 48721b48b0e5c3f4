"""What verbs answer: a push, an update, the order of the queue, why a job waits, what doctor found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from exs.rows import ExperimentRow, JobRow, SlotRow, UnusedGpu


@dataclass(frozen=True)
class Lasting:
    """How long a job is expected to take at most, by which slots with an end leave it to others.

    `by`: "timeout", its own, or "median", of `samples` finished jobs of its experiment.
    """

    seconds: float
    by: str
    samples: int = 0


@dataclass(frozen=True)
class Verdict:
    """What a slot says to a job that waits. `kind`: idle, busy, held, unfit, drained, suspended, silent or ending."""

    slot: SlotRow
    kind: str
    text: str = ""  #: of an unfit one what it lacks, of a held one for whom
    free_at: float = 0.0  #: when a busy one is likely to be free, in Redis seconds; 0.0 where nobody knows


@dataclass(frozen=True)
class Estimate:
    """When a job is likely to start, in Redis seconds, if jobs take as long as others of their experiment did."""

    start: float
    early: float  #: if they take as long as the shortest quarter ...
    late: float  #: ... and the longest
    typical: float  #: median of its own experiment, seconds
    samples: int  #: finished jobs of it that were measured


@dataclass(frozen=True)
class Why:
    """Why a job waits. `job`: None when none of the experiment does."""

    now: float
    job: JobRow | None
    experiment: ExperimentRow
    word: str = ""
    before: int = -1  #: jobs of its experiment that are taken before it; -1 where nobody knows
    ahead: Mapping[str, int] = field(
        default_factory=dict
    )  #: other experiments before it -> jobs that its slots can run
    fair: bool = False  #: its pool shares slots by weight
    verdicts: Sequence[Verdict] = ()
    unused: Sequence[UnusedGpu] = ()
    estimate: Estimate | None = None
    unsure: str = ""  #: why there is no estimate
    lasting: Lasting | None = None  #: None where nobody knows, and for a job that may be interrupted


@dataclass(frozen=True)
class OlderCode:
    """How many of what a push found are of older code. Counts of points.

    A job is of older code when the capsule that it runs in, or ran in last, has other files than the one that this push
    sends. The sweep file is not compared, as what it says of a job is in the point of that, nor what git says: a commit
    that changes no file is no new code. Where either has no capsule nothing is said: such a job runs what lies on its
    node when it starts, and nobody knows what that was.
    """

    queued: int = 0
    done: int = 0
    crashed: int = 0
    canceled: int = 0


@dataclass(frozen=True)
class Pushed:
    """What a push did, or what `plan` says it would do. Counts of points."""

    experiment: str
    id: str
    new: int = 0
    queued: int = 0  #: already waiting, running or paused
    done: int = 0
    crashed: int = 0
    canceled: int = 0
    forced: int = 0  #: finished before, queued again because that was asked for
    gone: int = 0  #: in the queue but no longer in the file
    duplicates: int = 0  #: identical points in the file, run once
    older: OlderCode | None = None  #: of these counts, those of other code; None where no code travels
    other_resources: int = 0  #: not over, and keep resources that the file no longer asks for; a plan does not look
    first_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueueRow:
    """One line of `exs queue`: an experiment that is not over."""

    experiment: str
    id: str  #: eight hex digits
    user: str
    pool: str
    priority: int
    weight: float
    created_at: float
    acquired: int  #: slots that run its jobs
    needed: int  #: slots for all its jobs that are not over, or for as many as may run at once
    jobs: int
    done: int
    paused: bool = False
    preemptible: bool = True


@dataclass(frozen=True)
class PoolQueue:
    """The queue of one pool. `scheduler`: "" or "priority", or "fair_share", where it has no order."""

    pool: str
    scheduler: str
    rows: tuple[QueueRow, ...]

    @property
    def fair_share(self) -> bool:
        """True if slots are shared by weight instead of taken in order."""
        return self.scheduler == "fair_share"


@dataclass(frozen=True)
class Change:
    """What an update did to `subject`. `before` == `after` where it was so already."""

    subject: str
    operation: str
    before: str
    after: str
    pool: str
    fair_share: bool
    over: bool  #: nothing of it runs or waits
    beside: str = ""  #: the other one, of ahead-of, behind-of and to-top
    moved: bool = False
    running: int = 0  #: jobs that go on in the pool that it left
    workers: int = 0  #: slots of the pool that it came into
    job: str = ""  #: state of a job; LATER while it waits for its next attempt
    first: bool = False  #: of a job: it is to stand before all that wait


class Severity(Enum):
    """How bad a finding is, from nothing to much."""

    OK = "ok"  #: as it should be
    NOTE = "note"  #: worth knowing, nothing to do
    WARNING = "warning"  #: something does not run as it could
    ERROR = "error"  #: work, or the safety of the nodes, is at risk


@dataclass(frozen=True)
class Finding:
    """One line of `exs doctor`. `where`: redis, node or queue; `do`: what to type, one command per line."""

    where: str
    severity: Severity
    what: str  #: one sentence; in an OK one a few facts
    do: str = ""
    waivable: bool = False  #: a person may decide to live with it: --insecure
