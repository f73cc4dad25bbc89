"""Shipping: a paid order leaves the shop and arrives."""

from __future__ import annotations

from kernel.pure.events import Event
from kernel.pure.principal import Principal
from kernel.pure.values import Versioned
from ordering.crud import orders as crud
from ordering.interface import Order, OrderDelivered, OrderShipped, ShippingAddressRequired
from ordering.service.base import UseCases
from ordering.service.states import TRANSITIONS, not_allowed


class ShippingUseCases(UseCases):
    def ship_order(self, *, caller: Principal, order_id: int, tracking_reference: str) -> Versioned[Order]:
        """Errors: OrderNotFound, ActionNotAllowed, ShippingAddressRequired. Publishes OrderShipped."""
        return self._carry_out(caller, order_id, "ship", tracking_reference)

    def deliver_order(self, *, caller: Principal, order_id: int) -> Versioned[Order]:
        """Errors: OrderNotFound, ActionNotAllowed. Publishes OrderDelivered."""
        return self._carry_out(caller, order_id, "deliver", None)

    def _carry_out(self, caller: Principal, order_id: int, action: str, tracking: str | None) -> Versioned[Order]:
        step = TRANSITIONS[action]
        with self._database.transaction(label=action) as session:
            moved = crud.move_order(
                session,
                order_id,
                action=action,
                from_status=step.before.value,
                to_status=step.after.value,
                actor="admin",
                actor_id=caller.user_id,
                tracking_reference=tracking,
            )
            found = self._read_visible(session, order_id, caller)
            if moved is None:
                order = found.value
                if order.status is step.before and order.shipping_address is None:
                    raise ShippingAddressRequired(
                        f"Order {order.number} has no shipping address: set one first.",
                        order_status=order.status.value,
                        allowed=[allowed for allowed in order.allowed_actions if allowed != action],
                    )
                raise not_allowed(action, order)
            event: Event
            if tracking is None:
                event = OrderDelivered(order_id=order_id, user_id=moved.user_id)
            else:
                event = OrderShipped(order_id=order_id, user_id=moved.user_id, tracking_reference=tracking)
            self._events.publish(event)
            return found
