"""Users in memory, for other modules' tests; it passes the same contract tests as the real service."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from users.interface import User, UserNotFound, UsersService

_WHEN: Final = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


class FakeUsersService(UsersService):
    """Holds accounts in a dictionary, which tests may look into."""

    def __init__(self) -> None:
        self.users: dict[int, User] = {}
        self._last_id = 0

    def add(self, *, email: str, full_name: str | None = None, roles: tuple[str, ...] = ()) -> int:
        """Open an account; answers its id."""
        self._last_id += 1
        self.users[self._last_id] = User(
            id=self._last_id,
            email=email.lower(),
            full_name=full_name,
            roles=tuple(sorted(roles)),
            disabled_at=None,
            created_at=_WHEN,
            updated_at=_WHEN,
        )
        return self._last_id

    def disable(self, *, user_id: int) -> None:
        self.users[user_id] = replace(self.users[user_id], disabled_at=_WHEN)

    def close(self, *, user_id: int) -> None:
        del self.users[user_id]

    def get(self, *, user_id: int) -> User:
        if user_id not in self.users:
            raise UserNotFound(f"There is no user {user_id}.", user_id=user_id)
        return self.users[user_id]
