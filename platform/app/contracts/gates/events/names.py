"""Names: what a name in a file stands for, followed through imports and aliases without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

EVENT: Final = "kernel.pure.events.Event"
_MAX_STEPS: Final = 20


@dataclass(frozen=True)
class Source:
    """One file: its import name, and what its own names stand for."""

    path: Path
    name: str
    tree: ast.Module
    names: Mapping[str, str] = field(default_factory=dict)

    def qualified(self, node: ast.expr) -> str | None:
        """`interface.OrderPaid` -> `ordering.interface.OrderPaid`; None for what is no name."""
        if isinstance(node, ast.Subscript):
            return self.qualified(node.value)
        if isinstance(node, ast.Attribute):
            owner = self.qualified(node.value)
            return owner and f"{owner}.{node.attr}"
        return self.names.get(node.id, f"{self.name}.{node.id}") if isinstance(node, ast.Name) else None


class Sources:
    """The files of one or more source roots."""

    def __init__(self, roots: list[Path]) -> None:
        self.files = [source for root in roots for source in _read(root)]
        self._meant = {f"{source.name}.{name}": meant for source in self.files for name, meant in source.names.items()}

    def meaning(self, source: Source, node: ast.expr) -> str | None:
        """What a name stands for in the end: a name that a file has imported and passes on is followed."""
        found = source.qualified(node)
        for _ in range(_MAX_STEPS):
            if found is None or found not in self._meant:
                return found
            found = self._meant[found]
        return found

    def events(self) -> dict[str, tuple[Source, ast.ClassDef]]:
        """Every class that is an event, wherever it is written, by its full name."""
        classes = [
            (source, node, {self.meaning(source, base) for base in node.bases})
            for source in self.files
            for node in ast.walk(source.tree)
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


def _read(root: Path) -> Iterator[Source]:
    for path in sorted(root.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError:
            # Whoever imports it says so.
            continue
        parts = list(path.relative_to(root).with_suffix("").parts)
        package = parts[:-1]
        if parts[-1] == "__init__":
            parts = package
        name = ".".join(parts)
        yield Source(path, name, tree, _names(tree, name, package))


def _names(tree: ast.Module, name: str, package: list[str]) -> dict[str, str]:
    names = dict(_imported(tree, package))
    for node in tree.body:
        # `Base = Event` is one more name for it.
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
            meant = Source(Path(), name, tree, names).qualified(node.value)
            names |= {target.id: meant for target in node.targets if isinstance(target, ast.Name) and meant}
    return names


def _imported(tree: ast.Module, package: list[str]) -> Iterator[tuple[str, str]]:
    """Imports inside of functions count as well: a name means one thing in a file, by our style."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield alias.asname or alias.name, f"{source}.{alias.name}"
