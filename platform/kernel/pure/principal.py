"""The principal: who is calling, as the access token says."""

from __future__ import annotations

from dataclasses import dataclass

ADMIN = "admin"
"""The kernel's one role. Modules declare further ones in their `Module(roles=...)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller.

    `epoch` is the generation of the account's rights at the time the token was issued: a disabled account, a lost role or a
    changed password raises it, and tokens of an earlier epoch are refused by the first statement of their request.
    """

    user_id: int
    roles: frozenset[str]
    epoch: int

    def has(self, role: str) -> bool:
        return role in self.roles

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles
