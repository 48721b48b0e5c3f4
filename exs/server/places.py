"""Where the embedded server keeps its files, and whether they are safe there."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from exs import paths
from exs.errors import ExsError, RedisRefused, RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.settings import Settings

#: Bytes in the path of a Unix socket, without the closing NUL.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103

#: statfs magic numbers of file systems that are surely this machine's own. Everything else counts as shared:
#: being wrong about one only moves a socket, while a lock on a network file system may not lock.
_LOCAL_FILE_SYSTEMS = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x3153464A: "jfs",
    0x794C7630: "overlayfs",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
}


def candidates(settings: Settings) -> Iterator[ServerFiles]:
    """Where this user's server can be: beside its data, else in a local directory. Looks at no disk."""
    data = paths.state_dir(configured=settings.state_dir).redis.absolute()
    beside = ServerFiles(data, data)
    if _can_be_socket(beside.socket):
        yield beside
    yield ServerFiles(data, _local_dir(data))


def choose(settings: Settings) -> ServerFiles:
    """Where the server is to be started, with both directories made and private.

    Raises Refused for a directory of another user or open to others, RedisUnreachable if one cannot be made.
    """
    data = paths.state_dir(configured=settings.state_dir).redis.absolute()
    try:
        _make_private(data)
        files = ServerFiles(data, data)
        if not on_local_disk(data) or not _can_be_socket(files.socket):
            files = ServerFiles(data, _local_dir(data))
            _make_private(files.local.parent)
            _make_private(files.local)
    except OSError as error:
        raise unusable(error, data) from None
    return files


def claim(files: ServerFiles) -> None:
    """Note whose data this is, for who holds the server's lock. Raises Refused if it is another machine's.

    On a local disk a new host name alone is a machine that was renamed; on a shared one it may be a clone
    with the same machine id, whose server appends to the same file.
    """
    me = f"{paths.machine_id()}\n{os.uname().nodename}\n"
    try:
        write_once(files.owner, me)
        return
    except FileExistsError:
        found = files.owner.read_text(encoding="utf-8", errors="replace")
    if found == me:
        return
    machine, _, name = found.strip().partition("\n")
    if not machine or (machine == paths.machine_id() and on_local_disk(files.data)):
        files.owner.write_text(me, encoding="utf-8")
        return
    other = name or machine
    raise Refused(
        f"the queue in {files.data} belongs to another machine, {other}.",
        "To share it, `exs server start --listen 0.0.0.0` there and set EXS_REDIS_URL here; for one of your "
        f"own, set EXS_STATE_DIR; if {other} is this machine under an older name, remove {files.owner}.",
    )


def check_private(directory: Path) -> None:
    """Raise Refused unless `directory` is this user's own and closed to others; OSError if it is missing."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{directory} is not a directory.", _ELSEWHERE)
    if found.st_uid != os.geteuid():
        raise Refused(
            f"{directory} belongs to the user with id {found.st_uid}, not to you (id {os.geteuid()}).",
            _ELSEWHERE,
        )
    if found.st_mode & 0o077:
        raise Refused(f"{directory} is open to other users.", f"Close it: chmod 700 {directory}")


def unusable(error: OSError, path: Path) -> ExsError:
    """The sentence for a file or directory of the server that cannot be written or read."""
    import errno

    where = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RedisRefused(f"no space left for the embedded Redis on the disk of {where}.", "Free some. " + _ELSEWHERE)
    return RedisUnreachable(f"cannot use {where} for the embedded Redis: {error.strerror or error}.", _ELSEWHERE)


def on_local_disk(path: Path) -> bool:
    """True if `path`, which exists, is on a file system of this machine alone; off Linux, always."""
    if sys.platform != "linux":
        return True
    import ctypes

    # struct statfs starts with f_type, a long on all Linux machines that run CUDA; 1 KiB holds the rest.
    buffer = (ctypes.c_long * 128)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(path), ctypes.byref(buffer)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return buffer[0] & 0xFFFFFFFF in _LOCAL_FILE_SYSTEMS


_ELSEWHERE = "Set EXS_STATE_DIR to a directory of your own, or EXS_REDIS_URL to a Redis elsewhere."


def _can_be_socket(socket: Path) -> bool:
    """True if the path is short enough, and UTF-8, as the path in a URL has to be."""
    name = os.fsencode(socket)
    return len(name) <= SOCKET_PATH_BYTES and name.decode("utf-8", "ignore").encode() == name


def _local_dir(data: Path) -> Path:
    # Not XDG_RUNTIME_DIR: it vanishes at logout, and with it the socket of a server that lives on.
    from hashlib import sha256

    base = Path("/var/tmp") if Path("/var/tmp").is_dir() else Path("/tmp")
    return base / f"exs-{os.geteuid()}" / sha256(os.fsencode(data)).hexdigest()[:16]


def _make_private(directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        check_private(directory)


def write_once(path: Path, text: str) -> None:
    """Create `path` for this user only; FileExistsError if it is there."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
