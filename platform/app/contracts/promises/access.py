"""Access compared: who may call an operation, before and now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.contracts.promises.promise import Change
from kernel.http.operations import ROLES

ACCESS_RULES: Final = {
    "changed-auth": "Who could call an operation still can, and logs in as before.",
    "opened-auth": "No operation is opened to more callers unnoticed.",
}


@dataclass(frozen=True, slots=True)
class Callers:
    """`roles` are those of which a caller needs one; None: no role is asked for."""

    signed_in: bool
    looks_at_token: bool
    roles: frozenset[str] | None

    def __str__(self) -> str:
        if self.roles is not None:
            return f"callers with the role {' or '.join(sorted(self.roles))}"
        return "everybody who is logged in" if self.signed_in else "anybody"

    def admits(self, other: Callers) -> bool:
        """Whether everybody whom `other` lets in may call."""
        if not self.signed_in:
            return True
        if not other.signed_in:
            return False
        return self.roles is None or (other.roles is not None and other.roles <= self.roles)


def compare_access(place: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    before, after = _callers(kept), _callers(now)
    if not after.admits(before):
        what = f"It was for {before} and is for {after}."
        yield Change(rule="changed-auth", where=place, what=what, breaking=True)
    if not before.admits(after):
        what = f"It was for {before} and is open to {after}."
        yield Change(rule="opened-auth", where=place, what=what, breaking=True)
    if before.signed_in is after.signed_in is False and before.looks_at_token != after.looks_at_token:
        what = f"A token {'counts now' if after.looks_at_token else 'is not looked at any more'}."
        yield Change(rule="changed-auth", where=place, what=what, breaking=before.looks_at_token)


def _callers(operation: Mapping[str, Any]) -> Callers:
    security = operation.get("security") or []
    roles = operation.get(ROLES)
    return Callers(
        signed_in=bool(security) and {} not in security,
        looks_at_token=bool(security),
        roles=None if roles is None else frozenset(roles),
    )
