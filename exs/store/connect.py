"""From a URL to a client with our time-outs and no hidden retries.

redis-py 8 retries 10 times by default and runs an INCR twice when a reply is lost (reliability M4, M6): here a
call is tried once, and those who repeat it know that it is idempotent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from exs.errors import InputError, OtherSchema, RedisRefused, RedisUnreachable
from exs.settings import Timing, masked_url
from exs.store import keys

_ADDRESS = re.compile(r"Error -?\d+ connecting to \S+\. (?=\S)")
#: What a script says that met what it did not expect, after the place: 6.2 says where first, 7 behind it as well.
_FAILED = re.compile(r".*user_script:\s?\d+: (.+?)(?: script: .*)?$", re.DOTALL)
#: What may stand behind the `?` of a URL.
_OPTIONS = frozenset(
    ("client_name", "db", "health_check_interval", "max_connections", "password", "protocol", "socket_connect_timeout",
     "socket_keepalive", "socket_timeout", "username")
)  # fmt: skip
_TLS_OPTIONS = frozenset(
    ("ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname",
     "ssl_keyfile", "ssl_password")
)  # fmt: skip
_CHECK = "Is EXS_REDIS_URL right, and the server up?"


def connect(url: str, timing: Timing) -> redis.Redis:
    """A client for `url`, not yet connected. Raises InputError for a URL that is none."""
    try:
        _check_database(url)
        _check_options(url)
        return redis.Redis.from_url(
            url,
            decode_responses=False,
            encoding_errors="backslashreplace",  # a path that is not UTF-8 must not keep an outcome from being stored
            socket_connect_timeout=timing.connect_timeout,
            socket_timeout=timing.socket_timeout,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except ValueError:  # its text may quote a password that was not recognised as one
        raise InputError(
            f"{masked_url(url)!r} is not a Redis URL.",
            "Write redis://host:6379/0, rediss://host:6380 or unix:///path/to/socket; a / in a password is %2F.",
        ) from None


def _check_options(url: str) -> None:
    """Raise InputError for an option behind the `?` that redis-py would hand to who does not know it, or that would
    change what answers are."""
    parts = urlsplit(url)
    known = _OPTIONS | _TLS_OPTIONS if parts.scheme == "rediss" else _OPTIONS
    for name in parse_qs(parts.query, keep_blank_values=True):
        if name not in known:
            what = "goes with rediss://" if name in _TLS_OPTIONS else "is no option of a Redis URL"
            raise InputError(f"{masked_url(url)!r}: {name[:40]!r} {what}.", f"There are {', '.join(sorted(known))}.")


def _check_database(url: str) -> None:
    """Raise ValueError for a database that is no number, which redis-py takes for number 0."""
    parts = urlsplit(url)
    if parts.scheme in ("redis", "rediss") and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise ValueError("the database is no number")


@contextmanager
def sentences(url: str) -> Iterator[None]:
    """Turns what redis-py raises into one of our sentences, with the password hidden."""
    where = masked_url(url) if url else "Redis"
    try:
        yield
    except redis.exceptions.AuthenticationError as error:
        raise _unauthenticated(where, _said(error)) from None
    except redis.exceptions.TimeoutError:
        hint = "rediss:// speaks TLS: does that port?" if where.startswith("rediss:") else "Is it up, and not stopped?"
        raise RedisUnreachable(f"Redis at {where} does not answer (timed out).", hint) from None
    except UnicodeEncodeError as error:
        if error.encoding == "idna":  # a host name that cannot be one
            raise RedisUnreachable(f"cannot reach Redis at {where}: {_said(error)}.", _CHECK) from None
        raise InputError(f"{error.object[:60]!a} is not valid UTF-8.") from None
    except (redis.exceptions.ConnectionError, UnicodeError) as error:
        raise RedisUnreachable(f"cannot reach Redis at {where}: {_said(error)}.", _CHECK) from None
    except redis.exceptions.ResponseError as error:
        raise _refusal(where, error) from None
    except redis.exceptions.RedisError as error:
        raise RedisUnreachable(f"what answers at {where} is no Redis: {_said(error)}.", _CHECK) from None


def _unauthenticated(where: str, answer: str) -> RedisUnreachable:
    if any(word in answer for word in ("HELLO", "NOAUTH", "Authentication required")):
        return RedisUnreachable(
            f"Redis at {where} wants a password, and its URL has none.", "It stands between redis://: and @."
        )
    return RedisUnreachable(f"Redis at {where} refused the user or password: {answer}.", _CHECK)


_DENIED = (
    "does not permit this user to do that",
    "Its ACL must allow what deploy/users.acl does: is it the right user?",
)
#: What Redis answers -> what it means. Looked for anywhere in the answer: 6.2 wraps what fails inside a script.
_REFUSALS = {
    "OOM": ("has no memory left for this", "Raise maxmemory, or remove finished experiments with exs rm."),
    "MISCONF": ("cannot write its disk", "Free space there; it heals by itself."),
    "READONLY": ("is a replica that takes no writes", "Give the address of the primary."),
    "NOPERM": _DENIED,
    "can't run this command": _DENIED,
    "can't access at least one": _DENIED,
    "BUSY": ("is held by a long script of somebody", "Wait, or see what else uses this Redis."),
    "WRONGTYPE": ("holds something else under a name of ours", "exs doctor names the key and what to type."),
}


def _refusal(where: str, error: redis.exceptions.ResponseError) -> RedisRefused:
    text = f"{type(error).__name__} {error}"
    _, other, found = text.partition(keys.OTHER_SCHEMA)
    if other:
        return OtherSchema(found.split()[0][:20], keys.SCHEMA_VERSION)
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        text = "OOM"
    elif isinstance(error, redis.exceptions.NoPermissionError):
        text = "NOPERM"
    elif isinstance(error, redis.exceptions.ReadOnlyError):
        text = "READONLY"
    for sign, (meaning, hint) in _REFUSALS.items():
        if sign in text:
            return RedisRefused(f"Redis at {where} {meaning}.", hint)
    if failed := _FAILED.search(text):
        why = f"holds a record that a script of exs cannot read: {failed[1]}"
        return RedisRefused(f"Redis at {where} {why}.", "exs doctor says what is wrong with it.")
    return RedisRefused(f"Redis at {where} refused: {_said(error).partition(' script: ')[0]}.")


def _said(error: Exception) -> str:
    """What an error says, in one line of bearable length, without a password and without the address again."""
    text = _ADDRESS.sub("", masked_url(str(error)))
    return " ".join(text.split())[:300].rstrip(".")
