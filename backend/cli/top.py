"""The whole command line, and how its end is told: one sentence on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from backend.cli import here
from backend.cli.settings import settings_help
from backend.cli.shape import Group
from backend.config import ConfigError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Prints the version of what is installed, and ends."""
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        print(f"lamina {version('lamina')}")
        context.exit()


@click.group(cls=Group, invoke_without_command=True, further=settings_help, context_settings=CONTEXT)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="print the version"
)
@click.pass_context
def lamina(context: click.Context) -> int:
    """Trains neural networks with JAX, over HTTP. A network is a JSON list of layers."""
    if context.invoked_subcommand is None:
        print(context.get_help())
    return 0


lamina.add("Server", here.serve, here.demo)
lamina.add("Data sets and state, on this machine", here.datasets, here.gc, here.export_state, here.import_state)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 2 for what the user can correct on the command line."""
    os.umask(os.umask(0o022) | 0o022)  # others may write to nothing that is made from here on, whatever the shell says
    try:
        with lamina.make_context("lamina", list(sys.argv[1:] if arguments is None else arguments)) as context:
            return int(lamina.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as problem:
        path = problem.ctx.command_path if problem.ctx else "lamina"
        print(f"lamina: {problem.format_message()}\n`{path} --help` tells what it takes.", file=sys.stderr)
        return 2
    except ConfigError as problem:
        print(f"lamina: {problem}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130  # as a shell reports Ctrl-C
