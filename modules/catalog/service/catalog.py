"""The catalog's service: everything the catalog can do, for its own router and commands and for other modules."""

from __future__ import annotations

from catalog.interface import CatalogService
from catalog.service.exporting import ExportUseCases
from catalog.service.importing import ImportUseCases
from catalog.service.products import ProductUseCases
from catalog.service.reservations import ReservationUseCases
from catalog.service.stock import StockUseCases
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.events import Events


class DatabaseCatalogService(
    ProductUseCases, ReservationUseCases, StockUseCases, ImportUseCases, ExportUseCases, CatalogService
):
    """One stateless object per application; its use cases live in the files beside this one.

    `low_stock` is how few can be left of a product when StockRanLow is published.
    """

    def __init__(self, *, database: Database, events: Events, clock: Clock, currency: str, low_stock: int) -> None:
        ProductUseCases.__init__(self, database=database, events=events, currency=currency, low_stock=low_stock)
        ReservationUseCases.__init__(self, database=database, events=events, clock=clock, low_stock=low_stock)
        StockUseCases.__init__(self, database=database, events=events, low_stock=low_stock)
        ImportUseCases.__init__(self, database=database, events=events, currency=currency, low_stock=low_stock)
        ExportUseCases.__init__(self, database=database)
