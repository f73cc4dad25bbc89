"""Reaching a neighbour without importing it: by a private member of what was handed in, or by the application.

Of the first mypy knows (no interface declares such a member), until somebody writes `type: ignore`, `Any` or `getattr`. The
application holds the services of all modules, whole.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.sources import Source, Sources

RULES: Final = {
    "private-reach": "What begins with an underscore is its own object's, and no module looks into the application.",
}
_BY_NAME: Final = frozenset({"getattr", "setattr", "delattr"})
_INSIDES: Final = frozenset({"__dict__", "__getattribute__", "__globals__", "__subclasses__"})
_PUBLIC: Final = frozenset({"_asdict", "_fields", "_make", "_mapping", "_replace"})
"""Of named tuples and SQLAlchemy's rows: the underscore keeps them apart from fields."""
_OWN: Final = frozenset({"self", "cls"})


def private_reaches(bench: Bench, sources: Sources) -> Iterator[Finding]:
    for module in bench.facts:
        for source in sources.below(f"modules/{module}"):
            if source.parts[2] != "migrations":
                yield from _private_members(bench, source)
                yield from _into_the_application(bench, source)
        for source in sources.below(f"tests/{module}"):
            yield from _services_of_others(bench, source, module)


def _private_members(bench: Bench, source: Source) -> Iterator[Finding]:
    reached: list[tuple[ast.Attribute | ast.Call, ast.expr, str]] = [
        (node, node.value, node.attr) for node in source.all(ast.Attribute)
    ]
    for call in source.all(ast.Call):
        match call:
            case ast.Call(func=ast.Name(id=by), args=[of, ast.Constant(value=str(name)), *_]) if by in _BY_NAME:
                reached.append((call, of, name))
            case ast.Call(func=ast.Name(id="vars"), args=[of]):
                reached.append((call, of, "__dict__"))
    for node, of, name in reached:
        is_private = name.startswith("_") and not name.startswith("__") and name not in _PUBLIC
        if (is_private or name in _INSIDES) and not _is_own(of):
            yield _finding(
                bench,
                source,
                node,
                f"reaches `{ast.unparse(node)}`, which is private to another object.",
                "Call a public method: of a neighbour one that its interface declares (its team adds what is lacking),"
                " of your own class one that you give it.",
            )


def _is_own(of: ast.expr) -> bool:
    match of:
        case ast.Name(id=name) | ast.Call(func=ast.Name(id="super" as name)):
            return name in (*_OWN, "super")
    return False


def _into_the_application(bench: Bench, source: Source) -> Iterator[Finding]:
    nodes: list[ast.Attribute | ast.Subscript] = [node for node in source.all(ast.Attribute) if node.attr == "app"]
    nodes += [node for node in source.all(ast.Subscript) if isinstance(node.slice, ast.Constant) and node.slice.value == "app"]
    for node in nodes:
        yield _finding(
            bench,
            source,
            node,
            f"looks into the application (`{ast.unparse(node)}`), which holds every module's service.",
            "Take what you need from the container: list the neighbour in `needs`, and let container.py pass its interface on.",
        )


def _services_of_others(bench: Bench, source: Source, module: str) -> Iterator[Finding]:
    for node in source.all(ast.Subscript):
        match node:
            case ast.Subscript(value=ast.Attribute(attr="services"), slice=ast.Constant(value=str(other))) if (
                other in bench.facts and other != module
            ):
                yield _finding(
                    bench,
                    source,
                    node,
                    f"takes the service of {other} out of the application, which is behind the door of {other}.",
                    f"Use {other}.fakes, or the routes of {other}; a test of both modules together belongs to tests/flows.",
                )


def _finding(bench: Bench, source: Source, node: ast.expr, what: str, fix: str) -> Finding:
    return Finding(
        rule="imports/private-reach",
        module=bench.module_of(source.file),
        where=source.file,
        line=node.lineno,
        what=f"{source.file.rpartition('/')[2]} {what}",
        fix=fix,
    )
