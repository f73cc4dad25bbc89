"""The OpenAPI document of the whole shop: every operation with examples that are true, and the problems to expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import Query
from tests.flows._openapi import complaints
from tests.kernel.http_app import open_shop
from tests.shop_fixtures import Shop

from kernel.http.access import ANYONE, SIGNED_IN
from kernel.http.documents import Described
from kernel.http.fields import Body, Identifier, PriceField, ShortText
from kernel.http.hop_route import HopRoute
from kernel.http.pages import PageQuery
from kernel.http.routes import Router
from ordering.router import MESSAGE_BODY
from ordering.service.webhooks import read_message


def test_nothing_is_left_out_of_the_shops_document(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()
    assert len(document["paths"]) >= 25
    found = complaints(document, shop.app.routes)
    assert not found, "\n".join(found)


def test_every_operation_of_the_document_is_checked_against_its_route(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()
    named = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    routes = {route.declared.operation_id for route in shop.app.routes if isinstance(route, HopRoute)}
    assert named - routes == {"health_is_alive", "health_is_ready"}


def test_the_message_of_a_payment_provider_is_one_that_is_taken(shop: Shop) -> None:
    example = MESSAGE_BODY["content"]["application/json"]["example"]
    raw = shop.http.build_request("POST", "/", json=example).read()
    assert read_message(raw) == (example["id"], example["key"])


def test_names_of_schemas_are_fit_for_classes(shop: Shop) -> None:
    schemas = shop.http.get("/openapi.json").json()["components"]["schemas"]
    assert {"ProductPage", "OrderPage", "UserPage", "StockMovementPage"} <= schemas.keys()
    assert not [name for name in schemas if not name.isalnum()]


@dataclass(frozen=True, kw_only=True)
class Ware:
    id: int
    price: str


class TestWhatIsMissingIsNoticed:
    """Each mistake on purpose, one at a time."""

    def complaints_of(self, router: Router) -> list[str]:
        with open_shop(router) as stall:
            return complaints(stall.get("/openapi.json").json(), stall.app.routes)

    def router(self, body: Any = None, answer: Any = None) -> Router:
        router = Router(module="stall", prefix="/api/v1/wares")

        def create_ware(body: Any) -> Any: ...

        kinds = {"body": body or Good, "return": answer or Annotated[Ware, Described(example={"id": 1, "price": "2.00"})]}
        create_ware.__annotations__ = kinds
        router.post("", allow=SIGNED_IN)(create_ware)
        return router

    def test_and_what_is_whole_is_left_alone(self) -> None:
        assert self.complaints_of(self.router()) == []

    def test_a_body_without_an_example(self) -> None:
        [found] = self.complaints_of(self.router(body=Bare))
        assert found.startswith("POST /api/v1/wares (stall_create_ware): its request body has no example")

    def test_a_body_whose_example_its_schema_refuses(self) -> None:
        found = self.complaints_of(self.router(body=Wrong))
        assert any("does not fit its schema" in each for each in found)

    def test_a_body_whose_example_only_its_model_refuses(self) -> None:
        [found] = self.complaints_of(self.router(body=Subtle))
        assert "its own model refuses" in found
        assert "control characters" in found

    def test_an_answer_without_an_example(self) -> None:
        [found] = self.complaints_of(self.router(answer=Ware))
        assert "its answer of 200 has no example" in found

    def test_an_answer_with_an_example_that_is_never_answered(self) -> None:
        found = self.complaints_of(self.router(answer=Annotated[Ware, Described(example={"id": 1})]))
        assert any("could never be the example" in each for each in found)

    def test_a_parameter_without_a_description(self) -> None:
        router = Router(module="stall", prefix="/api/v1/wares")

        @router.get("/{name}", allow=ANYONE)
        def read_ware(name: str, query: Annotated[PageQuery, Query()]) -> None: ...

        assert self.complaints_of(router) == [
            "GET /api/v1/wares/{name} (stall_read_ware): its path parameter name has no description."
        ]

    def test_a_change_without_a_problem(self) -> None:
        router = Router(module="stall", prefix="/api/v1/wares")

        @router.delete("", allow=ANYONE)
        def delete_wares() -> None: ...

        [found] = self.complaints_of(router)
        assert "names no problem" in found

    def test_an_id_in_a_path_describes_itself(self) -> None:
        router = Router(module="stall", prefix="/api/v1/wares")

        @router.delete("/{ware_id}", allow=ANYONE)
        def delete_ware(ware_id: Identifier) -> None: ...

        assert self.complaints_of(router) == []


class Good(Body):
    name: ShortText
    price: PriceField

    example: ClassVar = {"name": "Apple", "price": "0.30"}


class Bare(Body):
    name: ShortText


class Wrong(Body):
    name: ShortText

    example: ClassVar = {"nam": "Apple"}


class Subtle(Body):
    name: ShortText

    example: ClassVar = {"name": "App\x00le"}
