"""A program that dispatches and kills itself at its first step, then at its second, … until it gets to the end.

python -m tests.kernel.dispatch_until_killed URL ROLE_PREFIX inside|outside LOG

A step is: before and after each statement, each COMMIT, each outside call. Prints how many there were.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import NullPool, create_engine, event, make_url
from tests.kernel.dispatching import Bench, ThingHappened

from kernel.database.engines import Engines
from kernel.database.roles import RoleNames

KILLED: Final = -signal.SIGKILL


class Steps:
    """Counts from the moment it is armed; at `fatal` the process dies as in a power cut."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.count = 0

    def step(self, *_: Any) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, engines: Engines) -> None:
        event.listen(engines.writer, "before_cursor_execute", self.step)
        event.listen(engines.writer, "after_cursor_execute", self.step)
        dialect: Any = engines.writer.dialect
        commit = dialect.do_commit

        def watched(connection: Any) -> None:
            self.step()
            commit(connection)
            self.step()

        dialect.do_commit = watched


def work(number: int, fatal: int, *, publishes: bool) -> None:
    url, prefix, kind, log = sys.argv[1:]
    bench = Bench(Engines(make_url(url), threads=2, roles=RoleNames(prefix)), create_engine(make_url(url), poolclass=NullPool))
    # Later each time, so that leases of the dead are over.
    bench.clock.advance(timedelta(hours=2 * number + (not publishes)))
    steps = Steps(fatal)
    if publishes:
        bench.publish(number, about=f"thing {number}")
    steps.watch(bench.engines)

    def send(heard: ThingHappened, message_id: UUID) -> None:
        steps.step()
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{heard.thing_id} {message_id}\n".encode())
        os.close(file)
        steps.step()

    object.__setattr__(bench.outside, "handle", send)
    bench.dispatcher(getattr(bench, kind)).run_until_idle()


def ending(run: Any) -> int:
    """How a child process ends that does this."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    for number in range(1, 100):
        end = ending(partial(work, number, number, publishes=True))
        if ending(partial(work, number, 0, publishes=False)) != 0 or end not in (0, KILLED):
            return 1
        if end == 0:
            sys.stdout.write(f"{number - 1}\n")
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
