"""Lists of products: pages without gaps or duplicates, filters, search, and cursors that fit one list."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest
from tests.catalog.factories import Shelf
from tests.catalog.http import Api, problem

from catalog.interface import ProductStatus

SORTS = ["newest", "name", "-name", "price", "-price"]


def walk(api: Api, **query: Any) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(200):
        page = api.page(**query, **cursor)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        assert len(page["items"]) == query.get("limit", 20)
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the list does not end")


def in_order(items: list[dict[str, Any]], sort: str) -> list[int]:
    """The ids as the sort wants them: ties by id, in the direction of the sort."""
    column = sort.lstrip("-")
    if column == "newest":
        return sorted((item["id"] for item in items), reverse=True)

    def key(item: dict[str, Any]) -> tuple[object, int]:
        return float(item["price"]) if column == "price" else item["name"].encode(), item["id"]

    return [item["id"] for item in sorted(items, key=key, reverse=sort.startswith("-"))]


@pytest.fixture
def many(shelf: Shelf) -> list[int]:
    """Products with many equal names and prices."""
    names = ["Lamp", "lamp", "Äpfel", "Zebra", "Lamp 2"]
    return [shelf.product(name=names[n % 5], price=["5.00", "10.00", "9.99"][n % 3], stock=n % 4).id for n in range(43)]


class TestPages:
    @pytest.mark.parametrize("limit", [1, 7, 20, 43, 100])
    @pytest.mark.parametrize("sort", SORTS)
    def test_every_sort_shows_each_product_once_in_its_order(self, public: Api, many: list[int], sort: str, limit: int) -> None:
        items = walk(public, sort=sort, limit=limit)
        assert sorted(item["id"] for item in items) == sorted(many)
        assert [item["id"] for item in items] == in_order(items, sort)

    @pytest.mark.parametrize("sort", SORTS)
    def test_nothing_is_shown_twice_or_left_out_while_products_come(self, public: Api, shelf: Shelf, sort: str) -> None:
        before = {shelf.product(name=f"Lamp {n % 5}", price=f"{n % 4}.00").id for n in range(24)}
        seen: list[int] = []
        cursor: dict[str, str] = {}
        for n in count():
            page = public.page(sort=sort, limit=3, **cursor)
            seen += [item["id"] for item in page["items"]]
            # One at each end, and one equal to where we stand.
            shelf.product(name="Aaa", price="0.00")
            shelf.product(name="Lamp 2", price="2.00")
            if n < 6:
                shelf.product(name="Zzz", price="9.00")
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(seen) == len(set(seen))
        assert before <= set(seen)

    def test_the_last_page_says_so_even_when_it_is_full(self, public: Api, shelf: Shelf) -> None:
        for _ in range(4):
            shelf.product()
        first = public.page(limit=2)
        assert public.page(limit=2, cursor=first["next_cursor"])["next_cursor"] is None

    def test_an_empty_shop_has_an_empty_page(self, public: Api) -> None:
        assert public.page() == {"items": [], "next_cursor": None}

    def test_the_link_header_leads_to_the_next_page_with_the_same_filters(self, public: Api, many: list[int]) -> None:
        answer = public.send("GET", params={"sort": "price", "min_price": "9.99", "limit": 5})
        link = re.fullmatch(r'<(\?[^>]*)>; rel="next"', answer.headers["link"])
        assert link is not None
        following = public.send("GET", link[1])
        shown = [item["id"] for item in answer.json()["items"] + following.json()["items"]]
        assert shown == [item["id"] for item in walk(public, sort="price", min_price="9.99")][:10]

    def test_the_size_of_a_page_can_change_on_the_way(self, public: Api, many: list[int]) -> None:
        first = public.page(sort="name", limit=5)
        rest = walk_from(public, first["next_cursor"], sort="name", limit=40)
        assert len(first["items"]) + len(rest) == len(many)

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", ""])
    def test_a_page_holds_1_to_100_items(self, public: Api, limit: str) -> None:
        problem(public.send("GET", params={"limit": limit}), 400)


def walk_from(api: Api, cursor: str, **query: Any) -> list[dict[str, Any]]:
    page = api.page(**query, cursor=cursor)
    following = page["next_cursor"]
    items: list[dict[str, Any]] = page["items"]
    return items + (walk_from(api, following, **query) if following else [])


class TestCursors:
    def test_a_cursor_fits_its_sort_only(self, public: Api, many: list[int]) -> None:
        cursor = public.page(sort="price", limit=2)["next_cursor"]
        for sort in ("name", "-price", "newest"):
            problem(public.send("GET", params={"sort": sort, "limit": 2, "cursor": cursor}), 400, "invalid-cursor")

    def test_a_cursor_fits_its_filters_only(self, public: Api, many: list[int]) -> None:
        cursor = public.page(min_price="5", limit=2)["next_cursor"]
        problem(public.send("GET", params={"min_price": "6", "limit": 2, "cursor": cursor}), 400, "invalid-cursor")

    @pytest.mark.parametrize("cursor", ["x", "", "AAAA", "W10", "bnVsbA", "é", "[]", "%00", "a" * 2000])
    def test_what_is_no_cursor_is_refused(self, public: Api, cursor: str) -> None:
        problem(public.send("GET", params={"cursor": cursor}), 400)

    def test_the_longest_name_fits_into_a_cursor(self, public: Api, shelf: Shelf) -> None:
        longest = [shelf.product(name=character * 200) for character in "\U0001f6cb\U0001f6cc"]
        cursor = public.page(sort="name", limit=1)["next_cursor"]
        assert [item["id"] for item in public.page(sort="name", limit=1, cursor=cursor)["items"]] == [longest[1].id]

    def test_a_product_that_is_gone_still_marks_the_place(self, public: Api, admin: Api, shelf: Shelf) -> None:
        products = [shelf.product(name=f"Lamp {n}") for n in range(4)]
        page = public.page(sort="name", limit=2)
        admin.send("DELETE", f"/{products[1].id}")
        assert [item["id"] for item in public.page(sort="name", limit=2, cursor=page["next_cursor"])["items"]] == [
            products[2].id,
            products[3].id,
        ]


class TestFilters:
    def test_the_sku_finds_one_product(self, public: Api, shelf: Shelf) -> None:
        shelf.product(sku="LAMP-01", name="Lamp")
        shelf.product(sku="LAMP-011", name="Other")
        assert public.names(sku="LAMP-01") == ["Lamp"]

    def test_prices_are_bounded_inclusively(self, public: Api, shelf: Shelf) -> None:
        for price in ("4.99", "5.00", "7.50", "10.00", "10.01"):
            shelf.product(name=price, price=price)
        assert public.names(min_price="5", max_price="10.00", sort="price") == ["5.00", "7.50", "10.00"]
        assert public.names(min_price="10.01") == ["10.01"]
        assert public.names(max_price="4.99") == ["4.99"]
        assert public.names(min_price="9", max_price="8") == []

    def test_stock_is_there_or_not(self, public: Api, shelf: Shelf) -> None:
        shelf.product(name="There", stock=1)
        shelf.product(name="Gone", stock=0)
        assert public.names(in_stock="true") == ["There"]
        assert public.names(in_stock="false") == ["Gone"]

    def test_filters_add_up(self, public: Api, shelf: Shelf) -> None:
        shelf.product(name="Brass lamp", price="5.00", stock=1)
        shelf.product(name="Brass bell", price="5.00", stock=1)
        shelf.product(name="Brass lamp, large", price="50.00", stock=1)
        shelf.product(name="Brass lamp, sold", price="5.00", stock=0)
        assert public.names(q="brass lamp", max_price="10", in_stock="true") == ["Brass lamp"]

    @pytest.mark.parametrize("sort", SORTS)
    def test_filters_hold_on_every_page(self, public: Api, many: list[int], sort: str) -> None:
        items = walk(public, sort=sort, in_stock="true", min_price="9", limit=4)
        assert [item["id"] for item in items] == in_order(items, sort)
        everything = [item for item in walk(public) if item["stock"] > 0 and float(item["price"]) >= 9]
        assert {item["id"] for item in items} == {item["id"] for item in everything}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("min_price", "x"),
            ("max_price", "-1"),
            ("max_price", "1.999"),
            ("min_price", "NaN"),
            ("min_price", "1e400"),
            ("in_stock", "perhaps"),
            ("status", "sold"),
            ("sort", "stock"),
            ("sku", " A"),
            ("sku", "é"),
            ("q", ""),
            ("q", "a\0b"),
            ("q", "x" * 201),
        ],
    )
    def test_values_that_make_no_sense_are_refused(self, public: Api, name: str, value: str) -> None:
        members = problem(public.send("GET", params={name: value}), 400)
        assert members["errors"][0]["parameter"] == name

    def test_unknown_parameters_are_named(self, public: Api) -> None:
        members = problem(public.send("GET", params={"colour": "red", "limit": 1}), 400, "unknown-parameter")
        assert members["unknown"] == ["colour"]
        assert "min_price" in members["allowed"]

    def test_a_parameter_given_twice_is_refused(self, public: Api) -> None:
        problem(public.send("GET", "?limit=1&limit=2"), 400, "repeated-parameter")


class TestStatus:
    @pytest.fixture(autouse=True)
    def each(self, shelf: Shelf) -> None:
        for status in ProductStatus:
            shelf.product(name=status.value, status=status)

    @pytest.mark.parametrize("asked", [{}, {"status": "published"}, {"q": "draft"}, {"sku": "SKU-1"}])
    def test_the_public_sees_what_is_published_whatever_it_asks_for(
        self, public: Api, person: Api, asked: dict[str, str]
    ) -> None:
        for caller in (public, person):
            assert set(caller.names(**asked)) <= {"published"}

    def test_what_has_no_filters_is_all_that_is_published(self, public: Api, person: Api) -> None:
        for caller in (public, person):
            assert caller.names() == caller.names(status="published") == ["published"]

    @pytest.mark.parametrize("status", ["draft", "archived"])
    def test_the_public_is_refused_what_is_not_published_and_told_which_parameter_it_was(
        self, public: Api, person: Api, status: str
    ) -> None:
        for caller in (public, person):
            refused = problem(caller.send("GET", f"?status={status}"), 403, "forbidden")
            assert (refused["parameter"], refused["roles"]) == ("status", ["admin"])

    def test_the_admin_sees_everything_or_one_status(self, admin: Api) -> None:
        assert set(admin.names()) == {"draft", "published", "archived"}
        assert admin.names(status="draft") == ["draft"]

    def test_a_cursor_of_the_admin_shows_the_public_nothing_more(self, admin: Api, public: Api) -> None:
        cursor = admin.page(limit=1)["next_cursor"]
        assert set(public.names(limit=1, cursor=cursor)) <= {"published"}


class TestSearch:
    @pytest.fixture
    def found(self, public: Api, shelf: Shelf) -> Any:
        shelf.product(sku="LAMP-01", name="Brass desk lamp", description="Switch included. 3.5 mm plug; Wi-Fi ready.")
        shelf.product(sku="MUG.7/B", name="Women’s mug—large", description="H&M style, 1,000 ml, e-mail: mug@shop.example")
        shelf.product(sku="CAFE_9", name="Café crème", description=None)
        return lambda q: set(public.names(q=q))

    @pytest.mark.parametrize(
        "q",
        [
            "lamp",
            "LAMP",
            "bra",
            "desk brass",
            "LAMP-01",
            "01",
            "lamp-0",
            "3.5",
            "3.5 mm",
            "wi-fi",
            "Wi Fi",
            "switch, included!",
            "lamp & desk",
            "lamp:*",
            "(lamp)",
            "lamp\\",
        ],
    )
    def test_words_of_sku_name_and_description_are_found_by_their_beginnings(self, found: Any, q: str) -> None:
        assert found(q) == {"Brass desk lamp"}

    @pytest.mark.parametrize("q", ["MUG.7/B", "mug 7", "women", "women’s", "large", "h&m", "1,000", "shop", "mug@shop.example"])
    def test_punctuation_parts_words_and_nothing_more(self, found: Any, q: str) -> None:
        assert found(q) == {"Women’s mug—large"}

    @pytest.mark.parametrize("q", ["café", "Caf", "CAFE_9", "crème"])
    def test_letters_beyond_ascii_are_letters(self, found: Any, q: str) -> None:
        assert found(q) == {"Café crème"}

    @pytest.mark.parametrize("q", ["amp", "lamp chair", "lamp' | 'x", "!!!", "-", "'", "&", "zzz"])
    def test_what_is_not_there_is_not_found(self, found: Any, q: str) -> None:
        assert found(q) == set()

    def test_the_longest_search_is_answered(self, public: Api) -> None:
        assert public.names(q=" ".join("ab" for _ in range(66))) == []
