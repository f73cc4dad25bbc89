"""Laboratory: databases that gates try things on, next to the configured one or on the embedded server; all are dropped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Final, Self

from alembic import command
from sqlalchemy import URL, Engine, NullPool, create_engine

from app.migrations import Target, config, scratch, target_of
from app.modules import variables
from kernel.database.provisioning import identifier
from kernel.settings import Settings, load_settings

FOLDER: Final = "contracts"
"""Below EMPORIUM_DATA_DIR. Nothing there is worth keeping, so its server does not wait for the disk."""


class Laboratory:
    """Usable inside of its `with` block."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def settings(self) -> Settings:
        """Without a configured database: those of an embedded server of the laboratory's own, which the shop's is not."""
        found = load_settings(known=variables())
        if found.database_url is not None:
            return found
        return found.model_copy(update={"data_dir": found.data_dir / FOLDER})

    @cached_property
    def server(self) -> Target:
        """The configured database, or the embedded one. Nothing is ever done in it."""
        return self._stack.enter_context(target_of(self.settings, durable=False))

    @cached_property
    def migrated(self) -> Target:
        """A database with every branch at its newest revision, and only the rows that migrations wrote. Look, don't touch."""
        made = self._stack.enter_context(scratch(self.server, application=self.server.application))
        command.upgrade(config(made), "heads")
        return made

    @contextmanager
    def empty(self) -> Iterator[Target]:
        """A database with nothing in it, and roles of its own."""
        with scratch(self.server, application=self.server.application) as made:
            yield made

    @contextmanager
    def clone(self, original: Target | None = None) -> Iterator[Target]:
        """A copy of `original` (default: `migrated`), whose roles it shares. Nobody may be connected to the original."""
        original = original or self.migrated
        name = f"emporium_scratch_{secrets.token_hex(6)}"
        engine = self._creating()
        with engine.connect() as connection:
            connection.exec_driver_sql(
                f"CREATE DATABASE {name} OWNER {identifier(original.migrator)} TEMPLATE {identifier(original.database)}"
            )
            connection.exec_driver_sql(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
        try:
            yield replace(original, url=original.url.set(database=name), role_prefix=original.names.prefix)
        finally:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def superuser(self, target: Target) -> Engine:
        """Connections of the most powerful login there is to `target`, committing each statement; dispose of it yourself."""
        creator = target.creator or target.url
        url = creator.set(database=target.database)
        return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def application_url(self, target: Target) -> URL:
        """Where the application's login finds `target`."""
        settings = self.settings
        if settings.database_url is not None:
            return settings.database_url.set(database=target.database)
        return target.url.set(username=target.application)

    def environment(self, target: Target) -> dict[str, str]:
        """The variables that lead another process, or `load_settings`, to `target`."""
        return {
            "DATABASE_URL": self.application_url(target).render_as_string(hide_password=False),
            "DATABASE_MIGRATION_URL": target.url.render_as_string(hide_password=False),
            "DATABASE_ROLE_PREFIX": target.names.prefix,
            "EMPORIUM_DATA_DIR": str(self.settings.data_dir),
        }

    def _creating(self) -> Engine:
        creator = self.server.creator or self.server.url
        return create_engine(creator, poolclass=NullPool, isolation_level="AUTOCOMMIT")
