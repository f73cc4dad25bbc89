"""SQL of roles: grant, take, and the lock that keeps one admin in the shop."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from kernel.pure.principal import ADMIN

_GRANT: Final = text(
    "INSERT INTO users.role_grants (user_id, role) VALUES (:user_id, :role) ON CONFLICT DO NOTHING RETURNING role"
)
_TAKE: Final = text("DELETE FROM users.role_grants WHERE user_id = :user_id AND role = :role RETURNING role")

# In id order, and every admin's: whoever takes the power of another admin at the same time waits here.
_LOCK_ADMINS: Final = text(
    """
    SELECT g.user_id FROM users.role_grants g
    WHERE g.role = :admin
      AND EXISTS (SELECT FROM users.role_grants own WHERE own.user_id = :user_id AND own.role = :admin)
    ORDER BY g.user_id FOR UPDATE OF g
    """
)

# A statement of its own: its snapshot is taken after the lock was got.
_OTHER_ADMINS: Final = text(
    """
    SELECT EXISTS (
      SELECT FROM users.role_grants g JOIN users.accounts a ON a.id = g.user_id
      WHERE g.role = :admin AND g.user_id <> :user_id AND a.disabled_at IS NULL AND a.closed_at IS NULL
    )
    """
)


def grant_role(session: Session, user_id: int, role: str) -> bool:
    """False when it was granted before."""
    return session.execute(_GRANT, {"user_id": user_id, "role": role}).one_or_none() is not None


def take_role(session: Session, user_id: int, role: str) -> bool:
    """False when it was not granted."""
    return session.execute(_TAKE, {"user_id": user_id, "role": role}).one_or_none() is not None


def is_last_admin(session: Session, user_id: int) -> bool:
    """Whether the shop would be without an active admin if this account were not one any more.

    Decided for the rest of the transaction: the grants of all admins are locked when this account is one of them.
    """
    values = {"user_id": user_id, "admin": ADMIN}
    if not session.execute(_LOCK_ADMINS, values).all():
        return False
    others: bool = session.execute(_OTHER_ADMINS, values).scalar_one()
    return not others
