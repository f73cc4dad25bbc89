"""The replay of a retailer's sales repeats them as they were, can be resumed, and notices what is not as sold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from tests.flows._shops import Shop, environment

ROOT: Final = Path(__file__).resolve().parents[2]
RETAIL_FILE: Final = Path(os.environ.get("EMPORIUM_RETAIL_FILE", ROOT.parent / "shared/data/online-retail/2010-12.csv.gz"))
SLICE: Final = 60
ADMIN: Final = {"EMPORIUM_ADMIN_EMAIL": "admin@example.com", "EMPORIUM_ADMIN_PASSWORD": "a phrase for the replay"}

# The second invoice stands first; 100001 sells A at two prices, one of them twice, and B for nothing.
SALES: Final = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
100002,A,LAMP,2,2010-12-01 09:00:00,2.5,2.0,Norway
100001,A,LAMP,1,2010-12-01 08:00:00,2.0,1.0,Norway
100001,B,,5,2010-12-01 08:00:00,0.0,1.0,Norway
100001,A,LAMP,3,2010-12-01 08:00:00,2.0,1.0,Norway
100001,A,LAMP,1,2010-12-01 08:00:00,1.5,1.0,Norway
C100003,A,LAMP,-1,2010-12-01 10:00:00,2.0,1.0,Norway
100004,B,BAG,1,2010-12-01 10:30:00,0.1,,Norway
100005,B, RED  BAG ,4,2010-12-01 11:00:00,0.1,1.0,Norway
"""


@pytest.fixture
def shop(database_environment: Mapping[str, str], tmp_path: Path) -> Iterator[Shop]:
    variables = {**database_environment, "EMPORIUM_DATA_DIR": str(tmp_path / "data"), **ADMIN}
    started = Shop.start("run", log=tmp_path / "shop.log", variables=variables)
    try:
        yield started.opened()
        started.end()
    finally:
        started.kill()


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    file = tmp_path / "sales.csv"
    file.write_text(SALES, encoding="utf-8")
    return file


def replay(shop: Shop | None, file: Path, *options: str) -> tuple[int, dict[str, str], str]:
    """The exit code, what was printed (the value by its name) and what was noted on the way."""
    url = [] if shop is None else ["--url", shop.url]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/replay_online_retail.py", file, *url, *options],
        env=environment(**ADMIN),
        capture_output=True,
        text=True,
        check=False,
    )
    columns = (re.split(" {2,}", line) for line in done.stdout.splitlines())
    return done.returncode, {name: f"{value} {verdict}" for name, value, verdict in columns}, done.stderr


@contextmanager
def as_admin(shop: Shop) -> Iterator[httpx.Client]:
    form = {"username": ADMIN["EMPORIUM_ADMIN_EMAIL"], "password": ADMIN["EMPORIUM_ADMIN_PASSWORD"]}
    with httpx.Client(base_url=shop.url) as client:
        token = client.post("/api/v1/auth/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def orders_of(shop: Shop) -> list[dict[str, Any]]:
    """The first hundred orders, oldest first."""
    with as_admin(shop) as client:
        found: list[dict[str, Any]] = client.get("/api/v1/orders", params={"limit": 100}).json()["items"]
    return found[::-1]


def test_sales_are_repeated_in_time_order_at_the_prices_of_their_time(shop: Shop, sales: Path) -> None:
    code, printed, notes = replay(shop, sales)

    assert code == 0, (printed, notes)
    orders = orders_of(shop)
    lines = [[(i["name"], i["quantity"], i["unit_price"]) for i in order["items"]] for order in orders]
    assert lines == [
        [("LAMP", 4, "2.00"), ("RED BAG", 5, "0.00")],
        [("LAMP", 1, "1.50")],
        [("LAMP", 2, "2.50")],
        [("RED BAG", 4, "0.10")],
    ]
    assert [order["total"] for order in orders] == ["8.00", "1.50", "5.00", "0.40"]
    first, second, third, fourth = (order["user_id"] for order in orders)
    assert first == second == fourth != third
    assert {name: verdict.split()[0] for name, verdict in printed.items() if name != "orders per second"} == {
        "products": "2",
        "customers": "2",
        "invoices": "3",
        "orders": "4",
        "lines": "6",
        "order lines": "5",
        "revenue": "14.90",
        "stock = initial - sold": "2",
    }


def test_a_run_can_be_resumed_and_another_one_fits_into_the_same_shop(shop: Shop, sales: Path) -> None:
    part = replay(shop, sales, "--run", "first", "--limit", "2")
    rest = replay(shop, sales, "--run", "first")
    assert len(orders_of(shop)) == 4
    another = replay(shop, sales)

    assert (part[0], rest[0], another[0]) == (0, 0, 0), (part, rest, another)
    assert part[1]["revenue"].startswith("14.50 ")
    assert rest[1]["revenue"].startswith("14.90 ")
    assert len(orders_of(shop)) == 8


def test_an_order_that_nobody_planned_makes_the_replay_fail(shop: Shop, sales: Path) -> None:
    assert replay(shop, sales, "--run", "once")[0] == 0
    with as_admin(shop) as client:
        order = client.get("/api/v1/orders").json()["items"][0]
        assert client.post(f"/api/v1/orders/{order['id']}/cancel").status_code == 200

    code, printed, _ = replay(shop, sales, "--run", "once")

    assert code == 1
    assert printed["stock = initial - sold"].startswith("1 DIFFERS: the file says 2")
    assert printed["revenue"] == "14.50 DIFFERS: the file says 14.90"


def test_a_file_that_cannot_be_replayed_is_refused_by_its_line(sales: Path) -> None:
    sales.write_text(SALES.replace(",0.1,1.0,", ",0.125,1.0,"), encoding="utf-8")

    code, printed, notes = replay(None, sales)

    assert (code, printed) == (2, {})
    assert notes.startswith(f"{sales}:9: the shop cannot ask the UnitPrice 0.125")


@pytest.mark.skipif(not RETAIL_FILE.exists(), reason=f"no {RETAIL_FILE.name} of Online Retail; EMPORIUM_RETAIL_FILE names one")
def test_a_slice_of_a_real_month_reads_back_as_sold(shop: Shop) -> None:
    code, printed, notes = replay(shop, RETAIL_FILE, "--limit", str(SLICE))

    assert code == 0, (printed, notes)
    assert printed["invoices"] == f"{SLICE} as in the file"
    orders = orders_of(shop)
    assert len(orders) == int(printed["orders"].split()[0])
    assert f"{sum(Decimal(order['total']) for order in orders):,}" == printed["revenue"].split()[0]
