"""Transactions on the real database: joining, dooming, attempts, and what is left when something goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from kernel.database.engines import Engines
from kernel.database.errors import TransactionDoomed, sqlstate
from kernel.database.outbox import Outbox
from kernel.database.unit_of_work import Database
from kernel.pure.clock import SystemClock
from kernel.pure.events import Event

INSERT = text("INSERT INTO kernel.principals (user_id, epoch) VALUES (:id, 1)")
COUNT = text("SELECT count(*) FROM kernel.principals")


@dataclass(frozen=True, kw_only=True)
class ThingHappened(Event):
    name: ClassVar[str] = "tests.ThingHappened"
    thing_id: int

    @property
    def aggregate(self) -> str:
        return f"thing:{self.thing_id}"


@pytest.fixture
def outer(engines: Engines) -> Database:
    return engines.database("ordering")


@pytest.fixture
def inner(engines: Engines) -> Database:
    return engines.database("kernel")


@pytest.fixture
def outbox(outer: Database) -> Outbox:
    return Outbox(outer, SystemClock())


def insert(database: Database, user_id: int) -> None:
    with database.transaction() as session:
        session.execute(INSERT, {"id": user_id})


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(COUNT).scalar_one())


class TestJoining:
    def test_calls_into_another_module_are_one_commit_with_the_caller(self, outer: Database, inner: Database) -> None:
        with outer.transaction():
            insert(inner, 1)
            insert(inner, 2)
        assert count(inner) == 2

    def test_an_error_of_the_caller_undoes_what_the_joined_call_did(self, outer: Database, inner: Database) -> None:
        with pytest.raises(ZeroDivisionError), outer.transaction():
            insert(inner, 1)
            raise ZeroDivisionError
        assert count(inner) == 0

    def test_a_read_inside_a_transaction_sees_its_changes(self, outer: Database, inner: Database) -> None:
        with outer.transaction():
            insert(inner, 1)
            assert count(inner) == 1

    def test_the_outer_module_keeps_its_own_role_after_a_joined_call(self, outer: Database, inner: Database) -> None:
        with outer.transaction() as session:
            insert(inner, 1)
            assert session.execute(text("SELECT current_user")).scalar_one().endswith("_ordering")

    def test_nested_reads_share_one_connection(self, outer: Database, inner: Database) -> None:
        backend = text("SELECT pg_backend_pid()")
        with outer.read() as first, inner.read() as second:
            assert first.execute(backend).scalar_one() == second.execute(backend).scalar_one()

    def test_two_sets_of_engines_in_one_process_do_not_join(self, engines: Engines, inner: Database) -> None:
        other = Engines(engines.url, threads=1, roles=engines.roles)
        try:
            with pytest.raises(ZeroDivisionError), inner.transaction():
                insert(other.database("kernel"), 7)
                raise ZeroDivisionError
            assert count(inner) == 1
        finally:
            other.close()


class TestDooming:
    def test_catching_the_error_of_a_joined_call_and_going_on_is_refused(self, outer: Database, inner: Database) -> None:
        with pytest.raises(TransactionDoomed, match="attempt"), outer.transaction():
            insert(inner, 1)
            with pytest.raises(ZeroDivisionError), inner.transaction():
                raise ZeroDivisionError
        assert count(inner) == 0

    def test_a_doomed_transaction_takes_no_further_joined_call(self, outer: Database, inner: Database) -> None:
        with pytest.raises(TransactionDoomed), outer.transaction():
            with pytest.raises(ZeroDivisionError), inner.transaction():
                raise ZeroDivisionError
            insert(inner, 1)

    def test_a_swallowed_sql_error_cannot_end_as_a_silent_rollback(self, outer: Database, inner: Database) -> None:
        with pytest.raises(TransactionDoomed, match="swallowed"), outer.transaction() as session:
            insert(inner, 1)
            with pytest.raises(DBAPIError):
                session.execute(text("SELECT 1 / 0"))
        assert count(inner) == 0

    def test_an_attempt_survives_a_failed_joined_call_and_undoes_it(self, outer: Database, inner: Database) -> None:
        with outer.transaction():
            insert(inner, 1)
            with pytest.raises(ZeroDivisionError), outer.attempt(), inner.transaction() as session:
                session.execute(INSERT, {"id": 2})
                raise ZeroDivisionError
            insert(inner, 3)
        assert count(inner) == 2

    def test_an_attempt_survives_a_sql_error(self, outer: Database, inner: Database) -> None:
        with outer.transaction():
            insert(inner, 1)
            with pytest.raises(DBAPIError), outer.attempt():
                insert(inner, 1)
            insert(inner, 2)
        assert count(inner) == 2

    def test_an_error_caught_inside_an_attempt_still_fails_the_attempt(self, outer: Database, inner: Database) -> None:
        with outer.transaction():
            with pytest.raises(TransactionDoomed), outer.attempt(), pytest.raises(DBAPIError):
                insert(inner, 1)
                insert(inner, 1)
            insert(inner, 2)
        assert count(inner) == 1

    def test_an_attempt_outside_of_a_transaction_is_refused(self, outer: Database) -> None:
        with pytest.raises(RuntimeError, match="transaction"), outer.attempt():
            pass


class TestOutbox:
    def events(self, url: Engine) -> list[tuple[str, str, dict[str, object]]]:
        with url.connect() as connection:
            rows = connection.execute(text("SELECT name, aggregate, payload FROM kernel.outbox ORDER BY id"))
            return [(row.name, row.aggregate, row.payload) for row in rows]

    @pytest.fixture
    def look(self, superuser_url: URL) -> Iterator[Engine]:
        engine = create_engine(superuser_url)
        yield engine
        engine.dispose()

    def test_events_are_stored_with_the_change(self, outer: Database, outbox: Outbox, look: Engine) -> None:
        with outer.transaction():
            outbox.publish(ThingHappened(thing_id=1))
            outbox.publish(ThingHappened(thing_id=2))
        assert self.events(look) == [
            ("tests.ThingHappened", "thing:1", {"thing_id": 1}),
            ("tests.ThingHappened", "thing:2", {"thing_id": 2}),
        ]

    def test_events_of_an_undone_transaction_are_gone(self, outer: Database, outbox: Outbox, look: Engine) -> None:
        with pytest.raises(ZeroDivisionError), outer.transaction():
            outbox.publish(ThingHappened(thing_id=1))
            raise ZeroDivisionError
        assert self.events(look) == []

    def test_events_of_a_failed_attempt_are_gone(self, outer: Database, outbox: Outbox, look: Engine) -> None:
        with outer.transaction():
            outbox.publish(ThingHappened(thing_id=1))
            with pytest.raises(ZeroDivisionError), outer.attempt():
                outbox.publish(ThingHappened(thing_id=2))
                raise ZeroDivisionError
        assert [aggregate for _, aggregate, _ in self.events(look)] == ["thing:1"]

    def test_publishing_outside_of_a_transaction_is_refused(self, outbox: Outbox) -> None:
        with pytest.raises(RuntimeError, match="transaction"):
            outbox.publish(ThingHappened(thing_id=1))


def test_an_idle_handle_holds_no_connection(engines: Engines, outer: Database, inner: Database) -> None:
    with outer.transaction():
        insert(inner, 1)
    count(inner)
    with pytest.raises(DBAPIError) as error, outer.read() as connection:
        connection.execute(text("SELECT 1 / 0"))
    assert sqlstate(error.value) == "22012"
    assert engines.writer.pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool
    assert engines.reader.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_the_text_of_a_database_error_holds_no_values(outer: Database) -> None:
    """Such a text is logged."""
    with pytest.raises(DBAPIError) as raised, outer.read() as connection:
        connection.execute(text("SELECT CAST(:secret AS text), 1 / 0"), {"secret": "correct horse"})
    assert "division by zero" in str(raised.value)
    assert "correct horse" not in str(raised.value)
