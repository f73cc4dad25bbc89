"""Access tokens: short-lived JWTs (HS256 only) that carry the principal."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import jwt

from kernel.pure.clock import Clock
from kernel.pure.errors import Unauthenticated
from kernel.pure.principal import Principal
from kernel.pure.values import MAX_ID

_ALGORITHM: Final = "HS256"
_LEEWAY_SECONDS: Final = 30
_MIN_SECRET_BYTES: Final = 32
_REMEMBERED: Final = 4096
_SUBJECT: Final = re.compile(r"[1-9][0-9]{0,18}")

# The times are checked here, by our clock and as strict integers.
_OPTIONS: Final[Any] = {"require": ["exp", "sub", "iat"], "verify_exp": False, "verify_iat": False}


class InvalidToken(Unauthenticated):
    """An access token was given and cannot be accepted."""

    code = "invalid-token"
    title = "The access token is not valid"


class AccessTokens:
    """Issues and verifies access tokens. Thread-safe."""

    def __init__(self, secret: str | bytes, clock: Clock) -> None:
        key = secret.encode() if isinstance(secret, str) else secret
        if len(key) < _MIN_SECRET_BYTES:
            raise ValueError(f"The secret of access tokens needs {_MIN_SECRET_BYTES} bytes or more, it has {len(key)}.")
        self._key = key
        self._clock = clock
        self._remembered: dict[str, tuple[Principal, int]] = {}

    def issue(self, principal: Principal, lifetime: timedelta) -> str:
        now = int(self._clock.now().timestamp())
        claims = {
            "sub": str(principal.user_id),
            "iat": now,
            "exp": now + int(lifetime.total_seconds()),
            "roles": sorted(principal.roles),
            "epoch": principal.epoch,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def verify(self, token: str) -> Principal:
        """The principal of a valid token. Errors: InvalidToken."""
        now = self._clock.now().timestamp()
        known = self._remembered.get(token)
        if known is None:
            known = self._decoded(token, now)
            # Verifying costs more than the rest of authentication; only what was valid is remembered, and not for long.
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[token] = known
        principal, expires = known
        if now >= expires + _LEEWAY_SECONDS:
            self._remembered.pop(token, None)
            raise InvalidToken("The access token has expired.")
        return principal

    def _decoded(self, token: str, now: float) -> tuple[Principal, int]:
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM], options=_OPTIONS)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise InvalidToken("The access token is not valid.") from None
        subject, roles = claims["sub"], claims.get("roles")
        issued, expires, epoch = (_count(claims.get(name)) for name in ("iat", "exp", "epoch"))
        if not _SUBJECT.fullmatch(subject) or int(subject) > MAX_ID:
            raise InvalidToken("The access token names no account.")
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise InvalidToken("The access token has malformed claims.")
        if issued > now + _LEEWAY_SECONDS:
            raise InvalidToken("The access token was issued in the future.")
        return Principal(user_id=int(subject), roles=frozenset(roles), epoch=epoch), expires


def _count(value: object) -> int:
    # Not isinstance: True is no epoch, and 1.5 no time of ours.
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise InvalidToken("The access token has malformed claims.")
    return value
