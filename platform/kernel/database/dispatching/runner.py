"""The runner: a dispatcher that works by itself, in a thread of a serving process or as a process of its own."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from kernel.database.dispatching.dispatcher import Dispatcher
from kernel.database.dispatching.wake_ups import SHORTEST_SECONDS, WakeUps
from kernel.database.engines import Engines
from kernel.database.errors import CommitUnknown, ConnectionLost

POLL_SECONDS: Final = 1.0
"""For events that nobody told us of, deliveries that are due again, and jobs."""

log = logging.getLogger("emporium.events")


class Runner:
    """Runs a dispatcher whenever events may be there: after a commit of this process, on a message, and each second."""

    def __init__(self, dispatcher: Dispatcher, engines: Engines, wake_ups: WakeUps) -> None:
        self._dispatcher = dispatcher
        self._engines = engines
        self._wake_ups = wake_ups
        self._stopping = False
        self._reachable = True
        self._jobs_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work in a thread of its own. A daemon: what hangs in a handler is undone by the server, and done again."""
        self._thread = threading.Thread(target=self.run, name="dispatcher", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Finish the running delivery and start no other; safe in a signal handler."""
        self._stopping = True
        self._wake_ups.wake()

    def stop(self, seconds: float) -> None:
        """Ask, and wait so long for the thread to end."""
        self.ask_to_stop()
        if self._thread is None:
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            log.warning("A delivery is still running after %.0f s; it is left to be undone and made again.", seconds)

    def run(self) -> None:
        """Work in this thread until asked to stop."""
        self._engines.on_events = self._wake_ups.wake
        local = False
        try:
            while not self._stopping:
                began = time.monotonic()
                if local:
                    self._wake_ups.tell_others()
                self._work()
                # Under load this makes batches: what is published meanwhile is handed out together.
                self._pause(began + SHORTEST_SECONDS)
                local = self._wait()
        finally:
            self._engines.on_events = None
            self._wake_ups.close()

    def _work(self) -> None:
        try:
            self._dispatcher.run_until_idle(self._is_stopping)
            if time.monotonic() >= self._jobs_at:
                self._jobs_at = time.monotonic() + POLL_SECONDS
                self._dispatcher.run_jobs(stopping=self._is_stopping)
        except (ConnectionLost, CommitUnknown) as error:
            if self._reachable:
                log.warning("Events wait until the database can be reached: %s", error)
            self._reachable = False
        except Exception:
            log.exception("The dispatcher failed; it goes on.")
        else:
            self._reachable = True

    def _wait(self) -> bool:
        """Whatever happens to the wake-ups, the thread lives on."""
        try:
            return self._wake_ups.wait(POLL_SECONDS)
        except Exception:
            log.exception("The dispatcher cannot be woken; it goes on looking.")
            self._pause(time.monotonic() + POLL_SECONDS)
            return False

    def _pause(self, until: float) -> None:
        while not self._stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, SHORTEST_SECONDS))

    def _is_stopping(self) -> bool:
        return self._stopping
