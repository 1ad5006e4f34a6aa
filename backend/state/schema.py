"""The version of the store's tables, and the way from one to the next."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache
from importlib.resources import files

from backend.state import tables
from backend.state.upgrade import upgrade

SCHEMA_VERSION = 6  # each has its file: schema_1.sql makes the tables, a later one changes those before it


class UnknownSchema(Exception):
    """The tables of a store are none of ours. The message is a sentence with the cure."""


class NewerSchema(UnknownSchema):
    """The store was written by a later version of Lamina."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"{name} has schema {version}, this Lamina reads up to {SCHEMA_VERSION}: upgrade Lamina")


def version_of(connection: sqlite3.Connection, name: str) -> int:
    """The version of an open store's tables, 0 without any. `NewerSchema` beyond what is known here."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise NewerSchema(name, version)
    return version


def require_tables(connection: sqlite3.Connection, name: str) -> int:
    """The version of an open store's tables, all of which are there as that version has them. `UnknownSchema`."""
    version = version_of(connection, name)
    wanted, found = _made(version), _described(connection)
    # Tables before their indexes. Further ones, such as a repair leaves, do no harm; a trigger writes by itself.
    foreign = {part for part in found if version < 1 or part.startswith("trigger ")}
    for part in sorted(wanted.keys() | foreign, reverse=True):
        if wanted.get(part) != found.get(part):
            kind, _, called = part.partition(" ")
            what = f"no such {kind}: {called}" if part not in found else f"another {kind}: {called}"
            raise UnknownSchema(f"{name} does not match its schema {version} ({what}): restore it from a copy")
    return version


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the tables to the present version, inside the transaction that is open. `UnknownSchema`."""
    before = require_tables(connection, name)
    if before == SCHEMA_VERSION:
        return
    bring(connection, before, SCHEMA_VERSION)
    if before:
        upgrade(connection, before)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def bring(connection: sqlite3.Connection, before: int, after: int) -> None:
    connection.create_function("event_checksum", 4, tables.event_checksum, deterministic=True)
    for step in range(before + 1, after + 1):
        for statement in files("backend.state").joinpath(f"schema_{step}.sql").read_text("utf-8").split(";\n"):
            connection.execute(statement)


@cache
def _made(version: int) -> dict[str, str]:
    """The tables and indexes of a version, as SQL."""
    with closing(sqlite3.connect(":memory:")) as connection:
        bring(connection, 0, version)
        return _described(connection)


def _described(connection: sqlite3.Connection) -> dict[str, str]:
    """The tables and indexes of an open store, as SQL without comments and spaces."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return {f"{kind} {name}": re.sub(r"--[^\n]*|\s+", "", sql or "") for kind, name, sql in rows}
