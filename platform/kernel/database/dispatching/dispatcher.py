"""The dispatcher: delivers what is due, step by step, in whatever thread calls it. Any number may work at once."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from kernel.database.call import outside_call, run_call
from kernel.database.dispatching.decoding import decode
from kernel.database.dispatching.deliveries import Claim, Deliveries
from kernel.database.dispatching.jobs import PeriodicJob, Timetable
from kernel.database.errors import CommitUnknown
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.listeners import DatabaseListener, Listener, OutsideListener

_TURN: Final = 50
"""Deliveries to one listener before the next one has its turn."""

log = logging.getLogger("emporium.events")


class Dispatcher:
    """Delivers events to these listeners and runs these jobs; `database` is the kernel's handle.

    Nothing here waits or sleeps: `run_until_idle` makes every delivery that is due now. Tests drive it by hand.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        listeners: Sequence[Listener[Any]],
        jobs: Sequence[PeriodicJob] = (),
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.listeners = tuple(listeners)
        self.jobs = tuple(jobs)
        self._database = database
        self._deliveries = Deliveries(database, clock, jitter=jitter)
        self._timetable = Timetable(database, clock)

    def run_until_idle(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Fan out and deliver until nothing is due, or until `stopping`; answers how many deliveries were tried."""
        tried = 0
        while not stopping():
            fanned = self.fan_out()
            turn = sum(self._turn_of(listener, stopping) for listener in self.listeners)
            if not fanned and not turn:
                break
            tried += turn
        return tried

    def fan_out(self) -> int:
        """Write deliveries for some new events; answers for how many events."""
        return run_call(partial(self._deliveries.fan_out, self.listeners))

    def deliver_next(self, listener: Listener[Any]) -> bool:
        """Try one delivery, if one is due. Errors of the handler are written down; those of the database go up."""
        if isinstance(listener, DatabaseListener):
            return self._deliver_inside(listener)
        return self._deliver_outside(listener)

    def run_jobs(self, *, due_only: bool = True, stopping: Callable[[], bool] = lambda: False) -> int:
        """Run the jobs that are due (or all of them) once; answers how many ran."""
        ran = 0
        for job in self.jobs:
            if stopping():
                break
            ran += self._timetable.run(job, due_only=due_only)
        return ran

    def _turn_of(self, listener: Listener[Any], stopping: Callable[[], bool]) -> int:
        for tried in range(_TURN):
            if stopping() or not self.deliver_next(listener):
                return tried
        return _TURN

    def _deliver_inside(self, listener: DatabaseListener[Any]) -> bool:
        """Claim, effect and mark in one transaction: whatever breaks, either all of it is stored or nothing."""
        claimed: Claim | None = None

        def deliver() -> None:
            nonlocal claimed
            claimed = None
            with self._database.transaction() as session:
                claimed = self._deliveries.claim(session.connection(), listener)
                if claimed is not None:
                    listener.handle(decode(listener.event, claimed.name, claimed.payload))
                    self._deliveries.mark_delivered(claimed)

        try:
            run_call(deliver)
        except CommitUnknown:
            # Stored or not, the row says so: the next claim finds it delivered, or due.
            raise
        except Exception as error:
            if claimed is None:
                raise
            self._fail(claimed, error, listener)
        return claimed is not None

    def _deliver_outside(self, listener: OutsideListener[Any]) -> bool:
        """Lease, call, mark: each step is stored before the next, so a crash repeats the call and never forgets it."""
        claim = run_call(partial(self._deliveries.lease, listener))
        if claim is None:
            return False
        try:
            if claim.attempts > listener.max_attempts:
                raise TimeoutError("its last attempt never ended")
            event = decode(listener.event, claim.name, claim.payload)
            run_call(partial(_call_outside, listener, event, claim))
        except Exception as error:
            self._fail(claim, error, listener)
        else:
            run_call(partial(self._deliveries.mark_delivered, claim))
        return True

    def _fail(self, claim: Claim, error: Exception, listener: Listener[Any]) -> None:
        log.debug("%s failed.", claim, exc_info=error)
        run_call(partial(self._deliveries.mark_failed, claim, error, max_attempts=listener.max_attempts))


def _call_outside(listener: OutsideListener[Any], event: Any, claim: Claim) -> None:
    outside_call()
    listener.handle(event, claim.event_id)
