"""The catalog's service: everything the catalog can do, for its own router and commands and for other modules."""

from __future__ import annotations

from catalog.interface import CatalogService
from catalog.service.products import ProductUseCases
from catalog.service.stock import StockUseCases
from kernel.database.unit_of_work import Database
from kernel.pure.events import Events


class DatabaseCatalogService(ProductUseCases, StockUseCases, CatalogService):
    """One stateless object per application; its use cases live in `products` and `stock`."""

    def __init__(self, *, database: Database, events: Events, currency: str) -> None:
        ProductUseCases.__init__(self, database=database, events=events, currency=currency)
        StockUseCases.__init__(self, database=database)
