"""Problems: one shape for every error, our faults logged once and told to nobody."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import HTTPException
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import ClientDisconnect
from tests.kernel.http_app import Shop, assert_problem, open_shop
from tests.kernel.http_stall import build_router

from kernel.database.errors import CommitUnknown, ConnectionLost
from kernel.http.access import ANYONE
from kernel.http.problems import STATUS, problem_of, status_of
from kernel.http.routes import Router
from kernel.pure import errors


class SqlError(Exception):
    """What psycopg2 raises, as far as anyone looks at it."""

    def __init__(self, pgcode: str | None) -> None:
        super().__init__("secret table, secret row")
        self.pgcode = pgcode


def database_error(state: str | None, kind: type[DBAPIError] = OperationalError) -> DBAPIError:
    return kind("SELECT secret", {"password": "secret"}, SqlError(state))


class OwnConflict(errors.Conflict):
    code = "own-conflict"
    title = "Own conflict"


def raising(make: Callable[[], Exception]) -> Router:
    router = Router(module="stall", prefix="/api/v1")

    @router.get("/x", allow=ANYONE)
    def fail() -> int:
        raise make()

    return router


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.NotFound("No."), 404, "not-found"),
        (errors.Conflict("No."), 409, "conflict"),
        (OwnConflict("No."), 409, "own-conflict"),
        (errors.Invalid("No."), 422, "invalid"),
        (errors.Forbidden("No."), 403, "forbidden"),
        (errors.Unauthenticated("No."), 401, "unauthenticated"),
        (errors.PreconditionFailed("No."), 412, "precondition-failed"),
        (errors.TooManyRequests("No.", retry_after=7), 429, "too-many-requests"),
        (errors.Unavailable("No.", retry_after=2), 503, "unavailable"),
        (ConnectionLost(), 503, "database-unavailable"),
        (CommitUnknown(), 503, "outcome-unknown"),
        (HTTPException(418, "Short and stout."), 418, "http-418"),
        (ClientDisconnect(), 400, "bad-request"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_kind_of_error_has_its_status(error: Exception, status: int, code: str) -> None:
    with open_shop(raising(lambda: error)) as shop:
        assert_problem(shop.get("/api/v1/x"), status, code)


def test_every_kind_is_in_the_table() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DomainError)]
    assert {kind for kind in kinds if status_of(kind) is None} == {errors.DomainError}
    assert len(STATUS) == len(kinds) - 1


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (errors.TooManyRequests("No.", retry_after=7), "retry-after", "7"),
        (errors.Unavailable("No."), "retry-after", "1"),
        (errors.Unauthenticated("No."), "www-authenticate", 'Bearer realm="emporium"'),
        (HTTPException(405, headers={"Allow": "GET"}), "allow", "GET"),
    ],
)
def test_problems_carry_the_headers_that_their_status_needs(error: Exception, header: str, value: str) -> None:
    with open_shop(raising(lambda: error)) as shop:
        assert shop.get("/api/v1/x").headers[header] == value


def test_data_of_a_domain_error_becomes_members_but_never_replaces_the_standard_ones() -> None:
    with open_shop(raising(lambda: OwnConflict("No.", product_id=7, status="x", type="x", shortages=[{"a": 1}]))) as shop:
        problem = assert_problem(shop.get("/api/v1/x"), 409)
    assert (problem["product_id"], problem["shortages"], problem["status"]) == (7, [{"a": 1}], 409)


def test_an_invalid_value_found_by_the_domain_is_pointed_at() -> None:
    with open_shop(raising(lambda: errors.Invalid("Unknown product.", pointer="/items/3/product_id"))) as shop:
        problem = assert_problem(shop.get("/api/v1/x"), 422, "invalid")
    assert problem["errors"] == [{"pointer": "/items/3/product_id", "code": "invalid", "detail": "Unknown product."}]


def test_the_instance_names_the_request(shop: Shop) -> None:
    answer = shop.get("/api/v1/nowhere", headers={"x-request-id": "abc-1"})
    assert assert_problem(answer, 404)["instance"] == "urn:emporium:request:abc-1"


def test_text_of_any_kind_leaves_as_ascii() -> None:
    with open_shop(raising(lambda: OwnConflict("Größe 💣 \ud800 \x00", key="\udfff"))) as shop:
        answer = shop.get("/api/v1/x")
    assert answer.content.isascii()
    assert json.loads(answer.content)["detail"].startswith("Größe 💣")


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1/nowhere", "/%00", "/%FF", "/api/v1/wares/1/more"])
def test_an_unknown_path_is_a_problem(shop: Shop, path: str) -> None:
    assert_problem(shop.get(path), 404, "not-found")


# Faults of ours


@pytest.mark.parametrize("error", [RuntimeError("secret"), KeyError("secret"), errors.DomainError("secret"), RecursionError()])
def test_a_bug_is_a_500_without_details_logged_once(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with open_shop(raising(lambda: error)) as shop:
        answer = shop.get("/api/v1/x", headers={"x-request-id": "abc-2"})
    assert_problem(answer, 500, "internal-error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == "abc-2"
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == 1
    assert "abc-2" in records[0].getMessage()
    assert records[0].exc_info is not None


@pytest.mark.parametrize(
    "state", ["55P03", "57014", "40001", "40P01", "53300", "53200", "57P01", "57P02", "57P03", "08006", None]
)
def test_a_busy_database_is_503_and_worth_a_retry(state: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with open_shop(raising(lambda: database_error(state))) as shop:
        answer = shop.get("/api/v1/x")
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_exhausted_pool_is_503() -> None:
    with open_shop(raising(lambda: PoolTimeout("QueuePool limit"))) as shop:
        assert_problem(shop.get("/api/v1/x"), 503, "unavailable")


def test_a_principal_of_a_past_epoch_is_401() -> None:
    with open_shop(raising(lambda: database_error("28000"))) as shop:
        answer = shop.get("/api/v1/x")
    assert_problem(answer, 401, "invalid-token")
    assert "invalid_token" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("state", "kind", "told"),
    [("42501", ProgrammingError, "ownership"), ("23505", IntegrityError, "23505"), ("42P01", ProgrammingError, "42P01")],
)
def test_other_database_errors_are_ours(state: str, kind: Any, told: str, caplog: pytest.LogCaptureFixture) -> None:
    with open_shop(raising(lambda: database_error(state, kind))) as shop:
        answer = shop.get("/api/v1/x")
    assert_problem(answer, 500, "internal-error")
    assert "secret" not in answer.text
    assert len(caplog.records) == 1
    assert told in caplog.text


def test_a_problem_is_a_plain_asgi_application_too() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing to read")

    scope: dict[str, Any] = {"type": "http", "headers": []}
    coroutine = problem_of(errors.Conflict("No."), scope).response(scope)(scope, receive, send)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert sent[0]["status"] == 409
    assert json.loads(sent[1]["body"])["code"] == "conflict"
