"""What import-linter finds, one finding per import: the contracts of importlinter.ini on a graph of the whole house."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, NamedTuple

import grimp
from importlinter import Contract, ContractCheck
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract
from importlinter.domain.contract import InvalidContractOptions

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.sources import file_of

INI: Final = "importlinter.ini"
RULES: Final = {
    "floor-plan": "Imports run downwards: app > ordering > users | catalog > kernel.",
    "kernel-layers": "Inside the kernel imports run downwards, and each part of it has its layer.",
    "door": "Of another module only its interface is imported (`app`: its `module` as well).",
    "pure": "Interfaces and the pure kernel import the standard library and kernel.pure only.",
    "inner-layers": "Inside a module imports run from the router down to the interface.",
    "no-step-skipped": "Routers, listeners, commands and schemas reach crud and models through the service only.",
    "no-http-inside": "Services, crud and models know no HTTP.",
    "fakes": "Only tests import fakes.",
    "driver": "Only the kernel's database layer and app know the driver.",
    "cycles": "Files and packages do not import each other in a circle.",
    "contract": "Every other contract of importlinter.ini holds, and each can be checked.",
}
_TYPES: Final[Mapping[str, type[Contract]]] = {
    "layers": LayersContract,
    "forbidden": ForbiddenContract,
    "protected": ProtectedContract,
    "acyclic_siblings": AcyclicSiblingsContract,
}


class Link(NamedTuple):
    """An import that breaks a contract. `leads_to` is what it reaches by others, when it is forbidden for that."""

    importer: str
    imported: str
    lines: tuple[int | None, ...]
    leads_to: str | None = None


def broken_contracts(bench: Bench) -> Iterator[Finding]:
    configuration = read_configuration(str(bench.root / INI))
    session = configuration["session_options"]
    graph = grimp.build_graph(*session["root_packages"], include_external_packages=True, cache_dir=None)
    for options in configuration["contracts_options"]:
        yield from _checked(bench, session, options, graph)


def rule_of(contract: str) -> str:
    """Each module has a door of its own; a contract that nobody has mapped is still reported."""
    name = "door" if contract.startswith("door-") else contract
    return name if name in RULES else "contract"


def _checked(bench: Bench, session: dict[str, Any], options: dict[str, Any], graph: grimp.ImportGraph) -> Iterator[Finding]:
    kind = _TYPES.get(options["type"])
    if kind is None:
        yield _unchecked(bench, options, f"the gate does not know contracts of the type {options['type']}")
        return
    try:
        contract = kind(options["name"], session, options)
        # A contract takes imports out of the graph that it is given.
        check = contract.check(deepcopy(graph), verbose=False)
    except InvalidContractOptions as error:
        yield _unchecked(bench, options, ", ".join(f"{name}: {what}" for name, what in error.errors.items()).rstrip("."))
        return
    except ValueError as error:
        yield _unchecked(bench, options, str(error).rstrip("."))
        return
    if check.kept:
        return
    found = [*_about_links(bench, options, _links(check, graph)), *_about_strangers(bench, options, check)]
    yield from found
    if not found and not check.metadata.get("undeclared_modules"):
        yield _unchecked(bench, options, "it is broken in a way that only `lint-imports` can tell")


def _links(check: ContractCheck, graph: grimp.ImportGraph) -> Iterator[Link]:
    """Each type of contract tells what it found in a way of its own."""
    found = check.metadata
    for pair in found.get("invalid_dependencies", ()):
        for route in pair["routes"]:
            yield from _firsts([*route["extra_firsts"], route["chain"][0]], route["chain"])
    for pair in found.get("invalid_chains", ()):
        for chain in pair["chains"]:
            yield from _firsts(chain[:1], chain)
    for package in found.get("illegal_imports", ()):
        yield from _firsts(package.illegal_links, [])
    for breakers in found.get("cycle_breakers_by_package", {}).values():
        for importer, imported in breakers:
            details = graph.get_import_details(importer=importer, imported=imported)
            yield Link(importer, imported, tuple(detail["line_number"] for detail in details))


def _firsts(links: list[Any], chain: list[Any]) -> Iterator[Link]:
    leads_to = chain[-1]["imported"] if len(chain) > 1 else None
    for link in links:
        yield Link(link["importer"], link["imported"], tuple(link["line_numbers"]), leads_to)


def _about_links(bench: Bench, options: dict[str, Any], links: Iterator[Link]) -> Iterator[Finding]:
    for link in links:
        where = file_of(bench.root, link.importer)
        through = f" and through it {link.leads_to}" if link.leads_to else ""
        for line in sorted(set(link.lines), key=lambda line: line or 0):
            yield Finding(
                rule=f"imports/{rule_of(options['id'])}",
                module=bench.module_of(where),
                where=where,
                line=line,
                what=f"{link.importer} imports {link.imported}{through}, against “{options['name']}”.",
                fix=guidance(options),
            )


def _about_strangers(bench: Bench, options: dict[str, Any], check: ContractCheck) -> Iterator[Finding]:
    """Packages that have no place in the layers. Those of modules are a matter of the vocabulary."""
    for name in sorted(check.metadata.get("undeclared_modules", ())):
        where = file_of(bench.root, name)
        if name.partition(".")[0] not in bench.facts:
            yield Finding(
                rule=f"imports/{rule_of(options['id'])}",
                module=bench.module_of(where),
                where=where,
                what=f"{name} has no place in “{options['name']}”.",
                fix=guidance(options),
            )


def _unchecked(bench: Bench, options: dict[str, Any], why: str) -> Finding:
    return Finding(
        rule="imports/contract",
        module="app",
        where=INI,
        line=_line_of(bench.root, options["id"]),
        what=f"The contract {options['id']} cannot be checked: {why}.",
        fix=f"Mend [importlinter:contract:{options['id']}], or make the files that it names.",
    )


def guidance(options: Mapping[str, Any]) -> str:
    """The contract's own words."""
    words = options.get("broken_contract_guidance", "Remove the import.")
    text = " ".join(" ".join(words if isinstance(words, list) else [words]).split())
    fix = text.removeprefix("Fix:").strip()
    return f"{fix[:1].upper()}{fix[1:]}"


def _line_of(root: Path, contract: str) -> int | None:
    lines = (root / INI).read_text(encoding="utf-8").splitlines()
    return next(
        (number for number, line in enumerate(lines, 1) if line.startswith(f"[importlinter:contract:{contract}]")), None
    )
