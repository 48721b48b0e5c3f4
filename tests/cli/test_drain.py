"""drain, enable: nodes and slots by name, said once, said again, taken back."""

from __future__ import annotations

import re

from cli.lab import Exs, Lab
from exs.model import Offer
from exs.store.push import new_id


def there(lab: Lab, *slots: str, node: str = "gpu01") -> None:
    """Slots that wait for work."""
    for suffix in slots:
        gpus = (suffix.removeprefix("gpu"),) if suffix.startswith("gpu") else ()
        assert lab.store.claim(Offer(f"{node}:{suffix}@1a2b", node, "b", gpus=gpus), new_id()) is None


def test_a_slot_is_drained_by_each_of_its_names_and_says_why(exs: Exs, lab: Lab) -> None:
    there(lab, "gpu0", "gpu1", "gpu2")
    assert exs("drain", "gpu01:gpu0", "--why", "fan is loud") == "gpu01:gpu0: drained\n"
    assert exs("drain", "gpu01:gpu1@1a2b", "gpu01:2") == "gpu01:gpu1: drained\ngpu01:gpu2: drained\n"
    out = exs("workers")
    assert re.search(r"gpu01:gpu0@1a2b .* drained .* by \w+ .*: fan is loud", out)
    assert "workers: 0 busy, 0 idle, 3 drained" in out
    row = next(row for row in exs.json("workers")["workers"] if row["slot"] == "gpu01:gpu0@1a2b")
    assert row["state"] == "drained"
    assert (row["drain"]["why"], row["drain"]["kind"], row["drain"]["until"]) == ("fan is loud", "drain", None)
    header, *rows = exs("workers", "--csv").splitlines()
    assert "drain" in header.split(",") and "fan is loud" in rows[0]


def test_drain_and_enable_are_safe_to_repeat(exs: Exs, lab: Lab) -> None:
    there(lab, "gpu0")
    assert exs("drain", "gpu01") == "gpu01: drained\n"
    assert exs("drain", "gpu01") == "gpu01: drained already\n"
    assert exs("drain", "gpu01", "--why", "dust") == "gpu01: drained already, changed\n"
    assert re.fullmatch(r"gpu01: takes jobs again \(was drained by \w+ .*: dust\)\n", exs("enable", "gpu01"))
    assert exs("enable", "gpu01") == "gpu01: was not drained\n"
    assert exs("workers").endswith("workers: 0 busy, 1 idle\n")


def test_what_runs_goes_on_or_is_given_a_time(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    lab.claim("gpu01")
    assert exs("drain", "gpu01") == "gpu01: drained; 1 running job ends by itself\n"
    out = exs("drain", "gpu01", "--grace", "10m")
    assert re.fullmatch(r"gpu01: drained already, changed; 1 running job is asked to stop in (10m00s|10m|9m59s)\n", out)
    assert re.search(r"draining .* stops its job in (10m|9m5\ds)", exs("workers"))
    assert exs("drain", "gpu01", "--after-current").endswith("changed; 1 running job ends by itself\n")
    assert exs.json("drain", "gpu01")["drained"][0]["change"] == "same"
    assert exs("drain", "gpu01", "-q") == "gpu01\n"


def test_an_unknown_name_is_refused_and_nothing_is_drained(exs: Exs, lab: Lab) -> None:
    there(lab, "gpu0")
    _, err = exs.both("drain", "gpu01", "gpu01:gpu7", code=2)
    assert "no node or slot 'gpu01:gpu7'" in err and "Did you mean gpu01:gpu0?" in err
    _, err = exs.both("drain", "gqu01", code=2)
    assert "Did you mean gpu01?" in err
    _, err = exs.both("enable", "gpu01:gpu1", code=2)
    assert "Did you mean gpu01:gpu0?" in err
    assert lab.store.drains() == []


def test_a_node_that_is_away_is_drained_before_it_comes_back(exs: Exs, lab: Lab) -> None:
    lab.store.node_up("gpu01", "b", "machine", 1)
    assert exs("drain", "gpu01", "gpu01:gpu3") == "gpu01: drained\ngpu01:gpu3: drained\n"
    there(lab, "gpu0")
    lab.push(jobs=1)
    there(lab, "gpu0")
    assert exs("enable", "gpu01").count("takes jobs again") == 2


def test_a_slot_of_a_drained_node_is_enabled_with_its_node(exs: Exs, lab: Lab) -> None:
    there(lab, "gpu0")
    exs("drain", "gpu01")
    _, err = exs.both("enable", "gpu01:gpu0", code=2)
    assert "drained with all of its node" in err and "exs enable gpu01" in err


def test_bad_options_are_one_sentence(exs: Exs, lab: Lab) -> None:
    there(lab, "gpu0")
    assert "give one of them" in exs.both("drain", "gpu01", "--grace", "1m", "--after-current", code=2)[1]
    assert "'soon' is not a duration" in exs.both("drain", "gpu01", "--grace", "soon", code=2)[1]
    assert "201 characters" in exs.both("drain", "gpu01", "--why", "x" * 201, code=2)[1]
    assert lab.store.drains() == []


def test_what_a_reason_holds_cannot_move_the_cursor(exs: Exs, lab: Lab) -> None:
    there(lab, "gpu0")
    exs("drain", "gpu01", "--why", "red\x1b[31m\nnext")
    assert "red\\x1b[31m\\nnext" in exs("workers")
