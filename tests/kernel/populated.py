"""A rehearsal of every revision on tables with rows: up, down and up again, and what it would do to those who still serve."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from typing import Any, Final
from uuid import UUID

from alembic.util import CommandError
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    ForeignKeyConstraint,
    MetaData,
    NullPool,
    Table,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.exc import IntegrityError, SAWarning
from tests.migration_fixtures import Alembic

ROWS: Final = 3
SAMPLES: Final[Mapping[str, dict[str, Any]]] = {}
"""For tables whose checks no generated row passes: "schema.table" -> values of some of its columns."""

_BLOCKING: Final = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
"""What INSERT, UPDATE and DELETE of the old code wait for."""
_LONG: Final = text(
    "SELECT relation::regclass::text, string_agg(DISTINCT mode, ', ') FROM pg_locks WHERE pid = pg_backend_pid()"
    " AND locktype = 'relation' AND mode = ANY(:blocking) AND relation::regclass::text = ANY(:tables)"
    " AND pg_stat_get_xact_numscans(relation) > 0 GROUP BY relation"
)
_SHAPE: Final = """
WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = ANY(:schemas)),
 relations AS (SELECT * FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours) AND relname !~ '^alembic_version')
SELECT format('%s (%s, %s) of %s for %s', oid::regclass, relkind, relpersistence, relowner::regrole, relacl) FROM relations
UNION ALL
SELECT format('%s.%s %s %s %s%s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
       CASE WHEN attnotnull THEN 'NOT NULL' END, attidentity, attgenerated, pg_get_expr(adbin, adrelid))
  FROM pg_attribute JOIN relations ON attrelid = relations.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT format('%s: %s %s (%s)', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
  FROM pg_constraint WHERE connamespace IN (SELECT oid FROM ours) AND conname !~ '^alembic_version'
UNION ALL
SELECT format('%s (%s)', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index JOIN relations ON indexrelid = relations.oid
UNION ALL
SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN relations ON tgrelid = relations.oid WHERE NOT tgisinternal
UNION ALL
SELECT format('%s of %s for %s', pg_get_functiondef(oid), proowner::regrole, proacl)
  FROM pg_proc WHERE pronamespace IN (SELECT oid FROM ours)
UNION ALL
SELECT format('type %s', oid::regtype) FROM pg_type WHERE typnamespace IN (SELECT oid FROM ours) AND typtype IN ('d', 'e', 'r')
"""


@dataclass(slots=True)
class Rehearsal:
    """What was wrong, a sentence each; and which revisions were tried on how many tables with rows."""

    complaints: list[str] = field(default_factory=list)
    tried: dict[str, int] = field(default_factory=dict)


def rehearse(alembic: Alembic, branches: Sequence[str]) -> Rehearsal:
    """Try every revision of these branches, in their order, while the others of them are at their newest ones."""
    found = Rehearsal()
    engine = create_engine(alembic.target.creator or alembic.target.url, poolclass=NullPool)
    schemas = alembic.branches()
    for branch in branches:
        alembic.run("upgrade", f"{branch}@head")
    for branch in branches:
        alembic.run("downgrade", f"{branch}@base")
        for revision in alembic.revisions(branch):
            complaints = _try(alembic, engine, schemas, branch, revision, found)
            found.complaints += [f"{branch} {revision}: {complaint}" for complaint in complaints]
    return found


def _try(
    alembic: Alembic, engine: Engine, schemas: Sequence[str], branch: str, revision: str, found: Rehearsal
) -> Iterator[str]:
    with engine.begin() as connection:
        fill(connection, schemas)
    rows, shape = checksums(engine, schemas), shape_of(engine, schemas)
    found.tried[revision] = len(rows)
    with _watching(list(rows)) as held:
        alembic.run("upgrade", revision)
    for table, mode in held:
        yield (
            f"holds {mode} on {table} while it reads all of it, and the old code waits: build indexes CONCURRENTLY, add"
            " constraints NOT VALID and validate them in a revision of their own, fill columns in a revision after the one"
            " that adds them."
        )
    upgraded = shape_of(engine, schemas)
    with engine.begin() as connection:
        fill(connection, schemas)
    alembic.run("downgrade", f"{branch}@-1")
    yield from (f"its downgrade leaves {left!r}." for left in sorted(shape_of(engine, schemas) - shape))
    yield from (f"its downgrade does not give back {lost!r}." for lost in sorted(shape - shape_of(engine, schemas)))
    after = checksums(engine, schemas)
    yield from (f"the rows of {name} are not what they were before." for name in rows if after.get(name) != rows[name])
    try:
        alembic.run("upgrade", revision)
    except CommandError as error:
        raise AssertionError(f"{branch} {revision} cannot go up again after its downgrade.") from error
    if shape_of(engine, schemas) != upgraded:
        yield "the second upgrade makes something else than the first."


@contextmanager
def _watching(tables: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Collects the blocking locks on these tables that a transaction holds at its end and has scanned the table under."""
    held: list[tuple[str, str]] = []

    def look(connection: Connection) -> None:
        held.extend(
            (row[0], row[1]) for row in connection.execute(_LONG, {"tables": list(tables), "blocking": list(_BLOCKING)})
        )

    event.listen(Engine, "commit", look)
    try:
        yield held
    finally:
        event.remove(Engine, "commit", look)


def checksums(engine: Engine, schemas: Sequence[str]) -> dict[str, str]:
    """One per table with rows, whatever the order of rows and columns."""
    found = {}
    with engine.connect() as connection:
        for table in _tables(connection, schemas):
            name = table.fullname
            sums = f"SELECT md5(string_agg(to_jsonb(t)::text, '|' ORDER BY to_jsonb(t)::text)) FROM {name} AS t"
            if (value := connection.exec_driver_sql(sums).scalar()) is not None:
                found[name] = str(value)
    return found


def shape_of(engine: Engine, schemas: Sequence[str]) -> set[str]:
    """Relations, columns, constraints, indexes, triggers, functions and types, with their owners and rights."""
    with engine.connect() as connection:
        return set(connection.scalars(text(_SHAPE), {"schemas": list(schemas)}))


# ---- rows from the catalogue


Rows = list[dict[str, Any]]


def fill(connection: Connection, schemas: Sequence[str]) -> None:
    """Put a few rows into every empty table."""
    filled: dict[str, Rows] = {}
    for table in _tables(connection, schemas):
        rows = [dict(row._mapping) for row in connection.execute(table.select().limit(ROWS))]
        filled[table.fullname] = rows or _insert(connection, table, filled)


def _tables(connection: Connection, schemas: Sequence[str]) -> list[Table]:
    """Those that others point at come first."""
    found = MetaData()
    with warnings.catch_warnings():
        # SQLAlchemy trips over its own answer about a check that is NOT VALID.
        warnings.filterwarnings("ignore", "Can't validate argument 'dialect_options'", SAWarning)
        for schema in schemas:
            found.reflect(connection, schema=schema, resolve_fks=False)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def _insert(connection: Connection, table: Table, filled: Mapping[str, Rows]) -> Rows:
    choices, distinct = _choices(connection, table), _distinct(table)
    made = []
    for number in range(1, ROWS + 1):
        values: dict[str, Any] = {}
        for column in table.columns:
            if column.computed is None and column.identity is None and column.server_default is None:
                values[column.name] = _value(column, number, choices.get(column.name), column.name in distinct)
        for key in table.foreign_key_constraints:
            values |= _parent(key, filled, number)
        made.append(_insert_row(connection, table, values | SAMPLES.get(table.fullname, {})))
    return made


def _insert_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The row as the table takes it: with all optional columns, else without some of them."""
    optional = [column.name for column in table.columns if column.nullable and column.name in values]
    refusal: IntegrityError | None = None
    for size in range(len(optional) + 1):
        for left_out in combinations(optional, size):
            row = {name: value for name, value in values.items() if name not in left_out}
            try:
                with connection.begin_nested():
                    return dict(connection.execute(table.insert().values(row).returning(*table.columns)).one()._mapping)
            except IntegrityError as error:
                refusal = error
    raise AssertionError(f"No generated row suits {table.fullname}: give it values in SAMPLES ({refusal}).")


def _parent(key: ForeignKeyConstraint, filled: Mapping[str, Rows], number: int) -> dict[str, Any]:
    row = filled[key.referred_table.fullname][number - 1]
    return {element.parent.name: row[element.column.name] for element in key.elements}


def _distinct(table: Table) -> set[str]:
    """Columns of which no two rows may hold the same, alone or together."""
    unique = [word for index in table.indexes if index.unique for part in index.expressions for word in _words([str(part)])]
    return {*unique, *(column.name for column in table.primary_key.columns)}


def _choices(connection: Connection, table: Table) -> dict[str, list[str]]:
    """Column -> the words that a check of its own allows."""
    found = {}
    for check in inspect(connection).get_check_constraints(table.name, schema=table.schema):
        words = re.findall(r"'([^']*)'::text", check["sqltext"])
        columns = _words([check["sqltext"]]) & set(table.columns.keys())
        if words and len(columns) == 1:
            found[columns.pop()] = words
    return found


def _words(expressions: Sequence[str | None] | None) -> set[str]:
    return {word for expression in expressions or () if expression for word in re.findall(r"\w+", expression)}


def _value(column: Column[Any], number: int, choices: Sequence[str] | None, distinct: bool) -> Any:
    """Ones, so that sums of single lines come out right; something else in each row where values may not repeat."""
    if choices:
        return choices[number % len(choices)]
    kind = dict if isinstance(column.type, JSON) else column.type.python_type
    samples: dict[type, Any] = {
        int: number if distinct else 1,
        Decimal: Decimal(number if distinct else 1),
        bool: True,
        str: f"{column.name} {number}",
        bytes: f"{column.name} {number}".encode(),
        datetime: datetime(2030, 1, number, tzinfo=UTC),
        UUID: UUID(int=number),
        dict: {"number": number},
    }
    if kind not in samples:
        raise AssertionError(f"{column} is a {column.type}, of which there is no sample: add one here, or values in SAMPLES.")
    return samples[kind]
