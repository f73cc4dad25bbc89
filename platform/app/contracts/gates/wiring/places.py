"""Places: where in a module's files something stands that was found by looking at the module itself."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import NamedTuple

from app.contracts.gate import Bench
from kernel.module import Module


class Place(NamedTuple):
    where: str
    line: int | None = None


def description(bench: Bench, name: str, argument: str | None = None) -> Place:
    """`module.py`, at an argument of `Module(...)`."""
    facts = bench.facts.get(name)
    if facts is None:
        return Place(f"the module {name}")
    return Place(f"modules/{name}/module.py", facts.lines.get(argument or "name"))


def provider(bench: Bench, module: Module, name: str | None) -> Place:
    """Where the container defines a provider; without a name, or without such a provider, the container itself."""
    file = Path(inspect.getsourcefile(module.container) or "")
    if not file.is_relative_to(bench.root):
        return Place(f"the container of {module.name}")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == module.container.__name__:
            lines = {
                target.id: assigned.lineno
                for assigned in node.body
                if isinstance(assigned, ast.Assign | ast.AnnAssign)
                for target in (assigned.targets if isinstance(assigned, ast.Assign) else [assigned.target])
                if isinstance(target, ast.Name)
            }
            return Place(bench.shown(file), lines.get(name or "", node.lineno))
    return Place(bench.shown(file))


def listeners(bench: Bench, module: Module) -> Place:
    for folder in (f"modules/{module.name}/listeners.py", f"modules/{module.name}/listeners/__init__.py"):
        if (bench.root / folder).exists():
            return Place(folder)
    return description(bench, module.name, "listens")
