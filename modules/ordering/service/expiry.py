"""What ends an order before it is paid: time."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from kernel.database.call import run_call
from ordering.crud import orders as crud
from ordering.interface import OrderExpired
from ordering.service.base import UseCases, carefully
from ordering.service.states import TRANSITIONS

PAYING: Final = timedelta(minutes=2)
"""An order that somebody began to pay within this time does not expire: the outcome may be on its way."""
_PORTION: Final = 100
_PORTIONS: Final = 10
"""Of one run: nothing else of the dispatcher's waits for long."""
_FAILURES: Final = 5
"""Of one run: each may have waited for a lock as long as that is allowed."""


class ExpiryUseCases(UseCases):
    def expire_orders(self) -> int:
        """Expire what was not paid in time, each order in a transaction of its own; answers how many.

        One whose stock somebody holds comes up again, and keeps few others waiting.
        """
        expired = failed = 0
        for _ in range(_PORTIONS):
            with self._database.read() as connection:
                due = crud.expired_orders(connection, now=self._clock.now(), patience=PAYING, limit=_PORTION)
            for order_id in due:
                done = carefully(partial(run_call, partial(self.expire_order, order_id=order_id)))
                expired += done is True
                failed += done is None
                if failed == _FAILURES:
                    return expired
            if failed or len(due) < _PORTION:
                break
        return expired

    def expire_order(self, *, order_id: int, even_now: bool = False) -> bool:
        """Whether the order was pending, its time over (or `even_now`), and has expired now. Publishes OrderExpired."""
        step = TRANSITIONS["expire"]
        due: datetime | None = None if even_now else self._clock.now()
        with self._database.transaction(label="expire") as session:
            moved = crud.move_order(
                session,
                order_id,
                action="expire",
                from_status=step.before.value,
                to_status=step.after.value,
                actor="system",
                actor_id=None,
                due=due,
                patience=PAYING,
            )
            if moved is None:
                return False
            self._catalog.release(reference=moved.stock_reference)
            self._events.publish(OrderExpired(order_id=order_id, user_id=moved.user_id))
        return True
