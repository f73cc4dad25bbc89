"""A proxy on the wire to PostgreSQL: counts the messages that a client sends, and can cut the connection at one."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import URL

_QUERY: Final = ord("Q")
_TERMINATE: Final = ord("X")


class Wire:
    """A Unix socket in front of the server's. `messages` are the statements as sent, BEGIN and COMMIT included.

    Each is one round trip: psycopg2 speaks the simple protocol and waits for every answer.
    """

    def __init__(self, server: URL) -> None:
        self._server = _socket_path(server)
        self._directory = tempfile.TemporaryDirectory(prefix="wire-")
        path = Path(self._directory.name) / self._server.name
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self.url = server.set(host="", query={**_without_host(server), "host": self._directory.name})
        self.messages: list[str] = []
        self.cuts = 0
        self._cut_at: str | None = None
        self._after_forwarding = False
        self._every = 0
        self._countdown = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, at: str, *, after_forwarding: bool) -> None:
        """Break the connection that next sends a statement matching `at` (a pattern), before or after the server has got it."""
        self._cut_at, self._after_forwarding, self._every, self._countdown = at, after_forwarding, 0, 1

    def cut_every(self, number: int, at: str, *, after_forwarding: bool) -> None:
        """Break a connection at every `number`-th statement that matches, whichever sends it, until `mend`."""
        self._cut_at, self._after_forwarding, self._every, self._countdown = at, after_forwarding, number, number

    def mend(self) -> None:
        self._cut_at = None

    def close(self) -> None:
        for open_socket in [self._listener, *self._sockets]:
            _hang_up(open_socket)
        self._directory.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            self._sockets += [client, server]
            line = _Line(client, server)
            threading.Thread(target=self._forward, args=(line,), daemon=True).start()
            threading.Thread(target=line.pump, daemon=True).start()

    def _forward(self, line: _Line) -> None:
        client, server = line.client, line.server
        with suppress(OSError):
            # The start-up message has no type byte.
            head = _exactly(client, 4)
            server.sendall(head + _exactly(client, int.from_bytes(head, "big") - 4))
            while True:
                head = _exactly(client, 5)
                body = _exactly(client, int.from_bytes(head[1:], "big") - 4)
                statement = body.rstrip(b"\0").decode(errors="replace") if head[0] == _QUERY else ""
                with self._lock:
                    if head[0] != _TERMINATE:
                        self.messages.append(statement)
                    hit = self._hits(statement)
                if hit and not self._after_forwarding:
                    break
                if hit:
                    line.mute.set()
                server.sendall(head + body)
                if hit:
                    # The answer proves that the server is done; the client never gets it.
                    line.answered.wait(5)
                    break
        _hang_up(client)
        _hang_up(server)

    def _hits(self, statement: str) -> bool:
        if self._cut_at is None or re.search(self._cut_at, statement) is None:
            return False
        self._countdown -= 1
        if self._countdown > 0:
            return False
        self.cuts += 1
        self._countdown = self._every
        if not self._every:
            self._cut_at = None
        return True


class _Line:
    """One client's connection through the wire."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.mute = threading.Event()
        self.answered = threading.Event()

    def pump(self) -> None:
        """Hand the server's answers on, until the line is muted or somebody hangs up."""
        with suppress(OSError):
            while data := self.server.recv(65536):
                if self.mute.is_set():
                    self.answered.set()
                    return
                self.client.sendall(data)
        _hang_up(self.client)


@contextmanager
def wire(server: URL) -> Iterator[Wire]:
    proxy = Wire(server)
    try:
        yield proxy
    finally:
        proxy.close()


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def _hang_up(open_socket: socket.socket) -> None:
    with suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)
    open_socket.close()


def _socket_path(url: URL) -> Path:
    folder = url.query.get("host", url.host)
    if not isinstance(folder, str) or not folder.startswith("/"):
        raise ValueError("The wire listens in front of a Unix socket.")
    return Path(folder) / f".s.PGSQL.{url.port or 5432}"


def _without_host(url: URL) -> dict[str, str | tuple[str, ...]]:
    return {name: value for name, value in url.query.items() if name != "host"}
