"""Refunds: the amount is held on the order first, then the provider is asked, then both are settled."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session

from catalog.interface import ProductNotFound, StockLimit, StockLine
from kernel.database.call import run_call
from kernel.database.types import AnyRow
from kernel.pure.errors import Invalid
from kernel.pure.principal import Principal
from ordering.crud import refunds as crud
from ordering.interface import (
    Order,
    OrderRefunded,
    OrderStatus,
    PaymentsUnavailable,
    Refund,
    RefundDeclined,
    RefundExceedsCapture,
    RefundLine,
    RefundNotFound,
    RefundState,
)
from ordering.service.base import PATIENCE, UseCases, log
from ordering.service.gateways.protocol import Declined, Refunded
from ordering.service.states import allowed_actions, not_allowed


class RefundUseCases(UseCases):
    def begin_refund(
        self,
        *,
        caller: Principal,
        order_id: int,
        amount: Decimal | None,
        lines: Sequence[RefundLine],
        reason: str | None,
    ) -> int:
        """Hold an amount, or what some of the order's goods cost; without either, all that is left. For `finish_refund`.

        Errors: OrderNotFound, ActionNotAllowed, RefundExceedsCapture, Invalid (goods that the order does not have).
        """
        self._require_gateway()
        now = self._clock.now()
        with self._database.transaction(label="refund.begin") as session:
            order = self._read_visible(session, order_id, caller).value
            left = crud.lock_refundable(session, order_id)
            if left.captured_amount == 0:
                raise not_allowed("refund", order)
            wanted = self._worth(session, order, lines) if lines else (left.refundable if amount is None else amount)
            currency = crud.hold_refund(session, order_id, wanted) if wanted > 0 else None
            if currency is None:
                raise RefundExceedsCapture(
                    f"Order {order.number} has {left.refundable} left to refund.",
                    refundable=str(left.refundable),
                    order_status=left.status,
                    allowed=list(
                        allowed_actions(
                            OrderStatus(left.status),
                            refundable=left.refundable,
                            is_admin=caller.is_admin,
                            addressed=order.shipping_address is not None,
                        )
                    ),
                )
            values = {
                "order_id": order_id,
                "amount": wanted,
                "currency": currency,
                "reason": reason,
                "actor_id": caller.user_id,
                "gateway_key": uuid4(),
                "next_check_at": now + PATIENCE,
                "now": now,
            }
            return crud.begin_refund(session, values, [_as_values(line) for line in lines])

    def finish_refund(self, *, refund_id: int) -> Refund:
        """Go on with a refund: succeeded, or still started when the provider does not answer. Errors: RefundDeclined."""
        refund = as_refund(self._advance_refund(refund_id))
        if refund.status is RefundState.FAILED:
            raise RefundDeclined(
                f"The refund was declined: {refund.failure_code}.", failure_code=refund.failure_code, refund_id=refund.id
            )
        return refund

    def settle_refund(self, *, refund_id: int) -> None:
        """Go on with a refund whose answer was lost: the same request under the same key is done once."""
        self._advance_refund(refund_id)

    def read_refund(self, *, order_id: int, refund_id: int) -> Refund:
        """Errors: RefundNotFound."""
        with self._database.read() as connection:
            row = crud.read_refund(connection, refund_id)
        if row is None or row.order_id != order_id:
            raise RefundNotFound(f"Order {order_id} has no refund {refund_id}.")
        return as_refund(row)

    def list_refunds(self, *, caller: Principal, order_id: int, after_id: int, limit: int) -> Sequence[Refund]:
        """The refunds of an order above `after_id`, oldest first. Errors: OrderNotFound."""
        with self._database.read() as connection:
            rows = crud.list_refunds(connection, order_id, after_id=after_id, limit=limit)
            if not rows:
                self._read_visible(connection, order_id, caller)
        return [as_refund(row) for row in rows]

    def _worth(self, session: Session, order: Order, lines: Sequence[RefundLine]) -> Decimal:
        left = crud.refundable_lines(session, order.id)
        worth = Decimal("0.00")
        for position, line in enumerate(lines):
            sold = left.get(line.product_id)
            if sold is None or line.quantity > sold.quantity:
                quantity = 0 if sold is None else sold.quantity
                raise Invalid(
                    f"Product {line.product_id}: {quantity} of order {order.number} can be refunded.",
                    pointer=f"/items/{position}/{'product_id' if sold is None else 'quantity'}",
                    product_id=line.product_id,
                    refundable_quantity=quantity,
                )
            worth += sold.unit_price * line.quantity
        return worth

    def _advance_refund(self, refund_id: int) -> AnyRow:
        row = self._read_row(refund_id)
        if row.status != RefundState.STARTED:
            return row
        gateway = self._require_gateway()
        if gateway.name != row.provider:
            raise PaymentsUnavailable(f"Refund {refund_id} is with {row.provider}, which is not set up now.")
        match gateway.refund(key=str(row.gateway_key), reference=row.charge, amount=row.amount):
            case Refunded(reference):
                run_call(lambda: self._succeed(row, reference))
            case Declined(code):
                run_call(lambda: self._fail(refund_id, code))
            case _:
                return row
        return self._read_row(refund_id)

    def _succeed(self, refund: AnyRow, reference: str) -> None:
        with self._database.transaction(label="refund.succeeded") as session:
            order = crud.succeed_refund(session, refund.id, gateway_reference=reference, now=self._clock.now())
            if order is None:
                return
            self._restock(refund)
            self._events.publish(
                OrderRefunded(
                    order_id=order.id,
                    user_id=order.user_id,
                    refund_id=refund.id,
                    amount=refund.amount,
                    refunded_amount=order.refunded_amount,
                    currency=refund.currency,
                )
            )

    def _restock(self, refund: AnyRow) -> None:
        back = [StockLine(product_id=line[0], quantity=line[1]) for line in refund.lines if line[2]]
        if not back:
            return
        try:
            # Apart: the money is back with the customer, and has to be settled whatever becomes of the goods.
            with self._database.attempt():
                self._catalog.restock(reference=f"refund:{refund.id}", lines=back)
        except (StockLimit, ProductNotFound) as refused:
            log.error("The goods of refund %s are not back in stock, count them by hand: %s", refund.id, refused)

    def _fail(self, refund_id: int, code: str) -> None:
        with self._database.transaction(label="refund.failed") as session:
            crud.fail_refund(session, refund_id, failure_code=code, now=self._clock.now())

    def _read_row(self, refund_id: int) -> AnyRow:
        def read() -> AnyRow | None:
            with self._database.read() as connection:
                return crud.read_refund(connection, refund_id)

        row = run_call(read)
        if row is None:
            raise RefundNotFound(f"There is no refund {refund_id}.")
        return row


def as_refund(row: AnyRow) -> Refund:
    return Refund(
        id=row.id,
        order_id=row.order_id,
        status=RefundState(row.status),
        amount=row.amount,
        currency=row.currency,
        items=tuple(RefundLine(product_id=line[0], quantity=line[1], restock=line[2]) for line in row.lines),
        reason=row.reason,
        failure_code=row.failure_code,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _as_values(line: RefundLine) -> dict[str, Any]:
    return {"product_id": line.product_id, "quantity": line.quantity, "restock": line.restock}
