"""What a sweep says becomes of a job that failed: its `on_failure` rules and its `log_policies`.

The slot decides, because it has the sweep and the output; the queue carries it out (crash.lua).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from exs.model import After, Failure, Json, Outcome, Spec

#: Characters of a line of output, or of a pattern, that a sentence quotes.
_QUOTED = 80
#: Characters of what failures are compared by.
_ALIKE = 120
#: What differs between jobs that fail alike: places in the file system, addresses and ids, numbers.
_DIRECTORY = re.compile(r"(?:/[^/\s'\":,;()]+)+/")
_NUMBER = re.compile(
    r"0x[0-9a-fA-F]+|\b[0-9a-f]{8,}\b|\b(?=\w*\d)(?=\w*[A-Za-z])\w{8,}\b|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
)


def judged(outcome: Outcome, spec: Spec, hits: Mapping[int, str], ids: Sequence[str] = ()) -> Outcome:
    """`outcome`, a failure, with what follows from it, and why, in its detail.

    `hits`: number of a log policy -> the line of output in which its pattern was found. `ids`: see `alike`.
    """
    kind, rule = _rule(spec, outcome)
    after, again = (str(rule[0]), rule[1]) if rule else ("", None)
    notes = [f"{_WORDS[after]} (on_failure: {kind})"] if after in _WORDS else []
    exclude = False
    for at, line in sorted(hits.items()):
        policy = spec.log_policies[at]
        if policy["action"] == "cancel_retries":
            after = After.FAIL.value
            notes.append(f"not retried ({_named(policy, line)})")
        elif policy["action"] == "exclude_node":
            exclude = True
            notes.append(f"not again on this node ({_named(policy, line)})")
        else:
            notes.append(_named(policy, line))
    return replace(
        outcome,
        detail="; ".join(filter(None, (outcome.detail, *notes))),
        after=after,
        again=again if isinstance(again, int) else None,
        kind=kind if after else "",
        exclude_node=exclude or after == After.REQUEUE.value,
        alike=alike(outcome, ids),
    )


#: What becomes of the job. That its sweep is paused, and by which rule, stands with the sweep.
_WORDS = {After.FAIL.value: "not retried", After.REQUEUE.value: "runs elsewhere"}


def _rule(spec: Spec, outcome: Outcome) -> tuple[str, Sequence[Json] | None]:
    """The rule for an exit code goes before that for its class; one that we ended did not choose its code."""
    kind = f"exit {outcome.exit_code}"
    if outcome.failure is not Failure.TIMEOUT and kind in spec.on_failure:
        return kind, spec.on_failure[kind]
    kind = outcome.failure.value if outcome.failure else ""
    return kind, spec.on_failure.get(kind)


def _named(policy: Mapping[str, str], line: str) -> str:
    name = policy["name"] or policy["pattern"]
    return f"log policy {_cut(name)}: {_cut(line.strip())}"


def _cut(text: str) -> str:
    return text if len(text) <= _QUOTED else text[: _QUOTED - 3] + "..."


def alike(outcome: Outcome, ids: Sequence[str] = ()) -> str:
    """How an attempt failed, in words that are the same for jobs that failed for the same reason.

    The class, how it ended, and the last line that it printed, without numbers, ids and directories. `ids`: words of
    its own that a job may print, such as its name.
    """
    failure = outcome.failure.value if outcome.failure else "error"
    lines = outcome.tail.rstrip().rsplit("\n", 1)
    last = lines[-1].rsplit("\r", 1)[-1] if outcome.failure in (Failure.ERROR, Failure.OOM) else ""
    for own in ids:
        last = last.replace(own, "#")
    ended = f"exit code {outcome.exit_code}" if outcome.exit_code is not None else outcome.detail
    if outcome.failure is not Failure.ERROR:
        ended = _plain(outcome.detail)
    return ": ".join(filter(None, (failure, ended, _plain(last))))[:_ALIKE]


def _plain(text: str) -> str:
    return " ".join(_NUMBER.sub("#", _DIRECTORY.sub("", text)).split())
