"""The tables of users: accounts, the roles granted to them, and the families of refresh tokens."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Uuid, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kernel.database.types import COLUMN_TYPES, CreatedAt, Id, module_metadata, sorted_text


class Base(DeclarativeBase):
    metadata = module_metadata("users")
    type_annotation_map = COLUMN_TYPES


class Account(Base):
    """A person. A closed account keeps its id, because orders name it, and nothing else."""

    __tablename__ = "accounts"

    id: Mapped[Id]
    email: Mapped[str | None]
    password_hash: Mapped[str | None]
    full_name: Mapped[str | None]
    # What access tokens are issued with: the same number as in kernel.principals, which this module cannot read.
    epoch: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    disabled_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        CheckConstraint(
            "CASE WHEN closed_at IS NULL THEN email IS NOT NULL AND password_hash IS NOT NULL"
            " ELSE email IS NULL AND password_hash IS NULL AND full_name IS NULL END",
            name="closed_is_erased",
        ),
        Index("ix_accounts_disabled", "id", postgresql_where=text("disabled_at IS NOT NULL")),
    )


# Deletion frees the address.
Index("uq_accounts_email", func.lower(Account.email), unique=True, postgresql_where=text("closed_at IS NULL"))


class RoleGrant(Base):
    __tablename__ = "role_grants"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(Account.id), primary_key=True, autoincrement=False)
    role: Mapped[str] = mapped_column(sorted_text(), primary_key=True)
    granted_at: Mapped[CreatedAt]

    __table_args__ = (Index("ix_role_grants_role_user_id", "role", "user_id"),)


class TokenFamily(Base):
    """One log-in and all refresh tokens that follow from it; only the newest generation counts.

    No token is stored, not even hashed: a token is the family's id and a generation, sealed with the server's secret. To
    end a log-in is to delete its row.
    """

    __tablename__ = "token_families"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(Account.id))
    generation: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    issued_at: Mapped[datetime]
    rotated_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]

    __table_args__ = (Index("ix_token_families_user_id", "user_id"),)
