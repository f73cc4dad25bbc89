"""Ordering's service: everything that can be done with orders, for the router, the jobs and the listeners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ordering.service.closing import ClosingUseCases
from ordering.service.orders import OrderUseCases
from ordering.service.reconciling import ReconcilingUseCases
from ordering.service.shipping import ShippingUseCases


class DatabaseOrderingService(OrderUseCases, ShippingUseCases, ReconcilingUseCases, ClosingUseCases):
    """One stateless object per application; its use cases live in the files beside this one."""

    def __init__(self, *, webhook_secrets: Sequence[str], **collaborators: Any) -> None:
        super().__init__(**collaborators)
        self._webhook_secrets = tuple(webhook_secrets)
