"""Dispatching under crashes and rivals: a database listener's effect exactly once, an outside call at least once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine, text
from tests.database_fixtures import Clone
from tests.kernel.dispatching import Bench, ThingHappened

from kernel.database.dispatching.statements import CLAIM, FAN_OUT
from kernel.database.engines import Engines

ROOT = Path(__file__).resolve().parents[2]
EVENTS = text(
    "INSERT INTO kernel.outbox (name, aggregate, payload, fanned_out_at)"
    " SELECT 'tests.ThingHappened', 'thing ' || n % 500, '{}', CASE WHEN n < 19990 THEN now() END"
    " FROM generate_series(1, 20000) AS n"
)
DELIVERIES = text(
    "INSERT INTO kernel.deliveries (outbox_id, listener, aggregate, status, next_attempt_at)"
    " SELECT id, listener, aggregate, CASE WHEN id < :open THEN 'delivered' ELSE 'pending' END, now()"
    " FROM kernel.outbox, (VALUES ('tests.count'), ('tests.send')) AS known(listener) WHERE id < 19990"
)


@pytest.fixture
def bench(engines: Engines, superuser_url: URL) -> Bench:
    return Bench(engines, create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT"))


def kill_at_every_step(database: Clone, kind: str, log: Path) -> int:
    """Answers at how many steps the dispatcher was killed."""
    url = database.application.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernel.dispatch_until_killed", url, database.roles.prefix, kind, str(log)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


class TestKilledAtEveryStep:
    def test_a_database_listeners_effect_happens_exactly_once(self, bench: Bench, database: Clone, tmp_path: Path) -> None:
        steps = kill_at_every_step(database, "inside", tmp_path / "log")
        assert steps > 12
        assert bench.effects == dict.fromkeys(range(1, steps + 2), 1)
        assert {status for _, status, _ in bench.statuses()} == {"delivered"}

    def test_an_outside_listener_is_called_at_least_once_with_one_message_id(
        self, bench: Bench, database: Clone, tmp_path: Path
    ) -> None:
        steps = kill_at_every_step(database, "outside", tmp_path / "log")
        calls = Counter((tmp_path / "log").read_text().splitlines())
        expected = bench.query("SELECT (payload->>'thing_id') || ' ' || event_id FROM kernel.outbox")
        assert len(expected) == steps + 1
        assert set(calls) == {line for (line,) in expected}
        # Killed after the call and before its mark was stored.
        assert max(calls.values()) == 2
        assert {status for _, status, _ in bench.statuses()} == {"delivered"}


class TestRivals:
    def race(self, *dispatchers: threading.Thread) -> None:
        for thread in dispatchers:
            thread.start()
        for thread in dispatchers:
            thread.join(60)
            assert not thread.is_alive()

    def test_several_dispatchers_make_each_effect_once_and_keep_the_order_of_each_aggregate(self, bench: Bench) -> None:
        for start in range(0, 120, 3):
            bench.publish(*range(start, start + 3), about=f"thing {start % 4}")
        order: dict[str, list[int]] = {}
        failed: set[int] = set()

        def sometimes(event: ThingHappened) -> None:
            if event.thing_id % 7 == 0 and event.thing_id not in failed:
                failed.add(event.thing_id)
                raise ValueError("the first time")
            order.setdefault(event.about, []).append(event.thing_id)

        bench.fail = sometimes
        for _ in range(40):
            self.race(
                *(threading.Thread(target=bench.dispatcher(bench.inside, bench.outside).run_until_idle) for _ in range(4))
            )
            if {status for _, status, _ in bench.statuses()} == {"delivered"}:
                break
            bench.advance(seconds=2)
        assert bench.effects == dict.fromkeys(range(120), 1)
        assert sorted(thing_id for thing_id, _ in bench.sent if thing_id % 7) == [n for n in range(120) if n % 7]
        assert len({message_id for _, message_id in bench.sent}) == 120
        for things in order.values():
            # Both listeners wrote here, each in order.
            assert sorted(things) == sorted([*set(things), *set(things)])
            assert first_times(things) == sorted(set(things))

    def test_two_that_fan_out_at_once_do_not_get_into_each_others_way(self, bench: Bench, engines: Engines) -> None:
        bench.publish(1)
        first, second = bench.dispatcher(bench.inside), bench.dispatcher(bench.inside)
        with bench.kernel.transaction():
            assert first.fan_out() == 1
            found: list[int] = []
            self.race(threading.Thread(target=lambda: found.append(second.fan_out())))
            assert found == [0]
        assert second.run_until_idle() == 1


def first_times(things: list[int]) -> list[int]:
    return list(dict.fromkeys(things))


class TestPlans:
    """The dispatcher asks all the time, so what is done with must not be read again, whatever the statistics say."""

    @pytest.fixture
    def busy(self, bench: Bench, open_from: int, statistics: str) -> Bench:
        for table in ("outbox", "deliveries"):
            bench.execute(f"ALTER TABLE kernel.{table} SET (autovacuum_enabled = false)")
        with bench.superuser.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
            connection.execute(EVENTS)
            connection.execute(DELIVERIES, {"open": open_from})
            # As autovacuum may at any time: it sees all the pages, and no row in them.
            if statistics in ("events_too_early", "both_too_early"):
                bench.execute("ANALYZE kernel.outbox")
            if statistics == "both_too_early":
                bench.execute("ANALYZE kernel.deliveries")
        if statistics == "taken":
            bench.execute("ANALYZE kernel.outbox, kernel.deliveries")
        return bench

    @pytest.mark.parametrize("statistics", ["taken", "not_taken", "events_too_early", "both_too_early"])
    @pytest.mark.parametrize("open_from", [19_900, 5_000], ids=["few_open", "many_open"])
    def test_claiming_and_fanning_out_read_by_index(self, busy: Bench, statistics: str) -> None:
        claim = self.plan(busy, str(CLAIM), listener="tests.count", now="infinity")
        assert "Seq Scan" not in claim
        assert "ix_deliveries_holding" in claim
        # Where no row is expected the one index is as good as the other: both hold what is unfinished alone.
        assert "ix_deliveries_unfinished" in claim or statistics == "both_too_early"
        # The first one that is due ends the search.
        assert "Sort" not in claim
        fan_out = self.plan(
            busy, str(FAN_OUT), now="2030-01-01", batch=500, events=["tests.ThingHappened"], listeners=["tests.count"]
        )
        assert "ix_outbox_new" in fan_out
        assert "Seq Scan" not in fan_out

    def plan(self, bench: Bench, statement: str, **values: object) -> str:
        return "\n".join(line for (line,) in bench.query(f"EXPLAIN {statement}", **values))
