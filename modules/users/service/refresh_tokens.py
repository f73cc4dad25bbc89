"""Refresh tokens: the id of a family and a generation, sealed with the server's secret."""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from typing import Final
from uuid import UUID

_SEALED: Final = struct.Struct(">16sQ32s")
_PURPOSE: Final = b"emporium.users.refresh-token.1"


class RefreshTokens:
    """Writes and reads refresh tokens.

    A token is computed, never stored: so a repeated request can be answered with the same successor, a stolen database
    holds no token, and an old token of a family is told from a made-up one. Families have random ids, so the secret alone
    is not enough to make a token either.
    """

    def __init__(self, secret: str) -> None:
        # A key of its own, so that nothing sealed here is ever taken for something sealed elsewhere.
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")

    def write(self, family_id: UUID, generation: int) -> str:
        sealed = _SEALED.pack(family_id.bytes, generation, self._seal(family_id.bytes, generation))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def read(self, token: str) -> tuple[UUID, int] | None:
        """The family and the generation; None when the token is not one of ours."""
        try:
            family, generation, seal = _SEALED.unpack(base64.b64decode(token + "=", altchars=b"-_", validate=True))
        except (ValueError, binascii.Error, struct.error):
            return None
        if not hmac.compare_digest(seal, self._seal(family, generation)):
            return None
        return UUID(bytes=family), generation

    def _seal(self, family: bytes, generation: int) -> bytes:
        return hmac.digest(self._key, struct.pack(">16sQ", family, generation), "sha256")
