"""The `lamina` command. Nothing heavy is imported until a command needs it: `lamina --help` answers at once."""

from backend.cli.top import main

__all__ = ["main"]
