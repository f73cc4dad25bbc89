"""Doors: what a module offers is there, and whoever needs the module comes in by a door that is open to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, Protocol

from app.modules import ModuleError
from kernel.module import Module

_NO_DOORS: Final = (Protocol, Generic, object)


def require_offer(module: Module, service: Any, what: str) -> None:
    """The service stands behind every door. Names only are compared: that signatures fit is for the checks to say."""
    for door in module.doors:
        if not isinstance(service, door.protocol):
            raise ModuleError(
                f"{what} {module.name} is a {type(service).__name__}, which lacks a method of {door.protocol.__name__}."
            )


def require_open_doors(module: Module, dependencies: Mapping[str, Any], neighbours: Mapping[str, Module]) -> None:
    """Each dependency on a module is on a Protocol that the module offers to this one.

    A neighbour that is not installed, with a fake in its place, cannot be asked.
    """
    for need in module.needs:
        if need in neighbours and (wrong := closed(module.name, dependencies[need].instance_of, neighbours[need])):
            raise ModuleError(f"The container of {module.name} {wrong}.")


def closed(visitor: str, wanted: Any, host: Module) -> str:
    """Why `visitor` cannot depend on `wanted` as the service of `host`; empty when it can, also by a part of a door."""
    open_ = [door.protocol for door in host.doors if door.admits(visitor)]
    if wanted not in _NO_DOORS and any(wanted in protocol.__mro__ for protocol in open_):
        return ""
    names = " or ".join(protocol.__name__ for protocol in open_) or "nothing"
    asked = "no Protocol in particular" if wanted is object else getattr(wanted, "__name__", repr(wanted))
    return f"asks for {host.name} as {asked}, but what {host.name} offers to {visitor} is {names}"
