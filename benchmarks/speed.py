"""Requests per second of the shop beside two baselines, in one run, on one machine and one PostgreSQL.

    sql   hand-written SQL on bare ASGI, one thread hop                    (baseline_sql.py)
    shop  Emporium as `emporium run` serves it: one worker, the wall on
    orm   the usual way: FastAPI, a session per request, ORM entities      (baseline_orm.py)

For an order all three write stock, movements, order and lines. The shop also checks that the account still counts, keeps
the Idempotency-Key with the answer, stores an event, and does each part as the module's role. Read the ratios, not the
requests per second: client, servers and PostgreSQL share the machine's cores.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import jwt
import psycopg2
from psycopg2.extras import execute_values
from rich.console import Console
from rich.progress import track
from sqlalchemy import URL

from baseline_tables import TABLES
from kernel.database.embedded import EmbeddedPostgresError
from kernel.database.embedded.provision import SUPERUSER
from load import LoadError, put_load
from own_shop import OwnShop, OwnShopError, open_shop
from shop_client import Account, ShopClient, ShopError

PRODUCTS: Final = 1_000
STOCK: Final = 10_000_000
WARM_UP_SECONDS: Final = 0.5
_BASELINES: Final = {"sql": "baseline_sql:app", "orm": "baseline_orm:app"}
_ORDER: Final = ("sql", "shop", "orm")
_COLUMNS: Final = ("id", "sku", "name", "description", "price", "currency", "stock", "status", "version")


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    pid: int
    token: str
    """Of a person who buys."""


@dataclass(frozen=True)
class Scenario:
    name: str
    status: int
    request: Callable[[Server], bytes]


@dataclass(frozen=True)
class Sample:
    per_second: float
    cpu_us: float
    """Of the server's process, per request; without PostgreSQL."""


def scenarios(ids: Sequence[int]) -> list[Scenario]:
    keys = itertools.count()
    dice = random.Random(20101201)  # noqa: S311 -- the same load each time

    def read(server: Server) -> bytes:
        return _request(server, "GET", f"/api/v1/products/{dice.choice(ids)}")

    def show(server: Server) -> bytes:
        return _request(server, "GET", "/api/v1/products")

    def place(server: Server) -> bytes:
        one, other = dice.sample(ids, 2)
        body = b'{"items":[{"product_id":%d,"quantity":1},{"product_id":%d,"quantity":2}]}' % (one, other)
        key = f"{os.getpid()}-{next(keys)}"
        return _request(
            server, "POST", "/api/v1/orders", {"Authorization": f"Bearer {server.token}", "Idempotency-Key": key}, body
        )

    return [
        Scenario("read a product", 200, read),
        Scenario("list 20 products", 200, show),
        Scenario("place an order of 2 lines", 201, place),
    ]


def _request(server: Server, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def measure(server: Server, scenario: Scenario, *, connections: int, seconds: float) -> Sample:
    cpu = _cpu_seconds(server.pid)
    load = put_load(
        server.port, lambda: scenario.request(server), status=scenario.status, connections=connections, seconds=seconds
    )
    return Sample(load.per_second, (_cpu_seconds(server.pid) - cpu) / load.requests * 1e6)


def _cpu_seconds(pid: int) -> float:
    """What the process has used; nan where the system has no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


@contextmanager
def open_servers() -> Iterator[tuple[list[Server], list[int]]]:
    """The three servers with the same products, and the products' ids."""
    with ExitStack() as stack:
        shop = stack.enter_context(open_shop())
        token, products = _furnish(shop)
        url = shop.postgres.url(user=SUPERUSER, database="baseline")
        _make_baseline(shop.postgres.url(user=SUPERUSER, database="postgres"), url, products)
        for database in (url, url.set(database=shop.postgres.app_url.database)):
            _analyze(database)
        port = int(shop.url.rpartition(":")[2])
        servers = {"shop": Server("shop", port, shop.pid, token)}
        for name, target in _BASELINES.items():
            servers[name] = stack.enter_context(_baseline(name, target, url))
        yield [servers[name] for name in _ORDER], [product["id"] for product in products]


def _furnish(shop: OwnShop) -> tuple[str, list[dict[str, Any]]]:
    """A buyer's token, and the products that were made."""
    client = ShopClient(shop.url)
    admin = Account(shop.admin_email, shop.admin_password)
    products = []
    for number in track(range(PRODUCTS), "Products", console=Console(stderr=True), transient=True):
        content = {
            "name": f"Product {number}",
            "description": "Brass, 40 cm; the shade is of linen and can be washed.",
            "price": f"{number % 97}.{number % 100:02}",
            "stock": STOCK,
        }
        products.append(admin.send(client, "POST", "/api/v1/products", content=content, expect={201}).body)
    buyer = Account("buyer@example.com", secrets.token_urlsafe(18))
    client.send("POST", "/api/v1/users", content={"email": buyer.email, "password": buyer.password}, expect={201})
    buyer.log_in(client)
    client.close()
    return buyer.access_token, products


def _make_baseline(server: URL, database: URL, products: Sequence[Mapping[str, Any]]) -> None:
    connection = psycopg2.connect(_dsn(server))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE baseline")
    connection.close()
    connection = psycopg2.connect(_dsn(database))
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        rows = [[product[column] for column in _COLUMNS] for product in products]
        execute_values(cursor, f"INSERT INTO products ({', '.join(_COLUMNS)}) VALUES %s", rows)  # noqa: S608 -- constants
    connection.close()


def _analyze(database: URL) -> None:
    """The planner must know all three alike; left alone, autovacuum gets round to it in the middle of a run."""
    connection = psycopg2.connect(_dsn(database))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    connection.close()


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def _baseline(name: str, target: str, url: URL) -> Iterator[Server]:
    secret = secrets.token_hex(32)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    # As the shop is served.
    options = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "warning", "--no-server-header"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", target, "--app-dir", Path(__file__).parent, "--port", str(port), *options],
        env={
            **os.environ,
            "BASELINE_SECRET": secret,
            "BASELINE_DSN": _dsn(url),
            "BASELINE_URL": url.render_as_string(hide_password=False),
        },
        start_new_session=True,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/api/v1/products", process)
        yield Server(name, port, process.pid, _token(secret))
    finally:
        process.terminate()
        process.wait(30)


def _token(secret: str) -> str:
    lifetime = timedelta(hours=1).total_seconds()
    return jwt.encode({"sub": "1", "exp": int(time.time() + lifetime)}, secret, algorithm="HS256")


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 -- our own address
                return
        except OSError:
            time.sleep(0.1)
    raise LoadError("A baseline did not start.")


Samples = Mapping[tuple[str, str], Sequence[Sample]]


def compare(options: argparse.Namespace) -> Samples:
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    with open_servers() as (servers, ids):
        cases = [(scenario, server) for scenario in scenarios(ids) for server in servers]
        for scenario, server in cases:
            measure(server, scenario, connections=options.connections, seconds=WARM_UP_SECONDS)
        rounds = [case for _ in range(options.rounds) for case in cases]
        for scenario, server in track(rounds, "Measuring", console=Console(stderr=True), transient=True):
            sample = measure(server, scenario, connections=options.connections, seconds=options.seconds)
            samples[scenario.name, server.name].append(sample)
    return samples


def report(samples: Samples) -> None:
    print(f"{'':<28}{'':<6}{'requests/s':>11}{'to sql':>8}{'to orm':>8}{'spread':>14}{'CPU us/request':>16}")
    speeds = {case: statistics.median(sample.per_second for sample in found) for case, found in samples.items()}
    for (scenario, server), found in samples.items():
        speed = speeds[scenario, server]
        all_speeds = [sample.per_second for sample in found]
        print(
            f"{scenario if server == _ORDER[0] else '':<28}{server:<6}{speed:>11,.0f}"
            f"{speed / speeds[scenario, 'sql']:>8.2f}{speed / speeds[scenario, 'orm']:>8.1f}"
            f"{f'{min(all_speeds):,.0f}-{max(all_speeds):,.0f}':>14}{statistics.median(s.cpu_us for s in found):>16,.0f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, whose median counts (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of load per server, request and round (default: 1.5)")
    parser.add_argument("--connections", type=int, default=8, help="requests under way at once (default: 8)")
    options = parser.parse_args()
    if not (1 <= options.rounds <= 100 and 0.1 <= options.seconds <= 60 and 1 <= options.connections <= 64):
        parser.error("1 to 100 rounds of 0.1 to 60 seconds over 1 to 64 connections, please.")
    rounds = f"median of {options.rounds} rounds of {options.seconds} s"
    busy = f", load before the run {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    try:
        samples = compare(options)
    except (LoadError, ShopError, OwnShopError, EmbeddedPostgresError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"{options.connections} connections, {rounds}, {os.cpu_count()} cores{busy}")
    report(samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
