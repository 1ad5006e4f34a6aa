"""The commands that train: start runs, follow them, wait for them, end them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from backend.cli.completing import datasets
from backend.cli.remote import AS_JSON, IDS_ONLY, RUN, RUNS, RUNS_NEEDED, TIMEOUT, Change, names_server, speaks, wanted
from backend.cli.settings import settings
from backend.cli.shape import Command
from backend.config import Settings

if TYPE_CHECKING:
    from backend.client import Client

QUEUE = click.option("--queue", is_flag=True, help="wait in line if a run is active, instead of a refusal")
SET = "a value of the body, as in hyperparams.seed=3 or architecture.layers[0].out=32; JSON, else text; again for more"


@click.command(cls=Command)
@click.argument("file", metavar="FILE|-", type=click.Path(allow_dash=True))
@click.option("--set", "changes", type=Change(), multiple=True, metavar="PATH=VALUE", help=SET)
@QUEUE
@click.option("--name", metavar="TEXT", help="what the run is called")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="a tag of the run; again for more")
@click.option("--notes", metavar="TEXT", help="about the run, for people")
@click.option("--wait", is_flag=True, help="wait for its end, with a bar; the exit code tells how it ended")
@TIMEOUT
@IDS_ONLY
@AS_JSON
@speaks
def train(
    client: Client,
    file: str,
    changes: tuple[tuple[str, str], ...],
    queue: bool,
    name: str | None,
    tags: tuple[str, ...],
    notes: str | None,
    wait: bool,
    timeout: float | None,
    ids_only: bool,
    as_json: bool,
) -> int:
    """Starts a run of the body in a JSON file, or on standard input for `-`.

    The file holds what `POST /api/train` takes; flags change it. Ctrl-C during --wait leaves the run running.
    """
    from backend.client.overrides import value_of
    from backend.commands.following import Wish, train

    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait", click.get_current_context())
    labels = {"queue": queue or None, "name": name, "tags": tags or None, "notes": notes}
    values = {path: value_of(text) for path, text in changes}
    return train(client, file, values, labels, wait=wait, wish=Wish(timeout, ids_only, as_json))


@click.command(cls=Command)
@click.argument("what", metavar="FILE|JSON")
@click.option("-o", "--output", "file", metavar="FILE", required=True, help="the PNG to write; - for standard output")
@click.option("--dataset", metavar="NAME", shell_complete=datasets, help="whose samples; that of FILE, or MNIST")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="which samples, and what becomes of them")
@click.option("--count", type=click.IntRange(1, 16), metavar="N", help="samples, side by side (default: 8)")
@click.option("--times", type=click.IntRange(1, 8), metavar="N", help="epochs, below each other (default: 3)")
@AS_JSON
@speaks
def augment(
    client: Client,
    what: str,
    file: str,
    dataset: str | None,
    seed: int | None,
    count: int | None,
    times: int | None,
    as_json: bool,
) -> int:
    """Draws samples before and after augmentation.

    FILE|JSON: a list of augmentations, or a body of `lamina train` with one in its hyperparams.
    """
    from backend.commands.augmenting import augment

    return augment(client, what, file, dataset=dataset, as_json=as_json, seed=seed, count=count, times=times)


@click.command(cls=Command)
@click.argument("file", metavar="[FILE|-]", required=False, type=click.Path(allow_dash=True))
@click.option("--model", metavar="MODEL", help="a stored model of the server, of which FILE may change parts")
@AS_JSON
@settings(only=("state_dir",))
@names_server
def inspect(
    settings: Settings, file: str | None, model: str | None, as_json: bool, url: str | None, token: str | None
) -> int:
    """Tells what a network costs before it trains: shapes, operations, memory, seconds, warnings.

    The file holds what `POST /api/train` takes; half-built networks are told with their problems, and exit code 1.
    Nothing is run. It is computed here, or by the server that --url or LAMINA_URL names.
    """
    from backend.commands import inspecting
    from backend.commands.telling import spoken

    context = click.get_current_context()
    server, secret = wanted(context, "url"), wanted(context, "token")
    if not file and not model:
        raise click.UsageError("name a FILE, - for standard input, or a --model of a server", context)
    return spoken(
        lambda client: (
            inspecting.inspect_there(client, file, model, as_json=as_json)
            if model or server is not None or os.environ.get("LAMINA_URL")
            else inspecting.inspect_here(str(file), settings.state_dir, as_json=as_json)
        ),
        url=server,
        token=secret,
        as_json=as_json,
    )


@click.command(cls=Command)
@RUNS_NEEDED
@TIMEOUT
@IDS_ONLY
@AS_JSON
@speaks
def wait(client: Client, runs: tuple[str, ...], timeout: float | None, ids_only: bool, as_json: bool) -> int:
    """Waits until runs have ended; the exit code tells how.

    0 if all have succeeded, 1 if one failed, 5 if one was cancelled. With --quiet nothing is printed.
    """
    from backend.commands.following import Wish, wait_for

    return wait_for(client, runs, Wish(timeout, ids_only, as_json))


@click.command(cls=Command)
@RUN
@AS_JSON
@speaks
def follow(client: Client, run: str, as_json: bool) -> int:
    """Shows what happens in a run until it ends, with a bar; the exit code tells how."""
    from backend.commands.following import follow

    return follow(client, run, as_json=as_json)


@click.command(cls=Command)
@RUN
@click.option("-f", "--follow", is_flag=True, help="go on until the run ends")
@AS_JSON
@speaks
def logs(client: Client, run: str, follow: bool, as_json: bool) -> int:
    """Prints what has happened in a run: states, epochs, remarks."""
    from backend.commands.following import logs

    return logs(client, run, follow=follow, as_json=as_json)


@click.command(cls=Command)
@RUNS
@click.option("--all", "every", is_flag=True, help="every active run, those that wait first")
@IDS_ONLY
@AS_JSON
@speaks
def cancel(client: Client, runs: tuple[str, ...], every: bool, ids_only: bool, as_json: bool) -> int:
    """Cancels runs that wait or train."""
    from backend.commands.changing import cancel

    if bool(runs) == every:
        raise click.UsageError("name runs, or give --all" if not every else "--all goes without runs")
    return cancel(client, runs, every=every, as_json=as_json, ids_only=ids_only)


@click.command(cls=Command)
@RUNS_NEEDED
@QUEUE
@IDS_ONLY
@AS_JSON
@speaks
def resume(client: Client, runs: tuple[str, ...], queue: bool, ids_only: bool, as_json: bool) -> int:
    """Goes on with runs that were interrupted or cancelled, after their last whole epoch."""
    from backend.commands.changing import resume

    return resume(client, runs, queue=queue, as_json=as_json, ids_only=ids_only)
