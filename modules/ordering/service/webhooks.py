"""Messages of payment providers: signed, fresh, taken in once; they say which attempt to look at, and nothing else counts."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from kernel.pure.errors import Invalid
from ordering.interface import SignatureRefused

WINDOW: Final = timedelta(minutes=5)
"""How far a signature's time may be from ours: a message that was overheard is of no use for long."""
_MAX_ID: Final = 255
_HEADER: Final = re.compile(r"t=(?P<time>[0-9]{1,12}),\s*v1=(?P<digests>[0-9a-f]{64}(?:,\s*v1=[0-9a-f]{64})?)")


def sign(secret: str, body: bytes, at: datetime) -> str:
    """The header that a provider sends: the time, and HMAC-SHA256 of `<time>.<body>`."""
    time = str(int(at.timestamp()))
    return f"t={time},v1={_digest(secret, time, body)}"


def require_signature(header: str | None, body: bytes, *, secrets: Sequence[str], now: datetime) -> None:
    """Errors: SignatureRefused."""
    found = _HEADER.fullmatch(header or "")
    if found is None:
        raise SignatureRefused("The header Payment-Signature has to say t=<time>,v1=<HMAC-SHA256 of time, dot and body>.")
    if abs(now.timestamp() - int(found["time"])) > WINDOW.total_seconds():
        raise SignatureRefused("The time of the signature is more than five minutes from now.")
    given = re.findall(r"[0-9a-f]{64}", found["digests"])
    expected = [_digest(secret, found["time"], body) for secret in secrets]
    # All pairs, and no way out early: how long it takes says nothing of which one fits.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in given]
    if not any(matches):
        raise SignatureRefused("The signature does not fit the body.")


def read_message(body: bytes) -> tuple[str, str]:
    """The event's id and the key of the attempt that it is about. Errors: Invalid."""
    try:
        message = json.loads(body)
        event_id, key = message["id"], message["key"]
        if not (isinstance(event_id, str) and 0 < len(event_id) <= _MAX_ID and event_id.isascii() and event_id.isprintable()):
            raise ValueError
        return event_id, str(UUID(key))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Invalid("The message has to be a JSON object with the event's `id` and the charge's `key`.") from None


def _digest(secret: str, time: str, body: bytes) -> str:
    return hmac.new(secret.encode(), time.encode() + b"." + body, hashlib.sha256).hexdigest()
