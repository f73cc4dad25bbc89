"""Whether a connection leads to the server itself or to a pooler, and whether that lends its sessions to others."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

_SERVER_PROCESS: Final = text("SELECT pg_backend_pid()")


def goes_through_pooler(connection: Connection) -> bool:
    """True when somebody else than the server answered the connection: a pooler gives process ids of its own."""
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.info.backend_pid != _server_process(connection))


def shares_its_session(connection: Connection) -> bool:
    """True when the pooler lends the server's connection to others between two transactions.

    Then a session's lock, role or settings would go on with whoever gets it next. Opens a second connection for the question:
    one that lends gives it the server's connection that we have just used, or gives us another one afterwards.
    """
    if not goes_through_pooler(connection):
        return False
    ours = _server_process(connection)
    with connection.engine.connect() as other, other.begin():
        theirs = int(other.execute(_SERVER_PROCESS).scalar_one())
        return theirs == ours or _server_process(connection) != ours


def _server_process(connection: Connection) -> int:
    with connection.begin():
        return int(connection.execute(_SERVER_PROCESS).scalar_one())
