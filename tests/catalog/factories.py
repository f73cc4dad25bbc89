"""Arranging products, and looking past the wall at what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import Engine, text

from catalog.interface import Product, SoldLine, StockLine
from catalog.service import BadLine, DatabaseCatalogService, NewProduct
from kernel.database.call import run_call

LOW_STOCK = 5


@dataclass
class Shelf:
    catalog: DatabaseCatalogService
    superuser: Engine
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def product(self, *, price: str = "19.99", stock: int = 10, **values: Any) -> Product:
        number = next(self._numbers)
        new = NewProduct(
            **{"sku": f"SKU-{number}", "name": f"Product {number}", "price": Decimal(price), "stock": stock, **values}
        )
        return self.catalog.create_product(new=new).value

    def read(self, product: Product) -> Product:
        return self.catalog.read_product(product_id=product.id, published_only=False).value

    def reserve(self, reference: str, *lines: tuple[Product, int], until: datetime | None = None) -> Sequence[SoldLine]:
        wanted = [StockLine(product_id=product.id, quantity=quantity) for product, quantity in lines]
        return self.catalog.reserve(reference=reference, lines=wanted, until=until or in_a_quarter())

    def stock(self, product: Product) -> int:
        """What can be sold."""
        on_hand, reserved = self.counts(product)
        return on_hand - reserved

    def counts(self, product: Product) -> tuple[int, int]:
        """What is on hand, and what of it is reserved."""
        [(on_hand, reserved)] = self.query("SELECT quantity, reserved FROM catalog.stock WHERE product_id = :id", id=product.id)
        return on_hand, reserved

    def status(self, reference: str) -> str:
        return str(self.query("SELECT status FROM catalog.reservations WHERE reference = :r", r=reference)[0][0])

    def by_sku(self, sku: str) -> Product:
        [(product_id,)] = self.query("SELECT id FROM catalog.products WHERE sku = :sku", sku=sku)
        return self.catalog.read_product(product_id=product_id, published_only=False).value

    def skus(self) -> list[str]:
        return [sku for (sku,) in self.query("SELECT sku FROM catalog.products ORDER BY id")]

    def movements(self, product: Product) -> list[tuple[str, int]]:
        """(reason, quantity) of each movement, oldest first."""
        rows = self.query(
            "SELECT reason, quantity FROM catalog.stock_movements WHERE product_id = :id ORDER BY id", id=product.id
        )
        return [(reason, quantity) for reason, quantity in rows]

    def events(self) -> list[str]:
        """`name aggregate` of every event, in order."""
        return [
            f"{name} {aggregate}" for name, aggregate in self.query("SELECT name, aggregate FROM kernel.outbox ORDER BY id")
        ]

    def unbalanced(self) -> list[tuple[Any, ...]]:
        """Products whose movements do not sum to what is on hand."""
        return self.query(
            "SELECT product_id, s.quantity, COALESCE(sum(m.quantity), 0) FROM catalog.stock s"
            " LEFT JOIN catalog.stock_movements m USING (product_id) GROUP BY product_id, s.quantity"
            " HAVING s.quantity <> COALESCE(sum(m.quantity), 0)"
        )

    def held_wrong(self) -> list[tuple[Any, ...]]:
        """Products of which something else is reserved than their held lines sum to, or whose flag is wrong."""
        return self.query(
            "SELECT s.product_id, s.quantity, s.reserved, s.sold_out, COALESCE(h.quantity, 0) FROM catalog.stock s"
            " LEFT JOIN (SELECT product_id, sum(quantity) AS quantity FROM catalog.reservation_lines"
            "   JOIN catalog.reservations USING (reference) WHERE status = 'held' GROUP BY product_id) h USING (product_id)"
            " WHERE s.reserved <> COALESCE(h.quantity, 0) OR s.sold_out <> (s.quantity <= s.reserved)"
        )

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.superuser.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def execute(self, sql: str, **values: Any) -> None:
        with self.superuser.connect() as connection:
            connection.execute(text(sql), values)


def in_a_quarter() -> datetime:
    """When a reservation ends that lasts as long as an order's."""
    return datetime.now(UTC) + timedelta(minutes=15)


def hold(catalog: DatabaseCatalogService, reference: str, product: dict[str, Any], quantity: int) -> None:
    """What an order does to a product that the API has shown."""
    lines = [StockLine(product_id=product["id"], quantity=quantity)]
    catalog.reserve(reference=reference, lines=lines, until=in_a_quarter())


def ignore(_: BadLine) -> None:
    """For imports whose bad lines do not matter."""


def at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Run each call in a thread of its own, all starting together, as the kernel runs requests; results or errors."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        start.wait(10)
        try:
            return run_call(call)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
