from __future__ import annotations

from pathlib import Path

import pytest

from exs.errors import InputError
from exs.settings import load


def configured(directory: Path, text: str, **env: str) -> dict[str, str]:
    """An environment whose config file holds `text`."""
    path = directory / "exs.conf"
    path.write_text(text, encoding="utf-8")
    return {"EXS_CONFIG": str(path), **env}


def test_the_environment_overrules_the_config_file_and_that_the_defaults(tmp_path: Path) -> None:
    text = "[exs]\nlease = 9\nrenew = 2\nsweep_jobs = 12\nredis_url = redis://:p%w@h/1\n"
    found = load(configured(tmp_path, text, EXS_LEASE="8.5", EXS_NODE="box"))
    assert (found.timing.lease, found.timing.renew, found.limits.sweep_jobs) == (8.5, 2.0, 12)
    assert (found.redis_url, found.node, found.timing.grace) == ("redis://:p%w@h/1", "box", 60.0)
    assert "p%w" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[exs]\nleese = 3\n", "unknown setting 'leese'"),
        ("[exs]\nlease = soon\n", "lease='soon' is not a number"),
        ("[exs]\nsweep_jobs = 1.5\n", "sweep_jobs='1.5' is not a whole number"),
        ("[exs]\nstate_dir = here\n", "state_dir='here' must be an absolute path"),
        ("[exs]\ngrace = -1\n", "must be greater than 0"),
        ("[exs]\ngrace = nan\n", "must be greater than 0"),
        ("[exs]\nlease = 3\nrenew = 2\n", "at most half of lease"),
        ("lease = 3\n", "no section headers"),
        ("[redis]\nredis_url = redis://h\n", "more than the section [exs]"),
        ("[DEFAULT]\nlease = 3\n", "more than the section [exs]"),
    ],
)
def test_what_a_config_file_says_is_used_or_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load(configured(tmp_path, text))
    assert said in str(refused.value)


def test_a_config_file_that_cannot_be_read_is_one_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"[exs]\n\xff\xfe")
    for path, said in ((tmp_path, "Is a directory."), (tmp_path / "bytes", "byte 6 is not UTF-8 text.")):
        with pytest.raises(InputError) as refused:
            load({"EXS_CONFIG": str(path)})
        assert str(refused.value) == f"cannot read the config file {path}: {said}"
