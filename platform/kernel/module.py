"""The description of a module: what the composition root, the migrations and the checks need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import typer
from dependency_injector.containers import DeclarativeContainer
from sqlalchemy import MetaData

ServiceGetter = Callable[[], Any]
"""Builds the application and answers the module's service; for commands, which start without one."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Periodic work, such as a sweep: by one process at a time, in small portions, and harmless when it is repeated."""

    name: str
    """`<module>.<what it does>`."""
    every: timedelta
    run: Callable[[Any], object]
    """Called with the service, outside of any transaction."""


@dataclass(frozen=True)
class Offer:
    """A door: one Protocol of the module's `interface.py`, and who may use it."""

    protocol: type
    to: tuple[str, ...] | None = None
    """Modules; None: everybody."""

    def admits(self, module: str) -> bool:
        return self.to is None or module in self.to


@dataclass(frozen=True, kw_only=True)
class Module:
    """One department of the store.

    The `container` declares by name what it wants as `providers.Dependency`: of the kernel `database`, `events`, `clock`,
    `settings`, `principals` and `access_tokens`; of other modules their services, named like the module. It provides
    `service` and `router`.
    """

    name: str
    """Import name, database schema, migration branch label and role name in one."""
    owner: str
    """The team to ask."""
    summary: str
    """One sentence for people: `emporium modules` shows it."""
    container: type[DeclarativeContainer]
    metadata: MetaData
    needs: tuple[str, ...] = ()
    """Modules whose service this one calls; they boot first."""
    offers: type | tuple[Offer, ...] | None = None
    """The Protocol that other modules see; None when it offers no calls.

    Different doors for different neighbours: `(Offer(CatalogService), Offer(CatalogReports, to=("ordering",)))`. The one
    service stands behind all of them.
    """
    listens: Mapping[str, str] = field(default_factory=dict)
    """Publisher -> import name of the listeners, imported only when the publisher is installed.

    There, `build_listeners(service)` answers a sequence of `kernel.pure.listeners`.
    """
    jobs: tuple[Job, ...] = ()
    """Run by the dispatcher's process."""
    roles: tuple[str, ...] = ()
    """Roles that admins may grant, besides `admin`."""
    variables: tuple[str, ...] = ()
    """EMPORIUM_* variables that the module reads itself; one that nobody knows is refused as a typo."""
    cli: Callable[[ServiceGetter], typer.Typer] | None = None
    """Builds the commands that appear as `emporium <name> …`."""
    hot: int = 0
    """Routes of hotter modules are matched first; for the ones that most requests go to."""
    sample: Callable[[Any], None] | None = None
    """Loads sample data through the service; idempotent, called by `emporium run`."""
    bootstrap: Callable[[Any, Any], Sequence[str]] | None = None
    """Called with the service and the kernel's settings by `emporium run`, after `sample`; idempotent.

    For what a fresh shop cannot do without, such as its first admin. The lines that it answers are printed.
    """
    tour: str | None = None
    """One shell line to paste that shows the module at work; `{url}` stands for the shop's address."""
    on_start: Callable[[Any], None] | None = None
    """Called with the service once the application can serve."""
    on_stop: Callable[[Any], None] | None = None
    """Called with the service when the application stops, in reverse order of start."""

    @property
    def doors(self) -> tuple[Offer, ...]:
        """`offers`, written out."""
        if self.offers is None:
            return ()
        return self.offers if isinstance(self.offers, tuple) else (Offer(self.offers),)
