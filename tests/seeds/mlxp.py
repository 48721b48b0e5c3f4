"""A user of MLXP at a shell, who has changed the import lines of their scripts and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from exs.settings import Limits
from exs.sweep import yamlfile
from seeds.documents import ROOT, text_of

DOCUMENT = "mlxp-quick-start.rst"


_BLOCK = re.compile(r"^ *\.\. code-block::.*\n((?: +:.*\n)*)[ \t]*\n((?:[ \t]+\S.*\n|[ \t]*\n)+)", re.MULTILINE)


def block(containing: str) -> str:
    """The block of the document with these words in it or in its caption, as it stands there."""
    (found,) = [match[2] for match in _BLOCK.finditer(text_of(DOCUMENT)) if containing in match[1] + match[2]]
    return textwrap.dedent(found).strip("\n") + "\n"


def tree(drawn: str) -> list[str]:
    """The paths of a directory tree that is drawn with lines; what it leaves out (`...`) is not there."""
    paths: list[str] = []
    above: list[str] = []
    for line in drawn.splitlines():
        match = re.match(r"((?:[│ ]   )*)(?:[├└]──\s*)?(\S+)$", line)
        if match and not match[2].endswith("..."):
            depth = len(match[1]) // 4 + (match[0] != match[2])
            above[depth:] = [match[2].rstrip("/")]
            paths.append("/".join(above) + ("/" if match[2].endswith("/") else ""))
    return paths


class Project:
    """A directory with `main.py` and `configs/config.yaml`."""

    def __init__(self, root: Path, script: str, config: str | None = None) -> None:
        self.root = root
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "workers"))),
            "LANG": "C.UTF-8",
        }
        root.mkdir(exist_ok=True)
        self.script(script)
        if config is not None:
            (root / "configs").mkdir()
            (root / "configs" / "config.yaml").write_text(config)

    def script(self, text: str) -> None:
        """Another main.py."""
        (self.root / "main.py").write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`python main.py`, whose output is read by nobody yet."""
        return subprocess.Popen(
            [sys.executable, "main.py", *words],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def both(self, *words: str, code: int = 0) -> tuple[str, str]:
        """What it prints, where it is expected to end with `code`."""
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        return out, err

    def __call__(self, *words: str, code: int = 0) -> str:
        """Its standard output."""
        return self.both(*words, code=code)[0]

    def refused(self, *words: str) -> str:
        """The sentence with which it refuses a command line, and nothing was begun."""
        before = self.runs()
        out, err = self.both(*words, code=2)
        assert (out, "Traceback" in err, err.count("\n")) == ("", False, 1), out + err
        assert self.runs() == before
        return err

    def runs(self) -> list[int]:
        """Numbers of the runs that there are."""
        return sorted(int(path.name) for path in self.root.glob("logs/[0-9]*"))

    def file(self, path: str) -> Path:
        """A file of the runs."""
        return self.root / "logs" / path

    def yaml(self, path: str) -> Any:
        """What it holds."""
        (document,) = yamlfile.load(self.file(path).read_text(), path, "1.2", Limits())
        return document.value

    def status(self, number: int) -> str:
        """What `info.yaml` says."""
        return str(self.yaml(f"{number}/metadata/info.yaml")["status"])
