"""Accounts, roles and token families."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "b47e19c05d83"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("users",)
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "CASE WHEN closed_at IS NULL THEN email IS NOT NULL AND password_hash IS NOT NULL"
            " ELSE email IS NULL AND password_hash IS NULL AND full_name IS NULL END",
            name=op.f("ck_accounts_closed_is_erased"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        schema="users",
    )
    op.create_index(
        "ix_accounts_disabled",
        "accounts",
        ["id"],
        unique=False,
        schema="users",
        postgresql_where=sa.text("disabled_at IS NOT NULL"),
    )
    op.create_index(
        "uq_accounts_email",
        "accounts",
        [sa.literal_column("lower(email)")],
        unique=True,
        schema="users",
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "role_grants",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(collation="C"), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.accounts.id"], name=op.f("fk_role_grants_user_id_accounts")),
        sa.PrimaryKeyConstraint("user_id", "role", name=op.f("pk_role_grants")),
        schema="users",
    )
    op.create_index("ix_role_grants_role_user_id", "role_grants", ["role", "user_id"], unique=False, schema="users")
    op.create_table(
        "token_families",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.accounts.id"], name=op.f("fk_token_families_user_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_families")),
        schema="users",
    )
    op.create_index("ix_token_families_user_id", "token_families", ["user_id"], unique=False, schema="users")


def downgrade() -> None:
    op.drop_table("token_families", schema="users")
    op.drop_table("role_grants", schema="users")
    op.drop_table("accounts", schema="users")
