"""Arranging products, and looking past the wall at what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import Engine, text

from catalog.interface import Product
from catalog.service import BadLine, DatabaseCatalogService, NewProduct
from kernel.database.call import run_call


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

    def stock(self, product: Product) -> int:
        return int(self.query("SELECT quantity FROM catalog.stock WHERE product_id = :id", id=product.id)[0][0])

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
        """Products whose movements do not sum to their stock."""
        return self.query(
            "SELECT product_id, s.quantity, COALESCE(sum(m.quantity), 0) FROM catalog.stock s"
            " LEFT JOIN catalog.stock_movements m USING (product_id) GROUP BY product_id, s.quantity"
            " HAVING s.quantity <> COALESCE(sum(m.quantity), 0)"
        )

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.superuser.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def execute(self, sql: str, **values: Any) -> None:
        with self.superuser.connect() as connection:
            connection.execute(text(sql), values)


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
