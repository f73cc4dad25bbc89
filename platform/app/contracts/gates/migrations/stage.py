"""The stage: one database on which revisions are played forward and back by the project's own `env.py`, and broken off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from alembic import command
from sqlalchemy import Connection, Engine, create_engine, event, text

from app.contracts.gates.migrations.revisions import Revision
from app.contracts.gates.migrations.rows import checksums, fill
from app.contracts.gates.migrations.script import current_line
from app.contracts.laboratory import Laboratory
from app.drift import roles_of
from app.migrations import Target, config
from app.shape import Shape, shape_of

Verb = Literal["upgrade", "downgrade"]

_VERSION: Final = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) kernel\.alembic_version", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a run; without a line it is Alembic's own, which notes the new version."""

    sql: str
    line: int | None
    autocommit: bool

    @property
    def builds_beside_others(self) -> bool:
        return bool(re.match(r"\s*CREATE\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY", self.sql, re.IGNORECASE))


Look = Callable[[Connection, Statement], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    shape: Shape
    rows: dict[str, str]
    versions: frozenset[str]


class BrokenOff(Exception):
    """What a broken revision raises here, as an operator's Ctrl-C or a lost connection would."""


class Stage:
    """A database with all schemas and roles; usable inside of its `with` block."""

    def __init__(self, laboratory: Laboratory, provisioned: Target, schemas: Sequence[str]) -> None:
        self._laboratory, self._provisioned, self._schemas = laboratory, provisioned, schemas
        self._stack = ExitStack()
        self.rebuilt = 0
        """How often. Rows made anew are not the rows of before."""

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self._target = self._stack.enter_context(self._laboratory.clone(self._provisioned))
        self._config = config(self._target)
        url = (self._target.creator or self._target.url).set(database=self._target.database)
        # One connection that stays: a new one has to read the whole catalogue again.
        self._engine = create_engine(url, pool_size=1)
        self._stack.callback(self._engine.dispose)
        self._roles = roles_of(self._target)

    def run(self, verb: Verb, destination: str) -> None:
        """Errors: CommandError, and whatever a revision raises."""
        getattr(command, verb)(self._config, destination)

    def step(self, verb: Verb, revision: Revision) -> None:
        """This revision forward, or back from it. Errors: as `run`."""
        self.run(verb, str(revision.id) if verb == "upgrade" else f"{revision.branch}@-1")

    def rebuild(self, done: Sequence[str]) -> None:
        """A fresh database, migrated to these destinations and filled; for when the old one has come to harm."""
        self._stack.close()
        self._open()
        self.rebuilt += 1
        for destination in done:
            self.run("upgrade", destination)
        self.fill()

    def restore(self, wanted: State, done: Sequence[str]) -> None:
        """Rebuild, unless nothing has come to harm."""
        if self.state() != wanted:
            self.rebuild(done)

    def fill(self) -> None:
        with self._engine.begin() as connection:
            fill(connection, self._schemas)

    def state(self) -> State:
        with self._engine.connect() as connection:
            return State(
                shape=shape_of(connection, self._schemas, self._roles),
                rows=checksums(connection, self._schemas),
                versions=_versions(connection),
            )

    @contextmanager
    def busy(self, schema: str) -> Iterator[None]:
        """Somebody writes into every table of this schema, and does not come to an end."""
        with self._engine.begin() as connection:
            tables = connection.scalar(
                text(
                    "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables WHERE schemaname = :schema"
                ),
                {"schema": schema},
            )
            if tables:
                connection.exec_driver_sql(f"LOCK TABLE {tables} IN ROW EXCLUSIVE MODE")
            yield


def _versions(connection: Connection) -> frozenset[str]:
    """The first revision of all makes the table."""
    if connection.scalar(text("SELECT to_regclass('kernel.alembic_version')")) is None:
        return frozenset()
    return frozenset(connection.scalars(text("SELECT version_num FROM kernel.alembic_version")))


@contextmanager
def watching(revision: Revision, *, before: Look | None = None, after: Look | None = None) -> Iterator[list[Statement]]:
    """Collects what this revision sends, and shows each statement to `before` and `after`, which may raise."""
    seen: list[Statement] = []
    looking = False

    def show(look: Look | None, connection: Connection, sql: str, *, note: bool) -> None:
        nonlocal looking
        line = None if looking else current_line(revision.file.name)
        if looking or (line is None and not _VERSION.match(sql)):
            return
        driver: Any = connection.connection.driver_connection
        statement = Statement(sql=sql, line=line, autocommit=driver.autocommit)
        if note:
            seen.append(statement)
        if look is not None:
            looking = True
            try:
                look(connection, statement)
            finally:
                looking = False

    def sending(connection: Connection, _: Any, sql: str, *__: Any) -> None:
        show(before, connection, sql, note=True)

    def sent(connection: Connection, _: Any, sql: str, *__: Any) -> None:
        show(after, connection, sql, note=False)

    event.listen(Engine, "before_cursor_execute", sending)
    event.listen(Engine, "after_cursor_execute", sent)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", sending)
        event.remove(Engine, "after_cursor_execute", sent)
