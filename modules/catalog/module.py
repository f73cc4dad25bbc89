"""The catalog's description."""

from __future__ import annotations

from datetime import timedelta

from catalog.cli import build_cli, load_sample
from catalog.container import CatalogContainer
from catalog.interface import CatalogService
from catalog.models import Base
from catalog.service import DatabaseCatalogService
from catalog.settings import VARIABLES
from kernel.module import Job, Module

module = Module(
    name="catalog",
    owner="Catalog team",
    summary="Products, prices and stock.",
    offers=CatalogService,
    container=CatalogContainer,
    metadata=Base.metadata,
    listens={"ordering": "catalog.listeners"},
    jobs=(Job(name="catalog.release_expired", every=timedelta(minutes=1), run=DatabaseCatalogService.release_expired),),
    variables=VARIABLES,
    cli=build_cli,
    sample=load_sample,
    hot=2,
    tour="curl -s '{url}/api/v1/products?limit=2&sort=price'",
)
