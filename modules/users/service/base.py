"""What all use cases of users stand on: the collaborators, and the rules that several of them share."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from sqlalchemy.orm import Session

from kernel.database.principals import Principals
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.errors import Conflict
from kernel.pure.events import Events
from kernel.pure.principal import Principal
from users.crud import accounts as crud
from users.crud import roles as roles_crud
from users.crud.accounts import UserRow
from users.interface import User, UserNotFound
from users.service.passwords import Passwords
from users.service.refresh_tokens import RefreshTokens
from users.settings import TokenLifetimes


class LastAdmin(Conflict):
    """The shop would be left without an admin."""

    code = "last-admin"
    title = "The last admin stays"


class TokenIssuer(Protocol):
    def issue(self, principal: Principal, lifetime: timedelta) -> str:
        """An access token that speaks for the principal."""
        ...


class UseCases:
    def __init__(
        self,
        *,
        database: Database,
        events: Events,
        clock: Clock,
        principals: Principals,
        access_tokens: TokenIssuer,
        refresh_tokens: RefreshTokens,
        passwords: Passwords,
        lifetimes: TokenLifetimes,
        grantable_roles: frozenset[str],
    ) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._principals = principals
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._passwords = passwords
        self._lifetimes = lifetimes
        self._grantable_roles = grantable_roles

    def _raise_epoch(self, session: Session, user_id: int) -> None:
        """End every access token of the account. The account is locked."""
        crud.set_epoch(session, user_id, self._principals.raise_epoch(user_id=user_id))


def user_not_found(user_id: int) -> UserNotFound:
    return UserNotFound(f"There is no user {user_id}.", user_id=user_id)


def require_user(row: UserRow | None, user_id: int) -> User:
    """Errors: UserNotFound."""
    if row is None:
        raise user_not_found(user_id)
    return as_user(row)


def require_account(session: Session, user_id: int) -> None:
    """Lock the account. Errors: UserNotFound."""
    if not crud.lock_account(session, user_id):
        raise user_not_found(user_id)


def require_another_admin(session: Session, user_id: int) -> None:
    """Errors: LastAdmin."""
    if roles_crud.is_last_admin(session, user_id):
        raise LastAdmin("This is the last admin: make somebody else an admin first.")


def as_user(row: UserRow) -> User:
    return User(
        id=row.id,
        email=row.email,
        full_name=row.full_name,
        roles=tuple(row.roles),
        disabled_at=row.disabled_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
