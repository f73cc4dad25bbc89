"""Every call to a payment provider passes here: announced to the kernel, outside of transactions, a fault point each side."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from kernel.database.call import outside_call
from kernel.database.unit_of_work import in_transaction
from kernel.pure.faults import fault_point
from ordering.service.gateways.protocol import (
    Authorised,
    Captured,
    Declined,
    Nothing,
    PaymentGateway,
    Refunded,
    Unknown,
    Voided,
)

T = TypeVar("T")

log: Final = logging.getLogger("ordering.payments")


class AnnouncedGateway(PaymentGateway):
    """Another gateway, with the house's rules around each call."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    @property
    def name(self) -> str:
        return self._gateway.name

    def authorise(
        self, *, key: str, order: str, amount: Decimal, currency: str, token: str | None
    ) -> Authorised | Declined | Unknown:
        return _call(
            "authorise",
            lambda: self._gateway.authorise(key=key, order=order, amount=amount, currency=currency, token=token),
        )

    def capture(self, *, key: str, reference: str, amount: Decimal) -> Captured | Declined | Unknown:
        return _call("capture", lambda: self._gateway.capture(key=key, reference=reference, amount=amount))

    def void(self, *, key: str) -> Voided | Declined | Unknown:
        return _call("void", lambda: self._gateway.void(key=key))

    def refund(self, *, key: str, reference: str, amount: Decimal) -> Refunded | Declined | Unknown:
        return _call("refund", lambda: self._gateway.refund(key=key, reference=reference, amount=amount))

    def look_up(self, *, key: str) -> Authorised | Captured | Voided | Declined | Nothing | Unknown:
        return _call("look_up", lambda: self._gateway.look_up(key=key))


def _call(operation: str, call: Callable[[], T]) -> T | Unknown:
    if in_transaction():
        raise RuntimeError(f"gateway.{operation} inside of a transaction: commit first, a provider may take its time.")
    outside_call()
    fault_point(f"gateway.{operation}:before")
    outcome: T | Unknown
    try:
        outcome = call()
    except Exception as error:
        # Whatever broke, the money may have moved: the attempt has to survive and be settled later.
        log.exception("The payment provider's %s broke.", operation)
        outcome = Unknown(type(error).__name__)
    fault_point(f"gateway.{operation}:after")
    return outcome
