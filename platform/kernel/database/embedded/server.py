"""EmbeddedPostgres: one server per data directory, shared by all processes that start it and stopped by the last one."""

from __future__ import annotations

import atexit
import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from kernel.database.embedded.cluster import PORT, Cluster
from kernel.database.embedded.provision import APPLICATION, DATABASE, MIGRATOR, SUPERUSER, provision
from kernel.database.embedded.reasons import EmbeddedPostgresError, explain, explained, gist
from kernel.database.embedded.sharing import Users

_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """A real PostgreSQL under `data_dir`, on a unix socket that only the same user can open.

    `durable=False` (tests) trades safety against power loss for speed.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._data_dir = data_dir.resolve()
        self._durable = durable
        self._users = Users(self._data_dir)
        self._cluster: Cluster | None = None
        self._socket_dir: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, or share the running one. Raises `EmbeddedPostgresError`."""
        if self._users.joined:
            return
        with explained(self._data_dir):
            self._data_dir.mkdir(parents=True, exist_ok=True)
            with self._users.exclusively():
                alone = self._users.join()
                try:
                    self._run(alone)
                except BaseException:
                    self._leave()
                    raise
        atexit.register(self._stop_at_exit)

    def revive(self) -> bool:
        """Start the server again when it has died while we use it; True when it had. Raises `EmbeddedPostgresError`."""
        cluster = self._cluster
        # Data that somebody deleted meanwhile is not made anew: that would be another, empty shop.
        if cluster is None or cluster.is_running() or not cluster.has_data():
            return False
        with explained(self._data_dir), self._users.exclusively():
            return self._users.joined and cluster.ensure_running()[1]

    def stop(self) -> None:
        """Stop using the server; the last user stops it."""
        atexit.unregister(self._stop_at_exit)
        if self._users.joined:
            with explained(self._data_dir), self._users.exclusively():
                self._leave()

    def url(self, *, user: str, database: str) -> URL:
        if self._socket_dir is None:
            raise EmbeddedPostgresError("The embedded PostgreSQL has no address before it is started; call start() first.")
        # With the port, lest the user's PGPORT counts.
        query = {"host": str(self._socket_dir), "port": str(PORT)}
        return URL.create("postgresql+psycopg2", username=user, database=database, query=query)

    @property
    def admin_url(self) -> URL:
        return self.url(user=SUPERUSER, database=DATABASE)

    @property
    def app_url(self) -> URL:
        return self.url(user=APPLICATION, database=DATABASE)

    @property
    def migration_url(self) -> URL:
        return self.url(user=MIGRATOR, database=DATABASE)

    def _run(self, alone: bool) -> None:
        self._cluster = self._cluster or Cluster(self._data_dir, durable=self._durable)
        server, started = self._cluster.ensure_running()
        self._socket_dir = server.socket_dir
        if not (alone or started):
            return
        try:
            provision(lambda database: self.url(user=SUPERUSER, database=database))
        except SQLAlchemyError as error:
            known = explain(str(error), self._data_dir)
            raise EmbeddedPostgresError(
                known or f"The embedded PostgreSQL in {self._data_dir} could not be prepared: {gist(str(error))}."
            ) from error

    def _leave(self) -> None:
        self._socket_dir = None
        if self._users.leave() and self._cluster:
            self._cluster.stop()

    def _stop_at_exit(self) -> None:
        try:
            self.stop()
        except EmbeddedPostgresError as error:
            _log.warning("%s", error)
