"""Hostile and broken requests: each is answered with a problem of status 4xx, and none with a 500."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from tests.kernel.http_app import Shop, assert_problem, open_shop
from tests.kernel.http_stall import build_router


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


def body(**members: str) -> bytes:
    """A valid body in which each given member is replaced by raw JSON text."""
    parts = {"name": '"Mug"', "price": '"19.99"'} | members
    return ("{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}").encode()


INVALID = {
    "NUL in text": body(name=r'"a\u0000b"'),
    "control character in text": body(name=r'"a\u0007b"'),
    "line break in short text": body(name=r'"a\nb"'),
    "NUL in long text": body(description=r'"a\u0000b"'),
    "delete character": body(name=r'"a\u007fb"'),
    "empty text": body(name='""'),
    "blank text": body(name='"   "'),
    "too long text": body(name=json.dumps("x" * 201)),
    "number as text": body(name="1"),
    "null for text": body(name="null"),
    "array for text": body(name="[]"),
    "negative price": body(price='"-1.00"'),
    "negative price as number": body(price="-0.01"),
    "three decimals": body(price='"1.999"'),
    "three decimals as number": body(price="1.999"),
    "price beyond the column": body(price='"100000000.00"'),
    "price beyond the column as number": body(price="100000000"),
    "price in scientific notation": body(price='"1e2"'),
    "price as NaN text": body(price='"NaN"'),
    "price as infinity text": body(price='"Infinity"'),
    "price with spaces": body(price='" 1.00 "'),
    "price in other digits": body(price='"١٢.٠٠"'),
    "price with underscore": body(price='"1_0.00"'),
    "boolean price": body(price="true"),
    "null price": body(price="null"),
    "object price": body(price="{}"),
    "tiny price": body(price="1e-300"),
    "huge price": body(price="1e300"),
    "2^31 units": body(quantity=str(2**31)),
    "2^63 units": body(quantity=str(2**63)),
    "2^64 units": body(quantity=str(2**64)),
    "zero units": body(quantity="0"),
    "negative units": body(quantity="-1"),
    "boolean units": body(quantity="true"),
    "units as text": body(quantity='"3"'),
    "units as fraction": body(quantity="3.0"),
    "negative stock": body(stock="-1"),
    "related id of 2^63": body(related=f"[{2**63}]"),
    "related id of zero": body(related="[0]"),
    "unknown kind": body(kind='"sofa"'),
    "unknown member": body(role='"admin"'),
    "unknown member with NUL": body(**{r"a\u0000": "1"}),
    "array as body": b"[]",
    "text as body": b'"hello"',
    "null as body": b"null",
    "number as body": b"1",
    "fraction as body": b"1.5",
    "empty object": b"{}",
    "empty body": b"",
    "10,000 bad lines": body(labels="[" + ",".join(["1"] * 10_000) + "]"),
}

UNREADABLE = {
    "lone surrogate": body(name=r'"a\ud800b"'),
    "lone low surrogate": body(name=r'"a\udc00b"'),
    "reversed pair": body(name=r'"\ude00\ud83d"'),
    "lone surrogate as key": body(**{r"\ud800": "1"}),
    "NaN": body(price="NaN"),
    "Infinity": body(price="Infinity"),
    "negative infinity": body(price="-Infinity"),
    "1e400": body(price="1e400"),
    "1e999999999": body(stock="1e999999999"),
    "1e-999999999": body(price="1e-999999999"),
    "integer of 5,000 digits": body(stock="9" * 5000),
    "fraction of 5,000 digits": body(price="1." + "9" * 5000),
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep and never closed": b"[" * 200_000,
    "deep inside a member": body(labels="[" * 33 + "]" * 33),
    "duplicate member": b'{"name":"a","name":"b","price":"1.00"}',
    "duplicate member below": b'{"name":"a","price":"1.00","labels":[{"language":"a","language":"b"}]}',
    "invalid UTF-8": b'{"name":"\xff\xfe","price":"1.00"}',
    "surrogate as UTF-8": b'{"name":"\xed\xa0\x80","price":"1.00"}',
    "overlong UTF-8": b'{"name":"\xc0\x80","price":"1.00"}',
    "byte order mark": b"\xef\xbb\xbf" + body(),
    "UTF-16": body().decode().encode("utf-16"),
    "UTF-32": body().decode().encode("utf-32"),
    "raw control character": b'{"name":"a\x00b","price":"1.00"}',
    "trailing comma": b'{"name":"a",}',
    "single quotes": b"{'name':'a'}",
    "cut short": b'{"name":"a","price":',
    "two documents": body() + body(),
    "only a space": b" ",
    "unterminated text full of escapes": b'"' + b'\\"' * 100_000,
}


NO_IDS = [
    *("0", "-1", "01", "+1", "1.0", "1e3", "abc", "1_0", "null", "%00", "%20", "1%20", "1%0A", "%25", "%FF", "..%2f.."),
    *("%EF%BC%91", "%ED%A0%80", "💣", str(2**63), "9" * 5000),
]

BAD_QUERIES = [
    *("limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=1&limit=2", f"limit={2**63}"),
    *("limit=" + "9" * 5000, "q=%00", "q=", "q=" + "x" * 201, "sort=random", "kind=sofa", "colour=red", "%00=1", "=1"),
    *("min_price=-1", "min_price=1.999", "min_price=NaN", "q[]=1", "cursor=%00", "cursor=💣", "cursor=" + "x" * 2000),
]


@pytest.mark.parametrize("probe", INVALID.values(), ids=INVALID.keys())
def test_a_body_that_breaks_the_schema_is_422(shop: Shop, probe: bytes) -> None:
    assert_problem(shop.post_bytes("/api/v1/wares/anything", probe), 422, "invalid")


@pytest.mark.parametrize("probe", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_is_no_proper_json_is_400(shop: Shop, probe: bytes) -> None:
    assert_problem(shop.post_bytes("/api/v1/wares/anything", probe), 400)


@pytest.mark.parametrize("probe", [b"1.5", b"1", b"null", b"[]", b'""'])
def test_what_is_no_object_is_no_empty_one(shop: Shop, probe: bytes) -> None:
    """Where nothing is required, a fraction passed as an object without members."""
    headers = {"content-type": "application/json"}
    assert_problem(shop.request("PATCH", "/api/v1/wares/1", content=probe, headers=headers), 422, "invalid")


@pytest.mark.parametrize("segment", NO_IDS)
def test_an_id_that_cannot_be_one_is_404(shop: Shop, segment: str) -> None:
    assert_problem(shop.get(f"/api/v1/wares/{segment}"), 404, "not-found")


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_bad_query_is_400(shop: Shop, query: str) -> None:
    assert_problem(shop.get(f"/api/v1/wares?{query}"), 400)


def test_unknown_parameters_are_named_with_those_that_are_known(shop: Shop) -> None:
    problem = assert_problem(shop.get("/api/v1/wares?colour=red&limit=3"), 400, "unknown-parameter")
    assert problem["unknown"] == ["colour"]
    assert problem["allowed"] == ["cursor", "kind", "limit", "min_price", "q", "sort"]


def test_very_many_parameters_are_refused_in_no_time(shop: Shop) -> None:
    began = time.perf_counter()
    assert_problem(shop.get("/api/v1/wares?" + "&".join(["q=a"] * 15_000)), 400, "repeated-parameter")
    assert time.perf_counter() - began < 0.5


def test_a_list_parameter_may_be_repeated(shop: Shop) -> None:
    assert shop.get("/api/v1/wares?kind=fruit&kind=tool").status_code == 200


def test_a_route_without_parameters_refuses_every_parameter(shop: Shop) -> None:
    assert_problem(shop.get("/api/v1/wares/1?page=2"), 400, "unknown-parameter")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/xml", "application/json; charset=latin-1", "json", ";"]
)
def test_a_body_of_another_type_is_415(shop: Shop, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = shop.post("/api/v1/wares/anything", content=body(), headers=headers)
    assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP, identity", "x"])
@pytest.mark.parametrize(
    ("path", "media_type"), [("anything", "application/json"), ("form", "application/x-www-form-urlencoded")]
)
def test_a_compressed_body_is_415(shop: Shop, encoding: str, path: str, media_type: str) -> None:
    headers = {"content-type": media_type, "content-encoding": encoding}
    answer = shop.post(f"/api/v1/wares/{path}", content=body(), headers=headers)
    assert_problem(answer, 415, "unsupported-content-encoding")
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"', "application/merge-patch+json"],
)
def test_json_goes_by_several_names(shop: Shop, content_type: str) -> None:
    answer = shop.post("/api/v1/wares/anything", content=body(), headers={"content-type": content_type})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("form", [b"username=%00", b"username=", b"", b"username=" + b"x" * 300, b"password=x", b"\xff=\xff"])
def test_a_bad_form_is_422(shop: Shop, form: bytes) -> None:
    answer = shop.post("/api/v1/wares/form", content=form, headers={"content-type": "application/x-www-form-urlencoded"})
    assert_problem(answer, 422)


def test_json_where_a_form_is_due_is_415(shop: Shop) -> None:
    assert_problem(shop.post_bytes("/api/v1/wares/form", b"{}"), 415)


def test_a_broken_multipart_form_is_400(shop: Shop) -> None:
    headers = {"content-type": "multipart/form-data"}
    assert_problem(shop.post("/api/v1/wares/form", content=b"junk", headers=headers), 400)


@pytest.mark.parametrize(
    ("price", "name", "stored"),
    [
        ("19.99", "Mug", ["Mug", "19.99"]),
        ('"19.9"', "Ünï 💣", ["Ünï 💣", "19.90"]),
        ("19", r"\ud83d\ude00", ["😀", "19.00"]),
        ("0", "x" * 200, ["x" * 200, "0.00"]),
        ("99999999.99", r"\u00e9", ["é", "99999999.99"]),
        ("1e2", "Mug", ["Mug", "100.00"]),
        ("-0.0", "Mug", ["Mug", "0.00"]),
    ],
)
def test_proper_values_pass_as_they_are(shop: Shop, price: str, name: str, stored: list[str]) -> None:
    answer = shop.post_bytes("/api/v1/wares/anything", body(price=price, name=f'" {name} "'))
    assert answer.status_code == 200, answer.text
    assert answer.json() == stored


def test_as_deep_as_the_limit_is_read(shop: Shop) -> None:
    deep = body(labels="[" * 31 + "]" * 31)
    assert_problem(shop.post_bytes("/api/v1/wares/anything", deep), 422)
    many = body(labels="[" + ",".join(['{"language":"[[[","words":"]]{{"}'] * 1000) + "]")
    assert shop.post_bytes("/api/v1/wares/anything", many).status_code == 200


def test_the_answer_never_echoes_the_input(shop: Shop) -> None:
    secret = "correct-horse-battery-staple"
    for probe in (body(name=f"[{json.dumps(secret)}]"), body(price=json.dumps(secret)), body(kind=json.dumps(secret))):
        assert secret not in shop.post_bytes("/api/v1/wares/anything", probe).text
    assert secret not in shop.get(f"/api/v1/wares?limit={secret}").text
    assert secret not in shop.get(f"/api/v1/wares/{secret}").text


def test_errors_point_into_the_body(shop: Shop) -> None:
    probe = body(labels='[{"language":"en","words":"x"},{"language":1,"a/b~c":2}]', price='"x"')
    problem = assert_problem(shop.post_bytes("/api/v1/wares/anything", probe), 422)
    assert {error["pointer"]: error["code"] for error in problem["errors"]} == {
        "/price": "price",
        "/labels/1/language": "string-type",
        "/labels/1/words": "missing",
        "/labels/1/a~1b~0c": "extra-forbidden",
    }


def test_of_very_many_errors_some_are_told_and_the_rest_counted(shop: Shop) -> None:
    problem = assert_problem(shop.post_bytes("/api/v1/wares/anything", INVALID["10,000 bad lines"]), 422)
    assert len(problem["errors"]) == 50
    assert problem["errors_left_out"] == 9950


def test_a_long_unknown_member_does_not_make_a_long_answer(shop: Shop) -> None:
    answer = shop.post_bytes("/api/v1/wares/anything", body(**{"x" * 100_000: "1"}))
    assert_problem(answer, 422)
    assert len(answer.content) < 2000
