"""What other modules may rely on: the same claims hold for the real service and for the fake."""

from __future__ import annotations

from typing import Protocol

import pytest
from tests.users.users_app import UsersApp, new_email

from users.fakes import FakeUsersService
from users.interface import UserNotFound, UsersService


class Subject(Protocol):
    """A service, with the ways to arrange accounts in it."""

    @property
    def service(self) -> UsersService: ...

    def add(self, email: str, *roles: str) -> int: ...

    def disable(self, user_id: int) -> None: ...

    def close(self, user_id: int) -> None: ...


class RealUsers:
    def __init__(self, users: UsersApp) -> None:
        self.service = users.service
        self._admin = users.admin()
        self._users = users

    def add(self, email: str, *roles: str) -> int:
        return self._users.register(email=email, roles=roles)

    def disable(self, user_id: int) -> None:
        assert self._users.post(f"/users/{user_id}/disable", headers=self._admin.headers).status_code == 200

    def close(self, user_id: int) -> None:
        assert self._users.delete(f"/users/{user_id}", headers=self._admin.headers).status_code == 204


class FakeUsers:
    def __init__(self) -> None:
        self.service = FakeUsersService()

    def add(self, email: str, *roles: str) -> int:
        return self.service.add(email=email, full_name="Ada Lovelace", roles=roles)

    def disable(self, user_id: int) -> None:
        self.service.disable(user_id=user_id)

    def close(self, user_id: int) -> None:
        self.service.close(user_id=user_id)


@pytest.fixture(params=["real", "fake"])
def subject(request: pytest.FixtureRequest) -> Subject:
    return RealUsers(request.getfixturevalue("users")) if request.param == "real" else FakeUsers()


def test_it_keeps_the_protocol(subject: Subject) -> None:
    assert isinstance(subject.service, UsersService)


def test_an_account_is_found_by_its_id(subject: Subject) -> None:
    user_id = subject.add("Ada@Example.com")

    user = subject.service.get(user_id=user_id)

    assert (user.id, user.email, user.full_name) == (user_id, "ada@example.com", "Ada Lovelace")
    assert (user.roles, user.disabled_at) == ((), None)
    assert user.created_at.tzinfo is not None


def test_roles_are_sorted(subject: Subject) -> None:
    user_id = subject.add(new_email(), "clerk", "admin", "buyer")

    assert subject.service.get(user_id=user_id).roles == ("admin", "buyer", "clerk")


def test_a_disabled_account_is_found_and_says_so(subject: Subject) -> None:
    user_id = subject.add(new_email())
    subject.disable(user_id)

    assert subject.service.get(user_id=user_id).disabled_at is not None


def test_an_unknown_account_is_not_found(subject: Subject) -> None:
    with pytest.raises(UserNotFound) as caught:
        subject.service.get(user_id=4711)

    assert caught.value.data == {"user_id": 4711}


def test_a_closed_account_is_not_found_and_its_id_is_not_given_again(subject: Subject) -> None:
    user_id = subject.add(new_email())
    subject.close(user_id)

    with pytest.raises(UserNotFound):
        subject.service.get(user_id=user_id)
    assert subject.add(new_email()) != user_id
