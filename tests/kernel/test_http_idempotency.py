"""Idempotent routes on the real database: the change, its event, its key and its answer are one commit."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx
import pytest
from fastapi import Response
from sqlalchemy import URL, Engine, create_engine, text
from tests.database_fixtures import Clone
from tests.kernel.http_app import Shop, assert_problem, open_shop
from tests.wire import wire

from kernel.database.engines import Engines
from kernel.database.outbox import Outbox
from kernel.database.unit_of_work import Database
from kernel.http.access import SIGNED_IN, Caller
from kernel.http.fields import Body, Identifier, IdField, PriceField
from kernel.http.routes import Idempotency, Router
from kernel.pure.clock import SystemClock
from kernel.pure.errors import Conflict
from kernel.pure.events import Event

ANN, BOB = 1, 2
KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
INSERT = text("INSERT INTO kernel.principals (user_id, epoch) VALUES (:id, 1)")


@dataclass(frozen=True, kw_only=True)
class TicketSold(Event):
    name: ClassVar[str] = "tests.TicketSold"
    seat: int

    @property
    def aggregate(self) -> str:
        return f"seat:{self.seat}"


class SeatTaken(Conflict):
    code = "seat-taken"


class NewTicket(Body):
    price: PriceField
    note: str = "Grüße 💣"


@dataclass
class Theatre:
    """A service whose change is a row, and whose event is in the outbox."""

    database: Database
    kernel: Database
    sold: int = 0
    refuse: bool = False
    during: list[Callable[[], None]] = field(default_factory=list)

    def sell(self) -> int:
        with self.database.transaction() as outer, self.kernel.transaction() as session:
            # Another module than the kernel opens the service's own block, as in the shop.
            outer.execute(text("SELECT 1"))
            self.sold += 1
            seat = 100 + self.sold
            session.execute(INSERT, {"id": seat})
            Outbox(self.database, SystemClock()).publish(TicketSold(seat=seat))
            for act in self.during:
                act()
            if self.refuse:
                raise SeatTaken("Taken.")
            return seat


def build_router(theatre: Theatre) -> Router:
    router = Router(module="theatre", prefix="/api/v1/shows")

    @router.post("/{show_id}/tickets", allow=SIGNED_IN, idempotent=Idempotency.REQUIRED, status_code=201)
    def sell_ticket(show_id: Identifier, body: NewTicket, caller: Caller, response: Response) -> dict[str, str]:
        seat = theatre.sell()
        response.headers["location"] = f"/api/v1/tickets/{seat}"
        response.headers["etag"] = '"1"'
        response.headers["x-once"] = "not stored"
        return {"seat": str(seat), "buyer": str(caller.user_id), "note": body.note}

    @router.post("/{show_id}/wishes", allow=SIGNED_IN, idempotent=Idempotency.ACCEPTED)
    def wish_ticket(show_id: Identifier, body: NewTicket) -> int:
        return theatre.sell()

    @router.post("/{show_id}/empty", allow=SIGNED_IN, idempotent=Idempotency.REQUIRED)
    def sell_silently(show_id: Identifier, row: IdField | None = None) -> None:
        theatre.sell()

    @router.post("/{show_id}/odd", allow=SIGNED_IN, idempotent=Idempotency.REQUIRED)
    def sell_oddly(show_id: Identifier) -> Response:
        theatre.sell()
        return Response("later", 302, {"location": "/elsewhere"})

    return router


class House:
    """The shop under test, what it sells, and a look past it into the database."""

    def __init__(self, shop: Shop, theatre: Theatre, superuser: Engine) -> None:
        self.shop = shop
        self.theatre = theatre
        self.superuser = superuser

    def sell(self, *, show: int = 1, buyer: int = ANN, what: str = "tickets", **options: Any) -> httpx.Response:
        headers = {**KEY, **self.shop.token(user_id=buyer), **options.pop("headers", {})}
        body = options or {"json": {"price": "19.90"}}
        return self.shop.post(f"/api/v1/shows/{show}/{what}", headers=headers, **body)

    def count(self, what: str) -> int:
        with self.superuser.connect() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM kernel.{what}")) or 0)

    def stored(self) -> tuple[int, int, int]:
        """How many seats, events and keys there are."""
        return self.count("principals") - 2, self.count("outbox"), self.count("idempotency_keys")


@contextmanager
def open_house(engines: Engines, superuser: URL) -> Iterator[House]:
    kernel = engines.database("kernel")
    theatre = Theatre(engines.database("ordering"), kernel)
    looking = create_engine(superuser, isolation_level="AUTOCOMMIT")
    with looking.connect() as connection:
        connection.execute(text("INSERT INTO kernel.principals VALUES (1, 1), (2, 1)"))
    try:
        with open_shop(build_router(theatre), database=kernel, threads=8) as shop:
            yield House(shop, theatre, looking)
    finally:
        looking.dispose()


@pytest.fixture
def house(engines: Engines, superuser_url: URL) -> Iterator[House]:
    with open_house(engines, superuser_url) as house:
        yield house


class TestReplay:
    def test_a_repeat_gets_the_same_answer_and_changes_nothing(self, house: House) -> None:
        first, second = house.sell(), house.sell()
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.content == second.content
        for name in ("location", "etag", "content-type", "content-length"):
            assert first.headers[name] == second.headers[name]
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        assert "x-once" not in second.headers
        assert house.stored() == (1, 1, 1)

    def test_an_answer_without_a_body_is_replayed_too(self, house: House) -> None:
        house.sell(what="empty", content=b"")
        again = house.sell(what="empty", content=b"")
        assert (again.status_code, again.content) == (204, b"")
        assert again.headers["idempotency-replayed"] == "true"

    @pytest.mark.parametrize("body", [b'{"note":"x","price":19.9}', b' {"price": "19.90", "note": "\\u0078"} '])
    def test_the_same_body_in_another_spelling_is_the_same(self, house: House, body: bytes) -> None:
        house.sell(json={"price": "19.90", "note": "x"})
        again = house.sell(content=body, headers={"content-type": "application/json"})
        assert again.headers["idempotency-replayed"] == "true"

    def test_a_key_is_its_callers_and_its_operations_own(self, house: House) -> None:
        seats = {house.sell(buyer=buyer, what=what).text for buyer in (ANN, BOB) for what in ("tickets", "wishes")}
        assert len(seats) == 4
        assert house.stored() == (4, 4, 4)

    def test_a_caller_whose_rights_changed_gets_no_replay(self, house: House) -> None:
        house.sell()
        with house.superuser.connect() as connection:
            connection.execute(text("UPDATE kernel.principals SET epoch = 2 WHERE user_id = 1"))
        assert_problem(house.sell(), 401, "invalid-token")


class TestRefusal:
    def test_another_body_under_the_same_key_is_422(self, house: House) -> None:
        house.sell()
        assert_problem(house.sell(json={"price": "19.91"}), 422, "idempotency-key-reused")
        assert house.stored() == (1, 1, 1)

    def test_another_path_under_the_same_key_is_422(self, house: House) -> None:
        house.sell(show=1)
        assert_problem(house.sell(show=2), 422, "idempotency-key-reused")

    def test_a_missing_key_is_400_before_the_body_is_looked_at(self, house: House) -> None:
        answer = house.shop.post("/api/v1/shows/1/tickets", content=b"{", headers=house.shop.token())
        assert_problem(answer, 400, "idempotency-key-required")

    @pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb", "a\x7f"])
    @pytest.mark.parametrize("what", ["tickets", "wishes"])
    def test_a_key_is_1_to_255_visible_ascii_characters(self, house: House, what: str, key: str) -> None:
        headers = [(b"idempotency-key", key.encode()), *((k.encode(), v.encode()) for k, v in house.shop.token().items())]
        answer = house.shop.post(f"/api/v1/shows/1/{what}", json={"price": "1"}, headers=headers)
        assert_problem(answer, 400, "idempotency-key-invalid")

    def test_of_two_keys_none_is_chosen(self, house: House) -> None:
        headers = [("idempotency-key", "a"), ("idempotency-key", "b"), *house.shop.token().items()]
        answer = house.shop.post("/api/v1/shows/1/tickets", json={"price": "1"}, headers=headers)
        assert_problem(answer, 400, "idempotency-key-invalid")

    @pytest.mark.parametrize("key", ["!", "~" * 255, '"quoted"', "';DROP/**/TABLE/**/x;--", "%s%(a)s:b"])
    def test_any_visible_ascii_is_a_key(self, house: House, key: str) -> None:
        assert house.sell(headers={"idempotency-key": key}).status_code == 201
        assert house.sell(headers={"idempotency-key": key}).headers["idempotency-replayed"] == "true"

    def test_where_a_key_is_only_accepted_it_may_be_left_out(self, house: House) -> None:
        answers = [
            house.shop.post("/api/v1/shows/1/wishes", json={"price": "1"}, headers=house.shop.token()).json() for _ in range(2)
        ]
        assert answers[0] != answers[1]
        assert house.stored() == (2, 2, 0)

    def test_a_refused_request_stores_nothing_and_may_be_repeated(self, house: House) -> None:
        house.theatre.refuse = True
        assert_problem(house.sell(), 409, "seat-taken")
        assert house.stored() == (0, 0, 0)
        house.theatre.refuse = False
        assert house.sell().status_code == 201
        assert house.stored() == (1, 1, 1)

    def test_only_success_is_stored(self, house: House) -> None:
        assert house.sell(what="odd", content=b"").status_code == 302
        assert house.sell(what="odd", content=b"").status_code == 302
        assert house.stored() == (2, 2, 0)


class TestRace:
    def test_a_twin_in_flight_is_409_and_holds_no_thread(self, house: House) -> None:
        selling, seen = threading.Event(), threading.Event()

        def wait() -> None:
            selling.set()
            assert seen.wait(10)

        house.theatre.during.append(wait)
        first: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: first.append(house.sell()))
        thread.start()
        assert selling.wait(10)
        twin = house.sell()
        seen.set()
        thread.join()
        assert_problem(twin, 409, "idempotency-key-in-use")
        assert twin.headers["retry-after"] == "1"
        assert first[0].status_code == 201
        assert house.sell().content == first[0].content

    def test_of_24_racers_with_one_key_one_sells(self, house: House) -> None:
        headers = {**KEY, **house.shop.token()}

        async def race() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=house.shop.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                sends = (client.post("/api/v1/shows/1/tickets", json={"price": "1"}, headers=headers) for _ in range(24))
                return await asyncio.gather(*sends)

        answers = asyncio.run(race())
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        assert house.stored() == (1, 1, 1)

    @pytest.mark.parametrize("refuse", [False, True], ids=["would_sell_again", "would_be_refused_after_it"])
    def test_a_twin_that_commits_between_look_up_and_lock_is_found_by_a_second_run(self, house: House, refuse: bool) -> None:
        def overtake() -> None:
            house.theatre.during.clear()
            house.theatre.refuse = refuse
            # Stands for a twin: its commit came after the snapshot of our look-up, its lock was free before ours.
            with house.superuser.connect() as connection:
                connection.execute(
                    text(
                        "INSERT INTO kernel.idempotency_keys (owner_id, operation, key, fingerprint, status, headers, body)"
                        " VALUES (1, 'theatre_sell_ticket', :key, :fingerprint, 201, '{}', 'the twin''s answer')"
                    ),
                    {"key": KEY["idempotency-key"], "fingerprint": fingerprint},
                )

        house.sell()
        with house.superuser.connect() as connection:
            fingerprint = connection.scalar(text("SELECT fingerprint FROM kernel.idempotency_keys"))
            connection.execute(text("DELETE FROM kernel.idempotency_keys"))
        before = house.stored()
        house.theatre.during.append(overtake)
        answer = house.sell()
        assert answer.text == "the twin's answer"
        assert answer.headers["idempotency-replayed"] == "true"
        assert house.stored() == (before[0], before[1], 1)


class TestRoundTrips:
    def test_a_sale_adds_two_and_a_replay_costs_three(self, database: Clone) -> None:
        with wire(database.application) as line:
            engines = Engines(line.url, threads=1, roles=database.roles)
            try:
                with open_house(engines, database.superuser) as house:
                    house.sell(headers={"idempotency-key": "warm"})
                    line.messages.clear()
                    house.sell()
                    sale = list(line.messages)
                    line.messages.clear()
                    house.sell()
                    replay = list(line.messages)
            finally:
                engines.close()
        assert [_gist(message) for message in sale] == ["BEGIN", "claim", "SELECT 1", "INSERT principals", "store", "COMMIT"]
        assert [_gist(message) for message in replay] == ["BEGIN", "claim", "COMMIT"]
        assert "require_principal(1, 1)" in sale[1]
        assert "require_principal(1, 1)" in replay[1]
        assert sum(message.count("require_principal") for message in sale) == 1
        assert '"tests.TicketSold"' in sale[4]

    def test_a_commit_whose_answer_is_lost_is_settled_by_a_repeat(self, database: Clone) -> None:
        with wire(database.application) as line:
            engines = Engines(line.url, threads=1, roles=database.roles)
            try:
                with open_house(engines, database.superuser) as house:
                    house.sell(headers={"idempotency-key": "warm"})
                    line.cut("^COMMIT", after_forwarding=True)
                    answer = house.sell()
                    assert_problem(answer, 503, "outcome-unknown")
                    assert answer.headers["retry-after"] == "1"
                    again = house.sell()
                    assert again.status_code == 201
                    assert again.headers["idempotency-replayed"] == "true"
                    assert house.stored() == (2, 2, 2)
            finally:
                engines.close()


def _gist(message: str) -> str:
    marks = {"pg_try_advisory_xact_lock": "claim", "INTO kernel.idempotency_keys": "store", "SELECT 1": "SELECT 1"}
    marks |= {"INTO kernel.principals": "INSERT principals", "BEGIN ISOLATION": "BEGIN"}
    return next((gist for mark, gist in marks.items() if mark in message), message)


def test_the_key_is_documented(house: House) -> None:
    paths = json.loads(house.shop.get("/openapi.json").content)["paths"]
    for what, required in (("tickets", True), ("wishes", False)):
        operation = paths[f"/api/v1/shows/{{show_id}}/{what}"]["post"]
        key = next(parameter for parameter in operation["parameters"] if parameter["name"] == "Idempotency-Key")
        assert (key["in"], key["required"]) == ("header", required)
        assert "409" in operation["responses"]
