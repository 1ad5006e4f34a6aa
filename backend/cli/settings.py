"""The settings of a server as flags of the commands that take them: texts until `settings_from` reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from backend.cli.shape import Flag
from backend.config import Row, rows, settings_from, switch

Run = Callable[..., int]
SECTION = "Settings"


def settings(*, only: Sequence[str] = (), but: Sequence[str] = ()) -> Callable[[Run], Run]:
    """Gives a command the flags of the table, and calls it with `settings=`. Raises ConfigError for a bad value."""
    chosen = [row for row in rows() if row.name not in but and (not only or row.name in only)]

    def decorate(command: Run) -> Run:
        @wraps(command)
        def run(**values: Any) -> int:
            others = {name: value for name, value in values.items() if name not in {row.name for row in chosen}}
            return command(settings=settings_from(given(click.get_current_context()), os.environ), **others)

        wrapped: Run = run
        for row in reversed(chosen):
            wrapped = flag(row)(wrapped)
        return wrapped

    return decorate


def flag(row: Row) -> Callable[[Run], Run]:
    """One setting as an option; a switch may stand without its value."""
    return click.option(
        row.flag,
        row.name,
        cls=Flag,
        section=SECTION,
        metavar=row.metavar,
        help=f"{row.help} (environment: {row.variable}; default: {row.default})",
        **({"is_flag": False, "flag_value": "yes"} if row.read is switch else {}),
    )


def given(context: click.Context) -> dict[str, str]:
    """The settings that the command line has, those of the command before those of the group around it."""
    found = given(context.parent) if context.parent else {}
    names = {row.name for row in rows()}
    return found | {name: value for name, value in context.params.items() if name in names and value is not None}


def settings_help() -> str:
    """The settings as plain text, for `lamina --help`."""
    lines = ["Settings (flag, environment variable, default; a flag wins over its variable):"]
    for row in rows():
        lines += [f"  {row.flag:<22} {row.variable:<26} {row.default}", f"  {'':<22} {row.help}"]
    return "\n".join(lines)
