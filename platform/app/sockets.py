"""Sockets: the shop's address is taken before anything else starts, so that a taken port is told at once."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final

_BACKLOG: Final = 2048


class AddressError(Exception):
    """The shop cannot be opened at this address; the message is one sentence that says why and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A socket at this address, not yet listening: clients are refused until `listen`. Errors: AddressError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressError(f"HOST={host} is not an address of this machine ({error.strerror}): try HOST=127.0.0.1.") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _explained(error, host, port) from error
    return bound


def spread(bound: socket.socket, count: int) -> list[socket.socket]:
    """As many sockets at the address of `bound`, itself the first, among which the system deals new clients out evenly.

    Processes that share one socket race for clients, and one of them can end up with all. Where the system cannot deal,
    they share.
    """
    if sys.platform != "linux":
        return [bound] * count
    # Set only now: while `bound` was bound, a second shop on this port was still an error.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sockets = [bound]
    for _ in range(count - 1):
        another = socket.socket(bound.family, bound.type, bound.proto)
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            another.bind(bound.getsockname())
        except OSError:
            for extra in (another, *sockets[1:]):
                extra.close()
            return [bound] * count
        sockets.append(another)
    return sockets


def listen(bound: socket.socket) -> None:
    """Let clients in. Errors: AddressError, when another program was faster."""
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise _explained(error, host, port) from error


def url_of(bound: socket.socket) -> str:
    """The address as people open it in a browser on this machine."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 -- compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explained(error: OSError, host: str, port: int) -> AddressError:
    another = f"for example PORT={port + 1 if port < 65535 else 8000}"
    if error.errno == errno.EADDRINUSE:
        return AddressError(f"Port {port} on {host} is taken by another program: end that one, or choose another, {another}.")
    if error.errno == errno.EACCES:
        return AddressError(f"Port {port} is for privileged programs: choose one above 1023, {another}.")
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressError(f"HOST={host} is not an address of this machine: try HOST=127.0.0.1.")
    return AddressError(f"Port {port} on {host} cannot be opened: {error.strerror}.")
