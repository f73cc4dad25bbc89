"""Deliveries: claiming one, and writing down how it went."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel.database.dispatching.decoding import Undecodable
from kernel.database.dispatching.statements import CLAIM, FAN_OUT, FAN_OUT_LOCK, LEASE, SETTLE
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.listeners import Listener, OutsideListener

_LOCK_KEY: Final = int.from_bytes(hashlib.sha256(b"emporium: fan out").digest()[:8], "big", signed=True)
_BATCH: Final = 500
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_ERROR_LENGTH: Final = 500

log = logging.getLogger("emporium.events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One delivery as it was when it was claimed."""

    outbox_id: int
    listener: str
    aggregate: str
    status: str
    attempts: int
    """Those that count already; of a leased one, the running attempt included."""
    event_id: UUID
    name: str
    payload: Any

    def __str__(self) -> str:
        return f"{self.name} {self.outbox_id} ({self.aggregate}) to {self.listener}"


class Deliveries:
    """The rows of `kernel.deliveries`."""

    def __init__(self, database: Database, clock: Clock, *, jitter: Callable[[], float] = random.random) -> None:
        self._database = database
        self._clock = clock
        self._jitter = jitter

    def fan_out(self, listeners: Sequence[Listener[Any]]) -> int:
        """Write the deliveries of some new events; answers how many events, and 0 while another process does it.

        One at a time: two that each took a part could hand out the later events of an aggregate before the earlier ones.
        """
        known = {
            "events": [listener.event.name for listener in listeners],
            "listeners": [listener.name for listener in listeners],
        }
        with self._database.transaction() as session:
            connection = session.connection()
            if not connection.execute(FAN_OUT_LOCK, {"key": _LOCK_KEY}).scalar_one():
                return 0
            return int(connection.execute(FAN_OUT, {**known, "now": self._clock.now(), "batch": _BATCH}).scalar_one())

    def claim(self, connection: Connection, listener: Listener[Any]) -> Claim | None:
        """The first delivery that is due and not held back; it stays locked until the transaction ends."""
        row = connection.execute(CLAIM, {"listener": listener.name, "now": self._clock.now()}).one_or_none()
        if row is None:
            return None
        return Claim(
            outbox_id=row.outbox_id,
            listener=listener.name,
            aggregate=row.aggregate,
            status=row.status,
            attempts=row.attempts,
            event_id=UUID(str(row.event_id)),
            name=row.name,
            payload=row.payload,
        )

    def lease(self, listener: OutsideListener[Any]) -> Claim | None:
        """Claim a delivery for the time of the listener's lease, and count the attempt before it is made. Commits."""
        with self._database.transaction() as session:
            connection = session.connection()
            claim = self.claim(connection, listener)
            if claim is None:
                return None
            until = self._clock.now() + listener.lease
            connection.execute(LEASE, {"outbox_id": claim.outbox_id, "listener": listener.name, "until": until})
        return Claim(
            outbox_id=claim.outbox_id,
            listener=claim.listener,
            aggregate=claim.aggregate,
            status="leased",
            attempts=claim.attempts + 1,
            event_id=claim.event_id,
            name=claim.name,
            payload=claim.payload,
        )

    def mark_delivered(self, claim: Claim) -> None:
        """Joins the running transaction, if there is one."""
        now = self._clock.now()
        attempts = claim.attempts + (claim.status == "pending")
        self._settle(claim, status="delivered", attempts=attempts, next_attempt_at=now, delivered_at=now)

    def mark_failed(self, claim: Claim, error: BaseException, *, max_attempts: int) -> None:
        """Put it off, or give it up when it has had its attempts or no attempt can succeed."""
        attempts = claim.attempts + (claim.status == "pending")
        what = _told(error)
        dead = isinstance(error, Undecodable) or attempts >= max_attempts
        pause = timedelta(0) if dead else self._pause_after(attempts)
        settled = self._settle(
            claim,
            status="dead" if dead else "pending",
            attempts=attempts,
            next_attempt_at=self._clock.now() + pause,
            last_error=what,
        )
        if not settled:
            log.warning("%s failed (%s) after another process had taken it over.", claim, what)
        elif dead:
            log.error("%s is dead after %d attempts (%s): `emporium events show %d`.", claim, attempts, what, claim.outbox_id)
        else:
            log.warning("%s failed %d times (%s); again in %.0f s.", claim, attempts, what, pause.total_seconds())

    def _pause_after(self, attempts: int) -> timedelta:
        """Doubles each time; half to one and a half of it, so that what failed together is not repeated together."""
        pause: timedelta = min(_FIRST_PAUSE * 2 ** min(attempts - 1, 30), _LONGEST_PAUSE)
        return pause * (0.5 + self._jitter())

    def _settle(
        self,
        claim: Claim,
        *,
        status: str,
        attempts: int,
        next_attempt_at: datetime,
        last_error: str | None = None,
        delivered_at: datetime | None = None,
    ) -> bool:
        values = {
            "status": status,
            "attempts": attempts,
            "next_attempt_at": next_attempt_at,
            "last_error": last_error,
            "delivered_at": delivered_at,
            "outbox_id": claim.outbox_id,
            "listener": claim.listener,
            "claimed_status": claim.status,
            "claimed_attempts": claim.attempts,
        }
        with self._database.transaction() as session:
            return session.connection().execute(SETTLE, values).rowcount == 1


def _told(error: BaseException) -> str:
    """Class and message on one line. Of a database error without the statement, whose parameters may be personal data."""
    message = str(error.orig).partition("\n")[0] if isinstance(error, DBAPIError) else str(error)
    line = " ".join(f"{type(error).__name__}: {message}".split())
    # What PostgreSQL's text cannot hold.
    return line.replace("\0", "").encode(errors="replace").decode()[:_ERROR_LENGTH]
