"""Fitting: whether a value of one written type can stand where another is wanted."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

_WIDER: Final[Mapping[str, frozenset[str]]] = {
    "tuple": frozenset({"Sequence", "Collection", "Iterable"}),
    "Sequence": frozenset({"Collection", "Iterable"}),
    "frozenset": frozenset({"Set", "Collection", "Iterable"}),
    "Set": frozenset({"Collection", "Iterable"}),
    "Collection": frozenset({"Iterable"}),
    "Iterator": frozenset({"Iterable"}),
}
"""Containers that nobody can change, and what each of them is, too."""


def fits(given: str, wanted: str) -> bool:
    """`tuple[int, ...]` fits `Sequence[int | None]`; when in doubt, no."""
    if given == wanted:
        return True
    try:
        here, there = (ast.parse(text, mode="eval").body for text in (given, wanted))
    except SyntaxError:
        return False
    return _fits(here, there)


def may_be_none(text: str) -> bool:
    return text == "None" or text.endswith(" | None")


def without_none(text: str) -> str:
    return text.removesuffix(" | None")


def _fits(given: ast.expr, wanted: ast.expr) -> bool:
    return all(any(_one(each, other) for other in _alternatives(wanted)) for each in _alternatives(given))


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _one(given: ast.expr, wanted: ast.expr) -> bool:
    if ast.dump(given) == ast.dump(wanted):
        return True
    if not (isinstance(given, ast.Subscript) and isinstance(wanted, ast.Subscript)):
        return False
    here, there = ast.unparse(given.value), ast.unparse(wanted.value)
    mine, theirs = _arguments(given), _arguments(wanted)
    if here == there == "Literal":
        return set(map(ast.dump, mine)) <= set(map(ast.dump, theirs))
    if here == there == "Mapping" and len(mine) == len(theirs) == 2:
        return ast.dump(mine[0]) == ast.dump(theirs[0]) and _fits(mine[1], theirs[1])
    if here == there and here in _WIDER:
        return len(mine) == len(theirs) and all(map(_fits, mine, theirs))
    if there in _WIDER.get(here, ()):
        elements = [element for element in mine if not _is_ellipsis(element)]
        return all(_fits(element, theirs[0]) for element in elements)
    return False


def _arguments(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
