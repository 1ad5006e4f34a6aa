"""The commands that run on this machine: a server, the demo, the data sets, the upkeep of a state directory."""

from __future__ import annotations

import os
from pathlib import Path

import click

from backend.cli.remote import names_server, wanted
from backend.cli.settings import given, settings
from backend.cli.shape import Command, Group
from backend.config import Settings

FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command(cls=Command)
@click.option("--stop-with-parent", is_flag=True, help="also stop when the process that started it is gone")
@settings()
def serve(settings: Settings, stop_with_parent: bool) -> int:
    """Runs the server until Ctrl-C or SIGTERM.

    A run that trains then ends as `failed: interrupted`, and can be resumed; waiting runs stay in the queue.
    """
    from backend.server.serve import serve

    serve(settings, stop_with_parent=stop_with_parent)


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="exit after the report, with code 0 if everything worked")
@settings(but=("host",))
def demo(settings: Settings, once: bool) -> int:
    """Starts a server, trains an example network on it, promotes the run, predicts with it, and keeps serving."""
    from backend.demo.tour import demo

    named = "port" in given(click.get_current_context()) or bool(os.environ.get("LAMINA_PORT"))
    return demo(settings, port_named=named, once=once)


@click.command(cls=Command)
@click.option("--calibrate", is_flag=True, help="measure them again")
@click.option("--json", "as_json", is_flag=True, help="one JSON object instead of a table")
@settings(only=("state_dir",))
@names_server
def devices(settings: Settings, calibrate: bool, as_json: bool, **_: str | None) -> int:
    """Lists what can be trained on: kind, memory, and the most that it computes.

    That is measured the first time, which takes some seconds for each device, and kept in the state directory.
    With --url or LAMINA_URL the devices are those of a server.
    """
    from backend.commands import devices
    from backend.commands.telling import spoken

    context = click.get_current_context()
    url, token = wanted(context, "url"), wanted(context, "token")
    if url is None and not os.environ.get("LAMINA_URL"):
        return devices.here(settings.state_dir, calibrate=calibrate, as_json=as_json)
    return spoken(
        lambda client: devices.on_server(client, calibrate=calibrate, as_json=as_json),
        url=url,
        token=token,
        as_json=as_json,
    )


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="one JSON object instead of a table")
@settings(only=("data_dir",))
def datasets(settings: Settings, as_json: bool) -> int:
    """Lists the data sets: size, classes, and whether they are on this disk."""
    from backend.commands import datasets

    if click.get_current_context().invoked_subcommand:
        return 0
    return datasets.list_all(settings.data_dir, as_json=as_json)


@click.command(cls=Command)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line instead of a progress bar")
@settings(only=("data_dir",))
def prepare(settings: Settings, name: str, as_json: bool) -> int:
    """Downloads a data set, unless it is on this disk. NAME: as `lamina datasets` lists it."""
    from backend.commands import datasets

    show = datasets.prepare_as_json if as_json else datasets.prepare_with_bar
    return show(name, settings.data_dir)


datasets.add("Actions", prepare)


@click.command(cls=Command)
@click.argument("name", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="all that is known as one JSON object, instead of a table or a body"
)
def examples(name: str | None, as_json: bool) -> int:
    """Lists public networks that come with Lamina: data, size, what their sources claim, what was measured.

    With a NAME, prints that one's body: `lamina examples NAME | lamina train -` trains it.
    """
    from backend.commands import examples

    return examples.list_all(as_json=as_json) if name is None else examples.show(name, as_json=as_json)


@click.command(cls=Command)
@click.option("--yes", is_flag=True, help="remove what is listed")
@click.option("--json", "as_json", is_flag=True, help="one JSON object instead of a table")
@settings(only=("state_dir",))
def gc(settings: Settings, yes: bool, as_json: bool) -> int:
    """Lists what a state directory no longer needs; --yes removes it.

    That is files without a record, and records without files. A server may be running.
    """
    from backend.commands.state import collect

    return collect(settings.state_dir, yes=yes, as_json=as_json)


@click.command(cls=Command)
@FILE
@settings(only=("state_dir",))
def export_state(settings: Settings, file: Path) -> int:
    """Writes models, runs, weights and training states to a tar FILE. A server may be running."""
    from backend.commands.state import export

    return export(settings.state_dir, file.absolute())


@click.command(cls=Command)
@FILE
@click.option(
    "--merge", is_flag=True, help="add its runs and models to the state that is there; a server may be running"
)
@settings(only=("state_dir",))
def import_state(settings: Settings, file: Path, merge: bool) -> int:
    """Reads a tar FILE of export-state into an empty or new state directory. Every file is verified."""
    from backend.commands import state

    return (state.merge if merge else state.import_)(settings.state_dir, file.absolute())
