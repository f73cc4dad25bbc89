"""What ordering does when something happens elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernel.pure.listeners import DatabaseListener, Listener
from ordering.service import DatabaseOrderingService
from users.interface import UserClosed


def build_listeners(service: DatabaseOrderingService) -> Sequence[Listener[Any]]:
    return [
        DatabaseListener(
            name="ordering.forget_closed_accounts",
            event=UserClosed,
            handle=lambda event: service.forget_user(user_id=event.user_id),
        )
    ]
