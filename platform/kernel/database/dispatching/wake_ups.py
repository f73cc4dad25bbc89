"""Wake-ups: how a dispatcher learns of new events sooner than by looking each second."""

from __future__ import annotations

import os
import selectors
import time
from contextlib import suppress
from typing import Any, Final

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL

CHANNEL: Final = "emporium_events"
SHORTEST_SECONDS: Final = 0.1
"""Between two wake-ups, and between two messages to the others: ten a second."""
_RECONNECT_SECONDS: Final = 10.0


class WakeUps:
    """Wakes one waiting thread: from this process by `wake`, from others by NOTIFY on a connection of its own.

    Without that connection (refused, or through a pooler, which would lend the session to others) it is quietly left out.
    """

    def __init__(self, url: URL | None) -> None:
        self._url = url
        self._connection: extensions.connection | None = None
        self._connect_at = 0.0
        self._notify_at = 0.0
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)
        self._woken = False

    @property
    def listening(self) -> bool:
        return self._connection is not None

    def wake(self) -> None:
        """Let `wait` return. Takes no lock: safe from any thread and in a signal handler; nothing after `close`."""
        if not self._woken:
            self._woken = True
            # A full pipe wakes as well; a closed one has nobody to wake.
            with suppress(OSError):
                os.write(self._writing, b"!")

    def wait(self, seconds: float) -> bool:
        """Until somebody wakes us or the time is over; answers whether events of this process did."""
        self._connect()
        # Not `select.select`, which knows no file above 1023: a serving process has a socket per client.
        with selectors.DefaultSelector() as selector:
            selector.register(self._reading, selectors.EVENT_READ)
            if self._connection is not None:
                selector.register(self._connection.fileno(), selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(max(0.0, seconds))}
        if ready - {self._reading}:
            self._take_messages()
        if self._reading not in ready:
            return False
        # In this order: what comes between the two wakes once too often, and never once too little.
        with suppress(BlockingIOError):
            os.read(self._reading, 4096)
        self._woken = False
        return True

    def tell_others(self) -> None:
        """Wake the dispatchers of other processes, at most ten times a second."""
        now = time.monotonic()
        if self._connection is None or now < self._notify_at:
            return
        self._notify_at = now + SHORTEST_SECONDS
        self._run(f"NOTIFY {CHANNEL}")

    def close(self) -> None:
        self._drop()
        # `wake` may still be called, and the numbers may belong to somebody else by then.
        self._woken = True
        os.close(self._reading)
        os.close(self._writing)

    def _connect(self) -> None:
        now = time.monotonic()
        if self._url is None or self._connection is not None or now < self._connect_at:
            return
        self._connect_at = now + _RECONNECT_SECONDS
        with suppress(psycopg2.Error):
            connection = _connected(self._url)
            if _is_pooled(connection):
                connection.close()
                return
            self._connection = connection
            self._run(f"LISTEN {CHANNEL}")

    def _take_messages(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.poll()
        except psycopg2.Error:
            self._drop()
            return
        connection.notifies.clear()

    def _run(self, statement: str) -> None:
        if self._connection is None:
            return
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement)
        except psycopg2.Error:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None


def _connected(url: URL) -> extensions.connection:
    arguments, options = url.get_dialect()().create_connect_args(url)
    limits: dict[str, Any] = {"connect_timeout": 2, "application_name": "emporium dispatcher", "keepalives_idle": 30}
    connection: extensions.connection = psycopg2.connect(*arguments, **{**options, **limits})
    connection.autocommit = True
    return connection


def _is_pooled(connection: extensions.connection) -> bool:
    """A pooler gives process ids of its own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        found = cursor.fetchone()
    return found is None or connection.info.backend_pid != found[0]
