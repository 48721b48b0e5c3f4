from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exs.view.text import MASK, cut, masked, padded, safe, safe_lines, secret, shown, width
from exs.view.when import ago, duration, iso, until


@given(st.text())
def test_nothing_that_moves_a_cursor_gets_through(text: str) -> None:
    for ch in safe(text):
        assert unicodedata.category(ch) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    for ch in safe_lines(text):
        assert ch in "\n\t\r" or unicodedata.category(ch) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain é 漢字", "plain é 漢字"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("no\u00a0break", "no\u00a0break"),
        ("redis://bob:hunter2@h:1", "redis://***@h:1"),
    ],
)
def test_one_line_is_safe(text: str, escaped: str) -> None:
    assert safe(text) == escaped


@pytest.mark.parametrize(
    "name", ["WANDB_API_KEY", "apiKey", "hf_token", "db.password", "AWS_SECRET_ACCESS_KEY", "mypasswd", "client-secret"]
)
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert secret(name)
    assert masked(name, "hunter2") == MASK
    assert masked("env", {name: "hunter2", "lr": 1}) == {name: MASK, "lr": 1}
    assert masked("list", [{name: 5}]) == [{name: MASK}]


@pytest.mark.parametrize("name", ["lr", "max_tokens", "token_dropout", "key_dim", "tokenizer", "monkey", "n_keys", ""])
def test_hyperparameters_are_no_secrets(name: str) -> None:
    assert not secret(name)
    assert masked(name, 512) == 512


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "null"),
        (3, "3"),
        (0.83, "0.83"),
        (1e-05, "1e-05"),
        (0.9134999871253967, "0.9135"),
        (123456.789, "123457"),
        ("a\nb", "a\\nb"),
        ([1, "é\x1b"], '[1, "é\\u001b"]'),
        (10**400, str(10**400)),
    ],
)
def test_values_are_readable(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_number_too_long_for_str_is_shown() -> None:
    assert shown(1 << 100_000).startswith("0x1000")


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "M"))), st.integers(0, 30))
def test_cut_text_fits(text: str, limit: int) -> None:
    assert width(cut(text, limit)) <= limit
    assert width(text) > limit or cut(text, limit) == text


def test_text_is_cut_in_the_middle() -> None:
    assert cut("checkpoint-000123.pt", 11) == "check…23.pt"
    assert padded("漢字", 6) == "漢字  "
    assert padded("漢字", 6, right=True) == "  漢字"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (0.42, "0.4s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (245, "4m05s"),
        (2460, "41m"),
        (4320, "1h12m"),
        (183600, "2d03h"),
        (10**9, "11574d"),
        (-1, "-"),
        (float("nan"), "-"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_are_relative() -> None:
    now = 1_000_000.0
    assert [ago(now - s, now) for s in (0, 12.9, 180, 7200, 500_000)] == [
        "now",
        "12s ago",
        "3m ago",
        "2h ago",
        "5d ago",
    ]
    assert ago(0.0, now) == "-"
    assert ago(now + 5, now) == "now"
    assert [until(now + s, now) for s in (12.4, 0.2, -3, 3)] == ["12s", "now", "now", "3s"]
    assert iso(1_780_000_000.1239) == "2026-05-28T20:26:40.124Z"
    assert iso(0.0) is None
