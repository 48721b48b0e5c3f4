"""Bad input, each with one sentence, an exit code, and nothing pushed."""

from __future__ import annotations

import re
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from cli.lab import Exs, Lab
from exs.settings import Timing
from harness.redis_server import RedisServer
from unit.test_yamlfile import HOSTILE

RUNNER = "template: {{{template}}}\nresource: {resource}\n---\nx: [1, 2]\n"


def runner(template: str = "run: 'echo {x}'", resource: str = "[0]", more: str = "") -> str:
    return RUNNER.format(template=template, resource=resource) + more


@pytest.fixture
def unchanged(exs: Exs, lab: Lab, queue_url: str) -> Iterator[None]:
    """Redis holds an experiment, and holds the same keys with the same contents afterwards."""
    lab.push("before", jobs=2)
    client = redis.Redis.from_url(queue_url)

    def contents() -> dict[bytes, bytes | None]:
        return {key: client.dump(key) for key in client.scan_iter()}

    before = contents()
    yield
    assert contents() == before


def frugal() -> None:
    """Of this process: two seconds of a core, and 200 MB."""
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
    resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, 200 << 20))


def sentence(exs: Exs, *words: str, code: int = 2, **more: Any) -> str:
    """The message and the hint of a refused command: one line each, and nothing else."""
    out, err = exs.both(*words, code=code, **more)
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("exs: ") and lines[0].endswith((".", "?"))
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("     ")), err
    assert all(line.isprintable() for line in lines) and len(err) < 600
    return err


#: What is wrong -> the file, options, what the sentence says.
FILES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "syntax": ("name: a\ncommand: [b\nc: d", (), r"s\.yaml:3: not valid YAML"),
    "empty file": ("", (), r"s\.yaml: is empty"),
    "no mapping": ("- a\n- b", (), r"s\.yaml:1: must hold a mapping"),
    "no command": ("params: {lr: [1]}", (), r"s\.yaml: has no command"),
    "empty command": ("name: a\ncommand: ''", (), r"s\.yaml:2: the command is empty"),
    "empty template": (runner(template=""), (), r"s\.yaml:1: 'template' has no command"),
    "template without value": ("template:\nresource: [0]\n---\nx: [1]\n", (), r"s\.yaml:1: 'template' has no command"),
    "empty command in a template": (runner(template="run: ''"), (), r"s\.yaml:1: the command is empty"),
    "empty resource": (runner(resource="[]"), (), r"s\.yaml:2: 'resource' must be a list of at least one"),
    "placeholder": ("params: {x: [1]}\ncommand: echo {x} {lr}", (), r"s\.yaml:2: placeholder \{lr\}"),
    "placeholder of runner": (runner(template="run: 'echo {lr}'"), (), r"s\.yaml:1: placeholder \{lr\}"),
    "unknown key": ("command: echo\nrepaet: 3", (), r"s\.yaml:2: unknown key 'repaet'\.\n +Did you mean 'repeat'\?"),
    "unknown key of runner": (
        "template: {run: 'echo {x}'}\ndefualt: {x: 1}\n---\nx: [1]",
        (),
        r"s\.yaml:2: unknown key 'defualt'\.\n +Did you mean 'default'\?",
    ),
    "unknown key of a task": ("tasks:\n- cmd: echo\n  nmae: x", (), r"s\.yaml:3: unknown key 'nmae'\.\n +Did you mean"),
    "unknown title": (runner(more="_title: night\n"), ("-t", "nigth"), r"no document has the title 'nigth'.\n.*night"),
    "title without titles": ("command: echo", ("-t", "night"), r"-t 'night': this sweep has no titles"),
    "unknown command": ("commands: {train: a, test: b}", ("-c", "tset"), r"command 'tset'\.\n.*train, test"),
    "unknown command of runner": (runner(), ("-c", "test"), r"-c: there is no command 'test'\.\n.*run"),
    "alias value": (
        "template: {run: 'echo [a]'}\nalias: {a: {one: {x: 1}, two: {x: 2}}}\n---\na: [three]\n",
        (),
        r"s\.yaml:4: 'a' has no value 'three'\.\n.*one, two",
    ),
    "large grid": (
        "command: echo {a} {b}\nparams:\n  a: {range: [0, 40000]}\n  b: {range: [0, 50000]}",
        (),
        r"s\.yaml: has 2,000,000,000 jobs, more than the limit of 1,000,000",
    ),
    "distribution without samples": (
        "command: echo {x}\nparams:\n  x: {log_uniform: [1.0e-6, 0.1]}",
        (),
        r"s\.yaml:3: 'x' is drawn at random, but nothing says how often\.\n.*--sample",
    ),
    "duplicate key": (
        "command: a\nname: b\ncommand: c",
        (),
        r"s\.yaml:3: the key 'command' stands twice, first in line 1",
    ),
    "bad name": ("command: a\nname: a b", (), r"s\.yaml:2: 'a b' cannot name an experiment"),
    "name that leaves": ("command: a\nname: ../a", (), r"s\.yaml:2: '\.\./a' cannot name an experiment"),
    "name of a verb": ("command: a\nname: push", (), r"s\.yaml:2: 'push' is a command of exs"),
    "name of an id": ("command: a", ("--name", "0123abcd"), r"--name: '0123abcd' stands for an experiment's id"),
    "long name": ("command: a", ("--name", "a" * 81), r"--name: the name .* is longer than 80 characters"),
    "long directory name": (
        f"tasks:\n- cmd: echo\n  name: {'a' * 300}",
        (),
        r"s\.yaml:3: the task .* has 300 characters",
    ),
    "long output": (f"command: a\noutput: runs/{'a' * 300}", (), r"s\.yaml:2: .* is too long for a directory name"),
    "deep output": ("command: a", ("-o", "abc/" * 1000), r"-o: .* is too long for a directory name"),
    "output that leaves": ("command: a\noutput: a/../../b", (), r"s\.yaml:2: 'a/\.\./\.\./b' is outside /"),
    "output of runner that leaves": (runner(), ("-o", ".."), r"-o: '\.\.' is outside /.*\n +Give an absolute path"),
    "no output": ("command: a", ("-o", ""), r"-o: names no directory"),
    "unprintable output": ('command: a\noutput: "a\\nb"', (), r"s\.yaml:2: 'a\\nb' cannot name a directory"),
    "GPU": (runner(resource="[gpu0]"), (), r"s\.yaml:2: 'gpu0' is not a GPU"),
    "GPU twice in one slot": (runner(resource='["0,0"]'), (), r"s\.yaml:2: '0,0' lists a GPU twice"),
    "two dialects": ("command: a\ntemplate: {run: b}", (), r"s\.yaml: mixes the keys"),
    "override of nothing": ("command: a", ("-o", "nothing.here=1"), r"nothing"),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused_by_every_verb_that_reads_one(exs: Exs, case: str) -> None:
    text, options, said = FILES[case]
    (exs.cwd / "s.yaml").write_text(text)
    for words in (("push",), ("run", "--cpus", "1")):
        assert re.search(said, sentence(exs, *words, *options, "s.yaml"))


@pytest.mark.fault(46)
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", [*HOSTILE, "grid of 10^9"])
def test_f46_hostile_yaml_is_refused(exs: Exs, case: str) -> None:
    """With two seconds of a core and 200 MB."""
    grid = "command: echo {a} {b}\nparams: {a: {range: [0, 40000]}, b: {range: [0, 25000]}}"
    text, said = {**HOSTILE, "grid of 10^9": (grid, r"f\.yaml: has 1,000,000,000 jobs, more than the limit")}[case]
    (exs.cwd / "f.yaml").write_bytes(str(text).encode("utf-8") if not isinstance(text, bytes) else text)
    assert re.search(said, sentence(exs, "push", "f.yaml", preexec_fn=frugal).replace("\n     ", " "))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("push", "missing.yaml"), r"missing\.yaml: no such file"),
        (("run", "-y", "missing.yaml"), r"missing\.yaml: no such file"),
        (("plan", "."), r"\.: cannot be read: Is a directory"),
        (("run",), r"there is no params\.yaml here"),
        (("run", "--gpus", "x", "--", "true"), r"--gpus x: 'x' is no GPU"),
        (("run", "--gpus", "0,0", "--", "true"), r"GPU 0 is given twice in --gpus 0,0\.\n.*--per-gpu 2"),
        (("run", "--slot", "7,7", "--", "true"), r"GPU 7 is given twice in --slot 7,7"),
        (("run", "--cpus", "-1", "--", "true"), r"--cpus -1 is not possible"),
        (("run", "--per-gpu", "0", "--", "true"), r"--per-gpu 0 is not possible"),
        (("worker", "--gpus", "x"), r"--gpus x: 'x' is no GPU"),
        (("worker", "--gpus", "0,0"), r"GPU 0 is given twice in --gpus 0,0"),
        (("worker", "--gpus", "0", "--slot", "0"), r"GPU 0 is given twice: in --gpus 0 and in --slot 0"),
        (("worker", "--cpus", "1", "--node", "a b"), r"--node: 'a b' cannot name a machine"),
        (("worker", "--cpus", "1", "--workdir", "nowhere"), r"--workdir nowhere is not a directory"),
        (("push", "--"), r"there is no command after --"),
        (("push", "--name", "last", "--", "true"), r"'last' stands for the newest .*\n +Choose another name\."),
        (("push", "--", "python", "x.py", "lr=1", "lr=2"), r"the parameter 'lr' is given twice"),
        (("list", "-t", "befor"), r"no experiment or job 'befor'"),
        (("show", "\udcff"), r"'\\udcff' is not valid UTF-8\.$"),
        (("list", "-t", "before", "--sort", "sede"), r"cannot sort by 'sede'.*\n +Did you mean 'seed'\?"),
    ],
)
def test_bad_words_are_refused(exs: Exs, words: tuple[str, ...], said: str) -> None:
    (exs.cwd / "no-driver").mkdir()
    (exs.cwd / "no-driver" / "pynvml.py").write_text("raise ImportError('hidden by a test')\n")
    exs.env["PYTHONPATH"] = f"{exs.cwd}/no-driver:{exs.env['PYTHONPATH']}"
    assert re.search(said, sentence(exs, *words))


@pytest.mark.usefixtures("unchanged")
def test_a_gpu_outside_of_what_this_process_may_use_is_refused(exs: Exs) -> None:
    exs.env["CUDA_VISIBLE_DEVICES"] = "1"
    (exs.cwd / "params.yaml").write_text(runner())
    assert "0" in sentence(exs, "run", "--gpus", "0", "--", "true")
    exs.env["EXS_NODE"] = "a b"
    assert "EXS_NODE: 'a b' cannot name a machine" in sentence(exs, "list")


# ------------------------------------------------------------ a Redis that is not to be had

VERBS = [("list",), ("push", "s.yaml"), ("plan", "s.yaml"), ("run", "--cpus", "1", "s.yaml"), ("worker", "--cpus", "1")]


def unreachable(exs: Exs, url: str, *words: str) -> str:
    """The sentence, which is exit code 3 and holds no password; said within five seconds."""
    (exs.cwd / "s.yaml").write_text("command: echo\n")
    exs.env["EXS_REDIS_URL"] = url
    process = exs.start(*words)
    out, err = (text.decode() for text in process.communicate(timeout=20))
    assert (process.returncode, out) == (3, ""), err
    assert err.startswith("exs: ") and len(err.splitlines()) <= 2
    assert "hunter2" not in err and ".." not in err
    return err


@pytest.mark.parametrize("words", VERBS)
def test_no_redis_there(exs: Exs, words: tuple[str, ...]) -> None:
    said = unreachable(exs, "redis://:hunter2@127.0.0.1:1", *words)
    assert "cannot reach Redis at redis://***@127.0.0.1:1: Connection refused." in said


def test_we_give_up_in_less_than_five_seconds() -> None:
    assert max(Timing().connect_timeout, Timing().socket_timeout) <= 4


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("unix:///nowhere/redis.sock?password=hunter2", r"cannot reach Redis at unix:///nowhere/redis.sock"),
        ("redis://:hunter2@host.invalid:6379", r"cannot reach Redis at redis://\*\*\*@host.invalid:6379"),
    ],
)
def test_addresses_that_lead_nowhere(exs: Exs, url: str, said: str) -> None:
    assert re.search(said, unreachable(exs, url, "list"))


@pytest.mark.parametrize(
    "url",
    ["http://:hunter2@localhost", "localhost:6379", "redis://:hunter2@h/one", "redis://:h/unter2@h", "redis://h:x"],
)
def test_what_is_no_redis_url(exs: Exs, url: str) -> None:
    exs.env["EXS_REDIS_URL"] = url
    said = sentence(exs, "list")
    assert "is not a Redis URL" in said and "unter2" not in said


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[int]:
    """The port of a redis-server with a password."""
    server = RedisServer(tmp_path / "guarded", password="right").start()
    yield server.port
    server.stop()


def test_a_redis_that_refuses_us(exs: Exs, guarded: int) -> None:
    wrong = unreachable(exs, f"redis://:hunter2@127.0.0.1:{guarded}", "push", "s.yaml")
    assert f"Redis at redis://***@127.0.0.1:{guarded} refused the user or password" in wrong
    assert "wants a password" in unreachable(exs, f"redis://127.0.0.1:{guarded}", "list")
    assert "DB index is out of range" in unreachable(exs, f"redis://:right@127.0.0.1:{guarded}/99", "list")
    exs.env["EXS_SOCKET_TIMEOUT"] = exs.env["EXS_CONNECT_TIMEOUT"] = "0.5"
    assert "speaks TLS" in unreachable(exs, f"rediss://:right@127.0.0.1:{guarded}", "list")


def test_what_answers_is_no_redis(exs: Exs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:

        def answer() -> None:
            connection, _ = web.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        said = unreachable(exs, f"redis://:hunter2@127.0.0.1:{web.getsockname()[1]}", "list")
    assert "is no Redis" in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1/0?foo=1", "'foo' is no option of a Redis URL"),
        ("redis://127.0.0.1:1?retry=", "'retry' is no option"),
        ("redis://127.0.0.1:1?decode_responses=yes", "'decode_responses' is no option"),
        ("redis://:hunter2@127.0.0.1:1?ssl_cert_reqs=none", "'ssl_cert_reqs' goes with rediss://"),
    ],
)
def test_what_is_no_option_of_a_redis_url(exs: Exs, url: str, said: str) -> None:
    exs.env["EXS_REDIS_URL"] = url
    _, err = exs.both("list", code=2)
    assert said in err and "There are client_name, db, " in err and "hunter2" not in err
