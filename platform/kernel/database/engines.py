"""The two engines of one database: a writer (READ COMMITTED) and a reader (AUTOCOMMIT, one round trip per read)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, Engine, create_engine

from kernel.database.ownership import OwnedConnection, OwnedCursor
from kernel.database.roles import RoleNames
from kernel.database.unit_of_work import Database, OwnedEngines

_POOL_TIMEOUT_SECONDS: Final = 5


class Engines(OwnedEngines):
    """Connections to one database for one process, and a `Database` handle per module.

    Each of the two pools holds a connection per thread of the executor, which is all that these can use at once, and one for
    the dispatcher.
    `roles=None` works without the ownership wall: every statement runs as the login itself.
    """

    def __init__(self, url: URL, *, threads: int, roles: RoleNames | None) -> None:
        writer = _engine(url, threads=threads, isolation_level="READ COMMITTED")
        reader = _engine(url, threads=threads, isolation_level="AUTOCOMMIT")
        super().__init__(writer=writer, reader=reader)
        self.url = url
        self.threads = threads
        self.roles = roles

    def database(self, module: str) -> Database:
        """The handle of one module (or of `kernel`): its statements run as that module's role."""
        return Database(
            self,
            module=module,
            role_prefix=self._role_prefix(module),
            kernel_prefix=self._role_prefix("kernel"),
        )

    def close(self) -> None:
        self.writer.dispose()
        self.reader.dispose()

    def _role_prefix(self, module: str) -> str:
        if self.roles is None:
            return ""
        role = self.roles.module(module)
        if '"' in role or "%" in role:
            raise ValueError(f"The role name {role!r} holds a quote or a percent sign; set DATABASE_ROLE_PREFIX.")
        return f'SET LOCAL ROLE "{role}";'


def _engine(url: URL, *, threads: int, isolation_level: str) -> Engine:
    return create_engine(
        url,
        isolation_level=isolation_level,
        pool_size=threads + 1,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        pool_use_lifo=True,
        use_native_hstore=False,
        # Errors are logged, and values are addresses, hashes of passwords, whole answers.
        hide_parameters=True,
        connect_args={
            "connection_factory": OwnedConnection,
            "cursor_factory": OwnedCursor,
            "application_name": "emporium",
            "connect_timeout": 5,
        },
    )
