"""The catalog's tables: products, their stock in a narrow table of its own, and the ledger of every change of stock."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Index, Integer, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kernel.database.types import COLUMN_TYPES, CreatedAt, Id, Price, module_metadata, sorted_text

MAX_STOCK = 1_000_000_000


class Base(DeclarativeBase):
    metadata = module_metadata("catalog")
    type_annotation_map = COLUMN_TYPES


class Product(Base):
    __tablename__ = "products"

    id: Mapped[Id]
    sku: Mapped[str] = mapped_column(sorted_text())
    name: Mapped[str] = mapped_column(sorted_text())
    description: Mapped[str | None]
    price: Mapped[Price]
    currency: Mapped[str]
    status: Mapped[str]
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    # The configuration `simple` needs no dictionary and treats every language alike.
    search: Mapped[str] = mapped_column(
        TSVECTOR,
        Computed(
            "to_tsvector('simple', sku || ' ' || name || ' ' || COALESCE(description, ''))",
            persisted=True,
        ),
        deferred=True,
    )

    __table_args__ = (
        UniqueConstraint("sku"),
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("status IN ('draft', 'published', 'archived')", name="status"),
        Index("ix_products_search", "search", postgresql_using="gin"),
        # One index behind each public sort; newest first is the primary key backwards.
        Index("ix_products_published_name", "name", "id", postgresql_where=text("status = 'published'")),
        Index("ix_products_published_price", "price", "id", postgresql_where=text("status = 'published'")),
        Index("ix_products_published_id", "id", postgresql_where=text("status = 'published'")),
    )


class Stock(Base):
    __tablename__ = "stock"

    product_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey(Product.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    quantity: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))

    __table_args__ = (
        CheckConstraint(f"quantity BETWEEN 0 AND {MAX_STOCK}", name="quantity_in_range"),
        Index("ix_stock_available", "product_id", postgresql_where=text("quantity > 0")),
    )


class StockMovement(Base):
    """One change of stock. The quantities of a product's movements sum to its balance in `stock`."""

    __tablename__ = "stock_movements"

    id: Mapped[Id]
    product_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(Product.id, ondelete="CASCADE"))
    reference: Mapped[str]
    reason: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        UniqueConstraint("reference", "reason", "product_id"),
        CheckConstraint("quantity <> 0", name="quantity_not_zero"),
        Index("ix_stock_movements_product_id_id", "product_id", "id"),
    )
