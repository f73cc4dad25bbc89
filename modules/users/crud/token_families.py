"""SQL of token families: start, rotate, read, end; and the principal that tokens are issued for."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.orm import Session

from kernel.database.types import AnyRow

_MAX_FAMILIES: Final = 100
"""Log-ins of one account at a time; the one longest unused ends first."""

_START: Final = text(
    """
    WITH swept AS (
      DELETE FROM users.token_families WHERE id IN (
        SELECT id FROM users.token_families WHERE user_id = :user_id AND expires_at > :now
        ORDER BY expires_at DESC, id OFFSET :others
      ) OR user_id = :user_id AND expires_at <= :now
    )
    INSERT INTO users.token_families (id, user_id, issued_at, expires_at) VALUES (:family_id, :user_id, :now, :expires_at)
    """
).bindparams(bindparam("family_id", type_=Uuid))

# Of two requests with the same token one finds its generation; the other waits, and finds the next one.
_ROTATE: Final = text(
    """
    UPDATE users.token_families SET generation = generation + 1, rotated_at = :now, expires_at = :expires_at
    WHERE id = :family_id AND generation = :generation AND expires_at > :now
    RETURNING user_id
    """
).bindparams(bindparam("family_id", type_=Uuid))

_READ: Final = text(
    """
    SELECT user_id, generation, rotated_at FROM users.token_families
    WHERE id = :family_id AND expires_at > :now FOR UPDATE
    """
).bindparams(bindparam("family_id", type_=Uuid))

_END: Final = text("DELETE FROM users.token_families WHERE id = :family_id").bindparams(bindparam("family_id", type_=Uuid))
_END_ALL: Final = text("DELETE FROM users.token_families WHERE user_id = :user_id")

# Epoch and roles in one statement, so in one snapshot: an old role never goes with a new epoch.
_PRINCIPAL: Final = text(
    """
    SELECT a.epoch, ARRAY(SELECT g.role FROM users.role_grants g WHERE g.user_id = a.id) AS roles
    FROM users.accounts a WHERE a.id = :user_id AND a.disabled_at IS NULL AND a.closed_at IS NULL
    """
)


def start_family(session: Session, user_id: int, *, family_id: UUID, now: datetime, expires_at: datetime) -> None:
    """Start a family, and sweep away what has expired of the same account."""
    values = {"user_id": user_id, "family_id": family_id, "now": now, "expires_at": expires_at, "others": _MAX_FAMILIES - 1}
    session.execute(_START, values)


def rotate_family(session: Session, family_id: UUID, *, generation: int, now: datetime, expires_at: datetime) -> int | None:
    """Go on to the next generation and answer the user's id; None when this generation is not the current one."""
    values = {"family_id": family_id, "generation": generation, "now": now, "expires_at": expires_at}
    user_id: int | None = session.execute(_ROTATE, values).scalar_one_or_none()
    return user_id


def read_family(session: Session, family_id: UUID, *, now: datetime) -> AnyRow | None:
    """user_id, generation, rotated_at; locked."""
    return session.execute(_READ, {"family_id": family_id, "now": now}).one_or_none()


def end_family(session: Session, family_id: UUID) -> None:
    session.execute(_END, {"family_id": family_id})


def end_families(session: Session, user_id: int) -> None:
    session.execute(_END_ALL, {"user_id": user_id})


def read_principal(session: Session, user_id: int) -> AnyRow | None:
    """epoch and roles; None for an account that may not log in."""
    return session.execute(_PRINCIPAL, {"user_id": user_id}).one_or_none()
