"""Transactions: a service opens one, calls into other modules join it, and the whole is one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, cast

from psycopg2.extensions import TRANSACTION_STATUS_INERROR
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from kernel.database.call import current_call
from kernel.database.errors import CommitUnknown, ConnectionLost, TransactionDoomed, is_connection_loss
from kernel.database.outbox_rows import OUTBOX_INSERT, OutboxRow, as_json
from kernel.database.ownership import OwnedConnection
from kernel.pure.faults import fault_point


class OwnedEngines:
    """The writer and the reader engine that the handles of one application share."""

    def __init__(self, *, writer: Engine, reader: Engine) -> None:
        self.writer = writer
        self.reader = reader
        self.on_events: Callable[[], None] | None = None
        """Called after each commit that stored events; it must neither wait nor fail."""


class UnitOfWork:
    """One root transaction with everything that joined it."""

    def __init__(self, engines: OwnedEngines, connection: Connection, label: str) -> None:
        self.engines = engines
        self.label = label
        self.connection = connection
        self.root = connection.begin()
        self.sessions: list[Session] = []
        self.pending: list[OutboxRow] = []
        self.wrote_events = False
        self.doomed_by: BaseException | None = None

    def require_alive(self) -> None:
        """Refuse to go on, or to commit, when nothing could be stored any more."""
        if self.doomed_by is not None:
            raise TransactionDoomed(
                "An error left a call that had joined this transaction, and was caught: nothing can be stored any more. "
                "To survive it, put the call inside `with self._database.attempt():`."
            ) from self.doomed_by
        if not self.root.is_active or _dbapi(self.connection).get_transaction_status() == TRANSACTION_STATUS_INERROR:
            raise TransactionDoomed(
                "A statement of this transaction failed and its error was swallowed: nothing can be stored any more. "
                "Let the error go up, or put the statement inside `with self._database.attempt():`."
            )

    def commit(self) -> None:
        fault_point(f"{self.label}:before-commit")
        try:
            self.root.commit()
        except DBAPIError as error:
            if is_connection_loss(error):
                raise CommitUnknown from error
            raise
        fault_point(f"{self.label}:after-commit")
        call = current_call()
        if call is not None:
            call.commits += 1
        if self.wrote_events and self.engines.on_events is not None:
            self.engines.on_events()

    def take_events(self) -> str:
        """What was published so far, as JSON for `OUTBOX_INSERT`; the caller writes it."""
        rows, self.pending = self.pending, []
        self.wrote_events = self.wrote_events or bool(rows)
        return as_json(rows)


_unit: ContextVar[UnitOfWork | None] = ContextVar("emporium_unit_of_work", default=None)
_reading: ContextVar[tuple[OwnedEngines, Connection] | None] = ContextVar("emporium_reading", default=None)


def in_transaction() -> bool:
    """Whether this call holds a transaction open, inside which nobody calls the outside."""
    return _unit.get() is not None


class Database:
    """One module's handle on the database. Services hold it; it holds no connection."""

    def __init__(self, engines: OwnedEngines, *, module: str, role_prefix: str, kernel_prefix: str) -> None:
        self.module = module
        self._engines = engines
        self._role_prefix = role_prefix
        self._kernel_prefix = kernel_prefix

    @contextmanager
    def transaction(self, *, label: str | None = None, statement_timeout: timedelta | None = None) -> Iterator[Session]:
        """A session in a transaction that commits at the end of the outermost block.

        Inside another module's block it joins that transaction, with a session of its own on the same connection. An error
        that leaves the block rolls the whole back. Errors: TransactionDoomed, ConnectionLost, CommitUnknown.

        `label` names the step at its fault points; the outermost one counts.

        `statement_timeout` replaces the login's for this one transaction, for commands that move a lot of data; never for a
        request, whose client has gone by then. It needs the outermost block: RuntimeError in a joined one.
        """
        unit = self._current_unit()
        if unit is not None:
            if statement_timeout is not None:
                raise RuntimeError("`statement_timeout` belongs to the outermost transaction: ask for it where that begins.")
            with self._joined(unit) as session:
                yield session
            return
        connection = _connect(self._engines.writer)
        try:
            unit = UnitOfWork(self._engines, connection, label or self.module)
            token = _unit.set(unit)
            try:
                with _lost_connections():
                    if statement_timeout is not None:
                        _limit_statements(connection, statement_timeout)
                    with self._owning(connection):
                        yield from self._rooted(unit)
            finally:
                _unit.reset(token)
        finally:
            connection.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reads: each statement one round trip, outside of any transaction.

        Inside a transaction it joins that, and sees its changes; nested reads share one connection.
        """
        unit = self._current_unit()
        if unit is not None:
            unit.sessions[-1].flush()
            with self._owning(unit.connection):
                yield unit.connection
            return
        reading = _reading.get()
        if reading is not None and reading[0] is self._engines:
            with self._owning(reading[1]):
                yield reading[1]
            return
        connection = _connect(self._engines.reader)
        token = _reading.set((self._engines, connection))
        try:
            with _lost_connections(), self._owning(connection):
                yield connection
        finally:
            _reading.reset(token)
            connection.close()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A savepoint: an error that leaves this block undoes what happened in it, and the transaction lives on."""
        unit = self._current_unit()
        if unit is None:
            raise RuntimeError("`attempt()` needs a running transaction: open one with `transaction()` around it.")
        session = unit.sessions[-1]
        pending = len(unit.pending)
        savepoint = session.begin_nested()
        # The session sends SAVEPOINT only once it uses its connection, which other modules' sessions share.
        session.connection()
        try:
            yield
            unit.require_alive()
            session.flush()
        except BaseException:
            if unit.root.is_active:
                savepoint.rollback()
                unit.doomed_by = None
                del unit.pending[pending:]
            raise
        savepoint.commit()

    def add_to_outbox(self, row: OutboxRow) -> None:
        """Keep a row to be written just before COMMIT. Errors: RuntimeError outside of a transaction."""
        unit = self._current_unit()
        if unit is None:
            raise RuntimeError("An event is published inside a transaction, so that both are stored or neither is.")
        unit.pending.append(row)

    def take_outbox(self) -> str:
        """The rows kept so far as a JSON array, for a caller that writes them together with a row of its own."""
        unit = self._current_unit()
        if unit is None:
            raise RuntimeError("There is no running transaction.")
        return unit.take_events()

    def _current_unit(self) -> UnitOfWork | None:
        unit = _unit.get()
        return unit if unit is not None and unit.engines is self._engines else None

    def _rooted(self, unit: UnitOfWork) -> Iterator[Session]:
        session = _session(unit.connection)
        unit.sessions.append(session)
        try:
            yield session
            session.flush()
            unit.require_alive()
            if unit.pending:
                self._write_outbox(unit)
            unit.commit()
        except BaseException:
            if unit.root.is_active:
                unit.root.rollback()
            raise
        finally:
            unit.sessions.pop()
            session.close()

    @contextmanager
    def _joined(self, unit: UnitOfWork) -> Iterator[Session]:
        unit.require_alive()
        # What the caller has not sent yet must go out under the caller's role.
        unit.sessions[-1].flush()
        session = _session(unit.connection)
        unit.sessions.append(session)
        try:
            with self._owning(unit.connection):
                yield session
                session.flush()
        except BaseException as error:
            unit.doomed_by = error
            raise
        finally:
            unit.sessions.pop()
            session.close()

    @contextmanager
    def _owning(self, connection: Connection) -> Iterator[None]:
        """Let the connection speak as this module, then as before."""
        dbapi = _dbapi(connection)
        before = dbapi.owned, dbapi.role_prefix, dbapi.kernel_prefix
        dbapi.owned, dbapi.role_prefix, dbapi.kernel_prefix = True, self._role_prefix, self._kernel_prefix
        try:
            yield
        finally:
            dbapi.owned, dbapi.role_prefix, dbapi.kernel_prefix = before

    def _write_outbox(self, unit: UnitOfWork) -> None:
        dbapi = _dbapi(unit.connection)
        before, dbapi.role_prefix = dbapi.role_prefix, self._kernel_prefix
        try:
            unit.connection.execute(OUTBOX_INSERT, {"events": unit.take_events()})
        finally:
            dbapi.role_prefix = before


def _session(connection: Connection) -> Session:
    return Session(bind=connection, join_transaction_mode="rollback_only", expire_on_commit=False)


def _limit_statements(connection: Connection, timeout: timedelta) -> None:
    """LOCAL: the connection goes back to the pool as it came."""
    milliseconds = max(1, round(timeout.total_seconds() * 1000))
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")


def _dbapi(connection: Connection) -> OwnedConnection:
    dbapi: Any = connection.connection.dbapi_connection
    return cast(OwnedConnection, dbapi)


def _connect(engine: Engine) -> Connection:
    with _lost_connections():
        return engine.connect()


@contextmanager
def _lost_connections() -> Iterator[None]:
    """Tell a lost or refused connection from other database errors. Errors: ConnectionLost."""
    try:
        yield
    except DBAPIError as error:
        if is_connection_loss(error):
            raise ConnectionLost from error
        raise
