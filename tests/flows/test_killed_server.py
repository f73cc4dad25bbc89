"""kill -9 of a real `emporium serve` at every commit and every call to the payment provider of place, pay and refund.

One good run is recorded against a server process; its fault points have to be the listed ones. Then, for each of them: a server
that dies there, the same requests until it does, a new server, the same requests again under their keys. `make test` does three
points, `make prove` all of them, each twice: the client comes back first, or the reconciler is first.
"""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import NullPool, create_engine, text
from tests.database_fixtures import Clone
from tests.flows._shops import Shop, until
from tests.scenario import Scenario, Story

from kernel.http.tokens import AccessTokens
from kernel.pure.clock import SystemClock
from kernel.pure.faults import FAULT, RECORD
from kernel.pure.principal import ADMIN, Principal
from ordering.interface import OrderPaid, OrderPlaced, OrderRefunded
from ordering.service.gateways.sandbox import FILE


def _commit(name: str) -> tuple[str, str]:
    return f"{name}:before-commit", f"{name}:after-commit"


def _call(name: str) -> tuple[str, str]:
    return f"gateway.{name}:before", f"gateway.{name}:after"


POINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "place": _commit("ordering_place_order"),
    "pay": (
        *_commit("ordering_create_payment"),
        *_call("authorise"),
        *_commit("pay.authorised"),
        *_call("capture"),
        *_commit("pay.captured"),
    ),
    "refund": (*_commit("ordering_create_refund"), *_call("refund"), *_commit("refund.succeeded")),
}
"""What one good run passes, in its order. A step that is new belongs here, so that the server is killed there as well."""

BACKGROUND: Final = ("kernel", "catalog", "expire", "reconcile.payments", "reconcile.refunds")
"""Commits of the dispatcher and its jobs, which come when they like; tests/kernel/test_dispatch_crashes.py kills it at each."""

SOME: Final = ("ordering_place_order:after-commit", "gateway.capture:after", "gateway.refund:after")
SECRET: Final = "a secret of the tests, 32 bytes or more"
BUYER: Final = Principal(user_id=1, roles=frozenset(), epoch=1)
KEEPER: Final = Principal(user_id=2, roles=frozenset({ADMIN}), epoch=1)
NOT_PROCESSED: Final = ("gateway.authorise:before", "ordering_create_payment:after-commit")
"""Where the provider has not heard of the attempt: if the reconciler is first, it is over, and the client pays by another."""


@dataclass
class Site:
    """A database and data that outlive the servers on them, and one purchase: an order, its payment, a refund of half of it."""

    clone: Clone
    folder: Path
    servers: list[Shop] = field(default_factory=list)
    product: int = 0
    answers: dict[str, httpx.Response] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = create_engine(self.clone.superuser, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self.tokens = AccessTokens(SECRET, SystemClock())
        self.query("INSERT INTO kernel.principals (user_id, epoch) VALUES (1, 1), (2, 1) RETURNING 1")

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def open(self, **variables: str) -> Shop:
        ours = {
            **self.clone.environment,
            "EMPORIUM_ENV": "test",
            "EMPORIUM_THREADS": "2",
            "EMPORIUM_SECRET_KEY": SECRET,
            "EMPORIUM_DATA_DIR": str(self.folder),
            **variables,
        }
        log = self.folder / f"server{len(self.servers)}.log"
        self.servers.append(Shop.start("serve", log=log, variables=ours))
        return self.servers[-1].opened()

    def furnish(self, shop: Shop) -> None:
        body = {"name": "Desk lamp", "price": "19.99", "stock": 10}
        answer = self.post(shop, KEEPER, "/products", body, "furnish")
        self.product = answer.json()["id"]

    def post(self, shop: Shop, caller: Principal, path: str, body: Any, key: str) -> httpx.Response:
        token = self.tokens.issue(caller, timedelta(minutes=15))
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return httpx.post(f"{shop.url}/api/v1{path}", json=body, headers=headers, timeout=30)

    def send(self, shop: Shop, step: str, *, key: str | None = None) -> httpx.Response:
        """A step of the purchase, always as the same request under the same key."""
        product = {"product_id": self.product}
        if step == "place":
            body: dict[str, Any] = {"items": [{**product, "quantity": 2}]}
            return self.post(shop, BUYER, "/orders", body, key or step)
        order = f"/orders/{self.answers['place'].json()['id']}"
        if step == "pay":
            return self.post(shop, BUYER, f"{order}/payments", {"method": "card", "token": "tok_approve"}, key or step)
        body = {"items": [{**product, "quantity": 1, "restock": True}]}
        return self.post(shop, KEEPER, f"{order}/refunds", body, key or step)

    def purchase(self, shop: Shop, *steps: str) -> str | None:
        """Answers the step at which the server died, if it did; what was answered is kept."""
        for step in steps:
            try:
                self.answers[step] = answer = self.send(shop, step)
            except httpx.TransportError:
                return step
            assert answer.status_code == 201, (step, answer.text)
        return None

    def books(self) -> list[tuple[str, Decimal]]:
        """Every movement of money at the provider, by its own books."""
        with closing(sqlite3.connect(self.folder / FILE)) as books:
            return [(kind, Decimal(amount)) for kind, amount in books.execute("SELECT kind, amount FROM entries ORDER BY id")]


@pytest.fixture
def site(fresh_database: Clone, tmp_path: Path) -> Iterator[Site]:
    site = Site(fresh_database, tmp_path)
    yield site
    for server in site.servers:
        server.kill()


def test_the_points_at_which_a_server_can_die_are_listed(site: Site) -> None:
    record = site.folder / "points"
    shop = site.open(**{RECORD: str(record)})
    site.furnish(shop)

    for step, expected in POINTS.items():
        before = len(record.read_text().splitlines())
        assert site.purchase(shop, step) is None
        passed = [name for name in record.read_text().splitlines()[before:] if name.rpartition(":")[0] not in BACKGROUND]
        assert passed == list(expected), (
            f"To {step} passes other fault points than POINTS lists. Put the new step there (or a background job's commit into"
            " BACKGROUND): then the server is killed there as well, and the shop has to come out of it."
        )
    check(site, shop)


@pytest.mark.parametrize("point", SOME)
def test_a_server_killed_at_a_step_loses_nothing_and_does_nothing_twice(site: Site, point: str) -> None:
    kill_and_repeat(site, point, reconciler_first=False)


@pytest.mark.prove
@pytest.mark.parametrize("first", ["client", "reconciler"])
@pytest.mark.parametrize("point", [point for points in POINTS.values() for point in points])
def test_a_server_killed_at_any_step_loses_nothing_and_does_nothing_twice(site: Site, point: str, first: str) -> None:
    kill_and_repeat(site, point, reconciler_first=first == "reconciler")


def kill_and_repeat(site: Site, point: str, *, reconciler_first: bool) -> None:
    doomed = site.open(**{FAULT: point})
    site.furnish(doomed)
    died_at = site.purchase(doomed, *POINTS)
    assert died_at is not None, f"The server passed {point} alive."
    assert point in POINTS[died_at]
    assert doomed.process.wait(timeout=10) == -signal.SIGKILL

    if reconciler_first:
        for table in ("payments", "refunds"):
            site.query(f"UPDATE ordering.{table} SET next_check_at = now() - interval '1 s' RETURNING 1")
    shop = site.open()
    if reconciler_first:
        until(lambda: is_settled(site), "settled by the reconciler")
    again = site.send(shop, died_at)
    if reconciler_first and point in NOT_PROCESSED:
        assert (again.status_code, again.json()["decline_code"]) == (402, "not-processed")
        assert site.books() == []
        again = site.send(shop, died_at, key="another")
    assert again.status_code == 201, again.text
    site.answers[died_at] = again
    steps = list(POINTS)
    assert site.purchase(shop, *steps[steps.index(died_at) + 1 :]) is None
    check(site, shop)


def is_settled(site: Site) -> bool:
    return site.query(
        "SELECT count(*) FROM (SELECT id FROM ordering.payments WHERE status IN ('started', 'authorised', 'reversing')"
        " UNION ALL SELECT id FROM ordering.refunds WHERE status = 'started') AS unsettled"
    ) == [(0,)]


def check(site: Site, shop: Shop) -> None:
    """One order, one charge, one refund; the ledger balances; each event is there once, delivered, and counted once."""
    story = Story(scenario=Scenario(site.query, seconds=20), result=None, after=0)
    story.await_deliveries()
    order = site.answers["place"].json()["id"]
    for kind in (OrderPlaced, OrderPaid, OrderRefunded):
        assert [event.order_id for event in story.events(kind)] == [order], kind.name
    assert site.query("SELECT count(*) FROM kernel.deliveries WHERE status <> 'delivered'") == [(0,)]
    counted = "SELECT units_sold FROM catalog.products WHERE id = :id"
    story.await_state(lambda: site.query(counted, id=site.product), [(2,)])

    assert site.books() == [("capture", Decimal("39.98")), ("refund", Decimal("19.99"))]
    assert site.query("SELECT id, status, captured_amount, refunded_amount, refunding_amount FROM ordering.orders") == [
        (order, "paid", Decimal("39.98"), Decimal("19.99"), Decimal(0))
    ]
    assert site.query("SELECT count(*) FROM ordering.payments WHERE status = 'captured'") == [(1,)]
    assert site.query("SELECT status FROM ordering.refunds") == [("succeeded",)]
    assert is_settled(site)
    assert site.query("SELECT quantity, reserved, (SELECT sum(quantity) FROM catalog.stock_movements) FROM catalog.stock") == [
        (9, 0, 9)
    ]
    assert site.query("SELECT status, count(*) FROM catalog.reservations GROUP BY status ORDER BY status") == [
        ("confirmed", 1),
        ("returned", 1),
    ]
    for step in ("place", "refund"):
        assert site.send(shop, step).content == site.answers[step].content, step
