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
        self._cut_at: str | None = None
        self._after_forwarding = False
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, at: str, *, after_forwarding: bool) -> None:
        """Break the connection that next sends a statement matching `at` (a pattern), before or after the server has got it."""
        self._answered.clear()
        self._cut_at, self._after_forwarding = at, after_forwarding

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
            mute = threading.Event()
            threading.Thread(target=self._forward, args=(client, server, mute), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, mute), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
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
                    hit = self._cut_at is not None and re.search(self._cut_at, statement) is not None
                    if hit:
                        self._cut_at = None
                if hit and not self._after_forwarding:
                    break
                if hit:
                    mute.set()
                server.sendall(head + body)
                if hit:
                    # The answer proves that the server is done; the client never gets it.
                    self._answered.wait(5)
                    break
        _hang_up(client)
        _hang_up(server)

    def _pump(self, source: socket.socket, sink: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if mute.is_set():
                    self._answered.set()
                    return
                sink.sendall(data)
        _hang_up(sink)


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
