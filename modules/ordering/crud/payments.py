"""SQL of attempts to pay: each step is one statement that starts from a status and finds no row when it was too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from kernel.database.types import AnyRow

_COLUMNS: Final = (
    "p.id, p.order_id, p.status, p.provider, p.method, p.token, p.amount, p.currency, p.gateway_key, p.gateway_reference,"
    " p.decline_code, p.checks, p.created_at, p.updated_at, o.status AS order_status, o.number AS order_number, o.user_id,"
    " o.stock_reference"
)

_BEGIN: Final = text(
    """
    INSERT INTO ordering.payments
      (order_id, provider, method, token, amount, currency, gateway_key, next_check_at, created_at, updated_at)
    SELECT id, :provider, :method, :token, total, currency, :gateway_key, :next_check_at, :now, :now
    FROM ordering.orders WHERE id = :order_id AND status = 'pending' AND (user_id = :user_id OR :every)
    ON CONFLICT (order_id) WHERE status IN ('started', 'authorised', 'captured') DO NOTHING
    RETURNING id
    """
)
_LIVE: Final = text(
    "SELECT id FROM ordering.payments WHERE order_id = :order_id AND status IN ('started', 'authorised', 'captured')"
)
_READ: Final = text(
    f"SELECT {_COLUMNS} FROM ordering.payments AS p JOIN ordering.orders AS o ON o.id = p.order_id"  # noqa: S608 -- constants
    " WHERE p.id = :payment_id"
)
_READ_BY_KEY: Final = text("SELECT id FROM ordering.payments WHERE provider = :provider AND gateway_key = :gateway_key")
_LIST: Final = text(
    f"SELECT {_COLUMNS} FROM ordering.payments AS p JOIN ordering.orders AS o ON o.id = p.order_id"  # noqa: S608 -- constants
    " WHERE p.order_id = :order_id AND p.id > :after_id ORDER BY p.id LIMIT :limit"
)
_MOVE: Final = text(
    f"""
    UPDATE ordering.payments AS p SET status = :to, updated_at = :now,
      gateway_reference = COALESCE(:gateway_reference, p.gateway_reference),
      decline_code = COALESCE(:decline_code, p.decline_code),
      token = CASE WHEN :to IN ('declined', 'reversed') THEN NULL ELSE p.token END
    FROM ordering.orders AS o
    WHERE p.id = :payment_id AND p.status = ANY(:from) AND o.id = p.order_id
    RETURNING {_COLUMNS}
    """  # noqa: S608 -- constants
)
# The order's row is locked first, as by cancelling: whoever comes second finds it no longer pending.
_CAPTURED: Final = text(
    f"""
    WITH moved AS (
      UPDATE ordering.orders AS o SET status = 'paid', captured_amount = total, version = version + 1, updated_at = now()
      WHERE id = :order_id AND status = 'pending'
        AND EXISTS (SELECT FROM ordering.payments WHERE id = :payment_id AND status = 'authorised')
      RETURNING id, number, user_id, stock_reference, total
    ), noted AS (
      INSERT INTO ordering.order_history (order_id, action, status, actor, actor_id, amount)
      SELECT id, 'pay', 'paid', 'customer', user_id, total FROM moved
    ), p AS (
      UPDATE ordering.payments SET status = 'captured', token = NULL, updated_at = :now
      WHERE id = :payment_id AND order_id = (SELECT id FROM moved)
      RETURNING *
    )
    SELECT {_COLUMNS.replace("o.status", "'paid'")}, (
      SELECT json_agg(json_build_array(product_id, quantity) ORDER BY position)
      FROM ordering.order_lines WHERE order_id = o.id
    ) AS lines
    FROM p JOIN moved AS o ON o.id = p.order_id
    """  # noqa: S608 -- constants
)
_REVERSE: Final = text(
    f"""
    UPDATE ordering.payments AS p SET status = 'reversing', updated_at = :now, next_check_at = :next_check_at
    FROM ordering.orders AS o
    WHERE p.id = :payment_id AND p.status IN ('started', 'authorised') AND o.id = p.order_id AND o.status <> 'pending'
    RETURNING {_COLUMNS}
    """  # noqa: S608 -- constants
)
_CLAIM: Final = text(
    """
    UPDATE ordering.payments SET checks = checks + 1,
      next_check_at = CAST(:now AS timestamptz) + make_interval(secs => least(5 * 2 ^ least(checks, 10), 600))
    WHERE id IN (
      SELECT id FROM ordering.payments WHERE status IN ('started', 'authorised', 'reversing') AND next_check_at <= :now
      ORDER BY next_check_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING id
    """
)
_TAKE_MESSAGE: Final = text(
    "INSERT INTO ordering.payment_messages (provider, event_id) VALUES (:provider, :event_id)"
    " ON CONFLICT DO NOTHING RETURNING event_id"
)
_DELETE_OLD_MESSAGES: Final = text(
    "DELETE FROM ordering.payment_messages WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM ordering.payment_messages WHERE created_at < now() - CAST(:keep AS interval)"
    " ORDER BY created_at LIMIT :portion FOR UPDATE SKIP LOCKED)) RETURNING 1"
)


def begin_payment(session: Session, values: Mapping[str, Any]) -> int | None:
    """Write an attempt for a pending order of this user (of anybody with `every`); None unless there is such an order and
    nobody else is about to pay it."""
    payment_id: int | None = session.execute(_BEGIN, values).scalar_one_or_none()
    return payment_id


def live_payment(session: Session, order_id: int) -> int | None:
    payment_id: int | None = session.execute(_LIVE, {"order_id": order_id}).scalar_one_or_none()
    return payment_id


def read_payment(connection: Connection | Session, payment_id: int) -> AnyRow | None:
    """The attempt, with its order's order_status, order_number, user_id and stock_reference."""
    return connection.execute(_READ, {"payment_id": payment_id}).one_or_none()


def find_payment(connection: Connection | Session, *, provider: str, gateway_key: str) -> int | None:
    values = {"provider": provider, "gateway_key": gateway_key}
    payment_id: int | None = connection.execute(_READ_BY_KEY, values).scalar_one_or_none()
    return payment_id


def list_payments(connection: Connection, order_id: int, *, after_id: int, limit: int) -> Sequence[AnyRow]:
    """The attempts to pay an order above `after_id`, oldest first, as `read_payment`."""
    return connection.execute(_LIST, {"order_id": order_id, "after_id": after_id, "limit": limit}).all()


def move_payment(
    session: Session,
    payment_id: int,
    *,
    from_statuses: Sequence[str],
    to_status: str,
    now: datetime,
    gateway_reference: str | None = None,
    decline_code: str | None = None,
) -> AnyRow | None:
    values = {
        "payment_id": payment_id,
        "from": list(from_statuses),
        "to": to_status,
        "now": now,
        "gateway_reference": gateway_reference,
        "decline_code": decline_code,
    }
    return session.execute(_MOVE, values).one_or_none()


def capture_payment(session: Session, payment_id: int, *, order_id: int, now: datetime) -> AnyRow | None:
    """Make an order paid by this authorised attempt; as `read_payment`, and the order's `lines` as [product_id, quantity].

    None when the order is no longer pending, or the attempt no longer authorised.
    """
    return session.execute(_CAPTURED, {"payment_id": payment_id, "order_id": order_id, "now": now}).one_or_none()


def reverse_payment(session: Session, payment_id: int, *, now: datetime, next_check_at: datetime) -> AnyRow | None:
    """Let go of an attempt whose order is not pending any more; None when it still is, or somebody else was here."""
    values = {"payment_id": payment_id, "now": now, "next_check_at": next_check_at}
    return session.execute(_REVERSE, values).one_or_none()


def claim_payments(session: Session, *, now: datetime, limit: int) -> Sequence[int]:
    """Attempts that nobody has settled for a while; each is this caller's until its next check."""
    return session.execute(_CLAIM, {"now": now, "limit": limit}).scalars().all()


def take_message(session: Session, *, provider: str, event_id: str) -> bool:
    """Whether the message is new."""
    values = {"provider": provider, "event_id": event_id}
    return session.execute(_TAKE_MESSAGE, values).one_or_none() is not None


def delete_old_messages(session: Session, *, keep: timedelta, portion: int) -> int:
    """How many of at most `portion` went; their age is by the server's clock, which wrote it."""
    return len(session.execute(_DELETE_OLD_MESSAGES, {"keep": keep, "portion": portion}).all())
