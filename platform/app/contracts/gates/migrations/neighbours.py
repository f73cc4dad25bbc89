"""Neighbours: a revision names its own module's schema only."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gates.migrations.history import finding
from app.contracts.gates.migrations.revisions import Revision
from app.contracts.gates.migrations.script import Written

SHARED: Final = ("public",)
"""Schemas that belong to nobody here."""

FIX: Final = (
    "Leave the other schema alone: change it in a revision of its own module, or ask that module by its interface when the"
    " code runs."
)


def check_schemas(revision: Revision, statements: Sequence[Written], branches: Collection[str]) -> Iterator[Finding]:
    """Both by what the revision sends and by what it says, which may be sent only under some condition."""
    others = {*branches, *SHARED} - {revision.branch}
    named: dict[str, tuple[str, int | None]] = {}
    for written in statements:
        for schema, thing in foreign(written.sql, others):
            named.setdefault(thing, (schema, written.line))
    # What was sent is named better than what is only said.
    others -= {schema for schema, _ in named.values()}
    for text, place in _texts(revision.tree):
        for schema, thing in foreign(text, others):
            named.setdefault(thing, (schema, place))
    others -= {schema for schema, _ in named.values()}
    for schema, place in _schema_arguments(revision.tree):
        if schema in others:
            named.setdefault(schema, (schema, place))
    for thing, (schema, line) in named.items():
        what = f"It names {thing}, which is in the schema {schema}, not in {revision.branch}'s own."
        yield finding("foreign-schema", revision, what, FIX, line)


def foreign(sql: str, others: Collection[str]) -> Iterator[tuple[str, str]]:
    """(schema, "schema.name") of everything in these schemas that an SQL text names."""
    if not others:
        return
    names = "|".join(re.escape(name) for name in sorted(others))
    for found in re.finditer(rf'(?<![\w."])"?({names})"?\."?(\w+|[*…])', sql):
        # The alias of a table of one's own may be called like a module.
        if not re.search(rf'\bAS\s+"?{re.escape(found[1])}"?(?![\w."])', sql, re.IGNORECASE):
            yield found[1], f"{found[1]}.{found[2]}"


def _texts(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every text that is no documentation; one with holes as a whole."""
    nodes = list(ast.walk(tree))
    skipped = {id(piece) for node in nodes if isinstance(node, ast.JoinedStr) for piece in node.values}
    skipped |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(piece.value) if isinstance(piece, ast.Constant) else "…" for piece in node.values), node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value, node.lineno


def _schema_arguments(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and (node.arg or "").endswith("schema") and isinstance(node.value, ast.Constant):
            yield str(node.value.value), node.value.lineno
