"""`lamina demo`: the whole contract once, over real HTTP, as a newcomer would meet it. Never imports JAX."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from backend.client import Client, Event, LaminaError, Started
from backend.config import Settings
from backend.demo import drawing
from backend.demo.example import EXAMPLE
from backend.demo.local_server import LocalServer, StartError, free_port

Json = dict[str, Any]

INDENT = 9
PICTURES = 6
PICTURES_A_ROW = 3
PICTURE_SIZE = 20
CAPTION_WIDTH = 4
HEADINGS = ("epoch", "train loss", "val loss", "train acc", "val acc", "samples/s", "time")
WIDTHS = (5, 11, 9, 10, 9, 11, 8)


class DemoError(Exception):
    """Something that the demo promises did not happen."""


def demo(settings: Settings, *, port_named: bool, once: bool) -> int:
    """Runs the demo; returns the exit code. `once`: stop after the report instead of serving on."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        settings = replace(settings, host="127.0.0.1", port=choose_port(settings.port if port_named else None))
        with LocalServer(settings) as server:
            tour(console, server, settings)
            if once:
                return 0
            step(console, "serving", f"{server.client.url} until Ctrl-C")
            server.show_log()
            return server.wait()
    except KeyboardInterrupt:
        return 0
    except (DemoError, LaminaError, StartError) as problem:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"lamina demo: {problem}", markup=False)
        return problem.code if isinstance(problem, StartError) else 1


def choose_port(named: int | None) -> int:
    """The port the user named, else 8080 where it is free, else any. Raises StartError if the named one is taken."""
    port = free_port(first=8080 if named is None else named)
    if named and port != named:
        # Whatever listens there would be taken for the demo's own server.
        raise StartError(f"--port: {named} is in use; choose another, or leave it out")
    return port


def tour(console: Console, server: LocalServer, settings: Settings) -> None:
    """Train, promote, infer, and say how to do it again. Raises DemoError, LaminaError or StartError."""
    client = server.client
    step(console, "server", f"{client.url} answers after {server.wait_until_healthy():.1f} s")
    started = client.train(EXAMPLE)
    step(console, "train", f"POST /api/train: run {started.run_id}")
    say_data_set(console, client, started)
    final = watch(console, client, started)
    run = client.run(started)
    note(console, f"on {run.device}; {run.precision}, compiled in {run.compile_seconds or 0.0:.1f} s")
    promoted = client.post(f"/api/models/{started.model_id}/save", {"run_id": started.run_id})
    if not promoted["trained"]:
        raise DemoError("the promoted model is not marked as trained")
    step(console, "promote", f"POST /api/models/{started.model_id}/save")
    note(console, promoted["saved_model_path"])
    note(console, f"models and runs stay in {from_here(settings.state_dir)}")
    ask(console, client, started.run_id, final["sample_predictions"])
    say_curl(console, client.url, started, write_bodies(settings.state_dir, started.run_id, final))


def step(console: Console, title: str, text: str) -> None:
    console.print(Text.assemble((title.ljust(INDENT), "bold cyan"), text))


def note(console: Console, text: str, *, style: str = "") -> None:
    """A paragraph under a step, wrapped."""
    for line in textwrap.wrap(text, max(20, console.width - INDENT), break_long_words=False, break_on_hyphens=False):
        console.print(Text(" " * INDENT + line, style=style))


def say_data_set(console: Console, client: Client, started: Started) -> None:
    """Which data set the server took, and why: the request named none."""
    run = client.run(started)
    note(console, f"data set: {run.dataset_type}")
    for warning in started.warnings or ["chosen by the server: the request names no dataset_type"]:
        note(console, warning, style="yellow")


@dataclass
class Watch:
    """What the event stream has told so far."""

    epochs: list[Json] = field(default_factory=list)
    final: Json | None = None


def watch(console: Console, client: Client, started: Started) -> Json:
    """Follows the run on its event stream; returns its last `state` event. Raises DemoError unless it succeeded."""
    seen = Watch()
    with progress_bar(console, started) as show:
        for event in client.events(started):
            show(event)
            if event.name == "metric":
                seen.epochs.append(event.data)
            elif event.name == "state" and event.data["state"] in ("succeeded", "failed", "cancelled"):
                seen.final = event.data
    if seen.final is None:
        raise DemoError("the event stream ended before the run did")
    if seen.final["state"] != "succeeded":
        raise DemoError(f"the run {seen.final['state']}: {seen.final['error']}")
    if len(seen.epochs) != started.epochs_total or seen.final["test_accuracy"] is None:
        raise DemoError(f"the event stream had {len(seen.epochs)} of {started.epochs_total} epochs")
    step(console, "result", f"test accuracy {percent(seen.final['test_accuracy'])} on images that training never saw")
    return seen.final


@contextmanager
def progress_bar(console: Console, started: Started) -> Iterator[Any]:
    """Yields a function that shows one event: a row per epoch, and a bar below them on a terminal."""
    columns = (TextColumn("  {task.description}"), BarColumn(bar_width=30), TaskProgressColumn(), TimeElapsedColumn())
    console.print(Text(table_row(HEADINGS), style="bold"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("queued", total=1.0)

        def show(event: Event) -> None:
            if event.name == "metric":
                bar.console.print(table_row(epoch_cells(event.data)))
            elif event.name == "log" and event.data["message"] not in started.warnings:
                note(bar.console, event.data["message"], style="yellow")
            elif event.name == "progress":
                phase = f"{event.data['phase']:<10} epoch {event.data['epoch']}/{started.epochs_total}"
                bar.update(task, completed=event.data["fraction"], description=phase)

        yield show


def table_row(cells: tuple[str, ...]) -> str:
    return "  " + "".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))


def epoch_cells(metric: Json) -> tuple[str, ...]:
    """The columns of HEADINGS."""
    return (
        str(metric["epoch"]),
        loss(metric["train_loss"]),
        loss(metric["val_loss"]),
        percent(metric["train_accuracy"]),
        percent(metric["val_accuracy"]),
        f"{metric['samples_per_sec']:,.0f}",
        f"{metric['epoch_time']:.2f} s",
    )


def loss(value: float) -> str:
    return f"{value:.4f}" if value < 1000 else f"{value:.1e}"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def ask(console: Console, client: Client, run_id: str, samples: list[Json]) -> None:
    """Asks the server for the run's sample images again and draws them. Raises DemoError if the answers differ."""
    cells = []
    for sample in samples[:PICTURES]:
        answer = client.post("/api/infer", {"run_id": run_id, "pixels": pixels_of(sample)})
        if answer["label"] != sample["prediction"]:
            raise DemoError(f"inference says {answer['label']}, the run had predicted {sample['prediction']}")
        cells.append(picture(console, sample, answer))
    right = sum(sample["label"] == sample["prediction"] for sample in samples[:PICTURES])
    step(console, "infer", f"POST /api/infer: {len(cells)} test images, {right} of them right")
    for start in range(0, len(cells), PICTURES_A_ROW):
        for lines in zip(*cells[start : start + PICTURES_A_ROW], strict=True):
            console.print(Text(" ").join([Text(""), *lines]))
        console.print()


def pixels_of(sample: Json) -> list[float]:
    """An image of bytes as the contract's floats 0..1, row by row."""
    return [pixel / 255 for row in sample["grid"] for pixel in row]


def picture(console: Console, sample: Json, answer: Json) -> list[Text]:
    """The lines of one image with label, prediction and confidence on its right."""
    blocks = not console.options.ascii_only
    colours = console.color_system is not None and not console.no_color
    image = drawing.draw(drawing.crop(sample["grid"], PICTURE_SIZE), colours=colours, blocks=blocks)
    style = "green" if answer["label"] == sample["label"] else "bold red"
    says = [("says", ""), (answer["prediction"], style), (f"{max(answer['probabilities']):.0%}", "")]
    captions = dict(enumerate([("is", ""), (str(sample["label"]), ""), ("", ""), *says], start=2))
    return [Text.assemble(line, " ", caption(*captions.get(row, ("", "")))) for row, line in enumerate(image)]


def caption(text: str, style: str) -> Text:
    return Text(text.ljust(CAPTION_WIDTH), style=style)


def write_bodies(state_dir: Path, run_id: str, final: Json) -> Path:
    """The bodies of the demo's requests as files, for curl."""
    folder = state_dir / "demo"
    folder.mkdir(exist_ok=True)
    infer = {"run_id": run_id, "pixels": pixels_of(final["sample_predictions"][0])}
    (folder / "train.json").write_text(json.dumps(EXAMPLE, indent=2) + "\n")
    (folder / "infer.json").write_text(json.dumps(infer) + "\n")
    return folder


def from_here(path: Path) -> Path:
    """As a user in the current directory would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def say_curl(console: Console, url: str, started: Started, folder: Path) -> None:
    """The commands that do by hand what the demo did."""
    where = from_here(folder)
    post = 'curl -s -H "Content-Type: application/json" \\\n   '
    step(console, "by hand", "the same with curl:")
    for line in (
        f"{post} {url}/api/train -d @{where}/train.json",
        f"curl -sN \\\n    {url}{started.events_url}",
        f'{post} {url}/api/models/{started.model_id}/save \\\n    -d \'{{"run_id": "{started.run_id}"}}\'',
        f"{post} {url}/api/infer -d @{where}/infer.json",
    ):
        console.print(f"  {line}", markup=False)
