"""The guard: every form in which a module could leave its role or its transaction is tried, and refused before it is sent.

What is tried would work if it were sent: a role that the login may become, a transaction that it may end. Each breaks one
rule of the guard only, so that no other rule hides that this one is missing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.contracts.finding import Finding
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, StatementRefused, sqlstate
from kernel.database.provisioning import identifier
from kernel.database.roles import RoleNames
from kernel.database.unit_of_work import Database

WHERE: Final = "platform/kernel/database/ownership.py"

STATEMENTS: Final[Mapping[str, str]] = {
    "SET ROLE": "SET ROLE {role}",
    "SET LOCAL ROLE": "SET LOCAL ROLE {role}",
    "set role": "\n  set role {role}",
    "RESET ROLE": "RESET ROLE",
    "SET SESSION AUTHORIZATION": "SET SESSION AUTHORIZATION DEFAULT",
    "RESET ALL": "RESET ALL",
    "DISCARD": "DISCARD PLANS",
    "two statements": "SELECT 1; SET LOCAL ROLE {role}",
    "two statements behind WITH": "WITH one AS (SELECT 1) SELECT * FROM one; RESET ROLE",
    "an empty statement behind the first": "SELECT 1;",
    "a comment in front": "/* SELECT */ RESET ROLE",
    "a line of comment in front": "-- SELECT\nRESET ROLE",
    "a bracket in front": "(RESET ROLE",
    "a byte order mark in front": "\ufeffRESET ROLE",
    "DO": "DO 'BEGIN END'",
    "CREATE FUNCTION": "CREATE FUNCTION {own}.planted() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE TABLE": "CREATE TABLE {own}.planted ()",
    "ALTER TABLE": "ALTER TABLE {table} ADD planted int",
    "DROP TABLE": "DROP TABLE {table}",
    "TRUNCATE": "TRUNCATE {table}",
    "GRANT": "GRANT SELECT ON {table} TO PUBLIC",
    "REVOKE": "REVOKE SELECT ON {table} FROM PUBLIC",
    "COMMENT": "COMMENT ON TABLE {table} IS 'planted'",
    "COPY … TO PROGRAM": "COPY {table} TO PROGRAM 'true'",
    "COPY": "COPY {table} TO STDOUT",
    "BEGIN": "BEGIN",
    "START TRANSACTION": "START TRANSACTION",
    "COMMIT": "COMMIT",
    "END": "END",
    "ROLLBACK": "ROLLBACK",
    "ABORT": "ABORT",
    "SAVEPOINT": "SAVEPOINT planted",
    "a savepoint with more behind it": "SAVEPOINT sa_savepoint_1; RESET ROLE",
    "ROLLBACK TO SAVEPOINT with more behind it": "ROLLBACK TO SAVEPOINT sa_savepoint_1; RESET ROLE",
    "PREPARE": "PREPARE planted AS SELECT 1",
    "EXECUTE": "EXECUTE planted",
    "DECLARE": "DECLARE planted CURSOR FOR SELECT 1",
    "LISTEN": "LISTEN planted",
    "NOTIFY": "NOTIFY planted",
    "CALL": "CALL planted()",
    "EXPLAIN": "EXPLAIN ANALYZE SELECT 1",
    "SHOW": "SHOW role",
    "nothing": "",
}


def _cursor(session: Session) -> Any:
    return session.connection().connection.cursor()


CURSORS: Final[Mapping[str, Callable[[Session, str], object]]] = {
    "a statement of bytes": lambda session, _: _cursor(session).execute(b"SELECT 1"),
    "executemany": lambda session, _: _cursor(session).executemany("RESET ROLE", [(), ()]),
    "a named cursor": lambda session, _: session.connection().connection.cursor("planted").execute("RESET ROLE"),
    "copy_from": lambda session, table: _cursor(session).copy_from(io.StringIO(), table),
    "copy_to": lambda session, table: _cursor(session).copy_to(io.StringIO(), table),
    "copy_expert FROM a file": lambda session, table: _copy(session, f"COPY {table} FROM '/dev/null'"),
    "copy_expert TO PROGRAM": lambda session, table: _copy(session, f"COPY {table} TO PROGRAM 'true'"),
    "copy_expert TO PROGRAM behind a text": lambda session, _: _copy(session, "COPY (SELECT ' TO STDOUT') TO PROGRAM 'true'"),
    "copy_expert with more behind it": lambda session, table: _copy(session, f"COPY {table} TO STDOUT; RESET ROLE"),
    "copy_expert of another statement": lambda session, _: _copy(session, "RESET ROLE"),
    "callproc with more behind it": lambda session, _: _cursor(session).callproc("now(); RESET ROLE; SELECT abs", [1]),
    "callproc with a query": lambda session, table: _cursor(session).callproc(f"{table}, abs", [1]),
}

BY_THE_SERVER: Final[Mapping[str, Callable[[Session, str], object]]] = {
    "set_config": lambda session, _: session.connection().exec_driver_sql("SELECT set_config('role', 'none', true)"),
    "set_config behind WITH": lambda session, _: session.connection().exec_driver_sql(
        "WITH left_it AS (SELECT pg_catalog.set_config('role', 'none', true)) SELECT * FROM left_it"
    ),
    "callproc of set_config": lambda session, _: _cursor(session).callproc("set_config", ["role", "none", True]),
}
"""No word in front gives these away; PostgreSQL refuses them, where the right could be taken from PUBLIC."""


def _copy(session: Session, statement: str) -> object:
    return _cursor(session).copy_expert(statement, io.StringIO())


def check_guard(database: Database, *, table: str, neighbour: str, names: RoleNames, hardened: bool) -> Iterator[Finding]:
    """Try everything on the handle of one module; `table` is one of its own."""
    parts = {"role": identifier(names.module(neighbour)), "own": database.module, "table": table}
    for form, pattern in STATEMENTS.items():
        statement = pattern.format(**parts)
        for outcome in (_in_transaction(database, statement), _in_read(database, statement)):
            if outcome is not None:
                yield _finding(form, outcome)
                break
    for form, attempt in CURSORS.items():
        if (outcome := _tried(database, attempt, table)) is not None:
            yield _finding(form, outcome)
    for form, attempt in BY_THE_SERVER.items() if hardened else ():
        outcome = _tried(database, attempt, table)
        if outcome != INSUFFICIENT_PRIVILEGE:
            yield _finding(form, outcome or "refused by the guard")


def _in_transaction(database: Database, statement: str) -> str | None:
    return _tried(database, lambda session, _: session.connection().exec_driver_sql(statement), "")


def _in_read(database: Database, statement: str) -> str | None:
    try:
        with database.read() as connection:
            connection.exec_driver_sql(statement)
    except Exception as error:
        return _outcome(error)
    return "it went through"


def _tried(database: Database, attempt: Callable[[Session, str], object], table: str) -> str | None:
    """None when the guard refused it, else what became of it."""
    try:
        with database.transaction() as session:
            attempt(session, table)
            raise _TakeBack
    except Exception as error:
        return _outcome(error)


class _TakeBack(Exception):
    """Rolls back what should not have gone through."""


def _outcome(error: Exception) -> str | None:
    if isinstance(error, StatementRefused):
        return None
    if isinstance(error, _TakeBack):
        return "it went through"
    return (sqlstate(error) if isinstance(error, DBAPIError) else getattr(error, "pgcode", None)) or type(error).__name__


def _finding(form: str, outcome: str) -> Finding:
    return Finding(
        rule="data/guard",
        module="kernel",
        where=WHERE,
        what=f"The guard lets `{form}` pass to PostgreSQL.",
        fix="Refuse it before it is sent, with StatementRefused: one statement of the allowed first words, no `;`, and no other"
        f" way to speak. ({outcome[0].upper()}{outcome[1:]}.)",
    )
