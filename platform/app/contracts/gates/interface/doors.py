"""Doors: what modules offer to whom, and who goes through a door that is not open to them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.surface import Sources, Surface, is_protocol
from app.doors import closed
from kernel.module import Module

_FIX_OFFER: Final = "Offer a Protocol of {where}, marked @runtime_checkable."


def offered(surface: Surface, module: Module, bench: Bench, sources: Sources) -> Iterator[Finding]:
    """What stands in `offers` is a Protocol of the interface, and no Protocol of it is forgotten there."""
    facts = bench.facts[surface.module]
    where, line = f"modules/{surface.module}/module.py", facts.lines.get("offers")

    def finding(rule: str, what: str, fix: str) -> Finding:
        return Finding(rule=f"interface/{rule}", module=surface.module, where=where, line=line, what=what, fix=fix)

    for door in module.doors:
        name = getattr(door.protocol, "__name__", repr(door.protocol))
        fix = _FIX_OFFER.format(where=surface.where)
        if not is_protocol(door.protocol):
            yield finding("door", f"{name} is offered, and is no Protocol.", fix)
        elif not surface.declares(door.protocol):
            yield finding("door", f"{name} is offered, and is not declared in {surface.where}.", fix)
        elif not getattr(door.protocol, "_is_runtime_protocol", False):
            yield finding("door", f"{name} is offered, and cannot be checked when the shop starts.", fix)
        elif door.to is None and not name.endswith("Service"):
            fix = f"Call it {name}Service, or say in `offers` whom it is for: Offer({name}, to=(…))."
            yield finding("door-name", f"{name} is offered to everybody, and is not called a Service.", fix)
    known = [door.protocol for door in module.doors]
    for protocol in surface.protocols:
        if not any(protocol in door.__mro__ for door in known):
            place = sources.place(protocol)
            yield Finding(
                rule="interface/unoffered",
                module=surface.module,
                where=place.where,
                line=place.line,
                what=f"{protocol.__name__} is offered to nobody.",
                fix=f"Name it in `offers` of {where}, or delete it.",
            )


class Use(NamedTuple):
    """A name of an interface that another file imports, or reaches through the imported interface."""

    line: int
    module: str
    name: str


def trespassers(bench: Bench, surfaces: Mapping[str, Surface], modules: Mapping[str, Module]) -> Iterator[Finding]:
    """Files of modules, and their tests, that use a Protocol which is not offered to them."""
    protocols = {name: {each.__name__: each for each in surface.protocols} for name, surface in surfaces.items()}
    for visitor in bench.facts:
        hosts = {name: found for name, found in protocols.items() if name != visitor and name in modules}
        for file in _files(bench, visitor):
            for use in uses(ast.parse(file.read_text(encoding="utf-8")), hosts):
                names = hosts[use.module] if use.name == "*" else [use.name]
                for name in names:
                    protocol = hosts[use.module].get(name)
                    if protocol is not None and closed(visitor, protocol, modules[use.module]):
                        yield _trespass(bench, visitor, bench.shown(file), use, name, modules[use.module])


def _files(bench: Bench, module: str) -> Iterator[Path]:
    for folder in (bench.root / "modules" / module, bench.root / "tests" / module):
        yield from sorted(folder.rglob("*.py")) if folder.is_dir() else ()


def uses(tree: ast.Module, hosts: Mapping[str, object]) -> Iterator[Use]:
    """Every use of a name of `<host>.interface`, wherever the import stands and whatever it calls it."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            host, _, rest = node.module.partition(".")
            if host in hosts and (rest == "interface" or rest.startswith("interface.")):
                yield from (Use(node.lineno, host, alias.name) for alias in node.names)
            elif host in hosts and not rest:
                aliases |= {alias.asname or alias.name: host for alias in node.names if alias.name == "interface"}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                host, _, rest = alias.name.partition(".")
                if host in hosts and rest == "interface":
                    aliases[alias.asname or alias.name] = host
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (whole := ast.unparse(node.value)) in aliases:
            yield Use(node.lineno, aliases[whole], node.attr)


def _trespass(bench: Bench, visitor: str, where: str, use: Use, name: str, host: Module) -> Finding:
    open_ = [door.protocol.__name__ for door in host.doors if door.admits(visitor)]
    ask = f"ask the {bench.facts[host.name].owner}" if host.name in bench.facts else "ask its owner"
    instead = f"Use {' or '.join(open_)}, or {ask}" if open_ else f"{ask[0].upper()}{ask[1:]}"
    return Finding(
        rule="interface/door-not-offered",
        module=visitor,
        where=where,
        line=use.line,
        what=f"{visitor} uses {name} of {host.name}, which is not offered to it.",
        fix=f"{instead} to offer it to {visitor} (`offers` in modules/{host.name}/module.py).",
    )


def dependencies(bench: Bench, module: Module, modules: Mapping[str, Module]) -> Iterator[Finding]:
    """The container asks for a neighbour as a Protocol that is offered to it."""
    wanted: Mapping[str, Any] = module.container.dependencies
    where, lines = _assignments(bench, module)
    for need in module.needs:
        if need in modules and need in wanted and (wrong := closed(module.name, wanted[need].instance_of, modules[need])):
            open_ = [door.protocol.__name__ for door in modules[need].doors if door.admits(module.name)]
            ask = f"ask the {bench.facts[need].owner} to offer what you need (`offers` in modules/{need}/module.py)."
            instead = (
                f"Write `{need} = providers.Dependency(instance_of={open_[0]})`, or {ask}"
                if open_
                else f"{ask[0].upper()}{ask[1:]}"
            )
            yield Finding(
                rule="interface/door-not-offered",
                module=module.name,
                where=where,
                line=lines.get(need),
                what=f"The container of {module.name} {wrong}.",
                fix=instead,
            )


def _assignments(bench: Bench, module: Module) -> tuple[str, dict[str, int]]:
    file = bench.root / "modules" / module.name / "container.py"
    if not file.exists():
        return f"modules/{module.name}/container", {}
    found = {
        target.id: node.lineno
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return bench.shown(file), found
