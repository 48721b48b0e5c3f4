"""Two network namespaces that reach each other over a wire, where root may make them."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

#: The addresses at the two ends.
NEAR, FAR = "10.213.87.1", "10.213.87.2"


@dataclass(frozen=True)
class Wire:
    """`near` and `far`: words in front of a command that runs there."""

    near: tuple[str, ...]
    far: tuple[str, ...]
    _name: str
    _device: str

    def pull(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        ip("-n", self._name, "link", "set", self._device, "down")

    def plug(self) -> None:
        """It works again."""
        ip("-n", self._name, "link", "set", self._device, "up")


@contextmanager
def wire() -> Iterator[Wire]:
    """Made for one test; skips it where that is not permitted."""
    tag = secrets.token_hex(3)
    names, veths = [f"exs-{tag}-{side}" for side in "ab"], [f"exs{tag}{side}" for side in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", veths[0], "type", "veth", "peer", "name", veths[1])
        for name, veth, address in zip(names, veths, (NEAR, FAR), strict=True):
            ip("link", "set", veth, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", veth)
            ip("-n", name, "link", "set", veth, "up")
            ip("-n", name, "link", "set", "lo", "up")
        near, far = (("ip", "netns", "exec", name) for name in names)
        yield Wire(near, far, names[0], veths[0])
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"ip {' '.join(words)}: {done.stderr.strip()}")
