"""What the documents of a runner file say: templates, aliases, packs and defaults, then the choices of each sweep.

An alias names options: `[a]` becomes `--x V --y V` (list) or the options of the case that a's value names (mapping). A
pack fills parameters in the same two ways. Runner's later versions wrote packs under `alias`, so an alias that no
template shows is a pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exs.command import text_of
from exs.errors import InputError
from exs.model import Json
from exs.sweep.expand import Axis
from exs.sweep.fields import Fields
from exs.sweep.naming import check_typed
from exs.sweep.suggest import shorten, unknown_key
from exs.sweep.template import Alias
from exs.sweep.yamlfile import Document

KEYS = ("template", "resource", "default", "alias", "pack")
CHOICE_KEYS = ("_title", "_cmd")


@dataclass(frozen=True)
class Config:
    """The first document. `aliases`: what templates show as `[a]`; `packs`: what fills other parameters."""

    fields: Fields
    templates: Mapping[str, str]
    default: Mapping[str, Json]
    aliases: Mapping[str, Alias]
    packs: Mapping[str, Alias]


@dataclass(frozen=True)
class Choice:
    """One further document. `filled`: parameters that a pack sets; they are no part of a job's name."""

    fields: Fields
    commands: tuple[str, ...]
    groups: Sequence[Sequence[Axis]]
    constants: Mapping[str, Json]
    filled: frozenset[str]

    @property
    def values(self) -> dict[str, Sequence[Json]]:
        """Every parameter of its jobs with the values it takes."""
        swept = {axis.name: axis.values for group in self.groups for axis in group}
        return {name: [value] for name, value in self.constants.items()} | swept


def read_config(document: Document) -> Config:
    """The first document; raises InputError with file:line."""
    fields = Fields.of(document)
    fields.check_known(KEYS)
    section = fields.section("template")
    if not section.data:
        raise InputError(f"{fields.at('template')}: 'template' has no command.", "Add: train: python train.py ...")
    templates = {name: _template(section, name) for name in section}
    text = "\n".join(templates.values())
    written = _aliases(fields.section("alias"))
    aliases = {name: alias for name, alias in written.items() if f"[{name}]" in text}
    packs = {name: alias for name, alias in written.items() if name not in aliases}
    packs |= _aliases(fields.section("pack"))
    for name in packs:
        key = "pack" if name in fields.section("pack") else "alias"
        if f"{{{name}}}" in text or f"[{name}]" in text:
            raise InputError(
                f"{fields.at(key, name)}: {name!r} only fills other parameters, but a template shows it.",
                "Show those instead.",
            )
        _check_same_keys(name, packs[name], fields.at(key, name))
    return Config(fields, templates, fields.section("default").data, aliases, packs)


def _template(section: Fields, name: str) -> str:
    check_typed(name, "the command", section.at(name))
    return "" if section.get(name) == "" else section.text(name) or ""


def _aliases(section: Fields) -> dict[str, Alias]:
    found: dict[str, Alias] = {}
    for name, written in section.data.items():
        names = isinstance(written, list) and all(isinstance(each, str) for each in written)
        cases = isinstance(written, dict) and all(isinstance(case, dict) for case in written.values())
        if not written or not (names or cases):
            raise section.wrong(name, "a list of names, or a mapping of each value to what it stands for")
        found[name] = written
    return found


def _check_same_keys(name: str, alias: Alias, where: str) -> None:
    cases = list(alias.values()) if isinstance(alias, Mapping) else []
    if any(set(case) != set(cases[0]) for case in cases):
        raise InputError(
            f"{where}: the values of {name!r} do not all fill the same parameters.", "Add what is missing."
        )


def selected(documents: Sequence[Document], title: str | None) -> Sequence[Document]:
    """The documents of choices; with `title`, those that have it. Raises InputError if there are none."""
    choices = documents[1:]
    if not choices:
        raise InputError(
            f"{documents[0].source}: has no choices of parameters.", "Add a line --- and, below it, param: [1, 2]."
        )
    if title is None:
        return choices
    titles = [str(fields.get("_title")) for fields in map(Fields.of, choices) if "_title" in fields]
    if title not in titles:
        there_are = f"There are: {', '.join(dict.fromkeys(titles))}." if titles else "No document has a `_title`."
        raise InputError(f"{documents[0].source}: no document has the title {shorten(title)}.", there_are)
    return [document for document in choices if str(Fields.of(document).get("_title")) == title]


def read_choice(document: Document, config: Config) -> Choice:
    """One document of choices; raises InputError with file:line."""
    fields = Fields.of(document)
    if not fields.data:
        raise InputError(f"{document.where()}: this document is empty.", "Give it parameters, or remove its ---.")
    groups = [[Axis(name, values), *_filled(name, values, config, fields)] for name, values in _written(fields).items()]
    swept = [axis.name for group in groups for axis in group]
    constants = {name: value for name, value in config.default.items() if name not in swept}
    packed = {
        axis.name: axis.values[0]
        for name, value in constants.items()
        for axis in _filled(name, [value], config, config.fields.section("default"))
    }
    twice = [name for at, name in enumerate(swept) if name in swept[:at] or name in packed]
    if twice:
        raise InputError(f"{fields.at(twice[0])}: {twice[0]!r} is set here and by a pack.", "Remove one of them.")
    filled = {axis.name for group in groups for axis in group[1:]} | set(packed)
    return Choice(fields, _commands(fields, config.templates), groups, constants | packed, frozenset(filled))


def _written(fields: Fields) -> dict[str, list[Json]]:
    """The values of each parameter; a single one stands for a list of one."""
    found: dict[str, list[Json]] = {}
    for name, written in fields.data.items():
        if name in CHOICE_KEYS:
            continue
        if name.startswith("_"):
            raise unknown_key(name, CHOICE_KEYS, fields.at(name))
        if written == [] or isinstance(written, dict):
            raise fields.wrong(name, "a list of at least one value")
        found[name] = written if isinstance(written, list) else [written]
    return found


def _filled(name: str, values: Sequence[Json], config: Config, fields: Fields) -> list[Axis]:
    """What a pack called `name` fills, in step with its values; checks the values of aliases as well."""
    alias = config.packs.get(name, config.aliases.get(name))
    if alias is None:
        return []
    if not isinstance(alias, Mapping):
        return [Axis(each, values) for each in alias] if name in config.packs else []
    for value in values:
        if text_of(value, name) not in alias:
            raise InputError(
                f"{fields.at(name)}: {name!r} has no value {shorten(value)}.", f"There are: {', '.join(alias)}."
            )
    if name not in config.packs:
        return []
    first = next(iter(alias.values()))
    return [Axis(each, [alias[text_of(value, name)][each] for value in values]) for each in first]


def _commands(fields: Fields, templates: Mapping[str, str]) -> tuple[str, ...]:
    """The templates that `_cmd` names, () for all of them."""
    written = fields.get("_cmd")
    names = written if isinstance(written, list) else [] if written is None else [written]
    return checked_commands(names, templates, fields.at("_cmd"))


def checked_commands(names: Sequence[Json], templates: Mapping[str, str], where: str) -> tuple[str, ...]:
    """`names` in the order of the templates; raises InputError for one that is none of them."""
    for name in names:
        if name not in templates:
            raise InputError(f"{where}: there is no command {shorten(name)}.", f"There are: {', '.join(templates)}.")
    return tuple(name for name in templates if name in names)
