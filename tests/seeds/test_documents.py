"""The documents are the ones that were given, word for word."""

from __future__ import annotations

import pytest

from seeds.documents import DOCUMENTS, ORIGINALS, fenced, text_of


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="the originals lie beside the repository of its developers only")
def test_every_document_is_an_unmodified_copy() -> None:
    names = sorted(path.name for path in ORIGINALS.iterdir())
    assert sorted(path.name for path in DOCUMENTS.iterdir()) == names
    for name in names:
        assert (DOCUMENTS / name).read_bytes() == (ORIGINALS / name).read_bytes(), name


def test_the_blocks_of_a_document_are_found() -> None:
    assert [block.startswith("template:") for block in fenced("runner-readme.md", "yaml")] == [True] * 4
    assert len(fenced("runner-readme.md", "json")) == 2
    assert "hp_optimization.yaml" in text_of("experiment-scheduler-quick-start.md")
