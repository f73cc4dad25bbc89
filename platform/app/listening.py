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


class ListenerError(ModuleError):
    """A listener that nobody could deliver to."""


class JobError(ModuleError):
    """A job that nobody could run."""


def listeners_of(module: Module, service: Any, installed: Collection[str]) -> list[Listener[Any]]:
    """What this module hears of those that are installed. Errors: ListenerError."""
    publishers: dict[str, list[str]] = {}
    for publisher, source in module.listens.items():
        if source.partition(".")[0] != module.name:
            raise ListenerError(f"The module {module.name} lists {source} in `listens`, which is not a file of its own.")
        publishers.setdefault(source, []).append(publisher)
    found: list[Listener[Any]] = []
    for source, heard in publishers.items():
        # A file that hears several publishers imports the interfaces of all of them.
        if all(publisher in installed for publisher in heard):
            found += _checked(importlib.import_module(source).build_listeners(service), module, source, heard)
    return found


def jobs_of(module: Module, service: Any) -> list[PeriodicJob]:
    """Errors: JobError."""
    for job in module.jobs:
        if not _is_own(job.name, module):
            raise JobError(f"The job {job.name} of {module.name} must be named {module.name}.<what it does>.")
    return [PeriodicJob(name=job.name, every=job.every, run=partial(job.run, service)) for job in module.jobs]


def require_distinct(listeners: Sequence[Listener[Any]], jobs: Sequence[PeriodicJob]) -> None:
    """Both are stored under their names. Errors: ListenerError, JobError."""
    for name in _twice([each.name for each in listeners]):
        raise ListenerError(f"There are two listeners named {name}; names must be unique.")
    for name in _twice([each.name for each in jobs]):
        raise JobError(f"There are two jobs named {name}; names must be unique.")


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _checked(listeners: Any, module: Module, source: str, heard: Sequence[str]) -> Iterator[Listener[Any]]:
    for listener in listeners:
        if not isinstance(listener, DatabaseListener | OutsideListener):
            raise ListenerError(f"{source} builds a {type(listener).__name__}, which is no listener.")
        if not _is_own(listener.name, module):
            raise ListenerError(f"The listener {listener.name} of {module.name} must be named {module.name}.<what it does>.")
        publisher = listener.event.name.partition(".")[0]
        if publisher not in heard:
            raise ListenerError(
                f"The listener {listener.name} waits for {listener.event.name}, but {module.name} does not list {publisher}"
                f" with {source} in `listens`."
            )
        yield listener


def _is_own(name: str, module: Module) -> bool:
    return name.startswith(f"{module.name}.")
