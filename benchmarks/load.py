"""A bounded load on one address: so many connections, each with one request under way, for so many seconds.

One thread with raw sockets: a client that took as much of a core as the server would be measured with it.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_STALLED_SECONDS: Final = 15.0
_BYTES: Final = 65536


class LoadError(Exception):
    """The server stalled, hung up, or answered another status than expected."""


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class _Connection:
    """One keep-alive connection that asks, and asks again when the answer is complete."""

    def __init__(self, port: int, make: Callable[[], bytes], status: int) -> None:
        self._make = make
        self._expected = b"HTTP/1.1 %d " % status
        self._received = b""
        self._missing = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_STALLED_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> None:
        self._received, self._missing = b"", -1
        self.socket.sendall(self._make())

    def is_answered(self) -> bool:
        """Take what has arrived."""
        content = self.socket.recv(_BYTES)
        if not content:
            raise LoadError("The server hung up.")
        self._received += content
        if self._missing < 0:
            head, found, body = self._received.partition(b"\r\n\r\n")
            if not found:
                return False
            if not head.startswith(self._expected):
                raise LoadError(self._received.decode(errors="replace"))
            self._missing = _length(head) - len(body)
        else:
            self._missing -= len(content)
        return self._missing == 0


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise LoadError("An answer without Content-Length.")


def put_load(port: int, make: Callable[[], bytes], *, status: int, connections: int, seconds: float) -> Load:
    """Requests that `make` makes, answered with `status`. Errors: LoadError, OSError."""
    with selectors.DefaultSelector() as selector:
        all_of_them = [_Connection(port, make, status) for _ in range(connections)]
        try:
            for one in all_of_them:
                selector.register(one.socket, selectors.EVENT_READ, one)
            return _run(selector, all_of_them, seconds)
        finally:
            for one in all_of_them:
                one.socket.close()


def _run(selector: selectors.BaseSelector, connections: list[_Connection], seconds: float) -> Load:
    started = time.perf_counter()
    deadline = started + seconds
    for one in connections:
        one.ask()
    waiting, answered = len(connections), 0
    while waiting:
        ready = selector.select(_STALLED_SECONDS)
        if not ready:
            raise LoadError(f"No answer for {_STALLED_SECONDS:.0f} seconds.")
        for key, _ in ready:
            if not key.data.is_answered():
                continue
            answered += 1
            if time.perf_counter() < deadline:
                key.data.ask()
            else:
                waiting -= 1
    return Load(answered, time.perf_counter() - started)
