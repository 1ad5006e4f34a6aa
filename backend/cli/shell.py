"""The commands about the command itself: completion for shells, and the manual page."""

from __future__ import annotations

import click

from backend.cli.shape import Command

COMPLETE = "_LAMINA_COMPLETE"  # by what shells ask for completions
SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(SHELLS))
def completion(shell: str) -> int:
    """Prints the script that lets a shell complete commands, flags, runs, models, data sets and states.

    \b
    bash: eval "$(lamina completion bash)"    in ~/.bashrc
    zsh:  eval "$(lamina completion zsh)"     in ~/.zshrc, below compinit
    fish: lamina completion fish > ~/.config/fish/completions/lamina.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "the choice has those that click knows"
    script = found(click.get_current_context().find_root().command, {}, "lamina", COMPLETE).source()
    print(
        script.replace('string split ","', 'string split --max 1 ","'), end=""
    )  # fish: a comma in a description stays
    return 0


@click.command(cls=Command)
def man() -> int:
    """Prints the manual page: `lamina man | man -l -` shows it."""
    from backend.cli.manual import page

    top = click.get_current_context().find_root().command
    assert isinstance(top, click.Group)
    print(page(top), end="")
    return 0
