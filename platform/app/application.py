"""The application: one FastAPI for one set of modules, with everything that starts and stops with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI

from app import documentation, health
from app.container import Built, Parts, build
from app.modules import installed
from app.opening import open_engines
from app.revisions import Revisions
from kernel.database.call import run_call
from kernel.database.dispatching.runner import Runner
from kernel.database.dispatching.wake_ups import WakeUps
from kernel.database.engines import Engines
from kernel.http import documents, problems
from kernel.http.executor import HopExecutor
from kernel.http.limits import RequestGuard
from kernel.http.mounting import mount
from kernel.module import Module
from kernel.pure.clock import Clock
from kernel.settings import Settings

TITLE: Final = "Emporium"
_SUMMARY: Final = "A department store in one process."
_DESCRIPTION: Final = (
    "Lists are read page by page with `limit` and `cursor`. Every answer of status 4xx or 5xx is a problem (RFC 9457) with"
    " a stable `code`."
)
_LAST_HOPS_SECONDS: Final = 1.0
_LAST_DELIVERY_SECONDS: Final = 0.5
"""It has been asked to stop when the signal came, and had the time that the last requests took."""

log = logging.getLogger("emporium")


def create_app(
    settings: Settings,
    *,
    modules: Iterable[Module] | None = None,
    fakes: Mapping[str, Any] | None = None,
    engines: Engines | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """An application of its own; several can live in one process.

    Without `modules`: every one that is switched on. Without `engines`: those of the settings' database, which has to be
    reachable. Fakes stand for services by module name. What was built is at `app.state.parts`.
    Errors: ModuleError, SQLAlchemyError.
    """
    modules = tuple(installed() if modules is None else modules)
    engines = engines or open_engines(settings, [module.name for module in modules])
    parts = build(settings, engines, modules=modules, fakes=fakes, clock=clock)
    executor = HopExecutor(settings.threads)
    revisions = Revisions.of_this_code([module.name for module in modules])
    readiness = health.Readiness(database=engines.database("kernel"), revisions=revisions, roles=_told(engines))
    app = FastAPI(
        title=TITLE,
        summary=_SUMMARY,
        description=_DESCRIPTION,
        version=version("emporium"),
        openapi_tags=_tags(parts),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings, parts, engines, executor, readiness),
        # Nothing exports them, and each request would be asked whether something does.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.parts = parts
    app.state.engines = engines
    app.state.executor = executor
    app.state.runner = None
    app.state.access_tokens = parts.access_tokens
    problems.install(app)
    documents.install(app)
    mount(
        app,
        parts.routers(),
        executor=executor,
        access_tokens=parts.access_tokens,
        database=engines.database("kernel"),
    )
    health.install(app, readiness)
    documentation.install(app)
    app.add_middleware(RequestGuard)
    return app


def _tags(parts: Parts) -> list[dict[str, Any]]:
    tags = [{"name": built.module.name, "description": built.module.summary} for built in parts.modules]
    return [*tags, {"name": "health", "description": "For load balancers and people on call."}]


def _told(engines: Engines) -> str:
    """The state of the wall between the modules, without the names of roles and logins."""
    return "on: each module has its own" if engines.roles else "off: one login for all (`emporium db roles`)"


def _lifespan(
    settings: Settings, parts: Parts, engines: Engines, executor: HopExecutor, readiness: health.Readiness
) -> Callable[[FastAPI], Any]:
    """Starts the modules in order of needs; whatever happens, what was started is stopped and everything is closed."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            stack.callback(engines.close)
            stack.callback(_shut_down, executor)
            stack.callback(readiness.close)
            for built in parts.modules:
                if built.module.on_start is not None:
                    run_call(partial(built.module.on_start, built.service))
                stack.callback(_stop, built)
            if settings.dispatcher:
                app.state.runner = runner = Runner(parts.dispatcher, engines, WakeUps(settings.direct_url))
                runner.start()
                stack.callback(runner.stop, _LAST_DELIVERY_SECONDS)
            yield

    return lifespan


def _stop(built: Built) -> None:
    if built.module.on_stop is None:
        return
    try:
        run_call(partial(built.module.on_stop, built.service))
    except Exception:
        # The others have to be stopped as well.
        log.exception("The module %s failed to stop.", built.module.name)


def _shut_down(executor: HopExecutor) -> None:
    """Let the last hops end, but not for ever: a hop that hangs must not keep the process from exiting."""
    waiting = threading.Thread(target=executor.shutdown, daemon=True)
    waiting.start()
    waiting.join(_LAST_HOPS_SECONDS)
