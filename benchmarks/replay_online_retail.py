"""Repeats a real retailer's sales over HTTP in a running shop, reads everything back, and compares it with the file.

Without --url a shop of its own is opened for it, on a database in a temporary directory, and closed afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kernel.database.embedded import EmbeddedPostgresError
from own_shop import OwnShopError, open_shop
from retail_sales import PlannedOrder, Sales, SalesFileError, read_sales
from shop_client import Account, ShopClient, ShopError

PRODUCTS: Final = "/api/v1/products"
ORDERS: Final = "/api/v1/orders"
LEFT_OVER: Final = 100
"""How many of each product are left when everything is sold."""

T = TypeVar("T")


@dataclass
class Replay:
    """One run. What it creates bears its name, so that many runs fit into one shop and a broken one can be resumed."""

    sales: Sales
    initial_stock: Mapping[str, int]
    url: str
    admin: Account
    name: str
    workers: int
    progress: Progress
    products: dict[str, int] = field(default_factory=dict)
    """StockCode -> the product's id."""
    prices: dict[str, Decimal] = field(default_factory=dict)
    """StockCode -> the price that the shop asks now."""
    customers: dict[str, Account] = field(default_factory=dict)
    placed: dict[int, PlannedOrder] = field(default_factory=dict)
    """The order's id -> what was to be placed."""
    price_changes: int = 0
    order_seconds: float = 0.0

    def run(self) -> None:
        with self._client() as client:
            self.admin.log_in(client)
        codes, customers = list(self.sales.names), self.sales.customers
        for code, product in zip(codes, self._in_parallel("Products", self._create_product, codes), strict=True):
            self.products[code], self.prices[code] = product["id"], Decimal(product["price"])
        self.customers = dict(zip(customers, self._in_parallel("Customers", self._register, customers), strict=True))
        started = time.monotonic()
        with self._client() as client:
            for order in self.progress.track(self.sales.orders, description="Orders"):
                self._place(client, order)
        self.order_seconds = time.monotonic() - started

    def read_orders(self) -> Mapping[int, Any]:
        """The orders that this run's customers have, but for cancelled ones; page by page, newest first."""
        ours = {account.id for account in self.customers.values()}
        oldest = min(self.placed)
        found: dict[int, Any] = {}
        with self._client() as client, self._bar("Reading orders", len(self.placed)) as advance:
            for page in self.admin.pages(client, ORDERS):
                mine = [order for order in page if order["user_id"] in ours and order["status"] != "cancelled"]
                found |= {order["id"]: order for order in mine}
                advance(len(mine))
                if page and page[-1]["id"] <= oldest:
                    break
        return found

    def read_stock(self) -> Mapping[str, int]:
        """StockCode -> what the shop has left."""
        codes = {product: code for code, product in self.products.items()}
        found: dict[str, int] = {}
        with self._client() as client, self._bar("Reading stock", len(codes)) as advance:
            for page in self.admin.pages(client, PRODUCTS):
                mine = {codes[product["id"]]: product["stock"] for product in page if product["id"] in codes}
                found |= mine
                advance(len(mine))
                if len(found) == len(codes):
                    break
        return found

    def _create_product(self, client: ShopClient, code: str) -> Any:
        """The product; the one of the same SKU when it is there already, because an answer was lost or we resume."""
        sku = f"{self.name}-{code}"
        content = {
            "sku": sku,
            "name": self.sales.names[code],
            "price": str(self.sales.first_prices[code]),
            "stock": self.initial_stock[code],
        }
        answer = self.admin.send(client, "POST", PRODUCTS, content=content, expect={201, 409})
        if answer.status == 201:
            return answer.body
        return next(product for page in self.admin.pages(client, PRODUCTS, sku=sku) for product in page)

    def _register(self, client: ShopClient, customer: str) -> Account:
        email = f"customer-{customer}.{self.name}@example.com".lower()
        # Known to whoever resumes the run as the same admin, and to nobody else.
        password = hmac.digest(self.admin.password.encode(), email.encode(), hashlib.sha256).hex()
        content = {"email": email, "password": password, "full_name": f"Customer {customer}"}
        client.send("POST", "/api/v1/users", content=content, expect={201, 409})
        account = Account(email, password)
        account.log_in(client)
        account.id = account.send(client, "GET", "/api/v1/users/me", expect={200}).body["id"]
        return account

    def _place(self, client: ShopClient, order: PlannedOrder) -> None:
        for code, price in order.prices.items():
            if self.prices[code] != price:
                path = f"{PRODUCTS}/{self.products[code]}"
                self.admin.send(client, "PATCH", path, content={"price": str(price)}, expect={200})
                self.prices[code] = price
                self.price_changes += 1
        answer = self.customers[order.customer].send(
            client,
            "POST",
            ORDERS,
            content={"items": [{"product_id": self.products[line.code], "quantity": line.quantity} for line in order.lines]},
            headers={"Idempotency-Key": f"{self.name}-{order.key}"},
            expect={201},
        )
        self.placed[answer.body["id"]] = order

    def _in_parallel(self, what: str, do: Callable[[ShopClient, str], T], names: Sequence[str]) -> list[T]:
        """What `do` makes of each name, in their order. Time order matters for orders only."""
        own = threading.local()
        clients: list[ShopClient] = []

        def with_client(name: str) -> T:
            if not hasattr(own, "client"):
                own.client = ShopClient(self.url)
                clients.append(own.client)
            return do(own.client, name)

        pool = ThreadPoolExecutor(self.workers)
        try:
            return list(self.progress.track(pool.map(with_client, names), total=len(names), description=what))
        finally:
            # After the first failure the rest is not worth a request.
            pool.shutdown(cancel_futures=True)
            for client in clients:
                client.close()

    @contextmanager
    def _client(self) -> Iterator[ShopClient]:
        client = ShopClient(self.url)
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def _bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        task = self.progress.add_task(what, total=total)
        yield lambda count: self.progress.advance(task, count)


@dataclass(frozen=True)
class Comparison:
    what: str
    file: int | Decimal
    shop: int | Decimal
    note: str = ""

    @property
    def same(self) -> bool:
        return self.file == self.shop


def compare(replay: Replay, orders: Mapping[int, Any], stock: Mapping[str, int]) -> list[Comparison]:
    """What the file says against what the shop answers."""
    sales, products = replay.sales, replay.products
    as_planned = [
        plan for number, plan in replay.placed.items() if number in orders and _matches(plan, orders[number], products)
    ]
    as_reckoned = [code for code in products if stock.get(code) == replay.initial_stock[code] - sales.sold[code]]
    merged = sum(len(plan.quantities) for plan in sales.orders)
    lines = sum(len(invoice.lines) for invoice in sales.invoices)
    order_lines = sum(len(order["items"]) for order in orders.values())
    revenue = sum((Decimal(order["total"]) for order in orders.values()), Decimal("0.00"))
    return [
        Comparison("products", len(sales.sold), len(stock)),
        Comparison("customers", len(sales.customers), len({order["user_id"] for order in orders.values()})),
        Comparison("invoices", len(sales.invoices), len({plan.invoice for plan in as_planned})),
        Comparison("orders", len(sales.orders), len(orders), "a product's second price in an invoice is a second order"),
        Comparison("lines", lines, sum(len(plan.lines) for plan in as_planned), "counted in orders that read back as sold"),
        Comparison("order lines", merged, order_lines, "lines of one product in an order are added up"),
        Comparison("revenue", sales.revenue, revenue),
        Comparison("stock = initial - sold", len(sales.sold), len(as_reckoned), "products"),
    ]


def _matches(plan: PlannedOrder, order: Mapping[str, Any], products: Mapping[str, int]) -> bool:
    expected = [(products[code], quantity, plan.prices[code]) for code, quantity in plan.quantities.items()]
    return expected == [(item["product_id"], item["quantity"], Decimal(item["unit_price"])) for item in order["items"]]


def report(replay: Replay, comparisons: Iterable[Comparison]) -> None:
    for row in comparisons:
        verdict = "as in the file" if row.same else f"DIFFERS: the file says {row.file:,}"
        print(f"{row.what:<23}{row.shop:>11,}  {verdict}{row.note and f' ({row.note})'}")
    seconds, orders = replay.order_seconds, len(replay.placed)
    print(
        f"{'orders per second':<23}{orders / seconds:>11,.1f}  {orders:,} orders and {replay.price_changes:,} price changes"
        f" in {seconds:.1f} s, one after the other"
    )


def main() -> int:
    options = _options()
    notes = Console(stderr=True, highlight=False)
    try:
        whole = read_sales(options.file)
        # Enough for the whole file, so that a run of a part can go on.
        initial_stock = {code: sold + LEFT_OVER for code, sold in whole.sold.items()}
        sales = whole if options.limit is None else whole.first(options.limit)
        with ExitStack() as stack:
            url, admin = options.url, Account(options.admin_email, options.admin_password or "")
            if url is None:
                notes.print("Opening a shop for this run ...")
                shop = stack.enter_context(open_shop())
                url, admin = shop.url, Account(shop.admin_email, shop.admin_password)
            notes.print(f"Run {options.run} in {url}")
            progress = stack.enter_context(_progress(notes))
            replay = Replay(sales, initial_stock, url.rstrip("/"), admin, options.run, options.workers, progress)
            replay.run()
            comparisons = compare(replay, replay.read_orders(), replay.read_stock())
    except (SalesFileError, ShopError, OwnShopError, EmbeddedPostgresError, OSError) as error:
        notes.print(str(error), markup=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        resume = f" Go on with: --run {options.run}" if options.url else ""
        notes.print(f"Interrupted.{resume}")
        return 130
    report(replay, comparisons)
    return 0 if all(row.same for row in comparisons) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE", help="sales as .csv or .csv.gz")
    parser.add_argument("--url", help="a running shop, for example http://127.0.0.1:8000 (default: one of its own)")
    parser.add_argument("--admin-email", default=os.environ.get("EMPORIUM_ADMIN_EMAIL"), help="EMPORIUM_ADMIN_EMAIL")
    parser.add_argument("--admin-password", default=os.environ.get("EMPORIUM_ADMIN_PASSWORD"), help="EMPORIUM_ADMIN_PASSWORD")
    parser.add_argument("--limit", type=_count, metavar="N", help="the first N invoices only")
    parser.add_argument("--workers", type=_count, default=4, metavar="N", help="clients that create and register (default: 4)")
    parser.add_argument("--run", default=_new_name(), help="name of an earlier run, to go on where it was interrupted")
    options = parser.parse_args()
    if options.url and not (options.admin_email and options.admin_password):
        parser.error("--url needs the shop's admin: --admin-email and --admin-password, or EMPORIUM_ADMIN_EMAIL and _PASSWORD.")
    return options


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def _new_name() -> str:
    return f"{datetime.now(UTC):%y%m%d%H%M%S}{secrets.token_hex(1)}"


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<15}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


if __name__ == "__main__":
    sys.exit(main())
