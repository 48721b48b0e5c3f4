"""What `exs doctor` says, as a test wants to read it."""

from __future__ import annotations

import json
import secrets
import subprocess

from cli.lab import Exs, wait_for
from harness.redis_server import RedisServer

#: As exs's own server is configured; what a test adds, spoils it.
GOOD = ("--hash-max-ziplist-value", "1024", "--protected-mode", "yes")


def at(shell: Exs, server: RedisServer) -> Exs:
    shell.env["EXS_REDIS_URL"] = server.url
    return shell


#: The attempt whose processes a test of this process leaves behind. Others on this machine leave theirs, too.
OURS = secrets.token_hex(5)


def doctor(shell: Exs, *words: str, code: int = 0) -> str:
    """What `exs doctor` prints, at a moment at which no other test of this machine has just killed a slot."""

    def look() -> tuple[int, str, str] | None:
        process = shell.start("doctor", *words)
        out, err = (text.decode() for text in process.communicate(timeout=120))
        foreign = [line for line in out.splitlines() if "left processes behind" in line and OURS not in line]
        return None if foreign else (process.returncode, out, err)

    returned, out, err = wait_for(look, "a moment at which no other test kills slots", 60)
    assert (returned, err) == (code, ""), f"exit code {returned}\n{out}\n{err}"
    return str(out)


def findings(shell: Exs, code: int, where: str = "redis") -> list[tuple[str, str, list[str]]]:
    """What doctor says of one part, as (severity, sentence, what to type)."""
    found = json.loads(doctor(shell, "--json", code=code))["findings"]
    return [(one["severity"], one["what"], one["do"]) for one in found if one["where"] == where]


def bad(shell: Exs, code: int) -> list[tuple[str, str, list[str]]]:
    return [one for one in findings(shell, code) if one[0] in ("warning", "error")]


def typed(shell: Exs, *lines: str) -> str:
    """What a user sees who pastes these lines into a shell."""
    script = "set -e\n" + "\n".join(lines)
    done = subprocess.run(["bash", "-c", script], env=shell.env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
