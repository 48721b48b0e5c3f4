"""What a job used of its GPUs goes with its outcome. NVML is faked behind its seam; the job says what it shows."""

from __future__ import annotations

import json

from exs.model import JobState
from harness.fleet import Fleet
from harness.node import gpus

S = JobState

#: Uses so much memory of GPU `index`, one after the other, each until it has been looked at.
JOB = """
import json, os, sys, time
state, index, own = sys.argv[1], sys.argv[2], sys.argv[3] == "own"
for memory, load in ((3 << 30, 0), (5 << 30, 90), (1 << 30, 30)):
    memory = {str(os.getpid() if own else 999999999): memory, "1": 7 << 30}
    with open(state + ".new", "w") as file:
        json.dump({"usage": {index: {"memory": memory, "load": load}}}, file)
    os.rename(state + ".new", state)
    time.sleep(0.6)
sys.exit(int(sys.argv[4]))
"""


def run(fleet: Fleet, *options: str, own: bool = True, code: int = 0, retries: int = 0) -> str:
    state, (index,) = fleet.root / "gpus.json", gpus(1)
    fleet.node("a", "--gpus", index, *options, EXS_FAKE_GPUS_STATE=str(state), EXS_GPU_SAMPLE="0.1", EXS_GPU_CHECK="60")
    (fleet.home / "job.py").write_text(JOB)
    command = f"python3 {fleet.home}/job.py {state} {index} {'own' if own else 'other'} {code}"
    (fleet.home / "use.yaml").write_text(json.dumps({"name": "use", "command": command, "retries": retries}))
    fleet.exs("push", "use.yaml")
    return fleet.wait_all("use")[0].id


def test_peak_memory_and_mean_load_of_a_job(fleet: Fleet) -> None:
    found = fleet.json("show", run(fleet))
    assert found["gpu_memory"] == 5 << 30, "its own alone, and the most at once"
    assert 10 < found["gpu_load"] < 80 and found["gpu_load_max"] == 90
    page = fleet.exs("show", "use/0")
    assert "  gpu memory  5 GiB at most\n" in page and "% on average, 90% at most" in page
    fleet.check()


def test_each_attempt_that_failed_says_what_it_used(fleet: Fleet) -> None:
    job = run(fleet, code=3, retries=1)
    found = fleet.json("show", job)
    assert found["status"] == "CRASHED" and found["gpu_memory"] == 5 << 30
    assert [past["gpu_memory"] for past in found["history"]] == [5 << 30]
    assert "5 GiB of GPU memory" in fleet.exs("show", job)
    fleet.exs("retry", job)
    assert fleet.wait_all("use")[0].attempts >= 2


def test_pids_of_another_world_count_where_the_gpu_is_the_jobs_alone(fleet: Fleet) -> None:
    """In a container NVML has the host's numbers; process 1 is one that we do see, and none of ours."""
    assert fleet.json("show", run(fleet, own=False))["gpu_memory"] == 5 << 30


def test_of_a_gpu_that_slots_share_only_what_is_surely_the_jobs_own_counts(fleet: Fleet) -> None:
    found = fleet.json("show", run(fleet, "--per-gpu", "2"))
    assert found["gpu_memory"] == 5 << 30 and found["gpu_load"] is None


def test_a_slot_without_a_gpu_measures_nothing(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = fleet.push("print", "x")
    fleet.wait_state(job, S.DONE)
    assert fleet.json("show", job)["gpu_load"] is None
    assert not any(line.startswith(("  gpu memory", "  gpu load")) for line in fleet.exs("show", job).splitlines())
