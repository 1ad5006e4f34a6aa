"""The whole command line, and how its end is told: one sentence on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import click

from backend.cli import benchmarks, here, laboratory, records, shell, training
from backend.cli.remote import BEFORE, names_server, refuse_server
from backend.cli.settings import settings_help
from backend.cli.shape import Group
from backend.cli.shell import COMPLETE
from backend.commands.exits import CLOSED_PIPE, INTERRUPTED, MEANING, USAGE
from backend.config import ConfigError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
VERSION = "Show the version and exit."


def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Prints the version of what is installed, and ends."""
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        print(f"lamina {version('lamina')}")
        context.exit()


def further_help() -> str:
    """What `lamina --help` says below the commands: exit codes and settings."""
    codes = "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANING.items())
    return f"Exit codes:\n{codes}\n\n{settings_help()}"


@click.group(cls=Group, invoke_without_command=True, further=further_help, context_settings=CONTEXT)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help=VERSION)
@partial(names_server, section=BEFORE)
@click.pass_context
def lamina(context: click.Context, /, **server: str | None) -> int:
    """Trains neural networks with JAX, over HTTP. A network is a JSON list of layers."""
    if context.invoked_subcommand is None:
        print(context.get_help())
    else:
        refuse_server(lamina.commands[context.invoked_subcommand], context)
    return 0


lamina.add("Training", training.inspect, training.augment)
lamina.add("Training", training.train, training.follow, training.wait, training.logs, training.cancel, training.resume)
lamina.add("Runs and models", records.runs, records.show, records.compare, records.edit, records.delete)
lamina.add("Runs and models", records.promote, records.models, records.infer, records.evaluate)
lamina.add("Runs and models", records.weights, records.open_page)
lamina.add("Laboratory, on this machine", laboratory.bench, here.devices)
lamina.add("Benchmarks of a server", benchmarks.benchmarks)
lamina.add("Server", here.serve, here.demo)
lamina.add(
    "Data sets and state, on this machine", here.datasets, here.examples, here.gc, here.export_state, here.import_state
)
lamina.add("This command", shell.completion, shell.man)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code, as `lamina --help` lists them."""
    os.umask(os.umask(0o022) | 0o022)  # others may write to nothing that is made from here on, whatever the shell says
    if COMPLETE in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(lamina, {}, "lamina", COMPLETE, os.environ[COMPLETE])
    try:
        code = run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # or Python would complain when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE


def run(arguments: list[str]) -> int:
    """Runs one command; its exit code."""
    try:
        with lamina.make_context("lamina", arguments) as context:
            return int(lamina.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as problem:
        path = problem.ctx.command_path if problem.ctx else "lamina"
        print(f"lamina: {problem.format_message()}\n`{path} --help` tells what it takes.", file=sys.stderr)
    except ConfigError as problem:
        print(f"lamina: {problem}", file=sys.stderr)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    return USAGE
