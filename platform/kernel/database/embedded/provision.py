"""What an embedded server is given at its start: two logins, the database, and the rights nobody needs taken from PUBLIC."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import URL, Connection, NullPool, create_engine, text

SUPERUSER = "postgres"
MIGRATOR = "emporium_migrator"
APPLICATION = "emporium_app"
DATABASE = "emporium"
LOGIN_SETTINGS = {
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "log_min_error_statement": "panic",
}
"""Of the application's login: it waits for seconds only, and its statements, which hold people's addresses and the hashes of
their passwords, do not end up in the server's log when they fail."""

_LOGINS = {
    MIGRATOR: "LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS",
    APPLICATION: "LOGIN NOCREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS",
}


def hardening(*, database: str, migrator: str) -> tuple[str, ...]:
    """Statements for a superuser connected to `database`; repeatable.

    Without them a module could leave its role or write code that does, by calling `set_config` or making functions.
    Databases copied from a hardened one inherit all but TEMPORARY. The migrator keeps the languages, to pass them on to the
    owner roles, and `set_config`, which pg_dump and pg_restore call first.
    """
    keeper = _quoted(migrator)
    set_config = "FUNCTION pg_catalog.set_config(text, text, boolean)"
    return (
        "REVOKE USAGE ON LANGUAGE plpgsql, sql FROM PUBLIC",
        f"GRANT USAGE ON LANGUAGE plpgsql, sql TO {keeper} WITH GRANT OPTION",
        f"REVOKE EXECUTE ON {set_config} FROM PUBLIC",
        f"GRANT EXECUTE ON {set_config} TO {keeper}",
        f"REVOKE TEMPORARY ON DATABASE {_quoted(database)} FROM PUBLIC",
    )


def harden(url: URL, *, migrator: str = MIGRATOR) -> None:
    """Run `hardening` on the database of `url`, whose user must be a superuser."""
    _run(url, lambda connection: _harden(connection, migrator))


def provision(url_of: Callable[[str], URL]) -> None:
    """Make logins and database, or correct what differs. `url_of(database)` connects as the superuser."""
    _run(url_of("postgres"), _create)
    for database in ("template1", DATABASE):
        harden(url_of(database))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(url: URL, work: Callable[[Connection], None]) -> None:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        work(connection)


def _harden(connection: Connection, migrator: str) -> None:
    database = connection.scalar(text("SELECT current_database()"))
    for statement in hardening(database=str(database), migrator=migrator):
        connection.exec_driver_sql(statement)


def _create(connection: Connection) -> None:
    roles = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
    for login, attributes in _LOGINS.items():
        verb = "ALTER" if login in roles else "CREATE"
        connection.exec_driver_sql(f"{verb} ROLE {login} {attributes}")
    for name, value in LOGIN_SETTINGS.items():
        connection.exec_driver_sql(f"ALTER ROLE {APPLICATION} SET {name} = '{value}'")
    if DATABASE not in set(connection.scalars(text("SELECT datname FROM pg_database"))):
        connection.exec_driver_sql(f"CREATE DATABASE {DATABASE} OWNER {MIGRATOR} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
