"""Products, stock and the ledger of stock movements."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "8d04b7e61f29"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("catalog",)
depends_on: str | Sequence[str] | None = None

WORD_BREAKS = "-./_@+&#~=<>:’‘“”–—…·•×\u00a0"


def upgrade() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sku", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("price", sa.Numeric(precision=10, scale=2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed(
                "to_tsvector('simple', translate(sku || ' ' || name || ' ' || COALESCE(description, ''), "
                f"'{WORD_BREAKS}', '{' ' * len(WORD_BREAKS)}'))",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("status IN ('draft', 'published', 'archived')", name=op.f("ck_products_status")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_products_price_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("sku", name=op.f("uq_products_sku")),
        schema="catalog",
    )
    op.create_index(
        "ix_products_published_id",
        "products",
        ["id"],
        unique=False,
        schema="catalog",
        postgresql_where=sa.text("status = 'published'"),
    )
    op.create_index(
        "ix_products_published_name",
        "products",
        ["name", "id"],
        unique=False,
        schema="catalog",
        postgresql_where=sa.text("status = 'published'"),
    )
    op.create_index(
        "ix_products_published_price",
        "products",
        ["price", "id"],
        unique=False,
        schema="catalog",
        postgresql_where=sa.text("status = 'published'"),
    )
    op.create_index("ix_products_search", "products", ["search"], unique=False, schema="catalog", postgresql_using="gin")
    op.create_table(
        "stock",
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("available", sa.Boolean(), sa.Computed("quantity > 0", persisted=True), nullable=False),
        sa.CheckConstraint("quantity BETWEEN 0 AND 1000000000", name=op.f("ck_stock_quantity_in_range")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["catalog.products.id"], name=op.f("fk_stock_product_id_products"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_stock")),
        schema="catalog",
    )
    op.create_index(
        "ix_stock_available", "stock", ["product_id"], unique=False, schema="catalog", postgresql_where=sa.text("available")
    )
    op.create_index(
        "ix_stock_exhausted", "stock", ["product_id"], unique=False, schema="catalog", postgresql_where=sa.text("NOT available")
    )
    op.create_table(
        "stock_movements",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("quantity <> 0", name=op.f("ck_stock_movements_quantity_not_zero")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["catalog.products.id"], name=op.f("fk_stock_movements_product_id_products"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movements")),
        sa.UniqueConstraint("reference", "reason", "product_id", name=op.f("uq_stock_movements_reference_reason_product_id")),
        schema="catalog",
    )
    op.create_index("ix_stock_movements_product_id_id", "stock_movements", ["product_id", "id"], unique=False, schema="catalog")
    op.create_table(
        "reservations",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_reservations")),
        schema="catalog",
    )


def downgrade() -> None:
    op.drop_table("reservations", schema="catalog")
    op.drop_table("stock_movements", schema="catalog")
    op.drop_table("stock", schema="catalog")
    op.drop_table("products", schema="catalog")
