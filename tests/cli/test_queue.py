"""`exs queue`, `exs update`, `exs update-batch`, and `exs job` for Determined's users."""

from __future__ import annotations

import csv
import io
import re

import pytest

from cli.lab import Exs, Lab

HEADER = ["#", "ID", "Type", "Job Name", "Priority", "Submitted", "Slots (acquired/needed)", "Status", "User"]


def rows(text: str) -> list[list[str]]:
    """The cells of Determined's table, without its header and line."""
    lines = text.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")] == HEADER
    assert re.fullmatch(r"-+(\+-+)+", lines[1])
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


@pytest.fixture
def two(lab: Lab) -> Lab:
    lab.push("first_job", jobs=1)
    lab.push("second_job", jobs=3)
    return lab


def test_experiments_stand_in_scheduling_order_in_determineds_columns(exs: Exs, two: Lab) -> None:
    two.claim()
    first, second = (two.store.experiment(name).id for name in ("first_job", "second_job"))
    shown = rows(exs("queue"))
    assert [row[:5] for row in shown] == [
        ["0", first, "TYPE_EXPERIMENT", "first_job", "42"],
        ["1", second, "TYPE_EXPERIMENT", "second_job", "42"],
    ]
    assert [row[6:] for row in shown] == [["1/1", "STATE_SCHEDULED", "alice"], ["0/3", "STATE_QUEUED", "alice"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[5]) for row in shown)
    assert exs("job", "list") == exs("job", "ls") == exs("job") == exs("queue")


def test_what_is_over_is_left_out(exs: Exs, two: Lab) -> None:
    two.end(two.claim())
    exs("cancel", "second_job/0-1")
    assert [row[3] for row in rows(exs("queue"))] == ["second_job"]
    exs("cancel", "second_job")
    assert rows(exs("queue")) == []
    assert exs.json("queue") == {"jobs": []}


def test_json_has_determineds_fields(exs: Exs, two: Lab) -> None:
    first, second = exs.json("queue")["jobs"]
    assert first["summary"] == {"state": "STATE_QUEUED", "jobsAhead": 0}
    assert second["summary"]["jobsAhead"] == 1
    assert second["jobId"] == two.store.experiment("second_job").id
    assert (second["requestedSlots"], second["allocatedSlots"]) == (3, 0)
    assert (second["priority"], second["weight"], second["resourcePool"]) == (42, 1.0, "default")
    assert second["submissionTime"].endswith("Z") and second["type"] == "TYPE_EXPERIMENT"


def test_csv_has_the_columns_of_the_table_and_ids_select(exs: Exs, two: Lab) -> None:
    header, *found = csv.reader(io.StringIO(exs("queue", "--csv")))
    assert header == HEADER
    assert [row[3] for row in found] == ["first_job", "second_job"]
    (first, _) = exs("queue", "-q").split()
    assert exs("list", "-q", "-t", first).split() == [row.id for row in two.store.jobs("first_job")]


def test_an_id_stands_for_a_name_in_every_verb(exs: Exs, two: Lab) -> None:
    first, second = exs("queue", "-q").split()
    two.end(two.claim())
    assert exs("list", "-q", "-t", second) == exs("list", "-q", "-t", "second_job")
    assert exs("show", f"{second}/1").split()[:9] == exs("show", "second_job/1").split()[:9]
    assert "first_job" in exs("show", first)
    exs("wait", first)
    assert exs("push", second, "-p", "lr", "0.7", "seed", "9", "model", "r18").startswith("pushed second_job: +1 new")
    assert exs("cancel", f"{second}/1-2") == "canceled 2 jobs\n"
    assert exs("retry", second) == "queued 2 jobs again, left 2 queued\n"
    assert exs("update", f"{second}/2", "--to-top") == "second_job/2: first of its experiment\n"
    assert exs("update-batch", f"{second}.priority=3").startswith("second_job: priority 42 -> 3")
    assert exs("rm", "-y", second) == "removed 4 jobs and second_job\n"


def test_the_queue_of_another_pool(exs: Exs, lab: Lab) -> None:
    lab.push("apart", pool="a100")
    out, err = exs.both("queue")
    assert rows(out) == [] and err == "1 in another pool: exs queue --pool a100\n"
    assert [row[3] for row in rows(exs("queue", "--pool", "a100"))] == ["apart"]
    assert exs("job", "list", "--resource-pool", "a100") == exs("queue", "--pool", "a100")
    _, err = exs.both("queue", "--pool", "a1OO", code=2)
    assert "no pool 'a1OO'" in err


def test_update_says_what_it_changed_and_what_was_so_already(exs: Exs, two: Lab) -> None:
    first, second = (two.store.experiment(name).id for name in ("first_job", "second_job"))
    assert exs("update", second, "--ahead-of", first) == "second_job: ahead of first_job\n"
    assert exs("job", "update", second, "--ahead-of", first) == "second_job: ahead of first_job already\n"
    assert exs("update", "first_job", "--priority", "10") == "first_job: priority 42 -> 10\n"
    assert exs("update", "first_job", "-p", "10") == "first_job: priority 10 already\n"
    assert exs("update", second, "--behind-of", "first_job") == "second_job: behind first_job, priority 42 -> 10\n"
    assert exs("update", "last", "--to-top") == "second_job: ahead of first_job\n"
    assert exs("update", "last", "--to-top") == "second_job: first already\n"
    assert exs("update", first, "--max-slots", "2") == "first_job: jobs at a time any number -> 2\n"
    assert exs("update", first, "--resource-pool", "a100") == (
        "first_job: pool default -> a100; no worker serves a100 yet\n"
    )
    assert "goes by priority" in exs("update", second, "-w", "1.5")
    exs("cancel", "second_job")
    assert exs("update", second, "--priority", "5") == "second_job: priority 10 -> 5; nothing of it runs or waits\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--priority", "1", "--weight", "2"), "--priority and --weight are two changes"),
        ((), "What is to change?"),
        (("--priority", "100"), "from 1 to 99"),
        (("--ahead-of", "nobody"), "no experiment or job 'nobody'"),
    ],
)
def test_bad_updates_are_one_sentence(exs: Exs, two: Lab, words: tuple[str, ...], said: str) -> None:
    _, err = exs.both("update", "first_job", *words, code=2)
    assert said in err


def test_a_job_is_moved_inside_its_experiment(exs: Exs, two: Lab) -> None:
    assert exs("update", "second_job/2", "--ahead-of", "second_job/0") == "second_job/2: ahead of second_job/0\n"
    assert exs("update", "second_job/2", "--to-top") == "second_job/2: first of its experiment already\n"
    exs("cancel", "first_job")
    two.end(two.claim())
    assert exs("update", "second_job/2", "--to-top") == "second_job/2: is over: DONE\n"
    two.claim()
    assert exs("update", "second_job/0", "--to-top") == "second_job/0: runs already\n"
    assert exs("update", "second_job/1", "--behind-of", "second_job/0") == (
        "second_job/1: first of its experiment already: second_job/0 does not wait\n"
    )
    _, err = exs.both("update", "second_job/1", "--priority", "3", code=2)
    assert "of a job only the place can be changed" in err and "exs update second_job" in err


def test_a_batch_is_made_whole_or_not_at_all(exs: Exs, lab: Lab) -> None:
    for name in ("a", "b.x", "c", "d"):
        lab.push(name, jobs=1)
    words = ("a.priority=1", "b.x.resource-pool=gpu.a100", "c.weight=1.5", "d.ahead-of=a")
    assert exs("update-batch", *words).splitlines() == [
        "a: priority 42 -> 1",
        "b.x: pool default -> gpu.a100; no worker serves gpu.a100 yet",
        "c: weight 1 -> 1.5; pool default goes by priority, where weights do not count",
        "d: ahead of a, priority 42 -> 1",
    ]
    assert [row[3] for row in rows(exs("queue"))] == ["d", "a", "c"]
    _, err = exs.both("job", "update-batch", "d.priority=9", "c.ahead-of=b.x", code=2)
    assert "c.ahead-of=b.x: c is in pool default, and b.x in pool gpu.a100" in err
    assert [row[4] for row in rows(exs("queue"))] == ["1", "1", "42"]
    made = exs.json("update-batch", "a.priority=1", "c.priority=3")["changes"]
    assert [(change["subject"], change["changed"]) for change in made] == [("a", False), ("c", True)]


@pytest.mark.parametrize("word", ["a.priority", "priority=1", ".priority=1", "a.=1", "a=b.priority"])
def test_what_is_no_operation_is_refused(exs: Exs, lab: Lab, word: str) -> None:
    lab.push("a", jobs=1)
    _, err = exs.both("update-batch", "a.priority=1", word, code=2)
    assert "ID.OPERATION=VALUE" in err
    assert lab.store.experiment("a").priority == 42
