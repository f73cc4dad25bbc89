"""The wire: uvicorn's HTTP/1.1 with a bound on what comes before a body, problems for what is no request, and no upgrades."""

from __future__ import annotations

from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from kernel.http.problems import Problem

MAX_HEAD: Final = 64 * 1024
"""Bytes of an address and its headers together. The parser has no bound, and collects a long header in quadratic time."""

_TOO_LARGE: Final = Problem(
    status=431,
    code="headers-too-large",
    title="Request Header Fields Too Large",
    detail=f"The address and the headers may hold {MAX_HEAD} bytes together.",
)
_MALFORMED: Final = Problem(
    status=400, code="malformed-request", title="Bad Request", detail="This is not a request of HTTP/1.1."
)
_OF_AN_UPGRADE: Final = (b"upgrade", b"http2-settings")


class ShopProtocol(HttpToolsProtocol):
    """One connection. Reads in place of its base what comes in; everything else is as there."""

    _head = 0
    """Bytes of the address and the headers of the request that is being read."""
    _unread = 0
    """Bytes that came in since the parser last had something to tell: how long a half-read header or trailer is by now."""
    _upgrade = False

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._unread += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(_TOO_LARGE if self._head > MAX_HEAD else _MALFORMED)
        else:
            if self._unread > MAX_HEAD:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = self._unread = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._unread = 0
        self._upgrade = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._upgrade:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        if not self._upgrade:
            super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head += size
        self._unread = 0
        if self._head > MAX_HEAD:
            raise ValueError("The parser passes this on as an error of its own.")

    def _go_on_without(self, rest: bytes) -> None:
        """Read the request again as if it had not asked for another protocol, which a server may ignore (RFC 9110, 7.8).

        The parser would skip its body, and take for the next request what in truth is this one's body.
        """
        if not self._upgrade:
            # CONNECT: refused like any other method that no route serves.
            return
        version = self.parser.get_http_version().encode("ascii")
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [token for token in value.split(b",") if token.strip().lower() not in _OF_AN_UPGRADE]
                lines.append(b"connection: " + b",".join(kept))
            elif name not in _OF_AN_UPGRADE:
                lines.append(b"%s: %s" % (name, value))
        # Another one, since this one may have met a "close", after which it reads nothing more.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join([*lines, b"\r\n"]) + rest)

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        # In the midst of an answer nothing else can be said.
        if cycle is None or cycle.response_complete or not cycle.response_started:
            answer = problem.response({"type": "http"})
            headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + bytes(answer.body))
        self.transport.close()
