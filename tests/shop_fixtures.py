"""The real application for tests: wall on, real tokens, spoken to over HTTP (in process).

shop        the application on this test's database, with clients for people: `shop.client(shop.admin())`

Tests of a module get that module and those that it needs; all others (tests/flows) get the whole shop. EMPORIUM_MODULES
overrides.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import URL, Engine, NullPool, create_engine, text
from starlette.testclient import TestClient
from tests.database_fixtures import Clone, directory_of_run

from app.application import create_app
from app.modules import VARIABLE, installed, with_needs
from kernel.database.engines import Engines
from kernel.database.principals import Principals
from kernel.module import Module
from kernel.pure.principal import ADMIN, Principal
from kernel.settings import Settings, load_settings

TESTS: Final = Path(__file__).resolve().parent
_LIFETIME: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class Shop:
    """One application and ways to look at it and behind it."""

    app: FastAPI
    http: TestClient
    engines: Engines
    superuser: Engine
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1_000))

    def person(self, *roles: str) -> Principal:
        """Somebody with a valid account as the kernel knows it; ordering and catalog need no more than that."""
        user_id = next(self._ids)
        epoch = Principals(self.engines.database("kernel")).open(user_id=user_id)
        return Principal(user_id=user_id, roles=frozenset(roles), epoch=epoch)

    def admin(self) -> Principal:
        return self.person(ADMIN)

    def headers(self, caller: Principal | None, **more: str) -> dict[str, str]:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if caller is not None:
            token = self.app.state.access_tokens.issue(caller, _LIFETIME)
            headers["authorization"] = f"Bearer {token}"
        return headers

    def product(self, caller: Principal | None = None, **values: Any) -> dict[str, Any]:
        """Create a product through the API; answers its JSON."""
        body = {"name": "Desk lamp", "price": "19.99", "stock": 10, **values}
        answer = self.http.post("/api/v1/products", json=body, headers=self.headers(caller or self.admin()))
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def stock_of(self, product: dict[str, Any]) -> int:
        answer = self.http.get(f"/api/v1/products/{product['id']}", headers=self.headers(self.admin()))
        return int(answer.json()["stock"])

    def place(self, caller: Principal, *lines: tuple[dict[str, Any], int], key: str | None = None, **body: Any) -> Any:
        """Place an order of (product, quantity) lines; answers the response."""
        items = [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]
        headers = self.headers(caller, idempotency_key=key or uuid4().hex)
        return self.http.post("/api/v1/orders", json={"items": items, **body}, headers=headers)

    def walk(self, path: str, caller: Principal, **query: Any) -> list[dict[str, Any]]:
        """All items of a list, page by page, by the Link header's own address."""
        items: list[dict[str, Any]] = []
        rest: str | None = f"?{urlencode(query)}"
        while rest is not None:
            answer = self.http.get(path + rest, headers=self.headers(caller))
            assert answer.status_code == 200, answer.text
            page = answer.json()
            items += page["items"]
            link = answer.headers.get("link")
            rest = None if link is None else link.partition("<")[2].partition(">")[0]
            assert (rest is None) == (page["next_cursor"] is None)
            assert rest is None or len(page["items"]) == query.get("limit", 20)
        return items

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Look past the wall."""
        with self.superuser.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]


def shop_settings(database: Clone, **variables: str) -> Settings:
    environ = {
        **database.environment,
        "EMPORIUM_ENV": "test",
        "EMPORIUM_LIMITS": "off",
        # Tests deliver by hand: `dispatcher.run_until_idle()`.
        "EMPORIUM_DISPATCHER": "off",
        "EMPORIUM_THREADS": "8",
        # One secret for all: two applications of one test take each other's tokens.
        "EMPORIUM_SECRET_KEY": "a secret of the tests, 32 bytes or more",
        # Goes with the run; one for each worker.
        "EMPORIUM_DATA_DIR": str(directory_of_run() / f"data-{database.name}"),
        **variables,
    }
    return load_settings(environ=environ, known=set(variables))


def modules_for(test: Path) -> tuple[Module, ...]:
    """What the tests of this file may count on: the module that they belong to and what it needs, else every module.

    With EMPORIUM_MODULES in the environment, what it switches on: the tests have to pass in each such set.
    """
    modules = installed()
    part = test.relative_to(TESTS).parts[0]
    if VARIABLE in os.environ or part not in {module.name for module in modules}:
        return modules
    return with_needs([part], modules)


@pytest.fixture(scope="session")
def _applications(_worker: Any) -> Iterator[Callable[[tuple[Module, ...]], tuple[FastAPI, TestClient]]]:
    """One application for all tests of a worker that want the same modules: it keeps nothing but connections, and takes
    half a second to build."""
    with ExitStack() as stack:

        @cache
        def opened(names: tuple[str, ...]) -> tuple[FastAPI, TestClient]:
            modules = [module for module in installed() if module.name in names]
            app = create_app(shop_settings(_worker.clone), engines=_KeptOpen(_worker.engines), modules=modules)
            return app, stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield lambda modules: opened(tuple(module.name for module in modules))


@pytest.fixture
def shop(
    request: pytest.FixtureRequest,
    _applications: Callable[[tuple[Module, ...]], tuple[FastAPI, TestClient]],
    engines: Engines,
    superuser_url: URL,
) -> Iterator[Shop]:
    app, http = _applications(modules_for(request.path))
    yield Shop(app, http, engines, create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT"))
    http.cookies.clear()


class _KeptOpen(Engines):
    """The worker's engines; an application that stops leaves them open for the next test."""

    def __init__(self, engines: Engines) -> None:
        self.__dict__.update(engines.__dict__)

    def close(self) -> None:
        pass
