"""Compiled code that is kept: taken from nobody else, and only as what it was put there for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nets.process.code_cache import Shelf, Untrusted

NAME, CODE = "jit_step-0123-cache", b"machine code"
NOBODY = 65534


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Where `CODE` is kept as `NAME`."""
    (tmp_path / "state").mkdir(mode=0o755)
    shelf = Shelf(tmp_path / "state" / "compiled", made_for="this CPU")
    shelf.put(NAME, CODE)
    assert shelf.get(NAME) == CODE
    return shelf


def test_whatever_the_umask_nobody_else_may_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        shelf = Shelf(tmp_path / "compiled")
        shelf.put(NAME, CODE)
    finally:
        os.umask(before)
    assert shelf.folder.stat().st_mode & 0o777 == 0o700
    assert [(path.name, path.stat().st_mode & 0o777) for path in shelf.folder.iterdir()] == [(NAME, 0o600)]


def test_a_folder_that_others_could_read_is_closed_to_them(shelf: Shelf) -> None:
    shelf.folder.chmod(0o755)
    assert shelf.get(NAME) == CODE and shelf.folder.stat().st_mode & 0o777 == 0o700


def linked_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "written to by all": (lambda folder: folder.chmod(0o777), r"compiled may be written to by others \(mode 0777\)"),
    "written to by a group": (lambda folder: folder.chmod(0o770), "compiled may be written to by others"),
    "sticky": (lambda folder: folder.chmod(0o1777), "compiled may be written to by others"),
    "in a folder of all": (lambda folder: folder.parent.chmod(0o777), "state may be written to by others"),
    "a link": (linked_folder, r"compiled cannot be used \(.+\): make it a folder, or remove it"),
    "a file": (no_folder, "compiled cannot be used"),
}
OTHERS_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "of another": (lambda folder: os.chown(folder, NOBODY, -1), "compiled belongs to user 65534 and not to 0"),
    "in a folder of another": (lambda folder: os.chown(folder.parent, NOBODY, -1), "state belongs to user 65534"),
}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize(
    "spoil", [*FOLDERS.values(), *(pytest.param(each, marks=AS_ROOT) for each in OTHERS_FOLDERS.values())]
)
def test_no_folder_is_used_that_others_may_write_to(shelf: Shelf, spoil: tuple[Callable[[Path], None], str]) -> None:
    change, sentence = spoil
    change(shelf.folder)
    with pytest.raises(Untrusted, match=sentence):
        shelf.require()
    assert shelf.get(NAME) is None
    shelf.put("another", CODE)
    assert not list(shelf.folder.parent.rglob("another"))


def test_a_folder_of_another_user_is_not_used(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as anybody: to another process all of it belongs to somebody else."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(Untrusted, match=r"state belongs to user \d+ and not to \d+, who runs this"):
        shelf.require()
    assert shelf.get(NAME) is None


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FILES: dict[str, Callable[[Path], object]] = {
    "a link": linked,
    "a pipe": pipe,
    "written to by a group": lambda path: path.chmod(0o620),
    "written to by all": lambda path: path.chmod(0o602),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "changed": lambda path: path.write_bytes(path.read_bytes().replace(b"code", b"cude")),
    "gone": Path.unlink,
}


@pytest.mark.parametrize(
    "spoil", [*FILES.values(), pytest.param(lambda path: os.chown(path, NOBODY, -1), marks=AS_ROOT)]
)
def test_no_file_is_used_that_others_may_have_written(shelf: Shelf, spoil: Callable[[Path], object]) -> None:
    spoil(shelf.folder / NAME)
    assert shelf.get(NAME) is None
    shelf.put(NAME, CODE)
    assert shelf.get(NAME) == CODE, "compiled and kept again"


def test_a_file_is_what_its_name_says_on_the_cpu_that_it_was_made_for(shelf: Shelf) -> None:
    shutil.copy(shelf.folder / NAME, shelf.folder / "jit_other-4567-cache")
    assert shelf.get("jit_other-4567-cache") is None
    assert replace(shelf, made_for="another CPU").get(NAME) is None


def test_what_cannot_be_kept_is_no_error(shelf: Shelf) -> None:
    (shelf.folder / "a folder").mkdir()
    shelf.put("a folder", CODE)
    assert shelf.get("a folder") is None
    assert {path.name for path in shelf.folder.iterdir()} == {NAME, "a folder"}
    shutil.rmtree(shelf.folder.parent)
    shelf.put(NAME, CODE)
    assert shelf.get(NAME) is None


PROGRAM = """
import sys
from pathlib import Path
import jax, jax.numpy as jnp
from jax._src import monitoring
from nets.process.device import keep_compiled_programs

folder, hits = Path(sys.argv[1]) / "compiled", []
monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None)
keep_compiled_programs(folder)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

def double(x):
    return x + x

def square(x):
    return x * x

def pair(x):
    return x, x

def told():
    jax.clear_caches()
    before, x = len(hits), jnp.full(4, 5, jnp.int32)
    results = [int(jax.jit(double)(x)[0]), int(jax.jit(square)(x)[0]), int(jax.jit(pair)(x)[1][0])]
    return results, len(hits) - before

first, _ = told()
again, kept = told()
paths = [next(folder.glob(f"jit_{name}-*")) for name in ("double", "square", "pair")]
contents = [path.read_bytes() for path in paths]
for path, content in zip(paths, contents[1:] + contents[:1]):
    path.write_bytes(content)
misplaced, hits_misplaced = told()
print([first, again, misplaced], kept - hits_misplaced)
print(told()[1] == kept)
"""


def test_a_program_under_the_name_of_another_is_compiled_again(tmp_path: Path) -> None:
    """One of the same arguments would give the numbers of the other, one of other results an error for good."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert lines == [f"{[[10, 25, 5]] * 3} 3", "True"]
