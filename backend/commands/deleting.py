"""`lamina delete`: runs by their ids or by what they are; shown first, and deleted when that is wanted."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.filesize import decimal

from backend.client import Client, LaminaError, NotFound, Run
from backend.commands import exits
from backend.commands.listing import WIDE, table_of_runs
from backend.commands.telling import code_of, complain, say_json, screen


@dataclass(frozen=True)
class Choice:
    """What goes, and what stays with the reason."""

    going: list[Run]
    staying: list[tuple[Run, str]]


def delete(
    client: Client,
    runs: Sequence[str],
    *,
    filters: Mapping[str, Any],
    older_than: float | None,
    keep_last: int,
    yes: bool,
    as_json: bool,
) -> int:
    """Shows what would go, asks, and deletes it, each run with the model that was made for it alone."""
    if runs:
        found = [client.run(run) for run in dict.fromkeys(client.run_id(run) for run in runs)]
    else:
        found = chosen(client, filters, older_than=older_than, keep_last=keep_last)
    choice = sorted_out(client, found)
    if not as_json:
        tell(choice)
    if choice.going and not yes and not agreed(choice.going):
        return exits.USAGE if not sys.stdin.isatty() else exits.FAILED
    code, deleted = remove(client, choice.going, as_json=as_json)
    if as_json:
        skipped = [{"run_id": run.run_id, "reason": reason} for run, reason in choice.staying]
        say_json({"deleted": deleted, "skipped": skipped})
    elif choice.going:
        screen().print(f"{len(deleted)} {'run is' if len(deleted) == 1 else 'runs are'} deleted.")
    return code or (exits.FAILED if runs and choice.staying else exits.OK)


def chosen(client: Client, filters: Mapping[str, Any], *, older_than: float | None, keep_last: int) -> list[Run]:
    """Runs that fit the filters, without the newest of them, created longer ago than `older_than` seconds."""
    before = None if older_than is None else datetime.now(UTC) - timedelta(seconds=older_than)
    fitting = list(client.runs(**filters))[keep_last:]
    return [run for run in fitting if before is None or datetime.fromisoformat(run.created_at) < before]


def sorted_out(client: Client, found: Sequence[Run]) -> Choice:
    """Which of the runs can go: none that is active, and none whose weights a model has."""
    promoted = {model.saved_run_id: model.name for model in client.models() if model.saved_run_id} if found else {}
    going, staying = list[Run](), list[tuple[Run, str]]()
    for run in found:
        if not run.ended:
            staying.append((run, f"is {run.state}: cancel it first"))
        elif run.run_id in promoted:
            staying.append((run, f"is promoted: the model {promoted[run.run_id]!r} has its weights"))
        else:
            going.append(run)
    return Choice(going, staying)


def tell(choice: Choice) -> None:
    """Shows what would go, and what stays."""
    out = screen()
    if choice.going:
        out.show(table_of_runs(choice.going, wide=out.width >= WIDE))
    elif not choice.staying:
        out.print("No run fits.")
    for run, reason in choice.staying:
        out.print(f"{run.short} stays: it {reason}.", soft_wrap=True)


def agreed(going: Sequence[Run]) -> bool:
    """Whether the user wants it; nobody is asked where there is no terminal."""
    runs = "this run" if len(going) == 1 else f"these {len(going)} runs"
    if not sys.stdin.isatty():
        print(f"lamina: nothing was deleted: there is no terminal to ask on; --yes deletes {runs}", file=sys.stderr)
        return False
    size = decimal(sum(run.size_bytes for run in going))
    print(f"Delete {runs} with {size} of files? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    print("Nothing was deleted.", file=sys.stderr)
    return False


def remove(client: Client, going: Sequence[Run], *, as_json: bool) -> tuple[int, list[str]]:
    """Deletes runs; the exit code of the first that could not be, and the ids of those that are gone."""
    code, deleted = exits.OK, list[str]()
    for run in going:
        try:
            client.delete(run, with_model=True)
        except NotFound:  # somebody else was faster
            pass
        except LaminaError as problem:
            complain(problem, as_json=as_json)
            code = code or code_of(problem)
            continue
        deleted.append(run.run_id)
    return code, deleted
