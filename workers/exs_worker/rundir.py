"""The run directory of one job: which one it is, whose it is, and the three files in it that runner wrote too.

`param.json` names the owner, so it is created exclusively: two jobs that race for one name end in two directories.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exs.errors import Refused
from exs.model import Claim, Json, Spec
from exs.paths import RunDir, inside, safe_file_name
from exs_worker import plainfile

_ENCODE = json.JSONEncoder().encode
_TEXT = json.encoder.encode_basestring_ascii
#: A `param.json` or `stat.json` beyond this is not one of ours.
MOST = 4 << 20


def working_directory(spec: Spec, workdir: str) -> str:
    """Where a job runs: `workdir` when the worker was given one, else where it was pushed from, else here.

    One that brings its code has only its output there: it is not where another user's push was made, whose directories
    this one may see, but not write to.
    """
    if workdir:
        return os.path.abspath(workdir)
    usable = os.path.isdir(spec.cwd) and (not spec.capsule or _writable(os.path.join(spec.cwd, spec.output)))
    return spec.cwd if usable else os.getcwd()


def _writable(path: str) -> bool:
    """True if files could be made at `path`, which need not be there yet."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return os.access(path, os.W_OK | os.X_OK)


@dataclass
class Directory:
    """A run directory that is this job's, or nobody's yet.

    `shown`: its path as the user's `output` spells it, which is what `{_output}` becomes. `name`: its own name.
    `before`: its `param.json` as found, {} for none. `stat`: its `stat.json`.
    """

    files: RunDir
    shown: str
    name: str
    fresh: bool
    before: dict[str, Json] = field(default_factory=dict)
    stat: dict[str, Json] = field(default_factory=dict)

    def succeeded(self, command: str) -> bool:
        """True if `stat.json` says that the command ended with success."""
        entry = self.stat.get(command)
        return isinstance(entry, dict) and entry.get("code") == 0

    def set_stat(self, command: str, code: int, gpu: str, attempt: str) -> None:
        """Record how a command ended: 0 success, 1 failure. Raises OSError."""
        entry: dict[str, Json] = {command: {"code": code, "gpu": gpu}}
        if self.fresh and not self.stat and _write_new(self.files.stat, _ENCODE(entry) + "\n"):
            self.stat = entry
            return
        # Read again: jobs of one point with other commands may have written meanwhile.
        self.stat = {**_load_stat(self.files.stat), **entry}
        self._write_stat(attempt)

    def forget(self, commands: Iterable[str], attempt: str) -> None:
        """Drop what is recorded of commands that will run again, so that a lost attempt leaves no old success."""
        found = [command for command in commands if command in self.stat]
        for command in found:
            del self.stat[command]
        if found:
            self._write_stat(attempt)

    def write_params(self, record: dict[str, Json], attempt: str) -> bool:
        """Write `param.json`; False if the directory was nobody's and another job took it meanwhile."""
        text = indented(record) + "\n"
        if self.fresh:  # we made the directory: nobody can own it yet, and one write is not seen by halves
            return _write_new(self.files.params, text)
        temporary = self._temporary(text, attempt)
        if self.before:
            os.replace(temporary, self.files.params)
            return True
        try:
            os.link(temporary, self.files.params)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            os.replace(temporary, self.files.params)  # a file system without hard links: FAT, some FUSE
            return True
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        return True

    def stamp(self, commands: Iterable[str]) -> str:
        """The date of this attempt as its log names show it, made unique where logs of the same second exist."""
        now = time.strftime("%Y-%m-%d.%H:%M:%S")
        if self.fresh:
            return now
        names = list(commands)
        stamp, number = now, 1
        while any(os.path.lexists(self.files.log(name, stamp)) for name in names):
            number += 1
            stamp = f"{now}.{number}"
        return stamp

    def _write_stat(self, attempt: str) -> None:
        os.replace(self._temporary(_ENCODE(self.stat) + "\n", attempt), self.files.stat)

    def _temporary(self, text: str, attempt: str) -> str:
        path = self.files.temporary(attempt)
        if not _write_new(path, text):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        return path


def indented(value: Json, pad: str = "") -> str:
    """As json.dumps(value, indent=4, sort_keys=True), which does without its C encoder: 8 us instead of 60."""
    if isinstance(value, str):
        return _TEXT(value)
    inner = f"{pad}    "
    if isinstance(value, dict) and value:
        items = [f"{inner}{_TEXT(name)}: {indented(value[name], inner)}" for name in sorted(value)]
        return "{\n" + ",\n".join(items) + f"\n{pad}}}"
    if isinstance(value, (list, tuple)) and value:
        items = [inner + indented(item, inner) for item in value]
        return "[\n" + ",\n".join(items) + f"\n{pad}]"
    return _ENCODE(value)


def _write_new(path: str, text: str) -> bool:
    """Create a file with this text; False if there is one. Raises OSError, leaving no half of it."""
    try:
        fd = plainfile.create(path)
    except FileExistsError:
        return False
    try:
        try:
            plainfile.write_all(fd, text.encode("utf-8"))
        finally:
            os.close(fd)  # NFS says here that its disk is full
    except OSError:
        os.unlink(path)
        raise
    return True


def find(cwd: str, output: str, claim: Claim, job_dirs: bool) -> Directory:
    """The directory for this job, made if need be: `<output>/<name>`, or with its id appended where that is another's.

    Without `job_dirs` all jobs share `output`, and the names of their files are told apart in the same way.
    Raises Refused for a name that leaves `output`, OSError when it cannot be made.
    """
    if not os.path.isabs(output) and ".." in output.split("/") and not inside(Path(cwd), Path(cwd, output)):
        raise Refused(f"the output directory {output!r} of job {claim.job} is outside {cwd}.", "Give an absolute path.")
    second = f"{claim.name}-{claim.job}"
    if not all(map(safe_file_name, (claim.name, second, claim.attempt))):
        raise Refused(f"{claim.name!r} cannot name the directory of job {claim.job}.", "Rename it.")
    root = os.path.join(cwd, output)
    directory = _open(root, output, claim.name, job_dirs)
    if not directory.before or _same(directory.before, claim):
        return directory
    return _open(root, output, second, job_dirs)


def _open(root: str, output: str, name: str, job_dirs: bool) -> Directory:
    path = os.path.join(root, name) if job_dirs else root
    fresh = _make(path, root) and job_dirs
    files = RunDir(path, "" if job_dirs else name)
    shown = os.path.join(output, name) if job_dirs else output
    if fresh:
        return Directory(files, shown, name, True)
    if job_dirs and not inside(Path(root), Path(path)):
        raise Refused(f"{path} is a symbolic link that leaves {root}.", "Remove it.")
    return Directory(files, shown, name, False, _load(files.params), _load_stat(files.stat))


def _make(path: str, root: str) -> bool:
    """Make a directory; False if it was there."""
    for last in (False, True):
        try:
            os.mkdir(path)
            return True
        except FileExistsError:
            if not os.path.isdir(path):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
            return False
        except FileNotFoundError:
            if last:
                raise
            os.makedirs(os.path.dirname(path) if path == root else root, exist_ok=True)
    return False


def _same(before: Mapping[str, Json], claim: Claim) -> bool:
    """True if the directory was made for these parameters: by this job, an earlier push, or runner itself.

    Within an experiment the same name and parameters are the same trial, also where other commands make it another
    point: a `test` pushed after its `train` finds what that wrote. Jobs added by hand have no point and never share.
    """
    params = {name: value for name, value in before.items() if not name.startswith("_")}
    if "_experiment" not in before:
        return params == dict(claim.params)
    if before["_experiment"] != claim.experiment:
        return False
    pushed = bool(claim.point and before.get("_point"))
    return before.get("_job") == claim.job or (pushed and params == dict(claim.params))


def _load_stat(path: str) -> dict[str, Json]:
    return {command: entry for command, entry in _load(path).items() if command}


def _load(path: str) -> dict[str, Json]:
    """The JSON object in a file; {} if there is none, or one without owner, {"": None}, for what cannot be read."""
    try:
        value = json.loads(plainfile.read_end(path, MOST)[0])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return {"": None}
    return value if isinstance(value, dict) and value else {"": None}
