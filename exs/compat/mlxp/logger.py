"""`ctx.logger`: what a run writes into its directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exs.compat.mlxp.artifacts import Artifacts
from exs.compat.mlxp.metrics import Metrics
from exs.paths import LogDir


class Logger:
    """Metrics, checkpoints and artifacts of one run. Only the process that runs it writes there."""

    def __init__(self, place: LogDir, log_id: int) -> None:
        self._place = place
        self._id = log_id
        self._metrics = Metrics(place)
        self._artifacts = Artifacts(place)

    def __repr__(self) -> str:
        return f"Logger({self.log_dir!r})"

    @property
    def log_id(self) -> int:
        """The number of the run."""
        return self._id

    @property
    def log_dir(self) -> str:
        """Its directory."""
        return self._place.root

    @property
    def metrics_dir(self) -> str:
        """Where its metrics are."""
        return self._place.metrics

    @property
    def metadata_dir(self) -> str:
        """Where `config.yaml`, `info.yaml` and `mlxp.yaml` are."""
        return self._place.metadata

    @property
    def artifacts_dir(self) -> str:
        """Where checkpoints and artifacts are."""
        return self._place.artifacts

    def get_info(self) -> dict[str, Any]:
        """`log_id` and the four directories: what `info.yaml` has under `logger`."""
        names = ("log_id", "log_dir", "metrics_dir", "metadata_dir", "artifacts_dir")
        return {name: getattr(self, name) for name in names}

    def log_metrics(self, metrics_dict: dict[str, Any], log_name: str) -> None:
        """Append one line, `metrics_dict` as JSON, to `metrics/<log_name>.json`.

        numpy's and torch's numbers become numbers, arrays lists, and NaN and the infinities the texts "nan", "inf"
        and "-inf". In a job of exs the numbers are metrics of the job, too, called `<log_name>.<key>`. Raises
        InputError for what JSON cannot hold and for a name that no file can have, and then writes nothing.
        """
        self._metrics.log(metrics_dict, log_name)

    def log_checkpoint(self, checkpoint: Any, log_name: str = "checkpoint", *, pickle: bool = False) -> None:
        """Keep `checkpoint`, in place of an older one of that name, so that a power failure leaves one of them, whole.

        What JSON gives back as it is (dicts with texts as keys, lists, texts, numbers) is written as JSON, to
        `artifacts/json/<log_name>`. For anything else say `pickle=True`: it is pickled, to
        `artifacts/pickle/<log_name>`, and `load_checkpoint` must be told the same. Raises InputError, OSError.
        """
        self._artifacts.log_checkpoint(checkpoint, log_name, pickle)

    def load_checkpoint(self, log_name: str = "checkpoint", root: str | None = None, *, pickle: bool = False) -> Any:
        """What `log_checkpoint` kept last under that name, of this run or of the one whose directory is `root`.

        `pickle=True` allows it to be a pickle, which runs what it says while it is loaded. Raises an error that is a
        FileNotFoundError where there is none, Refused for a pickle that was not allowed.
        """
        return self._artifacts.load_checkpoint(log_name, root, pickle)

    def log_artifacts(self, artifact: Any, artifact_name: str, artifact_type: str) -> None:
        """Write `artifacts/<artifact_type>/<artifact_name>`; the name may have directories in it.

        Types: `json`, `text`, `bytes`, `numpy` (an array, or a dict of arrays), `image` (of Pillow or matplotlib, an
        array, or the bytes of a file), `torch` (read with weights_only), `pickle`, and those of
        `register_artifact_type`. Raises InputError, OSError, and then the one before is still there.
        """
        self._artifacts.log(artifact, artifact_name, artifact_type)

    def load_artifacts(
        self, artifact_name: str, artifact_type: str | None = None, root: str | None = None, *, pickle: bool = False
    ) -> Any:
        """What `log_artifacts` wrote; without a type the newest of that name. The rest is as in `load_checkpoint`."""
        return self._artifacts.load(artifact_name, artifact_type, root, pickle or artifact_type == "pickle")

    def register_artifact_type(self, name: str, save: Callable[[Any, str], object], load: Callable[[str], Any]) -> None:
        """Add a type of artifacts: `save(artifact, path)` writes a file, `load(path)` reads it. For this run alone."""
        self._artifacts.register(name, save, load)

    def close(self) -> None:
        """The run is over."""
        self._metrics.close()
