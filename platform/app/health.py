"""Health: `/healthz` (the process lives) and `/readyz` (it can serve: database, migrations, roles)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from app.revisions import Revisions, current_revisions
from kernel.database.dispatching.letters import dead_letters
from kernel.database.errors import ConnectionLost
from kernel.database.unit_of_work import Database
from kernel.http.problems import MEDIA_TYPE, Problem

TIME_LIMIT_SECONDS: Final = 2.0

OK: Final = "ok"
_PROBLEM: Final = {"schema": {"$ref": "#/components/schemas/Problem"}}
_ALIVE: Final = b'{"status":"ok"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What each check found, in words without secrets. `ready` is False when one of them keeps us from serving."""

    ready: bool
    checks: Mapping[str, str]


class Readiness:
    """Asks the database, at most once at a time, in a thread of its own: a probe never waits behind the shop's requests."""

    def __init__(self, *, database: Database, revisions: Revisions | None, roles: str) -> None:
        self._database = database
        self._revisions = revisions
        self._roles = roles
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readiness")
        self._running: asyncio.Future[Report] | None = None

    async def report(self) -> Report:
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().run_in_executor(self._thread, self.check)
        try:
            return await asyncio.wait_for(asyncio.shield(self._running), TIME_LIMIT_SECONDS)
        except TimeoutError:
            return self._not_ready(database=f"no answer within {TIME_LIMIT_SECONDS:.0f} seconds")

    def check(self) -> Report:
        try:
            with self._database.read() as connection:
                current = current_revisions(connection)
                behind = self._revisions.behind(current) if self._revisions else []
                dead = None if behind else dead_letters(connection)
        except ProgrammingError:
            return self._not_ready(database=OK, migrations="never run: `emporium db upgrade` does it")
        except (ConnectionLost, SQLAlchemyError):
            return self._not_ready(database="cannot be reached")
        if behind:
            return self._not_ready(database=OK, migrations=f"behind: {', '.join(behind)} (`emporium db upgrade`)")
        # Dead letters keep nobody from being served; somebody should look at them all the same.
        return Report(ready=True, checks={"database": OK, "migrations": OK, "events": dead or OK, "roles": self._roles})

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _not_ready(self, **checks: str) -> Report:
        return Report(ready=False, checks={**checks, "roles": self._roles})


def install(app: FastAPI, readiness: Readiness) -> None:
    """Add both addresses to the application, outside of `/api`."""

    async def is_alive() -> Response:
        """Answers as long as the process does; asks nobody else."""
        return Response(_ALIVE, media_type="application/json", headers={"cache-control": "no-store"})

    async def is_ready(request: Request) -> Response:
        """Answers 200 when a request could be served now, else 503 with the check that failed."""
        report = await readiness.report()
        if not report.ready:
            return _problem(report).response(request.scope)
        body = json.dumps({"status": "ready", "checks": dict(report.checks)}).encode()
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    _add(app, "/healthz", is_alive, "Is the process alive?", {"status": "ok"}, {})
    refused: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready to serve", "content": {MEDIA_TYPE: _PROBLEM}}}
    example = {
        "status": "ready",
        "checks": {"database": OK, "migrations": OK, "events": OK, "roles": "on: each module has its own"},
    }
    _add(app, "/readyz", is_ready, "Can it serve?", example, refused)


def _problem(report: Report) -> Problem:
    failed = next(f"{name} {found}" for name, found in report.checks.items() if found != OK)
    return Problem(
        status=503,
        code="not-ready",
        title="Not ready",
        detail=f"The shop cannot serve: {failed}.",
        headers={"retry-after": "1"},
        members={"checks": dict(report.checks)},
    )


def _add(
    app: FastAPI,
    path: str,
    endpoint: Callable[..., Any],
    summary: str,
    example: Mapping[str, Any],
    responses: Mapping[int | str, dict[str, Any]],
) -> None:
    answered: dict[int | str, dict[str, Any]] = {
        200: {"description": "Yes", "content": {"application/json": {"example": dict(example)}}}
    }
    app.add_api_route(
        path,
        endpoint,
        methods=["GET"],
        tags=["health"],
        summary=summary,
        operation_id=f"health_{endpoint.__name__}",
        response_model=None,
        responses={**answered, **responses},
    )
    # Some probes ask for the status alone.
    app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, response_model=None)
