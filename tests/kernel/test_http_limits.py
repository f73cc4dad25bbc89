"""Limits: bodies, request ids, headers of every answer, failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from tests.kernel.http_app import NOW, Shop, assert_problem, open_shop
from tests.kernel.http_stall import build_router

from kernel.http.limits import MAX_BODY, FailureLimit
from kernel.pure.clock import FixedClock
from kernel.pure.errors import TooManyRequests


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


async def chunks(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


JSON = {"content-type": "application/json"}


def test_a_body_announced_too_large_is_413_before_it_is_read(shop: Shop) -> None:
    read: list[int] = []

    async def receive() -> Any:
        read.append(1)
        return {"type": "http.request", "body": b"", "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"10000000")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/wares/anything", "query_string": b"", "headers": headers}
    asyncio.run(shop.app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert not read


@pytest.mark.parametrize("path", ["/api/v1/wares/anything", "/api/v1/wares/form"])
def test_a_streamed_body_is_cut_off_at_the_limit(shop: Shop, path: str) -> None:
    types = {"/api/v1/wares/anything": "application/json", "/api/v1/wares/form": "application/x-www-form-urlencoded"}
    answer = shop.post(path, content=chunks(17, MAX_BODY // 16), headers={"content-type": types[path]})
    # RFC 9110, whatever name this version of Python has for it.
    assert assert_problem(answer, 413, "body-too-large")["title"] == "Content Too Large"
    assert answer.headers["connection"] == "close"


def test_a_body_of_exactly_the_limit_is_read(shop: Shop) -> None:
    assert_problem(shop.post("/api/v1/wares/anything", content=chunks(16, MAX_BODY // 16), headers=JSON), 400)


def test_a_route_may_have_a_limit_of_its_own(shop: Shop) -> None:
    body = b'{"name":"Mug","price":"1.00"}'
    assert shop.post_bytes("/api/v1/wares/echo", body).json() == "Mug"
    assert_problem(shop.post_bytes("/api/v1/wares/echo", body + b" " * 64), 413)
    assert shop.post_bytes("/api/v1/wares/anything", body + b" " * 64).status_code == 200


def test_a_lying_content_length_does_not_help(shop: Shop) -> None:
    headers = {**JSON, "content-length": "10"}
    assert_problem(shop.post("/api/v1/wares/anything", content=chunks(2, MAX_BODY), headers=headers), 413)


def test_a_sane_request_id_is_honoured_and_others_are_replaced(shop: Shop) -> None:
    assert shop.get("/api/v1/wares/1", headers={"x-request-id": "a.B-1_2"}).headers["x-request-id"] == "a.B-1_2"
    made = set()
    for given in ("", "a b", "a\tb", "é", "x" * 65, "<script>", "a;b"):
        answer = shop.get("/api/v1/wares/1", headers=[(b"x-request-id", given.encode())])
        made.add(answer.headers["x-request-id"])
        assert answer.headers["x-request-id"] != given
    assert len(made) == 7


@pytest.mark.parametrize("path", ["/api/v1/wares/1", "/api/v1/nowhere", "/openapi.json"])
def test_every_answer_is_hardened(shop: Shop, path: str) -> None:
    headers = shop.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-request-id"]


def test_answers_to_callers_are_not_stored_by_caches_and_public_ones_may_be(shop: Shop) -> None:
    assert shop.get("/api/v1/wares/me/name", headers=shop.token()).headers["cache-control"] == "no-store"
    assert "cache-control" not in shop.get("/api/v1/wares/1").headers
    assert shop.get("/api/v1/nowhere").headers.get_list("cache-control") == ["no-store"]


def test_other_protocols_pass_through(shop: Shop) -> None:
    async def start() -> list[str]:
        sent: list[str] = []
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await shop.app({"type": "lifespan", "state": {}}, receive, send)
        return sent

    assert asyncio.run(start()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# Failures


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


def limit(clock: FixedClock, **options: Any) -> FailureLimit:
    return FailureLimit(clock, **{"failures": 3, "window": timedelta(minutes=5), **options})


def test_after_so_many_failures_further_attempts_wait_until_the_first_is_forgotten(clock: FixedClock) -> None:
    guard = limit(clock)
    for _ in range(3):
        guard.check("ann")
        guard.failed("ann")
        clock.advance(timedelta(minutes=1))
    with pytest.raises(TooManyRequests) as refused:
        guard.check("ann")
    assert refused.value.retry_after == 120
    guard.check("bob")
    clock.advance(timedelta(seconds=119))
    with pytest.raises(TooManyRequests):
        guard.check("ann")
    clock.advance(timedelta(seconds=1))
    guard.check("ann")


def test_successes_do_not_count_and_forget_the_failures(clock: FixedClock) -> None:
    guard = limit(clock)
    for _ in range(10):
        guard.failed("ann")
        guard.failed("ann")
        guard.check("ann")
        guard.succeeded("ann")


def test_limits_can_be_switched_off(clock: FixedClock) -> None:
    guard = limit(clock, enabled=False)
    for _ in range(10):
        guard.failed("ann")
    guard.check("ann")


def test_memory_is_bounded_by_forgetting_who_failed_longest_ago(clock: FixedClock) -> None:
    guard = limit(clock, max_keys=100)
    for number in range(1000):
        for _ in range(3):
            guard.failed(str(number))
    assert len(guard._times) == 100
    guard.check("0")
    with pytest.raises(TooManyRequests):
        guard.check("999")


def test_failures_of_many_threads_are_all_counted(clock: FixedClock) -> None:
    guard = limit(clock, failures=8000)

    def fail_often(_: int) -> None:
        for _ in range(1000):
            guard.failed("ann")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail_often, range(8)))
    with pytest.raises(TooManyRequests):
        guard.check("ann")
