"""The states of an order: the one table of transitions, and what may be done now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from kernel.pure.principal import Principal
from ordering.interface import ActionNotAllowed, Order, OrderStatus, RefundStatus


class Who(Enum):
    OWNER = "the owner, or an admin"
    ADMIN = "an admin"
    SYSTEM = "the shop itself"


@dataclass(frozen=True, slots=True)
class Transition:
    before: OrderStatus
    after: OrderStatus
    who: Who


TRANSITIONS: Final[Mapping[str, Transition]] = {
    "pay": Transition(OrderStatus.PENDING, OrderStatus.PAID, Who.OWNER),
    "cancel": Transition(OrderStatus.PENDING, OrderStatus.CANCELLED, Who.OWNER),
    "expire": Transition(OrderStatus.PENDING, OrderStatus.EXPIRED, Who.SYSTEM),
    "ship": Transition(OrderStatus.PAID, OrderStatus.SHIPPED, Who.ADMIN),
    "deliver": Transition(OrderStatus.SHIPPED, OrderStatus.DELIVERED, Who.ADMIN),
}
"""Action -> from which status to which, and who may. Money that goes back is no transition: it leaves the status alone."""

MAY_CHANGE_ADDRESS: Final = (OrderStatus.PENDING, OrderStatus.PAID)


def allowed_actions(
    status: OrderStatus, *, refundable: Decimal, is_admin: bool, paying: bool = False, addressed: bool = True
) -> tuple[str, ...]:
    """What may be done with an order in this state, by an admin or by its owner.

    `paying`: an attempt to pay is not settled yet. `addressed`: it is known where the order goes.
    """
    unready = {"pay"} if paying else set()
    if not addressed:
        unready.add("ship")
    allowed = [
        action
        for action, step in TRANSITIONS.items()
        if step.before == status and action not in unready and (step.who is Who.OWNER or (step.who is Who.ADMIN and is_admin))
    ]
    if status in MAY_CHANGE_ADDRESS:
        allowed.append("set-shipping-address")
    if is_admin and refundable > 0:
        allowed.append("refund")
    return tuple(allowed)


def refund_status(*, refunded: Decimal, captured: Decimal) -> RefundStatus:
    if refunded == 0:
        return RefundStatus.NONE
    return RefundStatus.FULL if refunded == captured else RefundStatus.PARTIAL


def actor(caller: Principal, user_id: int) -> str:
    """How the history calls whoever did it."""
    return "customer" if caller.user_id == user_id else "admin"


def not_allowed(action: str, order: Order) -> ActionNotAllowed:
    return refusal(action, order.number, order.status, order.allowed_actions)


def refusal(action: str, number: str, status: OrderStatus, allowed: tuple[str, ...]) -> ActionNotAllowed:
    return ActionNotAllowed(
        f"Order {number} is {status.value}: {action} is not possible.",
        order_status=status.value,
        allowed=list(allowed),
    )
