"""`lamina bench merge`: results of several machines as one report."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from backend.commands import exits
from backend.commands.benching import tell, write
from nets.benchmarks.merge import Part, Unmergeable, read
from nets.benchmarks.merge import merge as merged


def merge(files: Sequence[str], *, out: Path, as_json: bool) -> int:
    """Writes results.json, results.csv and report.html of all of them; nothing where they cannot be compared."""
    try:
        results = merged([part_of(file) for file in files])
        out.mkdir(parents=True, exist_ok=True)
        write(results, out)
    except Unmergeable as problem:
        return refused(problem.reasons, as_json=as_json)
    except OSError as problem:
        return refused(
            [f"{out} cannot be written: {problem.strerror}; name another folder with --out"], as_json=as_json
        )
    tell(results, out, as_json=as_json)
    return exits.OK


def part_of(file: str) -> Part:
    """The results in a file."""
    try:
        return read(file, Path(file).read_bytes())
    except OSError as problem:
        raise Unmergeable([f"{file} cannot be read: {problem.strerror}; name a results.json"]) from None


def refused(reasons: Sequence[str], *, as_json: bool) -> int:
    """Nothing was written."""
    if as_json:
        print(json.dumps({"error": "these results are not put together", "reasons": list(reasons)}), file=sys.stderr)
    else:
        for reason in reasons:
            print(f"lamina: {reason}", file=sys.stderr)
    return exits.USAGE
