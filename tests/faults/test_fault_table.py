"""The matrix and the tests agree: each row has its test, and each test that is marked with a number has its row."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from faults.matrix import ROWS

ROOT = Path(__file__).parents[2]
#: Collects the tests of the files that it is given, and prints [number, name of the test function] for each mark.
COLLECT = """
import json, sys, pytest

class Marks:
    def pytest_collection_modifyitems(self, items):
        found = {(mark.args[0], item.originalname) for item in items for mark in item.iter_markers("fault")}
        print("marks:", json.dumps(sorted(found)))

pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Marks()])
"""


def test_each_row_of_the_matrix_has_one_test_by_its_name() -> None:
    """Others may be marked with its number too: they look at the same fault from elsewhere."""
    files = [str(path) for path in ROOT.glob("tests/**/test_*.py") if "mark.fault(" in path.read_text()]
    words = [sys.executable, "-c", COLLECT, *files]
    found = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=100)
    (line,) = [line for line in found.stdout.splitlines() if line.startswith("marks:")]
    marks = [(number, name) for number, name in json.loads(line.removeprefix("marks:"))]
    assert {number for number, _ in marks} - set(ROWS) == set(), "tests without a row"
    named = {row: [name for number, name in marks if number == row and f"f{row}_" in name] for row in ROWS}
    assert [row for row, names in named.items() if not names] == [], "rows without a test"
    assert {row: names for row, names in named.items() if len(names) > 1} == {}, "rows with several"


def test_the_matrix_is_whole() -> None:
    assert list(ROWS) == list(range(1, 56))
