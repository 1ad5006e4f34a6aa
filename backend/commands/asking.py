"""`lamina infer`, `weights` and `open`: what runs are good for."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from backend.client import Client
from backend.client.images import Invert
from backend.commands import exits
from backend.commands.telling import cell, percent, say_json, screen, table

BEST = 5  # classes that are shown
BLOCKS = 20  # characters of a probability of 1
FORMATS = {".npz": "npz", ".safetensors": "safetensors", ".msgpack": "msgpack"}


def infer(client: Client, run: str, file: str, *, model: bool, invert: Invert, as_json: bool, ids_only: bool) -> int:
    """What a run or a model says of a picture, or of the numbers in a JSON file."""
    said = client.infer(model=run, image=file, invert=invert) if model else client.infer(run, file, invert=invert)
    if as_json:
        say_json({**said.json, "notes": said.notes})
        return exits.OK
    if ids_only:
        print(said.prediction)
        return exits.OK
    out = screen()
    out.print(f"{said.prediction}  {percent(said.confidence)}")
    for note in said.notes:
        out.print(f"The picture was {note}." if note.startswith(("inverted", "scaled")) else note, soft_wrap=True)
    ranked = sorted(range(len(said.probabilities)), key=lambda label: -said.probabilities[label])[:BEST]
    block = "#" if out.options.ascii_only else "█"
    names = class_names(client, said.dataset_type)
    rows = table("class", "probability", "", right=("probability",))
    for label in ranked:
        share = said.probabilities[label]
        name = names[label] if label < len(names) else str(label)
        rows.add_row(cell(name), cell(percent(share)), cell(block * round(BLOCKS * share)))
    out.show(rows)
    return exits.OK


def class_names(client: Client, dataset: str) -> list[str]:
    """The names of the classes of a data set."""
    return next((each.classes for each in client.datasets() if each.name == dataset), [])


def weights(client: Client, run: str, file: Path, *, format: str | None, layout: str | None, as_json: bool) -> int:
    """Writes the weights of a run to a file, with a bar on a terminal; its name tells the format."""
    chosen = format or FORMATS.get(file.suffix.lower())
    out = screen(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal or as_json) as bar:
        task = bar.add_task("", total=None)

        def move(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        saved = client.weights(run, file, format=chosen, layout=layout, progress=move)
    if as_json:
        say_json({"path": str(saved.path), "bytes": saved.size, "sha256": saved.sha256})
    else:
        screen().print(f"{saved.path}  {decimal(saved.size)}  SHA-256 {saved.sha256}", soft_wrap=True)
    return exits.OK


def open_page(client: Client, run: str | None) -> int:
    """Opens the page of the server, or the record of a run, in a browser; prints its address where there is none."""
    url = f"{client.shown_url}/" if run is None else f"{client.shown_url}/api/runs/{client.run_id(run)}"
    print(url, flush=True)
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return exits.OK
    browser.open(url)
    return exits.OK
