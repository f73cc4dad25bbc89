"""Keyset pages and their cursors, which clients can forge."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import AwareDatetime
from starlette.responses import Response
from tests.kernel.http_app import Shop, assert_problem, open_shop
from tests.kernel.http_stall import BY, WARES, Sort, WareQuery, build_router

from kernel.http.fields import IdField
from kernel.http.pages import Keyset, PageQuery


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


def test_following_the_cursor_visits_every_item_once(shop: Shop) -> None:
    seen: list[int] = []
    cursors: list[str | None] = [""]
    for _ in range(7):
        answer = shop.get("/api/v1/wares?limit=7" + (f"&cursor={cursors[-1]}" if cursors[-1] else "")).json()
        seen += [ware["id"] for ware in answer["items"]]
        cursors.append(answer["next_cursor"])
    assert cursors[-1] is None
    assert seen == [ware.id for ware in WARES]


def test_following_the_link_header_does_too_and_keeps_the_query(shop: Shop) -> None:
    answer = shop.get("/api/v1/wares?sort=price&limit=20&q=a%20%26%20b&kind=fruit&kind=tool")
    pages = 1
    while "link" in answer.headers:
        reference, relation = answer.headers["link"].split(">; ")
        assert relation == 'rel="next"'
        query = parse_qs(reference.removeprefix("<?"))
        assert (query["sort"], query["limit"], query["q"], query["kind"]) == (["price"], ["20"], ["a & b"], ["fruit", "tool"])
        answer = shop.get(str(answer.url.join(reference.removeprefix("<"))))
        assert answer.status_code == 200
        pages += 1
    assert pages == 3
    assert answer.json()["next_cursor"] is None


def test_a_page_holds_twenty_items_unless_told_otherwise(shop: Shop) -> None:
    assert len(shop.get("/api/v1/wares").json()["items"]) == 20


def test_a_last_page_that_is_exactly_full_has_no_next(shop: Shop) -> None:
    answer = shop.get("/api/v1/wares?limit=45")
    assert answer.json()["next_cursor"] is None
    assert "link" not in answer.headers


@pytest.mark.parametrize("other", ["sort=price", "q=mug", "min_price=1", "kind=fruit"])
def test_a_cursor_of_another_sort_or_filter_is_400(shop: Shop, other: str) -> None:
    cursor = shop.get("/api/v1/wares?limit=5").json()["next_cursor"]
    assert_problem(shop.get(f"/api/v1/wares?cursor={cursor}&{other}"), 400, "invalid-cursor")


def test_a_cursor_outlives_a_change_of_the_limit(shop: Shop) -> None:
    cursor = shop.get("/api/v1/wares?limit=5").json()["next_cursor"]
    assert shop.get(f"/api/v1/wares?limit=9&cursor={cursor}").json()["items"][0]["id"] == 6


def packed(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def binding_of(cursor: str) -> str:
    binding: str = json.loads(base64.urlsafe_b64decode(cursor + "=="))[0]
    return binding


@pytest.mark.parametrize(
    "values",
    [
        ["Ware", 2**63],
        ["Ware", 2**70],
        ["Ware", 0],
        ["Ware", -1],
        ["Ware", "1"],
        ["Ware", True],
        ["Ware", 1.0],
        ["Ware", None],
        ["a\x00b", 1],
        ["a\ud800b", 1],
        ["x" * 201, 1],
        [1, 1],
        ["Ware"],
        ["Ware", 1, 1],
        [],
        {},
        None,
        "Ware",
        [["Ware"], 1],
        ["Ware", {"a": 1}],
    ],
    ids=repr,
)
def test_a_forged_key_is_400(shop: Shop, values: object) -> None:
    binding = binding_of(shop.get("/api/v1/wares?limit=5").json()["next_cursor"])
    assert_problem(shop.get(f"/api/v1/wares?cursor={packed([binding, values])}"), 400, "invalid-cursor")


@pytest.mark.parametrize("price", ["1e999999", "NaN", "-1", "1.999", "99999999999"])
def test_a_forged_price_is_400(shop: Shop, price: str) -> None:
    binding = binding_of(shop.get("/api/v1/wares?limit=5&sort=price").json()["next_cursor"])
    cursor = packed([binding, [price, 1]])
    assert_problem(shop.get(f"/api/v1/wares?sort=price&cursor={cursor}"), 400, "invalid-cursor")


CONTENTS: list[object] = ["a", [1, 2, 3], {"a": 1}, [[], []], None]
GARBAGE = [
    *("x", "xx", "====", "%25", "e30", "bnVsbA", "W10", "/w", "+w", "_" * 900),
    *(packed(content) for content in CONTENTS),
    *(base64.urlsafe_b64encode(raw).decode() for raw in (b"[" * 700, b"[1," + b"9" * 600 + b"]", b"\xff", b"[NaN,1]")),
]


@pytest.mark.parametrize("cursor", GARBAGE)
def test_garbage_is_400(shop: Shop, cursor: str) -> None:
    assert_problem(shop.get("/api/v1/wares", params={"cursor": cursor}), 400, "invalid-cursor")


def test_times_survive_a_cursor_exactly() -> None:
    class Item:
        def __init__(self, number: int) -> None:
            self.id = number
            self.at = datetime(2026, 1, 1, 1, 2, 3, number, tzinfo=UTC)

    newest: Keyset[Item] = Keyset(lambda item: (item.at, item.id), AwareDatetime, IdField)
    page = newest.page(PageQuery(limit=1), [Item(123456), Item(2)], Response())
    assert newest.after(PageQuery(limit=1, cursor=page.next_cursor)) == (page.items[0].at, 123456)


def test_each_sort_brings_back_its_own_types() -> None:
    for sort, keyset in BY.items():
        query = WareQuery(sort=sort, limit=1)
        cursor = keyset.page(query, WARES[:2], Response()).next_cursor
        after: Any = keyset.after(WareQuery(sort=sort, cursor=cursor))
        assert after == ((WARES[0].name, 1) if sort is Sort.NAME else (WARES[0].price, 1))
