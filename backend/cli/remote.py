"""What commands that speak to a server have in common: its address and token, ids, filters, forms of output."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from backend.cli.completing import datasets, models, runs, states
from backend.cli.shape import Flag

Run = Callable[..., int]
SECTION = "Server"
BEFORE = "Before a command that speaks to a server, or after it"
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

AS_JSON = click.option("--json", "as_json", is_flag=True, help="one JSON object, or one a line")
IDS_ONLY = click.option("-q", "--quiet", "ids_only", is_flag=True, help="ids only, for shell loops")
RUN = click.argument("run", shell_complete=runs)
RUNS = click.argument("runs", metavar="[RUN...]", nargs=-1, shell_complete=runs)
RUNS_NEEDED = click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=runs)
LIMIT = click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="how many, 0 for all (default: 30 in a table, else all)"
)


def names_server(command: Run, section: str = SECTION) -> Run:
    """Gives a command, or all of them, the flags that name a server, as `url=` and `token=`."""
    address = "address of the server (environment: LAMINA_URL; default: http://127.0.0.1:8080)"
    secret = "its token; the flag shows in the list of processes (environment: LAMINA_TOKEN)"
    command = click.option("--token", cls=Flag, section=section, metavar="TOKEN", help=secret)(command)
    return click.option("--url", cls=Flag, section=section, metavar="URL", help=address)(command)


def speaks(command: Run) -> Run:
    """Gives a command the flags that name a server, and calls it with `client=`; it returns the exit code.

    What goes wrong is told on standard error.
    """

    @wraps(command)
    def run(url: str | None, token: str | None, **values: Any) -> int:
        from backend.commands.telling import spoken

        context = click.get_current_context()
        return spoken(
            lambda client: command(client=client, **values),
            url=wanted(context, "url"),
            token=wanted(context, "token"),
            as_json=bool(values.get("as_json")),
        )

    return names_server(run)


def wanted(context: click.Context, flag: str) -> str | None:
    """`url` or `token` as it stands behind the command, else before it; None where it stands nowhere."""
    own, common = context.params.get(flag), context.find_root().params.get(flag)
    return common if own is None else own


def refuse_server(command: click.Command, context: click.Context) -> None:
    """Refuses the flags that name a server before a command that speaks to none."""
    given = [f"--{flag}" for flag in ("url", "token") if context.params.get(flag) is not None]
    if given and not any(getattr(each, "section", "") == SECTION for each in command.params):
        both = " and ".join(given)
        raise click.UsageError(f"{both} before a command names a server to speak to; `{command.name}` speaks to none")


class Duration(click.ParamType[float]):
    """Seconds, from text such as 90s, 45m, 12h or 30d; a number alone is of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(value))
        if not match:
            self.fail(f"{value!r} is no duration: write 90s, 45m, 12h or 30d", param, ctx)
        return float(match[1]) * UNITS[match[2]]


class Change(click.ParamType[tuple[str, str]]):
    """A path and a value, from PATH=VALUE."""

    name = "change"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        path, equals, text = str(value).partition("=")
        if not equals or not path:
            self.fail(f"{value!r} is no PATH=VALUE, such as hyperparams.seed=3", param, ctx)
        return path, text


TIMEOUT = click.option(
    "--timeout", type=Duration(), metavar="TIME", help="give up after 90s, 45m or 12h, with code 124; the runs go on"
)

FILTERS = (
    click.option(
        "--state", multiple=True, metavar="STATE", shell_complete=states, help="in this state; again: or in that"
    ),
    click.option("--model", metavar="MODEL", shell_complete=models, help="of this model"),
    click.option("--tag", multiple=True, metavar="TAG", help="with this tag; again: and with that"),
    click.option("--name", metavar="TEXT", help="with this in their name"),
    click.option("--dataset", metavar="NAME", shell_complete=datasets, help="on this data set"),
    click.option("--device", metavar="TEXT", help="with this in their device"),
)


def filters(command: Run) -> Run:
    """Gives a command the filters of lists of runs, and calls it with `filters=`: those that were given."""

    @wraps(command)
    def run(**values: Any) -> int:
        names = ("state", "model", "tag", "name", "dataset", "device")
        given = {name: values.pop(name) for name in names}
        return command(filters={name: value for name, value in given.items() if value}, **values)

    wrapped: Run = run
    for option in reversed(FILTERS):
        wrapped = option(wrapped)
    return wrapped
