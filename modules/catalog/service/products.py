"""Use cases of products: read, list, create, change, delete."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from catalog.crud import products as crud
from catalog.crud import stock as stock_crud
from catalog.crud.products import ProductFilter, ProductRow
from catalog.interface import Product, ProductArchived, ProductNotFound, ProductStatus, StockLine
from kernel.database.call import RetryCall
from kernel.database.errors import constraint
from kernel.database.unit_of_work import Database
from kernel.pure.errors import Conflict, PreconditionFailed
from kernel.pure.events import Events
from kernel.pure.values import Versioned

_SKU_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is read as a digit."""


class SkuTaken(Conflict):
    """Another product, perhaps an archived one, has this SKU."""

    code = "sku-taken"
    title = "The SKU is taken"


@dataclass(frozen=True, kw_only=True)
class NewProduct:
    """What a product is created from. `sku` None: one is generated."""

    name: str
    price: Decimal
    sku: str | None = None
    description: str | None = None
    stock: int = 0
    status: ProductStatus = ProductStatus.PUBLISHED


ProductChanges = Mapping[str, Any]
"""Columns to set: any of sku, name, description, price, status."""


class ProductUseCases:
    def __init__(self, *, database: Database, events: Events, currency: str, low_stock: int) -> None:
        self._database = database
        self._events = events
        self._currency = currency
        self._low_stock = low_stock

    def read_product(self, *, product_id: int, published_only: bool) -> Versioned[Product]:
        """The product as the public sees it, or, not `published_only`, with its stock in detail. Errors: ProductNotFound."""
        with self._database.read() as connection:
            row = crud.read_product(connection, product_id)
        if row is None or (published_only and row.status != ProductStatus.PUBLISHED):
            raise product_not_found(product_id)
        return as_versioned(row, detailed=not published_only)

    def list_products(
        self, *, where: ProductFilter, sort: str, after: tuple[Any, ...] | None, limit: int, detailed: bool = False
    ) -> Sequence[Product]:
        """Up to `limit` products after a keyset of sort value and id; with `detailed` each with its stock in detail.

        `sort` is `name`, `price` (either with `-` in front: descending), `best-selling` or `newest`.
        """
        with self._database.read() as connection:
            rows = crud.list_products(connection, where=where, sort=sort, after=after, limit=limit)
        return [as_product(row, detailed=detailed) for row in rows]

    def list_low_stock(self, *, before_id: int, limit: int) -> Sequence[Product]:
        """The newest published products below `before_id` that StockRanLow would be said of, or was."""
        with self._database.read() as connection:
            rows = crud.list_low_stock(connection, threshold=self._low_stock, before_id=before_id, limit=limit)
        return [as_product(row, detailed=True) for row in rows]

    def count_units_sold(self, *, lines: Sequence[StockLine]) -> None:
        """Add to each product's `units_sold`; a product that is gone is passed over. Not idempotent: once per sale."""
        quantities: dict[int, int] = {}
        for line in lines:
            quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
        with self._database.transaction() as session:
            crud.count_units_sold(session, quantities)

    def create_product(self, *, new: NewProduct) -> Versioned[Product]:
        """Create the product with its stock as its first movement. Errors: SkuTaken."""
        values = {
            "sku": new.sku or _generate_sku(),
            "name": new.name,
            "description": new.description,
            "price": new.price,
            "currency": self._currency,
            "status": new.status.value,
            "stock": new.stock,
        }
        try:
            with self._database.transaction() as session:
                return as_versioned(crud.create_product(session, values))
        except IntegrityError as error:
            if new.sku is None and constraint(error) == "uq_products_sku":
                # Nobody asked for this one: the next run makes up another.
                raise RetryCall from error
            raise _translated(error, new.sku) from error

    def change_product(
        self, *, product_id: int, versions: frozenset[int] | None, changes: ProductChanges
    ) -> Versioned[Product]:
        """Set what `changes` names; what is so already is no change. With `versions`, only when the current one is among them.

        Errors: ProductNotFound, PreconditionFailed, SkuTaken. Publishes ProductArchived when the status becomes so.
        """
        try:
            with self._database.transaction() as session:
                before = crud.lock_product(session, product_id)
                if before is None:
                    raise product_not_found(product_id)
                if versions is not None and before.version not in versions:
                    raise PreconditionFailed(f"Product {product_id} has changed in the meantime.")
                real = {name: value for name, value in changes.items() if getattr(before, name) != value}
                if not real:
                    return as_versioned(before)
                row = crud.change_product(session, product_id, real)
                if real.get("status") == ProductStatus.ARCHIVED:
                    self._events.publish(ProductArchived(product_id=product_id, sku=row.sku))
                return as_versioned(row)
        except IntegrityError as error:
            raise _translated(error, changes.get("sku")) from error

    def delete_product(self, *, product_id: int) -> None:
        """Delete a product that was never reserved or sold; archive one that was. Errors: ProductNotFound.

        Publishes ProductArchived either way, once.
        """
        with self._database.transaction() as session:
            if stock_crud.lock_stock(session, product_id) is None:
                raise product_not_found(product_id)
            gone = crud.delete_unsold_product(session, product_id)
            if gone is None:
                archived = crud.archive_product(session, product_id)
            else:
                archived = gone.sku if gone.status != ProductStatus.ARCHIVED else None
            if archived is not None:
                self._events.publish(ProductArchived(product_id=product_id, sku=archived))


def product_not_found(product_id: int) -> ProductNotFound:
    return ProductNotFound(f"There is no product {product_id}.", product_id=product_id)


def as_product(row: ProductRow, *, detailed: bool) -> Product:
    return Product(
        id=row.id,
        sku=row.sku,
        name=row.name,
        description=row.description,
        price=row.price,
        currency=row.currency,
        stock=row.stock,
        units_sold=row.units_sold,
        status=ProductStatus(row.status),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        on_hand=row.on_hand if detailed else None,
        reserved=row.reserved if detailed else None,
    )


def as_versioned(row: ProductRow, *, detailed: bool = True) -> Versioned[Product]:
    # Neither ever falls, so their sum is another one whenever either has risen.
    etag = f"{row.version}.{row.stock_version + row.units_sold}"
    # The same version has more to say in detail, so it is another copy.
    return Versioned(as_product(row, detailed=detailed), f"{etag}.stocked" if detailed else etag)


def _generate_sku() -> str:
    return "P-" + "".join(secrets.choice(_SKU_ALPHABET) for _ in range(8))


def _translated(error: IntegrityError, sku: object) -> Exception:
    if constraint(error) == "uq_products_sku":
        return SkuTaken(f"The SKU {sku!r} is taken.", sku=sku)
    return error
