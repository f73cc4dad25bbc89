"""Scripts: the SQL of a revision, as `alembic upgrade --sql` writes it, and the line that each statement comes from."""

from __future__ import annotations

import io
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Final, cast

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.contracts.gates.migrations.revisions import Revision

_NO_SCRIPTS: Final = cast("ScriptDirectory", None)
"""A revision that is written asks for none."""


@dataclass(frozen=True, slots=True)
class Written:
    """One statement of a script."""

    sql: str
    line: int | None

    @property
    def short(self) -> str:
        words = re.sub(r"\s+", " ", self.sql).strip()
        return words if len(words) <= 60 else f"{words[:59]}…"


class Unwritable(Exception):
    """The revision cannot be written as a script; `line` is where it stopped."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


def write(revision: Revision, function: str) -> list[Written]:
    """What `upgrade` or `downgrade` sends, BEGIN and COMMIT included. Raises Unwritable."""
    written: list[Written] = []
    try:
        module = _load(revision.file)
        context = MigrationContext.configure(
            dialect_name="postgresql",
            dialect_opts={"paramstyle": "named"},
            opts={"as_sql": True, "output_buffer": io.StringIO(), "literal_binds": True},
        )
        take = _taker(written, revision.file.name)
        context.impl.static_output = take  # type: ignore[method-assign]  # Alembic's own way out, before it is a file
        take("BEGIN;")
        with EnvironmentContext(Config(), _NO_SCRIPTS, as_sql=True) as environment, Operations.context(context):
            environment._migration_context = context  # what env.py's configure() would do
            getattr(module, function)()
        take("COMMIT;")
    except Exception as error:  # whatever a revision does that needs a database
        first = (str(error) or type(error).__name__).partition("\n")[0]
        raise Unwritable(f"{type(error).__name__}: {first}", line_of_error(error, revision.file.name)) from error
    return written


def _taker(written: list[Written], file: str) -> Any:
    def take(text: str) -> None:
        statement = text.strip()
        if statement:
            written.append(Written(statement if statement.endswith(";") else f"{statement};", current_line(file)))

    return take


def _load(file: Path) -> ModuleType:
    """A module of its own, left out of `sys.modules`: the same file may be loaded as it was a moment ago."""
    module = ModuleType(f"revision_{file.stem}")
    module.__file__ = str(file)
    code: CodeType = compile(file.read_text(encoding="utf-8"), str(file), "exec")
    exec(code, module.__dict__)  # noqa: S102  # a revision of this project, which Alembic runs no other way
    return module


def current_line(file: str) -> int | None:
    """The line of this file that is being run, if any; of several, the innermost."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_of(frame, file):
            return frame.f_lineno
        frame = frame.f_back
    return None


def line_of_error(error: BaseException | None, file: str) -> int | None:
    """Where in this file an error, or what caused it, came from."""
    found: int | None = None
    while error is not None and found is None:
        trace = error.__traceback__
        while trace is not None:
            if _is_of(trace.tb_frame, file):
                found = trace.tb_lineno
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return found


def _is_of(frame: FrameType, file: str) -> bool:
    return frame.f_code.co_filename.endswith(f"{os.sep}{file}")
