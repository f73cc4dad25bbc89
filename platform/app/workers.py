"""Workers: one process per listening socket, started again when it dies, gone when their supervisor is."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

STOP_SECONDS: Final = 10.0
READY: Final = b"1"
ACCESS_LOG: Final = "--access-log"
_TICK_SECONDS: Final = 0.1
_RESTART_SECONDS: Final = 1.0

log = logging.getLogger("emporium")


class Worker:
    """One process. A socket pair ties it to us: it says when it serves, and ends when our side closes, however we end."""

    def __init__(self, bound: socket.socket, number: int, environment: Mapping[str, str], arguments: Sequence[str]) -> None:
        self.ready = False
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        command = [sys.executable, "-m", "app.worker", str(bound.fileno()), str(theirs.fileno()), str(number), *arguments]
        with theirs:
            # A session of its own: the terminal's Ctrl-C reaches the supervisor alone, which then asks for the end.
            self.process = subprocess.Popen(  # noqa: S603 -- our own program, no shell
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                pass_fds=(bound.fileno(), theirs.fileno()),
                start_new_session=True,
            )

    def look(self) -> None:
        """Notice when the worker says that it serves."""
        if not self.ready:
            with suppress(OSError):
                self.ready = self._ours.recv(1) == READY

    def close(self) -> None:
        self._ours.close()


class Workers:
    """The supervisor of one application's workers.

    It keeps their sockets open as well: clients that knock while a worker is being replaced wait for the next one.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        environment: Mapping[str, str],
        *,
        access_log: bool = False,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        self._sockets = sockets
        self._arguments = [ACCESS_LOG] if access_log else []
        self._environment = environment
        self._on_open = on_open
        self._stopping = threading.Event()
        self._workers: list[Worker] = []
        self._opened = False

    def stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> int:
        """Watch over the workers until a stop is asked for, or the first ones cannot start. Answers the exit code."""
        try:
            for number in range(len(self._sockets)):
                self._workers.append(self._start(number))
            while not self._stopping.wait(_TICK_SECONDS):
                self._look_for_ready()
                for number, worker in enumerate(self._workers):
                    if worker.process.poll() is None:
                        continue
                    if not worker.ready and not self._opened:
                        # It would fail the same way again; it has said why.
                        return 1
                    self._replace(number, worker)
            return 0
        finally:
            self._end()

    def _start(self, number: int) -> Worker:
        return Worker(self._sockets[number], number, self._environment, self._arguments)

    def _look_for_ready(self) -> None:
        for worker in self._workers:
            worker.look()
        if not self._opened and all(worker.ready for worker in self._workers):
            self._opened = True
            if self._on_open is not None:
                self._on_open()

    def _replace(self, number: int, worker: Worker) -> None:
        log.error("Worker %d ended by itself (exit code %d); starting it again.", number, worker.process.returncode)
        worker.close()
        if not self._stopping.wait(_RESTART_SECONDS):
            self._workers[number] = self._start(number)

    def _end(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            worker.process.send_signal(signal.SIGTERM)
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("A worker did not end within %.0f seconds; killed it.", STOP_SECONDS)
                worker.process.kill()
                worker.process.wait()
            worker.close()
