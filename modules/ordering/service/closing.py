"""What becomes of the orders of an account that was closed: the pending ones end, and nobody knows where any of them went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from kernel.database.call import run_call
from ordering.crud import closed_accounts as crud
from ordering.crud import orders as orders_crud
from ordering.interface import OrderCancelled
from ordering.service.base import UseCases, carefully
from ordering.service.states import TRANSITIONS

_ACCOUNTS: Final = 10
_ORDERS: Final = 100
"""Of one account in one run: nothing else of the dispatcher's waits for long, nor for an account with very many."""
_ADDRESSES: Final = 1_000
"""In one transaction."""
_LEASE: Final = timedelta(minutes=1)
_AGAIN: Final = timedelta(minutes=10)
"""When an account is looked at once more: a request of its owner's, under way when it was closed, has ended by then."""


class ClosingUseCases(UseCases):
    def forget_user(self, *, user_id: int) -> None:
        """An account was closed: `forget_closed` ends and erases what it left. Joins the running transaction.

        Not here: an account may have any number of orders, and their products' stock would be held until the last of them.
        """
        with self._database.transaction(label="forget-user") as session:
            crud.note_closed(session, user_id)

    def forget_closed(self) -> int:
        """Cancel pending orders and erase addresses of accounts that were closed; answers how many it looked at.

        Several may run at once: each claims its own, and a claim that is lost in a crash is free again later.
        """
        accounts = run_call(self._claim_closed)
        for user_id in accounts:
            carefully(partial(self._forget, user_id))
        return len(accounts)

    def _claim_closed(self) -> Sequence[int]:
        with self._database.transaction(label="forget.claim") as session:
            return crud.claim_closed(session, lease=_LEASE, limit=_ACCOUNTS)

    def _forget(self, user_id: int) -> None:
        last: int | None = 0
        while last is not None:
            last = run_call(partial(self._erase_addresses, user_id, last))
        with self._database.read() as connection:
            pending = crud.pending_orders_of(connection, user_id, limit=_ORDERS)
        cancelled = [carefully(partial(run_call, partial(self._cancel_forgotten, id_, user_id))) for id_ in pending]
        if None in cancelled:
            return
        with self._database.transaction(label="forget.done") as session:
            if len(pending) == _ORDERS:
                crud.look_again(session, user_id)
            else:
                crud.done_with(session, user_id, again=_AGAIN)

    def _erase_addresses(self, user_id: int, after: int) -> int | None:
        with self._database.transaction(label="forget.addresses") as session:
            return crud.erase_addresses(session, user_id, after=after, portion=_ADDRESSES)

    def _cancel_forgotten(self, order_id: int, user_id: int) -> bool:
        step = TRANSITIONS["cancel"]
        with self._database.transaction(label="forget.cancel") as session:
            moved = orders_crud.move_order(
                session,
                order_id,
                action="cancel",
                from_status=step.before.value,
                to_status=step.after.value,
                actor="system",
                actor_id=None,
            )
            if moved is None:
                return False
            self._catalog.release(reference=moved.stock_reference)
            self._events.publish(OrderCancelled(order_id=order_id, user_id=user_id))
        return True
