"""Loading: nothing is read from the database by touching an attribute."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy.orm import Mapper

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.data.tables import relationships_in
from app.contracts.sessions import session_names
from app.contracts.syntax import Source

LOUD: Final = frozenset({"raise", "raise_on_sql", "write_only"})
_AGAIN: Final = frozenset({"refresh", "expire", "expire_all"})


def check_files(bench: Bench) -> Iterator[Finding]:
    """What the files say, without importing them."""
    for source in bench.sources:
        if source.module == "kernel" or source.kind == "migrations":
            continue
        for name, node, _ in relationships_in(source):
            given = {keyword.arg: keyword.value for keyword in node.keywords}.get("lazy")
            if given is None or (isinstance(given, ast.Constant) and given.value not in LOUD):
                yield _relationship(source.module, name, source.where, node.lineno)
        yield from _loaded_again(source)


def _loaded_again(source: Source) -> Iterator[Finding]:
    for function in source.functions():
        names = session_names(source, function)
        for node in ast.walk(function):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in names and attribute in _AGAIN:
                    yield Finding(
                        rule="work/lazy-load",
                        module=source.module,
                        where=source.where,
                        line=node.lineno,
                        what=f"`{name}.{attribute}` in {function.name} reads a row once more.",
                        fix="Let the statement that changes the row answer it, by RETURNING.",
                    )


def check_mappers(bench: Bench) -> Iterator[Finding]:
    """What the imported classes say."""
    for module in bench.modules:
        for mapped in _classes(module.name):
            mapper: Mapper[Any] = mapped.__dict__["__mapper__"]
            mapper.registry.configure()
            where, line = _place(bench, mapped)
            for found in mapper.relationships:
                if found.lazy not in LOUD:
                    yield _relationship(module.name, f"{mapped.__name__}.{found.key}", where, line)
            for column in mapper.column_attrs:
                if column.deferred and not column.raiseload:
                    yield Finding(
                        rule="work/lazy-load",
                        module=module.name,
                        where=where,
                        line=line,
                        what=f"The deferred column {mapped.__name__}.{column.key} is read when it is touched.",
                        fix="Give it `deferred_raiseload=True`, and name it in the SELECT of whoever needs it.",
                    )


def _relationship(module: str, name: str, where: str, line: int | None) -> Finding:
    return Finding(
        rule="work/lazy-load",
        module=module,
        where=where,
        line=line,
        what=f"The relationship {name} is loaded when it is touched.",
        fix='Give it `lazy="raise"`, and load what a use case needs in the statement itself (a join, or `selectinload`).',
    )


def _classes(module: str) -> Iterator[type]:
    for name in sorted(sys.modules):
        if name == module or name.startswith(f"{module}."):
            for value in list(vars(sys.modules[name]).values()):
                if isinstance(value, type) and value.__module__ == name and "__mapper__" in vars(value):
                    yield value


def _place(bench: Bench, mapped: type) -> tuple[str, int | None]:
    for source in bench.sources:
        if source.name == mapped.__module__:
            return source.where, source.line_of(mapped.__name__)
    return mapped.__module__, None
