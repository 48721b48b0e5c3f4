"""Run directories as MLXP 1.0.5 writes them, file by file (its YAML is PyYAML's)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml


def write_run(
    root: Path,
    number: int,
    config: dict[str, Any],
    metrics: dict[str, list[dict[str, Any]]] | None = None,
    status: str = "COMPLETE",
) -> Path:
    """`root/<number>/` with metadata, metrics and their keys."""
    folder = root / str(number)
    for name in ("metadata", "metrics/.keys", "artifacts"):
        (folder / name).mkdir(parents=True)
    info = {
        "status": status,
        "current_file_path": "/home/alice/my_project/main.py",
        "hostname": "vm",
        "process_id": 12403,
        "start_date": "20/11/2026",
        "start_time": "14:56:28",
        "end_date": "20/11/2026",
        "end_time": "04:56:28",
        "logger": {"log_id": number, "log_dir": str(folder)},
        "scheduler": None,
    }
    (folder / "metadata/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "metadata/info.yaml").write_text(yaml.safe_dump(info, sort_keys=False))
    for log, lines in (metrics or {}).items():
        (folder / f"metrics/{log}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
        keys = {key: "" for line in lines for key in line}
        (folder / f"metrics/.keys/{log}.yaml").write_text(yaml.safe_dump(keys, sort_keys=False))
    return folder


def write_sweep(root: Path) -> None:
    """18 runs: 3 units x 2 learning rates x 3 seeds. The lowest losses are those of lr 10."""
    number = 0
    for units in (2, 3, 4):
        for lr in (10.0, 1.0):
            for seed in (1, 2, 3):
                number += 1
                config = {
                    "seed": seed,
                    "num_epoch": 3,
                    "model": {"num_units": units},
                    "data": {"d_int": 10, "device": "cpu"},
                    "optimizer": {"lr": lr},
                }
                losses = [{"loss": 1 / (lr + units + seed + epoch), "epoch": epoch} for epoch in range(3)]
                write_run(root, number, config, {"train": losses, "test": [{"loss": 0.5 / number}]})
