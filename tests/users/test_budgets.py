"""What the routes and methods of users cost: one request or call each, within `contracts/budgets.toml`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.meter import FORM, Meter
from tests.users.users_app import PASSWORD, new_email

from kernel.pure.principal import Principal

USERS = "/api/v1/users"
AUTH = "/api/v1/auth"
Register = Callable[[], tuple[Principal, str]]


@pytest.fixture
def register(meter: Meter) -> Register:
    """A new person with an account, and their e-mail address."""

    def made() -> tuple[Principal, str]:
        email = new_email()
        body = {"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"}
        answer = meter.spend("POST", USERS, None, body, status=201)
        return Principal(user_id=answer.json()["id"], roles=frozenset(), epoch=1), email

    return made


def log_in(meter: Meter, email: str) -> Any:
    form = {"username": email, "password": PASSWORD}
    return meter.spend("POST", f"{AUTH}/token", None, form, content_type=FORM).json()


class TestTokens:
    def test_logging_in_refreshing_and_logging_out(self, meter: Meter, register: Register) -> None:
        _, email = register()
        pair = log_in(meter, email)
        pair = meter.spend("POST", f"{AUTH}/refresh", None, {"refresh_token": pair["refresh_token"]}).json()
        meter.spend("POST", f"{AUTH}/logout", None, {"refresh_token": pair["refresh_token"]}, status=204)

    def test_logging_out_everywhere(self, meter: Meter, register: Register) -> None:
        me, email = register()
        log_in(meter, email)
        meter.spend("POST", f"{AUTH}/logout-everywhere", me, status=204)


class TestOwnAccount:
    def test_reading_and_changing_it(self, meter: Meter, register: Register) -> None:
        me, _ = register()
        meter.spend("GET", f"{USERS}/me", me)
        meter.spend("PATCH", f"{USERS}/me", me, {"full_name": "Ada King"})
        passwords = {"old_password": PASSWORD, "new_password": f"{PASSWORD}, really"}
        meter.spend("POST", f"{USERS}/me/password", me, passwords)

    def test_deleting_it(self, meter: Meter, register: Register) -> None:
        me, email = register()
        log_in(meter, email)
        meter.spend("DELETE", f"{USERS}/me", me, status=204)


class TestById:
    def test_reading_changing_and_deleting(self, meter: Meter, register: Register) -> None:
        admin, (other, _) = meter.shop.admin(), register()
        path = f"{USERS}/{other.user_id}"
        meter.spend("GET", path, admin)
        meter.spend("PUT", path, admin, {"full_name": "Ada King"})
        meter.spend("PATCH", path, admin, {"full_name": None})
        meter.spend("DELETE", path, admin, status=204)


class TestAdministration:
    def test_listing(self, meter: Meter, register: Register) -> None:
        for _ in range(3):
            register()
        assert len(meter.spend("GET", USERS, meter.shop.admin()).json()["items"]) == 3

    def test_roles_disabling_and_enabling(self, meter: Meter, register: Register) -> None:
        admin, (first, _), (other, _) = meter.shop.admin(), register(), register()
        for person in (first, other):
            meter.spend("PUT", f"{USERS}/{person.user_id}/roles/admin", admin)
        meter.spend("DELETE", f"{USERS}/{other.user_id}/roles/admin", admin, status=204)
        meter.spend("POST", f"{USERS}/{other.user_id}/disable", admin)
        meter.spend("POST", f"{USERS}/{other.user_id}/enable", admin)


def test_methods(meter: Meter, register: Register) -> None:
    person, _ = register()
    assert meter.call("users", "get", lambda users: users.get(user_id=person.user_id)).id == person.user_id
