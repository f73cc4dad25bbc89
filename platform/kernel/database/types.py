"""Column types and the naming convention that every module's models share."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from sqlalchemy import BigInteger, Column, Connection, DateTime, Identity, MetaData, Numeric, Row, Text, event, func
from sqlalchemy.orm import mapped_column

NAMING: Final = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}

AnyRow = Row[*tuple[Any, ...]]
"""A row whose columns the statement's own documentation names."""

COLUMN_TYPES: Final[dict[Any, Any]] = {
    int: BigInteger(),
    str: Text(),
    Decimal: Numeric(18, 2),
    datetime: DateTime(timezone=True),
}
"""The `type_annotation_map` of every module's `Base`: what a bare `Mapped[int]` means here."""

# BIGINT GENERATED ALWAYS AS IDENTITY: a SERIAL would need rights on its sequence, which the runtime role lacks.
Id = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
Price = Annotated[Decimal, mapped_column(Numeric(10, 2))]
Total = Annotated[Decimal, mapped_column(Numeric(18, 2))]
Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]


def module_metadata(name: str) -> MetaData:
    """The MetaData of one module: everything in the schema of its name, constraints named by one convention.

    A module's `models.py` starts with it:

        class Base(DeclarativeBase):
            metadata = module_metadata("catalog")
            type_annotation_map = COLUMN_TYPES
    """
    return MetaData(schema=name, naming_convention=NAMING)


def declare(metadata: MetaData, *statements: str) -> None:
    """What the module's revisions make beside its tables: functions, triggers.

    Alembic neither sees nor writes them. Said here as well, they are a part of the models, and `emporium db check` tells
    when the revisions make something else.
    """

    def make(_: MetaData, connection: Connection, **__: Any) -> None:
        for statement in statements:
            # Without parameters, so that a `%` means itself.
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    event.listen(metadata, "after_create", make)


def identity_column() -> Column[int]:
    """The primary key of a table that is written as a Core `Table`; models use `Id`."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def sorted_text() -> Text:
    """Text that lists are sorted by: `COLLATE "C"` orders the same on every server and serves prefix searches."""
    return Text(collation="C")
