"""The users module by itself on a real database: its own container, mounted in a small application."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from dependency_injector import providers
from fastapi import FastAPI
from pydantic import SecretStr

from kernel.database.engines import Engines
from kernel.database.outbox import Outbox
from kernel.database.principals import Principals
from kernel.http import documents, problems
from kernel.http.executor import HopExecutor
from kernel.http.limits import RequestGuard
from kernel.http.mounting import mount
from kernel.http.tokens import AccessTokens
from kernel.pure.clock import FixedClock
from kernel.pure.principal import ADMIN
from kernel.settings import Settings
from users.container import UsersContainer
from users.service import DatabaseUsersService, Passwords

NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET: Final = "a-secret-for-tests-" * 3
PASSWORD: Final = "a long enough password"
API: Final = "/api/v1"

_numbers: Final = itertools.count(1)


class CountingPasswords(Passwords):
    """Cheap to compute; counts its work, and the most connections that were held during it."""

    def __init__(self, engines: Engines, *, time_cost: int = 1) -> None:
        self._pools: list[Any] = [engines.writer.pool, engines.reader.pool]
        self.worked = 0
        self.connections_held = 0
        super().__init__(time_cost=time_cost, memory_kib=64)

    def hash(self, password: str) -> str:
        self._count()
        return super().hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        self._count()
        return super().verify(password_hash, password)

    def _count(self) -> None:
        self.worked += 1
        self.connections_held = max(self.connections_held, sum(pool.checkedout() for pool in self._pools))


@dataclass(frozen=True, kw_only=True)
class LoggedIn:
    """A person with the tokens of one log-in."""

    id: int
    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.access_token}"}


@dataclass(frozen=True, kw_only=True)
class UsersApp:
    app: FastAPI
    service: DatabaseUsersService
    engines: Engines
    clock: FixedClock
    passwords: CountingPasswords
    container: Any
    executor: HopExecutor = field(repr=False)

    def request(self, method: str, path: str, *, client: str = "192.0.2.1", **options: Any) -> httpx.Response:
        """One request; a path that starts with one slash is below /api/v1."""
        return self.together([(method, path, options)], client=client)[0]

    def together(
        self, requests: Sequence[tuple[str, str, dict[str, Any]]], *, client: str = "192.0.2.1"
    ) -> list[httpx.Response]:
        """Several requests at the same time."""

        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.app, client=(client, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as session:
                sent = [session.request(method, API + path, **options) for method, path, options in requests]
                return await asyncio.gather(*sent)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def token_request(self, email: str, password: str = PASSWORD, **options: Any) -> httpx.Response:
        return self.post("/auth/token", data={"username": email, "password": password}, **options)

    def refresh_request(self, refresh_token: str) -> httpx.Response:
        return self.post("/auth/refresh", json={"refresh_token": refresh_token})

    def register(self, *, email: str | None = None, full_name: str | None = "Ada Lovelace", roles: Sequence[str] = ()) -> int:
        """A new account with PASSWORD; answers its id."""
        email = email or new_email()
        return self.service.register(email=email, password=PASSWORD, full_name=full_name, roles=roles).id

    def log_in(self, email: str, password: str = PASSWORD) -> LoggedIn:
        answer = self.token_request(email, password)
        assert answer.status_code == 200, answer.text
        pair = answer.json()
        me = self.get("/users/me", headers={"authorization": f"Bearer {pair['access_token']}"}).json()
        return LoggedIn(id=me["id"], email=me["email"], access_token=pair["access_token"], refresh_token=pair["refresh_token"])

    def customer(self) -> LoggedIn:
        email = new_email()
        self.register(email=email)
        return self.log_in(email)

    def admin(self) -> LoggedIn:
        email = new_email()
        self.register(email=email, roles=[ADMIN])
        return self.log_in(email)


def new_email() -> str:
    return f"person{next(_numbers)}@example.com"


@contextmanager
def open_users(
    engines: Engines, *, limits: bool = True, roles: Sequence[str] = ("clerk",), time_cost: int = 1
) -> Iterator[UsersApp]:
    clock = FixedClock(NOW)
    tokens = AccessTokens(SECRET, clock)
    database = engines.database("users")
    container = UsersContainer()
    parts = {
        "database": database,
        "events": Outbox(database, clock),
        "clock": clock,
        "settings": Settings(environment="test", secret_key=SecretStr(SECRET), limits=limits),
        "principals": Principals(engines.database("kernel")),
        "access_tokens": tokens,
        "grantable_roles": frozenset({ADMIN, *roles}),
    }
    for name, part in parts.items():
        getattr(container, name).override(providers.Object(part))
    passwords = CountingPasswords(engines, time_cost=time_cost)
    container.passwords.override(providers.Object(passwords))
    executor = HopExecutor(8)
    app = FastAPI(title="Users", version="1", telemetry={"tracing": False, "metrics": False, "logs": False})
    problems.install(app)
    documents.install(app)
    mount(app, [container.router()], executor=executor, access_tokens=tokens)
    app.add_middleware(RequestGuard)
    try:
        yield UsersApp(
            app=app,
            service=container.service(),
            engines=engines,
            clock=clock,
            passwords=passwords,
            container=container,
            executor=executor,
        )
    finally:
        executor.shutdown()


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The members of a problem of this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = answer.json()
    assert (members["status"], members["code"]) == (status, code)
    return members
