"""`lamina cancel`, `resume`, `promote` and `edit`: what changes runs, one after another; one refusal stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from backend.client import Client, LaminaError, Run
from backend.client.run_calls import KEEP
from backend.commands import exits
from backend.commands.telling import code_of, complain, joined, printable, say_json, screen


def each(runs: Iterable[str], act: Callable[[str], None], *, as_json: bool) -> int:
    """Does the same with each run; what is refused is told. The exit code is that of the first refusal."""
    code = exits.OK
    for run in runs:
        try:
            act(run)
        except LaminaError as problem:
            complain(problem, as_json=as_json)
            code = code or code_of(problem)
    return code


def cancel(client: Client, runs: Sequence[str], *, every: bool, as_json: bool, ids_only: bool) -> int:
    """Cancels runs, or every active one."""
    if every:
        found = client.cancel_all()
        for run in found:
            say(run.run_id, "cancelling", run.name, as_json=as_json, ids_only=ids_only)
        if not found and not as_json and not ids_only:
            screen().print("No run is active.")
        return exits.OK

    def act(run: str) -> None:
        ident = client.run_id(run)
        client.cancel(ident)
        say(ident, "cancelling", "", as_json=as_json, ids_only=ids_only)

    return each(runs, act, as_json=as_json)


def resume(client: Client, runs: Sequence[str], *, queue: bool, as_json: bool, ids_only: bool) -> int:
    """Resumes runs."""

    def act(run: str) -> None:
        started = client.resume(run, queue=queue or None)
        if as_json:
            say_json(started.json)
        else:
            where = f"place {started.queue_position} in the queue, " if started.queue_position else ""
            text = f"{where}goes on after epoch {started.epoch} of {started.epochs_total}"
            say(started.run_id, text, started.name, as_json=False, ids_only=ids_only)
            for warning in started.warnings if not ids_only else ():
                screen().print(warning)

    return each(runs, act, as_json=as_json)


def say(run_id: str, what: str, name: str, *, as_json: bool, ids_only: bool) -> None:
    """What was done with a run, in a line."""
    if as_json:
        say_json({"run_id": run_id, "status": what})
    elif ids_only:
        print(run_id, flush=True)
    else:
        screen().print(printable(f"{run_id[:10]}  {what}" + (f"  {name}" if name else "")))


def promote(client: Client, run: str, *, name: str | None, as_json: bool) -> int:
    """Makes the weights of a run those of its model."""
    done = client.promote(run, name=name)
    if as_json:
        say_json(done.json)
    else:
        of = f"{done.run_id[:10]}: {done.saved_model_path}"
        screen().print(printable(f"{done.model_id[:10]}  {done.name}  has the weights of {of}"), soft_wrap=True)
    return exits.OK


def edit(
    client: Client,
    run: str,
    *,
    name: str | None,
    notes: str | None,
    add: Sequence[str],
    remove: Sequence[str],
    as_json: bool,
) -> int:
    """Changes what people call a run; an empty text takes a name or notes away."""
    ident = client.run_id(run)
    changed = client.update(
        ident,
        name=KEEP if name is None else name or None,
        notes=KEEP if notes is None else notes or None,
        tags=tags_of(client.run(ident), add, remove) if add or remove else KEEP,
    )
    if as_json:
        say_json(changed.json)
    else:
        known = joined(changed.tags)
        screen().print(printable(f"{changed.short}  {changed.name}" + (f"  [{known}]" if known else "")))
    return exits.OK


def tags_of(run: Run, add: Sequence[str], remove: Sequence[str]) -> list[str]:
    """The tags of a run with some more and some less, each once."""
    return [tag for tag in dict.fromkeys([*run.tags, *add]) if tag not in remove]
