"""The module list: built-in modules, and those of installed distributions (entry point group `emporium.modules`)."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from catalog.module import module as catalog
from kernel.module import Module
from ordering.module import module as ordering
from users.module import module as users

ENTRY_POINT_GROUP: Final = "emporium.modules"

BUILT_IN: Final[tuple[Module, ...]] = (
    users,
    catalog,
    ordering,
)
"""One line per module here, and its import above."""


class ModuleError(Exception):
    """The modules do not fit together; the message says which and why."""


def installed() -> tuple[Module, ...]:
    """Every module of this installation, each after those that it needs. Raises ModuleError."""
    return in_order_of_needs([*BUILT_IN, *_from_distributions()])


def variables() -> set[str]:
    """The environment variables that modules read themselves; `load_settings` lets them pass."""
    return {variable for module in installed() for variable in module.variables}


def in_order_of_needs(modules: Iterable[Module]) -> tuple[Module, ...]:
    waiting = {module.name: module for module in _without_duplicates(modules)}
    for module in waiting.values():
        missing = [need for need in module.needs if need not in waiting]
        if missing:
            raise ModuleError(f"The module {module.name} needs {', '.join(missing)}, which is not installed.")
    ordered: dict[str, Module] = {}
    while waiting:
        ready = [module for module in waiting.values() if all(need in ordered for need in module.needs)]
        if not ready:
            raise ModuleError(f"The modules {', '.join(waiting)} need each other in a circle.")
        for module in ready:
            ordered[module.name] = waiting.pop(module.name)
    return tuple(ordered.values())


def _without_duplicates(modules: Iterable[Module]) -> Iterable[Module]:
    seen: set[str] = {"kernel", "app"}
    for module in modules:
        if module.name in seen:
            raise ModuleError(f"There are two modules named {module.name}; names must be unique.")
        seen.add(module.name)
        yield module


def _from_distributions() -> Iterable[Module]:
    for entry_point in _entry_points(tuple(sys.path)):
        module = entry_point.load()
        if not isinstance(module, Module):
            raise ModuleError(
                f"The entry point {entry_point.name} = {entry_point.value} is not a kernel.module.Module, so it cannot"
                f" be installed; it must name one, for example `reviews.module:module`."
            )
        yield module


@lru_cache(maxsize=4)
def _entry_points(_: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """By name. Looking through every distribution on the path takes longer than migrating a database that is up to date."""
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda found: found.name))
