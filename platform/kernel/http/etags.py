"""Entity tags (RFC 9110, sections 8.8.3 and 13.1): If-Match guards changes, If-None-Match spares answers."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header
from starlette.responses import Response

from kernel.http.problems import bad_request
from kernel.pure.errors import PreconditionFailed
from kernel.pure.values import MAX_ID

IfMatch = Annotated[str | None, Header(alias="If-Match", description="Change only this version: its ETag, or `*`.")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="The ETag of the copy at hand.")]

_VERSION: Final = re.compile(r"[1-9][0-9]{0,18}")
_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')


def tag(response: Response, etag: str, if_none_match: str | None = None) -> None:
    """Set the ETag of an answer; when the client has that very version, answer 304 without a body."""
    response.headers["etag"] = quoted(etag)
    if if_none_match is None:
        return
    # Weak comparison (section 8.8.3.2): W/ does not matter here.
    if if_none_match.strip() == "*" or any(value == etag for _, value in _tags(if_none_match, "If-None-Match")):
        response.status_code = 304


def require_match(if_match: str | None, etag: str) -> None:
    """Refuse a change of another version than the client has seen. Errors: PreconditionFailed."""
    if if_match is None or if_match.strip() == "*":
        return
    if not any(strong and value == etag for strong, value in _tags(if_match, "If-Match")):
        raise PreconditionFailed("The resource is no longer the version that If-Match names.")


def expected_versions(if_match: str | None) -> frozenset[int] | None:
    """The versions that If-Match lets a change start from; None when any will do.

    Only what stands before the dot of a tag counts, so that a product whose stock has moved (`"<version>.<stock
    version>"`) can still be edited. Weak and foreign tags name no version: an empty set lets nothing pass.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    leading = (value.partition(".")[0] for strong, value in _tags(if_match, "If-Match") if strong)
    return frozenset(int(version) for version in leading if _VERSION.fullmatch(version) and int(version) <= MAX_ID)


def quoted(etag: str) -> str:
    return f'"{etag}"'


def _tags(header: str, name: str) -> list[tuple[bool, str]]:
    """The (is strong, value) pairs of a list of entity tags. Errors: Refusal (400) when it is none."""
    tags, position = [], 0
    while position < len(header):
        match = _TAG.match(header, position)
        if match is None:
            raise bad_request("malformed-etag", f'{name} holds entity tags in double quotes, such as "7", or `*`.')
        tags.append((match[1] is None, match[2]))
        position = match.end()
        if position < len(header):
            if header[position] != ",":
                raise bad_request("malformed-etag", f"{name} holds entity tags separated by commas.")
            position += 1
    return tags
