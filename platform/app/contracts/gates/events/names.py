"""Names: what a name in a file stands for, followed through imports, aliases and re-exports without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Final

from app.contracts.syntax import Source

EVENT: Final = "kernel.pure.events.Event"
_MAX_STEPS: Final = 20


class Names:
    """Of some files, each of which knows only its own."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._own = {source.name: _own(source) for source in sources}
        self._meant = {f"{module}.{name}": meant for module, names in self._own.items() for name, meant in names.items()}

    def meaning(self, source: Source, node: ast.AST) -> str | None:
        """What it stands for in the end; None for what is no name."""
        found = _qualified(source, self._own[source.name], node)
        for _ in range(_MAX_STEPS):
            if found is None or found not in self._meant:
                return found
            found = self._meant[found]
        return found


def events_in(sources: Iterable[Source], names: Names) -> dict[str, tuple[Source, ast.ClassDef]]:
    """Every class that is an event, wherever it is written, by its full name."""
    classes = [
        (source, node, {names.meaning(source, base) for base in node.bases})
        for source in sources
        for node in source.nodes
        if isinstance(node, ast.ClassDef)
    ]
    found: dict[str, tuple[Source, ast.ClassDef]] = {}
    known, grown = {EVENT}, True
    while grown:
        grown = False
        for source, node, bases in classes:
            name = f"{source.name}.{node.name}"
            if name not in known and bases & known:
                found[name] = (source, node)
                known.add(name)
                grown = True
    return found


def _own(source: Source) -> Mapping[str, str]:
    """What a file imports, and `Base = Event` as one more name for it."""
    names = dict(source.imported)
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
            meant = _qualified(source, names, node.value)
            names |= {target.id: meant for target in node.targets if isinstance(target, ast.Name) and meant}
    return names


def _qualified(source: Source, names: Mapping[str, str], node: ast.AST) -> str | None:
    """`interface.OrderPaid` -> `ordering.interface.OrderPaid`."""
    if isinstance(node, ast.Subscript):
        return _qualified(source, names, node.value)
    if isinstance(node, ast.Attribute):
        owner = _qualified(source, names, node.value)
        return owner and f"{owner}.{node.attr}"
    return names.get(node.id, f"{source.name}.{node.id}") if isinstance(node, ast.Name) else None
