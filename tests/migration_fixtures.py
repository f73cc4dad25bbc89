"""Databases that are not migrated yet, Alembic on them, and throw-away modules as installed distributions.

empty_database     nothing in it, with roles of its own; both are dropped afterwards
plain_login        a database that belongs to a login which may not create roles
alembic            Alembic's commands on `empty_database`, in this process
install_module     puts a module with its own branch on the path, as `pip install` would
"""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, Final
from uuid import uuid4

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine
from tests.database_fixtures import Clone, Databases
from typer.testing import CliRunner, Result

from app.cli.db import db
from app.migrations import Target, branches, config
from kernel.database.embedded.cluster import _binaries

ROOT: Final = Path(__file__).resolve().parents[1]

_MODULE: Final = '''
"""The description of {name}."""
from dependency_injector.containers import DeclarativeContainer
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text
from kernel.database.types import identity_column, module_metadata
from kernel.module import Module

metadata = module_metadata("{name}")
{tables}
module = Module(
    name="{name}", owner="tests", summary="For a test.", container=DeclarativeContainer, metadata=metadata
)
'''
_REVISION: Final = '''
"""{doc}"""
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = None


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''


@dataclass(frozen=True, slots=True)
class Step:
    """One revision of a throw-away module."""

    upgrade: str
    downgrade: str = "pass"


@dataclass(frozen=True, slots=True)
class Installed:
    """A throw-away module: where it is and what its revisions are called."""

    name: str
    path: Path
    revisions: tuple[str, ...]

    @property
    def migrations(self) -> Path:
        return self.path / self.name / "migrations"


@dataclass(slots=True)
class Alembic:
    """Alembic on one database. `target` says which, and by which login."""

    target: Target
    printed: io.StringIO = field(default_factory=io.StringIO)

    def run(self, name: str, *arguments: Any, **options: Any) -> Any:
        """A command of `alembic.command`; what it prints is collected in `printed`."""
        self.printed = io.StringIO()
        made = config(self.target)
        made.stdout = made.output_buffer = self.printed
        return getattr(command, name)(made, *arguments, **options)

    def sql(self, statement: str, url: Any = None) -> Any:
        """Run one statement in its own transaction; answers rows when there are any."""
        engine = create_engine(url or self.target.creator or self.target.url, poolclass=NullPool)
        with engine.begin() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else None

    def heads(self) -> set[str]:
        return set(ScriptDirectory.from_config(config(self.target)).get_heads())

    def revisions(self, branch: str) -> list[str]:
        """All revisions of a branch, the first one first."""
        script = ScriptDirectory.from_config(config(self.target))
        return [known.revision for known in script.iterate_revisions(f"{branch}@head", "base")][::-1]

    def reached(self) -> set[str]:
        return {version for (version,) in self.sql("SELECT version_num FROM kernel.alembic_version")}

    def branches(self) -> list[str]:
        return [branch.name for branch in branches()]


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[Clone]:
    name = f"emporium_test_{uuid4().hex[:12]}"
    databases.create(name)
    yield databases.at(name, prefix=name)
    databases.drop(name)
    databases.drop_roles(name)


@pytest.fixture
def alembic(empty_database: Clone) -> Alembic:
    return Alembic(empty_database.target)


@pytest.fixture
def plain_login(databases: Databases) -> Iterator[Alembic]:
    """One login for everything, which owns its database and nothing else."""
    name = f"emporium_test_{uuid4().hex[:12]}"
    databases.execute(f"CREATE ROLE {name} LOGIN")
    databases.create(name, owner=name, template="template0")
    url = databases.server.url(user=name, database=name)
    yield Alembic(Target(url=url, application=name, creator=databases.at(name).superuser))
    databases.drop(name)
    databases.drop_roles(name)
    databases.execute(f"DROP ROLE {name}")


@pytest.fixture
def install_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Installed]]:
    made: list[str] = []

    def install(*steps: Step, tables: str = "") -> Installed:
        name = f"extra{uuid4().hex[:6]}"
        installed = _write_distribution(tmp_path / f"site-{name}", name, steps, tables)
        monkeypatch.syspath_prepend(str(installed.path))
        made.append(name)
        return installed

    yield install
    for name in made:
        for known in [known for known in sys.modules if known.partition(".")[0] == name]:
            del sys.modules[known]
    importlib.invalidate_caches()


def _write_distribution(site: Path, name: str, steps: tuple[Step, ...], tables: str) -> Installed:
    package, info = site / name, site / f"{name}-1.0.dist-info"
    (package / "migrations").mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[emporium.modules]\n{name} = {name}.module:module\n")
    (package / "__init__.py").touch()
    (package / "module.py").write_text(_MODULE.format(name=name, tables=dedent(tables).format(name=name)))
    revisions = tuple(f"{name}{number}" for number in range(len(steps)))
    for number, step in enumerate(steps):
        text = _REVISION.format(
            doc=f"Step {number}",
            revision=revisions[number],
            down=revisions[number - 1] if number else None,
            labels=None if number else (name,),
            upgrade=indent(dedent(step.upgrade).replace("{name}", name), "    "),
            downgrade=indent(dedent(step.downgrade).replace("{name}", name), "    "),
        )
        (package / "migrations" / f"{revisions[number]}.py").write_text(text)
    return Installed(name, site, revisions)


@pytest.fixture
def emporium_db(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`emporium db …` in this process, for commands that only look or write files: (environment, *arguments)."""

    def invoke(environment: Mapping[str, str], *arguments: str) -> Result:
        for name, value in {"COLUMNS": "200", **environment}.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(db, arguments)

    return invoke


def start(environment: Mapping[str, str], program: str, *arguments: str, site: Path | None = None) -> subprocess.Popen[str]:
    """`alembic` or `emporium` as a process of its own in the project's root."""
    code = "from app.cli.db import db; db()" if program == "emporium db" else "from alembic.config import main; main()"
    path = os.pathsep.join(filter(None, [str(site) if site else "", os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": path, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def psql(target: Target, script: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script as an administrator would."""
    _, binaries = _binaries()
    query = target.url.query
    address = ["-h", str(query["host"]), "-p", str(query["port"]), "-d", target.database, "-U", user or target.migrator]
    return subprocess.run(
        [str(binaries / "psql"), *address, "-X", "-q", "-v", "ON_ERROR_STOP=1"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PGOPTIONS": ""},
    )
