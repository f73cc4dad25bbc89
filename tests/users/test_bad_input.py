"""Bad input of every kind is answered with a problem of status 4xx, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.users.conftest import Look
from tests.users.users_app import PASSWORD, UsersApp

LONG = "x" * 10_000
TEXTS: list[object] = ["a\0b", "\0", "\ud800", "\x1b[31m", LONG, "", " "]
WRONG_TYPES: list[object] = [None, 1, 1.5, True, [], {}, ["a@example.com"]]
RAW = [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"NaN", b'{"email": NaN}', b"[" * 5000, b'{"a": 1e400}']


def is_refused(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def as_json(value: object) -> dict[str, Any]:
    """Request options; lone surrogates travel as escapes."""
    return {"content": json.dumps(value).encode(), "headers": {"content-type": "application/json"}}


FIELDS = [
    (field, value)
    for field in ("email", "password", "full_name")
    for value in [*TEXTS, *WRONG_TYPES]
    # A name may be absent.
    if (field, value) != ("full_name", None)
]


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=repr)
def test_registering_refuses_it(users: UsersApp, look: Look, field: str, value: object) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD, "full_name": "Ada", field: value}

    is_refused(users.post("/users", **as_json(body)))

    assert look("SELECT count(*) FROM users.accounts")[0][0] == 0


@pytest.mark.parametrize("field", ["email", "password"])
def test_registering_needs_it(users: UsersApp, field: str) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    del body[field]

    answer = users.post("/users", json=body)

    is_refused(answer)
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.parametrize("path", ["/users", "/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("raw", RAW, ids=lambda raw: repr(raw[:12]))
def test_what_is_no_json_object_is_refused(users: UsersApp, path: str, raw: bytes) -> None:
    is_refused(users.post(path, content=raw, headers={"content-type": "application/json"}))


def test_a_body_of_ten_megabytes_is_refused(users: UsersApp) -> None:
    body = b'{"email": "' + b"x" * 10_000_000 + b'"}'

    is_refused(users.post("/users", content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"username=ada%40example.com",
        b"password=x",
        b"username=a%00b&password=xxxxxxxxxx",
        b"username=ada%40example.com&password=a%00b",
        b"username=ada%40example.com&password=%ed%a0%80",
        b"username=%ff&password=%ff",
        b"username=ada%40example.com&password=" + LONG.encode(),
        b"username=" + LONG.encode() + b"&password=x",
        b"username=&password=",
        b"grant_type=&username=ada%40example.com&password=x",
        b"\xff\xfe\0",
        b"&".join([b"username=a"] * 2000),
    ],
    ids=lambda form: repr(form[:40]),
)
def test_logging_in_refuses_it(users: UsersApp, form: bytes) -> None:
    users.register(email="ada@example.com")

    is_refused(users.post("/auth/token", content=form, headers={"content-type": "application/x-www-form-urlencoded"}))


def test_logging_in_with_an_upload_is_refused(users: UsersApp) -> None:
    is_refused(users.post("/auth/token", files={"username": b"ada@example.com", "password": b"x"}))


@pytest.mark.parametrize("value", [*TEXTS, *WRONG_TYPES], ids=repr)
def test_refreshing_refuses_it(users: UsersApp, value: object) -> None:
    is_refused(users.post("/auth/refresh", **as_json({"refresh_token": value})))


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("value", [*TEXTS, *WRONG_TYPES[1:]], ids=repr)
def test_changing_the_name_refuses_it(users: UsersApp, look: Look, method: str, value: object) -> None:
    me = users.customer()
    options = as_json({"full_name": value})
    options["headers"] = {**me.headers, "content-type": "application/json"}

    is_refused(users.request(method, f"/users/{me.id}", **options))

    assert look("SELECT full_name FROM users.accounts")[0][0] == "Ada Lovelace"


@pytest.mark.parametrize("field", ["old_password", "new_password"])
@pytest.mark.parametrize("value", [*(text for text in TEXTS if text != " "), *WRONG_TYPES], ids=repr)
def test_changing_the_password_refuses_it(users: UsersApp, field: str, value: object) -> None:
    me = users.customer()
    options = as_json({"old_password": PASSWORD, "new_password": "another password", field: value})
    options["headers"] = {**me.headers, "content-type": "application/json"}

    is_refused(users.post("/users/me/password", **options))

    assert users.get("/users/me", headers=me.headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/users"), ("DELETE", "/users"), ("GET", "/auth/token"), ("PUT", "/auth/logout")]
)
def test_other_methods_are_not_allowed(users: UsersApp, method: str, path: str) -> None:
    answer = users.request(method, path)

    is_refused(answer)
    assert answer.status_code == 405


def test_ones_own_account_is_not_the_account_with_the_id_me(users: UsersApp) -> None:
    for caller in ({}, users.customer().headers):
        answer = users.put("/users/me", json={"full_name": "Ada"}, headers=caller)
        is_refused(answer)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"
