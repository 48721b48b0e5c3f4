"""Files of run directories from other machines: listed by `exs show`, brought by `exs fetch`; logs of each attempt."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from exs.model import JobState
from exs.store import keys
from harness.fleet import Fleet
from slotprocess import wait_until

S = JobState

#: Writes a tree of files that is told apart by `n`, with what must not come along.
TREE = """
import hashlib, os, sys
n, size = int(sys.argv[1]), int(sys.argv[2])
os.chdir(sys.argv[3])
os.makedirs("checkpoints/a/deep")
os.makedirs("empty")
open("model.bin", "wb").write(b"".join(hashlib.sha256(b"%d %d" % (n, i)).digest() for i in range(size // 32)))
open("checkpoints/a/deep/odd name\\n.txt", "w").write("odd %d" % n)
open("none", "w").close()
os.symlink("/etc/passwd", "link")
os.symlink("/etc", "checkpoints/etc")
os.mkfifo("pipe")
print("made", n)
with open(os.environ["EXS_REPORT"], "w") as report:
    report.write('{"made": %d}' % n)
"""


def push(fleet: Fleet, jobs: int = 2, size: int = 3_000_000, **more: object) -> list[str]:
    (fleet.home / "tree.py").write_text(TREE)
    command = f"python3 {fleet.home}/tree.py {{n}} {size} {{_output}}"
    sweep = {"name": "tree", "command": command, "params": {"n": list(range(jobs))}, **more}
    (fleet.home / "tree.yaml").write_text(json.dumps(sweep))
    fleet.exs("push", "tree.yaml")
    return [row.id for row in fleet.rows("tree")]


def contents(root: Path) -> dict[str, bytes]:
    """Plain files below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def made(directory: str) -> dict[str, bytes]:
    """What a run directory holds that may be had."""
    found = contents(Path(directory))
    return {
        path: data
        for path, data in found.items()
        if path not in ("link",) and not path.startswith((".exs-control", "checkpoints/etc"))
    }


def test_directories_of_two_nodes_come_whole(fleet: Fleet) -> None:
    fleet.node("a"), fleet.node("b")
    push(fleet, jobs=6)
    rows = fleet.wait_all("tree")
    assert {row.node for row in rows} == {"a", "b"}
    found = json.loads(fleet.exs("fetch", "tree", "here", "--json"))["fetched"]
    here = fleet.home / "here"
    assert sorted(path.name for path in here.iterdir()) == [f"N_{i}" for i in range(6)]
    for row, one in zip(rows, found, strict=True):
        assert contents(here / row.name) == made(row.directory)
        assert {"link", "checkpoints/etc", "pipe"} == set(one["left_out"])
        assert one["complete"] and one["bytes"] == sum(map(len, made(row.directory).values()))
    assert not any(path.is_symlink() for path in here.rglob("*"))
    results = json.loads(fleet.exs("results", "here", "--json"))["rows"]
    assert [row["made"] for row in results] == [row["n"] for row in results] == list(range(6)), "results came with them"
    assert all(one["bytes_now"] == 0 for one in json.loads(fleet.exs("fetch", "tree", "here", "--json"))["fetched"])
    fleet.check()


def test_a_fetch_that_was_killed_goes_on_and_nothing_appears_before_it_is_whole(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = push(fleet, jobs=1, size=16_000_000)
    row = fleet.wait_state(job, S.DONE)
    slow = {"EXS_LOG_CHUNK": "20000"}
    process = fleet.command("fetch", "tree", "here", **slow)
    part = fleet.home / "here" / ".exs-fetch" / job / "part"
    wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000, "some of the file", 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    begun = part.stat().st_size
    assert 0 < begun < 16_000_000 and not (fleet.home / "here" / row.name).exists()
    (found,) = json.loads(fleet.exs("fetch", "tree", "here", "--json"))["fetched"]
    assert found["bytes_now"] <= found["bytes"] - begun
    assert contents(fleet.home / "here" / row.name) == made(row.directory)
    assert not (fleet.home / "here" / ".exs-fetch").exists()


def test_what_was_broken_on_the_way_is_noticed(fleet: Fleet) -> None:
    """The part that lies there is not what the node has: it is begun anew."""
    fleet.node("a")
    (job,) = push(fleet, jobs=1, size=64_000)
    row = fleet.wait_state(job, S.DONE)
    first = min(path for path in made(row.directory))  # fetched first: another file's part would be thrown away
    facts = (Path(row.directory) / first).stat()
    stage = fleet.home / "here" / ".exs-fetch" / job
    stage.mkdir(parents=True)
    (stage / "part").write_bytes(b"?")
    (stage / "part.json").write_text(json.dumps([first, facts.st_size, facts.st_mtime_ns]))
    fleet.exs("fetch", job, "here")
    assert contents(fleet.home / "here" / row.name) == made(row.directory)


def test_what_is_too_large_is_named_with_the_way_to_copy_it(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = push(fleet, jobs=1)
    row = fleet.wait_state(job, S.DONE)
    text = fleet.exs("fetch", "tree/0", "here", "--max-size", "1MiB")
    assert "too large: model.bin  2.86 MiB" in text
    assert f"rsync -a --partial a:{row.directory}/ here/N_0/" in text
    assert "model.bin" not in contents(fleet.home / "here" / "N_0")
    assert "not a size" in fleet.exs("fetch", "tree", "here", "--max-size", "much", code=2)
    fleet.exs("fetch", "tree/0", "here")
    assert contents(fleet.home / "here" / "N_0") == made(row.directory), "and the rest comes when it may"


def test_a_job_that_runs_and_one_fetched_again(fleet: Fleet) -> None:
    """What changed comes, the rest is not asked for; a file of the user's in it is left alone."""
    go = fleet.root / "go"
    fleet.node("a")
    (job,) = fleet.push("print", "first", "until", go, "print", "second")
    fleet.wait_running(job)
    row = fleet.wait(lambda: (row := fleet.row(job)).log and row, "where its log is")
    fleet.wait(lambda: fleet.exs_bytes("logs", job) == b"first\n", "its first line")
    fleet.exs("fetch", "work", "here")
    log = fleet.home / "here" / row.name / Path(row.log).name
    assert log.read_bytes() == b"first\n"
    (log.parent / "mine").write_text("notes")
    go.touch()
    fleet.wait_state(job, S.DONE)
    fleet.exs("fetch", "work", "here")
    assert log.read_bytes() == b"first\nsecond\n" and (log.parent / "mine").read_text() == "notes"


def test_a_node_that_is_gone_and_jobs_that_have_nothing(fleet: Fleet) -> None:
    b = fleet.node("b")
    jobs = push(fleet, jobs=1)
    fleet.wait_all("tree")
    b.power_off()
    fleet.node("a")
    push(fleet, jobs=2)
    fleet.wait_all("tree")
    out, said = fleet.both("fetch", "tree", "here", code=1)
    assert b"N_1" in out and "b, which has the files of tree/0, does not answer" in said
    assert [path.name for path in (fleet.home / "here").iterdir()] == ["N_1"]
    assert "does not answer" in fleet.exs("fetch", jobs[0], "here", code=2)
    fleet.node("c", start=False)
    fleet.push(name="later", max_running=1, jobs=1)
    assert "only b can list them" in fleet.exs("show", jobs[0])


def test_a_directory_of_another_job_and_a_link_in_the_way_are_left_alone(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = push(fleet, jobs=1, size=3200)
    row = fleet.wait_state(job, S.DONE)
    here, outside = fleet.home / "here", fleet.root / "outside"
    (here / "N_0").mkdir(parents=True)
    (here / "N_0" / "param.json").write_text('{"_job": "another"}')
    fleet.exs("fetch", "tree", "here")
    assert contents(here / "N_0") == {"param.json": b'{"_job": "another"}'}
    assert contents(here / f"N_0-{job}") == made(row.directory)
    second = fleet.home / "second"
    outside.mkdir()
    (second / "N_0").mkdir(parents=True)
    (second / "N_0" / "param.json").write_text(json.dumps({"_job": job}))
    (second / "N_0" / "checkpoints").symlink_to(outside)
    assert "in the way" in fleet.exs("fetch", "tree", "second", code=4)
    assert list(outside.iterdir()) == []


def test_a_node_that_sends_paths_which_lead_out_is_refused(fleet: Fleet) -> None:
    """Whoever answers in the name of a node."""
    fleet.node("a", start=False)
    (job,) = fleet.push("print", "mine")
    client = fleet.server.client()
    client.hset(keys.RQ_JOB + job, mapping={"nd": "a", "dr": "/work/x"})
    for path in ("../../out", "/etc/out", "a/../../out", "", "a//b"):
        process = fleet.command("fetch", job, "here")
        asked = client.blpop([keys.ASK + "a"], timeout=10)
        assert asked is not None
        body = json.dumps({"directory": "/work/x", "files": [[path, 1, 1]], "left_out": {}, "more": False})
        head = json.dumps({"offset": 0, "size": 1, "what": "list"})
        client.rpush(keys.ANSWER + json.loads(asked[1])["id"], head.encode() + b"\0" + body.encode())
        _, said = process.communicate(timeout=30)
        assert process.returncode == 4 and b"no file inside a run directory" in said, said
    assert not list(fleet.root.rglob("out"))


@pytest.mark.parametrize(
    "path", ["../secret", "link", "checkpoints/etc/passwd", "pipe", "/etc/passwd", "", "a\0b", "."]
)
def test_an_agent_sends_nothing_from_outside(fleet: Fleet, path: str) -> None:
    node = fleet.node("a")
    (job,) = push(fleet, jobs=1, size=3200)
    row = fleet.wait_state(job, S.DONE)
    Path(row.directory).with_name("secret").write_text("SECRET")
    client = fleet.server.client()
    for what in ("file", "sum"):
        body = {"id": "answer", "job": job, "what": what, "path": path, "offset": 0, "limit": 100}
        client.rpush(keys.ASK + "a", json.dumps(body))
        reply = client.blpop([keys.ANSWER + "answer"], timeout=10)
        assert reply is not None, node.text()
        head, _, data = reply[1].partition("\0")
        assert json.loads(head)["problem"] and data == "", reply
    assert "Traceback" not in node.text()


def test_jobs_that_share_a_directory_have_each_their_own_files(fleet: Fleet) -> None:
    fleet.node("a")
    jobs = fleet.push("print", "mine", jobs=2, name="shared", job_dirs=False)
    rows = fleet.wait_all("shared")
    fleet.exs("fetch", "shared", "here")
    for row in rows:
        found = contents(fleet.home / "here" / row.name)
        assert found and all(path.endswith(f".{row.name}") for path in found)
        assert found[Path(row.log).name] == b"mine\n"
    assert len(jobs) == 2


def test_show_lists_the_files_of_another_node(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = push(fleet, jobs=1)
    row = fleet.wait_state(job, S.DONE)
    files = fleet.json("show", job)["files"]
    assert {file["path"]: file["size"] for file in files} == {
        path: len(data) for path, data in made(row.directory).items()
    }
    page = fleet.exs("show", job)
    assert "2.86 MiB  model.bin" in page and "odd name\\n.txt" in page


def test_the_log_of_each_attempt_and_command(fleet: Fleet) -> None:
    """Two commands; the second fails on one node, and runs well on the other. Neither is this machine."""
    fleet.node("a"), fleet.node("b")
    once = f"[ -e {fleet.root}/failed ] || {{ touch {fleet.root}/failed; exit 3; }}"
    sweep = {
        "name": "twice",
        "commands": {"train": "echo train $EXS_ATTEMPT", "test": f"echo test $EXS_ATTEMPT; {once}"},
        "params": {"n": [0]},
        "on_failure": {"error": "requeue"},
    }
    (fleet.home / "twice.yaml").write_text(json.dumps(sweep))
    fleet.exs("push", "twice.yaml")
    (row,) = fleet.wait_all("twice")
    logs = {
        (command, attempt): fleet.exs("logs", "twice/0", "--command", command, "--attempt", str(attempt))
        for command in ("train", "test")
        for attempt in (1, 2)
    }
    first, second = (logs["test", attempt].split()[1] for attempt in (1, 2))
    assert first != second
    assert logs["test", 1] == f"test {first}\n" and fleet.exs("logs", "twice/0", "--attempt", "1") == f"test {first}\n"
    assert fleet.exs("logs", "twice/0") == f"test {second}\n"
    assert logs["train", 1] == f"train {first}\n" and logs["train", 2] == f"train {second}\n"
    assert fleet.exs("logs", "twice/0", "-f", "--attempt", "1", "-c", "train") == f"train {first}\n"
    document = fleet.json("logs", "twice/0", "--attempt", "1")
    assert document["text"] == f"test {first}\n" and document["attempt"] == 1
    assert "has no attempt 3" in fleet.exs("logs", "twice/0", "--attempt", "3", code=2)
    assert {row.node, fleet.row(row.id).history[0].node} == {"a", "b"}
