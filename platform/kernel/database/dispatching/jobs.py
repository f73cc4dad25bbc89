"""Periodic jobs: sweeps and reconcilers, by one process at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from kernel.database.call import run_call
from kernel.database.dispatching.statements import CLAIM_JOB, END_JOB
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock

LEASE: Final = timedelta(seconds=30)

log = logging.getLogger("emporium.events")


@dataclass(frozen=True, kw_only=True)
class PeriodicJob:
    """A job with its service bound. One that takes longer than `lease` may meet itself in another process."""

    name: str
    every: timedelta
    run: Callable[[], object]
    lease: timedelta = LEASE


class Timetable:
    """The rows of `kernel.jobs`: when each job is due next, for all processes together."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def run(self, job: PeriodicJob, *, due_only: bool = True) -> bool:
        """Run it when it is due and nobody else has it; answers whether it ran. Its errors are logged.

        A lease and not a lock: a lock's transaction would have to stay open, idle, for as long as the job takes.
        """
        now = self._clock.now()
        if due_only and not run_call(partial(self._claim, job, now)):
            return False
        try:
            run_call(job.run)
        except Exception:
            log.exception("The job %s failed; it is tried again when it is due.", job.name)
        if due_only:
            run_call(partial(self._end, job, now))
        return True

    def _claim(self, job: PeriodicJob, now: datetime) -> bool:
        values = {"name": job.name, "now": now, "until": now + job.lease}
        with self._database.transaction() as session:
            return session.connection().execute(CLAIM_JOB, values).one_or_none() is not None

    def _end(self, job: PeriodicJob, started_at: datetime) -> None:
        values = {"name": job.name, "started_at": started_at, "due_at": started_at + job.every}
        with self._database.transaction() as session:
            session.connection().execute(END_JOB, values)
