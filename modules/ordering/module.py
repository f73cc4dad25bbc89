"""Ordering's description."""

from __future__ import annotations

from kernel.module import Module
from ordering.container import OrderingContainer
from ordering.models import Base

module = Module(
    name="ordering",
    owner="Ordering team",
    summary="Orders from placing to their end.",
    needs=("catalog",),
    container=OrderingContainer,
    metadata=Base.metadata,
)
