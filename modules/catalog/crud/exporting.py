"""SQL of exports: the products as a CSV file, written by the server."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from catalog.interface import ProductStatus
from kernel.database.copy import Sink, copy_query

_QUERY: Final = """
    SELECT p.sku, p.name, p.description, p.price, s.quantity AS stock, p.status
    FROM catalog.products p JOIN catalog.stock s ON s.product_id = p.id {where} ORDER BY p.id
    """


def write_products(session: Session, sink: Sink, *, status: ProductStatus | None) -> None:
    """All products, or those of one status, in the order in which they came."""
    # COPY takes no parameters; an enumeration's member is no foreign text.
    where = "" if status is None else f"WHERE p.status = '{status.value}'"
    copy_query(session, f"COPY ({_QUERY.format(where=where)}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')", sink)
