"""Settling what was left open: attempts and refunds whose answer was lost, and messages of the payment provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Final

from kernel.database.call import run_call
from ordering.crud import payments as payments_crud
from ordering.crud import refunds as refunds_crud
from ordering.interface import ProviderUnknown
from ordering.service.base import carefully
from ordering.service.payments import PaymentUseCases
from ordering.service.refunds import RefundUseCases
from ordering.service.webhooks import read_message, require_signature

_PORTION: Final = 5
_MOST: Final = 40
_SECONDS: Final = 10.0
"""Of one run: the dispatcher's other work waits no longer for a slow provider, but for the call that is on its way."""
_KEEP_MESSAGES: Final = timedelta(days=30)
"""Longer than any provider goes on sending."""
_DELETED_AT_ONCE: Final = 1_000
_DELETIONS: Final = 10
"""Of one run: nothing else of the dispatcher's waits for long."""


class ReconcilingUseCases(PaymentUseCases, RefundUseCases):
    _webhook_secrets: Sequence[str] = ()

    def reconcile(self) -> int:
        """Go on with attempts and refunds that nobody has settled for a while; answers how many it looked at.

        Several may run at once: each claims its own, and a claim that is not used (a crash, no time left) is free again later.
        """
        looked_at, until = 0, monotonic() + _SECONDS
        while looked_at < _MOST:
            payments, refunds = run_call(self._claim_payments), run_call(self._claim_refunds)
            claimed = [
                *(partial(self.settle_payment, payment_id=payment_id, give_up=True) for payment_id in payments),
                *(partial(self.settle_refund, refund_id=refund_id) for refund_id in refunds),
            ]
            if not claimed:
                break
            for settle in claimed:
                carefully(settle)
                looked_at += 1
                if monotonic() >= until:
                    return looked_at
        return looked_at

    def receive_message(self, *, provider: str, signature: str | None, body: bytes) -> None:
        """Take in a provider's message: it makes us look the attempt up there, whatever else it says.

        Errors: ProviderUnknown, SignatureRefused, Invalid. A message that comes again, or is about nothing of ours, is fine.
        """
        if self._gateway is None or self._gateway.name != provider:
            raise ProviderUnknown("There is no such payment provider.")
        require_signature(signature, body, secrets=self._webhook_secrets, now=self._clock.now())
        event_id, key = read_message(body)

        def take() -> int | None:
            with self._database.transaction(label="webhook.taken") as session:
                if not payments_crud.take_message(session, provider=provider, event_id=event_id):
                    return None
                return payments_crud.find_payment(session, provider=provider, gateway_key=key)

        payment_id = run_call(take)
        if payment_id is not None:
            # What cannot be settled now is the reconciler's: the provider need not send it again.
            carefully(partial(self.settle_payment, payment_id=payment_id, give_up=False))

    def delete_old_messages(self) -> int:
        """Forget messages after thirty days; answers how many. One that came again then would only make us look once more."""
        deleted = 0
        for _ in range(_DELETIONS):
            portion = run_call(self._delete_messages)
            deleted += portion
            if portion < _DELETED_AT_ONCE:
                break
        return deleted

    def _delete_messages(self) -> int:
        with self._database.transaction(label="delete-old-messages") as session:
            return payments_crud.delete_old_messages(session, keep=_KEEP_MESSAGES, portion=_DELETED_AT_ONCE)

    def _claim_payments(self) -> Sequence[int]:
        with self._database.transaction(label="reconcile.payments") as session:
            return payments_crud.claim_payments(session, now=self._clock.now(), limit=_PORTION)

    def _claim_refunds(self) -> Sequence[int]:
        with self._database.transaction(label="reconcile.refunds") as session:
            return refunds_crud.claim_refunds(session, now=self._clock.now(), limit=_PORTION)
