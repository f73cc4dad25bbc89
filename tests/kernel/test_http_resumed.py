"""Resumed idempotent routes: the key commits with an attempt, and each repeat goes on with that attempt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, text
from starlette.responses import Response
from tests.kernel.http_app import Shop, assert_problem, open_shop

from kernel.database.engines import Engines
from kernel.database.unit_of_work import Database, in_transaction
from kernel.http.access import ANYONE, SIGNED_IN, Caller
from kernel.http.bodies import RawBody
from kernel.http.fields import Body, Identifier
from kernel.http.routes import Idempotency, Router
from kernel.pure.errors import Conflict
from kernel.pure.principal import Principal

KEY = {"idempotency-key": "k"}


class Broken(Conflict):
    code = "broken"


class NewJourney(Body):
    to: str


@dataclass
class Station:
    """Begins a journey as a row; how it goes on is decided at each `resume`."""

    database: Database
    begun: list[int] = field(default_factory=list)
    resumed: list[tuple[int, int]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    refuse: bool = False

    def begin(self) -> int:
        with self.database.transaction() as session:
            attempt = 100 + len(self.begun)
            session.execute(text("INSERT INTO kernel.principals (user_id, epoch) VALUES (:id, 1)"), {"id": attempt})
            self.begun.append(attempt)
            if self.refuse:
                raise Broken("No.")
            return attempt

    def resume(self, attempt: int, caller: Principal, response: Response) -> dict[str, int]:
        assert not in_transaction()
        self.resumed.append((attempt, caller.user_id))
        if self.answers and isinstance(answer := self.answers.pop(0), Exception):
            raise answer
        response.status_code = 201
        response.headers["location"] = f"/api/v1/journeys/{attempt}"
        return {"attempt": attempt}


def build_router(station: Station) -> Router:
    router = Router(module="station", prefix="/api/v1/journeys")

    @router.post("/{line}", allow=SIGNED_IN, idempotent=Idempotency.RESUMED, resume=station.resume, response=dict[str, int])
    def create_journey(line: Identifier, body: NewJourney, caller: Caller) -> int:
        return station.begin()

    @router.post("/raw/{line}", allow=ANYONE, request_body={"content": {"text/plain": {}}})
    def echo(line: Identifier, body: RawBody) -> dict[str, str]:
        return {"body": body.decode("latin-1")}

    return router


@dataclass(frozen=True)
class House:
    shop: Shop
    station: Station
    superuser: Any

    def go(self, to: str = "York", line: int = 1) -> Any:
        return self.shop.post(f"/api/v1/journeys/{line}", json={"to": to}, headers={**KEY, **self.shop.token(user_id=1)})

    def keys(self) -> int:
        with self.superuser.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM kernel.idempotency_keys")))


@pytest.fixture
def house(engines: Engines, superuser_url: URL) -> Iterator[House]:
    kernel = engines.database("kernel")
    station = Station(kernel)
    looking = create_engine(superuser_url, isolation_level="AUTOCOMMIT")
    with looking.connect() as connection:
        connection.execute(text("INSERT INTO kernel.principals VALUES (1, 1)"))
    try:
        with open_shop(build_router(station), database=kernel, threads=8) as shop:
            yield House(shop, station, looking)
    finally:
        looking.dispose()


def test_a_repeat_begins_nothing_and_resumes_the_same_attempt(house: House) -> None:
    first, again = house.go(), house.go()
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content == b'{"attempt":100}'
    assert first.headers["location"] == again.headers["location"] == "/api/v1/journeys/100"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert house.station.begun == [100]
    assert house.station.resumed == [(100, 1), (100, 1)]


def test_what_fails_after_the_commit_keeps_its_key(house: House) -> None:
    house.station.answers = [Broken("Later."), RuntimeError("lost")]
    assert_problem(house.go(), 409, "broken")
    assert house.go().status_code == 500
    assert house.go().status_code == 201
    assert (house.station.begun, house.keys()) == ([100], 1)


def test_what_is_refused_before_the_commit_keeps_none(house: House) -> None:
    house.station.refuse = True
    assert_problem(house.go(), 409, "broken")
    assert (house.station.resumed, house.keys()) == ([], 0)
    house.station.refuse = False
    assert house.go().status_code == 201


def test_another_body_or_path_under_the_same_key_is_422(house: House) -> None:
    house.go()
    assert_problem(house.go(to="Hull"), 422, "idempotency-key-reused")
    assert_problem(house.go(line=2), 422, "idempotency-key-reused")
    assert len(house.station.resumed) == 1


def test_the_key_is_required(house: House) -> None:
    answer = house.shop.post("/api/v1/journeys/1", json={"to": "York"}, headers=house.shop.token(user_id=1))
    assert_problem(answer, 400, "idempotency-key-required")


def test_many_at_once_begin_one_attempt(house: House) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(house.go().status_code)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(statuses) <= {201, 409}
    assert house.go().status_code == 201
    assert len({attempt for attempt, _ in house.station.resumed}) == 1


@pytest.mark.parametrize("body", [b"", b"\x00\xff{", b"plain"])
def test_a_raw_body_arrives_byte_for_byte(house: House, body: bytes) -> None:
    answer = house.shop.post("/api/v1/journeys/raw/1", content=body)
    assert answer.json() == {"body": body.decode("latin-1")}
    operation = house.shop.get("/openapi.json").json()["paths"]["/api/v1/journeys/raw/{line}"]["post"]
    assert operation["requestBody"] == {"content": {"text/plain": {}}}


class TestDeclarations:
    def test_resume_and_the_kind_go_together(self, engines: Engines) -> None:
        router = Router(module="station", prefix="/api/v1/journeys")

        @router.post("", allow=SIGNED_IN, idempotent=Idempotency.RESUMED, response=dict[str, int])
        def create_journey() -> int:
            return 1

        with pytest.raises(TypeError, match="go together"), open_shop(router, database=engines.database("kernel")):
            pass

    def test_the_endpoint_answers_an_id_and_the_answer_is_declared(self, engines: Engines) -> None:
        router = Router(module="station", prefix="/api/v1/journeys")

        @router.post("", allow=SIGNED_IN, idempotent=Idempotency.RESUMED, resume=lambda *_: None)
        def create_journey() -> int:
            return 1

        with pytest.raises(TypeError, match="set response="), open_shop(router, database=engines.database("kernel")):
            pass
