"""The commands for what there is: runs and models, their weights and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from backend.cli.completing import datasets as complete_datasets
from backend.cli.completing import runs as complete_runs
from backend.cli.remote import AS_JSON, IDS_ONLY, LIMIT, RUN, RUNS, RUNS_NEEDED, Duration, filters, speaks
from backend.cli.shape import Command

if TYPE_CHECKING:
    from backend.client import Client

AS_CSV = click.option("--csv", "as_csv", is_flag=True, help="rows of CSV, for spreadsheets")
SVG = click.option("--svg", metavar="FILE", help="writes a picture to FILE instead; - for standard output")
ALONG = click.option("--x", type=click.Choice(["epoch", "seconds"]), help="what goes right: epoch (default)")
THEME = click.option(
    "--theme",
    type=click.Choice(["auto", "light", "dark"]),
    help="colours of the picture; auto: what its viewer prefers (default)",
)
SORT = "by name, test_accuracy, best.val_loss, last.val_accuracy, seconds, ...; with - in front, the highest first"


def needs_svg(*flags: str | None) -> None:
    """Refuses flags of a picture where none is asked for."""
    if any(flags):
        raise click.UsageError("--x, --theme and --metrics are of a picture: add --svg FILE")


@click.command(cls=Command)
@filters
@click.option("--sort", metavar="KEY", help=SORT)
@LIMIT
@IDS_ONLY
@AS_CSV
@AS_JSON
@speaks
def runs(
    client: Client,
    filters: dict[str, Any],
    sort: str | None,
    limit: int | None,
    ids_only: bool,
    as_csv: bool,
    as_json: bool,
) -> int:
    """Lists runs, newest first.

    `best` is the accuracy of validation in the epoch with the lowest loss, `test` that on the test set.
    """
    from backend.commands.listing import runs

    wanted = {**filters, "sort": sort} if sort else filters
    return runs(client, limit=limit, as_json=as_json, as_csv=as_csv, ids_only=ids_only, filters=wanted)


@click.command(cls=Command)
@RUN
@SVG
@ALONG
@THEME
@AS_JSON
@speaks
def show(client: Client, run: str, svg: str | None, x: str | None, theme: str | None, as_json: bool) -> int:
    """Shows all about a run, with its last epochs."""
    from backend.commands.listing import show
    from backend.commands.pictures import save

    if svg:
        return save(svg, client.curves_svg(run, x=x, theme=theme), as_json=as_json)
    needs_svg(x, theme)
    return show(client, run, as_json=as_json)


@click.command(cls=Command)
@RUNS_NEEDED
@AS_CSV
@SVG
@click.option(
    "--metrics",
    metavar="NAMES",
    help="panels of the picture, with commas, such as val_loss,val_f1 (default: val_loss,val_accuracy)",
)
@ALONG
@THEME
@AS_JSON
@speaks
def compare(
    client: Client,
    runs: tuple[str, ...],
    as_csv: bool,
    svg: str | None,
    metrics: str | None,
    x: str | None,
    theme: str | None,
    as_json: bool,
) -> int:
    """Shows runs side by side: what they have reached, and in what they differ."""
    from backend.commands.comparing import compare
    from backend.commands.pictures import save

    if svg:
        ids = dict.fromkeys(client.run_id(run) for run in runs)
        picture = client.compare_svg(ids, metrics=metrics.split(",") if metrics else (), x=x, theme=theme)
        return save(svg, picture, as_json=as_json)
    needs_svg(x, theme, metrics)
    return compare(client, runs, as_json=as_json, as_csv=as_csv)


@click.command(cls=Command)
@RUN
@click.option("--name", metavar="TEXT", help='its new name; "" for that of its model')
@click.option("--add-tag", "more", multiple=True, metavar="TAG", help="a tag more; again for more")
@click.option("--remove-tag", "less", multiple=True, metavar="TAG", help="a tag less; again for more")
@click.option("--notes", metavar="TEXT", help='its new notes; "" for none')
@AS_JSON
@speaks
def edit(
    client: Client,
    run: str,
    name: str | None,
    more: tuple[str, ...],
    less: tuple[str, ...],
    notes: str | None,
    as_json: bool,
) -> int:
    """Changes the name, tags or notes of a run."""
    from backend.commands.changing import edit

    if name is None and notes is None and not more and not less:
        raise click.UsageError("say what changes: --name, --notes, --add-tag or --remove-tag")
    return edit(client, run, name=name, notes=notes, add=more, remove=less, as_json=as_json)


@click.command(cls=Command)
@RUNS
@filters
@click.option("--older-than", type=Duration(), metavar="TIME", help="created longer ago than 30d, 12h or 45m")
@click.option(
    "--keep-last", type=click.IntRange(min=0), default=0, metavar="N", help="not the newest N of those that fit"
)
@click.option("--yes", is_flag=True, help="do not ask")
@AS_JSON
@speaks
def delete(
    client: Client,
    runs: tuple[str, ...],
    filters: dict[str, Any],
    older_than: float | None,
    keep_last: int,
    yes: bool,
    as_json: bool,
) -> int:
    """Deletes runs with their files: those that are named, or all that fit.

    Shows them and asks first; where there is no terminal, only --yes deletes. Active runs and promoted ones stay. A
    model that was made for a run alone, and never touched since, goes with it.
    """
    from backend.commands.deleting import delete

    fitting = bool(filters) or older_than is not None or keep_last > 0
    if bool(runs) == fitting:
        raise click.UsageError("name runs, or say which: --state, --older-than, --keep-last, ...; not both")
    return delete(client, runs, filters=filters, older_than=older_than, keep_last=keep_last, yes=yes, as_json=as_json)


@click.command(cls=Command)
@RUN
@click.option("--name", metavar="TEXT", help="the new name of the model")
@AS_JSON
@speaks
def promote(client: Client, run: str, name: str | None, as_json: bool) -> int:
    """Makes the weights of a run those of its model."""
    from backend.commands.changing import promote

    return promote(client, run, name=name, as_json=as_json)


@click.command(cls=Command)
@LIMIT
@IDS_ONLY
@AS_JSON
@speaks
def models(client: Client, limit: int | None, ids_only: bool, as_json: bool) -> int:
    """Lists models, newest first."""
    from backend.commands.listing import models

    return models(client, limit=limit, as_json=as_json, ids_only=ids_only)


@click.command(cls=Command)
@RUN
@click.argument("file", metavar="FILE", type=click.Path())
@click.option("--model", is_flag=True, help="RUN is a model: ask its promoted run")
@click.option(
    "--invert",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    help="turn dark into light; auto: where the border of the picture is light (default)",
)
@click.option("-q", "--quiet", "ids_only", is_flag=True, help="the class only")
@AS_JSON
@speaks
def infer(
    client: Client,
    run: str,
    file: str,
    model: bool,
    invert: Literal["auto", "yes", "no"],
    ids_only: bool,
    as_json: bool,
) -> int:
    """Predicts the class of a picture, or of the numbers in a .json file.

    Networks read light ink on dark ground. A picture is made grey if the network reads grey, and scaled to its size.
    """
    from backend.commands.asking import infer

    return infer(client, run, file, model=model, invert=invert, as_json=as_json, ids_only=ids_only)


@click.command(cls=Command)
@click.argument("named", metavar="RUN|MODEL", shell_complete=complete_runs)
@click.option(
    "--dataset", metavar="NAME", shell_complete=complete_datasets, help="one that fits [default: that of the run]"
)
@click.option(
    "--split",
    type=click.Choice(["test", "train", "validation"]),
    default="test",
    show_default=True,
    help="train, validation: what the run trained on, or validated with",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="f1, top_3, auroc, confusion_matrix, ...; again for more; else those of the run",
)
@click.option("--max-samples", type=click.IntRange(min=1), metavar="N", help="the first N of them")
@AS_JSON
@speaks
def evaluate(
    client: Client,
    named: str,
    dataset: str | None,
    split: Literal["test", "train", "validation"],
    metrics: tuple[str, ...],
    max_samples: int | None,
    as_json: bool,
) -> int:
    """Measures the weights of a run, or the promoted ones of a model, on a data set.

    The server evaluates one network at a time; a run that trains goes on, and gets most of the processor.
    """
    from backend.commands.evaluating import evaluate

    return evaluate(
        client, named, dataset=dataset, split=split, metrics=metrics, max_samples=max_samples, as_json=as_json
    )


@click.command(cls=Command)
@RUN
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    type=click.Choice(["msgpack", "npz", "safetensors"]),
    help="of the file; without it, what its name ends in, else msgpack",
)
@click.option("--layout", metavar="LAYOUT", help="torch: axes as PyTorch has them, OIHW and [out, in]")
@AS_JSON
@speaks
def weights(client: Client, run: str, file: Path, format: str | None, layout: str | None, as_json: bool) -> int:
    """Writes the weights of a run to a file.

    A download that broke off is completed by the same command; the SHA-256 of the whole is verified.
    """
    from backend.commands.asking import weights

    return weights(client, run, file, format=format, layout=layout, as_json=as_json)


@click.command("open", cls=Command)
@click.argument("run", required=False, shell_complete=complete_runs)
@speaks
def open_page(client: Client, run: str | None) -> int:
    """Opens the page of the server, or the record of a run, in a browser.

    Prints the address, which is all where there is no browser.
    """
    from backend.commands.asking import open_page

    return open_page(client, run)
