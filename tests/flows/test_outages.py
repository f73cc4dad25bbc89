"""Outages under load on real `emporium serve` processes: the database goes away, answers get lost, the shop is told to stop."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import uuid4

import psutil  # type: ignore[import-untyped]  # has no annotations
import pytest
from alembic import command
from sqlalchemy import URL, NullPool, create_engine, make_url, text
from tests.database_fixtures import Clone
from tests.flows._books import check_all, check_money, check_stock, unsettled
from tests.flows._buyers import SECRET, Answer, Buyers, Line, Request, furnish
from tests.flows._shops import Shop, server_of, until
from tests.wire import wire

from app.migrations import Target, config
from kernel.database.embedded import EmbeddedPostgres
from kernel.database.embedded.provision import APPLICATION
from ordering.service import SandboxPaymentGateway
from ordering.service.gateways.sandbox import FILE

PEOPLE: Final = 6
PRODUCTS: Final = 5
PAYERS: Final = 4
"""Half of the threads, which is how many may wait for the provider."""
STOP_SECONDS: Final = 10


@dataclass
class Site:
    """Where a shop is run: its database, seen from above, its own data, and the shops that were opened."""

    superuser: URL
    environment: dict[str, str]
    folder: Path
    shops: list[Shop]

    def __post_init__(self) -> None:
        self.sandbox = SandboxPaymentGateway(self.folder / "data")
        self._engine = create_engine(self.superuser, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def open(self, *, workers: int = 1, **variables: str) -> Shop:
        ours = {
            **self.environment,
            "EMPORIUM_ENV": "test",
            "EMPORIUM_LIMITS": "off",
            "EMPORIUM_THREADS": "8",
            "EMPORIUM_SECRET_KEY": SECRET,
            "EMPORIUM_DATA_DIR": str(self.folder / "data"),
            **variables,
        }
        log = self.folder / f"log{len(self.shops)}"
        shop = Shop.start("serve", "--workers", str(workers), log=log, variables=ours)
        self.shops.append(shop)
        shop.opened()
        until(lambda: workers == 1 or f"{workers} workers" in shop.said, "all workers serve")
        return shop

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def settled_by_itself(self) -> None:
        """The running shop has finished what was left open; then the books have to be right."""
        # As if those seconds had passed that a request is given before the reconciler goes on with its attempt.
        for table in ("payments", "refunds"):
            self.query(f"UPDATE ordering.{table} SET next_check_at = now() RETURNING id")
        until(lambda: not unsettled(self.query), "the shop has finished everything by itself", seconds=60)
        check_all(self.query, self.sandbox)

    def check_keys(self, shop: Shop, buyers: Buyers) -> None:
        """Each key stands for one order, which a replay names with the very bytes of before."""
        placed = buyers.settled("/orders")
        line = Line(shop.port)
        for request in placed:
            told = {answer.content for answer in [*request.answers, line.send(request)] if answer.status == 201}
            assert len(told) == 1, request
        line.close()
        asked = [request for request in buyers.requests if request.path.endswith("/orders")]
        assert len(placed) == len(asked), "Not every order was settled."
        assert self.query("SELECT count(*) FROM ordering.orders") == [(len(placed),)]


@contextmanager
def closing_shops() -> Iterator[list[Shop]]:
    shops: list[Shop] = []
    try:
        yield shops
    finally:
        for shop in shops:
            shop.kill()


@contextmanager
def folder() -> Iterator[Path]:
    """Not pytest's: each run of pytest closes that to other accounts, and root's PostgreSQL runs as another one."""
    path = TemporaryDirectory(prefix="emporium-outage-", ignore_cleanup_errors=True)
    with path as name:
        yield Path(name)


@pytest.fixture
def site(fresh_database: Clone) -> Iterator[Site]:
    with folder() as path, closing_shops() as shops:
        yield Site(fresh_database.superuser, fresh_database.environment, path, shops)


@dataclass
class OwnSite(Site):
    server: EmbeddedPostgres

    @contextmanager
    def without_database(self, *, crash: bool) -> Iterator[None]:
        """The database's own fast shutdown, which ends every transaction; or all of its processes die at once."""
        if crash:
            pid = server_of(self.folder / "postgres")
            assert pid
            os.kill(pid, signal.SIGQUIT)
            until(lambda: not psutil.pid_exists(pid), "the server is gone")
        self.server.stop()
        yield
        self.server.start()


@pytest.fixture
def own_site() -> Iterator[OwnSite]:
    """On a PostgreSQL of its own."""
    with ExitStack() as stack:
        path = stack.enter_context(folder())
        server = stack.enter_context(EmbeddedPostgres(path / "postgres"))
        command.upgrade(config(Target(url=server.migration_url, application=APPLICATION, creator=server.admin_url)), "heads")
        environment = {
            "DATABASE_URL": server.app_url.render_as_string(hide_password=False),
            "DATABASE_MIGRATION_URL": server.migration_url.render_as_string(hide_password=False),
        }
        shops = stack.enter_context(closing_shops())
        yield OwnSite(server.admin_url, environment, path, shops, server)


class TestRestart:
    @pytest.mark.parametrize(
        ("times", "workers", "crash"),
        [(1, 1, False), pytest.param(8, 2, False, marks=pytest.mark.prove), pytest.param(5, 2, True, marks=pytest.mark.prove)],
    )
    def test_postgresql_restarted_under_load_costs_nothing_but_a_repeat(
        self, own_site: OwnSite, times: int, workers: int, crash: bool
    ) -> None:
        shop = own_site.open(workers=workers)
        buyers = Buyers(shop, furnish(shop, own_site.query, people=PEOPLE, products=PRODUCTS))
        buyers.start(PEOPLE)
        for _ in range(times):
            until(lambda: len(buyers.settled()) >= 5, "people buy")
            refused = buyers.seen()[503]
            with own_site.without_database(crash=crash):
                until(lambda: buyers.seen()[503] > refused, "somebody notices")  # noqa: B023 -- at once
            bought = len(buyers.settled())
            until(lambda: len(buyers.settled()) > bought + 10, "people buy again without anybody's help")  # noqa: B023 -- at once
        buyers.stop()

        buyers.check_answers()
        assert until(shop.is_ready, "ready")
        own_site.settled_by_itself()
        own_site.check_keys(shop, buyers)
        assert shop.end(signal.SIGTERM) == 0


class TestLostAnswers:
    @pytest.mark.parametrize(
        ("every", "cuts", "workers"), [(9, 10, 1), pytest.param(4, 300, 2, marks=pytest.mark.prove)], ids=["few", "many"]
    )
    def test_commits_whose_answer_is_lost_are_settled_by_a_replay(
        self, site: Site, every: int, cuts: int, workers: int
    ) -> None:
        with wire(make_url(site.environment["DATABASE_URL"])) as line:
            shop = site.open(workers=workers, DATABASE_URL=line.url.render_as_string(hide_password=False))
            buyers = Buyers(shop, furnish(shop, site.query, people=PEOPLE, products=PRODUCTS))
            line.cut_every(every, "^COMMIT", after_forwarding=True)
            buyers.start(PEOPLE)
            until(lambda: line.cuts >= cuts, "enough connections were cut", seconds=60)
            line.mend()
            buyers.stop()

            buyers.check_answers()
            codes = {answer.json()["code"] for answer in buyers.answers() if answer.status == 503}
            assert "outcome-unknown" in codes
            assert codes <= {"outcome-unknown", "database-unavailable"}
            site.settled_by_itself()
            site.check_keys(shop, buyers)
            assert shop.end(signal.SIGTERM) == 0


class TestStop:
    @pytest.mark.parametrize(
        ("times", "workers"),
        [(1, 2), pytest.param(8, 1, marks=pytest.mark.prove), pytest.param(6, 2, marks=pytest.mark.prove)],
    )
    def test_sigterm_under_load_lets_every_request_that_began_have_its_answer(
        self, site: Site, times: int, workers: int
    ) -> None:
        products: list[int] = []
        for _ in range(times):
            shop = site.open(workers=workers)
            products = products or furnish(shop, site.query, people=PEOPLE, products=PRODUCTS)
            buyers = Buyers(shop, products, quitting=True)
            buyers.start(PEOPLE)
            until(lambda: len(buyers.settled("/payments")) >= 3, "people pay")  # noqa: B023 -- at once
            time.sleep(random.uniform(0, 0.2))  # noqa: S311 -- not a secret
            code, took = end(shop)
            buyers.wait()

            assert (code, took < STOP_SECONDS) == (0, True), (code, took)
            assert "Traceback" not in shop.said
            answers = [answer for answer in buyers.answers() if answer.status]
            assert {answer.status for answer in answers} <= {200, 201, 202, 409}
            silent = [request.key for request in buyers.requests if not any(answer.status for answer in request.answers)]
            stored = site.query("SELECT key FROM kernel.idempotency_keys WHERE key = ANY(:keys)", keys=silent)
            assert stored == [], "It was done, and nobody was told."
        shop = site.open()
        site.settled_by_itself()
        assert shop.end(signal.SIGTERM) == 0

    @pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.prove)])
    def test_payments_in_flight_are_finished(self, site: Site, workers: int) -> None:
        shop = site.open(workers=workers)
        products = furnish(shop, site.query, people=PAYERS, products=1)
        basket = {"items": [{"product_id": products[0], "quantity": 1}]}
        orders = [ask(shop, 2 + payer, "/api/v1/orders", basket) for payer in range(PAYERS)]
        answers: list[Answer] = []

        def pay(payer: int) -> None:
            path = f"/api/v1/orders/{orders[payer].json()['id']}/payments"
            answers.append(ask(shop, 2 + payer, path, {"method": "card"}))

        warm = ask(shop, 2, "/api/v1/orders", basket).json()["id"]
        assert ask(shop, 2, f"/api/v1/orders/{warm}/payments", {"method": "card"}).status == 201
        threads = [threading.Thread(target=pay, args=(payer,)) for payer in range(PAYERS)]
        with self.slow_provider(site):
            for thread in threads:
                thread.start()
            begun = "SELECT count(*) FROM ordering.payments WHERE status = 'started'"
            until(lambda: site.query(begun) == [(PAYERS,)], "all attempts have begun")
            began = time.monotonic()
            os.kill(shop.process.pid, signal.SIGTERM)
            time.sleep(1)
            assert shop.process.poll() is None
            assert answers == []
        for thread in threads:
            thread.join(20)

        assert shop.process.wait(STOP_SECONDS) == 0
        assert time.monotonic() - began < STOP_SECONDS
        assert [answer.status for answer in answers] == [201] * PAYERS
        paid = "SELECT count(*) FROM ordering.orders WHERE status = 'paid'"
        assert site.query(paid) == [(PAYERS + 1,)]
        # Events may wait for the next shop to deliver them.
        assert {what for what, _ in unsettled(site.query)} <= {"event", "delivery"}
        check_stock(site.query)
        check_money(site.query, site.sandbox)

    @contextmanager
    def slow_provider(self, site: Site) -> Iterator[None]:
        """Its books are locked: calls to it wait until the block ends."""
        with closing(sqlite3.connect(site.folder / "data" / FILE, isolation_level=None)) as books:
            books.execute("BEGIN IMMEDIATE")
            yield
            books.execute("COMMIT")


def ask(shop: Shop, user_id: int, path: str, body: Any) -> Answer:
    with closing(Line(shop.port)) as line:
        return line.send(Request(user_id, path, body, uuid4().hex))


def end(shop: Shop) -> tuple[int, float]:
    """The exit code after SIGTERM, and how long it took."""
    began = time.monotonic()
    code = shop.end(signal.SIGTERM)
    return code, time.monotonic() - began
