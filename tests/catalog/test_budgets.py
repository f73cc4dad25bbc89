"""What the catalog's routes and methods cost: one request or call each, within `contracts/budgets.toml`."""

from __future__ import annotations

from typing import Any

import pytest
from tests.catalog.factories import in_a_quarter
from tests.meter import Meter

from catalog.interface import StockLine

PATH = "/api/v1/products"


@pytest.fixture
def lamp(meter: Meter) -> dict[str, Any]:
    return meter.shop.product()


class TestReading:
    def test_a_product(self, meter: Meter, lamp: dict[str, Any]) -> None:
        meter.spend("GET", f"{PATH}/{lamp['id']}")

    def test_for_somebody_signed_in_the_check_of_their_rights_travels_along(self, meter: Meter, lamp: dict[str, Any]) -> None:
        cost = meter.spend("GET", f"{PATH}/{lamp['id']}", meter.shop.admin())
        assert "kernel.require_principal" in cost.messages[0]

    @pytest.mark.parametrize("query", ["", "?sort=price&limit=2", "?q=lamp&in_stock=true"])
    def test_a_list(self, meter: Meter, query: str) -> None:
        for _ in range(3):
            meter.shop.product()
        assert len(meter.spend("GET", f"{PATH}{query}").json()["items"]) >= 2

    def test_what_runs_low(self, meter: Meter) -> None:
        for _ in range(3):
            meter.shop.product(stock=1)
        assert len(meter.spend("GET", f"{PATH}/low-stock", meter.shop.admin()).json()["items"]) == 3

    def test_movements(self, meter: Meter, lamp: dict[str, Any]) -> None:
        admin, movements = meter.shop.admin(), f"{PATH}/{lamp['id']}/stock-movements"
        body = {"quantity": 5, "reason": "restock"}
        made = meter.spend("POST", movements, admin, body, status=201, idempotency_key="k").json()
        assert len(meter.spend("GET", movements, admin).json()["items"]) == 2
        meter.spend("GET", f"{movements}/{made['id']}", admin)


class TestWriting:
    def test_a_new_product(self, meter: Meter) -> None:
        meter.spend("POST", PATH, meter.shop.admin(), {"name": "Mug", "price": "4.50", "stock": 3}, status=201)

    def test_a_changed_product(self, meter: Meter, lamp: dict[str, Any]) -> None:
        admin, path = meter.shop.admin(), f"{PATH}/{lamp['id']}"
        meter.spend("PATCH", path, admin, {"price": "9.99"}, content_type="application/merge-patch+json")
        meter.spend("PUT", path, admin, {"name": "Lamp", "price": "8.99", "status": "archived"})

    def test_a_product_that_leaves(self, meter: Meter, lamp: dict[str, Any]) -> None:
        meter.spend("DELETE", f"{PATH}/{lamp['id']}", meter.shop.admin(), status=204)


class TestMethods:
    """In the transaction of whoever calls."""

    def test_reserving_confirming_and_restocking(self, meter: Meter) -> None:
        lines = [StockLine(product_id=meter.shop.product()["id"], quantity=2) for _ in range(3)]
        meter.call("catalog", "reserve", lambda catalog: catalog.reserve(reference="a", lines=lines, until=in_a_quarter()))
        meter.call("catalog", "confirm", lambda catalog: catalog.confirm(reference="a"))
        meter.call("catalog", "restock", lambda catalog: catalog.restock(reference="back:a", lines=lines))

    def test_releasing(self, meter: Meter) -> None:
        lines = [StockLine(product_id=meter.shop.product()["id"], quantity=2) for _ in range(3)]
        meter.call("catalog", "reserve", lambda catalog: catalog.reserve(reference="b", lines=lines, until=in_a_quarter()))
        meter.call("catalog", "release", lambda catalog: catalog.release(reference="b"))
