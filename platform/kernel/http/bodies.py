"""Reading request bodies: strict JSON, so that what reaches a schema is Unicode text and finite, exact numbers."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Annotated, Any, Final, NoReturn

from fastapi import Depends
from starlette.requests import Request

from kernel.http.problems import Refusal, bad_request

MAX_NESTING: Final = 32
_MAX_DIGITS: Final = 64
_MAX_EXPONENT: Final = 308
"""As far as a double reaches; further out, arithmetic on exact numbers could be made to take for ever."""

# An unterminated string runs to the end, so that each byte is looked at once.
_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down or up, as signed bytes."""
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_CHARSET: Final = re.compile(r'charset\s*=\s*"?([^\s;"]+)', re.IGNORECASE)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> Any:
    """The value of a JSON text; numbers with a fraction are Decimal. Errors: Refusal (400)."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request("malformed-json", "The body is not valid UTF-8.") from None
    if text.startswith("\ufeff"):
        raise bad_request("malformed-json", "The body begins with a byte order mark; JSON has none.")
    if _nests_deeper(body, MAX_NESTING):
        raise bad_request("json-too-deep", f"The body is nested deeper than {MAX_NESTING} levels.")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise bad_request("malformed-json", f"The body is not valid JSON: {error.msg} at {error.pos}.") from None
    except ValueError:
        # Python reads no integer of more than 4,300 digits.
        raise _beyond_counting() from None
    if _SURROGATE_ESCAPE.search(text) and not _is_unicode(value):
        raise bad_request("malformed-json", "The body holds half of a surrogate pair, which is no character.")
    return value


def _nests_deeper(body: bytes, levels: int) -> bool:
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    # Strings out, then all but brackets; everything that looks at single bytes is done in C.
    steps = _STRINGS.sub(b"", body).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > levels


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _fraction(digits: str) -> Decimal:
    number = Decimal(digits) if len(digits) <= _MAX_DIGITS else None
    if number is None or abs(number.adjusted()) > _MAX_EXPONENT:
        raise _beyond_counting()
    return number


def _beyond_counting() -> Refusal:
    return bad_request("malformed-json", "The body holds a number beyond what the shop counts with.")


def _constant(name: str) -> NoReturn:
    raise bad_request("malformed-json", f"The body is not valid JSON: {name} is not a number.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise bad_request("malformed-json", "The body names a member of an object twice.")
    return members


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_fraction, parse_constant=_constant)


async def _read_raw(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_read_raw)]
"""The body byte for byte, such as a signature is over; its size is bounded like any other's."""


class JsonRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        return parse_json(await self.body())


def require_json(content_type: str | None) -> None:
    """Errors: Refusal (415) unless the body is said to be JSON, in UTF-8."""
    media_type, _, parameters = (content_type or "").partition(";")
    media_type = media_type.strip().lower()
    if media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json")):
        charset = _CHARSET.search(parameters)
        if charset is None or charset[1].lower() in ("utf-8", "utf8", "us-ascii"):
            return
    raise Refusal(
        415,
        "unsupported-media-type",
        "The body has to be JSON in UTF-8: send Content-Type: application/json.",
        headers={"accept": "application/json"},
    )


def require_form(content_type: str | None) -> None:
    """Errors: Refusal (415) unless the body is said to be a form."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise Refusal(
            415,
            "unsupported-media-type",
            "The body has to be a form: send Content-Type: application/x-www-form-urlencoded.",
            headers={"accept": "application/x-www-form-urlencoded"},
        )


def require_plain(content_encoding: str | None) -> None:
    """Errors: Refusal (415) for a compressed body (RFC 9110, section 8.4)."""
    if content_encoding is not None and content_encoding.strip().lower() not in ("", "identity"):
        raise Refusal(
            415,
            "unsupported-content-encoding",
            "The body has to be sent as it is: without a Content-Encoding.",
            headers={"accept-encoding": "identity"},
        )
