"""Ordering's wiring: what it needs, what it provides."""

from __future__ import annotations

from dependency_injector import containers, providers

from catalog.interface import CatalogService
from kernel.database.unit_of_work import Database
from kernel.pure.events import Events
from kernel.settings import Settings
from ordering.router import build_router
from ordering.service import DatabaseOrderingService


class OrderingContainer(containers.DeclarativeContainer):
    database = providers.Dependency(instance_of=Database)
    events = providers.Dependency(instance_of=Events)
    settings = providers.Dependency(instance_of=Settings)
    catalog = providers.Dependency(instance_of=CatalogService)

    service = providers.Singleton(
        DatabaseOrderingService,
        database=database,
        events=events,
        catalog=catalog,
        currency=settings.provided.currency,
    )
    router = providers.Singleton(build_router, service=service)
