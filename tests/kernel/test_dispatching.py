"""Dispatching, step by step on the real database: once, in order, later when it fails, never in the way of others."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import URL, NullPool, create_engine, text
from tests.kernel.dispatching import NOW, Bench, ThingHappened

from kernel.database.call import current_call
from kernel.database.dispatching.jobs import PeriodicJob
from kernel.database.engines import Engines
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, sqlstate
from kernel.pure.listeners import DatabaseListener, OutsideListener


@pytest.fixture
def bench(engines: Engines, superuser_url: URL) -> Bench:
    return Bench(engines, create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT"))


def broken(*things: int) -> Any:
    def fail(event: ThingHappened) -> None:
        if event.thing_id in things:
            raise ValueError(f"no luck with {event.thing_id}")

    return fail


class TestDelivering:
    def test_each_listener_gets_each_event_once(self, bench: Bench) -> None:
        bench.publish(1, 2)
        dispatcher = bench.dispatcher(bench.inside, bench.outside)
        assert dispatcher.run_until_idle() == 4
        assert bench.effects == {1: 1, 2: 1}
        assert [thing_id for thing_id, _ in bench.sent] == [1, 2]
        assert dispatcher.run_until_idle() == 0

    def test_an_event_that_nobody_hears_is_done_with(self, bench: Bench) -> None:
        bench.publish(1)
        bench.dispatcher().run_until_idle()
        assert bench.statuses() == []
        assert bench.query("SELECT fanned_out_at FROM kernel.outbox") == [(NOW,)]

    def test_nothing_is_delivered_of_a_transaction_that_did_not_commit(self, bench: Bench) -> None:
        with pytest.raises(ZeroDivisionError), bench.database.transaction():
            bench.publish(1)
            raise ZeroDivisionError
        assert bench.dispatcher(bench.inside).run_until_idle() == 0

    def test_events_of_the_handler_are_stored_with_its_effect(self, bench: Bench) -> None:
        bench.publish(1)
        bench.fail = lambda event: bench.publish(2) if event.thing_id == 1 else None
        assert bench.dispatcher(bench.inside).run_until_idle() == 2
        assert bench.effects == {1: 1, 2: 1}

    def test_a_handler_runs_as_its_own_module(self, bench: Bench) -> None:
        roles: list[str] = []

        def handle(_: ThingHappened) -> None:
            with bench.database.transaction() as session:
                roles.append(session.execute(text("SELECT current_user")).scalar_one())
                session.execute(text("SELECT 1 FROM kernel.deliveries"))

        bench.publish(1)
        bench.dispatcher(DatabaseListener(name="tests.trespass", event=ThingHappened, handle=handle)).run_until_idle()
        assert roles[0].endswith("_catalog")
        ((error,),) = bench.query("SELECT last_error FROM kernel.deliveries")
        assert "permission denied" in error
        assert "SELECT 1" not in error

    def test_a_module_cannot_touch_the_deliveries(self, bench: Bench) -> None:
        with pytest.raises(Exception) as refused, bench.database.read() as connection:  # noqa: PT011 the state says which
            connection.execute(text("SELECT 1 FROM kernel.deliveries"))
        assert sqlstate(refused.value) == INSUFFICIENT_PRIVILEGE

    def test_an_outside_listener_is_called_outside_of_any_transaction_as_a_call_that_is_not_repeated(
        self, bench: Bench
    ) -> None:
        seen = []

        def handle(_: ThingHappened, __: UUID) -> None:
            call = current_call()
            idle = bench.query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")
            seen.append((call is not None and call.may_run_again, idle))

        bench.publish(1)
        bench.dispatcher(OutsideListener(name="tests.look", event=ThingHappened, handle=handle)).run_until_idle()
        assert seen == [(False, [])]


class TestFailing:
    def test_a_failure_leaves_no_effect_and_is_tried_again_later(self, bench: Bench) -> None:
        bench.publish(1)
        bench.fail = broken(1)
        dispatcher = bench.dispatcher(bench.inside)
        assert dispatcher.run_until_idle() == 1
        assert bench.effects == {}
        assert bench.query("SELECT status, attempts, next_attempt_at, last_error FROM kernel.deliveries") == [
            ("pending", 1, NOW + timedelta(seconds=1), "ValueError: no luck with 1")
        ]
        bench.fail = broken()
        assert dispatcher.run_until_idle() == 0
        bench.advance(seconds=1)
        assert dispatcher.run_until_idle() == 1
        assert bench.effects == {1: 1}
        assert bench.statuses() == [(1, "delivered", 2)]

    @pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
    def test_pauses_double_up_to_an_hour_with_jitter(self, bench: Bench, jitter: float, factor: float) -> None:
        bench.publish(1)
        bench.fail, bench.jitter = broken(1), jitter
        dispatcher = bench.dispatcher(DatabaseListener(name="t", event=ThingHappened, handle=bench.count, max_attempts=16))
        pauses = []
        for _ in range(15):
            assert dispatcher.run_until_idle() == 1
            ((due,),) = bench.query("SELECT next_attempt_at FROM kernel.deliveries")
            pauses.append((due - bench.clock.now()).total_seconds())
            bench.clock.advance(due - bench.clock.now())
        assert pauses == [min(2**number, 3600) * factor for number in range(15)]

    @pytest.mark.parametrize("kind", ["inside", "outside"])
    def test_after_its_attempts_it_is_a_dead_letter_that_is_reported(
        self, bench: Bench, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench.publish(1)
        bench.fail = broken(1)
        dispatcher = bench.dispatcher(getattr(bench, kind))
        for _ in range(20):
            dispatcher.run_until_idle()
            bench.advance(hours=2)
        assert bench.statuses() == [(1, "dead", 12)]
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert "is dead after 12 attempts (ValueError: no luck with 1)" in record.getMessage()

    def test_a_failed_commit_counts_as_a_failure_of_the_handler(self, bench: Bench) -> None:
        def handle(_: ThingHappened) -> None:
            with bench.kernel.transaction() as session, pytest.raises(Exception, match="division by zero"):
                session.execute(text("SELECT 1/0"))

        bench.publish(1)
        bench.dispatcher(DatabaseListener(name="tests.swallow", event=ThingHappened, handle=handle)).run_until_idle()
        assert bench.statuses() == [(1, "pending", 1)]

    def test_what_an_error_says_is_stored_on_one_short_line(self, bench: Bench) -> None:
        def handle(_: ThingHappened) -> None:
            raise ValueError("a\0b\nc \udc80" + "x" * 1000)

        bench.publish(1)
        bench.dispatcher(DatabaseListener(name="tests.long", event=ThingHappened, handle=handle)).run_until_idle()
        ((error,),) = bench.query("SELECT last_error FROM kernel.deliveries")
        assert error.startswith("ValueError: ab c ?xxx")
        assert len(error) == 500


class TestHoldingBack:
    def test_a_failing_delivery_holds_back_later_ones_of_its_aggregate_for_that_listener_only(self, bench: Bench) -> None:
        bench.publish(1, 2, about="a")
        bench.publish(3, about="b")
        bench.fail = broken(1)
        dispatcher = bench.dispatcher(bench.inside, bench.outside)
        dispatcher.run_until_idle()
        assert bench.effects == {3: 1}
        assert [thing_id for thing_id, _ in bench.sent] == [1, 3]
        bench.fail = broken()
        bench.advance(seconds=1)
        dispatcher.run_until_idle()
        assert bench.effects == {1: 1, 2: 1, 3: 1}
        assert [thing_id for thing_id, _ in bench.sent] == [1, 3, 1, 2]

    def test_a_dead_letter_holds_nothing_back(self, bench: Bench) -> None:
        bench.publish(1, 2)
        bench.fail = broken(1)
        listener = DatabaseListener(name="tests.once", event=ThingHappened, handle=bench.count, max_attempts=1)
        bench.dispatcher(listener).run_until_idle()
        assert bench.statuses() == [(1, "dead", 1), (2, "delivered", 1)]

    def test_a_payload_that_does_not_fit_is_dead_at_once_and_in_nobodys_way(self, bench: Bench) -> None:
        bench.publish(1, 2, 3)
        bench.execute('UPDATE kernel.outbox SET payload = \'{"thing_id": "many"}\' WHERE id = 1')
        bench.execute("UPDATE kernel.outbox SET payload = '[]' WHERE id = 2")
        dispatcher = bench.dispatcher(bench.inside, bench.outside)
        assert dispatcher.run_until_idle() == 6
        assert bench.effects == {3: 1}
        assert {status for number, status, _ in bench.statuses() if number < 3} == {"dead"}
        ((error,),) = bench.query("SELECT last_error FROM kernel.deliveries WHERE outbox_id = 1 AND listener = 'tests.count'")
        assert "does not fit tests.ThingHappened: thing_id" in error
        assert "many" not in error

    def test_fields_of_a_newer_publisher_are_passed_over(self, bench: Bench) -> None:
        bench.publish(1)
        bench.execute("UPDATE kernel.outbox SET payload = payload || '{\"new\": 1}'")
        bench.dispatcher(bench.inside).run_until_idle()
        assert bench.effects == {1: 1}

    def test_a_delivery_to_a_listener_that_hears_another_event_by_now_is_dead_with_the_reason(self, bench: Bench) -> None:
        bench.publish(1)
        dispatcher = bench.dispatcher(bench.inside)
        dispatcher.fan_out()
        bench.execute("UPDATE kernel.outbox SET name = 'tests.Other'")
        dispatcher.run_until_idle()
        assert bench.query("SELECT status, last_error FROM kernel.deliveries") == [
            ("dead", "Undecodable: the event is tests.Other, and the listener waits for tests.ThingHappened")
        ]

    def test_a_delivery_to_a_listener_that_is_gone_waits_and_blocks_nobody(self, bench: Bench) -> None:
        bench.publish(1)
        bench.dispatcher(bench.outside).fan_out()
        bench.publish(2)
        bench.dispatcher(bench.inside).run_until_idle()
        assert bench.statuses() == [(1, "pending", 0), (2, "delivered", 1)]


class TestLeases:
    def test_a_call_whose_process_died_is_made_again_with_the_same_message_id(self, bench: Bench) -> None:
        bench.publish(1)

        def die(_: ThingHappened) -> None:
            raise SystemExit

        bench.fail = die
        dispatcher = bench.dispatcher(bench.outside)
        with pytest.raises(SystemExit):
            dispatcher.run_until_idle()
        bench.fail = broken()
        assert dispatcher.run_until_idle() == 0
        bench.advance(minutes=1)
        assert dispatcher.run_until_idle() == 1
        ((event_id,),) = bench.query("SELECT event_id FROM kernel.outbox")
        assert bench.sent == [(1, event_id), (1, event_id)]

    def test_who_was_overtaken_changes_nothing(self, bench: Bench) -> None:
        bench.publish(1)
        dispatcher = bench.dispatcher(bench.outside)

        def overtake(_: ThingHappened) -> None:
            bench.fail = broken()
            bench.advance(minutes=2)
            assert dispatcher.run_until_idle() == 1
            raise ValueError("too late")

        bench.fail = overtake
        dispatcher.run_until_idle()
        assert bench.statuses() == [(1, "delivered", 2)]

    def test_a_call_that_kills_its_process_each_time_is_given_up(self, bench: Bench) -> None:
        bench.publish(1)
        dispatcher = bench.dispatcher(bench.outside)
        dispatcher.fan_out()
        bench.execute("UPDATE kernel.deliveries SET status = 'leased', attempts = 12")
        dispatcher.run_until_idle()
        assert bench.sent == []
        assert bench.statuses() == [(1, "dead", 13)]


class TestJobs:
    def test_a_job_runs_when_it_is_due_once_for_all_processes(self, bench: Bench) -> None:
        ran: list[int] = []
        every = timedelta(seconds=5)
        first = bench.dispatcher(jobs=[PeriodicJob(name="tests.sweep", every=every, run=partial(ran.append, 1))])
        second = bench.dispatcher(jobs=[PeriodicJob(name="tests.sweep", every=every, run=partial(ran.append, 2))])
        assert [first.run_jobs(), second.run_jobs(), first.run_jobs()] == [1, 0, 0]
        bench.advance(seconds=5)
        assert [second.run_jobs(), first.run_jobs()] == [1, 0]
        assert ran == [1, 2]

    def test_while_one_runs_nobody_else_starts_it_unless_it_takes_longer_than_its_lease(self, bench: Bench) -> None:
        others: list[int] = []
        other = bench.dispatcher(jobs=[PeriodicJob(name="tests.slow", every=timedelta(seconds=1), run=lambda: None)])

        def run() -> None:
            bench.advance(seconds=29)
            others.append(other.run_jobs())
            bench.advance(seconds=1)
            others.append(other.run_jobs())

        bench.dispatcher(jobs=[PeriodicJob(name="tests.slow", every=timedelta(seconds=1), run=run)]).run_jobs()
        assert others == [0, 1]

    def test_a_failing_job_is_logged_and_tried_again_when_it_is_due(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        def run() -> None:
            raise ValueError("no luck")

        dispatcher = bench.dispatcher(jobs=[PeriodicJob(name="tests.sweep", every=timedelta(seconds=5), run=run)])
        assert [dispatcher.run_jobs(), dispatcher.run_jobs()] == [1, 0]
        bench.advance(seconds=5)
        assert dispatcher.run_jobs() == 1
        assert "The job tests.sweep failed" in caplog.text
