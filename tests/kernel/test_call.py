"""Whole-call retry on the real database: what is run again, what is not, and what the caller is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.wire import Wire, wire

from kernel.database.call import ATTEMPTS, RetryCall, outside_call, run_call
from kernel.database.engines import Engines
from kernel.database.errors import CommitUnknown, ConnectionLost, sqlstate
from kernel.database.unit_of_work import Database

ADD = text("INSERT INTO kernel.principals (user_id, epoch) VALUES (:id, 1)")
COUNT = text("SELECT count(*) FROM kernel.principals")
LOCK = text("SELECT FROM kernel.principals WHERE user_id = :id FOR UPDATE")


@pytest.fixture
def store(engines: Engines) -> Database:
    return engines.database("kernel")


@pytest.fixture
def proxy(engines: Engines) -> Iterator[Wire]:
    with wire(engines.url) as proxy:
        yield proxy


@pytest.fixture
def fragile(proxy: Wire, engines: Engines) -> Iterator[Database]:
    """A database behind a wire that can be cut."""
    behind = Engines(proxy.url, threads=2, roles=engines.roles)
    yield behind.database("kernel")
    behind.close()


def add(store: Database, user_id: int) -> int:
    with store.transaction() as session:
        session.execute(ADD, {"id": user_id})
    return user_id


def count(store: Database) -> int:
    with store.read() as connection:
        return int(connection.execute(COUNT).scalar_one())


class TestRuns:
    def test_a_lost_race_is_run_again_and_then_told(self) -> None:
        runs = 0

        def lose() -> None:
            nonlocal runs
            runs += 1
            raise RetryCall

        with pytest.raises(RetryCall):
            run_call(lose)
        assert runs == ATTEMPTS

    def test_a_call_inside_a_call_is_not_run_again_by_itself(self) -> None:
        runs = 0

        def lose() -> None:
            nonlocal runs
            runs += 1
            raise RetryCall

        with pytest.raises(RetryCall):
            run_call(lambda: run_call(lose))
        assert runs == ATTEMPTS

    def test_a_call_that_has_committed_is_not_run_again(self, store: Database) -> None:
        def commit_and_lose() -> None:
            add(store, 1)
            raise RetryCall

        with pytest.raises(RetryCall):
            run_call(commit_and_lose)
        assert count(store) == 1

    def test_a_call_that_acted_outside_is_not_run_again(self) -> None:
        runs = 0

        def act_and_lose() -> None:
            nonlocal runs
            runs += 1
            outside_call()
            raise RetryCall

        with pytest.raises(RetryCall):
            run_call(act_and_lose)
        assert runs == 1

    def test_other_errors_are_not_run_again(self) -> None:
        runs = 0

        def fail() -> None:
            nonlocal runs
            runs += 1
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run_call(fail)
        assert runs == 1


def test_two_calls_that_deadlock_both_succeed(store: Database) -> None:
    add(store, 1)
    add(store, 2)
    met = threading.Barrier(2)
    runs: list[int] = []
    errors: list[BaseException] = []

    def take(first: int, second: int) -> None:
        def both() -> None:
            with store.transaction() as session:
                session.execute(LOCK, {"id": first})
                runs.append(first)
                if len(runs) <= 2:
                    met.wait(5)
                session.execute(LOCK, {"id": second})

        try:
            run_call(both)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=take, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert len(runs) == 3


class TestLostConnections:
    def test_a_connection_lost_in_a_read_is_run_again(self, fragile: Database, proxy: Wire) -> None:
        count(fragile)
        proxy.cut("count", after_forwarding=False)
        assert run_call(lambda: count(fragile)) == 0

    def test_a_connection_lost_before_commit_is_run_again_and_stores_once(self, fragile: Database, proxy: Wire) -> None:
        add(fragile, 99)
        proxy.cut("INSERT", after_forwarding=True)
        run_call(lambda: add(fragile, 1))
        assert count(fragile) == 2

    def test_a_connection_lost_at_commit_is_not_run_again(self, fragile: Database, proxy: Wire, store: Database) -> None:
        add(fragile, 99)
        proxy.cut("^COMMIT$", after_forwarding=True)
        with pytest.raises(CommitUnknown):
            run_call(lambda: add(fragile, 1))
        assert count(store) == 2

    def test_a_commit_that_never_arrived_is_unknown_too(self, fragile: Database, proxy: Wire, store: Database) -> None:
        add(fragile, 99)
        proxy.cut("^COMMIT$", after_forwarding=False)
        with pytest.raises(CommitUnknown):
            run_call(lambda: add(fragile, 1))
        assert count(store) == 1

    def test_a_server_that_is_away_is_said_so(self, fragile: Database, proxy: Wire) -> None:
        count(fragile)
        proxy.close()
        with pytest.raises(ConnectionLost):
            run_call(lambda: count(fragile))


def test_a_lock_that_takes_too_long_answers_lock_not_available(store: Database) -> None:
    add(store, 1)
    with store.transaction() as session:
        session.execute(LOCK, {"id": 1})
        answers: list[str | None] = []

        def wait() -> None:
            try:
                with store.transaction() as rival:
                    rival.execute(LOCK, {"id": 1})
            except DBAPIError as error:
                answers.append(sqlstate(error))

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(10)
    assert answers == ["55P03"]
