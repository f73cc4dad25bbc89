"""Work on a lot of data: COPY in and out, and a statement timeout of one transaction's own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kernel.database.copy import copy_query, copy_rows
from kernel.database.engines import Engines
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, QUERY_CANCELED, StatementRefused, TransactionDoomed, sqlstate
from kernel.database.unit_of_work import Database

COPY_IN = "COPY kernel.outbox (name, aggregate, payload) FROM STDIN"
COPY_OUT = "COPY (SELECT name, aggregate FROM kernel.outbox ORDER BY id) TO STDOUT (FORMAT csv)"
TIMEOUT = text("SELECT current_setting('statement_timeout')")
READ = text("SELECT name, aggregate FROM kernel.outbox ORDER BY id")
AWKWARD = ["plain", "a\tb", "a\nb", "a\r\nb", "a\\b", "\\N", "\\.", "", " ", '"', "é—💡", "%s %(x)s", ";"]


@pytest.fixture
def kernel(engines: Engines) -> Database:
    return engines.database("kernel")


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return [row.name for row in connection.execute(READ)]


class TestCopyIn:
    def test_every_kind_of_text_arrives_as_it_was(self, kernel: Database) -> None:
        with kernel.transaction() as session:
            copy_rows(session, COPY_IN, [(value, "a", "{}") for value in AWKWARD])
        assert names(kernel) == AWKWARD

    def test_none_is_null(self, kernel: Database) -> None:
        with pytest.raises(DBAPIError) as refused, kernel.transaction() as session:
            copy_rows(session, COPY_IN, [(None, "a", "{}")])
        assert sqlstate(refused.value) == "23502"

    def test_many_rows_come_in_several_statements_of_one_transaction(self, kernel: Database) -> None:
        with kernel.transaction() as session:
            copy_rows(session, COPY_IN, ((f"{number:06}", "x" * 100, "{}") for number in range(25_000)))
        assert names(kernel) == [f"{number:06}" for number in range(25_000)]

    def test_rows_are_asked_for_as_they_are_sent_not_all_at_once(self, kernel: Database) -> None:
        drawn = 0

        def endless() -> Iterator[tuple[str, str, str]]:
            nonlocal drawn
            for drawn in count(1):
                yield "x" * 1000, "a", "{" if drawn == 100 else "{}"

        with pytest.raises(DBAPIError), kernel.transaction() as session:
            copy_rows(session, COPY_IN, endless())
        assert drawn < 2000

    def test_an_error_undoes_the_chunks_before_it(self, kernel: Database) -> None:
        def rows() -> Iterator[tuple[str, str, str]]:
            for number in range(25_000):
                yield str(number), "x" * 100, "{}"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError), kernel.transaction() as session:
            copy_rows(session, COPY_IN, rows())
        assert names(kernel) == []

    def test_a_swallowed_error_of_the_driver_still_stops_the_commit(self, kernel: Database) -> None:
        with pytest.raises(TransactionDoomed), kernel.transaction() as session, suppress(DBAPIError):
            copy_rows(session, COPY_IN, [("n", "a", "no json")])

    def test_a_neighbours_table_is_refused(self, engines: Engines) -> None:
        with pytest.raises(DBAPIError) as refused, engines.database("catalog").transaction() as session:
            copy_rows(session, COPY_IN, [("n", "a", "{}")])
        assert sqlstate(refused.value) == INSUFFICIENT_PRIVILEGE

    def test_files_of_the_server_are_refused(self, kernel: Database) -> None:
        with pytest.raises(StatementRefused), kernel.transaction() as session:
            copy_rows(session, "COPY kernel.outbox FROM '/etc/passwd'", [("n", "a", "{}")])


class TestCopyOut:
    def test_a_query_is_written_as_bytes(self, kernel: Database) -> None:
        sink = io.BytesIO()
        with kernel.transaction() as session:
            copy_rows(session, COPY_IN, [("é", "a,b", "{}"), ("x", 'say "hi"', "{}")])
            copy_query(session, COPY_OUT, sink)
        assert sink.getvalue().decode() == 'é,"a,b"\nx,"say ""hi"""\n'

    def test_a_neighbours_table_is_refused(self, engines: Engines) -> None:
        with pytest.raises(DBAPIError) as refused, engines.database("catalog").transaction() as session:
            copy_query(session, COPY_OUT, io.BytesIO())
        assert sqlstate(refused.value) == INSUFFICIENT_PRIVILEGE


class TestStatementTimeout:
    def test_it_counts_in_the_transaction_that_asks_for_it(self, kernel: Database) -> None:
        with kernel.transaction(statement_timeout=timedelta(minutes=30)) as session:
            assert session.execute(TIMEOUT).scalar_one() == "30min"

    def test_it_ends_with_that_transaction(self, kernel: Database) -> None:
        with kernel.transaction(statement_timeout=timedelta(milliseconds=20)):
            pass
        with kernel.transaction() as session:
            session.execute(text("SELECT pg_sleep(0.1)"))

    def test_a_statement_that_takes_longer_is_cancelled(self, kernel: Database) -> None:
        with (
            pytest.raises(DBAPIError) as cancelled,
            kernel.transaction(statement_timeout=timedelta(milliseconds=20)) as session,
        ):
            session.execute(text("SELECT pg_sleep(5)"))
        assert sqlstate(cancelled.value) == QUERY_CANCELED

    def test_a_joined_transaction_cannot_ask_for_it(self, kernel: Database, engines: Engines) -> None:
        with (
            engines.database("catalog").transaction(),
            pytest.raises(RuntimeError, match="outermost"),
            kernel.transaction(statement_timeout=timedelta(minutes=1)),
        ):
            pass
