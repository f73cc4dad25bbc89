"""Opening: the settings with their database, running and looked at once before anything is built on it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from alembic.util import CommandError
from sqlalchemy import URL, Connection, NullPool, create_engine, text
from sqlalchemy.exc import ProgrammingError

from app.migrations import dormant_revisions
from app.revisions import Revisions, current_revisions
from app.signals import already_ending, handling
from kernel.database.embedded import EmbeddedPostgres, EmbeddedPostgresError
from kernel.database.engines import Engines
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, sqlstate
from kernel.database.pooler import goes_through_pooler
from kernel.database.roles import RoleNames, detect
from kernel.settings import Settings

_LIMITS: Final = text("SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int")
_DATABASE: Final = text("SELECT current_database()::text")
_SPARE: Final = 4
"""For migrations, a person with psql, a probe."""
_DISPATCHER: Final = 3
"""Of a worker's dispatcher: one to write, one to read, one to listen."""
_LOOK_SECONDS: Final = 1.0
_LATER_SECONDS: Final = 10.0
"""Before the next attempt to start a server that did not start."""

log = logging.getLogger("emporium")


@contextmanager
def database_of(settings: Settings) -> Iterator[Settings]:
    """The settings with an address: the configured one, or that of the embedded server, which runs while the block does.

    Errors: EmbeddedPostgresError.
    """
    if settings.database_url is not None:
        yield settings
        return
    server = EmbeddedPostgres(settings.data_dir)
    server.start()
    urls = {"database_url": server.app_url, "migration_url": server.migration_url, "direct_url": server.app_url}
    try:
        with _watched(server):
            yield settings.model_copy(update=urls)
    finally:
        # An impatient second Ctrl-C must not leave the server behind.
        with handling(already_ending):
            server.stop()


@contextmanager
def _watched(server: EmbeddedPostgres) -> Iterator[None]:
    """In this block a server that dies (killed, out of memory) is started again, as a service manager would do elsewhere."""
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(server, over), name="embedded-postgres", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(server: EmbeddedPostgres, over: threading.Event) -> None:
    pause = _LOOK_SECONDS
    while not over.wait(pause):
        try:
            if server.revive():
                log.warning("The embedded PostgreSQL had died; it runs again.")
            pause = _LOOK_SECONDS
        except EmbeddedPostgresError as error:
            log.error("The embedded PostgreSQL has died: %s", error)
            pause = _LATER_SECONDS


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that make another process work on the same database with the same secret."""
    urls = {
        "DATABASE_URL": settings.database_url,
        "DATABASE_MIGRATION_URL": settings.migration_url,
        "DATABASE_DIRECT_URL": settings.direct_url,
    }
    named = {name: url.render_as_string(hide_password=False) for name, url in urls.items() if url is not None}
    return {**named, "EMPORIUM_SECRET_KEY": settings.secret_key.get_secret_value()}


def open_engines(settings: Settings, modules: Sequence[str], *, quietly: bool = False) -> Engines:
    """Engines on the settings' database, with the wall between the modules when the login can keep it.

    Looks at the database once. Errors: OperationalError, when it cannot be reached.
    """
    url = _url(settings)
    with _looking(url) as connection:
        # A pooler may call the database by another name than the server, after which the roles are named.
        names = RoleNames(settings.role_prefix or connection.execute(_DATABASE).scalar_one())
        wall = detect(connection, names, ["kernel", *modules])
    if quietly:
        pass
    elif wall.on:
        log.info("The wall between the modules is on: %s.", wall.reason)
    else:
        log.warning("The wall between the modules is off: %s (`emporium db roles` says more).", wall.reason)
    return Engines(url, threads=settings.threads, roles=names if wall.on else None)


def require_migrated(engines: Engines) -> None:
    """Errors: CommandError, when a branch of the database is behind this code."""
    try:
        with engines.database("kernel").read() as connection:
            behind = Revisions.of_this_code().behind(current_revisions(connection))
    except ProgrammingError as error:
        if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
            raise CommandError(
                f'The login "{engines.url.username}" may not use this database: `emporium db roles` says why.'
            ) from error
        behind = ["everything"]
    if behind:
        raise CommandError(f"The database has not been migrated ({', '.join(behind)}): run `emporium db upgrade` first.")


def warn_of_unheard_events(engines: Engines) -> None:
    """A dispatcher hands an event to the listeners that it knows, once: those of modules that are off would never hear it."""
    dormant = dormant_revisions()
    if dormant:
        with engines.database("kernel").read() as connection:
            names = sorted({dormant[revision] for revision in current_revisions(connection) & dormant.keys()})
        if names:
            log.warning(
                "%s is switched off here (EMPORIUM_MODULES), and this database has its tables: events that this process"
                " delivers do not reach it. Set EMPORIUM_DISPATCHER=off here and let processes with every module deliver.",
                ", ".join(names),
            )


def warn_of_too_few_connections(settings: Settings, workers: int) -> None:
    """Compare what all workers may open with what the server lets in; behind a pooler that is the pooler's to know."""
    wanted = workers * (2 * settings.threads + _DISPATCHER) + _SPARE
    with _looking(_url(settings)) as connection:
        if goes_through_pooler(connection):
            return
        allowed = connection.scalar(_LIMITS) or 0
    if wanted > allowed:
        log.warning(
            "%d workers with %d threads may open %d connections (workers x (2 x threads + %d) + %d), and the server lets %d in:"
            " lower EMPORIUM_WORKERS or EMPORIUM_THREADS, raise max_connections, or put a pooler in between.",
            workers,
            settings.threads,
            wanted,
            _DISPATCHER,
            _SPARE,
            allowed,
        )


def _url(settings: Settings) -> URL:
    if settings.database_url is None:
        raise ValueError("These settings name no database: open them with `database_of` first.")
    return settings.database_url


@contextmanager
def _looking(url: URL) -> Iterator[Connection]:
    arguments = {"connect_timeout": 5, "application_name": "emporium start"}
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments)
    with engine.connect() as connection:
        yield connection
