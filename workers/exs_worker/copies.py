"""A directory made again beside itself: no bytes are copied where the file system can share them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from typing import Any

#: ioctl of Linux: this file has the content of that one, until either is written to (btrfs, XFS, bcachefs, overlays of
#: these). Hard links would share what a job writes into its copy, and root may write into read-only files.
FICLONE = 0x40049409
#: What it answers where that is not possible.
_CANNOT = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM)
_PIECE = 1 << 20


class Copier:
    """Copies trees; knows after the first file whether their bytes can be shared."""

    def __init__(self) -> None:
        self._clones = True

    def copy(self, source: str, target: str) -> None:
        """Make the directory `target` and in it all that `source` holds: files with their modes, links as they are.

        Raises OSError; what was made until then stays.
        """
        os.mkdir(target, 0o700)
        with os.scandir(source) as listing:
            for entry in listing:
                path = f"{target}/{entry.name}"
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), path)
                elif entry.is_dir(follow_symlinks=False):
                    self.copy(entry.path, path)
                else:
                    self._file(entry.path, path)
        os.chmod(target, stat.S_IMODE(os.stat(source).st_mode))

    def _file(self, source: str, target: str) -> None:
        old = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if not (self._clones and self._clone(old, new)):
                    while data := os.read(old, _PIECE):
                        while data:
                            data = data[os.write(new, data) :]
                os.fchmod(new, stat.S_IMODE(os.fstat(old).st_mode))
            finally:
                os.close(new)
        finally:
            os.close(old)

    def _clone(self, old: int, new: int) -> bool:
        try:
            fcntl.ioctl(new, FICLONE, old)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._clones = False
        return self._clones


def remove(path: str) -> None:
    """Remove a directory with all that is in it, also what a job made read-only. What cannot be removed stays."""

    def again(function: Callable[..., Any], failed: str, info: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(failed), 0o700)
            if os.path.isdir(failed) and not os.path.islink(failed):
                os.chmod(failed, 0o700)
                shutil.rmtree(failed, ignore_errors=True)
            else:
                function(failed)

    shutil.rmtree(path, onerror=again)
