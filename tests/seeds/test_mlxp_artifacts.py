"""What a run logs is there whole, can be read again, and is no program."""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exs.compat.mlxp import Logger
from exs.errors import InputError, Refused
from exs.paths import LogDir


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[Logger]:
    logger = Logger(LogDir(str(tmp_path / "logs" / "1")), 1)
    yield logger
    logger.close()


def names(logger: Logger) -> list[str]:
    """Every file below artifacts, finished or not."""
    root = Path(logger.artifacts_dir)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# ------------------------------------------------------------ checkpoints


def test_a_checkpoint_comes_back_under_its_default_name(logger: Logger) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint 'checkpoint'"):
        logger.load_checkpoint()
    state = {"epoch": 3, "best": math.inf, "losses": [0.5, 0.25], "note": "é", "more": {"none": None, "yes": True}}
    logger.log_checkpoint(state)
    assert logger.load_checkpoint() == state
    logger.log_checkpoint({**state, "epoch": 4})
    assert logger.load_checkpoint("checkpoint")["epoch"] == 4
    assert names(logger) == [".keys/artifacts.yaml", "json/checkpoint"]


@pytest.mark.parametrize(
    "value", [{1: 2}, {"a": (1, 2)}, {"a": [object()]}, {"s": {1}}], ids=["key", "tuple", "object", "set"]
)
def test_what_json_would_change_is_asked_about(logger: Logger, value: Any) -> None:
    with pytest.raises(InputError, match="pickle=True"):
        logger.log_checkpoint(value)
    assert names(logger) == []


def test_a_pickle_is_read_by_who_says_so_alone(logger: Logger) -> None:
    logger.log_checkpoint({1: (2, 3)}, "last_ckpt.pkl", pickle=True)
    assert names(logger) == [".keys/artifacts.yaml", "pickle/last_ckpt.pkl"]
    with pytest.raises(Refused, match="runs what it says when it is loaded"):
        logger.load_checkpoint("last_ckpt.pkl")
    with pytest.raises(Refused):
        logger.load_artifacts("last_ckpt.pkl")
    assert logger.load_checkpoint("last_ckpt.pkl", pickle=True) == {1: (2, 3)}
    assert logger.load_artifacts("last_ckpt.pkl", "pickle") == {1: (2, 3)}
    logger.log_checkpoint({"plain": 1}, "last_ckpt.pkl")
    assert logger.load_checkpoint("last_ckpt.pkl") == {"plain": 1}, "the newer one is the only one"
    with pytest.raises(InputError, match="cannot be pickled"):
        logger.log_checkpoint(lambda: 0, "last_ckpt.pkl", pickle=True)
    assert logger.load_checkpoint("last_ckpt.pkl") == {"plain": 1}


def test_nothing_is_unpickled_by_accident(logger: Logger, tmp_path: Path) -> None:
    """A pickle under the name of every other type stays data."""
    numpy = pytest.importorskip("numpy")
    bomb = tmp_path / "bomb"

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(bomb),)

    data = pickle.dumps(Bomb())
    for kind in ("json", "text", "bytes", "numpy", "image"):
        logger.log_artifacts(b"", "x", "bytes")
        path = Path(logger.artifacts_dir) / kind / "x"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        try:
            logger.load_artifacts("x", kind)
        except Exception as error:
            assert not isinstance(error, OSError) or kind == "image"
    assert not bomb.exists()
    with pytest.raises(InputError, match="numpy would pickle it"):
        logger.log_artifacts(numpy.array([object()]), "y", "numpy")


def test_another_runs_checkpoint(logger: Logger, tmp_path: Path) -> None:
    logger.log_checkpoint({"epoch": 1}, "best")
    other = Logger(LogDir(str(tmp_path / "logs" / "2")), 2)
    assert other.load_checkpoint("best", root=logger.log_dir) == {"epoch": 1}
    assert other.load_checkpoint("best", root=logger.artifacts_dir) == {"epoch": 1}
    with pytest.raises(FileNotFoundError, match="Did you mean 'best'"):
        other.load_checkpoint("bet", root=logger.log_dir)


# ------------------------------------------------------------ artifacts


def test_every_type_comes_back(logger: Logger) -> None:
    for kind, value in {"json": [1, {"a": None}], "text": "ä\r\nb", "bytes": b"\0\xff"}.items():
        logger.log_artifacts(value, f"some/dir/{kind}", kind)
        assert logger.load_artifacts(f"some/dir/{kind}") == value
        assert logger.load_artifacts(f"some/dir/{kind}", kind) == value
    from exs.compat.mlxp.artifacts import _read_list

    listed = _read_list(LogDir(logger.log_dir).artifact_keys)
    assert listed["json"] == {".some.dir": {"json": ""}}


def test_arrays(logger: Logger) -> None:
    numpy = pytest.importorskip("numpy")
    logger.log_artifacts(numpy.eye(3), "x.npz", "numpy")
    assert numpy.array_equal(logger.load_artifacts("x.npz"), numpy.eye(3))
    logger.log_artifacts({"a": numpy.arange(4), "file": [1.5]}, "y", "numpy")
    found = logger.load_artifacts("y")
    assert found["a"].tolist() == [0, 1, 2, 3] and found["file"].tolist() == [1.5]
    assert names(logger) == [".keys/artifacts.yaml", "numpy/x.npz", "numpy/y"]


def test_images(logger: Logger) -> None:
    image = pytest.importorskip("PIL.Image")
    numpy = pytest.importorskip("numpy")
    picture = image.fromarray(numpy.zeros((4, 5, 3), dtype="uint8"))
    for name in ("a.png", "b", "c.bmp"):
        logger.log_artifacts(picture, name, "image")
        assert logger.load_artifacts(name).size == (5, 4)
    logger.log_artifacts(numpy.zeros((4, 5), dtype="uint8"), "d.png", "image")
    logger.log_artifacts(Path(logger.artifacts_dir, "image", "a.png").read_bytes(), "e.png", "image")
    assert logger.load_artifacts("e.png").size == logger.load_artifacts("d.png").size == (5, 4)


def test_tensors(logger: Logger) -> None:
    torch = pytest.importorskip("torch")
    logger.log_artifacts({"w": torch.ones(2)}, "model.pt", "torch")
    assert logger.load_artifacts("model.pt")["w"].tolist() == [1, 1]


def test_a_type_of_the_users(logger: Logger) -> None:
    def save(value: str, path: str) -> None:
        assert path.endswith("/x.up"), "a library that looks at the suffix finds it"
        Path(path).write_text(value.upper())

    logger.register_artifact_type("loud", save, lambda path: Path(path).read_text() + "!")
    logger.log_artifacts("hi", "x.up", "loud")
    assert logger.load_artifacts("x.up", "loud") == "HI!"
    with pytest.raises(InputError, match="there is a type json already"):
        logger.register_artifact_type("json", save, open)
    with pytest.raises(InputError, match="Did you mean 'loud'"):
        logger.log_artifacts("hi", "x", "lod")


def test_what_fails_leaves_the_one_before(logger: Logger) -> None:
    def save(value: str, path: str) -> None:
        Path(path).write_text(value[:2])
        if len(value) > 2:
            raise OSError(28, "No space left on device")

    logger.register_artifact_type("small", save, lambda path: Path(path).read_text())
    logger.log_artifacts("ab", "x", "small")
    with pytest.raises(OSError, match="No space left"):
        logger.log_artifacts("cde", "x", "small")
    assert logger.load_artifacts("x") == "ab"
    assert names(logger) == [".keys/artifacts.yaml", "small/x"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ".keys", "", "a//b", "a\0b", 7])
def test_a_name_stays_inside(logger: Logger, name: Any) -> None:
    with pytest.raises(InputError, match="cannot name an artifact"):
        logger.log_artifacts("x", name, "text")
    with pytest.raises(InputError, match="cannot name an artifact"):
        logger.load_artifacts(name, "text")


# ------------------------------------------------------------ metrics


def lines(logger: Logger, name: str) -> list[Any]:
    return [json.loads(line) for line in Path(logger.metrics_dir, f"{name}.json").read_text().splitlines()]


def test_lines_are_whole_and_strict(logger: Logger) -> None:
    logger.log_metrics({"loss": 0.5, "epoch": 0}, log_name="train")
    logger.log_metrics({"loss": math.nan, "other": [1, 2], "text": "x"}, log_name="train")
    with pytest.raises(InputError, match="JSON cannot hold"):
        logger.log_metrics({"loss": 0.1, "model": object()}, log_name="train")
    assert lines(logger, "train") == [{"loss": 0.5, "epoch": 0}, {"loss": "nan", "other": [1, 2], "text": "x"}]
    keys = Path(logger.metrics_dir, ".keys", "train.yaml").read_text()
    assert keys == "epoch: ''\nloss: ''\nother: ''\ntext: ''\n"


def test_numbers_of_numpy(logger: Logger) -> None:
    numpy = pytest.importorskip("numpy")
    logger.log_metrics({"a": numpy.float32(0.5), "b": numpy.int64(3), "c": numpy.ones(2)}, "train")
    assert lines(logger, "train") == [{"a": 0.5, "b": 3, "c": [1.0, 1.0]}]


@pytest.mark.parametrize("name", ["info", "config", "mlxp", "artifacts", "../x", "", ".keys", "a/b", None, 3])
def test_names_of_logs(logger: Logger, name: Any) -> None:
    with pytest.raises(InputError, match="cannot name a log of metrics"):
        logger.log_metrics({"a": 1}, log_name=name)


def test_many_logs_are_not_many_open_files(logger: Logger) -> None:
    for turn in range(2):
        for number in range(200):
            logger.log_metrics({"turn": turn}, f"log{number}")
    assert all(lines(logger, f"log{number}") == [{"turn": 0}, {"turn": 1}] for number in range(200))
    mine = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{fd}")
    ]
    assert sum(logger.metrics_dir in path for path in mine) <= 64


def test_a_full_disk_leaves_no_half_line(logger: Logger, tmp_path: Path) -> None:
    import resource
    import signal

    logger.log_metrics({"a": 1}, "train")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(OSError, match=r"disk is full|too large"):
            logger.log_metrics({"a": "x" * 100}, "train")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    logger.log_metrics({"a": 2}, "train")
    assert lines(logger, "train") == [{"a": 1}, {"a": 2}]
