"""Where a word of the command line says that runs are: an experiment of the queue, a directory, a file."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from exs.errors import NotFound, RedisUnreachable

if TYPE_CHECKING:
    from exs.api.queue import Queue
    from exs.api.reader import Reader


#: How files of `exs export` end.
_ENDINGS = (".jsonl", ".jsonl.gz")
#: NAME/17 and NAME/20-25, unless there is a file or directory of that name.
_SELECTOR = re.compile(r"[^/.][^/]*/[0-9]+(-[0-9]+)?\Z")


def is_path(word: str) -> bool:
    """Whether a word names no experiment nor jobs: it has a slash, is a dot name, or ends as exported files do."""
    if _SELECTOR.match(word) and not os.path.exists(word):
        return False
    return os.sep in word or word in (".", "..") or word.endswith(_ENDINGS)


def is_file(word: str) -> bool:
    """Whether a word that may also be NAME/17 is a file of `exs export`."""
    return word.endswith(_ENDINGS) or (os.sep in word and os.path.isfile(word))


def reader_of(words: tuple[str, ...]) -> Reader:
    """The runs that `words` name: one path, or experiments. A word that is no experiment, or that no Redis can be
    asked about, may be a path all the same.

    Raises NotFound, InputError.
    """
    from exs.api.reader import Reader

    if len(words) == 1:
        (word,) = words
        if is_path(word):
            return Reader(word)
        try:
            return Reader(queue=queue(), experiment=word)
        except (NotFound, RedisUnreachable):
            if os.path.exists(word):
                return Reader(word)
            raise
    return Reader(queue=queue(), experiment=list(words))


def queue() -> Queue:
    """The queue of this command as the Python API has it."""
    from exs.api.queue import Queue
    from exs.cli.session import connected_settings, open_store

    return Queue(open_store(), connected_settings())
