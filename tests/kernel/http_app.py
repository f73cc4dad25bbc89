"""A small application of hop routes, and a client that talks to it in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from kernel.http import documents, problems
from kernel.http.executor import HopExecutor
from kernel.http.limits import RequestGuard
from kernel.http.mounting import mount
from kernel.http.routes import Router
from kernel.http.tokens import AccessTokens
from kernel.pure.clock import FixedClock
from kernel.pure.principal import Principal

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET = "test-secret-" * 4


@dataclass(frozen=True)
class Shop:
    """The application with what it is made of."""

    app: FastAPI
    executor: HopExecutor
    tokens: AccessTokens
    clock: FixedClock

    def token(self, *, user_id: int = 1, roles: Sequence[str] = (), epoch: int = 1) -> dict[str, str]:
        """Headers of a signed-in caller."""
        principal = Principal(user_id=user_id, roles=frozenset(roles), epoch=epoch)
        return {"authorization": f"Bearer {self.tokens.issue(principal, timedelta(minutes=15))}"}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def post_bytes(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.post(path, content=body, headers={"content-type": "application/json", **(headers or {})})


@contextmanager
def open_shop(*routers: Router, database: Any = None, threads: int = 4) -> Iterator[Shop]:
    clock = FixedClock(NOW)
    tokens = AccessTokens(SECRET, clock)
    executor = HopExecutor(threads)
    app = FastAPI(title="Shop", version="1", telemetry={"tracing": False, "metrics": False, "logs": False})
    problems.install(app)
    documents.install(app)
    mount(app, routers, executor=executor, access_tokens=tokens, database=database)
    app.add_middleware(RequestGuard)
    try:
        yield Shop(app=app, executor=executor, tokens=tokens, clock=clock)
    finally:
        executor.shutdown()


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The members of a well-formed problem of this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = answer.json()
    assert members["status"] == status
    assert members["type"] == f"urn:emporium:problem:{members['code']}"
    assert members["title"]
    assert members["detail"]
    if code is not None:
        assert members["code"] == code
    return members
