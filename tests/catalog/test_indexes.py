"""Behind each sort and filter of the public list stands an index, and a sale does not have to write them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, event
from tests.catalog.factories import Shelf

from catalog.service import ProductFilter
from kernel.database.engines import Engines

ROWS = 5000


@pytest.fixture
def full(shelf: Shelf) -> Shelf:
    """A shop of some thousand products, one in fifty of them out of stock, one in ten not published."""
    shelf.execute(
        f"""
        WITH product AS (
          INSERT INTO catalog.products (sku, name, description, price, currency, units_sold, status)
          SELECT 'SKU-' || n, 'Product ' || (n % 500), 'Word' || (n % 1000), n % 100, 'GBP', n % 300,
            CASE WHEN n % 10 = 0 THEN 'draft' ELSE 'published' END
          FROM generate_series(1, {ROWS}) n RETURNING id
        ), stock AS (
          INSERT INTO catalog.stock (product_id, quantity) SELECT id, CASE WHEN id % 50 = 0 THEN 0 ELSE 5 END FROM product
        )
        INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
        SELECT id, 'product:' || id, 'initial', 5 FROM product WHERE id % 50 <> 0
        """
    )
    # As autovacuum does; the pending list of the search index is part of it.
    shelf.execute("VACUUM ANALYZE catalog.products, catalog.stock")
    return shelf


@pytest.fixture
def statements(engines: Engines) -> Iterator[list[str]]:
    """What the application sends, parameters included."""
    sent: list[str] = []

    def note(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        sent.append(cursor.mogrify(statement, parameters).decode())

    for engine in (engines.reader, engines.writer):
        event.listen(engine, "before_cursor_execute", note)
    yield sent
    for engine in (engines.reader, engines.writer):
        event.remove(engine, "before_cursor_execute", note)


def plan_of(superuser: Engine, statement: str) -> str:
    with superuser.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN {statement}", execution_options={"no_parameters": True})
        return "\n".join(row[0] for row in rows)


LISTS: list[tuple[str, str, tuple[Any, ...] | None, dict[str, Any]]] = [
    ("ix_products_published_id", "newest", None, {}),
    ("ix_products_published_id", "newest", (2500,), {}),
    ("ix_products_published_name", "name", None, {}),
    ("ix_products_published_name", "name", ("Product 3", 2500), {}),
    ("ix_products_published_name", "-name", ("Product 3", 2500), {}),
    ("ix_products_published_price", "price", None, {}),
    ("ix_products_published_price", "price", (Decimal("50.00"), 2500), {}),
    ("ix_products_published_price", "-price", (Decimal("50.00"), 2500), {}),
    ("ix_products_published_units_sold", "best-selling", None, {}),
    ("ix_products_published_units_sold", "best-selling", (50, 2500), {}),
    ("ix_products_published_price", "price", None, {"min_price": Decimal(99)}),
    ("ix_products_published_price", "newest", None, {"min_price": Decimal(98), "max_price": Decimal(98)}),
    ("uq_products_sku", "newest", None, {"sku": "SKU-77"}),
    ("ix_products_search", "newest", None, {"q": "word77"}),
    ("ix_products_search", "price", None, {"q": "word77"}),
    ("ix_stock_sold_out", "newest", None, {"in_stock": False}),
    ("ix_products_published_id", "newest", None, {"in_stock": True}),
]


@pytest.mark.parametrize(("index", "sort", "after", "narrowed"), LISTS)
def test_an_index_stands_behind(
    full: Shelf, statements: list[str], superuser: Engine, index: str, sort: str, after: Any, narrowed: dict[str, Any]
) -> None:
    where = ProductFilter(status="published", **narrowed)
    full.catalog.list_products(where=where, sort=sort, after=after, limit=20)
    plan = plan_of(superuser, statements[-1])
    assert index in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(("index", "sort", "after", "narrowed"), [case for case in LISTS if not case[3]])
def test_a_page_is_read_off_the_index_without_sorting(
    full: Shelf, statements: list[str], superuser: Engine, index: str, sort: str, after: Any, narrowed: dict[str, Any]
) -> None:
    full.catalog.list_products(where=ProductFilter(status="published"), sort=sort, after=after, limit=20)
    assert "Sort" not in plan_of(superuser, statements[-1])


def test_few_products_in_stock_are_found_by_an_index(full: Shelf, statements: list[str], superuser: Engine) -> None:
    full.execute("TRUNCATE catalog.stock_movements")
    full.execute("UPDATE catalog.stock SET quantity = 0")
    full.catalog.list_products(where=ProductFilter(status="published", in_stock=True), sort="newest", after=None, limit=20)
    full.execute("VACUUM ANALYZE catalog.stock")
    assert "ix_stock_to_sell" in plan_of(superuser, statements[-1])


def test_a_page_of_products_is_one_statement(full: Shelf, statements: list[str]) -> None:
    statements.clear()
    full.catalog.list_products(where=ProductFilter(status="published"), sort="name", after=None, limit=100)
    assert len(statements) == 1


def test_a_page_of_movements_is_read_off_an_index(full: Shelf, statements: list[str], superuser: Engine) -> None:
    full.execute("ANALYZE catalog.stock_movements")
    full.catalog.list_movements(product_id=77, before_id=10**9, limit=20)
    assert "ix_stock_movements_product_id_id" in plan_of(superuser, statements[-1])


def test_a_sale_rewrites_no_index_of_the_stock(shelf: Shelf) -> None:
    """PostgreSQL keeps an update in place (HOT) only when no index reads a column that changed, not even in its condition."""
    lamp = shelf.product(stock=100)
    for n in range(20):
        shelf.reserve(f"order:{n}", (lamp, 1))
        shelf.catalog.confirm(reference=f"order:{n}")
    reads_counts = shelf.query(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
        " WHERE i.indrelid = 'catalog.stock'::regclass AND a.attname IN ('quantity', 'reserved', 'version')"
        " AND (a.attnum = ANY (i.indkey) OR pg_get_expr(i.indpred, i.indrelid) ~ a.attname)"
    )
    assert reads_counts == []
