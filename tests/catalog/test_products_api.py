"""Products over HTTP: who sees them, how they are created, changed and removed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.catalog.factories import hold
from tests.catalog.http import PATH, Api, pointers, problem
from tests.shop_fixtures import Shop

from catalog.service import DatabaseCatalogService

HIDDEN = ["draft", "archived"]
FIELDS = {
    *("id", "sku", "name", "description", "price", "currency", "stock", "units_sold", "status", "version"),
    *("created_at", "updated_at"),
}


class TestRead:
    def test_the_public_reads_a_published_product(self, admin: Api, public: Api) -> None:
        lamp = admin.created(name="Lamp", price="19.90", description="Brass.", stock=3)
        answer = public.read(lamp)
        assert answer.status_code == 200
        read = answer.json()
        assert set(read) == FIELDS
        assert (read["name"], read["price"], read["description"], read["stock"]) == ("Lamp", "19.90", "Brass.", 3)
        assert (read["currency"], read["status"], read["version"]) == ("GBP", "published", 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", read["created_at"])

    @pytest.mark.parametrize("status", HIDDEN)
    def test_neither_the_public_nor_a_person_reads_what_is_not_published(
        self, admin: Api, public: Api, person: Api, status: str
    ) -> None:
        lamp = admin.created(status=status)
        for caller in (public, person):
            assert problem(caller.read(lamp), 404, "product-not-found")["product_id"] == lamp["id"]

    @pytest.mark.parametrize("status", HIDDEN)
    def test_the_admin_reads_every_status(self, admin: Api, status: str) -> None:
        assert admin.read(admin.created(status=status)).json()["status"] == status

    @pytest.mark.parametrize("id_", ["999999999", "0", "-1", "1.5", "x", "9223372036854775807", "9223372036854775808", "%00"])
    def test_an_id_that_is_none_is_not_found(self, public: Api, id_: str) -> None:
        problem(public.send("GET", f"/{id_}"), 404)

    def test_a_trailing_slash_changes_nothing(self, admin: Api, public: Api) -> None:
        lamp = admin.created()
        assert public.send("GET", f"/{lamp['id']}/").json() == public.read(lamp).json()
        assert admin.send("GET", f"/{lamp['id']}/").json() == lamp

    def test_a_product_without_a_description_says_null(self, admin: Api) -> None:
        assert admin.created()["description"] is None


class TestCreate:
    def test_answers_the_product_its_address_and_its_tag(self, admin: Api) -> None:
        answer = admin.create(name="Lamp", price="5", sku="LAMP-01", description="Two\nlines", stock=7, status="draft")
        assert answer.status_code == 201
        lamp = answer.json()
        assert answer.headers["location"] == f"{PATH}/{lamp['id']}"
        assert answer.headers["etag"] == '"1.1.stocked"'
        assert (lamp["sku"], lamp["price"], lamp["stock"], lamp["status"]) == ("LAMP-01", "5.00", 7, "draft")
        assert admin.read(lamp).json() == lamp

    def test_needs_a_name_and_a_price_and_nothing_else(self, admin: Api) -> None:
        lamp = admin.send("POST", json={"name": "Lamp", "price": "1"}).json()
        assert re.fullmatch(r"P-[0-9A-Z]{8}", lamp["sku"])
        assert (lamp["status"], lamp["stock"]) == ("published", 0)

    def test_generated_skus_differ(self, admin: Api) -> None:
        assert len({admin.created()["sku"] for _ in range(20)}) == 20

    @pytest.mark.parametrize(
        ("given", "shown"), [("0", "0.00"), ("0.1", "0.10"), ("99999999.99", "99999999.99"), (12, "12.00")]
    )
    def test_prices_have_two_decimals(self, admin: Api, given: object, shown: str) -> None:
        assert admin.created(price=given)["price"] == shown

    def test_the_first_stock_is_the_first_movement(self, admin: Api) -> None:
        lamp = admin.created(stock=7)
        [movement] = admin.movements(lamp)
        assert (movement["quantity"], movement["reason"]) == (7, "initial")

    def test_no_stock_is_no_movement(self, admin: Api) -> None:
        assert admin.movements(admin.created()) == []

    def test_a_taken_sku_is_a_conflict(self, admin: Api) -> None:
        admin.created(sku="LAMP-01")
        assert problem(admin.create(sku="LAMP-01"), 409, "sku-taken")["sku"] == "LAMP-01"

    def test_skus_that_differ_in_case_are_two(self, admin: Api) -> None:
        admin.created(sku="lamp-01")
        admin.created(sku="LAMP-01")

    def test_nothing_of_a_conflict_is_stored(self, admin: Api) -> None:
        admin.created(sku="LAMP-01", name="First")
        admin.create(sku="LAMP-01", name="Second", stock=5)
        assert admin.names() == ["First"]

    def test_a_repeat_with_the_same_key_is_the_same_product(self, admin: Api) -> None:
        body, headers = {"name": "Lamp", "price": "1"}, {"idempotency-key": "k"}
        first = admin.send("POST", json=body, headers=headers)
        second = admin.send("POST", json=body, headers=headers)
        assert second.json() == first.json()
        assert second.headers["location"] == first.headers["location"]
        assert second.headers["idempotency-replayed"] == "true"
        assert len(admin.names()) == 1


class TestReplace:
    def test_sets_what_is_named_and_removes_the_description_that_is_not(self, admin: Api) -> None:
        lamp = admin.created(sku="LAMP-01", description="Old", status="draft", stock=4)
        changed = admin.put(lamp, {"name": "New lamp", "price": "7.5"}).json()
        assert (changed["name"], changed["price"], changed["description"]) == ("New lamp", "7.50", None)
        assert (changed["sku"], changed["status"], changed["stock"], changed["version"]) == ("LAMP-01", "draft", 4, 2)

    def test_sets_everything(self, admin: Api) -> None:
        lamp = admin.created()
        body = {"name": "New", "price": "1.00", "sku": "NEW-1", "description": "d", "status": "archived"}
        changed = admin.put(lamp, body).json()
        assert {name: changed[name] for name in body} == body

    @pytest.mark.parametrize("missing", ["name", "price"])
    def test_needs_name_and_price(self, admin: Api, missing: str) -> None:
        lamp = admin.created()
        body = {"name": "New", "price": "1.00"}
        del body[missing]
        assert pointers(admin.put(lamp, body)) == [f"/{missing}"]


class TestPatch:
    def test_changes_what_is_named(self, admin: Api) -> None:
        lamp = admin.created(description="Brass.", sku="LAMP-01")
        changed = admin.patch(lamp, {"price": "20.00"}).json()
        assert (changed["price"], changed["version"]) == ("20.00", 2)
        unchanged = FIELDS - {"price", "version", "updated_at"}
        assert {name: changed[name] for name in unchanged} == {name: lamp[name] for name in unchanged}
        assert changed["updated_at"] > lamp["updated_at"]

    def test_null_removes_the_description(self, admin: Api) -> None:
        lamp = admin.created(description="Brass.")
        assert admin.patch(lamp, {"description": None}).json()["description"] is None

    @pytest.mark.parametrize("member", ["name", "price", "sku", "status"])
    def test_null_removes_nothing_else(self, admin: Api, member: str) -> None:
        lamp = admin.created()
        assert pointers(admin.patch(lamp, {member: None})) == [f"/{member}"]
        assert admin.read(lamp).json() == lamp

    def test_what_changes_nothing_keeps_the_version(self, admin: Api) -> None:
        lamp = admin.created(price="5.00", description="d")
        for patch in ({}, {"price": "5"}, {"name": lamp["name"], "description": "d", "status": "published"}):
            answer = admin.patch(lamp, patch)
            assert answer.json() == lamp
            assert answer.headers["etag"] == '"1.1.stocked"'

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_stock_is_set_on_creation_only(self, admin: Api, method: str) -> None:
        lamp = admin.created(stock=5)
        answer = admin.send(method, f"/{lamp['id']}", json={"name": "Lamp", "price": "1", "stock": 6})
        assert pointers(answer) == ["/stock"]
        assert admin.read(lamp).json() == lamp

    @pytest.mark.parametrize("member", ["id", "version", "currency", "created_at", "colour"])
    def test_members_that_are_not_ones_to_change_are_refused(self, admin: Api, member: str) -> None:
        lamp = admin.created()
        assert pointers(admin.patch(lamp, {member: "1"})) == [f"/{member}"]

    def test_a_taken_sku_is_a_conflict(self, admin: Api) -> None:
        admin.created(sku="LAMP-01")
        other = admin.created(sku="LAMP-02")
        problem(admin.patch(other, {"sku": "LAMP-01"}), 409, "sku-taken")

    def test_a_new_price_shows_in_the_next_answer(self, admin: Api, public: Api) -> None:
        lamp = admin.created(price="1.00")
        admin.patch(lamp, {"price": "2.00"})
        assert public.read(lamp).json()["price"] == "2.00"

    def test_archiving_hides_from_the_public_and_announces_it_once(self, admin: Api, public: Api, shop: Shop) -> None:
        lamp = admin.created()
        admin.patch(lamp, {"status": "archived"})
        admin.patch(lamp, {"status": "archived", "name": "Old lamp"})
        problem(public.read(lamp), 404)
        assert shop.query("SELECT name, payload->>'sku' FROM kernel.outbox") == [("catalog.ProductArchived", lamp["sku"])]

    def test_an_archived_product_can_be_published_again(self, admin: Api, public: Api) -> None:
        lamp = admin.created(status="archived")
        admin.patch(lamp, {"status": "published"})
        assert public.read(lamp).status_code == 200


class TestDelete:
    def test_a_product_that_was_never_sold_goes_with_its_ledger(self, admin: Api, public: Api, shop: Shop) -> None:
        lamp = admin.created(stock=3)
        assert admin.delete(lamp).status_code == 204
        problem(public.read(lamp), 404)
        problem(admin.read(lamp), 404)
        assert shop.query("SELECT count(*) FROM catalog.stock_movements") == [(0,)]

    def test_a_product_that_was_sold_is_archived_and_keeps_its_sku(
        self, admin: Api, public: Api, catalog: DatabaseCatalogService
    ) -> None:
        lamp = admin.created(stock=3, sku="LAMP-01")
        hold(catalog, "order:1", lamp, 1)
        assert admin.delete(lamp).status_code == 204
        problem(public.read(lamp), 404)
        assert admin.read(lamp).json()["status"] == "archived"
        problem(admin.create(sku="LAMP-01"), 409, "sku-taken")
        assert public.names() == []

    def test_a_sale_that_was_cancelled_was_a_sale(self, admin: Api, catalog: DatabaseCatalogService) -> None:
        lamp = admin.created(stock=3)
        hold(catalog, "order:1", lamp, 1)
        catalog.release(reference="order:1")
        admin.delete(lamp)
        assert admin.read(lamp).json()["status"] == "archived"

    def test_a_second_delete_of_what_is_gone_finds_nothing(self, admin: Api) -> None:
        lamp = admin.created()
        admin.delete(lamp)
        problem(admin.delete(lamp), 404, "product-not-found")

    def test_a_second_delete_of_what_is_archived_changes_nothing(self, admin: Api, catalog: DatabaseCatalogService) -> None:
        lamp = admin.created(stock=3)
        hold(catalog, "order:1", lamp, 1)
        admin.delete(lamp)
        version = admin.read(lamp).json()["version"]
        assert admin.delete(lamp).status_code == 204
        assert admin.read(lamp).json()["version"] == version

    def test_the_end_of_a_product_is_announced_once(self, admin: Api, shop: Shop) -> None:
        lamp = admin.created()
        admin.patch(lamp, {"status": "archived"})
        admin.delete(lamp)
        assert shop.query("SELECT aggregate FROM kernel.outbox") == [(f"product:{lamp['id']}",)]


class TestVersions:
    def test_a_tag_says_the_version_of_the_product_and_of_its_stock_and_who_looks(self, admin: Api, public: Api) -> None:
        lamp = admin.created(stock=5)
        admin.move(lamp, 1, "restock")
        assert admin.read(lamp).headers["etag"] == '"1.2.stocked"'
        assert admin.patch(lamp, {"name": "New"}).headers["etag"] == '"2.2.stocked"'
        assert public.read(lamp).headers["etag"] == '"2.2"'

    def test_who_has_the_newest_copy_gets_none(self, admin: Api, public: Api) -> None:
        lamp = admin.created()
        answer = public.read(lamp, **{"if-none-match": '"1.1"'})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == '"1.1"'

    def test_a_moved_stock_is_a_new_copy(self, admin: Api, public: Api) -> None:
        lamp = admin.created(stock=5)
        admin.move(lamp, 1, "restock")
        assert public.read(lamp, **{"if-none-match": '"1.1"'}).status_code == 200

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_a_change_of_an_older_version_is_refused(self, admin: Api, method: str) -> None:
        lamp = admin.created()
        admin.patch(lamp, {"name": "New"})
        answer = admin.send(method, f"/{lamp['id']}", json={"name": "x", "price": "1"}, headers={"if-match": '"1.1"'})
        problem(answer, 412, "precondition-failed")
        assert admin.read(lamp).json()["name"] == "New"

    @pytest.mark.parametrize("tag", ['"1.1"', '"1.1.stocked"', '"1.77"', '"9.9", "1.1"', "*"])
    def test_a_change_of_the_current_version_passes_whatever_the_stock(self, admin: Api, tag: str) -> None:
        lamp = admin.created()
        assert admin.patch(lamp, {"name": "New"}, **{"if-match": tag}).status_code == 200

    @pytest.mark.parametrize("tag", ['W/"1.1"', '"x"', '"99999999999999999999"', '"1"x', "1.1"])
    def test_tags_that_name_no_version_let_nothing_pass(self, admin: Api, tag: str) -> None:
        lamp = admin.created()
        assert admin.patch(lamp, {"name": "New"}, **{"if-match": tag}).status_code in (400, 412)
        assert admin.read(lamp).json() == lamp

    def test_an_unknown_product_is_not_found_whatever_the_version(self, admin: Api) -> None:
        answer = admin.send("PATCH", "/999999999", json={"name": "x"}, headers={"if-match": '"1.1"'})
        problem(answer, 404, "product-not-found")


WRITES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "", {"name": "x", "price": "1"}),
    ("PUT", "/{id}", {"name": "x", "price": "1"}),
    ("PATCH", "/{id}", {"name": "x"}),
    ("DELETE", "/{id}", None),
    ("POST", "/{id}/stock-movements", {"quantity": 1, "reason": "restock"}),
    ("GET", "/low-stock", None),
    ("GET", "/{id}/stock-movements", None),
    ("GET", "/{id}/stock-movements/1", None),
]


class TestAccess:
    @pytest.mark.parametrize(("method", "path", "body"), WRITES)
    def test_only_admins_change_products_and_see_movements(
        self, admin: Api, public: Api, person: Api, method: str, path: str, body: dict[str, Any] | None
    ) -> None:
        lamp = admin.created(stock=2)
        for caller, status in ((public, 401), (person, 403)):
            answer = caller.send(method, path.format(id=lamp["id"]), json=body, headers={"idempotency-key": "k"})
            problem(answer, status)
        assert admin.read(lamp).json() == lamp

    def test_a_stale_admin_changes_nothing(self, admin: Api, shop: Shop) -> None:
        lamp = admin.created()
        with shop.superuser.connect() as connection:
            connection.exec_driver_sql("UPDATE kernel.principals SET epoch = epoch + 1")
        problem(admin.patch(lamp, {"name": "x"}), 401)
