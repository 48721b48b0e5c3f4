"""MLXP's shape: `@exs.launch` makes a function a program with options, sweeps and a directory per run.

    import exs

    @exs.launch(config_path="./configs")
    def my_task(ctx: exs.Context) -> None:
        for epoch in range(ctx.config.num_epoch):
            ctx.logger.log_metrics({"epoch": epoch, "loss": train(ctx.config.optimizer.lr)}, log_name="train")
            ctx.logger.log_checkpoint({"epoch": epoch})

    if __name__ == "__main__":
        my_task()

`python main.py optimizer.lr=10.,1. seed=1,2` runs it four times, each in `logs/<id>/`; with `--push` these are four
jobs of the queue. `python main.py +mlxp.logger.forced_log_id=3` goes on with run 3, with the configuration that it
had; the next attempt of a job goes on with the run of the one before. Numbers of runs are never used again.

What differs from MLXP 1.0.5 and its quick start:

- Printed, a configuration has Python's numbers: `lr: 10.0` where the file says `10.`.
- Checkpoints are JSON, in `artifacts/json/`; what JSON cannot give back needs `pickle=True`, to write and to read.
- NaN and infinities are the texts "nan", "inf" and "-inf" in metrics, and cannot stand in a configuration.
- Artifact types that a script registers are known to that run, and are not stored with it.
- Of Hydra there are overrides, sweeps, `range` and `choice`, groups by a `defaults` list, `${key}`, `--cfg job`; no
  packages, resolvers, other sweepers, or options `hydra.*`. Keys of a configuration are texts.
- Keys of metrics are in `metrics/.keys/<log_name>.yaml`, as MLXP writes them, not in the `metrics.yaml` of its guide.
- A run that was killed outright says FAILED in its `info.yaml` once `exs results` or a `Reader` has looked at it.
- A run has the status STOPPED where exs asked it to stop and it saved what it had.
- `ctx.info.status` and `ctx.mlxp.logger` are one level higher than MLXP has them, where its documents say they are.
- `mlxp.` settings need no `+`; unknown ones are refused, and so are `use_version_manager` and `use_scheduler`.
- A job that runs in a copy of its code has its runs in its run directory, `<output>/<name>/logs/`.
- `mlxpsub script.sh` is `exs submit script.sh`.
- A configuration names only classes that the script has imported (`instantiate`).
"""

from exs.compat.mlxp.config import ConfigDict
from exs.compat.mlxp.launcher import Context, Launched, instance_from_dict, instantiate, launch
from exs.compat.mlxp.logger import Logger

#: MLXP's name for it.
DefaultLogger = Logger

__all__ = [
    "ConfigDict",
    "Context",
    "DefaultLogger",
    "Launched",
    "Logger",
    "instance_from_dict",
    "instantiate",
    "launch",
]
