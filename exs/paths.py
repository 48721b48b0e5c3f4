"""Every file that exs writes, one property each. No path is joined anywhere else.

Names of files in a run directory are runner's, so that its scripts go on working:
`log.<command>.<datetime>`, `param.json`, `stat.json`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exs.errors import InputError

#: What may stand in the name of an experiment, a node or a pool (R15). `~` is left out: it separates NAME from its
#: further queues.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
#: Bytes that a file system takes in one name.
NAME_BYTES = 255


def checked_name(name: str, most: int, where: str, what: str) -> str:
    """`name`, if keys and lists can hold it. Raises InputError, beginning with `where`, that it cannot `what`."""
    if not NAME.match(name) or len(name) > most:
        raise InputError(
            f"{where}: {name[:most]!r} cannot {what}.",
            f"Use at most {most} letters, digits, . _ and -, and begin with a letter or digit.",
        )
    return name


def safe_file_name(text: str) -> bool:
    """True if `text` can be one path component: no separator, no NUL, not a dot name, at most 255 bytes."""
    return (
        bool(text)
        and text not in (".", "..")
        and "/" not in text
        and "\0" not in text
        and len(text.encode("utf-8", "surrogateescape")) <= NAME_BYTES
    )


def inside(root: Path, path: Path) -> bool:
    """True if `path`, with symbolic links resolved, is `root` or lies below it."""
    return path.resolve().is_relative_to(root.resolve())


@dataclass(frozen=True)
class RunDir:
    """One job's run directory. `suffix` ends every log name when jobs share a directory (--no-param-dir).

    Text, not `Path`s: a slot makes seven of them per job, and a Path costs 4 us.
    """

    root: str
    suffix: str = ""

    @property
    def params(self) -> str:
        """Parameters, commands as a person would type them, name and output: runner's `param.json`."""
        return f"{self.root}/param.json{self._tail}"

    @property
    def stat(self) -> str:
        """Command -> {"code": 0 or 1}: runner's `stat.json`."""
        return f"{self.root}/stat.json{self._tail}"

    def report(self, attempt: str) -> str:
        """`$EXS_REPORT`: JSON lines that the job appends. One per attempt, so that attempts never mix."""
        return f"{self.root}/.exs-report.{attempt}"

    def control(self, attempt: str) -> str:
        """`$EXS_CONTROL`: what the slot tells the job."""
        return f"{self.root}/.exs-control.{attempt}"

    def metric(self, name: str) -> str:
        """Every point of a metric, JSON lines. `name` is one that a file can have."""
        return f"{self.root}/metrics/{name}.json{self._tail}"

    def temporary(self, attempt: str) -> str:
        """A record that is being written, to be renamed when it is whole."""
        return f"{self.root}/.exs-tmp.{attempt}"

    def log(self, command: str, datetime: str) -> str:
        """Output of one command, stdout and stderr together, byte for byte."""
        return f"{self.root}/log.{command}.{datetime}{self._tail}"

    @property
    def _tail(self) -> str:
        return f".{self.suffix}" if self.suffix else ""


#: How the date of an attempt begins in the name of a log.
_DATE = re.compile(r"\.([0-9]{4}-[0-9]{2}-[0-9]{2}\.[0-9]{2}:[0-9]{2}:[0-9]{2}.*)\Z", re.DOTALL)


def log_date(name: str) -> str:
    """The end of the name of a log that all logs of its attempt have in common; "" for what is no log."""
    found = _DATE.search(name)
    return found[1] if found and name.startswith("log.") else ""


def sweep_copy(output: str, source: str, title: str | None) -> str:
    """runner's copy of the file that a run was made from, `<output>/params.yaml` or `<output>/params.yaml.<title>`."""
    name = os.path.basename(source)
    return os.path.join(output, name if title is None else f"{name}.{title.replace('/', '_')}")


@dataclass(frozen=True)
class LogDir:
    """The directory of one run in MLXP's layout, `logs/<id>/`; metrics are where `RunDir` has them, too."""

    root: str

    @property
    def metadata(self) -> str:
        """The files about the run."""
        return f"{self.root}/metadata"

    @property
    def config(self) -> str:
        """The configuration of the run, YAML."""
        return f"{self.metadata}/config.yaml"

    @property
    def config_unresolved(self) -> str:
        """The same of a run that was handed to a scheduler and has not begun."""
        return f"{self.metadata}/config_unresolved.yaml"

    @property
    def info(self) -> str:
        """Status, times, host, process, YAML. What it says of a run that runs is true if `exs.alive` says so, too."""
        return f"{self.metadata}/info.yaml"

    @property
    def mlxp(self) -> str:
        """MLXP's own settings for the run, YAML."""
        return f"{self.metadata}/mlxp.yaml"

    @property
    def lock(self) -> str:
        """Locked by the process that writes here, as long as it lives."""
        return f"{self.metadata}/.lock"

    @property
    def metrics(self) -> str:
        """One file of JSON lines per `log_name`."""
        return f"{self.root}/metrics"

    @property
    def metric_keys(self) -> str:
        """One YAML file per `log_name`: the keys in its lines."""
        return f"{self.root}/metrics/.keys"

    def metric(self, log_name: str) -> str:
        """The lines of one `log_name`, which a file can have as its name."""
        return f"{self.metrics}/{log_name}.json"

    def metric_key(self, log_name: str) -> str:
        """Their keys."""
        return f"{self.metric_keys}/{log_name}.yaml"

    @property
    def artifacts(self) -> str:
        """`<type>/<name>`."""
        return f"{self.root}/artifacts"

    @property
    def artifact_keys(self) -> str:
        """Type -> directory -> names, YAML."""
        return f"{self.root}/artifacts/.keys/artifacts.yaml"

    def stream(self, name: str) -> str:
        """What went to `stdout` or `stderr`, where that is kept."""
        return f"{self.root}/log.{name}"


@dataclass(frozen=True)
class LogRoot:
    """The parent of such directories, `logs/`."""

    root: str

    @property
    def counter(self) -> str:
        """The highest id that was ever given; locked by whoever takes the next."""
        return f"{self.root}/.last_id"

    def run(self, log_id: int) -> LogDir:
        """The run of that id."""
        return LogDir(f"{self.root}/{log_id}")

    def of_job(self, key: str) -> str:
        """The id that a job of a queue had in its first attempt."""
        return f"{self.root}/.jobs/{key}"


def runner_param(root: str) -> str:
    """Parameters of a run as newer versions of mlrunner write them, YAML."""
    return f"{root}/param"


def runner_stat(root: str) -> str:
    """How its commands ended, command -> word, YAML."""
    return f"{root}/stat"


def cache_home(env: Mapping[str, str] | None = None) -> Path:
    """Root of what exs can make again: `$XDG_CACHE_HOME`, else `~/.cache`."""
    env = os.environ if env is None else env
    return Path(env.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")) / "exs"


def fetch_stage(into: Path) -> Path:
    """Where `exs fetch` keeps what has come so far of the directories that it brings to `into`."""
    return into / ".exs-fetch"


def exported(directory: str, name: str) -> str:
    """The file of an experiment in a directory of such files."""
    return os.path.join(directory, f"{name}.jsonl")


def state_home(env: Mapping[str, str] | None = None, state_dir: str = "") -> Path:
    """Root of what exs keeps on this machine: `EXS_STATE_DIR`, else `$XDG_STATE_HOME`, else `~/.local/state`."""
    env = os.environ if env is None else env
    base = state_dir or env.get("EXS_STATE_DIR") or env.get("XDG_STATE_HOME")
    return Path(base or os.path.join(os.path.expanduser("~"), ".local", "state")) / "exs"


def machine_id() -> str:
    """Identity of this machine that survives reboots: /etc/machine-id, else the host name."""
    for source in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            text = Path(source).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text and text != "uninitialized":  # which an image of a system says until its first boot
            return text
    return os.uname().nodename


@dataclass(frozen=True)
class StateDir:
    """What exs keeps on one machine, below `<state home>/<machine id>/`."""

    root: Path

    @property
    def redis(self) -> Path:
        """Data, log, configuration of the embedded server."""
        return self.root / "redis"

    @property
    def spool(self) -> Path:
        """Outcomes that could not be delivered yet, one file each."""
        return self.root / "spool"

    @property
    def agents(self) -> Path:
        """One file per running agent."""
        return self.root / "agents"

    @property
    def capsules(self) -> Path:
        """Unpacked capsules, one directory each, shared by all slots."""
        return self.root / "capsules"

    @property
    def environments(self) -> Path:
        """Python environments of capsules, one directory each, shared by all slots."""
        return self.root / "environments"

    @property
    def work(self) -> Path:
        """Working copies of capsules, one per attempt that runs."""
        return self.root / "work"


@dataclass(frozen=True)
class ServerFiles:
    """Files of the embedded server: `data` is what must be kept, `local` (often the same directory) what needs a
    local file system and a short path."""

    data: Path
    local: Path

    @property
    def socket(self) -> Path:
        """Where every local command connects."""
        return self.local / "redis.sock"

    @property
    def lock(self) -> Path:
        """Locked by the command that starts the server, and then by the server as long as it lives."""
        return self.local / "redis.lock"

    @property
    def pid(self) -> Path:
        """Written by the server itself."""
        return self.data / "redis.pid"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data / "redis.log"

    @property
    def password(self) -> Path:
        """Generated at the first start and kept, so that a URL stays good across restarts."""
        return self.data / "password"

    @property
    def listen(self) -> Path:
        """The TCP address to listen on, as JSON; absent: the Unix socket only."""
        return self.data / "listen.json"

    @property
    def tls_key(self) -> Path:
        """The private key of the server."""
        return self.data / "tls.key"

    @property
    def certificate(self) -> Path:
        """Its certificate, signed by itself."""
        return self.data / "tls.crt"

    @property
    def tls_names(self) -> Path:
        """The names and addresses that the certificate is for."""
        return self.data / "tls.names"

    @property
    def owner(self) -> Path:
        """Machine id and host name of the machine that the data belongs to."""
        return self.data / "machine"

    @property
    def aof_of_redis_7(self) -> Path:
        """Where Redis 7 and newer keep the append-only file; older ones do not look there."""
        return self.data / "appendonlydir"


def state_dir(env: Mapping[str, str] | None = None, configured: str = "") -> StateDir:
    """This machine's state directory, not yet created."""
    return StateDir(state_home(env, configured) / machine_id())
