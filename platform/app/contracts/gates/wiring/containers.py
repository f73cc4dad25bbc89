"""Containers, looked at without building anything: what each asks for, what it provides, and what nothing uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from dependency_injector import providers

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.wiring.places import description, provider
from app.fitting import KERNEL_PARTS, Misfit, misfits
from kernel.module import Module

RULES: Final = {
    "unbound-provider": "A container asks for nothing that nobody supplies.",
    "undeclared-need": "A container asks for a module only when the description lists it in `needs`.",
    "unasked-need": "A container asks for every module that the description lists in `needs`.",
    "unused-provider": "The service or the router is made of everything that a container asks for and makes.",
    "wrong-type": "A container asks for parts of the kernel as what they are, and for neighbours as what they offer.",
    "missing-provider": "A container provides a `service` and, as the module has a router.py, a `router`.",
    "not-offered": "The service has every method of the Protocol that the module offers.",
}
MADE: Final = ("service", "router")


def faulty_containers(bench: Bench, module: Module, neighbours: Mapping[str, Module]) -> Iterator[Finding]:
    for misfit in (*misfits(module, neighbours), *_oversights(bench, module, neighbours)):
        place = (
            description(bench, module.name, "needs")
            if misfit.rule == "unasked-need"
            else provider(bench, module, misfit.provider)
        )
        yield Finding(
            rule=f"wiring/{misfit.rule}",
            module=module.name if module.name in bench.facts else "app",
            where=place.where,
            line=place.line,
            what=f"{misfit.what}.",
            fix=f"{misfit.remedy[0].upper()}{misfit.remedy[1:]}.",
        )


def _oversights(bench: Bench, module: Module, neighbours: Mapping[str, Module]) -> Iterator[Misfit]:
    """What does not keep the module from being built, or only then."""
    yield from _nameless(module)
    yield from _unused(module)
    yield from _missing(bench, module)
    yield from _not_offered(module)
    for name, dependency in module.container.dependencies.items():
        wanted: type = dependency.instance_of  # type: ignore[attr-defined]  # the stubs know no more than Provider
        if name in KERNEL_PARTS:
            yield from _wrong_part(module, name, wanted)
        elif name in module.needs and name in neighbours:
            yield from _wrong_door(module, name, wanted, neighbours[name])


def _nameless(module: Module) -> Iterator[Misfit]:
    """Dependencies inside of other providers: nothing can be put into them by name."""
    named = {id(each) for each in module.container.providers.values()}
    for name in MADE:
        for each in _parts(module, name):
            if isinstance(each, providers.Dependency) and id(each) not in named:
                yield Misfit(
                    rule="unbound-provider",
                    what=f"The {name} of {module.name} is made with a Dependency that has no name in the container",
                    remedy="give it the name of what it stands for, as a line of its own in the container",
                    provider=name,
                )


def _unused(module: Module) -> Iterator[Misfit]:
    used = {id(each) for name in MADE for each in _parts(module, name)}
    used |= {id(module.container.providers[name]) for name in MADE if name in module.container.providers}
    for name, each in module.container.providers.items():
        if id(each) not in used:
            verb = "asks for" if isinstance(each, providers.Dependency) else "makes"
            yield Misfit(
                rule="unused-provider",
                what=f"The container of {module.name} {verb} {name}, and neither service nor router gets it",
                remedy=f"delete the line, or pass {name} to what needs it",
                provider=name,
            )


def _missing(bench: Bench, module: Module) -> Iterator[Misfit]:
    # A router without routes is left out by those who have none; the file is there in every built-in module.
    folder = bench.root / "modules" / module.name
    wanted = [name for name in MADE if name == "service" or any(folder.glob("router*"))]
    for name in wanted:
        if name not in module.container.providers:
            yield Misfit(
                rule="missing-provider",
                what=f"The container of {module.name} provides no `{name}`",
                remedy=f"add `{name} = providers.Singleton(...)` to it",
            )


def _not_offered(module: Module) -> Iterator[Misfit]:
    made = getattr(module.container.providers.get("service"), "provides", None)
    if not isinstance(made, type):
        return
    for protocol in _doors(module):
        lacking = ", ".join(sorted(name for name in _members(protocol) if not hasattr(made, name)))
        if lacking:
            yield Misfit(
                rule="not-offered",
                what=f"The service of {module.name} is a {made.__name__}, which has no {lacking} of {protocol.__name__}",
                remedy=f"let {made.__name__} inherit {protocol.__name__} and implement it",
                provider="service",
            )


def _wrong_part(module: Module, name: str, wanted: type) -> Iterator[Misfit]:
    part = KERNEL_PARTS[name]
    if wanted is object or not issubclass(part, wanted):
        yield Misfit(
            rule="wrong-type",
            what=f"The container of {module.name} asks for {name} as {_named(wanted)}, and it is a {part.__name__}",
            remedy=f"write `{name} = providers.Dependency(instance_of={part.__name__})`",
            provider=name,
        )


def _wrong_door(module: Module, name: str, wanted: type, neighbour: Module) -> Iterator[Misfit]:
    doors = _doors(neighbour, module.name)
    if wanted is object or not any(wanted in protocol.__mro__ for protocol in doors):
        names = " or ".join(protocol.__name__ for protocol in doors) or "nothing"
        yield Misfit(
            rule="wrong-type",
            what=f"The container of {module.name} asks for {name} as {_named(wanted)}, and {name} offers {names}",
            remedy=f"ask for it as a Protocol of {name}.interface that {name} offers, or ask its team for one",
            provider=name,
        )


def _doors(module: Module, visitor: str | None = None) -> list[type]:
    """The Protocols that the module offers, to this visitor or to anybody at all."""
    return [door.protocol for door in module.doors if visitor is None or door.admits(visitor)]


def _members(protocol: type) -> set[str]:
    members: frozenset[str] = getattr(protocol, "__protocol_attrs__", None) or frozenset(vars(protocol))
    return {name for name in members if not name.startswith("_")}


def _named(wanted: type) -> str:
    return "nothing in particular" if wanted is object else wanted.__name__


def _parts(module: Module, name: str) -> Iterator[Any]:
    """Everything that the provider of this name is made of, however deep."""
    made = module.container.providers.get(name)
    return iter(()) if made is None else made.traverse()
