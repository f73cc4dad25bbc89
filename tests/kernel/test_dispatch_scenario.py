"""The scenario helper tells what happened, and fails when it did not."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import URL, NullPool, create_engine
from tests.kernel.dispatching import Bench, ThingHappened
from tests.scenario import Scenario

from kernel.database.engines import Engines


@pytest.fixture
def bench(engines: Engines, superuser_url: URL) -> Bench:
    return Bench(engines, create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT"))


@pytest.fixture
def scenario(bench: Bench) -> Scenario:
    return Scenario(bench.query, bench.dispatcher(bench.inside))


def test_an_event_and_a_state_that_follow_are_found(bench: Bench, scenario: Scenario) -> None:
    bench.publish(1)
    story = scenario.stimulate(lambda: bench.publish(2, 3))
    assert story.await_event(ThingHappened, lambda event: event.thing_id > 2) == ThingHappened(thing_id=3)
    assert story.await_state(lambda: bench.effects, {1: 1, 2: 1, 3: 1})
    assert story.await_state(lambda: len(bench.effects), lambda count: count > 2) == 3
    story.await_deliveries()
    assert story.events(ThingHappened) == [ThingHappened(thing_id=2), ThingHappened(thing_id=3)]


def test_an_event_of_before_does_not_count(bench: Bench, scenario: Scenario) -> None:
    bench.publish(1)
    with pytest.raises(AssertionError, match=r"there is no tests\.ThingHappened that fits.*no event"):
        scenario.stimulate(lambda: None).await_event(ThingHappened)


def test_what_keeps_a_story_from_coming_true_is_told(bench: Bench, scenario: Scenario) -> None:
    def fail(_: ThingHappened) -> None:
        raise ValueError("no luck")

    bench.fail = fail
    story = scenario.stimulate(lambda: bench.publish(1))
    with pytest.raises(AssertionError, match=r"not all is delivered.*tests.count pending ValueError: no luck"):
        story.await_deliveries()


def test_without_a_dispatcher_that_of_others_is_waited_for(bench: Bench) -> None:
    later = threading.Timer(0.2, bench.dispatcher(bench.inside).run_until_idle)
    story = Scenario(bench.query).stimulate(lambda: bench.publish(1))
    later.start()
    assert story.await_state(lambda: bench.effects, {1: 1})
    later.join()
