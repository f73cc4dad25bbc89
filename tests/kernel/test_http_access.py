"""Who may call: access tokens, declared access, callers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from tests.kernel.http_app import NOW, SECRET, Shop, assert_problem, open_shop
from tests.kernel.http_stall import build_router

from kernel.http.tokens import AccessTokens, InvalidToken
from kernel.pure.clock import FixedClock
from kernel.pure.principal import Principal

PRINCIPAL = Principal(user_id=17, roles=frozenset({"admin", "clerk"}), epoch=3)
LIFETIME = timedelta(minutes=15)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(build_router()) as shop:
        yield shop


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def tokens(clock: FixedClock) -> AccessTokens:
    return AccessTokens(SECRET, clock)


def forged(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    now = int(NOW.timestamp())
    proper = {"sub": "17", "iat": now, "exp": now + 60, "roles": ["admin"], "epoch": 3}
    merged = {name: value for name, value in (proper | claims).items() if value is not ...}
    return jwt.encode(merged, secret, algorithm=algorithm, sort_headers=False)


def test_a_token_brings_back_its_principal(tokens: AccessTokens) -> None:
    token = tokens.issue(PRINCIPAL, LIFETIME)
    assert tokens.verify(token) == PRINCIPAL
    assert tokens.verify(token) == PRINCIPAL


@pytest.mark.parametrize("remembered", [False, True])
def test_a_token_expires_half_a_minute_after_its_time(tokens: AccessTokens, clock: FixedClock, remembered: bool) -> None:
    token = tokens.issue(PRINCIPAL, LIFETIME)
    if remembered:
        tokens.verify(token)
    clock.advance(LIFETIME + timedelta(seconds=29))
    assert tokens.verify(token) == PRINCIPAL
    clock.advance(timedelta(seconds=1))
    with pytest.raises(InvalidToken, match="expired"):
        tokens.verify(token)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": ...},
        {"iat": ...},
        {"exp": ...},
        {"roles": ...},
        {"epoch": ...},
        {"sub": "0"},
        {"sub": "-1"},
        {"sub": "١"},
        {"sub": str(2**63)},
        {"sub": "9" * 5000},
        {"sub": ""},
        {"sub": None},
        {"exp": "4102444800"},
        {"exp": 1e400},
        {"exp": float("nan")},
        {"exp": True},
        {"exp": 2**70},
        {"exp": int(NOW.timestamp()) - 31},
        {"iat": int(NOW.timestamp()) + 31},
        {"iat": 1.5},
        {"epoch": True},
        {"epoch": -1},
        {"epoch": "3"},
        {"epoch": 2**63},
        {"roles": "admin"},
        {"roles": [1]},
        {"roles": {"admin": True}},
        {"aud": "elsewhere"},
    ],
    ids=str,
)
def test_a_token_with_other_claims_is_refused(tokens: AccessTokens, claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(forged(**claims))


def test_a_token_of_another_secret_or_algorithm_is_refused(tokens: AccessTokens) -> None:
    unsigned = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none", "typ": "JWT"}, {"sub": "17", "exp": 2**40, "iat": 1, "roles": ["admin"], "epoch": 3})
    )
    for token in (
        forged(secret="x" * 64),
        forged(secret=SECRET * 2, algorithm="HS512"),
        unsigned + ".",
        forged(algorithm="HS384"),
    ):
        with pytest.raises(InvalidToken):
            tokens.verify(token)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "\ud800", "x" * 10_000, "[" * 5000])
def test_garbage_is_no_token(tokens: AccessTokens, token: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(token)


def test_a_token_of_deeply_nested_json_is_refused(tokens: AccessTokens) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 50_000).rstrip(b"=").decode()
    with pytest.raises(InvalidToken):
        tokens.verify(f"{deep}.{deep}.{deep}")


def test_a_short_secret_is_no_start() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AccessTokens("x" * 31, FixedClock(NOW))


def test_many_tokens_do_not_fill_the_memory(tokens: AccessTokens) -> None:
    for number in range(1, 5000):
        tokens.verify(tokens.issue(Principal(user_id=number, roles=frozenset(), epoch=1), LIFETIME))
    assert len(tokens._remembered) <= 4096


def test_without_a_token_a_protected_route_is_401_with_a_challenge(shop: Shop) -> None:
    answer = shop.request("DELETE", "/api/v1/wares/1")
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="emporium"'


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Bearer ", "Basic dTpw", "bearer x y", "\xff"])
@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/v1/wares/1"), ("GET", "/api/v1/wares/me/name")])
def test_a_bad_token_is_401_even_where_none_is_needed(shop: Shop, method: str, path: str, header: str) -> None:
    answer = shop.request(method, path, headers={"authorization": header.encode("latin-1")})
    assert_problem(answer, 401, "invalid-token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_public_route_that_does_not_ask_who_calls_ignores_tokens(shop: Shop) -> None:
    assert shop.get("/api/v1/wares/1", headers={"authorization": "Bearer expired"}).status_code == 200


def test_an_optional_caller_is_known_when_there_is_a_token(shop: Shop) -> None:
    assert shop.get("/api/v1/wares/me/name").json() is None
    assert shop.get("/api/v1/wares/me/name", headers=shop.token(user_id=5)).json() == 5


def test_a_missing_role_is_403(shop: Shop) -> None:
    answer = shop.post("/api/v1/wares", json={"name": "Mug", "price": "1.00"}, headers=shop.token(roles=["clerk"]))
    assert assert_problem(answer, 403, "forbidden")["roles"] == ["admin"]


def test_strangers_learn_nothing_about_their_body(shop: Shop) -> None:
    assert_problem(shop.post_bytes("/api/v1/wares", b"{"), 401)
    assert_problem(shop.post_bytes("/api/v1/wares", b"{", headers=shop.token()), 403)


def test_the_caller_of_one_request_is_not_the_caller_of_the_next(shop: Shop) -> None:
    shop.get("/api/v1/wares/me/name", headers=shop.token(user_id=5))
    assert shop.get("/api/v1/wares/me/name").json() is None
