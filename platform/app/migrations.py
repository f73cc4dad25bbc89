"""Programmatic Alembic: which branches there are, which database to migrate, and clean ones to compare with."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionMap
from alembic.util import CommandError
from sqlalchemy import URL, Connection, MetaData, NullPool, create_engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.modules import ModuleError, installed, switched_off, variables
from kernel.database import tables
from kernel.database.embedded import EmbeddedPostgres, EmbeddedPostgresError
from kernel.database.embedded.provision import APPLICATION, DATABASE, MIGRATOR
from kernel.database.provisioning import Plan, first_line, identifier
from kernel.database.roles import RoleNames
from kernel.module import Module
from kernel.settings import Settings, SettingsError, load_settings

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The migrations of one module, or of the kernel."""

    name: str
    folder: Path
    metadata: MetaData

    def strangers(self) -> list[str]:
        """Tables outside of the branch's schema, and foreign keys that leave it."""
        tables_ = [t.fullname for t in self.metadata.tables.values() if t.schema != self.name]
        keys = [
            f"{table.fullname} -> {key.target_fullname}"
            for table in self.metadata.tables.values()
            for key in table.foreign_keys
            if not key.target_fullname.startswith(f"{self.name}.")
        ]
        return tables_ + keys


def branches(modules: Sequence[Module] | None = None) -> tuple[Branch, ...]:
    """The kernel's branch, then one per module (default: every one that is switched on) in order of needs.

    Errors: CommandError.
    """
    try:
        modules = installed() if modules is None else modules
    except (ModuleError, SettingsError) as error:
        raise CommandError(str(error)) from error
    return (
        Branch(name="kernel", folder=_folder("kernel"), metadata=tables.metadata),
        *(Branch(name=module.name, folder=_folder(module.name), metadata=module.metadata) for module in modules),
    )


def dormant_revisions() -> dict[str, str]:
    """Revision -> module, for the modules that are switched off: a database may well have them."""
    found = {}
    for module in switched_off():
        folder = _folder(module.package)
        script = ScriptDirectory(str(ROOT / "migrations"), version_locations=[str(folder)])
        found.update({known.revision: module.name for known in script.walk_revisions()} if folder.is_dir() else {})
    return found


def _folder(package: str) -> Path:
    """Found, not imported: the package may be that of a module that is switched off."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CommandError(f"There is no package {package}, so its migrations cannot be found.")
    return Path(spec.submodule_search_locations[0]) / "migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The database to migrate: the migrator's URL, and the application's login, which gets the modules' roles.

    `creator` makes scratch databases: the embedded server's superuser, else the migrator itself.
    """

    url: URL
    application: str
    role_prefix: str | None = None
    creator: URL | None = None
    lock_wait: float = 300.0
    use_roles: bool = True

    @property
    def database(self) -> str:
        return self.url.database or self.migrator

    @property
    def migrator(self) -> str:
        return self.url.username or "postgres"

    @property
    def names(self) -> RoleNames:
        try:
            return RoleNames(self.role_prefix or self.database)
        except ValueError as error:
            raise CommandError(str(error)) from error

    def plan(self, branch_names: Sequence[str], *, roles: bool) -> Plan:
        return Plan(
            database=self.database,
            branches=branch_names,
            migrator=self.migrator,
            application=self.application,
            names=self.names if roles else None,
        )


def config(target: Target | None = None, *, among: Sequence[Branch] | None = None) -> Config:
    """The configuration of `alembic.ini` with the branches of installed distributions; `env.py` finds the target.

    `among` narrows it to some branches, as EMPORIUM_MODULES does for a whole process.
    """
    ini = ROOT / "alembic.ini"
    if not ini.is_file():
        raise CommandError(f"There is no {ini}: migrations run from a checkout of the project.")
    made = Config(ini)
    among = branches() if among is None else among
    made.set_main_option("version_locations", "\n".join(_locations(among)).replace("%", "%%"))
    made.attributes["branches"] = among
    if target is not None:
        made.attributes["target"] = target
    return made


def know_branches(script: ScriptDirectory, known: Sequence[Branch]) -> None:
    """Plain Alembic reads `alembic.ini` alone; this adds the branches of distributions, and leaves out what is off."""
    script.version_locations = _locations(known)
    script.__dict__.pop("_version_locations", None)
    script.revision_map = RevisionMap(script._load_revisions)


def _locations(known: Sequence[Branch]) -> list[str]:
    """Alembic upgrades the branch that it has read last first; so the kernel goes before those who stand on it."""
    return [str(branch.folder) for branch in reversed(known)]


@contextmanager
def configured_target(config: Config, *, start: bool = True) -> Iterator[Target]:
    """The target that the caller gave to `config()`, else the one of the settings. For `env.py`."""
    given = config.attributes.get("target")
    if given is not None:
        yield given
        return
    try:
        with target_of(load_settings(known=variables()), start=start) as target:
            yield target
    except (SettingsError, EmbeddedPostgresError, ModuleError) as error:
        raise CommandError(str(error)) from error


@contextmanager
def target_of(settings: Settings, *, start: bool = True, durable: bool = True) -> Iterator[Target]:
    """The database that the settings name; the embedded server runs for as long as the block does.

    With `start=False` the embedded server is only named, for scripts.
    """
    if settings.database_url is not None:
        url = settings.migration_url or settings.database_url
        yield Target(
            url=url,
            application=settings.database_url.username or url.username or "",
            role_prefix=settings.role_prefix,
        )
    elif start:
        with EmbeddedPostgres(settings.data_dir, durable=durable) as server:
            yield Target(
                url=server.migration_url,
                application=APPLICATION,
                role_prefix=settings.role_prefix,
                creator=server.admin_url,
            )
    else:
        url = URL.create("postgresql+psycopg2", username=MIGRATOR, database=DATABASE)
        yield Target(url=url, application=APPLICATION, role_prefix=settings.role_prefix)


@contextmanager
def scratch(target: Target, *, application: str | None = None) -> Iterator[Target]:
    """An empty database next to `target`'s, for as long as the block runs; its roles go with it.

    `application` is the login that gets the modules' roles there; default: the migrator, so that no second one is needed.
    """
    name = f"emporium_scratch_{secrets.token_hex(6)}"
    made = replace(target, url=target.url.set(database=name), application=application or target.migrator, role_prefix=name)
    creator = create_engine(target.creator or target.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with creator.connect() as connection:
        try:
            connection.exec_driver_sql(f"CREATE DATABASE {name} OWNER {identifier(target.migrator)}")
        except (ProgrammingError, OperationalError) as error:
            raise CommandError(
                f"{connection.engine.url.username} cannot make a scratch database ({first_line(error)}): give that login"
                " CREATEDB, or unset DATABASE_URL to use the embedded server."
            ) from error
        try:
            yield made
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
            drop_roles(connection, made)


def drop_roles(connection: Connection, target: Target) -> None:
    """Drop the roles of a database that is gone."""
    for branch in branches():
        for role in (target.names.module(branch.name), target.names.owner(branch.name)):
            connection.exec_driver_sql(f"DROP ROLE IF EXISTS {identifier(role)}")
