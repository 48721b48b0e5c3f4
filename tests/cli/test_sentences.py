"""What commands say to what cannot be: one sentence, its exit code, the same words for the same fact in every verb."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import redis

from cli.lab import Exs, Lab
from cli.test_bad_input import sentence
from exs.model import Failure, JobState
from exs.settings import Settings
from exs.store.store import open_store


@pytest.fixture(scope="module")
def lived_in(queue_url: str, tmp_path_factory: pytest.TempPathFactory) -> Exs:
    """alpha with a job that is DONE, one CRASHED, one CANCELED and one PAUSED; hand of exs add; a directory, a file.

    What is asked of it here changes nothing, so that all ask the same one.
    """
    redis.Redis.from_url(queue_url).flushall()
    exs = Exs(queue_url, tmp_path_factory.mktemp("person"))
    lab = Lab(open_store(queue_url, Settings()), exs.cwd)
    lab.push("alpha", jobs=4)
    lab.end(lab.claim())
    lab.end(lab.claim(), JobState.CRASHED, failure=Failure.ERROR, exit_code=1)
    exs("cancel", "alpha/2")
    exs("pause", "alpha/3")
    exs("add", "hand", "manual")
    exs("push", "hand", "-p", "x", "1")
    (exs.cwd / "adir").mkdir()
    (exs.cwd / "s.yaml").write_text("command: echo\n")
    return exs


#: Command -> what is said.
REFUSED: dict[tuple[str, ...], str] = {
    # ------------------------------------------------ click, in our words
    ("job", "lsit"): r"There is no command 'lsit'\. Did you mean one of 'list', 'ls'\?$",
    ("pool", "foo"): r"There is no command 'foo'\.$",
    ("workers", "foo"): r"There are words too many: foo\.$",
    ("logs", "alpha", "-n", "x"): r"'x' is no whole number\.$",
    ("list", "--watch", "-1"): r"-1\.0 is not in the range x>=0\.1\.$",
    ("pull", "hand", "--wait", "x", "--", "true"): r"'x' is no number\.$",
    ("add", "X"): r"Missing argument '\{manual\|random\}'\. There are: manual, random\.$",
    # ------------------------------------------------ names of nothing
    **{
        (verb, "alpa"): r"no experiment or job 'alpa'\. Did you mean alpha\?$"
        for verb in (
            "list",
            "show",
            "logs",
            "plot",
            "cancel",
            "kill",
            "pause",
            "activate",
            "retry",
            "rm",
            "wait",
            "why",
            "cmd",
            "diff",
        )
    },
    ("show", "alpha/x"): r"'alpha/x' names no job of alpha\.\n     Write alpha/17, or alpha/20-25",
    ("cancel", "alpha/3-1"): r"alpha/3-1: 3 is behind 1\.\n     Write alpha/1-3\.",
    ("retry", "alpha/9"): r"experiment alpha has no job 9\.\n     exs list -t alpha shows them\.",
    ("update", "alpa", "-p", "3"): r"alpa\.priority=3: no experiment or job 'alpa'\. Did you mean alpha\?$",
    ("queue", "-p", "a100"): r"no pool 'a100': .*\n     exs pool list shows them\.",
    ("pool", "show", "pull:hand"): r"no pool 'pull:hand': ",
    ("results", "alpha/9"): r"experiment alpha has no job 9\.\n     exs list -t alpha shows them\.",
    ("list", "-t", "adir"): r"no experiment 'adir'; adir is a directory\.\n     exs results adir",
    ("list", "-t", "s.yaml"): r"s\.yaml holds no experiment\.",
    # ------------------------------------------------ jobs that are not there
    **{(verb, "alpha", "--status", "running"): r"no job of alpha has status running\.$" for verb in ("show", "logs")},
    ("edit", "alpha", "--status", "running", "-p", "lr=3"): r"no job of alpha has status running\.$",
    ("plot", "alpha", "--status", "oom,running"): r"no job of alpha has status running or oom\.$",
    ("fetch", "alpha", "there", "--status", "running"): r"no job of alpha has status running\.$",
    ("fetch", "alpha"): r"There is no DIR behind 'alpha'",
    ("fetch", "alpha", "/proc/there"): r"cannot write to /proc/there: ",
    ("logs", "alpha/2"): r"alpha/2 has not printed anything: it never started \(canceled\)\.",
    ("logs", "alpha/3"): r"alpha/3 has not printed anything: it never started \(paused\)\.",
    # ------------------------------------------------ what does not go together
    ("logs", "alpha/0", "--raw", "--json"): r"--raw writes the bytes of the job, --json a document: give one of them\.",
    ("update", "alpha", "--behind-of", "hand"): r"hand is a pull experiment, which stands in the queue of no pool\.",
    ("worker", "--cpus", "1", "--per-gpu", "2"): r"--per-gpu divides the GPUs of --gpus, and --cpus has none\.$",
    ("worker", "--cpus", "1", "--node", ""): r"--node: '' cannot name a machine\.$",
    ("worker", "--cpus", "1", "--only", "a b"): r"--only: 'a b' cannot name an experiment\.$",
    ("worker", "--cpus", "1", "--allow-module", "a b"): r"--allow-module 'a b' is no module of Python\.$",
    ("worker", "stop", "--timeout", "-1"): r"-1\.0 is not in the range x>=0\.$",
    ("run", "-d", "--json", "s.yaml"): r"--json is the table of results, and -d and --test end without one\.$",
    ("submit", "nowhere.sh"): r"nowhere\.sh: no such file\.$",
    ("list", "nowhere.jsonl"): r"nowhere\.jsonl: no such file\.$",
    ("pull", "hand", "-o", "s.yaml", "--", "true"): r"-o s\.yaml is not a directory\.$",
    ("node", "install", "--root", ""): r"--root names no directory\.$",
    ("experiment", "create", "s.yaml", "--config", "foo"): r"--config 'foo': is not of the form key=value\.",
    ("server", "start", "--listen", "nowhere.invalid"): r"--listen nowhere\.invalid:6379: no such host: [^(]*\.$",
    ("add", "list", "manual"): r"'list' is a command of exs .*\n     Choose another name\.",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_is_one_sentence(lived_in: Exs, words: tuple[str, ...]) -> None:
    assert re.search(REFUSED[words], sentence(lived_in, *words), re.MULTILINE)


def test_a_name_that_is_taken_is_refused_for_safety(lived_in: Exs) -> None:
    assert sentence(lived_in, "add", "hand", "manual", code=4) == (
        "exs: experiment hand exists already.\n     Choose another name, or: exs rm hand\n"
    )


#: Command -> its output.
SAID: dict[tuple[str, ...], str] = {
    ("retry", "alpha", "--status", "done"): (
        "queued 0 jobs again, left 1 crashed, 1 canceled, 1 paused, 1 done (--force runs them again)\n"
    ),
    ("retry", "alpha", "--status", "lost"): (
        "queued 0 jobs again, left 1 done, 1 crashed, 1 canceled, 1 paused (--force runs them again)\n"
    ),
    ("show", "alpha", "--status", "running", "-q"): "",
    ("rm", "alpha", "--status", "running"): "removed 0 jobs\n",
    ("pool", "list", "-q"): "default\n",
}


@pytest.mark.parametrize("words", SAID, ids=" ".join)
def test_what_is_said(lived_in: Exs, words: tuple[str, ...]) -> None:
    assert lived_in(*words) == SAID[words]


def test_paused_jobs_are_not_counted_as_waiting(lived_in: Exs) -> None:
    head, columns, *rows = lived_in("list").splitlines()
    assert head == "2 experiments, 0 running, 1 waiting, 1 paused"
    assert columns.split()[:6] == ["name", "done", "run", "wait", "paused", "fail"]
    assert [row.split()[1:6] for row in rows if row.startswith("alpha")] == [["1", "0", "0", "1", "1"]]


def test_groups_and_runs_are_counted_in_words(lived_in: Exs) -> None:
    assert lived_in("results", "alpha", "--agg", "count").startswith("alpha  |  4 runs  |  1 group\n")
    assert lived_in("results", "alpha", "-q", "lr > 0.09").startswith("alpha  |  1 of 4 runs\n")


def test_a_file_of_export_is_read_by_any_name(lived_in: Exs) -> None:
    lived_in("export", "alpha", "night")
    assert lived_in("list", "night", "-q") == lived_in("list", "alpha", "-q") != ""
    assert lived_in.json("results", "night") == lived_in.json("results", "alpha") != []


def test_what_comes_next_is_what_can_be_done(lived_in: Exs) -> None:
    assert lived_in("show", "hand").endswith("next: exs list -t hand · exs pull hand -- COMMAND %h\n")
    lived_in("pause", "hand")
    assert lived_in("show", "hand").endswith("next: exs list -t hand · exs activate hand\n")
    lived_in("activate", "hand")


@pytest.fixture
def blind(lived_in: Exs) -> Iterator[Exs]:
    """A person whom the kernel keeps from what they may not read, root or not; a file and a directory of that kind."""
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    lived_in("export", "alpha", "closed.jsonl")
    places = [lived_in.cwd / "closed.jsonl", lived_in.cwd / "closed"]
    places[1].mkdir()
    for place in places:
        place.chmod(0)
    yield lived_in
    for place in places:
        place.chmod(0o700)
    places[0].unlink()
    places[1].rmdir()


def test_what_may_not_be_read_is_called_so(blind: Exs) -> None:
    less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for words in (
        ("list", "closed.jsonl"),
        ("results", "closed.jsonl"),
        ("results", "./closed"),
        ("plot", "closed.jsonl"),
        ("worker", "--cpus", "1", "--workdir", "closed"),
    ):
        process = subprocess.run(
            [*less, *blind.words(*words)], cwd=blind.cwd, env=blind.env, capture_output=True, text=True, timeout=60
        )
        assert process.returncode == 2 and process.stderr.endswith(": Permission denied.\n"), process.stderr


def test_keys_that_no_run_has_are_said_and_others_not(lived_in: Exs) -> None:
    assert lived_in.both("results", "alpha", "--top", "1")[1] == ""
    assert lived_in.both("results", "alpha", "--columns", "lr,nope")[1] == "no run has nope.\n"
    assert sentence(lived_in, "results", "alpha", "--group-by", "lr", "--best", "nope").startswith(
        "exs: no run has 'nope', by which the best is chosen."
    )
