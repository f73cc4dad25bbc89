"""The runner: who wakes it, how often, and how it stops. Real threads, real time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL, NullPool, create_engine
from tests.kernel.dispatching import Bench, ThingHappened

from kernel.database.dispatching import runner as runner_file
from kernel.database.dispatching import wake_ups as wake_ups_file
from kernel.database.dispatching.dispatcher import Dispatcher
from kernel.database.dispatching.runner import Runner
from kernel.database.dispatching.wake_ups import WakeUps
from kernel.database.engines import Engines

NOWHERE = URL.create("postgresql+psycopg2", host="/nowhere", database="nothing")


@pytest.fixture
def bench(engines: Engines, superuser_url: URL) -> Bench:
    return Bench(engines, create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT"))


@contextmanager
def running(dispatcher: Dispatcher, engines: Engines, url: URL | None = None) -> Iterator[Runner]:
    runner = Runner(dispatcher, engines, WakeUps(url))
    runner.start()
    until(lambda: engines.on_events is not None)
    try:
        yield runner
    finally:
        runner.stop(5)


def until(holds: Callable[[], Any], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


class TestWakingUp:
    def test_a_commit_with_events_wakes_the_processs_own_dispatcher(
        self, bench: Bench, engines: Engines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner_file, "POLL_SECONDS", 60)
        with running(bench.dispatcher(bench.inside), engines):
            time.sleep(0.3)
            bench.publish(1)
            until(lambda: bench.effects == {1: 1})
            bench.publish(2)
            until(lambda: bench.effects == {1: 1, 2: 1})
        assert engines.on_events is None

    def test_a_transaction_without_events_or_without_commit_wakes_nobody(self, bench: Bench, engines: Engines) -> None:
        woken = []
        engines.on_events = lambda: woken.append(1)
        try:
            with bench.kernel.transaction():
                pass
            with pytest.raises(ZeroDivisionError), bench.database.transaction():
                bench.publish(1)
                raise ZeroDivisionError
            assert woken == []
            bench.publish(1, 2)
            assert woken == [1]
        finally:
            engines.on_events = None

    @pytest.mark.parametrize("url", [None, NOWHERE], ids=["no_address", "refused"])
    def test_events_that_nobody_told_of_are_found_by_looking(self, bench: Bench, engines: Engines, url: URL | None) -> None:
        bench.publish(1)
        with running(bench.dispatcher(bench.inside), engines, url):
            until(lambda: bench.effects == {1: 1})
            bench.execute(
                "INSERT INTO kernel.outbox (name, aggregate, payload) VALUES ('tests.ThingHappened', 'a', '{\"thing_id\": 2}')"
            )
            until(lambda: bench.effects == {1: 1, 2: 1})

    def test_other_processes_are_woken_by_a_message(self, engines: Engines) -> None:
        ours, theirs = WakeUps(engines.url), WakeUps(engines.url)
        try:
            ours.wait(0)
            theirs.wait(0)
            assert ours.listening
            ours.tell_others()
            began = time.monotonic()
            theirs.wait(30)
            assert time.monotonic() - began < 5
        finally:
            ours.close()
            theirs.close()

    def test_a_lost_connection_is_opened_again(self, bench: Bench, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wake_ups_file, "_RECONNECT_SECONDS", 0)
        wake_ups = WakeUps(engines.url)
        try:
            wake_ups.wait(0)
            bench.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'emporium dispatcher'"
            )
            until(lambda: wake_ups.wait(0.05) or not wake_ups.listening)
            wake_ups.wait(0)
            assert wake_ups.listening
        finally:
            wake_ups.close()

    def test_it_works_at_most_ten_times_a_second_however_often_it_is_woken(
        self, bench: Bench, engines: Engines, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dispatcher = bench.dispatcher()
        rounds = []
        monkeypatch.setattr(dispatcher, "run_until_idle", lambda _: rounds.append(1))
        with running(dispatcher, engines):
            began = time.monotonic()
            while time.monotonic() < began + 1:
                assert engines.on_events is not None
                engines.on_events()
                time.sleep(0.001)
            assert 5 <= len(rounds) <= 12

    def test_it_tells_others_at_most_ten_times_a_second(self, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
        wake_ups = WakeUps(engines.url)
        said: list[str] = []
        try:
            wake_ups.wait(0)
            monkeypatch.setattr(wake_ups, "_run", said.append)
            began = time.monotonic()
            while time.monotonic() < began + 0.5:
                wake_ups.tell_others()
            assert 4 <= len(said) <= 6
        finally:
            wake_ups.close()


class TestStopping:
    def test_the_running_delivery_is_finished_and_no_other_is_started(self, bench: Bench, engines: Engines) -> None:
        started, go_on = threading.Event(), threading.Event()

        def slow(_: ThingHappened) -> None:
            started.set()
            assert go_on.wait(10)

        bench.fail = slow
        bench.publish(1, 2)
        with running(bench.dispatcher(bench.inside), engines) as runner:
            assert started.wait(5)
            runner.ask_to_stop()
            go_on.set()
            runner.stop(5)
            assert bench.effects == {1: 1}

    def test_one_that_does_not_end_is_not_waited_for_long(
        self, bench: Bench, engines: Engines, caplog: pytest.LogCaptureFixture
    ) -> None:
        started, go_on = threading.Event(), threading.Event()

        def slow(_: ThingHappened) -> None:
            started.set()
            assert go_on.wait(10)

        bench.fail = slow
        bench.publish(1)
        with running(bench.dispatcher(bench.inside), engines) as runner:
            assert started.wait(5)
            runner.stop(0.1)
            assert "still running" in caplog.text
            go_on.set()

    def test_what_goes_wrong_in_a_round_does_not_end_it(
        self, bench: Bench, engines: Engines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        dispatcher = bench.dispatcher()
        rounds: list[int] = []

        def fail(_: object) -> None:
            rounds.append(1)
            raise ValueError("no luck")

        monkeypatch.setattr(dispatcher, "run_until_idle", fail)
        with running(dispatcher, engines):
            until(lambda: len(rounds) >= 2)
        assert [record.levelno for record in caplog.records][:1] == [logging.ERROR]
