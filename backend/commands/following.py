"""`lamina train`, `wait`, `logs` and `follow`: runs as they train, with a bar on a terminal, else as lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from backend.client import Client, Event, Run, Started, TimedOut
from backend.client.overrides import body_of, changed, object_in
from backend.commands import exits
from backend.commands.listing import singles
from backend.commands.telling import STYLES, Screen, percent, printable, say_json, screen, seconds_between, span

Show = Callable[[Event], None]
STORED_SECONDS = 30.0  # in which all that is stored is told; a run that trains tells of it soon after
QUEUED_SECONDS = 1.0  # one that waits does not
WORD = 9
PHASE = 10
LEAST, MOST, BESIDE = 4, 30, 76  # columns of a bar, and of all that stands beside it


@dataclass(frozen=True)
class Wish:
    """How long to wait, in seconds, and what to print."""

    timeout: float | None
    quiet: bool
    as_json: bool


def train(
    client: Client,
    file: str,
    changes: Mapping[str, Any],
    labels: Mapping[str, Any],
    *,
    wait: bool,
    wish: Wish,
) -> int:
    """Starts a run of a body in a file, or on standard input for "-"; waits for its end where `wait`."""
    body = (
        object_in(sys.stdin.buffer.read().decode("utf-8-sig", "replace"), "standard input")
        if file == "-"
        else body_of(file)
    )
    started = client.train(changed(body, changes), **labels)  # flags win over paths
    if wish.quiet:
        print(started.run_id, flush=True)
    elif not wish.as_json:
        say_started(started)
    elif not wait:
        say_json(started.json)
    return wait_for(client, [started.run_id], wish) if wait else exits.OK


def typed_body() -> dict[str, Any]:
    """The body on standard input."""
    return object_in(sys.stdin.buffer.read().decode("utf-8-sig", "replace"), "standard input")


def say_started(started: Started) -> None:
    """A run that was accepted, and what the server remarks."""
    out = screen()
    place = f", place {started.queue_position} in the queue" if started.queue_position else ""
    out.print(printable(f"{started.run_id}  {started.name}{place}"))
    for warning in started.warnings:
        out.print(Text(warning, style="yellow"))


def wait_for(client: Client, runs: Sequence[str], wish: Wish) -> int:
    """Waits for the end of runs, and tells it. Ctrl-C leaves them running, and says how they are followed and ended."""
    ids = [client.run_id(run) for run in runs]
    try:
        with showing(client, ids, quiet=wish.quiet or wish.as_json) as show:
            found = client.wait(ids, timeout=wish.timeout, on_event=show)
    except (KeyboardInterrupt, TimedOut):
        say_how_to_go_on(ids)
        raise
    for run in found:
        if wish.as_json:
            say_json(run.json)
        elif not wish.quiet:
            out = screen()
            out.print(end_of(run, why=out.is_terminal), soft_wrap=True)
    return code_of_runs(found)


def say_how_to_go_on(ids: Sequence[str]) -> None:
    """What to type after Ctrl-C."""
    short = " ".join(each[:10] for each in ids)
    command, verb = ("follow", "goes") if len(ids) == 1 else ("wait", "go")
    cures = f"`lamina {command} {short}` waits again, `lamina cancel {short}` ends {'it' if len(ids) == 1 else 'them'}."
    print(f"\n{short} {verb} on. {cures}", file=sys.stderr)


def code_of_runs(found: Iterable[Run]) -> int:
    """The exit code by how runs ended: the worst of them tells."""
    states = {run.state for run in found}
    return exits.FAILED if "failed" in states else exits.CANCELLED if "cancelled" in states else exits.OK


def end_of(run: Run, *, why: bool) -> Text:
    """How a run ended, in a line; `why`: below it the error, where no line before has told it."""
    seconds = span(seconds_between(run.started_at, run.completed_at))
    accuracy = f"  test accuracy {percent(run.test_accuracy)}" if run.test_accuracy is not None else ""
    line = Text(f"{run.short}  ").append(run.state, style=STYLES.get(run.state, ""))
    line.append(f"{accuracy}  after {seconds}" if seconds else accuracy)
    if run.stopped_by:
        line.append(f"  {ended_by(run.stopped_by)}")
    return line.append(f"\n{run.error}") if run.error and why else line


def ended_by(stop: Mapping[str, Any]) -> str:
    """The rule that ended a run before its last epoch, and where."""
    return f"ended by {stop['rule']} in epoch {stop['epoch']}"


@contextmanager
def showing(client: Client, ids: Sequence[str], *, quiet: bool) -> Iterator[Show]:
    """Yields what shows one event: a bar for each run on a terminal; lines, for one run or for states, elsewhere."""
    out = screen()
    if quiet:
        yield lambda event: None
    elif out.is_terminal:
        with bars(out, [client.run(each) for each in ids]) as show:
            yield show
    else:
        yield (lambda event: tell(out, event)) if len(ids) == 1 else states_of_each(out)


def states_of_each(out: Screen) -> Show:
    """What tells the states of several runs: a place in the queue once, or all that wait would tell each end."""
    last: dict[str, str] = {}

    def show(event: Event) -> None:
        if event.name == "state" and last.get(event.run_id) != event.data["state"]:
            last[event.run_id] = event.data["state"]
            tell(out, event, name=event.run_id[:10])

    return show


@contextmanager
def bars(out: Screen, runs: Sequence[Run]) -> Iterator[Show]:
    """A bar for each run, gone at the end: phase, epoch, loss, accuracy, samples a second, time left."""
    bar = BarColumn(bar_width=max(LEAST, min(MOST, out.width - BESIDE)))
    columns = [TextColumn("{task.description}"), bar, TaskProgressColumn()]
    columns += [TextColumn("{task.fields[figures]}"), TimeRemainingColumn(compact=True)]
    with Progress(*columns, console=out, transient=True) as progress:
        tasks = {run.run_id: progress.add_task(titled(run, run.state), total=1.0, figures="") for run in runs}
        by_id = {run.run_id: run for run in runs}

        def show(event: Event) -> None:
            if event.run_id in tasks:
                move(progress, tasks[event.run_id], by_id[event.run_id], event)

        yield show


def titled(run: Run, phase: str, epoch: int = 0) -> str:
    """What stands before a bar."""
    return f"{run.short} {phase:<{PHASE}} {epoch}/{run.epochs_total}"


def move(progress: Progress, task: TaskID, run: Run, event: Event) -> None:
    """Moves one bar, by one event."""
    data = event.data
    if event.name == "state":
        progress.update(task, description=titled(run, data["state"], run.epoch))
    elif event.name == "log":
        progress.console.print(Text(f"{run.short} {data['message']}", style="yellow"))
    elif event.name == "metric":
        progress.update(task, completed=data["progress"], figures=figures(data["val_loss"], data["val_accuracy"]))
    elif event.name == "progress":
        known = figures(data.get("loss"), data.get("accuracy"), data.get("samples_per_sec"))
        fields: dict[str, Any] = {"figures": known} if known else {}
        title = titled(run, data["phase"], data["epoch"])
        progress.update(task, completed=data["fraction"], description=title, **fields)


def figures(loss: float | None, accuracy: float | None, rate: float | None = None) -> str:
    """Loss, accuracy and samples a second, as far as they are known."""
    parts = [f"loss {loss:.4g}" if loss is not None else "", percent(accuracy), f"{rate:,.0f}/s" if rate else ""]
    return "  ".join(part for part in parts if part)


def tell(out: Screen, event: Event, *, name: str = "") -> None:
    """One event as a line; a progress is told by bars alone."""
    if event.name == "progress":
        return
    line = line_of(event)
    if line:
        out.print(Text(f"{name}  " if name else "").append(line), soft_wrap=True)


def line_of(event: Event) -> Text:
    """What an event says, in a line."""
    data = event.data
    if event.name == "metric":
        train = f"train {data['train_loss']:.4g} {percent(data['train_accuracy'])}"
        val = f"val {data['val_loss']:.4g} {percent(data['val_accuracy'])}"
        rate = f"{data['samples_per_sec']:,.0f}/s"
        told = "".join(f"{name} {value:.4g}  " for name, value in singles(data.get("metrics")).items())
        return Text(f"{'epoch':<{WORD}} {data['epoch']}  {train}  {val}  {told}{rate}  {span(data['epoch_time'])}")
    if event.name == "step":
        figures = f"loss {data['loss']:.4g}  learning rate {data['learning_rate']:.4g}"
        return Text(f"{'step':<{WORD}} {data['step']}  {figures}")
    if event.name == "log":
        return Text(f"{data.get('level', 'log'):<{WORD}} {data['message']}", style="yellow")
    state = str(data["state"])
    more = [f"place {data['queue_position']} in the queue"] if data.get("queue_position") else []
    more += [f"test accuracy {percent(data['test_accuracy'])}"] if data.get("test_accuracy") is not None else []
    more += [ended_by(data["stopped_by"])] if data.get("stopped_by") else []
    more += ["resumed since"] if data.get("superseded") else [str(data["error"])] if data.get("error") else []
    return Text(f"{'state':<{WORD}} ").append(state, style=STYLES.get(state, "")).append("  ".join(["", *more]))


def logs(client: Client, run: str, *, follow: bool, as_json: bool) -> int:
    """What has happened in a run, line by line; with `follow` until it ends."""
    ident = client.run_id(run)
    out = screen()
    for event in told(client, ident, follow=follow):
        if as_json:
            say_json({"id": event.id or None, "event": event.name, "data": event.data})
        else:
            tell(out, event)
    return exits.OK


def told(client: Client, run_id: str, *, follow: bool) -> Iterator[Event]:
    """The events of a run: up to now, which is where one comes that is not kept, or silence; or up to its end."""
    run = client.run(run_id)
    active = not follow and not run.ended
    seconds = QUEUED_SECONDS if run.state == "queued" else STORED_SECONDS
    try:
        for event in client.events(run_id, timeout=seconds if active else None):
            if active and not event.id:
                return
            yield event
    except TimedOut:
        if not active:
            raise


def follow(client: Client, run: str, *, as_json: bool) -> int:
    """The log of a run with a bar below it, until it ends; the exit code says how."""
    ident = client.run_id(run)
    if as_json:
        logs(client, ident, follow=True, as_json=True)
        return code_of_runs([client.run(ident)])
    out = screen()
    try:
        with bars(out, [client.run(ident)]) if out.is_terminal else nothing() as show:
            for event in client.events(ident):
                show(event)
                if event.name != "log" or not out.is_terminal:
                    tell(out, event)
    except KeyboardInterrupt:
        say_how_to_go_on([ident])
        raise
    return code_of_runs([client.run(ident)])


@contextmanager
def nothing() -> Iterator[Show]:
    """Shows no event."""
    yield lambda event: None
