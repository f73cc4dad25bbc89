"""SQL of products: create, read, list, change, delete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, Text, bindparam, func, select, text, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from catalog.models import WORD_BREAKS, Product, Stock
from kernel.database.types import AnyRow

ProductRow = AnyRow
"""id, sku, name, description, price, currency, status, version, units_sold, created_at, updated_at, stock (what can be sold),
on_hand, reserved, stock_version."""

_COLUMNS: Final = (
    Product.id,
    Product.sku,
    Product.name,
    Product.description,
    Product.price,
    Product.currency,
    Product.status,
    Product.version,
    Product.units_sold,
    Product.created_at,
    Product.updated_at,
    (Stock.quantity - Stock.reserved).label("stock"),
    Stock.quantity.label("on_hand"),
    Stock.reserved,
    Stock.version.label("stock_version"),
)
_FROM_PRODUCTS: Final = select(*_COLUMNS).join_from(Product, Stock, Stock.product_id == Product.id)

_SORTED: Final = {"name": Product.name, "price": Product.price, "best-selling": Product.units_sold}

# The same breaks as in the column `search`; the rest is left to the server's parser, which reads both alike.
_BREAKS: Final = str.maketrans(dict.fromkeys(WORD_BREAKS, " "))
_WORDS: Final = re.compile(r"[^\s!-/:-@\[-`{-~]+")

_READ: Final = _FROM_PRODUCTS.where(Product.id == bindparam("product_id"))

# A sale that runs at the same time is not held up: its foreign key asks for less.
_LOCK: Final = _READ.with_for_update(of=Product, key_share=True)

_CREATE: Final = text(
    """
    WITH product AS (
      INSERT INTO catalog.products (sku, name, description, price, currency, status)
      VALUES (:sku, :name, :description, :price, :currency, :status)
      RETURNING id, sku, name, description, price, currency, status, version, units_sold, created_at, updated_at
    ), stock AS (
      INSERT INTO catalog.stock (product_id, quantity) SELECT id, :stock FROM product
      RETURNING quantity, reserved, version
    ), movement AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT id, 'product:' || id, 'initial', :stock FROM product WHERE :stock <> 0
    )
    SELECT product.*, stock.quantity AS stock, stock.quantity AS on_hand, stock.reserved, stock.version AS stock_version
    FROM product, stock
    """
)

_DELETE_UNSOLD: Final = text(
    """
    DELETE FROM catalog.products p WHERE p.id = :product_id
      AND NOT EXISTS (SELECT FROM catalog.reservation_lines l WHERE l.product_id = p.id)
      AND NOT EXISTS (SELECT FROM catalog.stock_movements m WHERE m.product_id = p.id AND m.reason = 'sale')
    RETURNING p.sku, p.status
    """
)

_ARCHIVE: Final = text(
    """
    UPDATE catalog.products SET status = 'archived', version = version + 1, updated_at = now()
    WHERE id = :product_id AND status <> 'archived' RETURNING sku
    """
)

# By id, so that two deliveries never wait for each other; an edit of the product waits, a sale does not.
_COUNT_UNITS_SOLD: Final = text(
    """
    WITH sold AS (
      SELECT product_id, quantity
      FROM unnest(CAST(:product_ids AS bigint[]), CAST(:quantities AS bigint[])) AS line (product_id, quantity)
    ), locked AS MATERIALIZED (
      SELECT p.id, sold.quantity FROM sold JOIN catalog.products p ON p.id = sold.product_id
      ORDER BY p.id FOR NO KEY UPDATE OF p
    )
    UPDATE catalog.products p SET units_sold = p.units_sold + l.quantity FROM locked l WHERE p.id = l.id
    """
)

# Read in the order of ids until there are enough: no index may say how many are left, or each sale would have to write it.
_LIST_LOW_STOCK: Final = (
    _FROM_PRODUCTS.where(
        Stock.product_id < bindparam("before_id"),
        Stock.quantity - Stock.reserved <= bindparam("threshold"),
        Product.status == text("'published'"),
    )
    .order_by(Stock.product_id.desc())
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, kw_only=True)
class ProductFilter:
    """What a list of products is narrowed to; None does not narrow. `q` is words, matched as prefixes."""

    status: str | None
    q: str | None = None
    sku: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    in_stock: bool | None = None


def read_product(connection: Connection | Session, product_id: int) -> ProductRow | None:
    return connection.execute(_READ, {"product_id": product_id}).one_or_none()


def lock_product(session: Session, product_id: int) -> ProductRow | None:
    """Read a product that nobody else changes until the transaction ends."""
    return session.execute(_LOCK, {"product_id": product_id}).one_or_none()


def list_products(
    connection: Connection, *, where: ProductFilter, sort: str, after: tuple[Any, ...] | None, limit: int
) -> list[ProductRow]:
    """Up to `limit` products in the order of `sort`, after a keyset.

    `sort` is one of `name`, `-name`, `price`, `-price`, `best-selling` and `newest`.
    """
    values: dict[str, Any] = {"limit": limit}
    for name in ("status", "sku", "min_price", "max_price"):
        if (value := getattr(where, name)) is not None:
            values[name] = value
    if where.q is not None:
        # Without any word the query is empty, which matches nothing.
        values["terms"] = " & ".join(f"'{word}':*" for word in _WORDS.findall(where.q.translate(_BREAKS)))
    if after is not None:
        values["after_id"] = after[-1]
        if sort != "newest":
            values["after_value"] = after[0]
    statement = _list_statement(sort, frozenset(values), where.in_stock)
    return list(connection.execute(statement, values))


@cache
def _list_statement(sort: str, names: frozenset[str], in_stock: bool | None) -> Select[*tuple[Any, ...]]:
    """One statement per combination of filters, built once; the values are bound at each use."""
    statement: Select[*tuple[Any, ...]] = _FROM_PRODUCTS.limit(bindparam("limit"))
    conditions = {
        "status": Product.status == bindparam("status"),
        "sku": Product.sku == bindparam("sku"),
        "min_price": Product.price >= bindparam("min_price"),
        "max_price": Product.price <= bindparam("max_price"),
        "terms": Product.search.bool_op("@@")(func.to_tsquery(text("'simple'"), bindparam("terms", type_=Text))),
    }
    for name, condition in conditions.items():
        if name in names:
            statement = statement.where(condition)
    if in_stock is not None:
        statement = statement.where(~Stock.sold_out if in_stock else Stock.sold_out)
    if sort == "newest":
        statement = statement.order_by(Product.id.desc())
        return statement.where(Product.id < bindparam("after_id")) if "after_id" in names else statement
    column: InstrumentedAttribute[Any] = _SORTED[sort.removeprefix("-")]
    here = tuple_(column, Product.id)
    there = tuple_(bindparam("after_value", type_=column.type), bindparam("after_id"))
    if sort.startswith("-") or sort == "best-selling":
        statement = statement.order_by(column.desc(), Product.id.desc())
        return statement.where(here < there) if "after_id" in names else statement
    statement = statement.order_by(column, Product.id)
    return statement.where(here > there) if "after_id" in names else statement


def create_product(session: Session, values: Mapping[str, Any]) -> ProductRow:
    """Insert a product with its stock and its first movement. `values`: sku, name, description, price, currency, status,
    stock."""
    return session.execute(_CREATE, dict(values)).one()


def change_product(session: Session, product_id: int, changes: Mapping[str, Any]) -> ProductRow:
    """Set columns of a locked product and raise its version."""
    statement = (
        update(Product)
        .where(Product.id == product_id, Stock.product_id == Product.id)
        .values(**changes, version=Product.version + 1, updated_at=func.now())
        .returning(*_COLUMNS)
        .execution_options(synchronize_session=False)
    )
    return session.execute(statement).one()


def delete_unsold_product(session: Session, product_id: int) -> AnyRow | None:
    """Delete the product with its ledger and answer its sku and status; None when it was ever reserved or sold.

    The caller holds the stock's lock: a sale that runs at the same time is either seen here or finds no stock.
    """
    return session.execute(_DELETE_UNSOLD, {"product_id": product_id}).one_or_none()


def archive_product(session: Session, product_id: int) -> str | None:
    """Archive the product and answer its SKU; None when it was archived before."""
    sku: str | None = session.execute(_ARCHIVE, {"product_id": product_id}).scalar_one_or_none()
    return sku


def count_units_sold(session: Session, quantities: Mapping[int, int]) -> None:
    session.execute(_COUNT_UNITS_SOLD, {"product_ids": list(quantities), "quantities": list(quantities.values())})


def list_low_stock(connection: Connection, *, threshold: int, before_id: int, limit: int) -> list[ProductRow]:
    """The newest published products below `before_id` of which `threshold` or fewer can be sold."""
    return list(connection.execute(_LIST_LOW_STOCK, {"threshold": threshold, "before_id": before_id, "limit": limit}))
