"""Roles: the names of the PostgreSQL roles that own and use each module's schema, and whether a login can use them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

_MAX_BYTES: Final = 63
"""PostgreSQL cuts longer identifiers (NAMEDATALEN - 1) without an error."""
_PREFIX: Final = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class RoleNames:
    """Roles are cluster-wide, so their names start with a prefix of their own: by default the database's name."""

    prefix: str

    def __post_init__(self) -> None:
        # The names stand in front of every statement as they are, so what would need quoting is not let in.
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                f"Role names cannot start with {self.prefix!r}: set DATABASE_ROLE_PREFIX to letters, digits, `_`, `-`, `.`."
            )

    def module(self, name: str) -> str:
        """The role that the module's statements run as: DML on the module's schema, nothing else."""
        return _fitting(f"{self.prefix}_{name}")

    def owner(self, name: str) -> str:
        """The role that owns the module's schema; its migrations run as this one."""
        return _fitting(f"{self.prefix}_{name}_owner")


def _fitting(name: str) -> str:
    if len(name.encode()) <= _MAX_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name.encode()[: _MAX_BYTES - 13].decode(errors='ignore')}_{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """Whether PostgreSQL itself keeps the modules apart, and why (one sentence)."""

    on: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleState:
    """One role as it is on the server, seen from the connected login."""

    module: str
    role: str
    exists: bool
    settable: bool
    inherited: bool
    owner: bool


_STATE: Final = text(
    """
    SELECT wanted.role, found.oid IS NOT NULL AS present,
           COALESCE(pg_has_role(session_user, found.oid, 'SET'), false) AS settable,
           COALESCE(pg_has_role(session_user, found.oid, 'USAGE'), false) AS inherited
      FROM unnest(CAST(:roles AS text[])) AS wanted(role)
      LEFT JOIN pg_roles AS found ON found.rolname = wanted.role
    """
)
_LOGIN: Final = text("SELECT session_user, rolsuper FROM pg_roles WHERE rolname = session_user")


def role_states(connection: Connection, names: RoleNames, modules: Sequence[str]) -> list[RoleState]:
    """The two roles of each module, in the order of `modules`, seen from the connected login."""
    wanted = [(module, role, owner) for module in modules for role, owner in _both(names, module)]
    rows = connection.execute(_STATE, {"roles": [role for _, role, _ in wanted]})
    seen = {row.role: row for row in rows}
    return [
        RoleState(
            module=module,
            role=role,
            exists=seen[role].present,
            settable=seen[role].settable,
            inherited=seen[role].inherited,
            owner=owner,
        )
        for module, role, owner in wanted
    ]


def _both(names: RoleNames, module: str) -> list[tuple[str, bool]]:
    return [(names.owner(module), True), (names.module(module), False)]


def detect(connection: Connection, names: RoleNames, modules: Sequence[str]) -> Wall:
    """Whether the connected login can run each module's statements as that module's role.

    The application asks this once at start, and works without the roles when the answer is no.
    """
    login, superuser = connection.execute(_LOGIN).one()
    states = role_states(connection, names, modules)
    missing = [state.role for state in states if not state.owner and not state.exists]
    closed = [state.role for state in states if not state.owner and state.exists and not state.settable]
    if missing:
        return Wall(on=False, reason=f"these roles do not exist: {', '.join(missing)}")
    if closed:
        return Wall(on=False, reason=f'the login "{login}" may not become {", ".join(closed)}')
    if superuser:
        return Wall(on=True, reason=f'each statement runs as its module\'s role, but "{login}" is a superuser')
    if any(state.owner and state.settable for state in states):
        return Wall(on=True, reason=f'each statement runs as its module\'s role, but "{login}" may also become the owners')
    return Wall(on=True, reason=f'each statement of "{login}" runs as its module\'s role')
