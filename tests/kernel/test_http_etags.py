"""Entity tags: changes start from the version that was seen, and known versions are not sent again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kernel.http_app import Shop, assert_problem, open_shop
from tests.kernel.http_stall import build_router

from kernel.http.etags import expected_versions, require_match
from kernel.pure.errors import PreconditionFailed


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


@pytest.mark.parametrize("tags", ['"3.7"', 'W/"3.7"', '"1.1", "3.7"', '"x" , W/"3.7"', "*", ' "3.7" '])
def test_a_version_that_the_client_has_is_not_sent_again(shop: Shop, tags: str) -> None:
    answer = shop.get("/api/v1/wares/1", headers={"if-none-match": tags})
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == '"3.7"'
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("tags", ['"3.8"', '"3"', '"3.70"', '"1.1", "2.2"'])
def test_another_version_is_sent(shop: Shop, tags: str) -> None:
    answer = shop.get("/api/v1/wares/1", headers={"if-none-match": tags})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"3.7"'


@pytest.mark.parametrize("tags", ['"3.7"', '"3.9"', '"3"', '"1.1","3.2"', "*"])
def test_a_change_from_the_current_version_passes_whatever_the_stock(shop: Shop, tags: str) -> None:
    assert shop.request("PATCH", "/api/v1/wares/1", json={"name": "a"}, headers={"if-match": tags}).status_code == 200


@pytest.mark.parametrize("tags", ['"2.7"', 'W/"3.7"', '"x"', '""', '"03.7"', '"٣"', f'"{"9" * 5000}"', '"33.7"', '"-3.7"'])
def test_a_change_from_another_or_a_weak_version_is_412(shop: Shop, tags: str) -> None:
    answer = shop.request("PATCH", "/api/v1/wares/1", json={"name": "a"}, headers=[(b"if-match", tags.encode())])
    assert_problem(answer, 412, "precondition-failed")


@pytest.mark.parametrize("tags", ["3.7", '"3.7', '"3.7" "3.8"', '"a"b', 'w/"3.7"', ",", '"a",,"b"'])
def test_what_is_no_list_of_tags_is_400(shop: Shop, tags: str) -> None:
    answer = shop.request("PATCH", "/api/v1/wares/1", json={"name": "a"}, headers={"if-match": tags})
    assert_problem(answer, 400, "malformed-etag")


def test_without_if_match_any_version_will_do() -> None:
    assert expected_versions(None) is None
    assert expected_versions("*") is None
    assert expected_versions('"3.1", "4", W/"5", "x"') == frozenset({3, 4})


def test_a_whole_tag_can_be_required() -> None:
    require_match('"7-mine"', "7-mine")
    require_match("*", "7-mine")
    require_match(None, "7-mine")
    for tags in ('"7"', 'W/"7-mine"'):
        with pytest.raises(PreconditionFailed):
            require_match(tags, "7-mine")
