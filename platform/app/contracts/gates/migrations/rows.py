"""Rows: a few for every table, made from what the catalogue says of it, so that revisions are tried on some."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from typing import Any, Final
from uuid import UUID

from sqlalchemy import JSON, Column, Connection, ForeignKeyConstraint, MetaData, Table, inspect, text
from sqlalchemy.exc import IntegrityError, SAWarning

ROWS: Final = 3
SAMPLES: Final[Mapping[str, dict[str, Any]]] = {}
"""For tables whose checks no generated row passes: "schema.table" -> values of some of its columns."""

_TABLES: Final = text(
    "SELECT format('%I.%I', nspname, relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace"
    " WHERE nspname = ANY(:schemas) AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'"
    " ORDER BY 1"
)

Rows = list[dict[str, Any]]


def fill(connection: Connection, schemas: Sequence[str]) -> None:
    """Put a few rows into every empty table."""
    if not any(checksum is None for checksum in _checksums(connection, schemas).values()):
        return
    filled: dict[str, Rows] = {}
    for table in _reflected(connection, schemas):
        rows = [dict(row._mapping) for row in connection.execute(table.select().limit(ROWS))]
        filled[table.fullname] = rows or _insert(connection, table, filled)


def checksums(connection: Connection, schemas: Sequence[str]) -> dict[str, str]:
    """One per table with rows, whatever the order of rows and columns."""
    return {name: checksum for name, checksum in _checksums(connection, schemas).items() if checksum is not None}


def _checksums(connection: Connection, schemas: Sequence[str]) -> dict[str, str | None]:
    tables = list(connection.scalars(_TABLES, {"schemas": list(schemas)}))
    if not tables:
        return {}
    one = "SELECT '{0}' AS name, md5(string_agg(to_jsonb(t)::text, '|' ORDER BY to_jsonb(t)::text)) FROM {0} AS t"
    found = connection.exec_driver_sql(" UNION ALL ".join(one.format(table) for table in tables))
    return {row[0]: row[1] for row in found}


def _reflected(connection: Connection, schemas: Sequence[str]) -> list[Table]:
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
