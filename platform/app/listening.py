"""Listening: imports the listeners of the modules whose publishers are installed, and binds the modules' jobs."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

from app.modules import ModuleError
from kernel.database.dispatching.jobs import PeriodicJob
from kernel.module import Module
from kernel.pure.listeners import DatabaseListener, Listener, OutsideListener


def listeners_of(module: Module, service: Any, installed: Collection[str]) -> list[Listener[Any]]:
    """What this module hears of those that are installed. Errors: ModuleError."""
    publishers: dict[str, list[str]] = {}
    for publisher, source in module.listens.items():
        if source.partition(".")[0] != module.name:
            raise ModuleError(f"The module {module.name} lists {source} in `listens`, which is not a file of its own.")
        publishers.setdefault(source, []).append(publisher)
    found: list[Listener[Any]] = []
    for source, heard in publishers.items():
        # A file that hears several publishers imports the interfaces of all of them.
        if all(publisher in installed for publisher in heard):
            found += _checked(importlib.import_module(source).build_listeners(service), module, source, heard)
    return found


def jobs_of(module: Module, service: Any) -> list[PeriodicJob]:
    """Errors: ModuleError."""
    for job in module.jobs:
        _require_own_name(job.name, "job", module)
    return [PeriodicJob(name=job.name, every=job.every, run=partial(job.run, service)) for job in module.jobs]


def require_distinct(listeners: Sequence[Listener[Any]], jobs: Sequence[PeriodicJob]) -> None:
    """Both are stored under their names. Errors: ModuleError."""
    for kind, names in (("listeners", [each.name for each in listeners]), ("jobs", [each.name for each in jobs])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ModuleError(f"There are two {kind} named {twice[0]}; names must be unique.")


def _checked(listeners: Any, module: Module, source: str, heard: Sequence[str]) -> Iterator[Listener[Any]]:
    for listener in listeners:
        if not isinstance(listener, DatabaseListener | OutsideListener):
            raise ModuleError(f"{source} builds a {type(listener).__name__}, which is no listener.")
        _require_own_name(listener.name, "listener", module)
        publisher = listener.event.name.partition(".")[0]
        if publisher not in heard:
            raise ModuleError(
                f"The listener {listener.name} waits for {listener.event.name}, but {module.name} does not list {publisher}"
                f" with {source} in `listens`."
            )
        yield listener


def _require_own_name(name: str, kind: str, module: Module) -> None:
    if not name.startswith(f"{module.name}."):
        raise ModuleError(f"The {kind} {name} of {module.name} must be named {module.name}.<what it does>.")
