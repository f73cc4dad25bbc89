"""Ordering's wiring: what it needs, what it provides."""

from __future__ import annotations

from dependency_injector import containers, providers

from catalog.interface import CatalogService
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.events import Events
from kernel.settings import Settings
from ordering.router import build_router
from ordering.service import AnnouncedGateway, DatabaseOrderingService, PaymentGateway, SandboxPaymentGateway
from ordering.settings import PaymentSettings, load_payment_settings


def _gateway(payment: PaymentSettings, settings: Settings) -> PaymentGateway | None:
    if payment.gateway == "none":
        return None
    return AnnouncedGateway(SandboxPaymentGateway(settings.data_dir))


class OrderingContainer(containers.DeclarativeContainer):
    database = providers.Dependency(instance_of=Database)
    events = providers.Dependency(instance_of=Events)
    clock = providers.Dependency(instance_of=Clock)
    settings = providers.Dependency(instance_of=Settings)
    catalog = providers.Dependency(instance_of=CatalogService)

    payment_settings = providers.Singleton(load_payment_settings, settings)
    service = providers.Singleton(
        DatabaseOrderingService,
        database=database,
        events=events,
        clock=clock,
        catalog=catalog,
        gateway=providers.Singleton(_gateway, payment_settings, settings),
        currency=settings.provided.currency,
        webhook_secrets=payment_settings.provided.webhook_secrets,
        hold=payment_settings.provided.hold,
    )
    router = providers.Singleton(build_router, service=service, threads=settings.provided.threads)
