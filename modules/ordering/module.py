"""Ordering's description."""

from __future__ import annotations

from typing import Final

from kernel.module import Module
from ordering.container import OrderingContainer
from ordering.models import Base

TOUR: Final = (
    'curl -s {url}/api/v1/orders -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)"'
    """ -H 'Content-Type: application/json' -d '{"items": [{"product_id": 1, "quantity": 2}]}'"""
)
"""Needs the TOKEN of the users' line."""

module = Module(
    name="ordering",
    owner="Ordering team",
    summary="Orders from placing to their end.",
    needs=("catalog",),
    container=OrderingContainer,
    metadata=Base.metadata,
    hot=1,
    tour=TOUR,
)
