"""The catalog's use cases. `DatabaseCatalogService` implements the interface and serves the router and the commands."""

from catalog.crud.products import ProductFilter
from catalog.service.catalog import DatabaseCatalogService
from catalog.service.importing import BadLine, ImportResult, ImportRunning, ProductLine
from catalog.service.products import NewProduct, ProductChanges, SkuTaken
from catalog.service.stock import MovementNotFound

__all__ = [
    "BadLine",
    "DatabaseCatalogService",
    "ImportResult",
    "ImportRunning",
    "MovementNotFound",
    "NewProduct",
    "ProductChanges",
    "ProductFilter",
    "ProductLine",
    "SkuTaken",
]
