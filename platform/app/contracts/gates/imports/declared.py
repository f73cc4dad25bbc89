"""What `module.py` declares against what the module's files import: `needs` for calls, `listens` for events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.contracts.facts import Facts
from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.sources import LISTENERS, Source, Sources

RULES: Final = {
    "unused-need": "A module imports the interface of each module that it lists in `needs`.",
    "unused-listen": "The listeners import the interface of each publisher that `listens` names.",
    "undeclared-need": "A module lists in `needs` whose interface it imports (in listeners.py: in `listens`).",
}


def declared_needs(bench: Bench, sources: Sources) -> Iterator[Finding]:
    for facts in bench.facts.values():
        files = [source for source in sources.below(f"modules/{facts.name}") if "migrations" not in source.parts]
        yield from _unused(facts, files)
        for source in files:
            yield from _undeclared(bench, facts, source)


def _unused(facts: Facts, files: list[Source]) -> Iterator[Finding]:
    callers = [source for source in files if not is_listener(source)]
    for need in facts.needs:
        if not any(_knows(source, need) for source in callers):
            yield _in_description(
                facts,
                "unused-need",
                "needs",
                f"{facts.name} lists {need} in `needs`, and no file of it imports {need}.interface.",
                f"Take {need} out of `needs`"
                + ("; what listeners.py hears is listed in `listens`." if need in facts.listens else "; it boots without."),
            )
    for publisher, listeners in facts.listens.items():
        files_of = [source for source in files if _is_part(source, listeners)]
        if not any(_knows(source, publisher) for source in files_of):
            yield _in_description(
                facts,
                "unused-listen",
                "listens",
                f"{facts.name} lists {publisher} in `listens`, and {listeners} does not import {publisher}.interface.",
                f"Take {publisher} out of `listens`, or add the listener of its event to {listeners}.",
            )


def _undeclared(bench: Bench, facts: Facts, source: Source) -> Iterator[Finding]:
    for found in source.imports:
        package, _, rest = found.name.partition(".")
        if package == facts.name or package not in bench.facts or rest.partition(".")[0] != "interface":
            continue
        if package in facts.needs or (is_listener(source) and package in facts.listens):
            continue
        here = "listens" if is_listener(source) else "needs"
        yield Finding(
            rule="imports/undeclared-need",
            module=facts.name,
            where=source.file,
            line=found.line,
            what=f"{facts.name} imports {package}.interface without listing {package} in `{here}`.",
            fix=f"List {package} in `{here}` of modules/{facts.name}/module.py, or do without it.",
        )


def is_listener(source: Source) -> bool:
    """Of a module: `listeners.py` or a file in the folder `listeners/`."""
    return source.parts[:1] == ["modules"] and source.parts[2:3] == [LISTENERS]


def _is_part(source: Source, name: str) -> bool:
    """Whether the file is the module of this import name, or in it."""
    return f"{'.'.join(source.parts[1:])}.".removesuffix("__init__.").startswith(f"{name}.")


def _knows(source: Source, module: str) -> bool:
    return any(f"{found.name}.".startswith(f"{module}.interface.") for found in source.imports)


def _in_description(facts: Facts, rule: str, argument: str, what: str, fix: str) -> Finding:
    return Finding(
        rule=f"imports/{rule}",
        module=facts.name,
        where=f"modules/{facts.name}/module.py",
        line=facts.lines.get(argument),
        what=what,
        fix=fix,
    )
