"""`lamina gc`, `export-state` and `import-state` on a terminal. Never imports JAX."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from backend.config import ConfigError
from backend.events.wire import state_data
from backend.state.archive import ArchiveError, Moved, Report, export_state, import_state
from backend.state.backup import require_present_schema
from backend.state.directory import NoDirectory, require_directory
from backend.state.garbage import KINDS, RECORDS, Found, Left, garbage, remove, sifted
from backend.state.integrity import Damaged, require_whole
from backend.state.lock import StateInUse, StateLock, own
from backend.state.merge import merge_state
from backend.state.records import Json
from backend.state.schema import UnknownSchema
from backend.state.store import STORE_FILE, Store


def merge(state_dir: Path, archive: Path) -> int:
    """Adds the runs, models and benchmarks of a tar to the state that is there, with a progress bar. Its exit code."""
    if not (_directory(state_dir) / STORE_FILE).is_file():
        return import_(state_dir, archive)
    with at_hand(state_dir) as place, complaining() as console, bar(console, f"reading {archive.name}") as progress:
        if not place.beside:  # brings the store to the present schema
            with closing(Store(place.path / STORE_FILE)) as store:
                store.verify()
        place.let_go()
        merged = merge_state(archive, place.path, ending=_ending, held=at_hand(state_dir), progress=progress)
    print(
        f"{place.path} has got {merged.runs} runs, {merged.models} models,{_benchmarks(merged.benchmarks)}"
        f" {merged.files} files, {decimal(merged.size)} from {archive.name};{_benchmarks(merged.same_benchmarks)}"
        f" {merged.same_runs} runs and {merged.same_models} models were there already;"
        f" SHA-256 {merged.sha256}"
    )
    if place.beside:
        print(f"The server that uses {place.path} could not write for {1000 * merged.paused:.1f} ms.")
    _tell(merged.left_out)
    return 0


def _ending(run_id: str, error: str) -> Json:
    return state_data(run_id, "failed", error=error)


@dataclass(frozen=True)
class Place:
    """A state directory at hand. `lock`: while it is ours alone; without it, a server uses the directory as well."""

    path: Path
    lock: StateLock | None

    @property
    def beside(self) -> bool:
        """Whether a server, or another command, uses the directory."""
        return self.lock is None

    def let_go(self) -> None:
        """Let a server start, which would wait for us only for seconds."""
        if self.lock is not None:
            self.lock.close()


def collect(state_dir: Path, *, yes: bool, as_json: bool) -> int:
    """Lists what nobody needs any more, and removes it where `yes`. Returns the exit code: 1 if something stayed."""
    with at_hand(state_dir) as place, closing(Store(place.path / STORE_FILE)) as store:
        store.verify(mend=not place.beside)
        found, left = sifted(garbage(place.path, store), store, beside=place.beside)
        failed: list[tuple[Found, OSError]] = []
        if yes:
            failed, needed = remove(found, store, place.path, beside=place.beside)
            found = [each for each in found if each not in [one.found for one in needed]]
            left += needed
        _tell(store.unreadable.sentences())
    if as_json:
        _print_json(place, found, failed, left, removed=yes)
    else:
        _print_table(place.path, found, removed=yes)
        _print_left(place, left)
    for each, error in failed:
        print(f"lamina: {each.path} stays ({error.strerror})", file=sys.stderr)
    return 1 if failed else 0


def export(state_dir: Path, archive: Path) -> int:
    """Writes the state to one tar, with a progress bar. Returns the exit code."""
    with (
        at_hand(state_dir) as place,
        complaining() as console,
        bar(console, f"writing {archive.name}") as progress,
    ):
        if not place.beside:  # brings the store to the present schema
            with closing(Store(place.path / STORE_FILE)) as store:
                store.verify()
        moved = export_state(place.path, archive, progress=progress, taken=place.let_go)
    _say_moved(f"{archive} holds", moved)
    if place.beside:
        print(f"The server that uses {place.path} could not write for {1000 * moved.paused:.1f} ms.")
    for run_id in moved.damaged:
        text = f"the weights of run {run_id} do not match its record; they were exported as they are"
        print(f"lamina: {text}", file=sys.stderr)
    _tell(moved.left_out)
    return 0


def import_(state_dir: Path, archive: Path) -> int:
    """Puts the state of a tar where there is none yet, with a progress bar. Returns the exit code."""
    here = _directory(state_dir)
    with complaining() as console, bar(console, f"reading {archive.name}") as progress:
        moved = import_state(archive, here, progress=progress)
    _say_moved(f"{here} holds", moved)
    _tell(moved.left_out)
    return 0


@contextmanager
def at_hand(state_dir: Path) -> Iterator[Place]:
    """The state directory, to ourselves or beside a server that runs. ConfigError where there is no state to use."""
    here = _directory(state_dir)
    store = here / STORE_FILE
    if not store.is_file():
        raise ConfigError(f"--state-dir: {state_dir} holds no Lamina state")
    try:
        lock = own(here, patience=0.0)
    except StateInUse:
        lock = None
    except OSError as reason:
        raise ConfigError(f"--state-dir: cannot write to {state_dir} ({reason.strerror})") from None
    with lock or nullcontext():
        try:
            if lock is not None:
                require_whole(store)  # an emptied store would make garbage of every run
            else:
                require_present_schema(store)
            yield Place(here, lock)
        except (UnknownSchema, Damaged) as reason:
            raise ConfigError(f"--state-dir: {reason}") from None
        except sqlite3.Error as reason:
            raise ConfigError(f"--state-dir: {STORE_FILE} cannot be used ({reason})") from None


def _directory(state_dir: Path) -> Path:
    """Where a link leads. ConfigError where that is nowhere."""
    try:
        require_directory(state_dir)
    except NoDirectory as reason:
        raise ConfigError(f"--state-dir: {reason}") from None
    return state_dir.resolve()


@contextmanager
def complaining() -> Iterator[Console]:
    """What went wrong becomes one sentence and exit code 1. SIGTERM ends as Ctrl-C does: with everything cleared up."""

    def stop(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield Console(highlight=False, stderr=True)
    except ArchiveError as problem:
        raise SystemExit(f"lamina: {problem}") from None
    except OSError as problem:
        place = f"{problem.filename}: " if problem.filename else ""
        raise SystemExit(f"lamina: {place}{problem.strerror}") from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def bar(console: Console, text: str) -> Iterator[Report]:
    """A progress bar of bytes; nothing where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _tell(sentences: list[str]) -> None:
    for sentence in sentences:
        print(f"lamina: {sentence}", file=sys.stderr)


def _say_moved(what: str, moved: Moved) -> None:
    count = f"{moved.runs} runs,{_benchmarks(moved.benchmarks)} {moved.files} files, {decimal(moved.size)}"
    print(f"{what} {count}; SHA-256 {moved.sha256}")


def _benchmarks(count: int) -> str:
    """So many, where there are any."""
    return f" {count} benchmarks," if count else ""


def _print_json(
    place: Place, found: list[Found], failed: list[tuple[Found, OSError]], left: list[Left], *, removed: bool
) -> None:
    path_of = _place_in(place.path)
    stayed = {each.path for each, _ in failed}

    def shown(each: Found, **more: object) -> dict[str, object]:
        return {"kind": each.kind, "path": path_of(each.path), "run_id": each.run_id, "bytes": each.size, **more}

    answer = {
        "found": [shown(each, done=removed and each.path not in stayed) for each in found],
        "bytes": sum(each.size for each in found),
        "removed": removed,
        "server_running": place.beside,
        "left": [shown(each.found, reason=each.reason) for each in left],
    }
    print(json.dumps(answer))


def _print_left(place: Place, left: list[Left]) -> None:
    """Why some of it was left alone."""
    if place.beside:
        print(f"A server, or another command, is using {place.path}.")
    if left:
        print(f"Left alone: {len(left)}, {decimal(sum(each.found.size for each in left))}.")
    path_of = _place_in(place.path)
    for each in left:
        print(f"  {path_of(each.found.path)}: {each.reason}")


def _print_table(state_dir: Path, found: list[Found], *, removed: bool) -> None:
    console = Console(highlight=False)
    if not found:
        console.print(f"Nothing to remove in {state_dir}.", soft_wrap=True)
        return
    shown = _place_in(state_dir)
    table = Table(title=f"No longer needed in {state_dir}", title_justify="left")
    table.add_column("path", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    for heading in ("what it is", "was" if removed else "would be"):
        table.add_column(heading)
    for each in found:
        what, becomes = KINDS[each.kind]
        table.add_row(shown(each.path), "" if each.kind in RECORDS else decimal(each.size), what, becomes)
    console.print(table)
    size = decimal(sum(each.size for each in found))
    console.print(f"{len(found)} in all, {size}" + ("." if removed else "; `lamina gc --yes` removes them."))


def _place_in(state_dir: Path) -> Callable[[Path], str]:
    """Paths as seen from the state directory, with what lies beside it by its whole name."""
    return lambda path: str(path.relative_to(state_dir) if path.is_relative_to(state_dir) else path)
