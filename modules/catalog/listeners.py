"""What the catalog hears from others: paid orders count as sold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.interface import StockLine
from catalog.service import DatabaseCatalogService
from kernel.pure.listeners import DatabaseListener
from ordering.interface import OrderPaid


def build_listeners(service: DatabaseCatalogService) -> Sequence[DatabaseListener[Any]]:
    def count_units_sold(event: OrderPaid) -> None:
        service.count_units_sold(lines=[StockLine(product_id=line.product_id, quantity=line.quantity) for line in event.lines])

    return [DatabaseListener(name="catalog.count_units_sold", event=OrderPaid, handle=count_units_sold)]
