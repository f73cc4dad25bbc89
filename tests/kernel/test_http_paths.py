"""Which route a path is of: what is written out goes before what is filled in, and only then the method is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import Path
from tests.kernel.http_app import Shop, assert_problem, open_shop

from kernel.http.access import ANYONE
from kernel.http.fields import Identifier
from kernel.http.routes import Router


def build_router() -> Router:
    """A stall whose ids are declared before the words that stand in the same places."""
    router = Router(module="stall", prefix="/api/v1/wares")

    @router.get("/{ware_id}", allow=ANYONE)
    def read_ware(ware_id: Identifier) -> str:
        return f"ware {ware_id}"

    @router.put("/{ware_id}", allow=ANYONE)
    def replace_ware(ware_id: Identifier) -> str:
        return f"replaced {ware_id}"

    @router.get("/{ware_id}/labels/{label}", allow=ANYONE)
    def read_label(ware_id: Identifier, label: Annotated[str, Path(max_length=20)]) -> str:
        return f"{label} of {ware_id}"

    @router.put("/{ware_id}/labels/{label}", allow=ANYONE)
    def write_label(ware_id: Identifier, label: Annotated[str, Path(max_length=20)]) -> str:
        return f"wrote {label} of {ware_id}"

    @router.get("/{ware_id}/labels/first", allow=ANYONE)
    def read_first(ware_id: Identifier) -> str:
        return f"the first of {ware_id}"

    @router.get("/best", allow=ANYONE)
    def read_best() -> str:
        return "the best"

    @router.delete("/best", allow=ANYONE)
    def delete_best() -> None: ...

    return router


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


@pytest.mark.parametrize("path", ["/api/v1/wares/best", "/api/v1/wares/best/"])
def test_a_word_is_never_taken_for_an_id_whichever_was_declared_first(shop: Shop, path: str) -> None:
    assert shop.get(path).json() == "the best"


@pytest.mark.parametrize("path", ["/api/v1/wares/best", "/api/v1/wares/best/"])
def test_a_method_that_only_ids_take_is_405_at_a_word_and_names_the_words_own(shop: Shop, path: str) -> None:
    answer = shop.request("PUT", path)
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


def test_a_text_in_a_path_is_not_what_is_written_out_either(shop: Shop) -> None:
    assert shop.get("/api/v1/wares/7/labels/first").json() == "the first of 7"
    assert shop.get("/api/v1/wares/7/labels/last").json() == "last of 7"
    answer = shop.request("PUT", "/api/v1/wares/7/labels/first")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/api/v1/wares/7", "/api/v1/wares/7/", "/api/v1/wares/7/labels/firsts"])
def test_everything_else_is_filled_in_as_ever(shop: Shop, path: str) -> None:
    assert shop.request("PUT", path).status_code == 200


def test_what_can_be_no_id_is_not_there(shop: Shop) -> None:
    for path in ("/api/v1/wares/bes", "/api/v1/wares/bestow", "/api/v1/wares/BEST"):
        assert_problem(shop.get(path), 404, "not-found")
