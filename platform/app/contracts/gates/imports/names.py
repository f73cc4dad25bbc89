"""Names: what an expression stands for as far as the file itself says: a dotted name, or a text that is put together."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from app.contracts.sources import Source, absolute

BUILTINS: Final = frozenset({"__import__", "exec", "eval", "compile", "getattr"})


class Names:
    """The names of one file. What is bound twice counts as what it was bound to first."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def of(self, node: ast.expr) -> str | None:
        """`load` is `importlib.import_module` after `from importlib import import_module as load`."""
        if isinstance(node, ast.Name):
            return self._bound.get(node.id) or (node.id if node.id in BUILTINS else None)
        if isinstance(node, ast.Attribute):
            return self._member(node.value, node.attr)
        if isinstance(node, ast.Call) and self.of(node.func) == "getattr" and len(node.args) > 1:
            attribute = self.text(node.args[1])
            return self._member(node.args[0], attribute) if attribute else None
        return None

    def _member(self, owner: ast.expr, attribute: str) -> str | None:
        name = self.of(owner)
        if name is None:
            return None
        return attribute if name in ("builtins", "__builtins__") else f"{name}.{attribute}"

    def text(self, node: ast.expr) -> str | None:
        """A text that does not depend on anything outside of the file; else None."""
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name):
                return self._texts.get(name)
            case ast.JoinedStr(values=values):
                return self._joined("", values)
            case ast.FormattedValue(value=value):
                return self.text(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined("", [left, right])
            case ast.Call(func=ast.Attribute(value=glue, attr="join"), args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]):
                between = self.text(glue)
                return None if between is None else self._joined(between, parts)
        return None

    def _joined(self, glue: str, parts: list[ast.expr]) -> str | None:
        texts = [self.text(part) for part in parts]
        return None if None in texts else glue.join(filter(None, texts))

    @cached_property
    def _bound(self) -> dict[str, str]:
        bound: dict[str, str] = {"__builtins__": "__builtins__"}
        for name, stands_for in self._bindings():
            bound.setdefault(name, stands_for)
        return bound

    def _bindings(self) -> Iterator[tuple[str, str]]:
        for node in self._source.all(ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        for from_ in self._source.all(ast.ImportFrom):
            base = absolute(from_, self._source.package)
            yield from ((alias.asname or alias.name, f"{base}.{alias.name}") for alias in from_.names)

    @cached_property
    def _texts(self) -> dict[str, str]:
        """Constants of the file, by name; one that is bound twice is none."""
        found: dict[str, list[ast.expr | None]] = {}
        for assigned in self._source.all(ast.Assign):
            for target in assigned.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(assigned.value)
        for annotated in self._source.all(ast.AnnAssign):
            if isinstance(annotated.target, ast.Name):
                found.setdefault(annotated.target.id, []).append(annotated.value)
        rebound: list[ast.expr] = [each.target for each in self._source.all(ast.AugAssign)]
        rebound += [each.target for each in self._source.all(ast.For)]
        for name in [target.id for target in rebound if isinstance(target, ast.Name)]:
            found.setdefault(name, []).append(None)
        constants = {name: values[0] for name, values in found.items() if len(values) == 1}
        return {
            name: value.value
            for name, value in constants.items()
            if isinstance(value, ast.Constant) and isinstance(value.value, str)
        }
