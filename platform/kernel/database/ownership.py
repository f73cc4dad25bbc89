"""Ownership: every statement of a module runs as that module's role, so PostgreSQL itself refuses a neighbour's tables.

The role travels in front of the statement in the same message, so it costs no round trip. This stops mistakes, not hostile
code: a module that imports psycopg2 and opens a connection of its own is outside of it (import-linter refuses that).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from psycopg2 import extensions

from kernel.database.call import current_call
from kernel.database.errors import StatementRefused
from kernel.pure.principal import Principal

_ALLOWED: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "LOCK"})
_SAVEPOINT: Final = re.compile(r"(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) sa_savepoint_\d+\Z")
_COPY: Final = re.compile(r"\s*COPY\s[^;]*\s(FROM\s+STDIN|TO\s+STDOUT)\b[^;]*\Z", re.IGNORECASE)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'")
_ROUTINE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
_FIRST_WORD: Final = re.compile(r"[\s(]*([A-Za-z]+)")


@lru_cache(maxsize=2048)
def _needs_role(statement: str) -> bool:
    """Whether the statement takes the role in front (a savepoint does not). Raises StatementRefused."""
    if _SAVEPOINT.match(statement):
        return False
    word = _FIRST_WORD.match(statement)
    if word is None or word[1].upper() not in _ALLOWED:
        raise StatementRefused(
            f"A module may run only {', '.join(sorted(_ALLOWED))}; this statement starts with "
            f"{statement.strip()[:30]!r}. Schema changes belong into a migration, transactions to `Database`."
        )
    if ";" in statement:
        raise StatementRefused("A module's statement may hold no `;`: send one statement, and pass text as a parameter.")
    return True


class OwnedConnection(extensions.connection):
    """A psycopg2 connection that knows on whose behalf it works.

    `role_prefix` is `SET LOCAL ROLE "…";` or empty (no wall), `kernel_prefix` the same for the kernel's own role; `owned`
    is True while a module's block uses the connection.
    """

    owned: bool = False
    role_prefix: str = ""
    kernel_prefix: str = ""


class OwnedCursor(extensions.cursor):
    """A cursor that puts the role in front of each statement of a module, and refuses what a module must not say."""

    connection: OwnedConnection

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 -- psycopg2's name
        connection = self.connection
        if not connection.owned:
            return super().execute(query, vars)
        statement = _text(query)
        if not _needs_role(statement):
            return super().execute(statement, vars)
        prefix = _prefix(connection)
        if self.name is not None:
            # DECLARE must stand alone in its message.
            self._send_separately(prefix)
            return super().execute(statement, vars)
        return super().execute(prefix + statement, vars)

    def executemany(self, query: Any, vars_list: Any) -> None:
        connection = self.connection
        if not connection.owned:
            return super().executemany(query, vars_list)
        statement = _text(query)
        _needs_role(statement)
        check = _principal_check(connection)
        if check:
            with connection.cursor(cursor_factory=extensions.cursor) as plain:
                plain.execute(check)
        return super().executemany(connection.role_prefix + statement, vars_list)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        if self.connection.owned:
            statement = _text(sql)
            # A text may say what it likes, `TO STDOUT` included.
            if ";" in statement or not _COPY.match(_QUOTED.sub("''", statement)):
                raise StatementRefused("A module copies only `FROM STDIN` or `TO STDOUT`, one statement, without `;`.")
            self._send_separately(_prefix(self.connection))
        return super().copy_expert(sql, file, size)

    def callproc(self, procname: Any, parameters: Any = None) -> Any:
        if self.connection.owned:
            # The driver puts the name into its statement as it is.
            if not _ROUTINE.fullmatch(_text(procname)):
                raise StatementRefused("A module calls a routine by its plain name, with or without its schema.")
            self._send_separately(_prefix(self.connection))
        return super().callproc(procname) if parameters is None else super().callproc(procname, parameters)

    def copy_from(self, *_: Any, **__: Any) -> None:
        raise StatementRefused("Use `copy_expert`: `copy_from` would run without the module's role.")

    def copy_to(self, *_: Any, **__: Any) -> None:
        raise StatementRefused("Use `copy_expert`: `copy_to` would run without the module's role.")

    def _send_separately(self, prefix: str) -> None:
        if not prefix:
            return
        if self.connection.autocommit:
            raise StatementRefused(
                "Named cursors, COPY and callproc need a transaction: outside of one, SET LOCAL ROLE ends at once."
            )
        with self.connection.cursor(cursor_factory=extensions.cursor) as plain:
            plain.execute(prefix)


def _text(query: Any) -> str:
    if isinstance(query, str):
        return query
    raise StatementRefused("A module passes its statements as text through SQLAlchemy.")


def _prefix(connection: OwnedConnection) -> str:
    return _principal_check(connection) + connection.role_prefix


def _principal_check(connection: OwnedConnection) -> str:
    """The epoch check of an authenticated call, once, in front of its first statement; else empty."""
    call = current_call()
    if call is None or call.principal_checked or call.principal is None:
        return ""
    call.principal_checked = True
    return connection.kernel_prefix + principal_check(call.principal)


def principal_check(principal: Principal) -> str:
    # Integers only, so no parameter is needed: the text goes in front of another statement's placeholders.
    return f"SELECT kernel.require_principal({int(principal.user_id)}, {int(principal.epoch)});"
