"""What the kernel keeps for a while only: answers under their keys, and events that everybody has heard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import URL, NullPool, create_engine, event
from tests.kernel.dispatching import NOW, Bench

from kernel.database.dispatching.retention import PORTION, PORTIONS, Retention
from kernel.database.engines import Engines

KEEP_KEYS = timedelta(hours=24)
KEEP_EVENTS = timedelta(days=30)


def retention(bench: Bench, **more: timedelta) -> Retention:
    return Retention(bench.kernel, bench.clock, **{"keep_keys": KEEP_KEYS, "keep_events": KEEP_EVENTS, **more})


def store_key(bench: Bench, key: str, age: timedelta, *, status: int = 201) -> None:
    bench.execute(
        "INSERT INTO kernel.idempotency_keys (owner_id, operation, key, fingerprint, status, headers, body, created_at)"
        " VALUES (1, 'tests_do', :key, '', :status, '{}', '', now() - CAST(:age AS interval))",
        key=key,
        status=status,
        age=age,
    )


def keys(bench: Bench) -> list[str]:
    return [key for (key,) in bench.query("SELECT key FROM kernel.idempotency_keys ORDER BY key")]


class TestKeys:
    def test_an_answer_is_kept_for_its_time_and_no_longer(self, bench: Bench) -> None:
        store_key(bench, "old", timedelta(hours=24, seconds=1))
        store_key(bench, "young", timedelta(hours=23, minutes=59))
        assert retention(bench).delete_old_keys() == 1
        assert keys(bench) == ["young"]

    def test_how_long_can_be_set(self, bench: Bench) -> None:
        store_key(bench, "old", timedelta(hours=47))
        assert retention(bench, keep_keys=timedelta(hours=48)).delete_old_keys() == 0

    def test_a_key_that_stands_for_an_attempt_to_move_money_is_kept_for_thirty_days(self, bench: Bench) -> None:
        store_key(bench, "a month ago", timedelta(days=30, seconds=1), status=202)
        store_key(bench, "last week", timedelta(days=7), status=202)
        assert retention(bench).delete_old_keys() == 1
        assert keys(bench) == ["last week"]

    def test_and_for_as_long_as_answers_when_those_are_kept_for_longer(self, bench: Bench) -> None:
        store_key(bench, "a month ago", timedelta(days=31), status=202)
        assert retention(bench, keep_keys=timedelta(days=60)).delete_old_keys() == 0

    def test_a_key_that_was_forgotten_is_free_again(self, bench: Bench) -> None:
        store_key(bench, "k", timedelta(days=2))
        retention(bench).delete_old_keys()
        store_key(bench, "k", timedelta(0))
        assert keys(bench) == ["k"]


def age_events(bench: Bench, days: int, up_to: int) -> None:
    bench.execute(
        "UPDATE kernel.outbox SET occurred_at = occurred_at - make_interval(days => :days) WHERE id <= :id", days=days, id=up_to
    )


def events(bench: Bench) -> list[int]:
    return [id_ for (id_,) in bench.query("SELECT id FROM kernel.outbox ORDER BY id")]


class TestEvents:
    def test_what_everybody_has_heard_is_kept_for_its_time_and_no_longer(self, bench: Bench) -> None:
        bench.publish(1, 2, 3)
        bench.dispatcher(bench.inside, bench.outside).run_until_idle()
        age_events(bench, 31, up_to=2)
        assert retention(bench).delete_old_events() == 2
        assert events(bench) == [3]
        assert bench.query("SELECT DISTINCT outbox_id FROM kernel.deliveries") == [(3,)]

    def test_what_somebody_has_still_to_hear_stays_however_old(self, bench: Bench) -> None:
        bench.publish(1, 2, 3, 4)
        bench.dispatcher(bench.inside).run_until_idle()
        for id_, status in ((1, "pending"), (2, "leased"), (3, "dead")):
            bench.execute("UPDATE kernel.deliveries SET status = :status WHERE outbox_id = :id", id=id_, status=status)
        age_events(bench, 400, up_to=4)
        assert retention(bench).delete_old_events() == 1
        assert events(bench) == [1, 2, 3]

    def test_what_was_never_handed_out_stays(self, bench: Bench) -> None:
        bench.publish(1)
        age_events(bench, 400, up_to=1)
        assert retention(bench).delete_old_events() == 0

    def test_what_nobody_listens_to_goes_as_well(self, bench: Bench) -> None:
        bench.publish(1)
        bench.dispatcher().run_until_idle()
        age_events(bench, 31, up_to=1)
        assert retention(bench).delete_old_events() == 1

    def test_how_long_can_be_set(self, bench: Bench) -> None:
        bench.publish(1)
        bench.dispatcher().run_until_idle()
        age_events(bench, 31, up_to=1)
        assert retention(bench, keep_events=timedelta(days=40)).delete_old_events() == 0


class TestPortions:
    """Nobody waits for long, neither for a lock nor for the dispatcher, however much there is to delete."""

    def fill(self, bench: Bench, count: int, *, dead: int = 0) -> None:
        bench.execute(
            "INSERT INTO kernel.outbox (name, aggregate, payload, occurred_at, fanned_out_at)"
            " SELECT 'tests.Old', 'a', '{}', :at, :at FROM generate_series(1, :count)",
            at=NOW - timedelta(days=60),
            count=count,
        )
        bench.execute(
            "INSERT INTO kernel.deliveries (outbox_id, listener, aggregate, status, next_attempt_at)"
            " SELECT id, 'tests.count', 'a',"
            " CASE WHEN row_number() OVER (ORDER BY id) <= :dead THEN 'dead' ELSE 'delivered' END,"
            " now() FROM kernel.outbox",
            dead=dead,
        )
        bench.execute(
            "INSERT INTO kernel.idempotency_keys (owner_id, operation, key, fingerprint, status, headers, body, created_at)"
            " SELECT 1, 'tests_do', n::text, '', 201, '{}', '', now() - interval '60 days'"
            " FROM generate_series(1, :count) AS n",
            count=count,
        )

    def test_one_run_deletes_so_much_and_the_next_ones_the_rest(self, bench: Bench) -> None:
        most = PORTION * PORTIONS
        self.fill(bench, most + 1)
        old = retention(bench)
        assert [old.delete_old_keys(), old.delete_old_keys(), old.delete_old_keys()] == [most, 1, 0]
        assert [old.delete_old_events(), old.delete_old_events(), old.delete_old_events()] == [most, 1, 0]

    def test_dead_letters_do_not_keep_what_follows_them_from_going(self, bench: Bench) -> None:
        most = PORTION * PORTIONS
        self.fill(bench, most + 5, dead=most)
        old = retention(bench)
        assert [old.delete_old_events(), old.delete_old_events()] == [0, 5]
        assert len(events(bench)) == most

    def test_each_portion_is_a_commit_of_its_own(self, bench: Bench, commits: list[str]) -> None:
        self.fill(bench, PORTION + 1)
        retention(bench).delete_old_keys()
        # One more: no key of an attempt was old.
        assert len(commits) == 3

    @pytest.mark.parametrize(("status", "index"), [(201, "ix_idempotency_keys_answers"), (202, "ix_idempotency_keys_attempts")])
    def test_old_keys_are_found_by_an_index(self, bench: Bench, sent: list[str], status: int, index: str) -> None:
        self.fill(bench, 5_000)
        bench.execute("UPDATE kernel.idempotency_keys SET status = :status, created_at = now()", status=status)
        bench.execute("VACUUM ANALYZE kernel.idempotency_keys")
        retention(bench).delete_old_keys()
        plans = [plan_of(bench, statement) for statement in sent if "idempotency_keys" in statement]
        assert any(f"using {index}" in plan for plan in plans), "\n".join(plans)
        assert not any("Seq Scan on idempotency_keys" in plan for plan in plans)

    def test_young_events_are_not_looked_through(self, bench: Bench, sent: list[str]) -> None:
        self.fill(bench, 5_000)
        bench.execute("UPDATE kernel.outbox SET occurred_at = :now", now=NOW)
        bench.execute("VACUUM ANALYZE kernel.outbox, kernel.deliveries")
        retention(bench).delete_old_events()
        looks = [statement for statement in sent if "kernel.outbox" in statement]
        assert len(looks) == 1
        assert "using pk_outbox" in plan_of(bench, looks[0])
        assert "Seq Scan" not in plan_of(bench, looks[0])


def plan_of(bench: Bench, statement: str) -> str:
    with bench.superuser.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN {statement}", execution_options={"no_parameters": True})
        return "\n".join(row[0] for row in rows)


@pytest.fixture
def bench(engines: Engines, superuser_url: URL) -> Iterator[Bench]:
    yield (bench := Bench(engines, create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")))
    # Tables that a test has emptied look untouched, and other tests expect the first ids.
    bench.execute("TRUNCATE kernel.outbox RESTART IDENTITY CASCADE")


@pytest.fixture
def sent(engines: Engines) -> Iterator[list[str]]:
    """What the kernel sends, parameters included."""
    statements: list[str] = []

    def note(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        statements.append(cursor.mogrify(statement, parameters).decode())

    event.listen(engines.writer, "before_cursor_execute", note)
    yield statements
    event.remove(engines.writer, "before_cursor_execute", note)


@pytest.fixture
def commits(engines: Engines) -> Iterator[list[str]]:
    made: list[str] = []

    def note(_: Any) -> None:
        made.append("COMMIT")

    event.listen(engines.writer, "commit", note)
    yield made
    event.remove(engines.writer, "commit", note)
