"""The catalog's tables: products, their stock in a narrow table of its own, and the ledger of every change of stock."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from catalog.interface import MAX_STOCK
from kernel.database.types import COLUMN_TYPES, CreatedAt, Id, Price, declare, module_metadata, sorted_text

WORD_BREAKS: Final = "-./_@+&#~=<>:’‘“”–—…·•×\u00a0"
"""What parts words in a search, besides what PostgreSQL's parser splits at anyway.

Left to itself, that parser reads `LAMP-01` as a word and the number -01, `3.5` as one word, and, in the locale C, every
character beyond ASCII as a letter.
"""


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
    units_sold: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    # The configuration `simple` needs no dictionary and treats every language alike.
    search: Mapped[str] = mapped_column(
        TSVECTOR,
        Computed(
            "to_tsvector('simple', translate(sku || ' ' || name || ' ' || COALESCE(description, ''), "
            f"'{WORD_BREAKS}', '{' ' * len(WORD_BREAKS)}'))",
            persisted=True,
        ),
        deferred=True,
        deferred_raiseload=True,
    )

    __table_args__ = (
        UniqueConstraint("sku"),
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("status IN ('draft', 'published', 'archived')", name="status"),
        Index("ix_products_search", "search", postgresql_using="gin"),
        # One index behind each public sort; newest first is the primary key backwards.
        Index("ix_products_published_name", "name", "id", postgresql_where=text("status = 'published'")),
        Index("ix_products_published_price", "price", "id", postgresql_where=text("status = 'published'")),
        Index("ix_products_published_units_sold", "units_sold", "id", postgresql_where=text("status = 'published'")),
        Index("ix_products_published_id", "id", postgresql_where=text("status = 'published'")),
    )


class Stock(Base):
    """`quantity` is what is on hand; `reserved` of it is held for orders, the rest is available."""

    __tablename__ = "stock"

    product_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey(Product.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    quantity: Mapped[int] = mapped_column(Integer)
    reserved: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    # Set by the trigger below. An index on `quantity > reserved` itself would have to be written by every sale: no update of
    # the row could be HOT. A generated column could not be added without rewriting the table under those who sell.
    sold_out: Mapped[bool] = mapped_column(server_default=text("false"))
    # Of the code before reservations, which may still serve; to be dropped, with its indexes, in the release after.
    available: Mapped[bool] = mapped_column(Computed("quantity > 0", persisted=True))

    __table_args__ = (
        CheckConstraint(f"quantity BETWEEN 0 AND {MAX_STOCK}", name="quantity_in_range"),
        CheckConstraint("reserved BETWEEN 0 AND quantity", name="reserved_in_range"),
        Index("ix_stock_to_sell", "product_id", postgresql_where=text("NOT sold_out")),
        Index("ix_stock_sold_out", "product_id", postgresql_where=text("sold_out")),
        Index("ix_stock_available", "product_id", postgresql_where=text("available")),
        Index("ix_stock_exhausted", "product_id", postgresql_where=text("NOT available")),
    )


declare(
    Base.metadata,
    """
    CREATE FUNCTION catalog.note_sold_out() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
    BEGIN
      NEW.sold_out := NEW.quantity <= NEW.reserved;
      RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER sold_out BEFORE INSERT OR UPDATE OF quantity, reserved ON catalog.stock
    FOR EACH ROW EXECUTE FUNCTION catalog.note_sold_out()
    """,
)


class StockMovement(Base):
    """One change of what is on hand. The quantities of a product's movements sum to that."""

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


class Reservation(Base):
    """A reference that other modules move stock by. Whoever moves it for a reference locks this row before any stock.

    `held`, then `confirmed` or `released`. `returned`: goods that came back. `taken`: written by the code before
    reservations, which sold at once; it ends like one that is held, by movements of its own.
    """

    __tablename__ = "reservations"

    reference: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(server_default=text("'taken'"))
    held_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        CheckConstraint("status IN ('held', 'confirmed', 'released', 'returned', 'taken')", name="status"),
        CheckConstraint("status <> 'held' OR held_until IS NOT NULL", name="held_until_some_time"),
        Index("ix_reservations_held", "held_until", postgresql_where=text("status = 'held'")),
    )


class ReservationLine(Base):
    """What was reserved of one product. The lines that are held sum to what is `reserved` of its stock."""

    __tablename__ = "reservation_lines"

    reference: Mapped[str] = mapped_column(ForeignKey(Reservation.reference, ondelete="CASCADE"), primary_key=True)
    product_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(Product.id), primary_key=True, autoincrement=False)
    quantity: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_reservation_lines_product_id", "product_id"),
    )


class ImportLine(Base):
    """A line of a file that is being imported. Rows live as long as the transaction of their import.

    Not temporary, as modules may not make tables; unlogged, as nothing here has to survive a crash.
    """

    __tablename__ = "import_lines"

    import_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    sku: Mapped[str] = mapped_column(sorted_text(), primary_key=True)
    line: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str | None]
    description: Mapped[str | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    stock: Mapped[int | None] = mapped_column(Integer)
    status: Mapped[str | None]

    __table_args__ = ({"prefixes": ["UNLOGGED"]},)
