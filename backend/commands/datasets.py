"""`lamina datasets`: the data sets on a terminal, and one fetched with a progress bar or as JSON lines."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from backend.commands.telling import screen, table
from nets.datasets import DATASETS, DatasetInfo, info, prepare, problem, source
from nets.errors import DataError

log = logging.getLogger("lamina.datasets")

HERE = {"bundled": "bundled", "cache": "yes", "prepared": "to convert", "files": "to convert", None: "no"}


def list_all(data_dir: Path, *, as_json: bool = False) -> int:
    """Prints every data set with what it holds, and whether it is here. Returns the exit code."""
    if as_json:
        print(json.dumps({"datasets": [entry_of(info(name), data_dir) for name in DATASETS]}))
        return 0
    numbers = ("train", "test", "image", "classes", "download")
    made = table("name", *numbers, "here", right=numbers, loose=())
    for name in DATASETS:
        made.add_row(*row_of(info(name), data_dir))
    console = screen()
    console.show(made)
    console.print(f"They are kept in {data_dir}", soft_wrap=True)
    for reason in filter(None, (problem(name, data_dir) for name in DATASETS)):
        console.print(reason, markup=False, soft_wrap=True)
    console.print("`lamina datasets prepare NAME` downloads one.")
    return 0


def row_of(about: DatasetInfo, data_dir: Path) -> list[str]:
    """One data set as the table shows it."""
    size = f"{about.download_mb:.0f} MB" if about.download_mb else "-"
    here = "damaged" if problem(about.name, data_dir) else HERE[source(about.name, data_dir)]
    image = " x ".join(str(extent) for extent in about.shape)
    return [about.name, f"{about.train_size:,}", f"{about.test_size:,}", image, str(len(about.classes)), size, here]


def entry_of(about: DatasetInfo, data_dir: Path) -> dict[str, object]:
    """One data set for programs, by the names that a server tells it with."""
    return {
        "name": about.name,
        "title": about.title,
        "shape": list(about.shape),
        "classes": list(about.classes),
        "train_size": about.train_size,
        "test_size": about.test_size,
        "download_mb": about.download_mb,
        "source": source(about.name, data_dir),
        "problem": problem(about.name, data_dir),
    }


def prepare_with_bar(name: str, data_dir: Path) -> int:
    """Fetches `name` with a progress bar; plain lines where there is no terminal. Returns the exit code."""
    console = Console(highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    try:
        if console.is_terminal:
            with Progress(*columns, console=console) as bar:
                task = bar.add_task(f"preparing {name}", total=None)
                done = prepare(name, data_dir, progress=partial(show_on_bar, bar, task))
        else:
            done = prepare(name, data_dir, progress=print_changes())
    except DataError as reason:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"lamina: {reason}", markup=False)
        return 1
    images = f"{len(done.train_inputs):,} training and {len(done.test_inputs):,} test images"
    console.print(f"{name} is ready: {images}, {len(done.info.classes)} classes", soft_wrap=True)
    return 0


def show_on_bar(bar: Progress, task: TaskID, fraction: float | None, text: str) -> None:
    """Shows `fraction` 0..1; where it is None the bar moves without an end in sight, or stays."""
    if fraction is None:
        bar.update(task, description=text)
    else:
        bar.update(task, description=text, total=1.0, completed=fraction)


def print_changes() -> Callable[[float | None, str], None]:
    """Prints the text of a progress report when it is another one."""
    last = ""

    def report(fraction: float | None, text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            print(text, flush=True)

    return report


def prepare_as_json(name: str, data_dir: Path) -> int:
    """Fetches `name` for another process: lines {"fraction", "message"}, at last {"done": true} or {"error"}.

    Ends when the process that started it, and holds a pipe to its standard input, is gone.
    """
    die_with_parent()
    try:
        prepare(name, data_dir, progress=lambda fraction, text: _tell(fraction=fraction, message=text))
    except DataError as reason:
        _tell(error=str(reason))
        return 1
    except Exception as bug:
        log.exception("preparing %s failed", name)
        _tell(error=f"preparing {name} failed: {type(bug).__name__}: {bug}")
        return 1
    _tell(done=True)
    return 0


def _tell(**fields: object) -> None:
    print(json.dumps(fields, allow_nan=False), flush=True)


def die_with_parent() -> None:
    """Call first in the child: ends this process at once when its parent is gone, whatever it is doing.

    The parent holds the other end of stdin; the kernel closes it even when the parent was killed. Without a pipe on
    stdin (a person's own `--json` call) nothing happens.
    """
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
