"""The `lamina` command. Everything heavy is imported by the command that needs it: `lamina --help` answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.config import ConfigError, Settings, rows, settings_from, switch

DESCRIPTION = "Trains neural networks given as JSON lists of layers, over HTTP, with JAX."


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="lamina",
        description=DESCRIPTION,
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and leave")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_serve(commands)
    _add_demo(commands)
    _add_datasets(commands)
    _add_upkeep(commands)
    return top


def settings_help() -> str:
    """The settings as plain text, for `lamina --help`."""
    lines = ["settings (flag, environment, default; a flag wins over the environment):"]
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
    about = "Starts a server, trains the reference's example on it, promotes and asks the model, and goes on serving."
    demo = commands.add_parser("demo", help="see all of it work, then go on serving", description=about)
    demo.add_argument("--once", action="store_true", help="stop after the report; exit code 0 if all of it worked")
    add_settings(demo, but=("host",))


def _add_datasets(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "Lists the data sets: size, classes, and which of them are here."
    datasets = commands.add_parser("datasets", help="list the data sets, or fetch one", description=about)
    add_settings(datasets, only=("data_dir",))
    actions = datasets.add_subparsers(dest="action", metavar="ACTION", title="actions")
    prepare = actions.add_parser("prepare", help="fetch one", description="Fetches a data set, or finds it.")
    prepare.add_argument("name", metavar="NAME", help="as listed by `lamina datasets`")
    prepare.add_argument("--json", action="store_true", help="one JSON object per line instead of a progress bar")
    add_settings(prepare, only=("data_dir",))


def _add_upkeep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "Lists files that no record names and records whose files are gone. Only while no server runs on them."
    collect = commands.add_parser("gc", help="list what a state directory no longer needs", description=about)
    collect.add_argument("--yes", action="store_true", help="remove it")
    collect.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_settings(collect, only=("state_dir",))
    about = "Writes models, runs, weights and training states to one tar. Only while no server runs on them."
    export = commands.add_parser("export-state", help="write a whole state to one tar", description=about)
    about = "Makes the state in a tar that of a directory which is empty or new, verified file by file."
    import_ = commands.add_parser("import-state", help="take a whole state from such a tar", description=about)
    for command in (export, import_):
        command.add_argument("file", metavar="FILE", help="the tar")
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
