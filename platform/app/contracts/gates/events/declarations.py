"""Declarations: where events are declared and made, read from the files, so that it is told when nothing can be imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.events.names import Names, events_in
from app.contracts.syntax import Source

DECLARATION_RULES: Final = {
    "event-elsewhere": "A module declares its events in its interface, where others can see them.",
    "event-name": "An event's `name` is its module's, a dot, and the class's.",
    "not-frozen": "An event is a frozen dataclass: a fact does not change.",
    "foreign-event": "A module announces its own facts, and nobody else's.",
}


def check_declarations(bench: Bench) -> Iterator[Finding]:
    names = Names(bench.sources)
    events = events_in(bench.sources, names)
    for _, (source, node) in sorted(events.items()):
        if f"{source.name}.".startswith(f"{source.module}.interface.") and source.module in bench.facts:
            yield from _declared(names, source, node)
        else:
            yield _elsewhere(bench, source, node)
    yield from _made(bench, names, events)


def _elsewhere(bench: Bench, source: Source, node: ast.ClassDef) -> Finding:
    own = f"modules/{source.module}/interface.py"
    home = own if source.module in bench.facts else "the interface.py of the module whose fact it is"
    return Finding(
        rule="events/event-elsewhere",
        module=source.module,
        where=source.where,
        line=node.lineno,
        what=f"The event {node.name} is declared outside of an interface, where nobody can promise it.",
        fix=f"Move the class to {home}.",
    )


def _declared(names: Names, source: Source, node: ast.ClassDef) -> Iterator[Finding]:
    if not _is_frozen(names, source, node):
        yield Finding(
            rule="events/not-frozen",
            module=source.module,
            where=source.where,
            line=node.lineno,
            what=f"The event {node.name} is no frozen dataclass.",
            fix="Write @dataclass(frozen=True, kw_only=True) above the class.",
        )
    if node.name.startswith("_"):
        # A base that events share; it is never announced itself.
        return
    wanted = f"{source.module}.{node.name}"
    line, name = _name(node)
    if name != wanted:
        says = f"has the name {name!r}" if name is not None else "has no `name` of its own that can be read here"
        yield Finding(
            rule="events/event-name",
            module=source.module,
            where=source.where,
            line=line,
            what=f"The event {node.name} {says}.",
            fix=f'Write `name: ClassVar[str] = "{wanted}"`; when the name is in use already, rename the class instead.',
        )


def _is_frozen(names: Names, source: Source, node: ast.ClassDef) -> bool:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and names.meaning(source, decorator.func) == "dataclasses.dataclass":
            values = {keyword.arg: keyword.value for keyword in decorator.keywords}
            frozen = values.get("frozen")
            return isinstance(frozen, ast.Constant) and frozen.value is True
    return False


def _name(node: ast.ClassDef) -> tuple[int, str | None]:
    for statement in node.body:
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == "name" for target in targets):
            value = getattr(statement, "value", None)
            return statement.lineno, str(value.value) if isinstance(value, ast.Constant) else None
    return node.lineno, None


def _made(bench: Bench, names: Names, events: Mapping[str, tuple[Source, ast.ClassDef]]) -> Iterator[Finding]:
    """Whoever makes an event announces it: listeners get theirs made."""
    calls = ((source, node) for source in bench.sources for node in source.nodes if isinstance(node, ast.Call))
    for source, node in calls:
        name = names.meaning(source, node.func)
        declared = events.get(name or "")
        if declared is None or declared[0].module == source.module or source.module not in bench.facts:
            continue
        owner, event = declared[0].module, declared[1].name
        yield Finding(
            rule="events/foreign-event",
            module=source.module,
            where=source.where,
            line=node.lineno,
            what=f"{source.module} makes the event {event}, which {owner} alone announces.",
            fix=f"Announce a fact of {source.module} instead, from its interface.py, or call {owner} and let it announce.",
        )
