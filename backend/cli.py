"""The `lamina` command. Everything heavy is imported by the command that needs it: `lamina --help` answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.config import ConfigError, Settings, rows, settings_from, switch

DESCRIPTION = "Trains neural networks with JAX, over HTTP. A network is a JSON list of layers."


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="lamina",
        description=DESCRIPTION,
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_serve(commands)
    _add_demo(commands)
    _add_datasets(commands)
    _add_upkeep(commands)
    return top


def settings_help() -> str:
    """The settings as plain text, for `lamina --help`."""
    lines = ["settings (flag, environment variable, default; a flag wins over its variable):"]
    for row in rows():
        lines += [f"  {row.flag:<15} {row.variable:<20} {row.default}", f"  {'':<15} {row.help}"]
    return "\n".join(lines)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="run the server", description="Runs the server until Ctrl-C.")
    add_settings(serve)
    serve.add_argument(
        "--stop-with-parent", action="store_true", help="also stop when the process that started it is gone"
    )


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "Starts a server, trains an example network on it, promotes the run, predicts with it, and keeps serving."
    demo = commands.add_parser(
        "demo", help="show a training run and its predictions, then keep serving", description=about
    )
    demo.add_argument("--once", action="store_true", help="exit after the report, with code 0 if everything worked")
    add_settings(demo, but=("host",))


def _add_datasets(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "Lists the data sets: size, classes, and whether they are on this disk."
    datasets = commands.add_parser("datasets", help="list the data sets, or download one", description=about)
    add_settings(datasets, only=("data_dir",))
    actions = datasets.add_subparsers(dest="action", metavar="ACTION", title="actions")
    prepare = actions.add_parser(
        "prepare", help="download one", description="Downloads a data set, unless it is on this disk."
    )
    prepare.add_argument("name", metavar="NAME", help="name of a data set, as `lamina datasets` lists it")
    prepare.add_argument("--json", action="store_true", help="one JSON object per line instead of a progress bar")
    add_settings(prepare, only=("data_dir",))


def _add_upkeep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "Lists files without a record and records without files. Stop the server first."
    collect = commands.add_parser("gc", help="list what a state directory no longer needs", description=about)
    collect.add_argument("--yes", action="store_true", help="remove what is listed")
    collect.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_settings(collect, only=("state_dir",))
    about = "Writes models, runs, weights and training states to a tar file. Stop the server first."
    export = commands.add_parser("export-state", help="write the whole state to a tar file", description=about)
    about = "Reads a tar file of export-state into an empty or new state directory. Every file is verified."
    import_ = commands.add_parser("import-state", help="read the whole state from such a file", description=about)
    for command in (export, import_):
        command.add_argument("file", metavar="FILE", help="the tar file")
        add_settings(command, only=("state_dir",))


def add_settings(to: argparse.ArgumentParser, *, only: Sequence[str] = (), but: Sequence[str] = ()) -> None:
    """Adds the flags of the table; they stay texts until settings_from reads them."""
    group = to.add_argument_group("settings")
    for row in rows():
        if row.name not in but and (not only or row.name in only):
            text = f"{row.help} (environment: {row.variable}; default: {row.default})"
            alone: dict[str, Any] = {"nargs": "?", "const": "yes"} if row.read is switch else {}
            group.add_argument(
                row.flag,
                dest=row.name,
                metavar=row.metavar,
                default=argparse.SUPPRESS,
                help=text.replace("%", "%%"),
                **alone,
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 2 for what the user can correct on the command line."""
    top = parser()
    options = top.parse_args(arguments)
    os.umask(os.umask(0o022) | 0o022)  # others may write to nothing that is made from here on, whatever the shell says
    if options.version:
        from importlib.metadata import version

        print(f"lamina {version('lamina')}")
        return 0
    if options.command is None:
        top.print_help()
        return 0
    try:
        return COMMANDS[options.command](options, settings_from(vars(options), os.environ))
    except ConfigError as problem:
        print(f"lamina: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell reports Ctrl-C


def run_serve(options: argparse.Namespace, settings: Settings) -> int:
    from backend.server.serve import serve

    serve(settings, stop_with_parent=options.stop_with_parent)


def run_demo(options: argparse.Namespace, settings: Settings) -> int:
    from backend.demo.tour import demo

    return demo(settings, port_named=hasattr(options, "port") or bool(os.environ.get("LAMINA_PORT")), once=options.once)


def run_datasets(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands import datasets

    if options.action == "prepare":
        show = datasets.prepare_as_json if options.json else datasets.prepare_with_bar
        return show(options.name, settings.data_dir)
    return datasets.list_all(settings.data_dir)


def run_gc(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.state import collect

    return collect(settings.state_dir, yes=options.yes, as_json=options.json)


def run_export(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.state import export

    return export(settings.state_dir, Path(options.file).absolute())


def run_import(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.state import import_

    return import_(settings.state_dir, Path(options.file).absolute())


COMMANDS = {
    "serve": run_serve,
    "demo": run_demo,
    "datasets": run_datasets,
    "gc": run_gc,
    "export-state": run_export,
    "import-state": run_import,
}


if __name__ == "__main__":
    sys.exit(main())
