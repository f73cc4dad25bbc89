"""The catalog's description."""

from __future__ import annotations

from catalog.container import CatalogContainer
from catalog.interface import CatalogService
from catalog.models import Base
from kernel.module import Module

module = Module(
    name="catalog",
    owner="Catalog team",
    summary="Products, prices and stock.",
    offers=CatalogService,
    container=CatalogContainer,
    metadata=Base.metadata,
)
