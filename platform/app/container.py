"""The container: builds every module's service and router in order of needs. It names no module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from dependency_injector import errors, providers
from dependency_injector.containers import Container

from app.doors import require_offer, require_open_doors
from app.fitting import KERNEL_PARTS, misfits
from app.listening import jobs_of, listeners_of, require_distinct
from app.modules import ModuleError, in_order_of_needs
from kernel.database.dispatching.dispatcher import Dispatcher
from kernel.database.dispatching.retention import Retention
from kernel.database.engines import Engines
from kernel.database.outbox import Outbox
from kernel.database.principals import Principals
from kernel.http.tokens import AccessTokens
from kernel.module import Module
from kernel.pure.clock import Clock, SystemClock
from kernel.pure.principal import ADMIN
from kernel.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Built:
    """One module, ready to work."""

    module: Module
    service: Any
    router: Any = None
    """None when the module has no routes."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that one application is made of."""

    modules: tuple[Built, ...]
    """In order of needs, without those that a fake stands in for."""
    services: Mapping[str, Any]
    """By module name, the fakes included."""
    access_tokens: AccessTokens
    clock: Clock
    dispatcher: Dispatcher
    """Knows every listener and job; delivers when somebody runs it."""

    def routers(self) -> list[Any]:
        """Hot modules first."""
        ordered = sorted(self.modules, key=lambda built: -built.module.hot)
        return [built.router for built in ordered if built.router is not None]


def build(
    settings: Settings,
    engines: Engines,
    *,
    modules: Iterable[Module],
    fakes: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> Parts:
    """Build all services and routers. Opens no connection. Errors: ModuleError, one sentence.

    A fake stands for a module's service, installed or not; that module's own container and routes are left out.
    """
    fakes = dict(fakes or {})
    clock = clock or SystemClock()
    modules = tuple(modules)
    ordered = _ordered(modules, fakes)
    plant = _Plant(
        settings=settings,
        engines=engines,
        clock=clock,
        access_tokens=AccessTokens(settings.secret_key.get_secret_value(), clock),
        grantable_roles=frozenset({ADMIN}.union(*(module.roles for module in modules))),
        module_names=frozenset(module.name for module in modules) | fakes.keys(),
        neighbours={module.name: module for module in modules},
        services=fakes,
    )
    built = tuple(plant.build(module) for module in ordered)
    dispatcher = _dispatcher(plant, built)
    return Parts(modules=built, services=plant.services, access_tokens=plant.access_tokens, clock=clock, dispatcher=dispatcher)


def _dispatcher(plant: _Plant, built: Sequence[Built]) -> Dispatcher:
    kernel = plant.engines.database("kernel")
    retention = Retention(
        kernel,
        plant.clock,
        keep_keys=timedelta(hours=plant.settings.keep_keys_hours),
        keep_events=timedelta(days=plant.settings.keep_events_days),
    )
    listeners = [found for each in built for found in listeners_of(each.module, each.service, plant.module_names)]
    jobs = [*(job for each in built for job in jobs_of(each.module, each.service)), *retention.jobs()]
    require_distinct(listeners, jobs)
    return Dispatcher(kernel, plant.clock, listeners, jobs)


def _ordered(modules: Sequence[Module], fakes: Mapping[str, Any]) -> list[Module]:
    """In order of needs, fakes left out; whoever needs a fake need not wait for it."""
    for module in modules:
        if module.name in KERNEL_PARTS:
            raise ModuleError(f"No module can be named {module.name}: containers know a part of the kernel by that name.")
        if module.name in fakes:
            require_offer(module, fakes[module.name], "The fake of")
    waiting = [
        replace(module, needs=() if module.name in fakes else tuple(need for need in module.needs if need not in fakes))
        for module in modules
    ]
    by_name = {module.name: module for module in modules}
    return [by_name[module.name] for module in in_order_of_needs(waiting) if module.name not in fakes]


@dataclass(frozen=True, kw_only=True)
class _Plant:
    """Builds one module after the other; each finds the services of those before."""

    settings: Settings
    engines: Engines
    clock: Clock
    access_tokens: AccessTokens
    grantable_roles: frozenset[str]
    module_names: frozenset[str]
    neighbours: Mapping[str, Module]
    services: dict[str, Any] = field(default_factory=dict)

    def build(self, module: Module) -> Built:
        container = module.container()
        for misfit in misfits(module, self.module_names):
            raise ModuleError(str(misfit))
        require_open_doors(module, container.dependencies, self.neighbours)
        available = {**self._kernel_parts(module), **{need: self.services[need] for need in module.needs}}
        for name in container.dependencies:
            getattr(container, name).override(providers.Object(available[name]))
        service = _made(module, container, "service")
        if service is None:
            raise ModuleError(f"The container of {module.name} provides no `service`.")
        require_offer(module, service, "The service of")
        self.services[module.name] = service
        return Built(module=module, service=service, router=_made(module, container, "router"))

    def _kernel_parts(self, module: Module) -> dict[str, Any]:
        database = self.engines.database(module.name)
        return {
            "database": database,
            "events": Outbox(database, self.clock),
            "clock": self.clock,
            "settings": self.settings,
            "principals": Principals(self.engines.database("kernel")),
            "access_tokens": self.access_tokens,
            "grantable_roles": self.grantable_roles,
        }


def _made(module: Module, container: Container, name: str) -> Any:
    """What the container's provider of this name makes; None when there is no such provider."""
    provider = container.providers.get(name)
    if provider is None:
        return None
    try:
        container.check_dependencies()
        return provider()
    except errors.Error as error:
        raise ModuleError(f"The container of {module.name} cannot make its {name}: {str(error).rstrip('.')}.") from error
