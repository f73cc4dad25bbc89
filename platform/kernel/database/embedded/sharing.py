"""Who uses the server: processes counted by file locks, which the system drops when a process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel.database.embedded.reasons import EmbeddedPostgresError

LOCK_TIMEOUT = 90.0
"""Seconds; longer than a start may take."""
_POLL = 0.05


class Users:
    """The users of one data directory. `join` and `leave` are called inside `exclusively` only."""

    def __init__(self, data_dir: Path) -> None:
        self._lock = data_dir / "postgres.lock"
        self._path = data_dir / "postgres.users"
        self._joined: int | None = None
        # A forked child shares our lock: it would keep the server alive without ever stopping it.
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    @property
    def joined(self) -> bool:
        return self._joined is not None

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nobody else starts, stops, joins or leaves in this block."""
        lock = _open(self._lock)
        try:
            self._wait_for(lock)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(lock)

    def join(self) -> bool:
        """Become a user; True when there is no other."""
        self._joined = _open(self._path)
        alone = _try_exclusive(self._joined)
        fcntl.flock(self._joined, fcntl.LOCK_SH)
        return alone

    def leave(self) -> bool:
        """Stop being a user; True when there is no other."""
        if self._joined is None:
            return False
        try:
            return _try_exclusive(self._joined)
        finally:
            self._forget()

    def _forget(self) -> None:
        if self._joined is not None:
            os.close(self._joined)
            self._joined = None

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while not _try_exclusive(lock):
            if time.monotonic() > deadline:
                holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
                raise EmbeddedPostgresError(
                    f"Another process (pid {holder}) has held {self._lock} for {LOCK_TIMEOUT:.0f} seconds, so the embedded "
                    "PostgreSQL can neither start nor stop; end that process and try again."
                )
            time.sleep(_POLL)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_exclusive(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
