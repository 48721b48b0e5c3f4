"""A directory becomes a capsule and a directory again: what belongs to it, what survives, what is refused."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exs.capsule.chunks import MOST, chunk, compressed, digest, manifest_from
from exs.capsule.pack import Capsule, pack
from exs.capsule.scan import scan
from exs.capsule.unpack import unpack
from exs.errors import BrokenRecord, InputError
from exs.settings import Limits

LIMITS = Limits()


def make(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """Files below `root`, made with it: None is a directory, `-> x` a link."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def packed(root: Path, *includes: Path, most: int = LIMITS.capsule_bytes, apart: tuple[str, ...] = ()) -> Capsule:
    return pack(scan(str(root), [str(path) for path in includes], apart, most_bytes=most, most_files=10_000))


def names(root: Path, *includes: Path, apart: tuple[str, ...] = ()) -> set[str]:
    found = scan(str(root), [str(path) for path in includes], apart, most_bytes=1 << 30, most_files=10_000)
    return {entry.path + "/" * (entry.kind == "d") for entry in found.entries}


def opened(capsule: Capsule, root: Path) -> Path:
    root.mkdir()
    unpack(((name, compressed(capsule.chunks[name])) for name in capsule.manifest.chunks), str(root))
    return root


def listing(root: Path) -> dict[bytes, tuple[int, bytes]]:
    """Every path below `root`, with its mode and its content or target."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                content = os.readlink(path)
            else:
                content = Path(os.fsdecode(path)).read_bytes() if stat.S_ISREG(mode) else b""
            found[os.path.relpath(path, os.fsencode(root))] = (0 if stat.S_ISLNK(mode) else mode, content)
    return found


def test_links_modes_empty_directories_and_odd_names_survive(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 \n'\"\\ -rf")
    root = make(
        tmp_path / "p",
        {"a/b/c.py": "print()", "empty/deep": None, "data": "-> a/b", "a/up": "-> ../a/b/c.py", "gone": "-> nothing",
         odd: "odd", "-rf": "x", "none": "", "big": os.urandom(3 * MOST + 5)},
    )  # fmt: skip
    (root / "a/b/c.py").chmod(0o755)
    (root / "none").chmod(0o444)
    (root / "empty").chmod(0o755)
    assert listing(opened(packed(root), tmp_path / "copy")) == listing(root)


def test_the_same_tree_makes_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    files = {f"m{i}/f{i}.py": f"x = {i}\n" * 50 for i in range(40)}
    one = packed(make(tmp_path / "one", files))
    two = packed(make(tmp_path / "two", dict(reversed(files.items()))))
    os.utime(tmp_path / "two" / "m1", (1, 1))
    assert one.name == two.name and one.chunks == two.chunks
    (tmp_path / "two" / "m1/f1.py").chmod(0o700)
    assert packed(tmp_path / "two").name != one.name


def test_an_edit_changes_few_chunks(tmp_path: Path) -> None:
    root = make(tmp_path / "p", {f"d/{i}": os.urandom(20_000) for i in range(500)})
    before = packed(root)
    (root / "d/77").write_bytes(b"shorter")
    after = packed(root)
    assert len(before.chunks) > 8
    assert len(set(after.chunks) - set(before.chunks)) <= 2


TABLE = {
    "plain": ({"a.py": "", "b/c.txt": ""}, {"a.py", "b/", "b/c.txt"}),
    "always": (
        {".git/config": "", "sub/.git": "gitdir: x", "a/__pycache__/m.pyc": "", "x.pyc": "", "x$py.class": "",
         ".mypy_cache/x": "", ".vscode/x": "", ".idea/x": "", "terraform/x": "", "terraform.tfstate.bak": "",
         "shared_fs/x": "", "sub/shared_fs/y": "", ".venv/pyvenv.cfg": "", "sub/env/pyvenv.cfg": "",
         "conda/conda-meta/history": "", ".gitignore": "*", ".detignore": "", "sub/.detignore": "*"},
        {"a/", "sub/", "sub/shared_fs/", "sub/shared_fs/y", ".gitignore"},
    ),
    "detignore at the root, with a negation": (
        {".detignore": "*.bin\n!keep.bin\n/only\nlogs/\n", "a.bin": "", "keep.bin": "", "s/b.bin": "", "only": "",
         "s/only": "", "logs/x": "", "s/logs/y": "", "s/.detignore": "*"},
        {"keep.bin", "s/", "s/only"},
    ),
    "exsignore at any level, the deepest decides": (
        {".exsignore": "*.bin\ndata/\n", "a.bin": "", "s/.exsignore": "!b.bin\n/c.py\n", "s/b.bin": "", "s/c.py": "",
         "s/t/c.py": "", "data/x": "", "s/data/x": ""},
        {".exsignore", "s/", "s/.exsignore", "s/b.bin", "s/t/", "s/t/c.py"},
    ),
    "a default can be taken back, what is never code cannot": (
        {".exsignore": "!terraform\n!.git\n!__pycache__\n", "terraform/main": "", ".git/x": "", "__pycache__/x": ""},
        {".exsignore", "terraform/", "terraform/main"},
    ),
    "comments, blanks, escapes, anchors and ** ": (
        {".exsignore": "# no\n\n\\#yes\na/**/z\n/top.txt\n[0-9].log\n", "#yes": "", "# no": "", "a/z": "",
         "a/b/c/z": "", "a/k": "", "top.txt": "", "b/top.txt": "", "1.log": "", "x.log": ""},
        {".exsignore", "# no", "a/", "a/b/", "a/b/c/", "a/k", "b/", "b/top.txt", "x.log"},
    ),
    "run directories": (
        {"output/Lr_1/param.json": "{}", "output/Lr_1/stat.json": "{}", "old/L/param.json": "{}",
         "old/L/log.run.x": "", "conf/param.json": "{}"},
        {"conf/", "conf/param.json", "old/"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_what_belongs_to_a_capsule(tmp_path: Path, case: str) -> None:
    files, expected = TABLE[case]
    root = make(tmp_path / "p", files)
    assert names(root, apart=(str(root / "output"),)) == expected


def test_a_pattern_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.exsignore"):
        names(make(tmp_path / "p", {".exsignore": "!\n", "x": ""}))


def test_includes_stand_at_the_root_and_no_path_twice(tmp_path: Path) -> None:
    root = make(tmp_path / "p", {"a.py": "1"})
    more = make(tmp_path / "more", {"lib/x.py": "", "lib/.detignore": "*.bin", "lib/y.bin": "", "b.py": "", "a.py": ""})
    assert names(root, more / "lib", more / "b.py") == {"a.py", "b.py", "lib/", "lib/x.py"}
    with pytest.raises(InputError, match=r"duplicate path 'a\.py'"):
        names(root, more / "a.py")
    with pytest.raises(InputError, match="no such file"):
        names(root, more / "nothing")
    with pytest.raises(InputError, match=r"is not a directory.*--include"):
        names(more / "b.py")
    with pytest.raises(InputError, match="does not exist"):
        names(tmp_path / "nothing")


def test_the_limit_is_exact_and_names_the_largest(tmp_path: Path) -> None:
    assert LIMITS.capsule_bytes == 99_614_720
    root = make(tmp_path / "p", {"a": b"x" * 600, "weights.bin": b"y" * 400, "dir": None})
    assert packed(root, most=1000).manifest.bytes == 1000
    with pytest.raises(InputError) as refused:
        packed(root, most=999)
    assert "1000 bytes" in str(refused.value) and "weights.bin 400 B" in str(refused.value)
    assert ".exsignore" in str(refused.value) and "--no-context" in str(refused.value)
    with pytest.raises(InputError, match="more than 2 files"):
        scan(str(root), most_bytes=1000, most_files=2)


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside", "loop/../outside", "."])
def test_a_link_that_leaves_the_directory_is_refused(tmp_path: Path, target: str) -> None:
    root = make(tmp_path / "p", {"sub/x": "", "loop": "-> .", "bad": f"-> {target}", "../outside": ""})
    if target == ".":  # stays where it is
        assert "bad" in names(root)
        return
    with pytest.raises(InputError, match=r"bad is a link to"):
        names(root)
    (root / ".exsignore").write_text("/bad\n")
    assert "bad" not in names(root)


def test_an_absolute_link_to_the_inside_is_refused_with_the_line_that_mends_it(tmp_path: Path) -> None:
    root = make(tmp_path / "it's", {"data/x": "1", "sub/x": f"-> {tmp_path}/it's/data/x"})
    with pytest.raises(InputError, match="in another place") as refused:
        names(root)
    subprocess.run(["bash", "-c", refused.value.hint.partition(": ")[2]], check=True)
    assert "sub/x" in names(root) and (root / "sub/x").read_text() == "1"


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    root = make(tmp_path / "p", {"a.py": "1", "z.py": "2"})
    found = scan(str(root), most_bytes=99, most_files=99)
    (root / "a.py").write_text("3")
    os.utime(root / "a.py", (1, 1))
    with pytest.raises(InputError, match=r"a\.py changed while it was packed"):
        pack(found)
    found = scan(str(root), most_bytes=99, most_files=99)
    (root / "z.py").unlink()
    with pytest.raises(InputError, match=r"z\.py"):
        pack(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = make(tmp_path / "p", {"secret": "1"})
    (root / "secret").chmod(0)
    with pytest.raises(InputError, match=r"cannot read .*secret"):
        packed(root)


ESCAPES = {
    "up": [["f", "../x", 0o644, 1]],
    "absolute": [["f", "/tmp/x", 0o644, 1]],
    "hidden up": [["d", "a", 0o755], ["f", "a/../../x", 0o644, 1]],
    "dot": [["f", "./x", 0o644, 1]],
    "nul": [["f", "a\0b", 0o644, 1]],
    "no parent": [["f", "a/x", 0o644, 1]],
    "link up": [["l", "x", "../y"]],
    "link absolute": [["l", "x", "/etc"]],
    "link through a link": [["l", "d", "."], ["l", "x", "d/../y"]],
    "through a link": [["d", "a", 0o755], ["l", "a", "."], ["f", "a/x", 0o644, 1]],
    "below a link": [["l", "a", "."], ["f", "a/x", 0o644, 1]],
    "setuid": [["f", "x", 0o4755, 1]],
    "negative": [["f", "x", 0o644, -1]],
    "too long": [["f", "x", 0o644, 9]],
    "goes on with another": [["f", "x", 0o644, 1], ["+", "y", 0]],
    "no list": {"f": 1},
    "no kind": [["x", "y"]],
}


@pytest.mark.parametrize("case", ESCAPES)
def test_a_member_that_would_escape_is_refused_when_it_is_unpacked(tmp_path: Path, case: str) -> None:
    items = ESCAPES[case]
    raw = chunk(items, [b"!"])  # type: ignore[arg-type]
    root = tmp_path / "deep" / "root"
    root.mkdir(parents=True)
    before = set(tmp_path.iterdir()) | set((tmp_path / "deep").iterdir())
    with pytest.raises(BrokenRecord):
        unpack([(digest(raw), compressed(raw))], str(root))
    assert set(tmp_path.iterdir()) | set((tmp_path / "deep").iterdir()) == before


def test_the_same_files_are_the_same_code_whatever_the_umask_of_their_clone(tmp_path: Path) -> None:
    codes = []
    for name, mode in (("ann", 0o644), ("bob", 0o664), ("runs", 0o755)):
        root = make(tmp_path / name, {"train.py": "print()"})
        (root / "train.py").chmod(mode)
        codes.append(packed(root).code)
    assert codes[0] == codes[1] != codes[2]


def test_bytes_that_are_not_what_their_name_says_are_refused(tmp_path: Path) -> None:
    capsule = packed(make(tmp_path / "p", {"a": "1"}))
    (name,) = capsule.chunks
    for data in (compressed(b"other"), b"no zlib", compressed(bytes(20 << 20))):
        with pytest.raises(BrokenRecord, match="not what its name says"):
            unpack([(name, data)], str(tmp_path))
    text = capsule.manifest.text().encode()
    assert manifest_from(text, capsule.name) == capsule.manifest
    with pytest.raises(BrokenRecord):
        manifest_from(text.replace(b'"files":1', b'"files":2'), capsule.name)


NAME = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {b"/", b"\0"} & {bytes([c]) for c in name} and name not in (b".", b"..")
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.lists(NAME, min_size=1, max_size=3).map(tuple), st.binary(max_size=50), max_size=8))
def test_any_names_survive(tmp_path_factory: pytest.TempPathFactory, files: dict[tuple[bytes, ...], bytes]) -> None:
    top = tmp_path_factory.mktemp("names")
    root = top / "p"
    root.mkdir()
    for parts, content in files.items():
        path = os.path.join(os.fsencode(root), *parts)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:  # noqa: PTH123
                file.write(content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # one name is a file and a directory
    belongs = {os.fsencode(name.rstrip("/")) for name in names(root)}
    assert set(listing(opened(packed(root), top / "copy"))) == belongs
