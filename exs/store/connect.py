"""From a URL to a client with our time-outs and no hidden retries.

redis-py 8 retries 10 times by default and runs an INCR twice when a reply is lost (reliability M4, M6): here a
call is tried once, and those who repeat it know that it is idempotent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from exs.errors import InputError, RedisRefused, RedisUnreachable
from exs.settings import Timing, masked_url


def connect(url: str, timing: Timing) -> redis.Redis:
    """A client for `url`, not yet connected. Raises InputError for a URL that is none."""
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=False,
            socket_connect_timeout=timing.connect_timeout,
            socket_timeout=timing.socket_timeout,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
    except ValueError as error:
        raise InputError(
            f"{masked_url(url)!r} is not a Redis URL: {error}.",
            "Write redis://host:6379, rediss://host:6380 or unix:///path/to/socket in EXS_REDIS_URL.",
        ) from None


@contextmanager
def sentences(url: str) -> Iterator[None]:
    """Turns what redis-py raises into one of our sentences, with the password hidden."""
    where = masked_url(url) if url else "Redis"
    try:
        yield
    except redis.exceptions.AuthenticationError as error:
        raise RedisUnreachable(f"Redis at {where} refused the user or password: {error}.") from None
    except redis.exceptions.TimeoutError:
        raise RedisUnreachable(f"Redis at {where} does not answer (timed out).", "Try: exs doctor") from None
    except redis.exceptions.ConnectionError as error:
        reason = masked_url(str(error)).rstrip(".")
        raise RedisUnreachable(
            f"cannot reach Redis at {where}: {reason}.", "Is EXS_REDIS_URL right, and the server up?"
        ) from None
    except redis.exceptions.NoPermissionError as error:
        raise RedisRefused(f"Redis at {where} does not permit this user to do that: {error}.") from None
    except (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError) as error:
        raise RedisRefused(f"Redis at {where} takes no more writes: {error}.") from None
    except redis.exceptions.ResponseError as error:
        text = str(error)
        if "MISCONF" in text:
            raise RedisRefused(
                f"Redis at {where} cannot write its disk.", "Free space there; it heals by itself."
            ) from None
        if "OOM" in text:
            raise RedisRefused(
                f"Redis at {where} has no memory left for this.",
                "Raise maxmemory, or archive finished experiments.",
            ) from None
        raise
