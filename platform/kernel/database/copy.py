"""COPY: many rows into a table of the module, or out of a query, streamed in constant memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import psycopg2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

_CHUNK: Final = 1 << 20
"""Bytes per COPY. Each one is a statement of its own, so `statement_timeout` bounds a chunk and not the whole."""

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

Row = Sequence[object]


class Sink(Protocol):
    """Where bytes can be written."""

    def write(self, data: bytes, /) -> object: ...


def copy_rows(session: Session, statement: str, rows: Iterable[Row]) -> None:
    """Send rows of values, None for NULL, by `COPY schema.table (columns) FROM STDIN`, options none.

    Text without NUL and lone surrogates, which PostgreSQL cannot hold; anything else is sent as `str()` shows it.
    """
    with _cursor(session, statement) as cursor:
        for chunk in _chunks(rows):
            cursor.copy_expert(statement, chunk)


def copy_query(session: Session, statement: str, sink: Sink) -> None:
    """Write what `COPY (query) TO STDOUT (options)` answers, as bytes in the database's encoding, which is UTF-8."""
    with _cursor(session, statement) as cursor:
        cursor.copy_expert(statement, sink)


def _chunks(rows: Iterable[Row]) -> Iterator[io.BytesIO]:
    lines: list[bytes] = []
    size = 0
    for row in rows:
        line = "\t".join(["\\N" if value is None else str(value).translate(_ESCAPES) for value in row]).encode() + b"\n"
        lines.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield io.BytesIO(b"".join(lines))
            lines, size = [], 0
    if lines:
        yield io.BytesIO(b"".join(lines))


@contextmanager
def _cursor(session: Session, statement: str) -> Iterator[Any]:
    """The driver's cursor, guarded like every other; its errors come as SQLAlchemy's, which the kernel knows."""
    session.flush()
    connection = session.connection()
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.cursor() as cursor:
            yield cursor
    except psycopg2.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg2.Error, dialect=connection.dialect) from error
