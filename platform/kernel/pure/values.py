"""Values that cross doors: money, quantities, versions, pages, and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

CENT = Decimal("0.01")
MAX_PRICE = Decimal("99999999.99")
"""Fits Numeric(10, 2)."""
MAX_TOTAL = Decimal("9999999999999999.99")
"""Fits Numeric(18, 2)."""
MAX_QUANTITY = 1_000_000
MAX_ID = 2**63 - 1
"""Fits BIGINT."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a keyset-paginated list. `next_cursor` is opaque; None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    """A value with its entity tag (RFC 9110, section 8.8.3), without the quotes."""

    value: T
    etag: str
