"""The node inside `exs run`: it leaves with its parent, and gives up where slots cannot live."""

from __future__ import annotations

import os

from exs.model import JobState
from exs_worker import proctree
from harness.fleet import Fleet
from harness.node import ROOT
from slotprocess import gone

S = JobState


def run_words(fleet: Fleet, *verbs: object) -> list[str]:
    return ["run", "--cpus", "1", "--", *fleet.witness.command(*verbs)]


def test_a_run_that_is_killed_leaves_nothing_but_a_finished_job(fleet: Fleet) -> None:
    """kill -9 of `exs run`, whose terminal is gone with it: the job ends, is recorded, and the node leaves."""
    go = fleet.root / "go"
    run = fleet.command(*run_words(fleet, "print", "x", "until", go))
    fleet.wait_event("start")
    tree = [stat.proc.pid for stat in proctree.descendants(run.pid)]
    assert len(tree) == 3  # agent, slot, job
    run.kill()
    run.communicate()
    go.touch()
    fleet.wait(lambda: all(gone(pid) for pid in tree), "the node leaves")
    (row,) = [row for name in fleet.store.experiments() for row in fleet.store.jobs(name.name)]
    assert (row.state, row.attempts) == (S.DONE, 1)
    fleet.check()


def test_a_run_whose_slots_die_at_their_start_ends(fleet: Fleet) -> None:
    """A sentence and exit code 1 instead of a wait for ever; the jobs stay in the queue."""
    broken = fleet.root / "broken"
    broken.mkdir()
    # The slot alone imports this; it stands for a node that is out of memory or half installed.
    (broken / "sitecustomize.py").write_text(
        "import sys, os\nif sys.orig_argv[1:2] == ['-c'] and 'exs_worker.main' in sys.orig_argv[2]: os._exit(9)\n"
    )
    path = os.pathsep.join(str(each) for each in (broken, ROOT, ROOT / "workers"))
    run = fleet.command(*run_words(fleet), PYTHONPATH=path)
    out, said = run.communicate(timeout=60)
    assert run.returncode == 1, (out, said)
    assert b"slots of this machine die before they take a job" in said and b"Traceback" not in said
    assert not fleet.witness.seen()


def test_a_state_directory_that_cannot_be_is_one_sentence(fleet: Fleet) -> None:
    """For a worker and for the one in a run."""
    nowhere = "/proc/nowhere"
    said = fleet.exs("worker", "--cpus", "1", code=2, EXS_STATE_DIR=nowhere)
    assert nowhere in said and "EXS_STATE_DIR" in said
    _, said = fleet.both(*run_words(fleet), code=1, EXS_STATE_DIR=nowhere)
    assert nowhere in said and "EXS_STATE_DIR" in said
