"""The catalog's wiring: what it needs, what it provides."""

from __future__ import annotations

from dependency_injector import containers, providers

from catalog.router import build_router
from catalog.service import DatabaseCatalogService
from catalog.settings import load_low_stock
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.events import Events
from kernel.settings import Settings


class CatalogContainer(containers.DeclarativeContainer):
    database = providers.Dependency(instance_of=Database)
    events = providers.Dependency(instance_of=Events)
    clock = providers.Dependency(instance_of=Clock)
    settings = providers.Dependency(instance_of=Settings)

    service = providers.Singleton(
        DatabaseCatalogService,
        database=database,
        events=events,
        clock=clock,
        currency=settings.provided.currency,
        low_stock=providers.Singleton(load_low_stock),
    )
    router = providers.Singleton(build_router, service=service)
