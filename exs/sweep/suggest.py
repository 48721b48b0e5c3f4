"""Did-you-mean: the one place where a word nobody knows meets the words there are."""

from __future__ import annotations

from collections.abc import Iterable

from exs.errors import InputError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'x'?`, or "" when none of `known` is close to `word`."""
    import difflib  # only for those who made a mistake: 3 ms

    close = difflib.get_close_matches(word[:100], list(known)[:1000], n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def hint(word: str, known: Iterable[str], label: str = "Known") -> str:
    """`Did you mean 'x'?` where one of `known` is close to `word`, else the list of them."""
    words = list(known)
    guess = did_you_mean(word, words)
    if guess or not words:
        return guess
    shown = ", ".join(words[:30]) + (", ..." if len(words) > 30 else "")
    return f"{label}: {shown}."


def shorten(word: object, length: int = 60) -> str:
    """`word` as `repr` shows it, cut in the middle, so that hostile input cannot flood a terminal."""
    text = repr(word[: 2 * length] if isinstance(word, str) else word)
    return text if len(text) <= length else f"{text[: length // 2]}...{text[-length // 4 :]}"


def unknown_key(key: str, known: Iterable[str], where: str) -> InputError:
    """The error for a key that nothing reads; `where` is its file:line."""
    return InputError(f"{where}: unknown key {shorten(key)}.", hint(key, known))
