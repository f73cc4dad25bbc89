"""The world of the model's stories: one shop, spoken to as a server would, its tables, and the provider's books."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from uuid import uuid4

import pytest
from fastapi import FastAPI
from psycopg2.extensions import cursor
from sqlalchemy import NullPool, create_engine
from tests.asgi import Answer, ask
from tests.database_fixtures import Clone
from tests.flows._model import NOTHING, Attempt, Order, Product
from tests.shop_fixtures import shop_settings

from app.application import create_app
from kernel.database.engines import Engines
from kernel.database.principals import Principals
from kernel.http.executor import HopExecutor
from kernel.pure.clock import FixedClock
from kernel.pure.principal import ADMIN, Principal
from ordering.service.gateways.sandbox import FILE, SandboxPaymentGateway

T = TypeVar("T")

_LIFETIME: Final = timedelta(minutes=15)
_NOBODY_REGISTERED: Final = 1_000_000
"""Below are the ids of people who have an account."""
# One statement, planned once: each step asks for it. `written` changes with every write to what is listed, seen or not.
_PREPARE: Final = """
    SET plan_cache_mode = force_generic_plan;
    PREPARE stored (bigint[], bigint[]) AS
      SELECT s.product_id, ARRAY[s.quantity, s.reserved,
        (SELECT coalesce(sum(m.quantity), 0) FROM catalog.stock_movements AS m WHERE m.product_id = s.product_id),
        (SELECT coalesce(sum(l.quantity), 0) FROM catalog.reservation_lines AS l
           JOIN catalog.reservations AS r USING (reference) WHERE l.product_id = s.product_id AND r.status = 'held')],
        NULL AS name, NULL AS status, concat_ws(' ', s.xmin, p.xmin, (SELECT max(id) FROM catalog.products)) AS written
      FROM catalog.stock AS s JOIN catalog.products AS p ON p.id = s.product_id WHERE s.product_id = ANY($1)
      UNION ALL
      SELECT o.id, ARRAY[o.total, o.captured_amount, o.refunded_amount, lines.worth],
        o.stock_reference, o.status, concat_ws(' ', o.xmin, lines.written, (SELECT max(id) FROM ordering.orders))
      FROM ordering.orders AS o CROSS JOIN LATERAL (
        SELECT sum(l.line_total) AS worth, string_agg(l.xmin::text, ' ' ORDER BY l.position) AS written
        FROM ordering.order_lines AS l WHERE l.order_id = o.id) AS lines
      WHERE o.id = ANY($2)
"""


class InlineHops(HopExecutor):
    """Runs the hops of requests that come one after the other, where a thread for each would only cost time."""

    async def run(self, call: Callable[[], T]) -> T:
        self.hops += 1
        return copy_context().run(call)


@dataclass(frozen=True)
class Stored:
    stock: dict[int, list[Decimal]]
    """By product: on hand and reserved, and the same two added up from movements and reservations."""
    money: dict[int, list[Decimal]]
    """By order: total, captured, refunded, and the sum of its lines."""
    status: dict[int, str]
    names: dict[int, str]
    """By order: how the provider knows it."""
    products_written: list[tuple[int, str]]
    """Other than before when anything that the list of products shows was written in between, if only as it was."""
    orders_written: list[tuple[int, str]]


@dataclass(eq=False)
class Request:
    """A request that can be sent again as it was. `expect` moves the model and answers the status; it is asked for each time
    that the shop does anything, which it does not when `kept` is its answer under this key."""

    caller: Principal | None
    method: str
    path: str
    body: dict[str, Any] | None
    expect: Callable[[Request], int]
    about: Product | Order | None = None
    keeps_answer: bool = False
    key: str = field(default_factory=lambda: uuid4().hex)
    kept: bytes | None = None
    begun: Attempt | None = None
    placed: Order | None = None


@dataclass
class World:
    app: FastAPI
    loop: asyncio.AbstractEventLoop
    engines: Engines
    tables: cursor
    """Past the wall."""
    books: sqlite3.Connection
    """The provider's, past the shop."""
    clock: FixedClock
    outcomes: Counter[tuple[str, int]] = field(default_factory=Counter)
    stories: int = 0
    whole_stories: int = 0
    _ids: Iterator[int] = field(default_factory=lambda: count(_NOBODY_REGISTERED))
    _tokens: dict[Principal, tuple[float, str]] = field(default_factory=dict)

    def person(self, *roles: str) -> Principal:
        """Somebody whom the kernel knows, which is all that catalog and ordering ask for."""
        user_id = next(self._ids)
        epoch = Principals(self.engines.database("kernel")).open(user_id=user_id)
        return Principal(user_id=user_id, roles=frozenset(roles), epoch=epoch)

    @cached_property
    def admin(self) -> Principal:
        return self.person(ADMIN)

    def send(self, request: Request) -> Answer:
        return self._ask(request.caller, request.method, request.path, request.body, request.key)

    def get(self, caller: Principal, path: str) -> Any:
        answer = self._ask(caller, "GET", path)
        assert answer.status == 200, answer.body
        return answer.json()

    def stored(self, products: Sequence[Product], orders: Sequence[Order]) -> Stored:
        self.tables.execute("EXECUTE stored (%s, %s)", ([product.id for product in products], [order.id for order in orders]))
        rows = self.tables.fetchall()
        of_products = [row for row in rows if row[2] is None]
        of_orders = [row for row in rows if row[2] is not None]
        return Stored(
            stock={row[0]: row[1] for row in of_products},
            money={row[0]: row[1] for row in of_orders},
            names={row[0]: row[2] for row in of_orders},
            status={row[0]: row[3] for row in of_orders},
            products_written=sorted((row[0], row[4]) for row in of_products),
            orders_written=sorted((row[0], row[4]) for row in of_orders),
        )

    def length_of_the_books(self) -> int:
        last: int | None = self.books.execute("SELECT max(id) FROM entries").fetchone()[0]
        return last or 0

    def at_the_provider(self, after: int) -> dict[str, Decimal]:
        """By the names of orders: what was charged and not given back since the books were so long."""
        sums: dict[str, Decimal] = {}
        for order, kind, amount in self.books.execute("SELECT order_name, kind, amount FROM entries WHERE id > ?", (after,)):
            sums[order] = sums.get(order, NOTHING) + (Decimal(amount) if kind == "capture" else -Decimal(amount))
        return sums

    def _ask(
        self, caller: Principal | None, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> Answer:
        headers = {} if key is None else {"idempotency-key": key}
        if caller is not None:
            headers["authorization"] = f"Bearer {self._token(caller)}"
        content = b"" if body is None else json.dumps(body).encode()
        return self.loop.run_until_complete(ask(self.app, method, path, body=content, headers=headers))

    def _token(self, caller: Principal) -> str:
        """Kept as long as the clock stands still, as a client would keep it."""
        now = self.clock.now().timestamp()
        issued, token = self._tokens.get(caller, (0.0, ""))
        if issued != now:
            token = self.app.state.access_tokens.issue(caller, _LIFETIME)
            self._tokens[caller] = now, token
        return token


@contextmanager
def open_world(database: Clone, engines: Engines, clock: FixedClock, directory: Path) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.application.HopExecutor", InlineHops)
        app = create_app(shop_settings(database, EMPORIUM_DATA_DIR=str(directory)), engines=engines, clock=clock)
    superuser = create_engine(database.superuser, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    # The first look makes the file.
    assert SandboxPaymentGateway(directory).entries() == []
    loop = asyncio.new_event_loop()
    with closing(loop), closing(superuser.raw_connection()) as connection, closing(sqlite3.connect(directory / FILE)) as books:
        tables = cast(cursor, connection.cursor())
        tables.execute(_PREPARE)
        lifespan = app.router.lifespan_context(app)
        loop.run_until_complete(lifespan.__aenter__())
        try:
            yield World(app, loop, engines, tables, books, clock)
        finally:
            loop.run_until_complete(lifespan.__aexit__(None, None, None))
