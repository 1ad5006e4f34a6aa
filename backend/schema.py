"""The version of the store's tables, and the way from one to the next."""

from __future__ import annotations

import sqlite3
from importlib.resources import files

SCHEMA_VERSION = 2  # each has its file: schema_1.sql makes the tables, a later one changes those before it


class NewerSchema(Exception):
    """The store was written by a later version of Lamina."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"{name} has schema {version}, this Lamina reads up to {SCHEMA_VERSION}: upgrade Lamina.")


def version_of(connection: sqlite3.Connection, name: str) -> int:
    """The version of an open store's tables, 0 without any. `NewerSchema` beyond what is known here."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise NewerSchema(name, version)
    return version


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the tables to the present version, inside the transaction that is open."""
    for step in range(version_of(connection, name) + 1, SCHEMA_VERSION + 1):
        for statement in files("backend").joinpath(f"schema_{step}.sql").read_text("utf-8").split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
