"""What makes a Redis unfit to be a queue, so that no worker serves it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from exs.answers import Finding, Severity
from exs.settings import config_file, masked_url
from exs.store.server import ServerFacts


def dangers(facts: ServerFacts, insecure: bool = False) -> Iterator[Finding]:
    """What a worker refuses to serve: a queue that anybody can write to (unless `insecure`), or one that forgets."""
    where = masked_url(facts.url)
    if facts.open and not insecure:
        yield Finding(
            "redis", Severity.ERROR, f"anybody on the network can write to Redis at {where}, and so run commands on "
            "every node: it asks for no password.", _lock_up(facts.url), waivable=True,
        )  # fmt: skip
    if facts.policy.startswith("allkeys-"):
        yield Finding(
            "redis", Severity.ERROR, f"Redis at {where} forgets jobs when its memory is full: its maxmemory-policy is "
            f"{facts.policy}.", f"{shell(facts.url)} CONFIG SET maxmemory-policy noeviction",
        )  # fmt: skip


def shell(url: str) -> str:
    """How a person reaches that Redis at a shell, without its password on the screen."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        # redis-cli takes no URL of a socket. The only one with a password is the embedded server's, by its own rules.
        login = "REDISCLI_AUTH=$(exs server url | cut -d: -f3 | cut -d@ -f1) " if parts.password else ""
        return f"{login}redis-cli -s {shlex.quote(parts.path)}"
    tls = "--tls " if parts.scheme == "rediss" else ""
    # redis-cli 7.0 takes an empty user for one without a name, whom Redis does not know.
    named = "s,//:,//default:,"
    unnamed = parts.password and not parts.username
    if os.environ.get("EXS_REDIS_URL"):
        url = f'"$(printenv EXS_REDIS_URL | sed {named})"' if unnamed else '"$EXS_REDIS_URL"'
    else:
        line = shlex.quote("s,^ *redis_url *[=:] *,,p")
        rename = f" | sed {named}" if unnamed else ""
        url = f'"$(sed -n {line} {shlex.quote(str(config_file(os.environ)))}{rename})"'
    return f"redis-cli {tls}-u {url}"


def _lock_up(url: str) -> str:
    """Three lines for a shell that give a Redis a password, which neither the screen nor `ps` shows."""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    return "\n".join(
        (
            "P=$(openssl rand -hex 24)",
            f'printf "CONFIG SET requirepass $P\\nCONFIG SET protected-mode yes\\nCONFIG REWRITE\\n" | {shell(url)}',
            # The quotes stand where they do, because a URL with a password in one piece is masked on its way out.
            f'export EXS_REDIS_URL=redis:"//:$P@{host}:{parts.port or 6379}{parts.path}"',
        )
    )
