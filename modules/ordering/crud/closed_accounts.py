"""SQL of closed accounts: what is left to do about their orders. Times are the server's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

_NOTE: Final = text(
    "INSERT INTO ordering.closed_accounts (user_id) VALUES (:user_id)"
    " ON CONFLICT (user_id) DO UPDATE SET closed_at = now(), next_look_at = now()"
)
_CLAIM: Final = text(
    """
    UPDATE ordering.closed_accounts SET next_look_at = now() + CAST(:lease AS interval)
    WHERE user_id IN (
      SELECT user_id FROM ordering.closed_accounts WHERE next_look_at <= now()
      ORDER BY next_look_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING user_id
    """
)
_LOOK_AGAIN: Final = text("UPDATE ordering.closed_accounts SET next_look_at = now() WHERE user_id = :user_id")
# The two conditions leave no row to both: which of them comes first is open.
_DONE: Final = text(
    """
    WITH late AS (
      DELETE FROM ordering.closed_accounts WHERE user_id = :user_id AND closed_at <= now() - CAST(:again AS interval)
    )
    UPDATE ordering.closed_accounts SET next_look_at = closed_at + CAST(:again AS interval)
    WHERE user_id = :user_id AND closed_at > now() - CAST(:again AS interval)
    """
)
_PENDING: Final = text(
    "SELECT id FROM ordering.orders WHERE user_id = :user_id AND status = 'pending' ORDER BY id LIMIT :limit"
)
_ERASE: Final = text(
    """
    WITH addressed AS (
      SELECT id FROM ordering.orders WHERE user_id = :user_id AND id > :after AND shipping_address IS NOT NULL
      ORDER BY id LIMIT :portion
    ), erased AS (
      UPDATE ordering.orders SET shipping_address = NULL, version = version + 1, updated_at = now()
      WHERE id IN (SELECT id FROM addressed) AND shipping_address IS NOT NULL
    )
    SELECT max(id) FROM addressed
    """
)


def note_closed(session: Session, user_id: int) -> None:
    session.execute(_NOTE, {"user_id": user_id})


def claim_closed(session: Session, *, lease: timedelta, limit: int) -> Sequence[int]:
    """Accounts that are due, the longest first; each is this caller's for the time of `lease`."""
    return session.execute(_CLAIM, {"lease": lease, "limit": limit}).scalars().all()


def look_again(session: Session, user_id: int) -> None:
    """There is more to do: the account is due now."""
    session.execute(_LOOK_AGAIN, {"user_id": user_id})


def done_with(session: Session, user_id: int, *, again: timedelta) -> None:
    """Forget the account if it was closed longer than `again` ago; else it is due once more, that long after."""
    session.execute(_DONE, {"user_id": user_id, "again": again})


def pending_orders_of(connection: Connection, user_id: int, *, limit: int) -> Sequence[int]:
    return connection.execute(_PENDING, {"user_id": user_id, "limit": limit}).scalars().all()


def erase_addresses(session: Session, user_id: int, *, after: int, portion: int) -> int | None:
    """Erase the addresses of so many orders above `after`, by id; answers the last one's id, None without any."""
    last: int | None = session.execute(_ERASE, {"user_id": user_id, "after": after, "portion": portion}).scalar_one()
    return last
