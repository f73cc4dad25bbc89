"""The gate `interface`: what modules offer to each other, how it is implemented, tested and kept."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from app.contracts.finding import Finding
from app.contracts.gate import Bench, Gate
from app.contracts.gates.interface.contract_tests import contract_tests
from app.contracts.gates.interface.doors import dependencies, offered, trespassers
from app.contracts.gates.interface.errors import Errors, duplicate_codes
from app.contracts.gates.interface.implementations import FAKE, REAL, Implementations
from app.contracts.gates.interface.shapes import Shapes
from app.contracts.promises.interface import CHANGES, promise
from app.contracts.promises.promise import SNAPSHOT_RULES
from app.contracts.surface import Sources, Surface, read_surface
from kernel.module import Module

__all__ = ["gate", "promise"]

Thing = TypeVar("Thing")

RULES: Final = {
    "door": "What a module offers is a runtime-checkable Protocol of its own interface.py.",
    "door-name": "A Protocol is named by its role, the one for everybody …Service; no I…, Impl, Manager, Helper.",
    "unoffered": "Every Protocol of interface.py is offered to somebody.",
    "door-not-offered": "A module uses only those Protocols of another that are offered to it.",
    "positional-parameter": "Parameters of a Protocol's methods are given by name, each with a name of its own.",
    "untyped": "Every parameter and every result of a Protocol's method has a type.",
    "undocumented": "Every public class of interface.py, and every method of a Protocol, says what it is for.",
    "foreign-type": "Only ids, values, frozen DTOs, events and errors of the same interface cross a door.",
    "mutable-dto": "A DTO is a dataclass that is frozen, keyword-only and slotted.",
    "mutable-constant": "A constant of an interface cannot be changed.",
    "loose-function": "An interface has no functions but the methods of its classes.",
    "error-identity": "An error of an interface is of a kind of kernel.pure.errors, with a code and a title of its own.",
    "duplicate-error-code": "No two errors of the shop have the same code.",
    "unknown-error": "What a method's docstring lists behind `Errors:` exists in its interface or in kernel.pure.errors.",
    "undeclared-error": "An implementation raises only errors that its callers may import.",
    "undocumented-error": "What an implementation can raise stands behind `Errors:` in the Protocol's docstring.",
    "implementation": "A class Database… of service inherits each Protocol and has its methods with the same signatures.",
    "fake": "A class Fake… of fakes inherits each Protocol and has its methods with the same signatures.",
    "contract-test": "The same tests call every method of a Protocol on the real service and on the fake.",
}


def _check(bench: Bench) -> Iterator[Finding]:
    """What can be looked at is, whatever a broken module raises when it is imported; the first failure is raised in the end."""
    failures: list[Exception] = []
    surfaces = _imported(bench, read_surface, failures)
    modules = _imported(bench, _described, failures)
    sources = Sources(bench)
    for name, surface in surfaces.items():
        yield from Shapes(surface, sources).check()
        yield from Errors(surface, surfaces, sources).check()
        if name in modules:
            yield from offered(surface, modules[name], bench, sources)
            try:
                yield from _behind(bench, surface, surfaces, modules[name], sources)
            except Exception as error:  # as above
                failures.append(error)
            yield from dependencies(bench, modules[name], modules)
    yield from trespassers(bench, surfaces, modules)
    yield from duplicate_codes(sources, {"kernel": "kernel", **{name: name for name in bench.facts}})
    try:
        yield from promise.check(bench)
    except Exception as error:  # as above
        failures.append(error)
    if failures:
        raise failures[0]


def _behind(
    bench: Bench, surface: Surface, surfaces: Mapping[str, Surface], module: Module, sources: Sources
) -> Iterable[Finding]:
    """Service, fakes and tests of one module's doors."""
    implementations = Implementations(surface, module, sources)
    if not implementations.doors:
        return
    yield from implementations.check(REAL)
    yield from implementations.check(FAKE)
    real, fake = implementations.found(REAL), implementations.found(FAKE)
    yield from Errors(surface, surfaces, sources).raised(real, fake)
    for door in implementations.doors:
        yield from contract_tests(bench, surface.module, door, real.get(door), fake.get(door))


def _described(name: str) -> Module:
    module: Module = importlib.import_module(f"{name}.module").module
    return module


def _imported(bench: Bench, read: Callable[[str], Thing], failures: list[Exception]) -> dict[str, Thing]:
    found = {}
    for name in bench.facts:
        try:
            found[name] = read(name)
        except Exception as error:  # as above
            failures.append(error)
    return found


gate: Final = Gate(
    name="interface",
    contract="Modules know each other by small, typed, documented interfaces that hold for the real service and its fake.",
    rules={**RULES, **CHANGES, **SNAPSHOT_RULES},
    static=_check,
)
