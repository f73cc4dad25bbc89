"""Ordering's description."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from kernel.module import Job, Module
from ordering.container import OrderingContainer
from ordering.models import Base
from ordering.service import DatabaseOrderingService
from ordering.settings import VARIABLES

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
    variables=VARIABLES,
    listens={"users": "ordering.listeners"},
    jobs=(
        Job(name="ordering.expire_orders", every=timedelta(seconds=5), run=DatabaseOrderingService.expire_orders),
        Job(name="ordering.reconcile", every=timedelta(seconds=5), run=DatabaseOrderingService.reconcile),
        Job(name="ordering.forget_closed_accounts", every=timedelta(seconds=5), run=DatabaseOrderingService.forget_closed),
        Job(name="ordering.delete_old_messages", every=timedelta(minutes=1), run=DatabaseOrderingService.delete_old_messages),
    ),
    hot=1,
    tour=TOUR,
)
