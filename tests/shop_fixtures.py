"""The real application for tests: all modules, wall on, real tokens, spoken to over HTTP (in process).

shop        the application on this test's database, with clients for people: `shop.client(shop.admin())`
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import URL, Engine, NullPool, create_engine, text
from starlette.testclient import TestClient
from tests.database_fixtures import Clone, directory_of_run

from app.application import create_app
from kernel.database.engines import Engines
from kernel.database.principals import Principals
from kernel.pure.principal import ADMIN, Principal
from kernel.settings import Settings, load_settings

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


@pytest.fixture(scope="session")
def _opened(_worker: Any) -> Iterator[tuple[FastAPI, TestClient]]:
    """One application for all tests of a worker: it keeps nothing but connections, and takes half a second to build."""
    app = create_app(shop_settings(_worker.clone), engines=_KeptOpen(_worker.engines))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield app, http


@pytest.fixture
def shop(_opened: tuple[FastAPI, TestClient], engines: Engines, superuser_url: URL) -> Iterator[Shop]:
    app, http = _opened
    yield Shop(app, http, engines, create_engine(superuser_url, poolclass=NullPool, isolation_level="AUTOCOMMIT"))
    http.cookies.clear()


class _KeptOpen(Engines):
    """The worker's engines; an application that stops leaves them open for the next test."""

    def __init__(self, engines: Engines) -> None:
        self.__dict__.update(engines.__dict__)

    def close(self) -> None:
        pass
