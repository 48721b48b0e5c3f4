"""Whether code travels with a push."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from exs.settings import Settings

#: Hosts of URLs that are this machine; none for a Unix socket.
_LOOPBACK = ("", "localhost", "::1")


@dataclass(frozen=True)
class Wish:
    """What the user says of the code: `context`, a directory to send; `without`: send none. `includes`: files and
    directories beside it."""

    context: str = ""
    without: bool = False
    includes: Sequence[str] = ()


def wanted(wish: Wish, url: str, settings: Settings) -> bool:
    """Whether a push to the queue at `url` sends code: as asked, else as the setting `capsule` says.

    "auto" means: where other machines reach the queue, and there is a directory to send that is not a whole home. On
    one machine jobs run where the push was made, as they always did: what they write beside the code stays there, and
    what is edited is what runs.
    """
    if wish.without:
        return False
    if wish.context or wish.includes:
        return True
    return settings.capsule == "always" or (settings.capsule == "auto" and reached_by_others(url, settings))


def reached_by_others(url: str, settings: Settings) -> bool:
    """True if the queue at `url` is on another machine, or is this user's own and listens for others."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return True
    if host not in _LOOPBACK and not host.startswith("127."):
        return True
    from exs import server

    return not settings.redis_url and server.listens_for_others(settings)
