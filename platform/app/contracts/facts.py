"""Facts: what a module's `module.py` says, read as text, so that it can be known when the module cannot be imported."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    name: str
    owner: str = "nobody"
    needs: tuple[str, ...] = ()
    listens: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where each argument of `Module(...)` stands in `module.py`."""


def read_facts(root: Path) -> dict[str, Facts]:
    """Of every folder below `modules/`; one without a readable description has its name only."""
    folders = sorted(path for path in (root / "modules").iterdir() if (path / "__init__.py").exists())
    return {path.name: _facts(path.name, path / "module.py") for path in folders}


def _facts(name: str, file: Path) -> Facts:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return Facts(name=name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Module":
            values = {keyword.arg: _literal(keyword.value) for keyword in node.keywords if keyword.arg}
            lines = {keyword.arg: keyword.value.lineno for keyword in node.keywords if keyword.arg}
            return Facts(
                name=name,
                owner=values.get("owner") or "nobody",
                needs=tuple(values.get("needs") or ()),
                listens=values.get("listens") or {},
                lines=lines,
            )
    return Facts(name=name)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
