"""Locks: what writers would wait for while a revision reads the whole of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from app.contracts.gates.migrations.revisions import Revision
from app.contracts.gates.migrations.stage import Statement, watching

BLOCKING: Final = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
"""What INSERT, UPDATE and DELETE of the old code wait for."""

_HELD: Final = text(
    "SELECT name, pg_stat_get_xact_numscans(name::regclass) AS scans, (SELECT string_agg(DISTINCT mode, ', ' ORDER BY mode)"
    " FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = to_regclass(name)"
    " AND mode = ANY(:blocking)) AS modes FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NOT NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lock that a statement left its transaction with, on a table that it had read from one end to the other."""

    table: str
    modes: str
    statement: Statement

    @property
    def fix(self) -> str:
        sql = self.statement.sql
        if re.search(r"\bINDEX\b", sql, re.IGNORECASE):
            return (
                "Build the index CONCURRENTLY in a revision of its own: in `with op.get_context().autocommit_block():`, with"
                " postgresql_concurrently=True, behind an op.drop_index with if_exists=True for what a broken build leaves."
            )
        if re.search(r"\bADD\s+(CONSTRAINT|CHECK|FOREIGN|UNIQUE|PRIMARY)", sql, re.IGNORECASE):
            return "Add the constraint NOT VALID, and VALIDATE CONSTRAINT in the next revision; it lets everybody work."
        if re.search(r"\bSET NOT NULL\b", sql, re.IGNORECASE):
            return "Add CHECK (… IS NOT NULL) NOT VALID, validate it in the next revision, then SET NOT NULL, which trusts it."
        if re.match(r"\s*(UPDATE|INSERT|DELETE|MERGE|WITH)\b", sql, re.IGNORECASE):
            return "Fill the column in a revision after the one that adds it, when no such lock is held any more."
        return (
            "Add beside what is there instead of rewriting it: a new column with a constant default, a trigger that fills it,"
            " the old rows in a revision of their own."
        )


@contextmanager
def blocking(revision: Revision, tables: Sequence[str]) -> Iterator[list[Held]]:
    """Collects what this revision holds too long, of tables of its own schema, while it runs inside the block."""
    held: list[Held] = []
    scans: dict[str, int] = dict.fromkeys(tables, 0)

    def look(connection: Connection, statement: Statement) -> None:
        if statement.autocommit:
            scans.update(dict.fromkeys(tables, 0))
            return
        known = {(one.table, one.modes) for one in held}
        for name, count, modes in connection.execute(_HELD, {"tables": list(tables), "blocking": list(BLOCKING)}):
            # Each transaction counts from zero.
            earlier = scans[name] if count >= scans[name] else 0
            if modes and count > earlier and (name, modes) not in known:
                held.append(Held(table=name, modes=modes, statement=statement))
            scans[name] = count

    with watching(revision, after=look):
        yield held
