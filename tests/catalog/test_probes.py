"""Bad input to every endpoint of the catalog: a problem of 4xx, nothing stored, never a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.catalog.http import Api, problem

BAD: dict[str, list[Any]] = {
    "name": ["", "   ", "a\0b", "a\nb", "\x7f", "x" * 201, 1, None, [], {}, True],
    "description": ["a\0b", "x" * 10_001, 1, [], "\x1b[0m"],
    "price": [
        "-0.01",
        "1.999",
        "1e400",
        "NaN",
        "Infinity",
        "",
        " 1",
        "1,50",
        1e300,
        -1,
        2**63,
        None,
        True,
        "100000000",
        [],
        "١",
    ],
    "sku": ["", " A", "A ", "a\0b", "é", "x" * 65, 1, [], "a\nb", "\u202e"],
    "stock": [-1, 1.5, "1", 2**31, 2**63, 2**64, None, True, []],
    "status": ["sold", "", "PUBLISHED", None, 1],
    "colour": ["red"],
}
BODIES = [(member, value) for member, values in BAD.items() for value in values]
RAW = {
    "lone surrogate in the name": rb'{"name": "a\ud800b", "price": "1"}',
    "lone surrogate in the sku": rb'{"name": "a", "price": "1", "sku": "\udfff"}',
    "lone surrogate in a member": rb'{"name": "a", "price": "1", "\ud800": 1}',
    "NaN": b'{"name": "a", "price": NaN}',
    "Infinity": b'{"name": "a", "price": Infinity}',
    "1e400": b'{"name": "a", "price": 1e400}',
    "1e-400": b'{"name": "a", "price": 1e-400}',
    "2^63 as a stock": b'{"name": "a", "price": "1", "stock": 9223372036854775808}',
    "a number of 5,000 digits": b'{"name": "a", "price": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"name": "\xff", "price": "1"}',
    "a repeated member": b'{"name": "a", "name": "b", "price": "1"}',
    "an array": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "nothing": b"",
    "half": b'{"name": "a"',
    "deep": b'{"name": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10 MB": b'{"name": "' + b"x" * 10_000_000 + b'", "price": "1"}',
}


@pytest.mark.parametrize(("member", "value"), BODIES)
def test_a_bad_member_is_refused_by_its_pointer_and_nothing_is_stored(admin: Api, member: str, value: Any) -> None:
    lamp = admin.created(name="Lamp", price="1.00")
    body = {"name": "New", "price": "2.00", member: value}
    for method, path in (("POST", ""), ("PUT", f"/{lamp['id']}"), ("PATCH", f"/{lamp['id']}")):
        if method == "POST" and member == "sku" and value is None:
            continue
        members = problem(admin.send(method, path, content=json.dumps(body), headers=JSON), 422)
        assert [error["pointer"] for error in members["errors"]] == [f"/{member}"]
    assert admin.page()["items"] == [lamp]


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("name", RAW)
def test_a_bad_body_is_refused_and_nothing_is_stored(admin: Api, name: str) -> None:
    lamp = admin.created()
    for method, path in (("POST", ""), ("PUT", f"/{lamp['id']}"), ("PATCH", f"/{lamp['id']}")):
        answer = admin.send(method, path, content=RAW[name], headers=JSON)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert admin.page()["items"] == [lamp]


def test_refusals_do_not_repeat_the_input(admin: Api) -> None:
    assert "s3cret" not in admin.create(price="s3cret", name={"s3cret": "s3cret"}).text


def test_members_of_awkward_names_have_escaped_pointers(admin: Api) -> None:
    members = problem(admin.create(**{"a/b~c": 1}), 422)
    assert [error["pointer"] for error in members["errors"]] == ["/a~1b~0c"]
