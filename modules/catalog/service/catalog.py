"""The catalog's service: everything the catalog can do, for its own router and commands and for other modules."""

from __future__ import annotations

from catalog.interface import CatalogService
from catalog.service.exporting import ExportUseCases
from catalog.service.importing import ImportUseCases
from catalog.service.products import ProductUseCases
from catalog.service.stock import StockUseCases
from kernel.database.unit_of_work import Database
from kernel.pure.events import Events


class DatabaseCatalogService(ProductUseCases, StockUseCases, ImportUseCases, ExportUseCases, CatalogService):
    """One stateless object per application; its use cases live in the files beside this one."""

    def __init__(self, *, database: Database, events: Events, currency: str) -> None:
        ProductUseCases.__init__(self, database=database, events=events, currency=currency)
        StockUseCases.__init__(self, database=database)
        ImportUseCases.__init__(self, database=database, events=events, currency=currency)
        ExportUseCases.__init__(self, database=database)
