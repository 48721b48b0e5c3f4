"""Schedy's Python interface: what its users rely on, and none of its defects."""

from __future__ import annotations

import math
from typing import Any

import pytest

import exs
from exs.errors import InputError, NoJobError, NotFound, Refused, ResourceExistsError, UnsafeUpdateError
from exs.model import JobState, Update
from exs.store.store import Store

S = JobState


@pytest.fixture
def db(store: Store) -> Any:
    return exs.SchedyDB(config_override={"root": store.url})


@pytest.fixture
def manual(db: Any) -> Any:
    experiment = exs.ManualSearch("Manual")
    db.add_experiment(experiment)
    return experiment


class Scalar:
    """What numpy's scalars and arrays have in common."""

    def __init__(self, value: object) -> None:
        self._value = value

    def tolist(self) -> object:
        return self._value


def test_an_experiment_is_made_once(db: Any, manual: Any) -> None:
    with pytest.raises(ResourceExistsError, match="Manual exists already"):
        db.add_experiment(exs.ManualSearch("Manual"))
    assert [found.name for found in db.get_experiments()] == ["Manual"]
    with pytest.raises(NotFound, match="Did you mean Manual"):
        db.get_experiment("Manuel")


def test_no_job_left_is_said_as_the_document_does(manual: Any) -> None:
    with pytest.raises(NoJobError) as caught:
        manual.next_job()
    assert str(caught.value) == "HTTP Error None:\n> No job left for experiment Manual."
    with pytest.raises(NoJobError):
        manual.next_job(wait=0.2)


def test_jobs_are_given_out_in_the_order_in_which_they_came(manual: Any) -> None:
    ids = [manual.add_job({"x": x}).job_id for x in range(3)]
    held = [manual.next_job() for _ in ids]
    assert [job.job_id for job in held] == ids
    assert [job.status for job in manual.all_jobs()] == ["RUNNING"] * 3
    for job in held:
        job.status = job.DONE
        job.put()
    assert [job.status for job in manual.all_jobs()] == ["DONE"] * 3


def test_an_update_that_overlooks_another_one_is_unsafe(manual: Any, store: Store) -> None:
    mine = manual.add_job({"x": 1})
    theirs = manual.get_job(mine.job_id)
    theirs.results["a"] = 1
    theirs.put()
    mine.results["b"] = 2
    with pytest.raises(UnsafeUpdateError) as caught:
        mine.put()
    assert str(caught.value).startswith("HTTP Error 412:\n> ")
    assert manual.get_job(mine.job_id).results == {"a": 1}
    mine.put(safe=False)
    assert manual.get_job(mine.job_id).results == {"b": 2}
    mine.results["c"] = 3
    mine.put()  # what it wrote last is what it has read
    assert store.audit() == []


def test_a_job_that_is_over_can_be_queued_again(manual: Any, store: Store) -> None:
    job = manual.add_job({"x": 1})
    with manual.next_job() as held:
        held.results["y"] = 1
    again = manual.get_job(job.job_id)
    again.status, again.hyperparameters["x"] = again.QUEUED, 2
    again.put()
    with manual.next_job() as held:
        assert (held.job_id, held.hyperparameters) == (job.job_id, {"x": 2})
        assert held.results == {}, "an attempt begins without what the last one found"
    assert store.audit() == []


@pytest.mark.parametrize("status", ["DONE", "CRASHED", "PRUNED"])
def test_a_job_that_was_run_elsewhere_can_be_added_with_its_results(manual: Any, store: Store, status: str) -> None:
    job = manual.add_job({"x": 1}, status=status, results={"loss": 0.5})
    (row,) = store.jobs("Manual")
    assert (row.id, row.state.value, dict(row.result)) == (job.job_id, status, {"loss": 0.5})
    with pytest.raises(NoJobError):
        manual.next_job()
    assert store.audit() == []


def test_running_is_for_those_who_hold_a_lease(manual: Any) -> None:
    with pytest.raises(Refused, match="cannot be made RUNNING by hand"):
        manual.add_job({"x": 1}, status="RUNNING")
    job = manual.add_job({"x": 1})
    job.status = job.RUNNING
    with pytest.raises(Refused, match="cannot be made RUNNING by hand"):
        job.put()


def test_who_sets_a_running_job_aside_fences_its_holder_out(manual: Any, store: Store) -> None:
    manual.add_job({"x": 1})
    with pytest.raises(UnsafeUpdateError), manual.next_job() as held:
        other = manual.get_job(held.job_id)
        other.status = other.PRUNED
        other.put()
        held.results["y"] = 1
    (row,) = store.jobs("Manual")
    assert (row.state, dict(row.result)) == (S.PRUNED, {})
    assert store.audit() == []


def test_a_holder_can_prune_its_job_or_give_it_back(manual: Any, store: Store) -> None:
    manual.add_job({"x": 1})
    with manual.next_job() as job:
        job.status = job.PRUNED
    assert store.jobs("Manual")[0].state is S.PRUNED
    manual.add_job({"x": 2})
    with manual.next_job() as job:
        job.status = job.QUEUED
    assert store.jobs("Manual")[1].state is S.QUEUED
    assert store.audit() == []


def test_what_is_deleted_twice_is_told(manual: Any) -> None:
    job = manual.add_job({"x": 1})
    job.delete()
    with pytest.raises(UnsafeUpdateError, match="not there any more"):
        job.delete()
    job.delete(ensure=False)
    with pytest.raises(UnsafeUpdateError, match="was removed"):
        job.put()
    manual.delete()
    with pytest.raises(UnsafeUpdateError, match="not there any more"):
        manual.delete()
    manual.delete(ensure=False)


def test_an_experiment_that_is_done_gives_out_no_job(db: Any, store: Store) -> None:
    experiment = exs.RandomSearch("Later", {"x": exs.random.Uniform(0, 1)}, status="DONE")
    db.add_experiment(experiment)
    experiment.add_job({"x": 0.5})
    for _ in range(3):
        with pytest.raises(NoJobError):
            experiment.next_job()
    assert len(store.jobs("Later")) == 1, "it draws nothing that nobody can take"
    experiment.status = experiment.RUNNING
    experiment.push_updates()
    assert db.get_experiment("Later").next_job().hyperparameters == {"x": 0.5}


def test_a_random_search_draws_on_demand_what_is_queued_first(db: Any, store: Store) -> None:
    drawn = {
        "lr": exs.random.LogUniform(1e-5, 1e-1),
        "x": exs.random.Uniform(-1, 1),
        "n": exs.random.Normal(0, 5),
        "opt": exs.random.Choice(["sgd", "adam"], [0, 1]),
        "c": exs.random.Constant([1, 2]),
    }
    experiment = exs.RandomSearch("Random", drawn)
    db.add_experiment(experiment)
    with pytest.raises(InputError, match="has the hyperparameters lr, x, n, opt, c, and no others"):
        experiment.add_job({"lr": 0.1})
    first = experiment.add_job({"lr": 0.1, "x": 0, "n": 0, "opt": "sgd", "c": 0})
    again = db.get_experiment("Random")
    assert again.distributions == drawn
    with again.next_job() as job:
        assert job.job_id == first.job_id
    for _ in range(20):
        with again.next_job() as job:
            assert 1e-5 <= job.hyperparameters["lr"] < 1e-1 and -1 <= job.hyperparameters["x"] < 1
            assert (job.hyperparameters["opt"], job.hyperparameters["c"]) == ("adam", [1, 2])
    rows = store.jobs("Random")
    assert len(rows) == 21 and len({row.params["lr"] for row in rows}) == 21
    assert store.last() == "Random" and store.audit() == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: exs.random.Choice([1, 2], [1]), "2 values and needs as many weights"),
        (lambda: exs.random.Choice([]), "at least one value"),
        (lambda: exs.random.Choice([1], [-1]), "at least 0"),
        (lambda: exs.random.LogUniform(0, 1), "greater than 0"),
        (lambda: exs.random.Uniform(2, 1), "from low to high"),
        (lambda: exs.random.Normal(0, -1), "at least 0"),
        (lambda: exs.random.Normal(math.nan, 1), "mean must be a number"),
        (lambda: exs.RandomSearch("a", {}), "no distribution"),
        (lambda: exs.RandomSearch("a", {"x": 3}), "x must be a distribution"),
        (lambda: exs.ManualSearch("a", status="ACTIVE"), "no status of an experiment"),
        (lambda: exs.ManualSearch("a").next_job(), "is in no database yet"),
        (lambda: exs.SchedyDB(config_override={"token": "x"}), "exs has no accounts"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(make: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make()


def test_results_of_two_jobs_are_two_dicts(manual: Any) -> None:
    """Schedy's defect 5."""
    first, second = manual.add_job({"x": 1}), manual.add_job({"x": 2})
    first.results["a"] = 1
    assert second.results == {}


def test_numpys_scalars_and_nan_are_stored(manual: Any) -> None:
    """Schedy's defect 4, and what strict JSON lacks."""
    manual.add_job({"x": Scalar(0.5)})
    with manual.next_job() as job:
        job.results.update(a=Scalar(2), b=Scalar([1.0, 2.0]), c=math.nan, d=-math.inf, e={1: (1, 2)})
    job = next(manual.all_jobs())
    assert job.hyperparameters == {"x": 0.5}
    assert job.results == {"a": 2, "b": [1.0, 2.0], "c": "nan", "d": "-inf", "e": {"1": [1, 2]}}


def test_a_result_that_json_cannot_hold_is_said_and_the_job_comes_back(manual: Any) -> None:
    manual.add_job({"x": 1})
    with pytest.raises(InputError, match="result model is of type object"), manual.next_job() as job:
        job.results["model"] = object()
    job.results["model"] = "a path"
    job.put()
    assert next(manual.all_jobs()).results == {"model": "a path"}


def test_no_pool_can_be_given_to_it(manual: Any, store: Store) -> None:
    with pytest.raises(InputError, match="Manual is a pull experiment"):
        store.update([Update("Manual", "resource-pool", "default")])
    assert store.experiment("Manual").pool == "pull:Manual"


def test_workers_experiments_are_not_for_next_job(db: Any, store: Store) -> None:
    exs.connect(store.url).push({"name": "Sweep", "command": "true"})
    with pytest.raises(Refused, match="Sweep is a run experiment"):
        db.get_experiment("Sweep")
