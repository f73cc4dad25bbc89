"""Statements: each one that a module's crud keeps as a constant is planned on the migrated database, as the module's role."""

from __future__ import annotations

import importlib
import io
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from sqlalchemy import ClauseElement, Connection, Executable, TextClause
from sqlalchemy.exc import DBAPIError

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.syntax import Source
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, sqlstate
from kernel.database.provisioning import first_line, identifier
from kernel.database.roles import RoleNames

_PLANNED: Final = re.compile(r"[\s(]*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES)\b", re.IGNORECASE)
_RUN: Final = re.compile(r"\s*LOCK\b", re.IGNORECASE)
_COPIED: Final = re.compile(r"\s*COPY\b", re.IGNORECASE)
_TEMPLATE: Final = re.compile(r"\{\w*\}")
_WRONG: Final = frozenset({INSUFFICIENT_PRIVILEGE, "42P01", "42703", "42883", "3F000"})
"""Not allowed; no such table, column, function or schema."""


@dataclass(frozen=True)
class _Kept:
    """A constant that holds a statement."""

    module: str
    where: str
    line: int | None
    name: str
    statement: Any


def check_kept_statements(bench: Bench, connection: Connection, names: RoleNames) -> Iterator[Finding]:
    """`connection` is the application's, without the guard."""
    for kept in _kept(bench):
        with connection.begin() as transaction:
            connection.exec_driver_sql(f"SET LOCAL ROLE {identifier(names.module(kept.module))}")
            try:
                _plan(connection, kept.statement)
            except DBAPIError as error:
                # A text can be a part of a statement.
                if sqlstate(error) in _WRONG or not isinstance(kept.statement, str):
                    yield _finding(kept, error)
            finally:
                transaction.rollback()


def _plan(connection: Connection, statement: Any) -> None:
    if isinstance(statement, str):
        # Templates are filled in at the call: without what goes there, a statement says the same of its tables.
        sql, values = _TEMPLATE.sub("", statement).replace("%", "%%"), {}
    else:
        compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        sql, values = str(compiled), dict.fromkeys(compiled.params)
    if _COPIED.match(sql):
        _copy(connection, sql.replace("%%", "%"))
        return
    connection.exec_driver_sql(sql if _RUN.match(sql) else f"EXPLAIN {sql}", values)


def _copy(connection: Connection, sql: str) -> None:
    driver, cursor = connection.dialect.loaded_dbapi, connection.connection.cursor()
    try:
        cursor.copy_expert(sql, io.StringIO())
    except driver.Error as error:
        raise DBAPIError.instance(sql, None, error, driver.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()


def _kept(bench: Bench) -> Iterator[_Kept]:
    lines = {source.name: source for source in bench.sources}
    for module in bench.modules:
        for file in _files(f"{module.name}.crud"):
            yield from _kept_in(module.name, file, lines)
    for name in sorted(sys.modules):
        if name.startswith("kernel."):
            yield from _kept_in("kernel", sys.modules[name], lines)


def _files(name: str) -> Iterator[ModuleType]:
    top = importlib.import_module(name)
    yield top
    for found in pkgutil.walk_packages(getattr(top, "__path__", ()), f"{name}."):
        yield importlib.import_module(found.name)


def _kept_in(module: str, file: ModuleType, sources: Mapping[str, Source]) -> Iterator[_Kept]:
    source = sources.get(file.__name__)
    for name, value in list(vars(file).items()):
        line = source.line_of(name) if source else None
        if source is not None and line is None:
            # Imported: told where it is kept.
            continue
        where = source.where if source else Path(file.__file__ or file.__name__).name
        for statement in _statements(value):
            if module != "kernel" or not isinstance(statement, str):
                yield _Kept(module, where, line, name, statement)


def _statements(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _statements(part)
    elif isinstance(value, str | TextClause):
        text = value if isinstance(value, str) else value.text
        if _PLANNED.match(text) or _RUN.match(text) or _COPIED.match(text):
            yield value
    elif isinstance(value, Executable) and isinstance(value, ClauseElement) and value.is_dml | value.is_select:
        yield value


def _finding(kept: _Kept, error: DBAPIError) -> Finding:
    told = first_line(error).rstrip(".")
    if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
        fix = (
            f"{kept.module}'s role has its own tables only, with the rights that `grant` says: ask for what is another module's"
            " through that module's interface."
        )
    else:
        fix = "Mend the statement, or write the revision that it waits for: the newest schema is what it has to fit."
    what = f"PostgreSQL refuses {kept.name} to the role of {kept.module}: {told}."
    return Finding(rule="data/statement", module=kept.module, where=kept.where, line=kept.line, what=what, fix=fix)
