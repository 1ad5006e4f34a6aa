"""The commands that compare devices, on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from backend.cli.remote import names_server, wanted
from backend.cli.settings import settings
from backend.cli.shape import Command, Group
from backend.config import Settings


class Listed(click.ParamType[Any]):
    """Values with commas between them."""

    def __init__(self, kind: click.ParamType[Any], metavar: str) -> None:
        self.kind, self.name = kind, metavar

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Each by itself."""
        if isinstance(value, tuple):
            return value
        return tuple(self.kind.convert(part.strip(), param, ctx) for part in str(value).split(",") if part.strip())


PRECISION, BATCH = click.Choice(["float32", "bfloat16"]), click.IntRange(1, 65_536)


class Measuring(Group):
    """A command that takes words of any kind, unless the first of them is a command of its own."""

    allow_interspersed_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """All of it is the other command's, where its name comes first."""
        ctx.obj = args if args[:1] and args[0] in self.commands else None
        return click.Command.parse_args(self, ctx, [] if ctx.obj else args)

    def invoke(self, ctx: click.Context) -> Any:
        """This command, or the other."""
        if not ctx.obj:
            return click.Command.invoke(self, ctx)
        name, command, rest = self.resolve_command(ctx, ctx.obj)
        assert command is not None
        # Not inside this command's context: its usage would be told with the bodies that this one takes.
        with command.make_context(f"{ctx.info_name} {name}", rest, parent=ctx.parent) as inner:
            return command.invoke(inner)


@click.group(cls=Measuring, subcommand_metavar="", invoke_without_command=True)
@click.argument("bodies", nargs=-1, metavar="[BODY.json|NAME|-]...")
@click.option(
    "--preset",
    type=click.Choice(["quick", "standard", "full"]),
    default="quick",
    show_default=True,
    help="which networks, how often, how long: minutes, half an hour, hours on a CPU",
)
@click.option("--devices", type=Listed(click.STRING, "cpu,gpu:0"), default=(), help="[default: every device here]")
@click.option("--precisions", type=Listed(PRECISION, "float32,bfloat16"), default=(), help="of operands")
@click.option("--batch-sizes", type=Listed(BATCH, "16,64,256"), default=(), help="samples per step")
@click.option("--repeats", type=click.IntRange(1, 100), help="how often each cell is measured")
@click.option("--target", type=click.FloatRange(0, 1, min_open=True), help="a validation accuracy to train to, timed")
@click.option("--name", help="how reports call this machine; on a server, the benchmark")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="folder for the results")
@click.option("--json", "as_json", is_flag=True, help="the results on standard output instead of a table")
@click.option("--schema", is_flag=True, help="print the JSON Schema of results.json, and end")
@settings(only=("data_dir", "state_dir"))
@names_server
def bench(settings: Settings, as_json: bool, schema: bool, url: str | None, token: str | None, **asked: Any) -> int:
    """Measures networks on the devices here: speed, compiling, memory, energy, answers, equal losses.

    A body is a file as for `lamina train`, `-` for standard input, or the name of a network that comes with Lamina;
    without one, those of the preset. Each measurement has a process of its own. Ctrl-C keeps what is measured. With
    --url or LAMINA_URL that server measures on its own devices.
    """
    from backend.commands import benching, benchmarks
    from backend.commands.telling import spoken
    from nets.benchmarks.protocol import NETWORKS

    if schema:
        return benching.schema()
    context = click.get_current_context()
    url, token = wanted(context, "url"), wanted(context, "token")
    if url is not None or os.environ.get("LAMINA_URL"):
        bodies, out = list(asked.pop("bodies")) or NETWORKS[asked["preset"]], asked.pop("out")
        return spoken(
            lambda client: benchmarks.bench(client, bodies, asked, out=out, as_json=as_json),
            url=url,
            token=token,
            as_json=as_json,
        )
    return benching.bench(
        benching.Asked(**asked), data_dir=settings.data_dir, state_dir=settings.state_dir, as_json=as_json
    )


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="RESULTS.json...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="folder for the report")
@click.option("--json", "as_json", is_flag=True, help="the results on standard output instead of a table")
def merge(files: tuple[str, ...], out: Path, as_json: bool) -> int:
    """Puts results of several machines into one report.

    Refuses results that differ in bodies, precisions or protocol, and names what differs. Machines are told apart by
    name; of equal names, later ones are numbered. The same results are taken once.
    """
    from backend.commands.merging import merge

    return merge(files, out=out, as_json=as_json)


bench.add("Actions", merge)
