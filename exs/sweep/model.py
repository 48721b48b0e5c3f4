"""What every dialect is read into: one `Sweep`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from exs.model import DEFAULT_POOL, DEFAULT_PRIORITY, NewJob, Spec


@dataclass(frozen=True)
class Options:
    """What the command line says about a sweep; each field is one option."""

    name: str | None = None  #: --name
    output: str | None = None  #: -o DIR
    overrides: tuple[str, ...] = ()  #: -o key=value
    title: str | None = None  #: -t
    commands: tuple[str, ...] = ()  #: -c
    sample: int | None = None  #: --sample
    seed: int | None = None  #: --sample-seed
    job_dirs: bool = True  #: --no-param-dir sets it False


@dataclass
class Sweep:
    """A sweep file, read and checked. Nothing is built yet: `jobs()` streams.

    `count`: points before identical ones are dropped. `duplicates`: how many were dropped, known once
    `jobs()` has been run through. `local_slots`: runner's `resource` and experiment-scheduler's
    `available_cuda`, one device string per slot of `exs run`. `canary`: so many jobs run before the others may.
    `breaker`: pause the experiment when its jobs fail alike and none succeeds. `notes`: lines to show the user. `code`:
    digest of the code that travels with it, "" for none.
    """

    name: str
    source: str
    dialect: str
    spec: Spec
    count: int
    build: Callable[[Sweep], Iterator[NewJob]]
    pool: str = DEFAULT_POOL
    priority: int = DEFAULT_PRIORITY
    retries: int = 0
    max_running: int | None = None
    lost_after: float | None = None
    weight: float | None = None
    preemptible: bool = True
    canary: int = 0
    breaker: bool = True
    local_slots: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    when_pushed: tuple[str, ...] = ()  #: those of `notes` that do not matter where `exs run` runs it
    files: tuple[str, ...] = ()  #: experiment-scheduler's `files`, below the directory of the push or absolute
    duplicates: int = 0
    code: str = ""

    def jobs(self) -> Iterator[NewJob]:
        """The jobs in the order written, last axis fastest, each point once."""
        self.duplicates = 0
        return self.build(self)
