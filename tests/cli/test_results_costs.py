"""A question asks Redis for what it needs: counted, not timed, so that it fails on any machine alike."""

from __future__ import annotations

from typing import Any

import pytest

import exs as api
from cli.lab import Exs, Lab
from cli.measured import tell
from exs.model import JobState
from exs.reader.answer import Question, answer
from exs.reader.query import MISSING
from exs.store.look import PAGE

#: Jobs: some pages of them.
JOBS = 1000
#: Of which so many have ended.
ENDED = 200


@pytest.fixture
def many(exs: Exs, lab: Lab) -> Exs:
    """Jobs of which some have told three metrics, and have ended."""
    lab.push(jobs=JOBS)
    for number in range(ENDED):
        claim = lab.claim()
        tell(lab, claim, loss=[0.9, number / ENDED], acc=[0.1, 0.5], lr_now=[0.1] * 200)
        done = JobState.CRASHED if number % 10 == 0 else JobState.DONE
        lab.end(
            claim, done, result={"score": number}, directory=f"/home/alice/out/{number}", log="log.train", max_rss=9
        )
    return exs


def asked(lab: Lab, exs: Exs, *words: str) -> tuple[dict[str, int], float]:
    """Commands of Redis by name while `exs` runs, and the bytes that it answers per job."""
    client = lab.store._client
    client.config_resetstat()
    exs(*words)
    commands = {name[8:]: int(entry["calls"]) for name, entry in client.info("commandstats").items()}
    return commands, client.info("stats")["total_net_output_bytes"] / JOBS


def test_a_question_takes_one_script_per_page_and_little_of_each_job(many: Exs, lab: Lab) -> None:
    query = "info.status == 'COMPLETE' & loss.min < 0.9"
    words = ("results", "resnet", "-q", query, "--group-by", "seed", "--columns", "loss.min")
    commands, each = asked(lab, many, *words)
    assert commands["evalsha"] <= JOBS / PAGE + 2
    assert commands["hmget"] <= 2 * JOBS, "of each job its fields and one metric"
    assert commands["hgetall"] <= 10
    assert "mget" not in commands, "no points"
    _, whole = asked(lab, many, "list", "-t", "resnet", "-q")
    assert each <= 190  # 178 measured; 488 with all that there is of each
    assert each <= whole / 2


@pytest.mark.parametrize(
    ("words", "records", "most"),  # bytes; 175, 518, 514 measured, with all metrics the last two are 865, 557
    [
        (("results", "resnet", "-q", "loss.mean < 0.9", "--columns", "loss.mean"), 0, 190),
        (("plot", "resnet", "-x", "step", "-y", "loss"), JOBS, 540),
        (("list", "-t", "resnet", "-s", "loss.min"), JOBS, 540),
    ],
)
def test_what_is_about_one_metric_reads_nothing_of_the_others(
    many: Exs, lab: Lab, words: tuple[str, ...], records: int, most: int
) -> None:
    commands, each = asked(lab, many, *words)
    assert commands["hgetall"] <= records + 10, "besides records, what is named"
    assert each <= most


@pytest.mark.parametrize("query", ["", "info.status == 'COMPLETE'"])
def test_each_column_is_the_same_whether_all_of_a_job_is_read_or_that_column(
    many: Exs, lab: Lab, queue_url: str, query: str
) -> None:
    reader = api.Reader(queue=queue_url, experiment="resnet")
    whole = reader.filter(query)[:20] + reader.filter(query)[-20:]
    plain = ("loss", "loss.min", "loss.mean", "lr_now.count", "status", "seed", "score", "log", "seconds")
    keys = [*whole[0].flat(), *plain]
    for key in keys:
        question = Question(query, (key,))
        found: dict[Any, Any] = {row[0]: row[1] for row in answer(question, reader.runs(question.keys(), False)).rows}
        for run in whole:
            value = run.find(key)
            assert found[run.label] == (None if value is MISSING else value), key
