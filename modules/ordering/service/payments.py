"""Paying: an attempt is committed first, then the provider is asked, step by step; whoever comes goes on from there.

The request, its replay, the webhook and the reconciler all call `_advance`; each step starts from a status, and finds no row
when somebody else has made it meanwhile. `docs/ordering.md` shows the steps and what a crash leaves at each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import uuid4

from catalog.interface import ReservationGone
from kernel.database.call import run_call
from kernel.database.types import AnyRow
from kernel.pure.principal import Principal
from ordering.crud import orders as orders_crud
from ordering.crud import payments as crud
from ordering.interface import (
    OrderPaid,
    OrderStatus,
    PaidLine,
    Payment,
    PaymentDeclined,
    PaymentInProgress,
    PaymentNotFound,
    PaymentStatus,
    PaymentsUnavailable,
)
from ordering.service.base import PATIENCE, UseCases, may_see
from ordering.service.expiry import ExpiryUseCases
from ordering.service.gateways.protocol import Authorised, Captured, Declined, Nothing, PaymentGateway, Refunded, Voided
from ordering.service.states import allowed_actions, not_allowed, refusal

NOT_PROCESSED: Final = "not-processed"
"""The decline code of an attempt that never reached the provider."""
_MAX_STEPS: Final = 12
_SOON: Final = timedelta(seconds=2)
_UNSETTLED: Final = (PaymentStatus.STARTED.value, PaymentStatus.AUTHORISED.value)

log: Final = logging.getLogger("ordering.payments")

Step = Callable[[PaymentGateway, AnyRow], AnyRow | None]
"""Makes one step and answers the attempt after it; None when only time can tell."""


class PaymentUseCases(ExpiryUseCases, UseCases):
    def begin_payment(self, *, caller: Principal, order_id: int, method: str, token: str | None) -> int:
        """Commit an attempt to pay the order in full; answers its id, for `finish_payment`.

        Errors: OrderNotFound, ActionNotAllowed, PaymentInProgress, PaymentsUnavailable.
        """
        gateway = self._require_gateway()
        now = self._clock.now()
        values = {
            "order_id": order_id,
            "user_id": caller.user_id,
            "every": caller.is_admin,
            "provider": gateway.name,
            "method": method,
            "token": token,
            "gateway_key": uuid4(),
            "next_check_at": now + PATIENCE,
            "now": now,
        }
        with self._database.transaction(label="pay.begin") as session:
            payment_id = crud.begin_payment(session, values)
            if payment_id is not None:
                return payment_id
            order = self._read_visible(session, order_id, caller).value
            if order.status is not OrderStatus.PENDING:
                raise not_allowed("pay", order)
            raise PaymentInProgress(
                f"Another attempt to pay order {order.number} is in progress; wait for its outcome.",
                payment_id=crud.live_payment(session, order_id),
                order_status=order.status.value,
                allowed=[action for action in order.allowed_actions if action != "pay"],  # it may be settled by now
            )

    def finish_payment(self, *, caller: Principal, payment_id: int) -> Payment:
        """Go on with an attempt as far as the provider answers: captured, or not settled yet.

        Errors: PaymentDeclined, ActionNotAllowed (the order was cancelled or has expired meanwhile; the charge goes back).
        """
        row = self._advance(payment_id, self._authorise)
        if row.status == PaymentStatus.DECLINED:
            raise PaymentDeclined(
                f"The payment was declined: {row.decline_code}.", decline_code=row.decline_code, payment_id=row.id
            )
        if row.status in (PaymentStatus.REVERSING, PaymentStatus.REVERSED):
            status = OrderStatus(row.order_status)
            allowed = allowed_actions(status, refundable=Decimal(0), is_admin=caller.is_admin)
            raise refusal("pay", row.order_number, status, allowed)
        return as_payment(row)

    def settle_payment(self, *, payment_id: int, give_up: bool) -> None:
        """Go on with an attempt whose answer was lost, from what the provider knows of it.

        With `give_up`, an attempt that the provider has never heard of is over, and can no longer reach it.
        """
        self._advance(payment_id, self._give_up_or_find if give_up else self._find)

    def read_payment(self, *, caller: Principal, order_id: int, payment_id: int) -> Payment:
        """Errors: PaymentNotFound."""
        with self._database.read() as connection:
            row = crud.read_payment(connection, payment_id)
        if row is None or row.order_id != order_id or not may_see(caller, row.user_id):
            raise PaymentNotFound(f"Order {order_id} has no payment {payment_id}.")
        return as_payment(row)

    def list_payments(self, *, caller: Principal, order_id: int, after_id: int, limit: int) -> Sequence[Payment]:
        """The attempts to pay the order above `after_id`, oldest first. Errors: OrderNotFound."""
        with self._database.read() as connection:
            rows = crud.list_payments(connection, order_id, after_id=after_id, limit=limit)
            if not rows or not may_see(caller, rows[0].user_id):
                self._read_visible(connection, order_id, caller)
        return [as_payment(row) for row in rows]

    def _advance(self, payment_id: int, first: Step) -> AnyRow:
        """Make steps until the attempt is settled or nobody can tell; answers it as it is then."""
        steps: dict[str, Step] = {
            PaymentStatus.STARTED: first,
            PaymentStatus.AUTHORISED: self._capture,
            PaymentStatus.REVERSING: self._reverse,
        }
        row = self._read_attempt(payment_id)
        for _ in range(_MAX_STEPS):
            step = steps.get(row.status)
            if step is None:
                return row
            gateway = self._require_gateway()
            if gateway.name != row.provider:
                raise PaymentsUnavailable(f"Payment {payment_id} is with {row.provider}, which is not set up now.")
            after = step(gateway, row)
            if after is None:
                return row
            row = after
        log.error("Payment %s did not come to rest; the reconciler goes on with it.", payment_id)
        return row

    def _authorise(self, gateway: PaymentGateway, row: AnyRow) -> AnyRow | None:
        if row.order_status != OrderStatus.PENDING:
            return self._let_go(row)
        outcome = gateway.authorise(
            key=str(row.gateway_key), order=row.stock_reference, amount=row.amount, currency=row.currency, token=row.token
        )
        match outcome:
            case Authorised(reference):
                return self._move_attempt(row, PaymentStatus.AUTHORISED, reference=reference)
            case Declined(code):
                return self._move_attempt(row, PaymentStatus.DECLINED, code=code)
            case _:
                return None

    def _find(self, gateway: PaymentGateway, row: AnyRow) -> AnyRow | None:
        match gateway.look_up(key=str(row.gateway_key)):
            case Authorised(reference) | Captured(reference, _):
                return self._move_attempt(row, PaymentStatus.AUTHORISED, reference=reference)
            case Declined(code):
                return self._move_attempt(row, PaymentStatus.DECLINED, code=code)
            case Voided():
                return self._move_attempt(row, PaymentStatus.DECLINED, code=NOT_PROCESSED)
            case _:
                return None

    def _give_up_or_find(self, gateway: PaymentGateway, row: AnyRow) -> AnyRow | None:
        found = gateway.look_up(key=str(row.gateway_key))
        if isinstance(found, Nothing) and isinstance(gateway.void(key=str(row.gateway_key)), Voided):
            return self._move_attempt(row, PaymentStatus.DECLINED, code=NOT_PROCESSED)
        return self._find(gateway, row)

    def _capture(self, gateway: PaymentGateway, row: AnyRow) -> AnyRow | None:
        if row.order_status != OrderStatus.PENDING:
            return self._let_go(row)
        match gateway.capture(key=str(row.gateway_key), reference=row.gateway_reference, amount=row.amount):
            case Captured():
                return self._keep(row)
            case Declined(code):
                # Whatever is still held has to be let go of, before another attempt may begin.
                voided = gateway.void(key=str(row.gateway_key))
                return self._move_attempt(row, PaymentStatus.DECLINED, code=code) if isinstance(voided, Voided) else None
            case _:
                return None

    def _keep(self, row: AnyRow) -> AnyRow:
        """The money is ours: the order is paid and its stock sold, or it goes back."""

        def pay() -> AnyRow | None:
            with self._database.transaction(label="pay.captured") as session:
                paid = crud.capture_payment(session, row.id, order_id=row.order_id, now=self._clock.now())
                if paid is not None:
                    self._catalog.confirm(reference=paid.stock_reference)
                    self._events.publish(
                        OrderPaid(
                            order_id=paid.order_id,
                            user_id=paid.user_id,
                            total=paid.amount,
                            currency=paid.currency,
                            lines=tuple(PaidLine(product_id=line[0], quantity=line[1]) for line in paid.lines),
                        )
                    )
            return paid

        try:
            paid = run_call(pay)
        except ReservationGone:
            # Somebody has let go of the stock: there is nothing left to sell.
            self.expire_order(order_id=row.order_id, even_now=True)
            return self._let_go(row)
        return self._let_go(row) if paid is None else paid

    def _let_go(self, row: AnyRow) -> AnyRow:
        """The order is no longer to be paid: whatever the attempt holds has to go back."""

        def reverse() -> AnyRow | None:
            now = self._clock.now()
            with self._database.transaction(label="pay.reversing") as session:
                return crud.reverse_payment(session, row.id, now=now, next_check_at=now + _SOON)

        return run_call(reverse) or self._read_attempt(row.id)

    def _reverse(self, gateway: PaymentGateway, row: AnyRow) -> AnyRow | None:
        key = str(row.gateway_key)
        match gateway.look_up(key=key):
            case Captured(reference, amount):
                back = gateway.refund(key=f"{key}:reversal", reference=reference, amount=amount)
                if isinstance(back, Declined):
                    log.error("Payment %s cannot be given back: %s", row.id, back.code)
                return self._move_attempt(row, PaymentStatus.REVERSED) if isinstance(back, Refunded) else None
            case Authorised() | Nothing():
                # Declined: it was captured meanwhile, which the next look will find.
                voided = gateway.void(key=key)
                if isinstance(voided, Declined):
                    return row
                return self._move_attempt(row, PaymentStatus.REVERSED) if isinstance(voided, Voided) else None
            case Voided() | Declined():
                return self._move_attempt(row, PaymentStatus.REVERSED)
            case _:
                return None

    def _move_attempt(self, row: AnyRow, to: PaymentStatus, *, reference: str | None = None, code: str | None = None) -> AnyRow:
        """From the row's status to another; the attempt as it is now, also when somebody else was quicker."""

        def move() -> AnyRow | None:
            with self._database.transaction(label=f"pay.{to.value}") as session:
                moved = crud.move_payment(
                    session,
                    row.id,
                    from_statuses=[row.status],
                    to_status=to.value,
                    now=self._clock.now(),
                    gateway_reference=reference,
                    decline_code=code,
                )
                if moved is not None and to is PaymentStatus.DECLINED:
                    orders_crud.note(
                        session, row.order_id, action="payment-declined", actor="system", amount=row.amount, remark=code
                    )
                return moved

        return run_call(move) or self._read_attempt(row.id)

    def _read_attempt(self, payment_id: int) -> AnyRow:
        def read() -> AnyRow | None:
            with self._database.read() as connection:
                return crud.read_payment(connection, payment_id)

        row = run_call(read)
        if row is None:
            raise PaymentNotFound(f"There is no payment {payment_id}.")
        return row


def as_payment(row: AnyRow) -> Payment:
    return Payment(
        id=row.id,
        order_id=row.order_id,
        status=PaymentStatus(row.status),
        method=row.method,
        amount=row.amount,
        currency=row.currency,
        decline_code=row.decline_code,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
