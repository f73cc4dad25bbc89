"""The module list: built-in modules, and those of installed distributions (entry point group `emporium.modules`).

EMPORIUM_MODULES switches on a part of them: their names with commas between, `none` for the kernel alone, `all` (the default).
A module that is off is not imported at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from kernel.module import Module
from kernel.settings import read_variables

ENTRY_POINT_GROUP: Final = "emporium.modules"
VARIABLE: Final = "EMPORIUM_MODULES"
ALL: Final = "all"
NONE: Final = "none"


def _users() -> Module:
    from users.module import module

    return module


def _catalog() -> Module:
    from catalog.module import module

    return module


def _ordering() -> Module:
    from ordering.module import module

    return module


BUILT_IN: Final[Mapping[str, Callable[[], Module]]] = {
    "users": _users,
    "catalog": _catalog,
    "ordering": _ordering,
}
"""One line per module here, and its function above: imported when it is switched on, in sight of mypy and import-linter."""


class ModuleError(Exception):
    """The modules do not fit together; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Available:
    """A module of this installation, on or off, not imported yet."""

    name: str
    package: str
    load: Callable[[], Module]


def available() -> tuple[Available, ...]:
    """Every module of this installation, in no order of needs. Imports none of them."""
    built_in = [Available(name=name, package=name, load=load) for name, load in BUILT_IN.items()]
    return (*built_in, *_from_distributions())


def installed() -> tuple[Module, ...]:
    """The modules that are switched on, each after those that it needs. Raises ModuleError, SettingsError."""
    there_are = available()
    wanted = _switched_on(there_are)
    modules = [each.load() for each in there_are if each.name in wanted]
    off = {each.name for each in there_are} - wanted
    for module in modules:
        missing = [need for need in module.needs if need in off]
        if missing:
            raise ModuleError(
                f"The module {module.name} needs {', '.join(missing)}, which {VARIABLE} leaves out: add it there,"
                f" for example {VARIABLE}={','.join(sorted({*wanted, *missing}))}."
            )
    return in_order_of_needs(modules)


def switched_off() -> tuple[Available, ...]:
    """The modules that EMPORIUM_MODULES leaves out. Raises ModuleError, SettingsError."""
    there_are = available()
    wanted = _switched_on(there_are)
    return tuple(each for each in there_are if each.name not in wanted)


def variables() -> set[str]:
    """The environment variables that modules read themselves; `load_settings` lets them pass."""
    known = {VARIABLE, *(variable for module in installed() for variable in module.variables)}
    # Nobody is there to say which variables are those of a module that is off.
    return known.union(read_variables()) if switched_off() else known


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


def with_needs(names: Collection[str], modules: Iterable[Module]) -> tuple[Module, ...]:
    """Those of `modules` that bear the names, and all that they need, in order of needs."""
    by_name = {module.name: module for module in modules}
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += by_name[name].needs
    return in_order_of_needs(module for module in by_name.values() if module.name in found)


def _switched_on(there_are: Collection[Available]) -> set[str]:
    names = {each.name for each in there_are}
    value = read_variables().get(VARIABLE, ALL)
    if value in (ALL, NONE):
        return names if value == ALL else set()
    wanted = {name.strip() for name in value.split(",")} - {""}
    unknown = sorted(wanted - names)
    if unknown:
        raise ModuleError(
            f"{VARIABLE} names {', '.join(unknown)}, which is not installed; there are {', '.join(sorted(names))}"
            f" (or {ALL}, or {NONE})."
        )
    return wanted


def _without_duplicates(modules: Iterable[Module]) -> Iterable[Module]:
    seen: set[str] = {"kernel", "app"}
    for module in modules:
        if module.name in seen:
            raise ModuleError(f"There are two modules named {module.name}; names must be unique.")
        seen.add(module.name)
        yield module


def _from_distributions() -> Iterable[Available]:
    for entry_point in _entry_points(tuple(sys.path)):
        package = entry_point.module.partition(".")[0]
        yield Available(name=entry_point.name, package=package, load=partial(_loaded, entry_point))


@lru_cache(maxsize=4)
def _entry_points(_: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """By name. Looking through every distribution on the path takes longer than migrating a database that is up to date."""
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda found: found.name))


def _loaded(entry_point: EntryPoint) -> Module:
    module = entry_point.load()
    if not isinstance(module, Module):
        raise ModuleError(
            f"The entry point {entry_point.name} = {entry_point.value} is not a kernel.module.Module, so it cannot"
            f" be installed; it must name one, for example `reviews.module:module`."
        )
    if module.name != entry_point.name:
        raise ModuleError(
            f"The entry point {entry_point.name} = {entry_point.value} names the module {module.name}; both must have one name."
        )
    return module
