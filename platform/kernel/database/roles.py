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
    """One role as it is on the server; `settable` says whether the login may become it."""

    module: str
    role: str
    exists: bool
    settable: bool
    owner: bool


_STATE: Final = text(
    """
    SELECT wanted.role, found.oid IS NOT NULL AS present,
           COALESCE(pg_has_role(login.name, found.oid, 'SET'), false) AS settable
      FROM (SELECT COALESCE(CAST(:login AS name), session_user) AS name) AS login,
           unnest(CAST(:roles AS text[])) AS wanted(role)
      LEFT JOIN pg_roles AS found ON found.rolname = wanted.role
    """
)
_LOGIN: Final = text("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = COALESCE(CAST(:login AS name), session_user)")


def role_states(
    connection: Connection, names: RoleNames, modules: Sequence[str], *, login: str | None = None
) -> list[RoleState]:
    """The two roles of each module, in the order of `modules`, as `login` (default: the connected one) may use them."""
    wanted = [
        (module, role, owner)
        for module in modules
        for role, owner in ((names.owner(module), True), (names.module(module), False))
    ]
    rows = connection.execute(_STATE, {"roles": [role for _, role, _ in wanted], "login": login})
    seen = {row.role: row for row in rows}
    return [
        RoleState(module=module, role=role, exists=seen[role].present, settable=seen[role].settable, owner=owner)
        for module, role, owner in wanted
    ]


def detect(connection: Connection, names: RoleNames, modules: Sequence[str], *, login: str | None = None) -> Wall:
    """Whether a login (default: the connected one) can run each module's statements as that module's role.

    The application asks this once at start, and works without the roles when the answer is no.
    """
    known = connection.execute(_LOGIN, {"login": login}).one_or_none()
    if known is None:
        return Wall(on=False, reason=f'the login "{login}" does not exist')
    states = role_states(connection, names, modules, login=login)
    missing = [state.role for state in states if not state.owner and not state.exists]
    closed = [state.role for state in states if not state.owner and state.exists and not state.settable]
    if missing:
        return Wall(on=False, reason=f"these roles do not exist: {', '.join(missing)}")
    if closed:
        return Wall(on=False, reason=f'the login "{known.rolname}" may not become {", ".join(closed)}')
    on = f'each statement of "{known.rolname}" runs as its module\'s role'
    if known.rolsuper:
        return Wall(on=True, reason=f"{on}, but that login is a superuser")
    if any(state.owner and state.settable for state in states):
        return Wall(on=True, reason=f"{on}, but that login may also become the owners")
    return Wall(on=True, reason=on)
