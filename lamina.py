"""The `lamina` command, under the one name that is this project's alone.

`backend` and `nets` may well be a user's own packages: those in PYTHONPATH or the current directory come first in
sys.path. In a process that starts here ours are found before anything there is looked at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = frozenset({"backend", "nets"})


class OwnPackages:
    """Finds them beside this file."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [HERE]) if name in PACKAGES else None


def main() -> int:
    """Runs the command line; returns the exit code."""
    sys.meta_path.insert(0, OwnPackages)
    from backend import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
