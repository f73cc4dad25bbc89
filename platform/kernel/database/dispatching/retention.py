"""Retention: what the kernel keeps for a while only is deleted by jobs, in portions that hold nobody up."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import TextClause, text

from kernel.database.call import run_call
from kernel.database.dispatching.jobs import PeriodicJob
from kernel.database.dispatching.statements import DELETE_OLD_EVENTS
from kernel.database.tables import ATTEMPT_STATUS
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock

PORTION: Final = 1_000
"""Rows of one transaction."""
PORTIONS: Final = 10
"""Of one run: events are not delivered meanwhile by the process that deletes."""
KEEP_ATTEMPTS: Final = timedelta(days=30)
"""A repeat of a payment or a refund goes on with the first attempt as long as its key is there, and begins another when it is
not. So these keys stay for longer than a provider is silent, and than anybody repeats a request."""
_EVERY: Final = timedelta(seconds=30)

# By the server's clock, which wrote `created_at`.
_DELETE_OLD_KEYS: Final = (
    "DELETE FROM kernel.idempotency_keys WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM kernel.idempotency_keys WHERE status {which} {attempt} AND created_at < now() - CAST(:keep AS interval)"
    " ORDER BY created_at LIMIT :portion FOR UPDATE SKIP LOCKED))"
)
# As the conditions of the two partial indexes say it.
_DELETE_OLD_ANSWERS: Final = text(_DELETE_OLD_KEYS.format(which="<>", attempt=ATTEMPT_STATUS))
_DELETE_OLD_ATTEMPTS: Final = text(_DELETE_OLD_KEYS.format(which="=", attempt=ATTEMPT_STATUS))


class Retention:
    """Deletes the Idempotency-Keys, and the events that everybody has heard, that were kept for their time."""

    def __init__(self, database: Database, clock: Clock, *, keep_keys: timedelta, keep_events: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._keep_keys = keep_keys
        self._keep_events = keep_events
        self._events_after = 0
        """Where a run that was cut short goes on: what stays, such as dead letters, may be more than a run looks at."""

    def jobs(self) -> tuple[PeriodicJob, ...]:
        return (
            PeriodicJob(name="kernel.delete_old_keys", every=_EVERY, run=self.delete_old_keys),
            PeriodicJob(name="kernel.delete_old_events", every=_EVERY, run=self.delete_old_events),
        )

    def delete_old_keys(self) -> int:
        """Answers how many; a repeat of their requests is a new request from then on."""
        answers = self._delete_keys(_DELETE_OLD_ANSWERS, self._keep_keys)
        return answers + self._delete_keys(_DELETE_OLD_ATTEMPTS, max(self._keep_keys, KEEP_ATTEMPTS))

    def delete_old_events(self) -> int:
        """Answers how many. Events with deliveries that are open or dead stay, however old."""
        before = self._clock.now() - self._keep_events
        deleted = 0
        for _ in range(PORTIONS):
            portion = run_call(partial(self._delete_events, before))
            deleted += portion.deleted
            if not portion.any_old:
                # Ids and times rise together, so what follows is younger.
                self._events_after = 0
                break
            self._events_after = portion.last
        return deleted

    def _delete_keys(self, statement: TextClause, keep: timedelta) -> int:
        deleted = 0
        for _ in range(PORTIONS):
            portion = run_call(partial(self._delete_portion, statement, keep))
            deleted += portion
            if portion < PORTION:
                break
        return deleted

    def _delete_portion(self, statement: TextClause, keep: timedelta) -> int:
        with self._database.transaction(label="delete-old-keys") as session:
            return session.connection().execute(statement, {"keep": keep, "portion": PORTION}).rowcount

    def _delete_events(self, before: datetime) -> AnyRow:
        values = {"before": before, "after": self._events_after, "done": ["delivered"], "portion": PORTION}
        with self._database.transaction(label="delete-old-events") as session:
            return session.connection().execute(DELETE_OLD_EVENTS, values).one()
