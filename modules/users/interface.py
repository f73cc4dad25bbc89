"""All that other modules may know of users: the service, values, errors and events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol, runtime_checkable

from kernel.pure.errors import NotFound
from kernel.pure.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person with an account. `roles` are sorted; `disabled_at` is set while an admin keeps the account out."""

    id: int
    email: str
    full_name: str | None
    roles: tuple[str, ...]
    disabled_at: datetime | None
    created_at: datetime
    updated_at: datetime


class UserNotFound(NotFound):
    """An account does not exist, was closed, or is not for this caller to see."""

    code = "user-not-found"
    title = "User not found"


@dataclass(frozen=True, kw_only=True)
class UserClosed(Event):
    """An account was deleted and its personal data erased."""

    name: ClassVar[str] = "users.UserClosed"
    user_id: int

    @property
    def aggregate(self) -> str:
        return f"user:{self.user_id}"


@runtime_checkable
class UsersService(Protocol):
    """What users does for other modules. Every method joins the caller's running transaction."""

    def get(self, *, user_id: int) -> User:
        """The account with this id. Errors: UserNotFound (unknown or closed)."""
        ...
