"""The runs that have ended, by their ends, from indexes alone: their rows are long."""

from __future__ import annotations

import sqlite3

from backend.state.records import TERMINAL

LISTED = """
    SELECT ends.sequence, listed.completed_at, listed.state
    FROM runs AS ends INDEXED BY runs_ended CROSS JOIN runs AS listed INDEXED BY runs_listed
    WHERE ends.ended IS NOT NULL AND listed.sequence = ends.sequence ORDER BY ends.ended DESC
"""
NEEDED = """
    SELECT saved_run_id FROM models WHERE saved_run_id IS NOT NULL
    UNION SELECT resumed_from FROM runs WHERE state IN ('queued', 'running') AND resumed_from IS NOT NULL
"""


def ended_last(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Row and time of the end of every run that has ended, the last end first, whatever clocks say."""
    return [(sequence, at) for sequence, at, state in connection.execute(LISTED) if state in TERMINAL and at]


def needed(connection: sqlite3.Connection) -> set[str]:
    """The runs that models are promoted from, and those that active runs continue."""
    return {row[0] for row in connection.execute(NEEDED)}
