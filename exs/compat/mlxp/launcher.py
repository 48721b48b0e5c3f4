"""`@exs.launch`: a function becomes a program that runs once per point of its command line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn, overload

from exs import job
from exs import settings as settings_
from exs.command import canonical
from exs.compat.mlxp import options, words
from exs.compat.mlxp.compose import Source
from exs.compat.mlxp.config import ConfigDict
from exs.compat.mlxp.instances import instance_from_dict, instantiate
from exs.compat.mlxp.logger import Logger
from exs.compat.mlxp.run import Run, about
from exs.compat.mlxp.words import Override, Words
from exs.errors import EXIT_JOB_FAILED, ExsError, InputError
from exs.settings import Settings

__all__ = ["Context", "instance_from_dict", "instantiate", "launch"]

Task = Callable[["Context"], Any]


@dataclass
class Context:
    """What a launched function gets.

    `config`: its options, a dict with attributes, to read and to change. `mlxp`: MLXP's settings. `info`: what
    `info.yaml` says of the run. `logger`: writes into the directory of the run; None with `mlxp.use_logger=false`.
    """

    config: ConfigDict
    mlxp: ConfigDict
    info: ConfigDict
    logger: Logger


@overload
def launch(config_path: Task) -> Launched: ...
@overload
def launch(
    config_path: str = "configs", seeding_function: Callable[[Any], Any] | None = None
) -> Callable[[Task], Launched]: ...
def launch(
    config_path: str | Task = "configs", seeding_function: Callable[[Any], Any] | None = None
) -> Callable[[Task], Launched] | Launched:
    """Decorate the function that a script calls: `main()` then runs it once for each point of the command line.

    `config_path`: the directory of `config.yaml`, from the directory of the script; both are made where they are
    missing. `seeding_function`: called before each run with the value of `seed` in its configuration.

    The runs follow one another in this process; one that fails does not stop the others, and the exit code is then 1.
    With `--push` on the command line each point becomes a job of exs's queue instead. `--help` says more.
    """
    if not isinstance(config_path, str):
        return Launched(config_path, "configs", seeding_function)
    path = config_path
    return lambda task: Launched(task, path, seeding_function)


class Launched:
    """A launched function. Called without an argument it reads the command line."""

    def __init__(self, task: Task, config_path: str, seeding_function: Callable[[Any], Any] | None) -> None:
        self.task = task
        self.script = str(task.__globals__.get("__file__") or "")
        self.directory = Path(os.path.abspath(os.path.join(os.path.dirname(self.script), config_path)))
        self.seeding_function = seeding_function
        update_wrapper(self, task)

    def __call__(self, ctx: Context | None = None) -> Any:
        """Run every point. Ends the process with a sentence and exit code 2 for a command line that is wrong."""
        if ctx is not None:
            return self.task(ctx)
        try:
            prepared = self._prepared(sys.argv[1:])
        except ExsError as error:
            _fail(error)
        return None if prepared is None else _Launch(self, *prepared).run()

    def _prepared(self, given: Sequence[str]) -> tuple[Settings, Source, Words] | None:
        """What to run, with every key checked; None where the command line asked for something else."""
        from exs.compat.mlxp import arguments

        asked = arguments.parse(given, self.script)
        ours = settings_.load()
        found = words.read(asked.words, ours.limits)
        source = Source(self.directory, ours.limits)
        for point in found.probes(source.groups):
            mine, theirs = parted(point)
            settings = options.read(self.directory, theirs, ours.limits)
            forced = settings["logger"]["forced_log_id"]
            if forced < 0:
                config = source.compose(mine, settings["resolve"])
                self._check_seed(config)
            elif found.count > 1:
                raise InputError(
                    f"mlxp.logger.forced_log_id={forced} is one run, and these are {found.count:,}.",
                    "Go on with one at a time.",
                )
        if asked.show:
            config = source.compose(parted(next(found.points()))[0], resolved=False)
            print(ConfigDict(config))
            return None
        source.create()
        if asked.push is not None:
            from exs.compat.mlxp.push import push

            push(found.given, asked.push, ours)
            return None
        return ours, source, found

    def _check_seed(self, config: dict[str, Any]) -> None:
        if self.seeding_function is not None and "seed" not in config:
            raise InputError(
                f"the seeding_function needs the key seed, which {self.directory / 'config.yaml'} has not.",
                "Write seed: 0 there, or +seed=0.",
            )


class _Launch:
    """The runs of one command line."""

    def __init__(self, launched: Launched, settings: Settings, source: Source, found: Words) -> None:
        self._launched = launched
        self._settings = settings
        self._source = source
        self._words = found

    def run(self) -> None:
        """One run after the other. The exception of a single one goes on; of several the exit code tells."""
        failed = []
        for point in self._words.points():
            try:
                ctx, run = self._begun(point)
            except ExsError as wrong:
                if self._words.count == 1:
                    _fail(wrong)
                print(f"exs: {wrong}", file=sys.stderr)
                failed.append("one that did not begin")
                continue
            error = self._ended(ctx, run)
            if self._words.count == 1 and error is not None:
                raise error
            if error is not None and not (isinstance(error, SystemExit) and error.code in (None, 0)):
                name = os.path.relpath(run.place.root) if run else "one without a directory"
                _show(error, name)
                failed.append(name)
        if failed:
            names = ", ".join(failed[:20]) + (", ..." if len(failed) > 20 else "")
            print(f"exs: {len(failed)} of {self._words.count} runs failed: {names}.", file=sys.stderr)
            sys.exit(EXIT_JOB_FAILED)

    def _begun(self, point: Sequence[Override]) -> tuple[Context, Run | None]:
        """The context of a run that has its directory. Raises ExsError, and then nothing was begun."""
        mine, theirs = parted(point)
        settings = options.read(self._source.directory, theirs, self._settings.limits)
        resolved, script = settings["resolve"], self._launched.script or os.getcwd()
        if not settings["use_logger"]:
            config = self._source.compose(mine, resolved)
            info = ConfigDict(about(script, self._typed(mine), None, False))
            return Context(ConfigDict(config), ConfigDict(settings), info, None), None  # type: ignore[arg-type]
        where = settings["logger"]
        try:
            run = Run(_parent(where["parent_log_dir"]), where["forced_log_id"], self._key(mine))
        except OSError as error:
            raise InputError(f"no run can be kept in {where['parent_log_dir']}: {error.strerror or error}.") from None
        try:
            if run.again:
                config = run.stored_config()
            elif run.resumed:
                config = self._source.resume(run.stored_config(), mine, resolved)
            else:
                config = self._source.compose(mine, resolved)
            run.begin(config, settings, script, self._typed(mine))
        except OSError as error:
            run.release()
            raise InputError(f"{run.place.root} cannot be written: {error.strerror or error}.") from None
        except BaseException:
            run.release()
            raise
        return Context(ConfigDict(config), ConfigDict(settings), run.info, run.logger), run

    def _ended(self, ctx: Context, run: Run | None) -> BaseException | None:
        """Call the function and note how it ended; what it was left with. An interrupt goes on."""
        failure: BaseException | None = None
        try:
            if self._launched.seeding_function is not None:
                self._launched.seeding_function(ctx.config["seed"])
            self._launched.task(ctx)
        except BaseException as error:
            failure = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        if run is not None:
            try:
                run.end(failure)
            except OSError as error:
                print(f"exs: {run.place.info} cannot be written: {error.strerror or error}.", file=sys.stderr)
                failure = failure or error
        if isinstance(failure, (Exception, SystemExit)) or failure is None:
            return failure
        raise failure

    def _key(self, mine: Sequence[Override]) -> str:
        """Which call of this job this is, so that its next attempt finds it; "" outside of a job."""
        if not job.id:
            return ""
        script = os.path.relpath(self._launched.script or ".")  # a job may run in a copy of its own each time
        said = repr((script, self._launched.task.__qualname__, self._typed(mine)))
        return f"{job.id}-{blake2b(said.encode(), digest_size=6).hexdigest()}"

    @staticmethod
    def _typed(mine: Sequence[Override]) -> list[str]:
        """The overrides of one run as text."""
        return [each.shown if each.prefix == "~" else f"{each.shown}{canonical(each.value)}" for each in mine]


def _parent(written: str) -> str:
    """Where runs are kept: in the run directory of a job that runs in a copy of its code, which is removed after it."""
    copied = job.id and os.environ.get("EXS_ATTEMPT", "") in Path.cwd().parts
    return os.path.join(job.output, written) if copied else written


def parted(point: Sequence[Override]) -> tuple[list[Override], list[Override]]:
    """The overrides of the user's own configuration, and those of MLXP's settings."""
    theirs = [each for each in point if each.path[0] == options.KEY]
    return [each for each in point if each not in theirs], theirs


def _fail(error: ExsError) -> NoReturn:
    print(f"exs: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


def _show(error: BaseException, name: str) -> None:
    """A run of several has failed; the others go on."""
    print(f"exs: {name} failed:", file=sys.stderr)
    if isinstance(error, SystemExit):
        print(f"it called sys.exit({error.code!r})", file=sys.stderr)
    else:
        traceback.print_exception(error)
