"""SQL of accounts: create, read, list, lock, change, close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, Text, bindparam, func, select, text, update
from sqlalchemy.orm import Session

from kernel.database.types import AnyRow
from users.models import Account, RoleGrant

UserRow = AnyRow
"""id, email, full_name, roles, disabled_at, created_at, updated_at."""

_COLUMNS: Final = (
    Account.id,
    Account.email,
    Account.full_name,
    func.array(select(RoleGrant.role).where(RoleGrant.user_id == Account.id).order_by(RoleGrant.role).scalar_subquery()).label(
        "roles"
    ),
    Account.disabled_at,
    Account.created_at,
    Account.updated_at,
)
_OPEN: Final = select(*_COLUMNS).where(Account.closed_at.is_(None))
_SAME_EMAIL: Final = func.lower(Account.email) == func.lower(bindparam("email", type_=Text))

_READ: Final = _OPEN.where(Account.id == bindparam("user_id"))
_READ_BY_EMAIL: Final = _OPEN.where(_SAME_EMAIL)

_READ_CREDENTIALS: Final = select(Account.id, Account.email, Account.password_hash, Account.disabled_at).where(
    Account.closed_at.is_(None)
)
_READ_CREDENTIALS_BY_EMAIL: Final = _READ_CREDENTIALS.where(_SAME_EMAIL)
_READ_CREDENTIALS_BY_ID: Final = _READ_CREDENTIALS.where(Account.id == bindparam("user_id"))

# An address that is taken is no error of the database, which would log the statement with what it would have stored.
_CREATE: Final = text(
    """
    INSERT INTO users.accounts (email, password_hash, full_name) VALUES (:email, :password_hash, :full_name)
    ON CONFLICT (lower(email)) WHERE closed_at IS NULL DO NOTHING
    RETURNING id
    """
)

_LOCK: Final = text("SELECT id FROM users.accounts WHERE id = :user_id AND closed_at IS NULL FOR NO KEY UPDATE")

_LOCK_FOR_LOG_IN: Final = text(
    """
    SELECT id FROM users.accounts
    WHERE id = :user_id AND password_hash = :password_hash AND disabled_at IS NULL FOR NO KEY UPDATE
    """
)

_SET_PASSWORD: Final = text(
    """
    UPDATE users.accounts SET password_hash = :new_hash, updated_at = now()
    WHERE id = :user_id AND password_hash = :old_hash
    RETURNING id
    """
)

_SET_EPOCH: Final = text("UPDATE users.accounts SET epoch = :epoch, updated_at = now() WHERE id = :user_id")

_DISABLE: Final = text("UPDATE users.accounts SET disabled_at = now() WHERE id = :user_id AND disabled_at IS NULL RETURNING id")

_ENABLE: Final = text(
    "UPDATE users.accounts SET disabled_at = NULL, updated_at = now() WHERE id = :user_id AND disabled_at IS NOT NULL"
)

_CLOSE: Final = text(
    """
    WITH granted AS (
      DELETE FROM users.role_grants WHERE user_id = :user_id
    ), families AS (
      DELETE FROM users.token_families WHERE user_id = :user_id
    )
    UPDATE users.accounts
    SET email = NULL, password_hash = NULL, full_name = NULL, closed_at = now(), updated_at = now()
    WHERE id = :user_id
    """
)


@dataclass(frozen=True, kw_only=True)
class UserFilter:
    """What a list of users is narrowed to; None does not narrow."""

    email: str | None = None
    role: str | None = None
    disabled: bool | None = None


def read_user(connection: Connection | Session, user_id: int) -> UserRow | None:
    return connection.execute(_READ, {"user_id": user_id}).one_or_none()


def read_user_by_email(connection: Connection | Session, email: str) -> UserRow | None:
    return connection.execute(_READ_BY_EMAIL, {"email": email}).one_or_none()


def list_users(connection: Connection, *, where: UserFilter, after_id: int, limit: int) -> list[UserRow]:
    """Up to `limit` users in the order of their ids, after one."""
    values: dict[str, Any] = {"after_id": after_id, "limit": limit}
    for name in ("email", "role"):
        if (value := getattr(where, name)) is not None:
            values[name] = value
    return list(connection.execute(_list_statement(frozenset(values), where.disabled), values))


@cache
def _list_statement(names: frozenset[str], disabled: bool | None) -> Select[*tuple[Any, ...]]:
    """One statement per combination of filters, built once; the values are bound at each use."""
    statement: Select[*tuple[Any, ...]] = _OPEN.where(Account.id > bindparam("after_id"))
    if "email" in names:
        statement = statement.where(_SAME_EMAIL)
    if "role" in names:
        holders = select(RoleGrant.user_id).where(RoleGrant.role == bindparam("role"))
        statement = statement.where(Account.id.in_(holders))
    if disabled is not None:
        statement = statement.where(Account.disabled_at.is_not(None) if disabled else Account.disabled_at.is_(None))
    return statement.order_by(Account.id).limit(bindparam("limit"))


def read_credentials_by_email(connection: Connection, email: str) -> AnyRow | None:
    """id, email, password_hash, disabled_at of an account that is not closed."""
    return connection.execute(_READ_CREDENTIALS_BY_EMAIL, {"email": email}).one_or_none()


def read_credentials(connection: Connection, user_id: int) -> AnyRow | None:
    """id, email, password_hash, disabled_at of an account that is not closed."""
    return connection.execute(_READ_CREDENTIALS_BY_ID, {"user_id": user_id}).one_or_none()


def create_account(session: Session, *, email: str, password_hash: str, full_name: str | None) -> int | None:
    """The new account's id; None when the address is taken."""
    values = {"email": email, "password_hash": password_hash, "full_name": full_name}
    user_id: int | None = session.execute(_CREATE, values).scalar_one_or_none()
    return user_id


def lock_account(session: Session, user_id: int) -> bool:
    """Keep the account as it is until the transaction ends; False when there is none, or it is closed.

    Whatever changes what an account may do takes this lock first, then the admins' grants, then the kernel's row: one
    order, so that two of them never wait for each other.
    """
    return session.execute(_LOCK, {"user_id": user_id}).one_or_none() is not None


def lock_account_for_log_in(session: Session, user_id: int, *, password_hash: str) -> bool:
    """As `lock_account`; False also when it is disabled, or its hash is not this one any more."""
    values = {"user_id": user_id, "password_hash": password_hash}
    return session.execute(_LOCK_FOR_LOG_IN, values).one_or_none() is not None


def change_account(session: Session, user_id: int, changes: Mapping[str, Any]) -> UserRow | None:
    """Set columns and answer the user; None when there is no such account."""
    statement = (
        update(Account)
        .where(Account.id == user_id, Account.closed_at.is_(None))
        .values(**changes, updated_at=func.now())
        .returning(*_COLUMNS)
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).one_or_none()


def set_password(session: Session, user_id: int, *, old_hash: str, new_hash: str) -> bool:
    """False when the hash is not `old_hash` any more."""
    values = {"user_id": user_id, "old_hash": old_hash, "new_hash": new_hash}
    return session.execute(_SET_PASSWORD, values).one_or_none() is not None


def set_epoch(session: Session, user_id: int, epoch: int) -> None:
    session.execute(_SET_EPOCH, {"user_id": user_id, "epoch": epoch})


def disable_account(session: Session, user_id: int) -> bool:
    """False when it was disabled before."""
    return session.execute(_DISABLE, {"user_id": user_id}).one_or_none() is not None


def enable_account(session: Session, user_id: int) -> None:
    session.execute(_ENABLE, {"user_id": user_id})


def close_account(session: Session, user_id: int) -> None:
    """Erase what is known of the person, and take roles and refresh tokens."""
    session.execute(_CLOSE, {"user_id": user_id})
