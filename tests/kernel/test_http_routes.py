"""Routers, the hop route and mounting: one hop, one answer, and a refusal of whatever would cost more."""

from __future__ import annotations

import threading
from asyncio import Semaphore
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Annotated, Any

import pytest
from dependency_injector.wiring import Provide
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Response
from tests.kernel.http_app import Shop, assert_problem, open_shop
from tests.kernel.http_stall import build_router

from kernel.database.call import RetryCall
from kernel.http import current
from kernel.http.access import ANYONE, SIGNED_IN, Caller, OptionalCaller
from kernel.http.executor import HopExecutor
from kernel.http.mounting import mount
from kernel.http.routes import Idempotency, Router


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


tone: ContextVar[str] = ContextVar("tone", default="none")


async def set_tone() -> str:
    tone.set("warm")
    return "set"


class Dependency:
    """Classes are called in a thread, as any plain function is."""


def stall(endpoint: Callable[..., Any], *, method: str = "get", path: str = "/x", **options: Any) -> Router:
    router = Router(module="stall", prefix="/api/v1")
    getattr(router, method)(path, **{"allow": ANYONE, **options})(endpoint)
    return router


def test_a_request_costs_one_hop_on_a_thread_of_the_executor() -> None:
    threads: list[str] = []

    def look(response: Response) -> int:
        threads.append(threading.current_thread().name)
        return 1

    with open_shop(stall(look)) as shop:
        for _ in range(3):
            assert shop.get("/api/v1/x").json() == 1
        assert shop.executor.hops == 3
    assert all(name.startswith("hop") for name in threads)


def test_a_refused_request_costs_no_hop(shop: Shop) -> None:
    before = shop.executor.hops
    assert_problem(shop.get("/api/v1/wares/none"), 404)
    assert_problem(shop.request("DELETE", "/api/v1/wares/1"), 401)
    assert_problem(shop.post_bytes("/api/v1/wares/anything", b"{"), 400)
    assert shop.executor.hops == before


def test_contextvars_reach_the_hop() -> None:
    def read(said: Annotated[str, Depends(set_tone)]) -> dict[str, str | None]:
        return {"said": said, "tone": tone.get(), "request": current.request_id()}

    with open_shop(stall(read)) as shop:
        assert shop.get("/api/v1/x", headers={"x-request-id": "abc"}).json() == {
            "said": "set",
            "tone": "warm",
            "request": "abc",
        }


def test_a_stop_iteration_does_not_hang_the_request() -> None:
    def stop() -> int:
        return next(iter([]))

    with open_shop(stall(stop)) as shop:
        assert_problem(shop.get("/api/v1/x"), 500, "internal-error")


def test_the_answer_has_the_status_and_headers_that_the_endpoint_set(shop: Shop) -> None:
    answer = shop.post("/api/v1/wares", json={"name": "Mug", "price": "1.00"}, headers=shop.token(roles=["admin"], user_id=7))
    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/v1/wares/7"
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.json() == {
        "id": 1,
        "name": "Ware 001",
        "price": "1.00",
        "kind": "fruit",
        "labels": [{"language": "en", "words": "fresh"}],
        "version": 3,
        "created_at": "2026-01-01T00:00:00Z",
    }


def test_an_endpoint_may_lower_a_declared_201_to_200() -> None:
    def put(response: Response) -> int:
        response.status_code = 200
        return 1

    with open_shop(stall(put, method="put", status_code=201)) as shop:
        assert shop.request("PUT", "/api/v1/x").status_code == 200


def test_an_endpoint_that_returns_none_answers_204_without_a_body(shop: Shop) -> None:
    answer = shop.request("DELETE", "/api/v1/wares/1", headers=shop.token())
    assert answer.status_code == 204
    assert answer.content == b""
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers


def test_an_endpoint_may_make_its_answer_itself() -> None:
    def export() -> Response:
        return Response("a;b", media_type="text/csv")

    with open_shop(stall(export)) as shop:
        answer = shop.get("/api/v1/x")
        assert answer.text == "a;b"
        assert answer.headers["content-type"].startswith("text/csv")


def test_a_call_that_lost_a_race_is_run_again_whole_and_answers_as_if_alone() -> None:
    runs: list[int] = []

    def lose(response: Response) -> int:
        runs.append(1)
        response.headers.append("x-run", str(len(runs)))
        if len(runs) < 3:
            raise RetryCall
        return len(runs)

    with open_shop(stall(lose)) as shop:
        answer = shop.get("/api/v1/x")
        assert answer.json() == 3
        assert answer.headers.get_list("x-run") == ["3"]
        assert shop.executor.hops == 1


def test_a_call_that_keeps_losing_is_503(caplog: pytest.LogCaptureFixture) -> None:
    def lose() -> int:
        raise RetryCall

    with open_shop(stall(lose)) as shop:
        answer = shop.get("/api/v1/x")
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/api/v1/wares", "/api/v1/wares/", "/api/v1/wares/1", "/api/v1/wares/1/"])
def test_a_path_answers_with_and_without_a_trailing_slash(shop: Shop, path: str) -> None:
    answer = shop.get(path)
    assert answer.status_code == 200
    assert not answer.history


@pytest.mark.parametrize("path", ["/api/v1/wares//", "/api/v1/wares/1//", "/api/v1/wares%0A", "/api/v1/ware", "//api/v1/wares"])
def test_what_only_looks_like_a_path_is_404(shop: Shop, path: str) -> None:
    assert_problem(shop.get(path), 404, "not-found")


def test_a_method_that_is_not_served_is_405_and_names_all_that_are(shop: Shop) -> None:
    answer = shop.request("PUT", "/api/v1/wares/1")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"
    assert shop.request("TRACE", "/api/v1/wares").headers["allow"] == "GET, HEAD, POST"


def test_head_is_served_where_get_is(shop: Shop) -> None:
    answer = shop.request("HEAD", "/api/v1/wares/1")
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"3.7"'


def test_a_gate_is_held_around_the_hop_on_the_event_loop() -> None:
    gate = Semaphore(1)

    def hash_password() -> bool:
        return gate.locked()

    with open_shop(stall(hash_password, gate=gate)) as shop:
        assert shop.get("/api/v1/x").json() is True
        assert not gate.locked()


def test_two_applications_of_one_router_share_nothing() -> None:
    router = build_router()
    with open_shop(router) as one, open_shop(router) as two:
        one.get("/api/v1/wares/1")
        assert (one.executor.hops, two.executor.hops) == (1, 0)


# What mount() refuses


async def sub_dependency(number: int = 1) -> int:
    return number


def sync_dependency() -> int:
    return 1


async def generator_dependency() -> AsyncIterator[int]:
    yield 1


async def wired_dependency(service: Any = Provide["service"]) -> int:
    return 1


async def over_sync_dependency(number: Annotated[int, Depends(sync_dependency)]) -> int:
    return number


def async_endpoint() -> int:
    return 1


async def coroutine() -> int:
    return 1


def with_sync(number: Annotated[int, Depends(sync_dependency)]) -> int:
    return number


def with_nested_sync(number: Annotated[int, Depends(over_sync_dependency)]) -> int:
    return number


def with_generator(number: Annotated[int, Depends(generator_dependency)]) -> int:
    return number


def with_class(number: Annotated[Dependency, Depends(Dependency)]) -> int:
    return 1


def with_wired_dependency(number: Annotated[int, Depends(wired_dependency)]) -> int:
    return number


def with_provide(service: Any = Provide["service"]) -> int:
    return 1


def with_annotated_provide(service: Annotated[Any, Depends(Provide["service"])]) -> int:
    return 1


def with_background(tasks: BackgroundTasks) -> int:
    return 1


def with_anything(*args: int) -> int:
    return 1


def without_return(number: int):  # type: ignore[no-untyped-def] # what is refused
    return number


def without_annotation(number) -> int:  # type: ignore[no-untyped-def] # what is refused
    return 1


def with_caller(caller: Caller) -> int:
    return 1


def with_optional_caller(caller: OptionalCaller) -> int:
    return 1


def with_list() -> list[int]:
    return [1]


def with_optional_list() -> tuple[int, ...] | None:
    return None


def plain() -> int:
    return 1


@pytest.mark.parametrize(
    ("endpoint", "options", "fix"),
    [
        (coroutine, {}, "write `def`"),
        (with_sync, {}, "sync_dependency would cost a second hop; make it `async def`"),
        (with_nested_sync, {}, "sync_dependency would cost a second hop"),
        (with_class, {}, "would cost a second hop"),
        (with_generator, {}, "generator_dependency is a generator"),
        (with_provide, {}, "build the router around its service"),
        (with_annotated_provide, {}, "build the router around its service"),
        (with_wired_dependency, {}, "build the router around its service"),
        (with_background, {}, "publish an event"),
        (with_anything, {}, "name each parameter"),
        (without_return, {}, "annotate what it returns"),
        (with_list, {}, "answer a `Page`"),
        (with_optional_list, {}, "answer a `Page`"),
        (without_annotation, {}, "annotate the parameter 'number'"),
        (with_caller, {}, "OptionalCaller"),
        (with_optional_caller, {"allow": SIGNED_IN}, "take `Caller`"),
        (plain, {"idempotent": Idempotency.REQUIRED}, "set allow=SIGNED_IN"),
        (plain, {"idempotent": Idempotency.REQUIRED, "allow": SIGNED_IN}, "kernel's database"),
    ],
)
def test_mount_refuses_with_the_route_and_the_fix(endpoint: Callable[..., Any], options: dict[str, Any], fix: str) -> None:
    with pytest.raises(TypeError, match=fix) as refused, open_shop(stall(endpoint, **options)):
        pass
    assert "GET /api/v1/x" in str(refused.value)
    assert f"stall_{endpoint.__name__}" in str(refused.value)


def test_mount_refuses_the_frameworks_own_router(shop: Shop) -> None:
    router: Any = APIRouter()
    with pytest.raises(TypeError, match="no Router of the kernel"):
        mount(FastAPI(), [router], executor=shop.executor, access_tokens=shop.tokens)


def test_mount_refuses_a_second_route_of_the_same_method_and_path() -> None:
    router = stall(plain)
    router.get("/x/", allow=ANYONE)(async_endpoint)
    with pytest.raises(TypeError, match="repeats GET /api/v1/x"), open_shop(router):
        pass


def test_mount_refuses_a_second_route_of_the_same_operation_id() -> None:
    router = stall(plain)
    router.get("/y", allow=ANYONE)(plain)
    with pytest.raises(TypeError, match="rename the function"), open_shop(router):
        pass


def test_a_route_declares_who_may_call_it() -> None:
    router: Any = Router(module="stall", prefix="/api/v1")
    with pytest.raises(TypeError, match="allow"):
        router.get("/x")


def test_async_dependencies_are_fine() -> None:
    def read(number: Annotated[int, Depends(sub_dependency)]) -> int:
        return number

    with open_shop(stall(read)) as shop:
        assert shop.get("/api/v1/x?number=4").json() == 4
        assert_problem(shop.get("/api/v1/x?other=4"), 400, "unknown-parameter")


def test_a_full_executor_still_shuts_down_after_its_work() -> None:
    executor = HopExecutor(1)
    executor.shutdown(wait=True)
    with pytest.raises(RuntimeError, match="shutdown"):
        executor._pool.submit(plain)
