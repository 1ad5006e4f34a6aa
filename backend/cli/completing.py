"""What shells complete: runs and models of the server with their names, data sets, states; nothing where it is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from backend.client import Client

SECONDS = 1.0
MOST = 200
STATES = ("queued", "running", "succeeded", "failed", "cancelled")

Items = list[CompletionItem[str]]


def asked(context: click.Context, ask: Callable[[Client], Iterable[tuple[str, str]]], incomplete: str) -> Items:
    """Words that the server knows, with what they mean. No server, no words: completion never complains."""
    with suppress(Exception):
        from backend.client import Client

        own, common = context.params, context.find_root().params
        url, token = (common.get(flag) if own.get(flag) is None else own[flag] for flag in ("url", "token"))
        client = Client(url, token, timeout=SECONDS)
        return [CompletionItem(word, help=help) for word, help in ask(client) if word.startswith(incomplete)]
    return []


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Runs by their short ids, newest first, without those that the line has already."""
    there = context.params.get("runs") or ()

    def ask(client: Client) -> Iterable[tuple[str, str]]:
        return ((run.short, f"{run.name} ({run.state})") for run in client.runs(limit=MOST) if run.short not in there)

    return asked(context, ask, incomplete)


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Models by their short ids."""
    return asked(context, lambda client: ((each.short, each.name) for each in client.models(limit=MOST)), incomplete)


def datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Data sets."""
    return asked(context, lambda client: ((each.name, each.title) for each in client.datasets()), incomplete)


def states(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """States of runs."""
    return [CompletionItem(state) for state in STATES if state.startswith(incomplete)]
