"""One call: a request, a delivery or a command, which the kernel may run again as a whole.

A context manager cannot run its body again, so retries live here, around everything that a call does.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from kernel.database.errors import RETRYABLE, ConnectionLost, sqlstate
from kernel.pure.principal import Principal

T = TypeVar("T")

ATTEMPTS: Final = 4
"""The first one and three retries."""
_BACK_OFF_SECONDS: Final = 0.02


class RetryCall(Exception):
    """Raised by the kernel's own code when the call lost a race that a second run settles."""


class Call:
    """What the kernel remembers of the running call."""

    __slots__ = ("commits", "outside_calls", "principal", "principal_checked", "running")

    def __init__(self, principal: Principal | None = None) -> None:
        self.principal = principal
        self.running = False
        self.commits = 0
        self.outside_calls = 0
        self.principal_checked = principal is None

    @property
    def may_run_again(self) -> bool:
        return self.commits == 0 and self.outside_calls == 0


_call: ContextVar[Call | None] = ContextVar("emporium_call", default=None)


def current_call() -> Call | None:
    return _call.get()


@contextmanager
def authenticated(principal: Principal | None) -> Iterator[None]:
    """Make calls inside this block check the principal's epoch with their first statement.

    A stale epoch surfaces as SQLSTATE 28000 of that statement; a call without any statement is not checked.
    """
    token = _call.set(Call(principal))
    try:
        yield
    finally:
        _call.reset(token)


def outside_call() -> None:
    """Note that the running call is about to act outside the database, so it must not be run again."""
    call = _call.get()
    if call is not None:
        call.outside_calls += 1


def run_call(run: Callable[[], T]) -> T:
    """Run a whole call; run it again when it lost a race or its connection, and has stored nothing.

    Runs `run` up to four times, with jitter between. The last error is raised as it is. Inside a running call this is a
    plain call, because only the outermost one knows everything that would have to be repeated.
    """
    call = _call.get()
    if call is None:
        with authenticated(None):
            return run_call(run)
    if call.running:
        return run()
    call.running = True
    try:
        for attempt in range(1, ATTEMPTS + 1):
            call.principal_checked = call.principal is None
            try:
                return run()
            except Exception as error:
                if attempt == ATTEMPTS or not call.may_run_again or not _is_retryable(error):
                    raise
            # Full jitter: two calls that deadlocked with each other must not meet again.
            time.sleep(random.uniform(0, _BACK_OFF_SECONDS * 2**attempt))  # noqa: S311 -- not a secret
        raise AssertionError("unreachable")
    finally:
        call.running = False


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, RetryCall | ConnectionLost) or sqlstate(error) in RETRYABLE
