"""Every number and every setting, with the reason beside it.

Order of precedence: defaults, then the config file, then `EXS_<NAME>` in the environment, then options.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from exs.errors import InputError

MIB = 1 << 20
#: Seconds in which two interrupts are one: `timeout` and `uv run` pass on what the terminal has sent already.
ONE_PRESS = 0.3


@dataclass(frozen=True)
class Timing:
    """Seconds. Tests set them short; a lab rarely needs to."""

    #: How long a claim holds without word from its slot. Longer survives longer stalls, shorter finds death sooner.
    lease: float = 30.0
    #: How often a slot renews: three chances per lease.
    renew: float = 10.0
    #: A late lease is SUSPECT; a job is lost only after this long without contact ...
    lost_after: float = 300.0
    #: ... or this share of its run time so far, so that a ten-day job survives a switch that reboots ...
    lost_share: float = 0.05
    #: ... but never longer than this.
    lost_max: float = 3600.0
    #: Between SIGTERM and SIGKILL.
    grace: float = 60.0
    #: An idle slot asks again after this long, whatever became of its wake-up token.
    idle_poll: float = 5.0
    #: First wait before a failed job with retries left runs again; doubles each time ...
    retry_wait: float = 1.0
    #: ... up to this.
    retry_wait_max: float = 60.0
    #: A job that fails within this time may have failed for its slot's fault: longer, and the slot did compute.
    fast_failure: float = 60.0
    #: A quarantined slot tries again after this: a bad one costs three short attempts then, a good one is not lost.
    quarantine: float = 1800.0
    #: To connect; `exs list` must say "unreachable" in under 5 s.
    connect_timeout: float = 3.0
    #: For one answer of Redis. Longer than any script of ours holds it by three orders of magnitude.
    socket_timeout: float = 4.0
    #: Pause of a slot between two tries while Redis is away.
    reconnect: float = 0.5
    #: How often a slot looks what its job has told of itself, and tells Redis.
    report_every: float = 1.0
    #: How often a node looks who else computes on its GPUs, and whether they still answer: some ms of NVML per look.
    gpu_check: float = 5.0
    #: A driver that does not answer for so long hangs, and its GPUs get no job. It may take 20 s to wake eight of them.
    gpu_silence: float = 60.0
    #: How often a slot looks what its job does with its GPUs: three calls of NVML per GPU. NVML's own utilisation is
    #: that of the last second at most.
    gpu_sample: float = 2.0
    #: An uncommitted push older than this is removed by the janitor.
    push_ttl: float = 3600.0


@dataclass(frozen=True)
class Limits:
    """Sizes and counts. Each refuses with a sentence that names it."""

    #: How often a job may be lost with its slot before it is CRASHED as poison.
    crash_budget: int = 3
    #: Slots on which different jobs of an experiment fail alike, none having succeeded, before it is paused; and jobs
    #: that one slot fails in a row, while their experiments fare well elsewhere, before it is quarantined.
    breaker_slots: int = 3
    #: Jobs that fail alike in a row, on however few slots, none having succeeded, before the experiment is paused ...
    breaker_first: int = 5
    #: ... and once some have: a corner of a grid that fails must not stop the rest of it.
    breaker_streak: int = 20
    #: Bytes of YAML in one sweep file.
    sweep_bytes: int = 1 * MIB
    #: Jobs in one push.
    sweep_jobs: int = 1_000_000
    #: Nesting of YAML. PyYAML's own recursion dies at about 1000.
    yaml_depth: int = 50
    #: Aliases in one YAML file; a billion laughs needs a hundred.
    yaml_aliases: int = 200
    #: Characters in the name of an experiment.
    name_chars: int = 80
    #: Bytes in the name of a run directory; the file system allows 255, logs add a suffix.
    directory_chars: int = 200
    #: Bytes of JSON in the result of one job.
    result_bytes: int = 64 * 1024
    #: Points of one metric of one job in Redis; all of them stand in its run directory. As many as a plot is wide.
    metric_points: int = 500
    #: Metrics of one job: 4 MiB of Redis with all their points.
    metric_names: int = 200
    #: Bytes of JSON in the parameters of one job.
    params_bytes: int = 64 * 1024
    #: Bytes of one log file kept from its start; after that the last `log_tail_bytes` are kept too.
    log_bytes: int = 64 * MIB
    log_tail_bytes: int = 1 * MIB
    #: Bytes of the end of the output that a failed job stores in Redis.
    tail_bytes: int = 2048
    #: Patterns that a sweep may look for in the output of its jobs, each tried on each line; the characters of one.
    log_policies: int = 20
    pattern_chars: int = 1000
    #: Jobs per script call of a push: about 3 ms of Redis, so that nobody stalls.
    push_batch: int = 250
    #: Bytes of the files of one capsule, the code that is pushed along: Determined's limit. Redis keeps them in memory.
    capsule_bytes: int = 95 * MIB
    #: Files and directories of one capsule: a home directory that was meant to be a project is noticed early.
    capsule_files: int = 100_000
    #: Bytes of unpacked capsules that a node keeps for the jobs to come.
    capsule_cache: int = 10 * 1024 * MIB
    #: Bytes of one chunk of a log sent through Redis.
    log_chunk: int = 256 * 1024
    #: Bytes of one file that `exs fetch` brings through Redis; what is larger goes faster by rsync.
    fetch_bytes: int = 256 * MIB
    #: Files of one run directory that are listed and fetched: 1 MiB of list.
    fetch_files: int = 10_000


@dataclass(frozen=True)
class Settings:
    """The settings of one process."""

    #: "" means the embedded server of this user.
    redis_url: str = ""
    timing: Timing = field(default_factory=Timing)
    limits: Limits = field(default_factory=Limits)
    #: Name of this machine in lists; "" means its host name.
    node: str = ""
    #: "" means paths.state_home().
    state_dir: str = ""
    #: Path of the redis-server or valkey-server that the embedded server runs; "" means to search for one.
    redis_server: str = ""
    #: Modules, with commas, from which `python -m exs.calls` may call a task here; `pkg.*` for all below pkg.
    allow_modules: str = ""
    #: Whether `exs push` sends the code along: "always", "never", or "auto", where other machines reach the queue.
    capsule: str = "auto"

    def __repr__(self) -> str:
        return f"Settings(redis_url={masked_url(self.redis_url)!r}, node={self.node!r})"


#: Redis passwords are often typed with a slash in them, which ends the user part of any other URL.
_PASSWORD = re.compile(
    r"(?<=redis://)\S*(?=@)|(?<=rediss://)\S*(?=@)|(?<=://)[^@/\s]*(?=@)|(?<=[?&]password=)(?!\*\*\*)[^&\s'\"]+"
    r"|(?<=[?&]ssl_ca_data=)(?!\*\*\*)[^&\s'\"]+"  # no secret, but a page long
)


def masked_url(text: str) -> str:
    """`text` with the user and password of any URL in it replaced by ***."""
    return _PASSWORD.sub("***", text)


def config_file(env: Mapping[str, str]) -> Path:
    """Where the config file is looked for: `EXS_CONFIG`, else `~/.config/exs/exs.conf`."""
    if env.get("EXS_CONFIG"):
        return Path(env["EXS_CONFIG"])
    home = env.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(home) / "exs" / "exs.conf"


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Settings of this process.

    The config file is an INI file with one section `[exs]`; its keys are the names here. Raises InputError for
    a value of the wrong type or an unknown key in the file, naming both.
    """
    env = os.environ if env is None else env
    given = _from_file(config_file(env))
    for name in _NAMES:
        text = env.get(f"EXS_{name.upper()}")
        if text:
            given[name] = (text, f"EXS_{name.upper()}")
    timing = _build(Timing, given)
    if timing.renew * 2 > timing.lease:
        raise InputError(
            f"renew ({timing.renew:g} s) must be at most half of lease ({timing.lease:g} s).",
            "Set EXS_RENEW or EXS_LEASE.",
        )
    top = {name: given[name][0] for name in _TEXTS if name in given}
    if not os.path.isabs(top.get("state_dir", "/")):
        # Else every working directory would have a Redis of its own.
        text, where = given["state_dir"]
        raise InputError(f"{where}={text!r} must be an absolute path, beginning with /.")
    if top.get("capsule", "auto") not in ("auto", "always", "never"):
        text, where = given["capsule"]
        raise InputError(f"{where}={text!r} must be auto, always or never.")
    return Settings(timing=timing, limits=_build(Limits, given), **top)


_TEXTS = ("redis_url", "node", "state_dir", "redis_server", "allow_modules", "capsule")
_NAMES = tuple(f.name for cls in (Timing, Limits) for f in fields(cls)) + _TEXTS


def _build(cls: Any, given: Mapping[str, tuple[str, str]]) -> Any:
    values: dict[str, Any] = {}
    for f in fields(cls):
        if f.name not in given:
            continue
        text, where = given[f.name]
        kind: Any = type(f.default)
        try:
            values[f.name] = kind(text)
        except ValueError:
            raise InputError(f"{where}={text!r} is not {'a whole number' if kind is int else 'a number'}.") from None
        if not 0 < values[f.name] < float("inf"):
            raise InputError(f"{where}={text!r} must be greater than 0.")
    return cls(**values)


def _from_file(path: Path) -> dict[str, tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot read the config file {path}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the config file {path}: byte {error.start} is not UTF-8 text.") from None
    import configparser  # only for those who have a config file: 4 ms

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text, source=str(path))
    except configparser.Error as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}.") from None
    if parser.defaults() or any(section != "exs" for section in parser.sections()):
        raise InputError(f"{path}: has more than the section [exs].", "Put every setting below [exs].")
    given: dict[str, tuple[str, str]] = {}
    for name, value in parser["exs"].items() if parser.has_section("exs") else ():
        if name not in _NAMES:
            raise InputError(f"{path}: unknown setting {name!r}.", f"Known: {', '.join(_NAMES)}.")
        given[name] = (value, f"{path}: {name}")
    return given
