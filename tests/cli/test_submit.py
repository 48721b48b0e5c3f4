"""`exs submit`: batch scripts for six schedulers; real Slurm where it is installed.

The five others cannot be installed, so a program of theirs is stood in for: it notes what it is given and answers as
they do. What is compared is what MLXP's document and `mlxpsub` show.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.lab import wait_for
from harness import slurm

ROOT = Path(__file__).resolve().parents[2]

COMMANDS = """\
python main.py  optimizer.lr=10.,1. seed=1,2
python main.py  model.num_units=100,200 seed=1,2
"""
#: What the document's script is in each of the six, and how the head of its first job begins.
SIX = {
    "SLURM": ("sbatch", ["#SBATCH --ntasks=1", "#SBATCH --time=6:00:00"], "Submitted batch job 7"),
    "OAR": ("oarsub", ["#OAR -l core=1, walltime=6:00:00", "#OAR -t besteffort", "#OAR -t idempotent"], "OAR_JOB_ID=7"),
    "TORQUE/PBS": ("qsub", ["#PBS -l nodes=1,walltime=6:00:00"], "7.server"),
    "SGE": ("qsub", ["#$ -l h_rt=6:00:00"], 'Your job 7 ("logs.1") has been submitted'),
    "MWM/Moab": ("msub", ["#MSUB -l walltime=6:00:00"], "\n7\n"),
    "LSF": ("bsub", ["#BSUB -W 6:00"], "Job <7> is submitted to default queue <normal>."),
}


@dataclass
class Site:
    """A directory of a user's, with the submit commands of a site that may not exist."""

    work: Path
    bin: Path
    env: dict[str, str]

    def stand_in(self, name: str, answer: str, body: str = "") -> None:
        """A submit command that notes its arguments and input, and answers."""
        text = f"#!/bin/bash\nprintf '%s|' \"$@\" >> calls; cat >> stdin; echo >> calls\n{body}\necho '{answer}'\n"
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def script(self, directives: list[str], commands: str = COMMANDS) -> None:
        """`script.sh` as in the document."""
        (self.work / "script.sh").write_text("\n".join(["#!/bin/bash", "", *directives, "", commands]))

    def submit(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "exs", "submit", *options, "script.sh"],
            cwd=self.work,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def of(self, job: int) -> list[str]:
        """The lines of a job's script."""
        return (self.work / "logs" / str(job) / "script.sh").read_text().splitlines()

    @property
    def numbers(self) -> list[str]:
        """The directories of jobs."""
        return sorted((path.name for path in (self.work / "logs").glob("[0-9]*")), key=int)

    @property
    def calls(self) -> list[str]:
        path = self.work / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def site(tmp_path: Path) -> Site:
    work, folder = tmp_path / "my_project", tmp_path / "bin"
    work.mkdir()
    folder.mkdir()
    (work / "main.py").write_text("import sys\nprint(sys.argv[1:], file=open('ran', 'a'))\n")
    (folder / "python").symlink_to(sys.executable)
    env = {name: value for name, value in os.environ.items() if not name.startswith("EXS_")}
    env |= {"PYTHONPATH": str(ROOT), "PATH": f"{folder}:{os.environ['PATH']}"}
    return Site(work, folder, env)


@pytest.mark.parametrize("label", SIX)
def test_a_script_of_each_scheduler_becomes_eight_jobs_in_order(site: Site, label: str) -> None:
    program, directives, answer = SIX[label]
    site.stand_in(program, answer)
    site.script(directives)
    done = site.submit()
    assert done.returncode == 0, done.stderr
    assert f"submitted 8 jobs to {label}" in done.stderr
    logs = site.work / "logs"
    assert sorted(path.name for path in logs.glob("[0-9]*")) == [str(number) for number in range(1, 9)]
    name, out, err = {
        "SLURM": ("--job-name=logs/1", "--output=", "--error="),
        "OAR": ("-n logs/1", "-O ", "-E "),
        "SGE": ("-N logs.1", "-o ", "-e "),  # a slash is not allowed in its names
        "LSF": ("-J logs/1", "-o ", "-e "),
    }.get(label, ("-N logs/1", "-o ", "-e "))
    word = directives[0].split()[0]
    lines = site.of(1)
    assert lines[: 4 + len(directives)] == [
        "#!/bin/bash",
        f"{word} {name}",
        f"{word} {err}{logs}/1/log.stderr",
        f"{word} {out}{logs}/1/log.stdout",
        *directives,
    ]
    assert lines[-2:] == [f"cd {site.work}", f"{site.bin}/python main.py optimizer.lr=10. seed=1"]
    assert [site.of(number)[-1].partition("main.py ")[2] for number in range(1, 9)] == [
        *("optimizer.lr=10. seed=1", "optimizer.lr=10. seed=2", "optimizer.lr=1. seed=1", "optimizer.lr=1. seed=2"),
        *("model.num_units=100 seed=1", "model.num_units=100 seed=2"),
        *("model.num_units=200 seed=1", "model.num_units=200 seed=2"),
    ]
    assert os.access(logs / "1" / "script.sh", os.X_OK)
    if label == "LSF":  # bsub reads directives from its standard input alone
        assert (site.work / "stdin").read_text().startswith("#!/bin/bash\n#BSUB -J logs/1\n")
    else:
        before = "-S|" if label == "OAR" else ""
        assert site.calls == [f"{before}{logs}/{number}/script.sh|" for number in range(1, 9)]
    assert json.loads((logs / "1" / "metadata" / "submitted.json").read_text())["id"].startswith("7")


def test_what_bash_would_do_is_what_is_submitted(site: Site) -> None:
    """Loops, variables, functions, pipes and conditions; each line with what stands before its own command."""
    site.stand_in("sbatch", "Submitted batch job 7")
    site.script(
        ["#SBATCH --time=6:00:00"],
        """\
export TOKENIZERS=off
RATE=0.5
for seed in 1 2; do
  CUDA_VISIBLE_DEVICES=0 python main.py seed=$seed rate=$RATE 'note=a b; $(touch bad)' > out.$seed
done
echo between
time python main.py lr=0.1,0.2 | tee "log $RATE"
train() { srun python main.py "$@"; }
train x=1
if [ -e nowhere ]; then python main.py never=1; fi
touch late
""",
    )
    done = site.submit()
    assert done.returncode == 0, done.stderr
    commands = [
        next(line for line in site.of(number) if "main.py " in line and "()" not in line) for number in range(1, 6)
    ]
    python = f"{site.bin}/python main.py"
    assert commands == [
        f"CUDA_VISIBLE_DEVICES=0 {python} seed=1 rate=0.5 'note=a b; $(touch bad)' > out.$seed",
        f"CUDA_VISIBLE_DEVICES=0 {python} seed=2 rate=0.5 'note=a b; $(touch bad)' > out.$seed",
        f'time {python} lr=0.1 | tee "log $RATE"',
        f'time {python} lr=0.2 | tee "log $RATE"',
        f"srun {python} x=1",
    ]
    first = site.of(1)
    assert not any(line.startswith(("for ", "done", "train x", "if ")) for line in first)
    assert first.index("RATE=0.5") < first.index(commands[0]) < first.index("echo between")
    assert not (site.work / "bad").exists()
    assert not (site.work / "log 0.5").exists(), "what a job is piped to was run at once"
    # The script of a job runs that job, and nothing else of the others.
    subprocess.run([site.work / "logs" / "2" / "script.sh"], env=site.env, check=True, timeout=30)
    assert (site.work / "ran").read_text() == "['seed=2', 'rate=0.5', 'note=a b; $(touch bad)']\n"
    assert (site.work / "out.2").exists()


def test_a_refused_job_is_a_failure_that_says_which_and_why(site: Site) -> None:
    site.stand_in("sbatch", "Submitted batch job 7", "(( $(wc -l < calls) < 3 )) || { echo QOSMaxSubmit >&2; exit 1; }")
    site.script(["#SBATCH --time=6:00:00"])
    done = site.submit()
    assert done.returncode == 1
    assert "script.sh:5: sbatch did not take job 3 of 8 (exit code 1): QOSMaxSubmit" in done.stderr
    assert "exs submit --from 3 script.sh" in done.stderr
    assert sorted(path.name for path in site.work.glob("logs/[0-9]*")) == ["1", "2"]
    site.stand_in("sbatch", "Submitted batch job 8")
    assert site.submit("--from", "3").returncode == 0
    assert site.of(4)[-1].endswith("optimizer.lr=1. seed=1"), "the third job of the script comes next"
    assert not (site.work / "logs" / "3").exists(), "the number of the refused one is not given again"
    assert len(list(site.work.glob("logs/[0-9]*"))) == 8


def test_a_job_that_starts_at_once_keeps_the_state_it_wrote_and_submits_nothing(site: Site) -> None:
    """mlxpsub wrote STARTING over it, and a job that inherited its environment submitted itself, for ever."""
    program = (
        "import sys, pathlib\nimport mlxp  # noqa\n"
        "d = {k.lstrip('+'): v for k, v in (a.split('=', 1) for a in sys.argv[1:])}\n"
        "p = pathlib.Path(d['mlxp.logger.parent_log_dir'], d['mlxp.logger.forced_log_id'], 'metadata/info.yaml')\n"
        "assert p.read_text().startswith('status: STARTING'), p.read_text()\np.write_text('status: COMPLETE')\n"
    )
    (site.work / "main.py").write_text(program)
    (site.work / "mlxp.py").write_text("")
    site.stand_in("sbatch", "Submitted batch job 7", '"$1" 2>> errors')
    site.script(["#SBATCH --time=6:00:00"], "python main.py lr=1,2 +mlxp.logger.log_streams_to_file=True\n")
    done = site.submit()
    assert done.returncode == 0, done.stderr
    assert (site.work / "errors").read_text() == ""
    states = [path.read_text() for path in (site.work / "logs").glob("*/metadata/info.yaml")]
    assert states == ["status: COMPLETE"] * 2
    assert len(site.calls) == 2
    assert site.of(1)[-1] == (
        f"{site.bin}/python main.py lr=1 +mlxp.logger.log_streams_to_file=True +mlxp.logger.forced_log_id=1 "
        f"+mlxp.logger.parent_log_dir={site.work}/logs +mlxp.use_scheduler=False +mlxp.use_version_manager=False "
        "+mlxp.interactive_mode=False"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("python main.py\n", "script.sh has no directive of a batch scheduler."),
        ("#OAR -l core=1\n#SBATCH -n 1\npython main.py\n", "directives of OAR (line 1) and of SLURM (line 2)"),
        ("#SBATCH -n 1\necho hello\n", "has no command that could be a job"),
        ("#SBATCH -n 1\nfor i in 1 2; do\n", "script.sh:2: bash cannot read what begins here."),
        ("#SBATCH -n 1\npython main.py lr=1,2 && python main.py a=1\n", "script.sh:2: two jobs are joined by &&"),
        ("#SBATCH -n 1\nset -e\nfalse\npython main.py\n", "script.sh:3: the script ended here with exit code 1"),
        ("#SBATCH -n 1\n\npython main.py lr=1 lr=2\n", "script.sh:3: the parameter 'lr' is given twice."),
        ("#!/usr/bin/env python\n#SBATCH -n 1\n", "script.sh:1: #!/usr/bin/env python is no shell."),
    ],
)
def test_a_script_of_no_use_is_refused_and_nothing_is_submitted(site: Site, text: str, said: str) -> None:
    site.stand_in("sbatch", "Submitted batch job 7")
    site.stand_in("oarsub", "OAR_JOB_ID=7")
    (site.work / "script.sh").write_text(text)
    done = site.submit()
    assert done.returncode == 2
    assert said in done.stderr
    assert not site.calls
    assert not (site.work / "logs").exists()


def test_one_that_is_killed_while_it_reads_runs_no_job_on_the_spot(site: Site) -> None:
    """Its shell knows of no answer then whether a command is a job. One kill in five made it run one."""
    site.script(["#SBATCH -t 1"], "touch begun\nwhile :; do python main.py a=1; done\n")
    begun = site.work / "begun"
    for _ in range(12):
        begun.unlink(missing_ok=True)
        words = [sys.executable, "-m", "exs", "submit", "--dry-run", "script.sh"]
        told, tells = os.pipe()  # open as long as the shell lives, too
        submit = subprocess.Popen(words, cwd=site.work, env=site.env, stdout=tells, stderr=tells)
        os.close(tells)
        wait_for(begun.exists, "the script is read", 60)
        submit.kill()
        submit.wait()
        with os.fdopen(told, "rb") as output:
            output.read()
    assert not (site.work / "ran").exists()


@pytest.mark.parametrize(
    "line",
    [
        "trap 'python main.py final=1' EXIT",
        "end() { python main.py final=1; }; trap end 0",
        "builtin trap 'python main.py final=1' EXIT",
        "trap 'python main.py final=1' ERR; false",
        """trap 'echo "+ $BASH_COMMAND" >&2' DEBUG""",
        "trap - DEBUG",
        "command trap - DEBUG",
        "T=trap; $T - DEBUG",
        "shopt -u extdebug",
        "set +T",
    ],
)
def test_a_trap_of_the_script_runs_no_job_on_the_spot_and_hides_none(site: Site, line: str) -> None:
    site.script(["#SBATCH -t 1"], f"{line}\nrun() {{ python main.py b=2; }}\npython main.py a=1\nrun\n")
    done = site.submit("--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("#SBATCH --job-name=logs/N") == 2, done.stdout
    assert line in done.stdout, "the jobs have it as it is written"
    assert not (site.work / "ran").exists()


@pytest.mark.parametrize("before", ["exec", "nohup", "env A=1", "command", "timeout 5h"])
def test_a_launcher_behind_what_runs_it_is_a_job(site: Site, before: str) -> None:
    site.stand_in("srun", "", "touch ran")
    site.script(["#SBATCH -t 1"], f"{before} srun work.sh\n")
    done = site.submit("--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"{before} srun work.sh" in done.stdout
    assert not (site.work / "ran").exists()


def test_a_trap_at_the_exit_runs_no_job_when_the_reader_is_killed(site: Site) -> None:
    site.script(["#SBATCH -t 1"], "trap 'python main.py z=1' EXIT\ntouch begun\nwhile :; do python main.py a=1; done\n")
    told, tells = os.pipe()
    words = [sys.executable, "-m", "exs", "submit", "--dry-run", "script.sh"]
    submit = subprocess.Popen(words, cwd=site.work, env=site.env, stdout=tells, stderr=tells)
    os.close(tells)
    wait_for((site.work / "begun").exists, "the script is read", 60)
    submit.kill()
    submit.wait()
    with os.fdopen(told, "rb") as output:
        output.read()  # to the end of the shell
    assert not (site.work / "ran").exists()


def test_without_the_submit_command_the_scripts_can_still_be_seen(site: Site) -> None:
    site.script(["#MSUB -l nodes=1"])
    done = site.submit()
    assert (done.returncode, "msub, which submits to MWM/Moab, is not on PATH" in done.stderr) == (2, True)
    shown = site.submit("--dry-run").stdout
    assert shown.count("#MSUB -N logs/N") == 8
    assert not (site.work / "logs").exists()


@pytest.fixture(scope="module")
def real_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Slurm]:
    if why := slurm.missing():
        pytest.skip(why)
    root = tmp_path_factory.mktemp("slurm")
    for path in (root, *root.parents[:2]):
        path.chmod(0o755)  # its daemons want a way that nobody else can write to
    made = slurm.Slurm(root)
    try:
        yield made.start()
    finally:
        made.stop()


def test_real_slurm_runs_the_eight_jobs_of_the_document_each_once(site: Site, real_slurm: slurm.Slurm) -> None:
    site.env = real_slurm.env | site.env
    site.env["PATH"] = f"{site.bin}:{real_slurm.env['PATH']}"
    (site.work / "main.py").write_text("import os, sys\nprint(os.environ['SLURM_JOB_ID'], *sys.argv[1:])\n")
    site.script(["#SBATCH --ntasks=1", "#SBATCH --time=0:05:00"])
    done = site.submit()
    assert done.returncode == 0, done.stderr
    real_slurm.wait_for_jobs()
    told = [(site.work / "logs" / str(number) / "log.stdout").read_text().split(maxsplit=1) for number in range(1, 9)]
    ids = [
        json.loads((site.work / f"logs/{number}/metadata/submitted.json").read_text())["id"] for number in range(1, 9)
    ]
    assert [each[0] for each in told] == ids
    assert [each[1].strip() for each in told] == [
        *("optimizer.lr=10. seed=1", "optimizer.lr=10. seed=2", "optimizer.lr=1. seed=1", "optimizer.lr=1. seed=2"),
        *("model.num_units=100 seed=1", "model.num_units=100 seed=2"),
        *("model.num_units=200 seed=1", "model.num_units=200 seed=2"),
    ]
    states = [line for line in real_slurm.say("scontrol", "show", "job", "-o").splitlines() if "JobName=logs/" in line]
    assert len(states) == 8 and all("JobState=COMPLETED" in line and "Restarts=0" in line for line in states)
