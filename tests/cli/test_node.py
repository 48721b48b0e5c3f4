"""`exs node install`, and what deploy/ has for services: units, the compose file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import redis
import yaml

from cli.lab import wait_for
from exs.tools import systemd
from harness.node import EXS, environment
from harness.redis_server import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
URL = "redis://default:pass$word%20@10.0.0.5:6379"


def install(home: Path, *words: str, url: str = URL) -> subprocess.CompletedProcess[str]:
    env = environment(url, home)
    return subprocess.run([*EXS, "node", "install", *words], env=env, capture_output=True, text=True, timeout=60)


def verified(path: Path, scope: str) -> str:
    """What systemd says against a unit; skips without it."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run([program, "verify", scope, path], capture_output=True, text=True, timeout=60)
    return "\n".join(line for line in done.stderr.splitlines() if path.name in line)


def test_a_unit_for_the_user_is_written_once(tmp_path: Path) -> None:
    done = install(tmp_path, "--user", "--", "--gpus", "all", "--workdir", "/data/a b%c$d")
    assert done.returncode == 0, done.stderr
    unit = tmp_path / ".config" / "systemd" / "user" / "exs-worker.service"
    secrets = tmp_path / ".config" / "exs" / "worker.env"
    assert done.stdout.splitlines()[:2] == [f"written  {secrets}", f"written  {unit}"]
    assert "systemctl --user enable --now exs-worker.service" in done.stdout.replace("daemon-reload && ", "")
    text = unit.read_text()
    assert 'worker --gpus all --workdir "/data/a b%%c$$d"\n' in text
    for line in ("KillMode=mixed", "KillSignal=SIGUSR1", "OOMPolicy=continue", "Delegate=yes", "Restart=on-failure"):
        assert f"{line}\n" in text
    assert "pass" not in text, "the password is not for everybody"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert 'EXS_REDIS_URL="redis://default:pass\\$word%20@10.0.0.5:6379"\n' in secrets.read_text()
    again = install(tmp_path, "--user", "--", "--gpus", "all", "--workdir", "/data/a b%c$d")
    assert [line.split()[0] for line in again.stdout.splitlines()[:2]] == ["unchanged", "unchanged"]
    changed = install(tmp_path, "--user", "--", "--cpus", "2")
    assert [line.split()[0] for line in changed.stdout.splitlines()[:2]] == ["unchanged", "written"]
    assert verified(unit, "--user") == ""


def test_a_unit_for_the_machine_runs_as_somebody(tmp_path: Path) -> None:
    done = install(tmp_path, "--system", "--run-as", "ann", "--root", str(tmp_path / "image"), "--", "--gpus", "0,1")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "image/etc/systemd/system/exs-worker.service").read_text()
    assert "\nUser=ann\n" in text and "\nEnvironmentFile=/etc/exs/worker.env\n" in text
    assert "\nWorkingDirectory=-~\n" in text, "/ is no place for results"
    assert "WantedBy=multi-user.target" in text


@pytest.mark.parametrize(
    ("words", "url", "said", "code"),
    [
        (("--user",), "", "a service needs a Redis that outlives it", 2),
        (("--user", "--system"), URL, "--user and --system contradict each other", 2),
        (("--user", "--run-as", "ann"), URL, "--run-as goes with --system", 2),
        (("--system", "--run-as", "no-such-user"), URL, "this machine has no such user", 2),
        (("--user", "--", "--gpuz", "all"), URL, "No such option", 2),
        (("--user", "--", "stop"), URL, "Give options alone", 2),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, words: tuple[str, ...], url: str, said: str, code: int) -> None:
    done = install(tmp_path, *words, url=url)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / ".config").exists()


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    unit = tmp_path / ".config/systemd/user/exs-worker.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    done = install(tmp_path, "--user")
    assert (done.returncode, "was not written by exs" in done.stderr) == (4, True)
    assert unit.read_text().startswith("[Service]")


def test_the_unit_in_deploy_is_what_would_be_written(tmp_path: Path) -> None:
    words = ["/opt/exs/bin/exs", "worker", "--gpus", "all"]
    text = systemd.unit(words, Path("/etc/exs/worker.env"), "exs")
    unit = DEPLOY / "systemd" / "exs-worker.service"
    assert unit.read_text() == text
    # systemd looks whether the program is there, and knows the user.
    there = tmp_path / unit.name
    there.write_text(text.replace("/opt/exs/bin/exs", "/bin/true").replace("User=exs", "User=root"))
    assert verified(there, "--system") == ""


def test_the_compose_file_starts_a_redis_with_a_password(tmp_path: Path) -> None:
    """What it runs, with a redis-server of this machine and the container's paths put where they are here."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    service = compose["services"]["redis"]
    assert set(service["secrets"]) == set(compose["secrets"])
    assert {each.split(":")[0] for each in service["volumes"]} == {"./redis.conf", *compose["volumes"]}
    secret = tmp_path / "redis-password"
    secret.write_text("requirepass word\n")
    places = {each.split(":")[1]: str(DEPLOY / each.split(":")[0]) for each in service["volumes"]}
    places |= {"/run/secrets/redis-password": str(secret), "/data": str(tmp_path)}
    port = free_port()
    words = [places.get(word, word) for word in service["command"]]
    if shutil.which(words[0]) is None:
        pytest.skip("no redis-server on PATH")
    child = subprocess.Popen([*words, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, password="word")

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        wait_for(answers, "it answers")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
        assert client.config_get("appendonly", "maxmemory-policy", "dir") == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "dir": os.path.realpath(tmp_path),
        }
    finally:
        child.terminate()
        child.wait(20)
