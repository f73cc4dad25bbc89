"""Sessions in the code: which names hold one, and where a transaction or a read is open."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from app.contracts.syntax import Source

_TYPES: Final = frozenset({"sqlalchemy.orm.Session", "sqlalchemy.Connection", "sqlalchemy.engine.Connection"})
OPENERS: Final = ("transaction", "attempt")
"""Methods of the kernel's `Database` that nothing else is called like."""


def opens(source: Source, call: ast.AST) -> str | None:
    """`transaction`, `attempt` or `read` when this is a call of the kernel's `Database`, else None."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    name = call.func.attr
    if name in OPENERS or (name == "read" and "database" in source.dotted(call.func.value).lower()):
        return name
    return None


def blocks(source: Source, root: ast.AST) -> Iterator[tuple[ast.With, ast.withitem]]:
    """Each `with` that opens a transaction or a read."""
    for node in ast.walk(root):
        if isinstance(node, ast.With):
            yield from ((node, item) for item in node.items if opens(source, item.context_expr))


def session_names(source: Source, function: ast.AST) -> frozenset[str]:
    """The names in a function, and in those inside of it, that hold a session or a connection."""
    names = {item.optional_vars.id for _, item in blocks(source, function) if isinstance(item.optional_vars, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.arg) and is_session_type(source, node.annotation):
            names.add(node.arg)
    size = -1
    while size != len(names):
        size = len(names)
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=value)) if value in names:
                    names.add(name)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Name(id=value)) if value in names:
                    names.add(name)
    return frozenset(names)


def is_session_type(source: Source, annotation: ast.expr | None) -> bool:
    """Whether an annotation says Session or Connection, alone or with others."""
    if annotation is None:
        return False
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return False
    return any(source.dotted(node) in _TYPES for node in ast.walk(annotation))
