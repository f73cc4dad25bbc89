"""Events behind a PgBouncer in transaction pooling mode: delivered as ever, and nobody LISTENs on a session of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine
from tests.database_fixtures import Clone
from tests.flows._pgbouncer import find, pooler
from tests.flows._shops import until
from tests.kernel.dispatching import Bench

from kernel.database.dispatching.runner import Runner
from kernel.database.dispatching.wake_ups import WakeUps
from kernel.database.engines import Engines

pytestmark = [
    pytest.mark.prove,
    pytest.mark.pgbouncer,
    pytest.mark.skipif(find() is None, reason="the program pgbouncer is not installed"),
]


@pytest.fixture
def bench(database: Clone, run_directory: Path) -> Iterator[Bench]:
    with pooler(database.application, run_directory) as bouncer:
        engines = Engines(bouncer.url(database.application), threads=2, roles=database.roles)
        yield Bench(engines, create_engine(database.superuser, poolclass=NullPool, isolation_level="AUTOCOMMIT"))
        engines.close()


def test_events_are_delivered_and_nobody_listens_through_the_pooler(bench: Bench) -> None:
    wake_ups = WakeUps(bench.engines.url)
    runner = Runner(bench.dispatcher(bench.inside, bench.outside), bench.engines, wake_ups)
    runner.start()
    bench.publish(1, 2)
    until(lambda: bench.effects == {1: 1, 2: 1} and len(bench.sent) == 2, "delivered")
    assert not wake_ups.listening
    runner.stop(5)


def test_its_own_address_past_the_pooler_lets_it_listen(bench: Bench, database: Clone) -> None:
    wake_ups = WakeUps(database.application)
    wake_ups.wait(0)
    assert wake_ups.listening
    wake_ups.close()
