"""Ordering's use cases. `DatabaseOrderingService` serves the router, the jobs and the listeners."""

from ordering.service.gateways.announced import AnnouncedGateway
from ordering.service.gateways.protocol import PaymentGateway
from ordering.service.gateways.sandbox import SandboxPaymentGateway
from ordering.service.ordering import DatabaseOrderingService
from ordering.service.states import TRANSITIONS, allowed_actions

__all__ = [
    "TRANSITIONS",
    "AnnouncedGateway",
    "DatabaseOrderingService",
    "PaymentGateway",
    "SandboxPaymentGateway",
    "allowed_actions",
]
