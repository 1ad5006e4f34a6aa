"""How commands look in help: sections of commands and of flags. What a command returns is its exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click

OPTIONS = "Options"
ARGUMENTS = "Arguments"


class Flag(click.Option):
    """An option that stands under a heading of its own in help, such as Settings."""

    def __init__(self, *names: Any, section: str = OPTIONS, **rest: Any) -> None:
        super().__init__(*names, **rest)
        self.section = section


class Command(click.Command):
    """A command whose flags are listed by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, rows in flags_by_section(self, ctx).items():
            with formatter.section(section):
                formatter.write_dl(rows)


class Group(click.Group):
    """Commands by section, in the order in which they were added; `further` is printed below them as it is."""

    command_class = Command

    def __init__(self, *rest: Any, further: Callable[[], str] | None = None, **others: Any) -> None:
        super().__init__(*rest, **others)
        self.further = further
        self.sections: dict[str, list[str]] = {}

    def add(self, section: str, *commands: click.Command) -> None:
        """Adds commands under a heading."""
        for command in commands:
            self.add_command(command)
            command.short_help = brief(command)  # of shells, too
            self.sections.setdefault(section, []).append(str(command.name))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in self.sections.items():
            with formatter.section(section):
                formatter.write_dl([(name, brief(self.commands[name])) for name in names])
        for section, rows in flags_by_section(self, ctx).items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.further:
            formatter.write(f"\n{self.further()}\n")


def brief(command: click.Command) -> str:
    """The first sentence of what a command does."""
    whole = " ".join((command.help or "").split())
    return whole[: whole.index(". ") + 1] if ". " in whole else whole


def flags_by_section(command: click.Command, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
    """The rows of help, section by section: what is general first, `--help` last in it."""
    found: dict[str, list[tuple[str, str]]] = {OPTIONS: []}
    for flag in command.get_params(ctx):
        row = flag.get_help_record(ctx) if isinstance(flag, click.Option) else None
        if row:
            found.setdefault(getattr(flag, "section", OPTIONS), []).append(row)
    return found


def walk(group: click.Group, *before: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group with the words that call it, in the order of help."""
    for name in group.list_commands(click.Context(group)):
        command = group.commands[name]
        yield (*before, name), command
        if isinstance(command, click.Group):
            yield from walk(command, *before, name)
