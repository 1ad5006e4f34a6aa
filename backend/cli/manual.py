"""The manual page: roff, from the same commands and flags as help."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version

import click

from backend.cli.remote import SECTION as SERVER
from backend.cli.settings import SECTION as SETTINGS
from backend.cli.shape import flags_by_section, walk
from backend.commands.exits import MEANING
from backend.config import rows

MOST = 78  # characters of a line of roff
FEW = 3  # settings of a command that are told with it
SYNOPSIS = r"[\-\-version] [\-\-help] [\-\-url URL] [\-\-token TOKEN] \fICOMMAND\fR [\fIARGUMENTS\fR]"
VARIABLES = (
    ("LAMINA_URL", "the server that commands speak to; http://127.0.0.1:8080 without it"),
    ("LAMINA_TOKEN", "its token; also the one that `lamina serve` asks for"),
    ("NO_COLOR", "output without colours, if it is set"),
    ("COLUMNS", "the width of tables, instead of that of the terminal"),
    ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "proxies to servers on other machines"),
    ("REQUESTS_CA_BUNDLE", "certificates of authorities to trust, for https"),
)


def page(top: click.Group) -> str:
    """The whole page, `lamina(1)`."""
    return "\n".join(short for line in lines(top) for short in folded(line)) + "\n"


def folded(line: str) -> list[str]:
    """A line of text as several short ones, which roff joins again; a request stays whole."""
    if line.startswith("."):
        return [line]
    return textwrap.wrap(line, MOST, break_long_words=False, break_on_hyphens=False)


def lines(top: click.Group) -> Iterator[str]:
    """The lines of the page."""
    yield f'.TH LAMINA 1 "{date.today()}" "lamina {version("lamina")}" "User Commands"'
    yield from (".nh", ".ad l")  # names are copied from here: nothing is split
    yield from (".SH NAME", r"lamina \- train neural networks with JAX, over HTTP")
    yield from (".SH SYNOPSIS", ".B lamina", SYNOPSIS)
    yield ".SH DESCRIPTION"
    yield from paragraphs(top.help or "")
    yield ".SH COMMANDS"
    for words, command in walk(top):
        yield from described(words, command)
    yield ".SH SERVER"
    yield "Commands that speak to a server take these, before the command or after it:"
    for flag, meaning in flags_by_section(top.commands["runs"], click.Context(top))[SERVER]:
        yield from item(rf"\fB{escaped(flag)}\fR", meaning)
    yield ".SH SETTINGS"
    yield escaped("Of commands that take them, as flags or in the environment; a flag wins over its variable.")
    for row in rows():
        text = f"{row.help} (environment: {row.variable}; default: {row.default})"
        yield from item(rf"\fB{escaped(row.flag)}\fR \fI{escaped(row.metavar)}\fR", text)
    yield ".SH ENVIRONMENT"
    for name, meaning in VARIABLES:
        yield from item(rf"\fB{escaped(name)}\fR", meaning)
    yield ".SH EXIT STATUS"
    for code, meaning in MEANING.items():
        yield from item(rf"\fB{code}\fR", meaning)


def described(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    """One command: how it is called, what it does, and its flags."""
    context = click.Context(command, info_name=" ".join(words))
    usage = " ".join(command.collect_usage_pieces(context))
    yield rf'.SS "lamina {escaped(" ".join(words))} \fR{escaped(usage)}"'
    yield from paragraphs(command.help or "")
    for section, flags in flags_by_section(command, context).items():
        if section == SETTINGS and len(flags) > FEW:
            yield from (".PP", "It takes the settings below.")
        if section == SERVER or (section == SETTINGS and len(flags) > FEW):
            continue
        for flag, meaning in flags:
            if not flag.startswith(("-h,", "--help")):
                yield from item(rf"\fB{escaped(flag)}\fR", meaning)


def item(name: str, meaning: str) -> Iterator[str]:
    """A name with its meaning, indented."""
    yield from (".TP", name, escaped(meaning))


def paragraphs(text: str) -> Iterator[str]:
    """Prose; lines below a \\b stand as they are."""
    for number, part in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        if part.lstrip().startswith("\b"):
            rest = part.lstrip().removeprefix("\b").strip("\n")
            yield from (".nf", *(escaped(line.strip()) for line in rest.splitlines()), ".fi")
        else:
            yield escaped(" ".join(part.split()))


def escaped(text: str) -> str:
    """Text as roff prints it: hyphens that can be copied, no request at the start of a line."""
    found = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq").replace("'", r"\(aq")
    return re.sub(r"`([^`]*)`", r"\\fB\1\\fR", found.replace("~", r"\(ti").replace("^", r"\(ha"))
