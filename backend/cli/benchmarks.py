"""The command for benchmarks on a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backend.cli.remote import AS_JSON, IDS_ONLY, LIMIT, speaks
from backend.cli.shape import Command

if TYPE_CHECKING:
    from backend.client import Client


@click.command(cls=Command)
@click.argument("benchmark", required=False)
@click.option("--follow", is_flag=True, help="wait until it has ended, with a bar")
@click.option("--cancel", is_flag=True, help="end it; what it has measured stays")
@click.option("--delete", is_flag=True, help="delete it with all that it measured")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="folder for results.json, results.csv, report.html"
)
@LIMIT
@IDS_ONLY
@AS_JSON
@speaks
def benchmarks(
    client: Client,
    benchmark: str | None,
    follow: bool,
    cancel: bool,
    delete: bool,
    out: Path | None,
    limit: int | None,
    ids_only: bool,
    as_json: bool,
) -> int:
    """Lists benchmarks of a server, newest first; one that is named is shown, followed, cancelled or deleted.

    `lamina bench --url URL` starts one.
    """
    from backend.commands import benchmarks as on_server

    if follow + cancel + delete > 1:
        raise click.UsageError("give one of --follow, --cancel and --delete")
    if benchmark is None:
        if follow or cancel or delete or out:
            raise click.UsageError("name the benchmark; `lamina benchmarks` lists them")
        return on_server.benchmarks(client, limit=limit, as_json=as_json, ids_only=ids_only)
    if cancel:
        return on_server.cancel(client, benchmark, as_json=as_json)
    if delete:
        return on_server.delete(client, benchmark, as_json=as_json)
    if follow:
        return on_server.follow(client, benchmark, out=out, as_json=as_json)
    return on_server.show(client, benchmark, out=out, as_json=as_json)
