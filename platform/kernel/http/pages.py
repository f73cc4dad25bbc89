"""Keyset pagination: lists continue after the last item seen, by an opaque cursor that fits one list only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import Response

from kernel.http.bodies import parse_json
from kernel.http.problems import Refusal, bad_request
from kernel.pure.values import Page

T = TypeVar("T")

MAX_LIMIT: Final = 100
_MAX_CURSOR: Final = 2048


class PageQuery(BaseModel):
    """Base of the query parameters of a list: `def list_products(query: Annotated[ProductQuery, Query()], …)`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many items a page holds.")] = 20
    cursor: Annotated[
        str | None, Field(max_length=_MAX_CURSOR, description="Where the next page begins: `next_cursor` of a page.")
    ] = None


class Keyset(Generic[T]):
    """One order of one list: `Keyset[Product](lambda p: (p.price, p.id), PriceField, IdField)`.

    `key` is what an item is sorted by, ending in something unique; `types` check what a cursor brings back, so they
    must be bounded: a cursor is the client's to forge.
    """

    def __init__(self, key: Callable[[T], tuple[Any, ...]], *types: Any) -> None:
        self._key = key
        self._values: TypeAdapter[tuple[Any, ...]] = TypeAdapter(tuple[types])  # type: ignore[valid-type] # at run time

    def after(self, query: PageQuery) -> tuple[Any, ...] | None:
        """The key after which the page begins; None for the first page. Errors: Refusal (400)."""
        if query.cursor is None:
            return None
        try:
            packed = query.cursor.encode("ascii")
            content = parse_json(base64.b64decode(packed + b"=" * (-len(packed) % 4), altchars=b"-_", validate=True))
            binding, values = content
            # JSON mode: times come as text, and tuples as lists.
            key = self._values.validate_json(json.dumps(values, default=str))
        except (ValueError, TypeError, ValidationError, Refusal):
            raise bad_request("invalid-cursor", "The cursor is not one of this list.") from None
        if binding != _binding(query):
            raise bad_request("invalid-cursor", "The cursor belongs to another sort or filter of this list.")
        return key

    def after_id(self, query: PageQuery, *, first: int) -> int:
        """As `after`, of a list that is sorted by an id alone; `first` for the first page."""
        key = self.after(query)
        return first if key is None else int(key[0])

    def page(self, query: PageQuery, found: Sequence[T], response: Response) -> Page[T]:
        """One page of what was found with `limit + 1`: the one item too many says that there is a next page."""
        if len(found) <= query.limit:
            return Page(items=tuple(found), next_cursor=None)
        items = tuple(found[: query.limit])
        values = self._values.dump_json(self._key(items[-1]))
        packed = b'["%s",%s]' % (_binding(query).encode("ascii"), values)
        cursor = base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")
        # A reference relative to the request's own address (RFC 8288): no host has to be trusted.
        again = query.model_dump(mode="json", exclude_unset=True, exclude_none=True) | {"cursor": cursor}
        response.headers["link"] = f'<?{urlencode(again, doseq=True)}>; rel="next"'
        return Page(items=items, next_cursor=cursor)


def _binding(query: PageQuery) -> str:
    """Tells cursors of different sorts and filters apart."""
    chosen = query.model_dump_json(exclude={"limit", "cursor"})
    return hashlib.sha256(chosen.encode()).hexdigest()[:12]
