"""Limits: the one ASGI middleware of ours, and the counter of failures that guards log-ins."""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict, deque
from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.http.current import REQUEST_ID
from kernel.http.problems import Refusal, problem_of
from kernel.pure.clock import Clock
from kernel.pure.errors import TooManyRequests

MAX_BODY: Final = 1024 * 1024

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SECURITY_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_NO_STORE: Final = (b"cache-control", b"no-store")


class RequestGuard:
    """Around everything: gives each request an id, bounds its body, hardens its answer, catches what nobody caught."""

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, length, private = _read_headers(scope)
        started = False

        async def send_hardened(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = [*message["headers"], (b"x-request-id", request_id), *_SECURITY_HEADERS]
                if private and not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
                message["headers"] = headers
            await send(message)

        try:
            await self.app(scope, receive if length is None else self._bounded(scope, receive, length), send_hardened)
        except Exception as error:
            # Here, inside of the framework's own last resort, which would raise again and have it logged twice.
            problem = problem_of(error, scope)
            if started:
                raise
            await problem.response(scope)(scope, receive, send_hardened)

    def _bounded(self, scope: Scope, receive: Receive, announced: int) -> Receive:
        """Reading stops where the limit is passed: at once when the length was announced, else on the way."""
        taken = 0

        async def receive_bounded() -> Message:
            nonlocal taken
            # The route is known by now, and may have a limit of its own.
            limit: int = getattr(scope.get("route"), "max_body", None) or self.max_body
            message = await receive() if announced <= limit else {}
            taken += len(message.get("body", b""))
            if max(announced, taken) > limit:
                raise Refusal(413, "body-too-large", f"The body may hold {limit} bytes.", headers={"connection": "close"})
            return message

        return receive_bounded


def _read_headers(scope: Scope) -> tuple[bytes, int | None, bool]:
    """The request's id, its announced length (None: no body, 0: not announced), and whether it carries credentials."""
    request_id, length, private = b"", None, False
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            request_id = value
        elif name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 20 else 0
        elif name == b"transfer-encoding":
            length = length or 0
        elif name == b"authorization":
            private = True
    if not _SANE_ID.fullmatch(request_id):
        request_id = secrets.token_hex(12).encode("ascii")
    scope[REQUEST_ID] = request_id.decode("ascii")
    return request_id, length, private


class FailureLimit:
    """Counts failures, not successes, per key in a sliding window; for log-ins, per account and per address.

    In memory: each worker counts for itself, and a restart forgets. Thread-safe and bounded: of too many keys the one
    longest without a failure is forgotten.
    """

    def __init__(self, clock: Clock, *, failures: int, window: timedelta, max_keys: int = 50_000, enabled: bool = True) -> None:
        self._clock = clock
        self._failures = failures
        self._window = window.total_seconds()
        self._max_keys = max_keys
        self._enabled = enabled
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, key: str) -> None:
        """Errors: TooManyRequests, when the window holds as many failures as are allowed."""
        if not self._enabled:
            return
        now = self._clock.now().timestamp()
        with self._lock:
            times = self._times.get(key)
            if times is None:
                return
            while times and times[0] <= now - self._window:
                times.popleft()
            if not times:
                del self._times[key]
            if len(times) < self._failures:
                return
            wait = times[0] + self._window - now
        raise TooManyRequests("Too many failed attempts; try again later.", retry_after=max(1, -int(-wait // 1)))

    def failed(self, key: str) -> None:
        if not self._enabled:
            return
        with self._lock:
            times = self._times.setdefault(key, deque(maxlen=self._failures))
            times.append(self._clock.now().timestamp())
            self._times.move_to_end(key)
            while len(self._times) > self._max_keys:
                self._times.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures of this key."""
        with self._lock:
            self._times.pop(key, None)
