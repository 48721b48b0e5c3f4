"""Another client of the same Redis: asks for nothing much every millisecond, and says at the end how long it waited.

python -m tests.bench.prober HOST PORT        until standard input ends; prints milliseconds as a JSON list
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time

#: Seconds between two questions.
PAUSE = 0.001


def main() -> None:
    """Ask until told to stop."""
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # what is measured is Redis, not who else wants this core
    waits = []
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            began = time.perf_counter()
            connection.sendall(b"PING\r\n")
            connection.recv(64)
            waits.append((time.perf_counter() - began) * 1000)
    print(json.dumps(waits))


if __name__ == "__main__":
    main()
