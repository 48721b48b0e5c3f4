"""`on_failure` and `log_policies`: what a sweep file says becomes of a job that failed."""

from __future__ import annotations

import re
import warnings

from exs.errors import InputError
from exs.model import LOSSES, After, Failure, Json
from exs.settings import Limits
from exs.sweep.fields import Fields
from exs.sweep.suggest import hint, shorten

CLASSES = tuple(failure.value for failure in Failure)
ACTIONS = tuple(after.value for after in After)
#: What a loss of the slot may lead to: no retry is spent on one, and poison is the end of a crash budget.
_LOSS_ACTIONS = ("fail", "requeue", "pause")
_POISON_ACTIONS = ("fail", "pause")
LOG_ACTIONS = ("cancel_retries", "exclude_node")
#: The most that a rule may say of how often.
_MOST = 1000


def on_failure(fields: Fields) -> dict[str, list[Json]]:
    """Class or "exit 3" -> [action, how often or None], of a file's `on_failure`.

    Raises InputError with file:line for a class, an exit code or an action that there is not.
    """
    if "on_failure" not in fields:
        return {}
    section = fields.section("on_failure")
    section.check_known((*CLASSES, "exit"))
    found = {name: _rule(section, name, _actions(name)) for name in section if name in CLASSES and name in section}
    exits = section.section("exit")
    for code in exits:
        if not (code.isascii() and code.isdigit() and 1 <= int(code) <= 255):
            raise InputError(f"{exits.at(code)}: {shorten(code)} is no exit code of a failure.", "Write 1 to 255.")
        found[f"exit {int(code)}"] = _rule(exits, code, ACTIONS)
    return found


def _actions(name: str) -> tuple[str, ...]:
    if name == Failure.POISON.value:
        return _POISON_ACTIONS
    return _LOSS_ACTIONS if name in [loss.value for loss in LOSSES] else ACTIONS


def _rule(section: Fields, key: str, known: tuple[str, ...]) -> list[Json]:
    """`fail`, or `{retry: 2}`, which says how often."""
    written = section.get(key)
    if isinstance(written, str):
        if written not in known:
            raise InputError(f"{section.at(key)}: {key}: unknown action {shorten(written)}.", hint(written, known))
        return [written, None]
    if isinstance(written, dict) and len(written) == 1:
        rule = section.section(key)
        counted = tuple(action for action in known if action in ("retry", "requeue"))
        rule.check_known(counted)
        (action,) = rule
        if action in rule:
            return [action, rule.integer(action, 0, _MOST)]
    raise section.wrong(key, f"one of {', '.join(known)}, or how often: {{{known[1]}: 2}}")


def log_policies(fields: Fields, limits: Limits) -> list[dict[str, str]]:
    """The `log_policies` of a file in Determined's words: name, pattern and action.

    `action` is a word, or `{type: word}`; without one the policy is a label, which needs a name. A name without a
    pattern switches off a policy that Determined's own master would add, and says nothing here. Raises InputError
    with file:line.
    """
    items = fields.items("log_policies", empty=True) or []
    if len(items) > limits.log_policies:
        raise InputError(
            f"{fields.at('log_policies')}: {len(items)} patterns are more than {limits.log_policies} (log_policies)."
        )
    found: list[dict[str, str]] = []
    for at, item in enumerate(items):
        where = fields.at("log_policies", at)
        if not isinstance(item, dict):
            raise InputError(f"{where}: a log policy must be a mapping like {{pattern: ..., action: cancel_retries}}.")
        policy = Fields.of(fields.document, *fields.path, "log_policies", at)
        policy.check_known(("name", "pattern", "action"))
        name, pattern = policy.text("name"), policy.text("pattern")
        action = _log_action(policy)
        if pattern is None and (name is None or action):
            raise InputError(f"{where}: the log policy has no pattern.", "Add pattern: 'CUDA error'.")
        if pattern is not None:
            _check_pattern(pattern, policy.at("pattern"), limits)
            if not name and not action:
                raise InputError(
                    f"{where}: the log policy has neither an action nor a name.",
                    f"Add action: {' or '.join(LOG_ACTIONS)}.",
                )
            found.append({"name": name or "", "pattern": pattern, "action": action})
    return found


def _log_action(policy: Fields) -> str:
    written = policy.get("action")
    where = policy.at("action")
    if isinstance(written, dict):
        nested = policy.section("action")
        nested.check_known(("type",))
        written, where = nested.get("type"), nested.at("type")
    if written is None:
        return ""
    if not isinstance(written, str) or written not in LOG_ACTIONS:
        raise InputError(f"{where}: unknown action {shorten(written)}.", hint(str(written), LOG_ACTIONS))
    return written


def _check_pattern(pattern: str, where: str, limits: Limits) -> None:
    if len(pattern) > limits.pattern_chars:
        raise InputError(f"{where}: the pattern is longer than {limits.pattern_chars} characters (pattern_chars).")
    try:
        with warnings.catch_warnings():  # `[[` warns about sets that a later Python may nest
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern.encode("utf-8"))
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"{where}: {shorten(pattern)} is no regular expression: {error}.") from None
