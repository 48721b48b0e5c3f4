"""Determined's dialect: `entrypoint`, typed `hyperparameters` and a `searcher` (single, grid or random)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from exs.errors import InputError
from exs.model import DEFAULT_PRIORITY, Json, Resources, Spec
from exs.sweep.context import Context, check_name, check_options, clean_name
from exs.sweep.dialects import hyperparameters
from exs.sweep.dialects.own import check_env_name, command, stop_signal
from exs.sweep.dialects.sampling import sampling
from exs.sweep.expand import Block, checked_count, jobs
from exs.sweep.failures import log_policies
from exs.sweep.fields import Fields
from exs.sweep.model import Sweep
from exs.sweep.naming import Namer
from exs.sweep.resources import MOST_GPUS, pool
from exs.sweep.space import Space
from exs.sweep.suggest import hint, shorten
from exs.sweep.yamlfile import Document

#: `stop_signal` is none of Determined's, whose trials ask whether they are to stop; a script may want a signal.
_KEYS = (
    "name entrypoint hyperparameters searcher max_restarts resources environment reproducibility preemption_timeout "
    "log_policies stop_signal"
)
KEYS = tuple(_KEYS.split())
#: Keys of Determined that say nothing about a job here; one line lists them.
_UNUSED = (
    "description labels data workspace project bind_mounts checkpoint_storage checkpoint_policy "
    "retention_policy slurm pbs profiling scheduling_unit records_per_epoch min_validation_period integrations "
    "min_checkpoint_period optimizations tensorboard_storage debug internal perform_initial_validation security"
)
UNUSED = tuple(_UNUSED.split())
RESOURCES = ("slots_per_trial", "max_slots", "priority", "resource_pool", "weight")
UNUSED_RESOURCES = ("is_single_node", "shm_size", "devices", "native_parallel", "agent_label")
_ENVIRONMENT = "image pod_spec registry_auth add_capabilities drop_capabilities force_pull_image ports proxy_ports"
UNUSED_ENVIRONMENT = tuple(_ENVIRONMENT.split())
SEARCHERS = ("single", "grid", "random")
ADAPTIVE = ("adaptive_asha", "async_halving", "adaptive", "adaptive_simple", "sync_halving", "pbt", "custom")
#: `metric` and `smaller_is_better` say how results are judged, which is the reader's business, not the queue's.
SEARCHER = ("name", "metric", "smaller_is_better", "max_trials", "max_concurrent_trials")
UNUSED_SEARCHER = ("source_trial_id", "source_checkpoint_uuid", "max_length")
_CLASS = re.compile(r"\s*[A-Za-z_][\w.]*:[A-Za-z_]\w*\s*\Z")
MAX_RESTARTS = 5


@dataclass(frozen=True)
class _Plan:
    """What a searcher asks for: a grid, or `samples` random trials."""

    samples: int | None
    seed: int
    space: Space


def read(documents: list[Document], context: Context) -> Sweep:
    """The sweep of one of Determined's experiment configurations; raises InputError with file:line."""
    fields = Fields.of(documents[0])
    unused = _unused(fields, KEYS, UNUSED)
    plan = _plan(fields, context, unused)
    commands = {"run": _entrypoint(fields, plan.space)}
    check_options(context, commands)
    needs = fields.section("resources")
    unused += _unused(needs, RESOURCES, UNUSED_RESOURCES, "resources.")
    slots = needs.integer("slots_per_trial", 0, MOST_GPUS)
    block = Block(
        axes=plan.space.groups,
        constants=plan.space.constants,
        resources=Resources(gpus=slots),
        draws=plan.space.draws,
        order=plan.space.order,
    )
    restarts = fields.integer("max_restarts", 0)
    spec = _spec(fields, commands, slots, context, unused)
    notes = [f"not used by exs: {', '.join(unused)}"] if unused else []
    return Sweep(
        name=_name(fields, context, notes),
        source=context.source,
        dialect="Determined",
        spec=spec,
        count=checked_count([block], plan.samples, context.limits, fields.document.source),
        build=lambda sweep: jobs(sweep, [block], Namer(), plan.samples, plan.seed, limits=context.limits),
        pool=pool(needs, "resource_pool", context.limits),
        priority=needs.integer("priority", 1, 99) or DEFAULT_PRIORITY,
        retries=MAX_RESTARTS if restarts is None else restarts,
        weight=needs.weight("weight"),
        max_running=_max_running(needs, fields.section("searcher"), slots),
        notes=notes,
    )


def _unused(fields: Fields, known: tuple[str, ...], unused: tuple[str, ...], prefix: str = "") -> list[str]:
    fields.check_known((*known, *unused))
    return [f"{prefix}{key}" for key in fields if key in unused]


def _name(fields: Fields, context: Context, notes: list[str]) -> str:
    """The experiment's name. Determined's may hold anything, so what cannot stand in a name becomes `-`."""
    written = fields.text("name")
    if written is None or context.options.name is not None:
        return context.experiment_name()
    name = clean_name(written, context.limits)
    if name != written:
        notes.append(f"name: {shorten(written)} is called {name} here")
    return check_name(name, fields.at("name"), context.limits)


def _plan(fields: Fields, context: Context, unused: list[str]) -> _Plan:
    searcher = fields.section("searcher")
    kind = searcher.text("name")
    if kind is None:
        raise InputError(
            f"{searcher.at()}: the searcher has no name.", "Write searcher: {name: grid, metric: validation_loss}."
        )
    if kind in ADAPTIVE:
        raise InputError(
            f"{searcher.at('name')}: the searcher {kind} stops and starts trials while they run, "
            "which a sweep file here does not do.",
            "Use grid or random.",
        )
    if kind not in SEARCHERS:
        raise InputError(f"{searcher.at('name')}: unknown searcher {shorten(kind)}.", hint(kind, SEARCHERS))
    unused += _unused(searcher, SEARCHER, UNUSED_SEARCHER, "searcher.")
    found = hyperparameters.read(fields.section("hyperparameters"), kind, context.limits)
    samples, seed = sampling(context)
    if kind == "random":
        trials = searcher.integer("max_trials", 1, context.limits.sweep_jobs)
        if trials is None:
            raise InputError(f"{searcher.at()}: the random searcher has no max_trials.", "Add max_trials: 20.")
        samples = trials if samples is None else samples
    repeatable = fields.section("reproducibility")
    repeatable.check_known(("experiment_seed",))
    written_seed = repeatable.integer("experiment_seed", 0, 2**31 - 1) or 0
    return _Plan(samples, written_seed if context.options.seed is None else seed, found)


def _entrypoint(fields: Fields, found: Space) -> dict[str, Json]:
    """The compiled entry point. `{lr}` may stand for `optimizer.lr` where no other name ends so."""
    written = fields.get("entrypoint")
    if written is None:
        raise InputError(f"{fields.document.source}: has no entrypoint.", "Add: entrypoint: python3 train.py")
    if isinstance(written, str) and _CLASS.match(written):
        raise InputError(
            f"{fields.at('entrypoint')}: {written.strip()!r} names a class, which only Determined's own trainer runs.",
            "Write the command that starts the training: entrypoint: python3 train.py",
        )
    whole = _whole_names(found)

    def widen(text: Json) -> Json:
        if not isinstance(text, str):
            return text
        return re.sub(r"\{([\w-]+)\}", lambda match: f"{{{whole.get(match[1], match[1])}}}", text)

    widened = [widen(word) for word in written] if isinstance(written, list) else widen(written)
    return command(replace(fields, data={**fields.data, "entrypoint": widened}), "entrypoint", found, "determined")


def _whole_names(found: Space) -> dict[str, str]:
    """Last part of a dotted name -> the name, where only one name ends so and none is just that."""
    endings: dict[str, list[str]] = {}
    for name in found.order:
        endings.setdefault(name.rpartition(".")[2], []).append(name)
    return {last: names[0] for last, names in endings.items() if len(names) == 1}


def _max_running(needs: Fields, searcher: Fields, slots: int | None) -> int | None:
    """Trials at a time: as many as fit into max_slots, and at most max_concurrent_trials (0 is no limit)."""
    limits = []
    most = needs.integer("max_slots", 0)
    if most is not None:
        if most < (slots or 1):
            raise InputError(f"{needs.at('max_slots')}: no trial of {slots or 1} slots fits into max_slots {most}.")
        limits.append(most // max(1, slots or 1))
    at_once = searcher.integer("max_concurrent_trials", 0)
    if at_once:
        limits.append(at_once)
    return min(limits, default=None)


def _spec(
    fields: Fields, commands: dict[str, dict[str, Json]], slots: int | None, context: Context, unused: list[str]
) -> Spec:
    env = _environment(fields.section("environment"), slots, unused)
    seed = fields.section("reproducibility").integer("experiment_seed", 0)
    if seed is not None:
        env.setdefault("EXS_SEED", str(seed))
    return Spec(
        commands=commands,
        cwd=context.cwd,
        output=context.output(),
        env=env,
        job_dirs=context.options.job_dirs,
        grace=fields.duration("preemption_timeout"),
        log_policies=log_policies(fields, context.limits),
        stop_signal=stop_signal(fields),
        datetime=context.datetime,
    )


def _environment(section: Fields, slots: int | None, unused: list[str]) -> dict[str, str]:
    """Variables of `environment_variables`: a list, or one per kind of device."""
    unused += _unused(section, ("environment_variables",), UNUSED_ENVIRONMENT, "environment.")
    path: tuple[str, ...] = ("environment_variables",)
    written = section.get(*path)
    if isinstance(written, dict):
        section.section(*path).check_known(("cpu", "cuda", "gpu", "rocm"))
        device = "cpu" if slots == 0 else next((kind for kind in ("cuda", "gpu", "rocm") if kind in written), "cuda")
        path = (*path, device)
        written = written.get(device)
    if not isinstance(written or [], list):
        raise InputError(f"{section.at(*path)}: must be a list like [NAME=value], not {shorten(written)}.")
    env: dict[str, str] = {}
    for at, item in enumerate(written or []):
        name, equals, value = item.partition("=") if isinstance(item, str) else ("", "", "")
        if not equals:
            raise InputError(f"{section.at(*path, at)}: {shorten(item)} is not of the form NAME=value.")
        check_env_name(name, section.at(*path, at))
        env[name] = value
    return env
