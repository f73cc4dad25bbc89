"""Access tokens at the doors of users: only what this shop issued, for rights that still stand, gets in."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from tests.users.users_app import NOW, SECRET, LoggedIn, UsersApp, assert_problem

ISSUED = int(NOW.timestamp())


@pytest.fixture
def me(users: UsersApp) -> LoggedIn:
    return users.customer()


def claims(me: LoggedIn, **changed: Any) -> dict[str, Any]:
    all_ = {"sub": str(me.id), "iat": ISSUED, "exp": ISSUED + 900, "roles": [], "epoch": 1, **changed}
    return {name: value for name, value in all_.items() if value is not None}


def ask(users: UsersApp, token: str) -> Any:
    return users.get("/users/me", headers={"authorization": f"Bearer {token}"})


def unsigned(payload: dict[str, Any], algorithm: str = "none") -> str:
    parts = [{"alg": algorithm, "typ": "JWT"}, payload]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def test_a_token_like_ours_gets_in(users: UsersApp, me: LoggedIn) -> None:
    assert ask(users, jwt.encode(claims(me), SECRET, algorithm="HS256")).json()["id"] == me.id


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", ""])
def test_an_unsigned_token_is_refused(users: UsersApp, me: LoggedIn, algorithm: str) -> None:
    assert_problem(ask(users, unsigned(claims(me, roles=["admin"]), algorithm)), 401, "invalid-token")


@pytest.mark.parametrize(("key", "algorithm"), [("another-secret-" * 5, "HS256"), (SECRET, "HS512"), (SECRET, "HS384")])
def test_another_key_or_algorithm_is_refused(users: UsersApp, me: LoggedIn, key: str, algorithm: str) -> None:
    assert_problem(ask(users, jwt.encode(claims(me), key * 2, algorithm=algorithm)), 401, "invalid-token")


def test_a_token_with_changed_claims_is_refused(users: UsersApp, me: LoggedIn) -> None:
    head, _, seal = me.access_token.split(".")
    payload = base64.urlsafe_b64encode(json.dumps(claims(me, roles=["admin"])).encode()).rstrip(b"=").decode()

    assert_problem(ask(users, f"{head}.{payload}.{seal}"), 401, "invalid-token")


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": ISSUED - 31},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"iat": ISSUED + 31},
        {"sub": "0"},
        {"sub": "-1"},
        {"sub": str(2**63)},
        {"sub": "1; DROP TABLE users.accounts"},
        {"epoch": "1"},
        {"epoch": 2**63},
        {"epoch": 0},
        {"epoch": 2},
        {"roles": "admin"},
        {"sub": "999999"},
    ],
)
def test_a_token_with_claims_that_do_not_hold_is_refused(users: UsersApp, me: LoggedIn, changed: dict[str, Any]) -> None:
    token = jwt.encode(claims(me, **changed), SECRET, algorithm="HS256")

    assert_problem(ask(users, token), 401, "invalid-token")


def test_an_access_token_expires_after_its_lifetime_and_leeway(users: UsersApp, me: LoggedIn) -> None:
    users.clock.advance(timedelta(minutes=15, seconds=29))
    assert ask(users, me.access_token).status_code == 200
    users.clock.advance(timedelta(seconds=2))

    assert_problem(ask(users, me.access_token), 401, "invalid-token")


def test_a_refresh_token_is_no_access_token(users: UsersApp, me: LoggedIn) -> None:
    assert_problem(ask(users, me.refresh_token), 401, "invalid-token")


def test_an_access_token_is_no_refresh_token(users: UsersApp, me: LoggedIn) -> None:
    answer = users.refresh_request(me.access_token)

    assert answer.status_code in (401, 422)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YTpi", "token", "Bearer a.b.c", "Bearer \xff"])
def test_other_authorizations_are_refused(users: UsersApp, header: str) -> None:
    answer = users.get("/users/me", headers={"authorization": header.encode("latin-1")})

    assert_problem(answer, 401, "invalid-token")
