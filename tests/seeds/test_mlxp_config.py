"""What the command line, the files and `${...}` make of a configuration, and what the script sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exs.compat.mlxp import ConfigDict
from seeds.mlxp import Project

CONFIG = "seed: 0\nmodel:\n  num_units: 100\noptimizer:\n  lr: 10.\n  betas: [0.9, 0.99]\n"
SCRIPT = """
import json
import exs

@exs.launch
def main(ctx):
    print(json.dumps(ctx.config))

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", SCRIPT, CONFIG)


def configs(project: Project, *words: str) -> list[dict[str, object]]:
    import json

    return [json.loads(line) for line in project(*words).splitlines()]


def test_values_are_those_of_yaml(project: Project) -> None:
    words = ["+a=1e-3", "+b=true", "+c=null", "+d='1'", "+e=[1,x]", "+f={g: 2}", "+h=", "+i=yes", "++seed=3", "++j.k=4"]
    (found,) = configs(project, *words)
    wanted = {"a": 0.001, "b": True, "c": None, "d": "1", "e": [1, "x"], "f": {"g": 2}, "h": "", "i": "yes", "seed": 3}
    assert {key: found[key] for key in wanted} == wanted and found["j"] == {"k": 4}
    assert project.yaml("1/metadata/config.yaml") == found


def test_sweeps(project: Project) -> None:
    points = [(found["seed"], found["+x"[1:]]) for found in configs(project, "seed=range(1,4)", "+x=choice(7,8)")]
    assert points == [(1, 7), (1, 8), (2, 7), (2, 8), (3, 7), (3, 8)]
    assert [found["l"] for found in configs(project, "+l=[1,2],[3,4]")] == [[1, 2], [3, 4]]
    assert [found["l"] for found in configs(project, "+l='a,b',c")] == ["a,b", "c"]


def test_a_mapping_changes_its_keys_and_a_removed_key_is_gone(project: Project) -> None:
    (found,) = configs(project, "optimizer={lr: 2}", "~model.num_units")
    assert found["optimizer"] == {"lr": 2, "betas": [0.9, 0.99]} and found["model"] == {}


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("optimizer.lrr=1", "optimizer in {} has no key 'lrr'. Did you mean 'lr'? To add it, write +optimizer.lrr=..."),
        ("optimiser.lr=1", "{} has no key 'optimiser'. Did you mean 'optimizer'?"),
        ("+seed=1", "+seed=: {} has the key seed already. Leave out the +."),
        ("~sed", "~sed: {} has no key 'sed'. Did you mean 'seed'?"),
        ("seed.x=1", "seed.x=: in {} seed is a value, without keys."),
        ("optimizer.betas.0=1", "optimizer.betas is a list, without keys."),
        ("optimizer=adam", "in {} optimizer has keys of its own. Write optimizer.lr=..., or ++optimizer=..."),
        ("seed", "the word 'seed' is no override."),
        ("seed=1 seed=2", "the key 'seed' is given twice."),
        ("seed=interval(1,2)", "interval(...) is not known."),
        ("seed=[1", "expected ',' or ']'"),
        ("seed=${sed}", "${{sed}} names no key. Did you mean 'seed'?"),
        ("seed=1,${seed}", "${{seed}} leads back to itself: seed -> seed."),
        ("seed=${oc.env:HOME}", "no resolvers such as oc.env."),
        ("seed=range(10000000)", "more than the limit"),
        ("--name x", "belong to --push"),
        ("-- --push", "the word '--push' is no override."),
    ],
)
def test_what_is_wrong_is_one_sentence(project: Project, word: str, sentence: str) -> None:
    file = str(project.root / "configs" / "config.yaml")
    if word.startswith("--"):
        assert sentence in project.both(*word.split(), code=2)[1]
    else:
        assert sentence.format(file) in project.refused(*word.split(" ") if " seed" in word else [word])
    assert project.runs() == []


def test_the_line_of_a_file_that_is_wrong_is_named(project: Project) -> None:
    file = project.root / "configs" / "config.yaml"
    file.write_text("seed: 0\nseed: 1\n")
    assert f"exs: {file}:2: the key 'seed' stands twice" in project.refused()
    file.write_text("- 1\n")
    assert "holds [1], not key: value" in project.refused()


def test_references(project: Project) -> None:
    (project.root / "configs" / "config.yaml").write_text(
        "n: 5\nm: ${n}\ntext: ${n}0\ndeep: {copy: '${other}', one: '${deep.copy.x}'}\nother: {x: '${m}'}\n"
        "kept: \\${n}\n"
    )
    (found,) = configs(project, "n=7")
    assert found == {
        "n": 7,
        "m": 7,
        "text": "70",
        "deep": {"copy": {"x": 7}, "one": 7},
        "other": {"x": 7},
        "kept": "${n}",
    }
    (raw,) = configs(project, "mlxp.resolve=false")
    assert raw["m"] == "${n}"


def test_groups(project: Project) -> None:
    folder = project.root / "configs"
    (folder / "config.yaml").write_text("defaults: [model: small]\nseed: 0\n")
    for group, name, text in (
        ("model", "small", "width: 1"),
        ("model", "big", "width: 9"),
        ("data", "mnist", "size: 5"),
    ):
        (folder / group).mkdir(exist_ok=True)
        (folder / group / f"{name}.yaml").write_text(f"{text}\n")
    assert configs(project) == [{"model": {"width": 1}, "seed": 0}]
    assert [found["model"] for found in configs(project, "model=small,big", "model.width=3,4")] == [
        {"width": 3},
        {"width": 4},
    ] * 2
    assert configs(project, "model=big", "+data=mnist") == [{"model": {"width": 9}, "data": {"size": 5}, "seed": 0}]
    assert configs(project, "~model") == [{"seed": 0}]
    assert "model=bigg: there is no" in project.refused("model=bigg")
    assert "Did you mean 'big'?" in project.refused("model=bigg")
    assert "names no file" in project.refused("model=../config")
    (folder / "config.yaml").write_text("defaults: [_self_, model: small]\nmodel: {width: 2, more: 3}\n")
    assert configs(project) == [{"model": {"width": 1, "more": 3}}]
    (folder / "config.yaml").write_text("defaults: [model: small]\nmodel: {width: 2, more: 3}\n")
    assert configs(project) == [{"model": {"width": 2, "more": 3}}]
    (folder / "config.yaml").write_text("defaults: [override hydra/launcher: x]\n")
    assert "An entry is GROUP: OPTION, or _self_" in project.refused()


def test_to_look_is_not_to_run(project: Project) -> None:
    assert project("--cfg", "job", "seed=4,5").startswith("seed: 4\nmodel:\n num_units: 100\n")
    assert "optimizer.lr=0.1" in project("--help")
    assert project.runs() == []


# ------------------------------------------------------------ ConfigDict


def test_keys_are_attributes_to_read_and_to_write() -> None:
    config = ConfigDict({"optimizer": {"lr": 1}, "layers": [{"width": 2}]})
    assert config.optimizer.lr == config["optimizer"]["lr"] == 1 and config.layers[0].width == 2
    config.optimizer.lr = 2
    config.extra = {"a": {"b": 3}}
    assert (config["optimizer"]["lr"], config.extra.a.b) == (2, 3)
    del config.extra
    assert "extra" not in config and config.to_dict() == {"optimizer": {"lr": 2}, "layers": [{"width": 2}]}
    assert type(config.to_dict()["layers"][0]) is dict
    with pytest.raises(AttributeError, match=r"no key 'optimiser'\. Did you mean 'optimizer'"):
        config.optimiser  # noqa: B018
    assert getattr(config, "missing", 7) == 7


def test_copies_and_pickles_are_the_same_kind() -> None:
    import copy
    import pickle

    config = ConfigDict(a={"b": [1, {"c": 2}]})
    for other in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), config.copy(), config | {"d": {"e": 1}}):  # noqa: S301
        assert other.a.b[1].c == 2
    deep = copy.deepcopy(config)
    deep.a.b[1].c = 3
    assert config.a.b[1].c == 2
    assert (config | {"d": {"e": 1}}).d.e == 1


def test_what_is_printed_can_be_read_again() -> None:
    from exs.settings import Limits
    from exs.sweep import yamlfile

    config = ConfigDict(
        a="it's", b="two\nlines", c={}, d=[1, "x", {"y: z": None}], e={"f: g": {"h": True}}, i=1e-5, j="\x1b"
    )
    (document,) = yamlfile.load(str(config), "printed", "1.2", Limits())
    assert document.value == config
    assert "\x1b" not in str(config)
