"""Behind a PgBouncer in transaction pooling mode: the whole story, the wall, the same round trips, migrations past it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import psycopg2
import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient
from tests.database_fixtures import Clone, Databases
from tests.flows._pgbouncer import ALIAS, SERVER_CONNECTIONS, Pooler, find, pooler
from tests.flows._shops import EMPORIUM, Shop, environment, until
from tests.migration_fixtures import Alembic
from tests.shop_fixtures import Shop as ShopInProcess
from tests.shop_fixtures import shop_settings
from tests.wire import wire

from app.application import create_app
from app.opening import open_engines
from kernel.database.engines import Engines
from kernel.database.errors import INSUFFICIENT_PRIVILEGE, sqlstate
from kernel.settings import load_settings

pytestmark = [
    pytest.mark.prove,
    pytest.mark.pgbouncer,
    pytest.mark.skipif(find() is None, reason="the program pgbouncer is not installed"),
]

ADMIN: Final = ("admin@example.com", "a phrase for the pooler")
BUYERS: Final = 24
UNITS: Final = 10
MODULES: Final = ("kernel", "users", "catalog", "ordering")


@pytest.fixture
def bouncer(database: Clone, run_directory: Path) -> Iterator[Pooler]:
    """Between the application and this test's database."""
    with pooler(database.application, run_directory) as started:
        yield started


@pytest.fixture
def pooled(bouncer: Pooler, database: Clone) -> Iterator[Engines]:
    engines = Engines(bouncer.url(database.application), threads=8, roles=database.roles)
    yield engines
    engines.close()


@pytest.fixture
def variables(bouncer: Pooler, database: Clone) -> dict[str, str]:
    """What an operator sets: the pooler for the shop, the server itself for what needs a session."""
    return {
        "DATABASE_URL": bouncer.text(database.application),
        "DATABASE_DIRECT_URL": database.migrator.render_as_string(hide_password=False),
        "DATABASE_ROLE_PREFIX": database.roles.prefix,
        "EMPORIUM_ENV": "test",
        "EMPORIUM_SECRET_KEY": "a secret of the tests, 32 bytes or more",
        "EMPORIUM_LIMITS": "off",
    }


@pytest.fixture
def store(variables: Mapping[str, str], tmp_path: Path) -> Iterator[Shop]:
    """Two workers, each with more connections than the pooler has to the server."""
    started = Shop.start("serve", "--workers", "2", log=tmp_path / "shop.log", variables=variables)
    try:
        yield started.opened()
    finally:
        started.kill()


def emporium(variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EMPORIUM, *arguments],
        env=environment(COLUMNS="200", **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class Customer:
    """Somebody who speaks HTTP to the shop, over a connection of their own."""

    http: httpx2.Client
    email: str
    password: str = "a phrase to buy with"

    def register(self) -> Customer:
        answer = self.http.post("/users", json={"email": self.email, "password": self.password})
        assert answer.status_code == 201, answer.text
        return self.log_in()

    def log_in(self) -> Customer:
        answer = self.http.post("/auth/token", data={"username": self.email, "password": self.password})
        assert answer.status_code == 200, answer.text
        self.http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def create_product(self, **values: Any) -> dict[str, Any]:
        answer = self.http.post("/products", json={"name": "Desk lamp", "price": "19.99", **values})
        assert answer.status_code == 201, answer.text
        product: dict[str, Any] = answer.json()
        return product

    def place(self, *lines: tuple[dict[str, Any], int], key: str = "k") -> httpx2.Response:
        items = [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]
        return self.http.post("/orders", json={"items": items}, headers={"idempotency-key": key})

    def stock_of(self, product: dict[str, Any]) -> int:
        return int(self.http.get(f"/products/{product['id']}").json()["stock"])


Meet = Callable[..., Customer]


@pytest.fixture
def meet(store: Shop) -> Iterator[Meet]:
    with ExitStack() as clients:

        def one(*who: str) -> Customer:
            return Customer(clients.enter_context(httpx2.Client(base_url=f"{store.url}/api/v1", timeout=30)), *who)

        yield one


@pytest.fixture
def admin(meet: Meet, variables: Mapping[str, str]) -> Customer:
    email, password = ADMIN
    made = emporium(variables, "users", "create-admin", "--email", email, "--password", password)
    assert made.returncode == 0, made
    return meet(email, password).log_in()


class TestTheStory:
    def test_it_is_told_as_without_a_pooler(self, meet: Meet, admin: Customer) -> None:
        lamp, shade = admin.create_product(stock=10), admin.create_product(stock=5, price="2.50")
        buyer = meet("ada@example.com").register()

        placed = buyer.place((lamp, 2), (shade, 1))
        replayed = buyer.place((lamp, 2), (shade, 1))
        assert (placed.status_code, placed.json()["total"]) == (201, "42.48")
        assert (replayed.status_code, replayed.content) == (201, placed.content)
        assert replayed.headers["idempotency-replayed"] == "true"
        assert admin.stock_of(lamp) == 8

        order = placed.json()
        assert buyer.http.get(f"/orders/{order['id']}").json() == order
        assert [listed["id"] for listed in buyer.http.get("/orders").json()["items"]] == [order["id"]]
        assert [listed["name"] for listed in buyer.http.get("/products?q=lamp&sort=price&limit=1").json()["items"]] == [
            "Desk lamp"
        ]

        cancelled = buyer.http.post(f"/orders/{order['id']}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert admin.stock_of(lamp) == 10

        assert buyer.http.post("/auth/logout-everywhere").status_code == 204
        assert buyer.http.get("/orders").status_code == 401

    def test_the_wall_is_on_and_the_shop_says_so(self, store: Shop) -> None:
        assert store.get("/readyz")[1]["checks"]["roles"] == "on: each module has its own"
        assert "The wall between the modules is on" in store.said

    def test_the_last_units_are_sold_once_to_more_buyers_than_there_are_connections(
        self, meet: Meet, admin: Customer, bouncer: Pooler
    ) -> None:
        lamp = admin.create_product(stock=UNITS)
        with ThreadPoolExecutor(BUYERS) as threads:
            buyers = list(threads.map(lambda n: meet(f"buyer{n}@example.com").register(), range(BUYERS)))
            start = threading.Barrier(BUYERS)

            def buy(buyer: Customer) -> int:
                start.wait(30)
                return buyer.place((lamp, 1)).status_code

            answers = Counter(threads.map(buy, buyers))

        assert answers == {201: UNITS, 409: BUYERS - UNITS}
        assert admin.stock_of(lamp) == 0
        mine = [pool for pool in bouncer.show("POOLS") if pool["user"] == "emporium_app"]
        assert sum(pool["cl_active"] for pool in mine) > SERVER_CONNECTIONS
        assert 0 < sum(pool["sv_active"] + pool["sv_idle"] + pool["sv_used"] for pool in mine) <= SERVER_CONNECTIONS

    def test_a_file_is_imported_by_copy(self, variables: Mapping[str, str], tmp_path: Path, database: Clone) -> None:
        file = tmp_path / "products.csv"
        file.write_text("sku,name,price,stock\n" + "".join(f"S{n},Lamp {n},1.50,{n}\n" for n in range(1, 3001)))

        done = emporium(variables, "catalog", "import", str(file))

        assert done.returncode == 0, done
        with create_engine(database.superuser, poolclass=NullPool).connect() as connection:
            stored = connection.execute(text("SELECT count(*), sum(quantity) FROM catalog.stock")).one()
        assert tuple(stored) == (3000, 3000 * 3001 / 2)

    def test_many_workers_are_no_reason_for_a_warning(self, variables: Mapping[str, str], tmp_path: Path) -> None:
        crowd = {**variables, "EMPORIUM_THREADS": "64"}
        store = Shop.start("serve", "--workers", "2", log=tmp_path / "crowd.log", variables=crowd)
        try:
            store.opened()
            assert "connections" not in store.said
        finally:
            store.kill()


class TestTheWall:
    def test_a_neighbours_table_is_refused(self, pooled: Engines) -> None:
        catalog = pooled.database("catalog")
        for block in (catalog.read, catalog.transaction):
            with pytest.raises(DBAPIError) as caught, block() as connection:
                connection.execute(text("SELECT * FROM ordering.orders"))
            assert sqlstate(caught.value) == INSUFFICIENT_PRIVILEGE

    def test_each_statement_of_a_crowd_runs_as_its_own_module(self, pooled: Engines, database: Clone) -> None:
        asked = text("SELECT current_user, pg_backend_pid()")

        def ask(number: int) -> tuple[str, str, int]:
            module = MODULES[number % len(MODULES)]
            handle = pooled.database(module)
            with handle.read() if number % 3 else handle.transaction() as connection:
                role, server = connection.execute(asked).one()
            return module, role, server

        with ThreadPoolExecutor(8) as threads:
            seen = list(threads.map(ask, range(400)))

        assert {(module, role) for module, role, _ in seen} == {(module, database.roles.module(module)) for module in MODULES}
        assert 1 < len({server for _, _, server in seen}) <= SERVER_CONNECTIONS

    @pytest.mark.parametrize("ending", ["an error", "a client that vanishes", "a named cursor that is left open"])
    def test_the_role_stays_with_its_client_however_that_ends(
        self, pooled: Engines, bouncer: Pooler, database: Clone, ending: str
    ) -> None:
        if ending == "an error":
            with pytest.raises(DBAPIError), pooled.database("catalog").transaction() as session:
                session.execute(text("SELECT 1 / 0"))
        elif ending == "a named cursor that is left open":
            with pooled.database("catalog").transaction() as session:
                rows = session.execute(text("SELECT id FROM catalog.products"), execution_options={"stream_results": True})
                rows.fetchone()
        else:
            vanish(bouncer, database)
        assert roles_of_all_server_connections(bouncer, database) == {"emporium_app"}

    def test_the_logins_timeouts_hold(self, pooled: Engines, bouncer: Pooler, database: Clone) -> None:
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        with create_engine(bouncer.url(database.application), poolclass=NullPool).connect() as connection:
            assert [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names] == ["2s", "10s", "10s"]


def connect(bouncer: Pooler, database: Clone) -> Any:
    return psycopg2.connect(host=str(bouncer.home), port=5432, user="emporium_app", dbname=database.name)


def vanish(bouncer: Pooler, database: Clone) -> None:
    """Become a module in a transaction, then break the connection without a word."""
    client = connect(bouncer, database)
    with client.cursor() as cursor:
        cursor.execute(f'SET LOCAL ROLE "{database.roles.module("catalog")}"')
    with closing(socket.socket(fileno=os.dup(client.fileno()))) as raw:
        raw.shutdown(socket.SHUT_RDWR)
    client.close()


def roles_of_all_server_connections(bouncer: Pooler, database: Clone) -> set[str]:
    """Who a client is that says nothing of a role, on every connection that the pooler may have."""
    clients = [connect(bouncer, database) for _ in range(SERVER_CONNECTIONS)]
    seen = []
    for client in clients:
        with client.cursor() as cursor:
            cursor.execute("SELECT current_user, pg_backend_pid()")
            seen.append(cursor.fetchone())
    for client in clients:
        client.close()
    assert len({server for _, server in seen}) == SERVER_CONNECTIONS
    return {role for role, _ in seen}


class TestOnTheWire:
    def test_requests_take_the_same_messages_as_without_a_pooler(
        self, shop: ShopInProcess, bouncer: Pooler, database: Clone
    ) -> None:
        def messages(address: Any) -> dict[str, list[str]]:
            buyer, lamp = shop.person(), shop.product(stock=10)
            sent: dict[str, list[str]] = {}
            with wire(address) as counted:
                engines = Engines(counted.url, threads=1, roles=database.roles)
                for engine in (engines.writer, engines.reader):
                    engine.connect().close()
                with TestClient(create_app(shop_settings(database), engines=engines)) as http:

                    def ask(name: str, method: str, path: str, **options: Any) -> Any:
                        first = len(counted.messages)
                        answer = http.request(
                            method, f"/api/v1{path}", headers=shop.headers(buyer, idempotency_key="k"), **options
                        )
                        assert answer.status_code < 300, answer.text
                        sent[name] = [message.split(" ")[0] for message in counted.messages[first:]]
                        return answer.json()

                    items = {"items": [{"product_id": lamp["id"], "quantity": 2}]}
                    ask("read product", "GET", f"/products/{lamp['id']}")
                    ask("list products", "GET", "/products")
                    order = ask("place", "POST", "/orders", json=items)
                    ask("replay", "POST", "/orders", json=items)
                    ask("read order", "GET", f"/orders/{order['id']}")
                    ask("cancel", "POST", f"/orders/{order['id']}/cancel")
                assert not [message for message in counted.messages if message.startswith(("SET SESSION", "SET ROLE"))]
                engines.close()
            return sent

        behind = messages(bouncer.url(database.application))

        assert behind == messages(database.application)
        assert (len(behind["read product"]), len(behind["replay"])) == (1, 3)


class TestLosses:
    def test_server_connections_that_are_cut_cost_no_request(
        self, meet: Meet, admin: Customer, databases: Databases, database: Clone
    ) -> None:
        lamp = admin.create_product(stock=10)
        buyer = meet("ada@example.com").register()
        for number in range(5):
            databases.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE usename = 'emporium_app' AND datname = '{database.name}'"
            )
            assert buyer.place((lamp, 1), key=f"k{number}").status_code == 201
            assert buyer.http.get("/orders").status_code == 200
        assert admin.stock_of(lamp) == 5

    def test_without_the_pooler_it_is_503_and_with_it_again_the_shop_goes_on(
        self, store: Shop, admin: Customer, bouncer: Pooler
    ) -> None:
        lamp = admin.create_product(stock=10)
        bouncer.stop()
        answers = [admin.http.get(f"/products/{lamp['id']}"), admin.place((lamp, 1))]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert all(answer.headers["retry-after"] for answer in answers)

        bouncer.start()
        until(store.is_ready, "ready again")
        assert admin.place((lamp, 1)).status_code == 201
        assert admin.stock_of(lamp) == 9


class TestMigrations:
    @pytest.fixture
    def unmigrated(self, empty_database: Clone, run_directory: Path) -> Iterator[tuple[Pooler, dict[str, str]]]:
        """An empty database with a pooler in front, and the variables without the address past it."""
        with pooler(empty_database.application, run_directory) as started:
            yield started, {"DATABASE_ROLE_PREFIX": empty_database.roles.prefix, "EMPORIUM_ENV": "test"}

    def test_they_go_past_the_pooler(self, unmigrated: tuple[Pooler, dict[str, str]], empty_database: Clone) -> None:
        bouncer, variables = unmigrated
        variables["DATABASE_URL"] = bouncer.text(empty_database.application)
        variables["DATABASE_DIRECT_URL"] = empty_database.migrator.render_as_string(hide_password=False)

        done = emporium(variables, "db", "upgrade")

        assert done.returncode == 0, done
        alembic = Alembic(empty_database.target)
        assert alembic.reached() == alembic.heads()
        assert f"db={empty_database.name}" not in bouncer.log

    def test_the_roles_are_found_whatever_the_pooler_calls_the_database(
        self, unmigrated: tuple[Pooler, dict[str, str]], alembic: Alembic, empty_database: Clone
    ) -> None:
        bouncer, _ = unmigrated
        alembic.run("upgrade", "heads")
        address = bouncer.text(empty_database.application.set(database=ALIAS))

        engines = open_engines(load_settings(environ={"DATABASE_URL": address, "EMPORIUM_ENV": "test"}), MODULES[1:])

        engines.close()
        assert engines.roles == empty_database.roles

    def test_a_session_that_others_share_is_refused_before_anything_is_done(
        self, unmigrated: tuple[Pooler, dict[str, str]], empty_database: Clone
    ) -> None:
        bouncer, variables = unmigrated
        variables["DATABASE_URL"] = bouncer.text(empty_database.migrator)

        done = emporium(variables, "db", "upgrade")

        assert done.returncode == 1, done
        assert "leads to a pooler that lends its connections to others between transactions" in done.stderr
        assert "DATABASE_DIRECT_URL" in done.stderr
        assert "Traceback" not in done.stderr
        alembic = Alembic(empty_database.target)
        assert alembic.sql("SELECT to_regnamespace('kernel')::text") == [(None,)]
        assert alembic.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]

    def test_a_pooler_that_keeps_sessions_will_do(self, empty_database: Clone, run_directory: Path) -> None:
        with pooler(empty_database.application, run_directory, mode="session") as bouncer:
            variables = {
                "DATABASE_ROLE_PREFIX": empty_database.roles.prefix,
                "EMPORIUM_ENV": "test",
                "DATABASE_URL": bouncer.text(empty_database.application),
                "DATABASE_MIGRATION_URL": bouncer.text(empty_database.migrator),
            }
            done = emporium(variables, "db", "upgrade")
            assert done.returncode == 0, done
