"""`exs server start --share`: one line that joins a node, encrypted where asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from exs import server
from exs.errors import InputError
from exs.server import listen
from exs.settings import Settings, masked_url
from harness.redis_server import free_port
from server.own_server import ROOT, at


def exs_command(settings: Settings, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exs", *words],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workers'}",
            "EXS_STATE_DIR": settings.state_dir,
            "EXS_CONFIG": "/nonexistent",
            "EXS_REDIS_SERVER": settings.redis_server,
            **env,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_line_that_it_prints_joins_a_node(exs: Settings, tmp_path: Path) -> None:
    done = exs_command(exs, "server", "start", "--share")
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    found = re.fullmatch(r"EXS_REDIS_URL=(\S+) exs worker", line)
    assert found, line
    url = found[1].strip("'")
    assert re.fullmatch(r"redis://default:[\w-]{43}@[\w.:\[\]-]+:\d+", url) and "0.0.0.0" not in url
    (tmp_path / "bin").mkdir()
    launcher = tmp_path / "bin" / "exs"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m exs "$@"\n')
    launcher.chmod(0o755)
    env = {
        "PATH": f"{launcher.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": f"{ROOT}:{ROOT}/workers",
    }
    options = "--cpus 1 --idle-exit 0.2s --node joined"
    node = subprocess.run(["sh", "-c", f"{line} {options}"], env=env, capture_output=True, text=True, timeout=60)
    assert node.returncode == 0, node.stderr
    assert "node=joined" in node.stderr + node.stdout
    again = exs_command(exs, "server", "start", "--share")
    assert again.stdout.splitlines()[-1] == line, "a second time it says the same"
    assert "already running" in again.stdout


def test_with_tls_the_url_alone_lets_a_node_trust_the_server_and_no_other(exs: Settings) -> None:
    port = free_port()
    try:
        server.start(exs, listen.parse(f"127.0.0.1:{port}", tls=True))
    except InputError as error:
        assert "is built without TLS" in error.message
        assert server.status(exs) is None
        pytest.skip(error.message)
    url = server.url(exs)
    assert url.startswith("rediss://default:") and "ssl_ca_data=" in url
    assert at(url).ping()
    with pytest.raises(redis.ConnectionError):
        at(url.partition("?")[0]).ping()  # a certificate that nobody has vouched for
    with pytest.raises(redis.ConnectionError):
        at(url.replace("rediss://", "redis://").partition("?")[0]).ping()
    assert "CERTIFICATE" not in masked_url(url)
    done = exs_command(exs, "workers", EXS_REDIS_URL=url)
    assert done.returncode == 0, done.stderr
    server.stop(exs)
    server.ensure(exs)
    assert server.url(exs) == url, "its certificate is kept"


def test_tls_without_openssl_is_refused_and_nothing_has_changed(
    exs: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start(exs)
    before = server.status(exs)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no openssl on PATH"):
        server.start(exs, listen.parse(f"127.0.0.1:{free_port()}", tls=True))
    after = server.status(exs)
    assert before and after and before.pid == after.pid


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--share", "--local"), "--local and --share contradict each other."),
        (("--tls",), "--tls goes with --share or --listen."),
        (("--share", "--no-password"), "--no-password goes with --listen."),
    ],
)
def test_what_makes_no_sense_is_refused(exs: Settings, words: tuple[str, ...], said: str) -> None:
    done = exs_command(exs, "server", "start", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert server.status(exs) is None
