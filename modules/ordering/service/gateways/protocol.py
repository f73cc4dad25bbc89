"""What the shop asks of a payment provider, and what it may hear."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Authorised:
    """The money is held for us. `reference` is the provider's own name of the charge."""

    reference: str


@dataclass(frozen=True, slots=True)
class Captured:
    """The money is ours."""

    reference: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Voided:
    """Nothing is held, and nothing will be: a late request under this key is refused."""


@dataclass(frozen=True, slots=True)
class Refunded:
    """The money went back."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The provider said no; nothing has changed there. `code` is for programs."""

    code: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """The provider has never heard of the key."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or none that can be understood: it may have happened or not. Only the provider can tell, later."""

    why: str


class PaymentGateway(Protocol):
    """A payment provider.

    Every call is idempotent by its key: a repeat does nothing again and answers as before. `key` is the attempt's own and
    was committed before the first call. A call never raises for what the network did: that is `Unknown`.
    """

    @property
    def name(self) -> str:
        """The provider's name, as in `/webhooks/payments/{provider}`."""
        ...

    def authorise(
        self, *, key: str, order: str, amount: Decimal, currency: str, token: str | None
    ) -> Authorised | Declined | Unknown:
        """Hold the money. `order` is for the provider's books, `token` what the client got from the provider."""
        ...

    def capture(self, *, key: str, reference: str, amount: Decimal) -> Captured | Declined | Unknown:
        """Take what is held."""
        ...

    def void(self, *, key: str) -> Voided | Declined | Unknown:
        """Let go of what is held. A key that the provider never heard of is refused from now on. Declined: it was captured."""
        ...

    def refund(self, *, key: str, reference: str, amount: Decimal) -> Refunded | Declined | Unknown:
        """Give money of a captured charge back. `key` is the refund's own."""
        ...

    def look_up(self, *, key: str) -> Authorised | Captured | Voided | Declined | Nothing | Unknown:
        """How the charge of this key stands. A captured one stays captured when money of it went back."""
        ...
