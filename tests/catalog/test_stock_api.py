"""Stock over HTTP: movements by hand, their ledger, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from tests.catalog.factories import hold
from tests.catalog.http import PATH, Api, pointers, problem
from tests.shop_fixtures import Shop

from catalog.interface import StockLine
from catalog.service import DatabaseCatalogService


class TestMove:
    @pytest.mark.parametrize(("quantity", "reason"), [(5, "restock"), (1, "return"), (3, "correction"), (-3, "correction")])
    def test_changes_the_stock_and_is_written_down(self, admin: Api, quantity: int, reason: str) -> None:
        lamp = admin.created(stock=10)
        answer = admin.move(lamp, quantity, reason)
        assert answer.status_code == 201
        movement = answer.json()
        assert (movement["product_id"], movement["quantity"], movement["reason"]) == (lamp["id"], quantity, reason)
        assert answer.headers["location"] == f"{PATH}/{lamp['id']}/stock-movements/{movement['id']}"
        assert admin.shop.http.get(answer.headers["location"], headers=admin.shop.headers(admin.caller)).json() == movement
        assert admin.read(lamp).json()["stock"] == 10 + quantity

    def test_the_last_units_can_break(self, admin: Api) -> None:
        lamp = admin.created(stock=2)
        assert admin.move(lamp, -2, "damage").status_code == 201
        assert admin.read(lamp).json()["stock"] == 0

    def test_the_version_of_the_product_stays(self, admin: Api) -> None:
        lamp = admin.created()
        admin.move(lamp, 1, "restock")
        read = admin.read(lamp).json()
        assert (read["version"], read["updated_at"]) == (1, lamp["updated_at"])

    def test_more_than_there_is_is_a_conflict_that_says_what_there_is(self, admin: Api) -> None:
        lamp = admin.created(stock=2)
        members = problem(admin.move(lamp, -3, "damage"), 409, "out-of-stock")
        assert members["shortages"] == [{"product_id": lamp["id"], "requested": 3, "available": 2}]
        assert admin.read(lamp).json()["stock"] == 2

    def test_what_is_reserved_cannot_be_taken(self, admin: Api, catalog: DatabaseCatalogService) -> None:
        lamp = admin.created(stock=5)
        hold(catalog, "order:1", lamp, 3)
        members = problem(admin.move(lamp, -3, "damage"), 409, "out-of-stock")
        assert members["shortages"] == [{"product_id": lamp["id"], "requested": 3, "available": 2}]
        assert admin.move(lamp, -2, "damage").status_code == 201
        read = admin.read(lamp).json()
        assert (read["stock"], read["on_hand"], read["reserved"]) == (0, 3, 3)

    def test_more_than_a_product_can_hold_is_a_conflict(self, admin: Api, shop: Shop) -> None:
        lamp = admin.created(stock=1)
        shop.query("UPDATE catalog.stock SET quantity = 1000000000 RETURNING 1")
        problem(admin.move(lamp, 1, "restock"), 409, "stock-limit")

    @pytest.mark.parametrize(
        ("quantity", "reason"), [(-1, "restock"), (-1, "return"), (1, "damage"), (0, "correction"), (0, "damage")]
    )
    def test_the_sign_fits_the_reason(self, admin: Api, quantity: int, reason: str) -> None:
        lamp = admin.created(stock=10)
        assert pointers(admin.move(lamp, quantity, reason)) == ["/quantity"]
        assert admin.read(lamp).json()["stock"] == 10

    @pytest.mark.parametrize("quantity", [1_000_001, -1_000_001, 2**31, 2**63, 1.5, "1", None, True])
    def test_a_quantity_is_a_number_up_to_a_million(self, admin: Api, quantity: Any) -> None:
        assert pointers(admin.move(admin.created(), quantity, "correction")) == ["/quantity"]

    @pytest.mark.parametrize("reason", ["sale", "release", "initial", "count", "", None, 1])
    def test_reasons_of_the_shop_itself_cannot_be_given(self, admin: Api, reason: Any) -> None:
        assert pointers(admin.move(admin.created(), 1, reason)) == ["/reason"]

    def test_an_unknown_product_is_not_found(self, admin: Api) -> None:
        problem(admin.move({"id": 999_999_999}, 1, "restock"), 404, "product-not-found")

    def test_hidden_products_can_be_stocked(self, admin: Api) -> None:
        lamp = admin.created(status="draft")
        assert admin.move(lamp, 1, "restock").status_code == 201


class TestKeys:
    def test_a_movement_needs_an_idempotency_key(self, admin: Api) -> None:
        lamp = admin.created()
        answer = admin.send("POST", f"/{lamp['id']}/stock-movements", json={"quantity": 1, "reason": "restock"})
        problem(answer, 400, "idempotency-key-required")

    def test_a_repeat_moves_once(self, admin: Api) -> None:
        lamp = admin.created(stock=0)
        first, second = (admin.move(lamp, 5, "restock", key="delivery-1") for _ in range(2))
        assert second.json() == first.json()
        assert admin.read(lamp).json()["stock"] == 5

    def test_another_body_with_the_same_key_is_refused(self, admin: Api) -> None:
        lamp = admin.created(stock=0)
        admin.move(lamp, 5, "restock", key="delivery-1")
        problem(admin.move(lamp, 6, "restock", key="delivery-1"), 422, "idempotency-key-reused")

    def test_another_product_with_the_same_key_is_refused(self, admin: Api) -> None:
        admin.move(admin.created(), 5, "restock", key="delivery-1")
        problem(admin.move(admin.created(), 5, "restock", key="delivery-1"), 422, "idempotency-key-reused")

    def test_a_refused_movement_can_be_sent_again_with_its_key(self, admin: Api) -> None:
        lamp = admin.created(stock=0)
        problem(admin.move(lamp, -1, "damage", key="k"), 409)
        admin.move(lamp, 1, "restock")
        assert admin.move(lamp, -1, "damage", key="k").status_code == 201


class TestLedger:
    def test_shows_the_newest_first_page_by_page(self, admin: Api) -> None:
        lamp = admin.created(stock=1)
        for n in range(2, 8):
            admin.move(lamp, n, "restock")
        first = admin.send("GET", f"/{lamp['id']}/stock-movements", params={"limit": 4})
        page = first.json()
        assert [item["quantity"] for item in page["items"]] == [7, 6, 5, 4]
        rest = admin.send("GET", f"/{lamp['id']}/stock-movements", params={"limit": 4, "cursor": page["next_cursor"]}).json()
        assert [item["quantity"] for item in rest["items"]] == [3, 2, 1]
        assert rest["next_cursor"] is None

    def test_shows_what_was_sold_and_what_came_back(self, admin: Api, catalog: DatabaseCatalogService) -> None:
        lamp = admin.created(stock=5)
        hold(catalog, "order:1", lamp, 2)
        catalog.confirm(reference="order:1")
        catalog.restock(reference="refund:1", lines=[StockLine(product_id=lamp["id"], quantity=1)])
        assert [(item["reason"], item["quantity"], item["reference"]) for item in admin.movements(lamp)] == [
            ("return", 1, "refund:1"),
            ("sale", -2, "order:1"),
            ("initial", 5, f"product:{lamp['id']}"),
        ]

    def test_an_order_that_is_not_paid_moves_nothing(self, admin: Api, catalog: DatabaseCatalogService) -> None:
        lamp = admin.created(stock=5)
        hold(catalog, "order:1", lamp, 2)
        read = admin.read(lamp).json()
        assert (read["stock"], read["on_hand"], read["reserved"]) == (3, 5, 2)
        catalog.release(reference="order:1")
        assert admin.read(lamp).json() == lamp
        assert [item["reason"] for item in admin.movements(lamp)] == ["initial"]

    def test_shows_one_product_only(self, admin: Api) -> None:
        lamp, mug = admin.created(stock=1), admin.created(stock=2)
        [movement] = admin.movements(mug)
        problem(admin.send("GET", f"/{lamp['id']}/stock-movements/{movement['id']}"), 404, "stock-movement-not-found")

    def test_of_an_unknown_product_is_not_found(self, admin: Api) -> None:
        problem(admin.send("GET", "/999999999/stock-movements"), 404, "product-not-found")

    def test_of_a_product_that_never_moved_is_empty(self, admin: Api) -> None:
        assert admin.movements(admin.created(stock=0)) == []

    @pytest.mark.parametrize("id_", ["999999999", "0", "-1", "x", "9223372036854775808"])
    def test_an_unknown_movement_is_not_found(self, admin: Api, id_: str) -> None:
        lamp = admin.created()
        problem(admin.send("GET", f"/{lamp['id']}/stock-movements/{id_}"), 404)


class TestStocked:
    """Who runs the shop sees on hand and reserved; the public sees what can be sold."""

    def test_admins_see_on_hand_and_reserved_wherever_they_see_products(
        self, admin: Api, catalog: DatabaseCatalogService
    ) -> None:
        lamp = admin.created(stock=5)
        assert (lamp["stock"], lamp["on_hand"], lamp["reserved"]) == (5, 5, 0)
        hold(catalog, "order:1", lamp, 3)
        replaced = admin.put(lamp, {"name": "Lamp", "price": "1"}).json()
        for seen in (admin.read(lamp).json(), admin.page()["items"][0], replaced, admin.patch(lamp, {"price": "2"}).json()):
            assert (seen["stock"], seen["on_hand"], seen["reserved"]) == (2, 5, 3)

    def test_nobody_else_does(self, admin: Api, public: Api, person: Api, catalog: DatabaseCatalogService) -> None:
        lamp = admin.created(stock=5)
        hold(catalog, "order:1", lamp, 3)
        for caller in (public, person):
            for seen in (caller.read(lamp).json(), caller.page()["items"][0]):
                assert seen["stock"] == 2
                assert not {"on_hand", "reserved"} & set(seen)

    def test_every_step_of_a_reservation_is_a_new_copy(self, admin: Api, public: Api, catalog: DatabaseCatalogService) -> None:
        lamp = admin.created(stock=5)
        tags = [admin.read(lamp).headers["etag"]]
        for reference, end in (("order:1", catalog.confirm), ("order:2", catalog.release)):
            hold(catalog, reference, lamp, 1)
            tags.append(admin.read(lamp).headers["etag"])
            end(reference=reference)
            tags.append(admin.read(lamp).headers["etag"])
        catalog.count_units_sold(lines=[StockLine(product_id=lamp["id"], quantity=1)])
        tags += [admin.read(lamp).headers["etag"], public.read(lamp).headers["etag"]]
        assert len(set(tags)) == len(tags) == 7

    def test_in_stock_means_that_it_can_be_sold(self, admin: Api, public: Api, catalog: DatabaseCatalogService) -> None:
        lamp, mug = admin.created(name="Lamp", stock=2), admin.created(name="Mug", stock=2)
        hold(catalog, "order:1", lamp, 2)
        hold(catalog, "order:2", mug, 1)
        assert (public.names(in_stock=True), public.names(in_stock=False)) == (["Mug"], ["Lamp"])
        catalog.release(reference="order:1")
        assert public.names(in_stock=False) == []


class TestLowStock:
    def test_lists_published_products_of_which_few_can_be_sold(self, admin: Api, catalog: DatabaseCatalogService) -> None:
        for name, stock in (("None", 0), ("Five", 5), ("Six", 6)):
            admin.created(name=name, stock=stock)
        admin.created(name="Draft", stock=0, status="draft")
        hold(catalog, "order:1", admin.created(name="Held", stock=9), 4)
        page = admin.send("GET", "/low-stock").json()
        assert [(item["name"], item["stock"], item["on_hand"]) for item in page["items"]] == [
            ("Held", 5, 9),
            ("Five", 5, 5),
            ("None", 0, 0),
        ]

    def test_goes_on_page_by_page(self, admin: Api) -> None:
        names = [admin.created(name=f"Lamp {n}", stock=n)["name"] for n in range(5)]
        found, cursor = [], None
        for _ in range(3):
            query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
            page = admin.send("GET", "/low-stock", params=query).json()
            found += [item["name"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert (found, cursor) == (names[::-1], None)


class TestBestSelling:
    def test_the_most_sold_come_first_then_the_newest(self, admin: Api, public: Api, catalog: DatabaseCatalogService) -> None:
        lamp, mug, rug, bed = (admin.created(name=name) for name in ("Lamp", "Mug", "Rug", "Bed"))
        sold = [(lamp, 3), (mug, 5), (lamp, 4), (bed, 5)]
        catalog.count_units_sold(lines=[StockLine(product_id=product["id"], quantity=n) for product, n in sold])
        assert [(item["name"], item["units_sold"]) for item in public.page(sort="best-selling")["items"]] == [
            ("Lamp", 7),
            ("Bed", 5),
            ("Mug", 5),
            ("Rug", 0),
        ]
        assert public.read(rug).json()["units_sold"] == 0

    def test_pages_have_no_gap(self, admin: Api, public: Api, catalog: DatabaseCatalogService) -> None:
        names = [admin.created(name=f"Lamp {n}")["name"] for n in range(7)]
        page = public.page(sort="best-selling", limit=3)
        found = [item["name"] for item in page["items"]]
        while page["next_cursor"]:
            page = public.page(sort="best-selling", limit=3, cursor=page["next_cursor"])
            found += [item["name"] for item in page["items"]]
        assert found == names[::-1]
