"""Lines of workers: what they quote does nothing to a terminal."""

from __future__ import annotations

import os
import subprocess
import sys


def test_control_characters_in_a_line_are_escapes() -> None:
    program = (
        "import logging; from exs_worker.journal import set_up_log; set_up_log();"
        r"logging.getLogger('x').error('a %s b', '\x1b[2J\x07\x9b\u202e\r\x7f é 漢');"
        "\ntry: 1 / 0\nexcept Exception: logging.exception('bug')"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60, env=env)
    said = done.stderr.decode()
    first, *rest = said.splitlines()
    assert first.endswith(r"E a \x1b[2J\x07\x9b\u202e\r\x7f é 漢 b")
    assert rest[0].endswith("E bug") and rest[-1].startswith("ZeroDivisionError")
