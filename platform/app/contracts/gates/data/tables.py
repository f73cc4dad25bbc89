"""Tables: each belongs to one module's schema; no key, relationship or mapped column leads into another one."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoReferencedTableError
from sqlalchemy.orm import Mapper, RelationshipProperty
from sqlalchemy.sql import visitors
from sqlalchemy.sql.schema import Column

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.data.statements import PLAIN_ID, House
from app.contracts.syntax import Source, Texts
from kernel.module import Module

RELATIONSHIP: Final = "sqlalchemy.orm.relationship"
_METADATA: Final = "kernel.database.types.module_metadata"


def check_models(bench: Bench) -> Iterator[Finding]:
    """What the files say, without importing them."""
    sources = [source for source in bench.sources if source.module != "kernel" and source.kind != "migrations"]
    texts, house = Texts(sources), House(bench)
    classes = _classes(sources)
    for source in sources:
        yield from _metadatas(source, texts)
        for name, node, annotation in relationships_in(source):
            others = {owner: names for owner, names in classes.items() if owner != source.module}
            for owner in _leads_to(source, texts, [node, annotation], others, classes.get(source.module, frozenset())):
                yield relationship(house, source.module, name, owner, (source.where, node.lineno))


def _metadatas(source: Source, texts: Texts) -> Iterator[Finding]:
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = source.dotted(node.func)
        given = texts.value(source, node.args[0]) if node.args else None
        if (name.startswith("sqlalchemy.") and name.endswith(".MetaData")) or (name == _METADATA and given != source.module):
            yield Finding(
                rule="data/stranger-table",
                module=source.module,
                where=source.where,
                line=node.lineno,
                what=f"{source.module} makes a MetaData beside its own, whose tables no migration of the module knows.",
                fix=f'Declare all tables of the module on `Base` in its models, with `module_metadata("{source.module}")`.',
            )


def _classes(sources: Iterable[Source]) -> dict[str, frozenset[str]]:
    """Module -> the names of its mapped classes."""
    found: dict[str, set[str]] = {}
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef) and any(_sets_table(part) for part in node.body):
                found.setdefault(source.module, set()).add(node.name)
    return {module: frozenset(names) for module, names in found.items()}


def _sets_table(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id in ("__tablename__", "__table__") for target in targets)


def relationships_in(source: Source) -> Iterator[tuple[str, ast.Call, ast.expr | None]]:
    """Each `relationship(…)` of a file: what it is called (`Order.lines`), the call, and its annotation."""
    for owner, node in _statements(source.tree, ""):
        value = getattr(node, "value", None)
        if not isinstance(value, ast.Call) or source.dotted(value.func) != RELATIONSHIP:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        name = ast.unparse(target) if target is not None else "?"
        yield f"{owner}.{name}".lstrip("."), value, getattr(node, "annotation", None)


def _statements(node: ast.AST, owner: str) -> Iterator[tuple[str, ast.stmt]]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.ClassDef) else owner
        if isinstance(child, ast.stmt):
            yield owner, child
        yield from _statements(child, inside)


def _leads_to(
    source: Source,
    texts: Texts,
    nodes: Iterable[ast.expr | None],
    others: Mapping[str, frozenset[str]],
    own: frozenset[str],
) -> list[str]:
    found: dict[str, None] = {}
    for part in (part for node in nodes if node is not None for part in ast.walk(node)):
        if isinstance(part, ast.Name | ast.Attribute):
            top = source.dotted(part).partition(".")[0]
            found |= {top: None} if top in others else {}
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            text = texts.value(source, part) or ""
            for owner, classes in others.items():
                named = {word for word in re.findall(r"\w+", text) if word in classes and word not in own}
                if named or re.search(rf"(?<![\w.]){owner}\.\w", text):
                    found[owner] = None
    return list(found)


def relationship(house: House, module: str, name: str, owner: str, place: tuple[str, int | None]) -> Finding:
    return Finding(
        rule="data/relationship",
        module=module,
        where=place[0],
        line=place[1],
        what=f"The relationship {name} of {module} leads into {owner}.",
        fix=f"Delete it and keep the id. {house.door(module, owner)}",
    )


def check_metadata(bench: Bench, told: Collection[str]) -> Iterator[Finding]:
    """What the imported models say; sees what the files do not show. `told`: whose files have shown a foreign relationship."""
    owners: dict[str, str] = {}
    for module in bench.modules:
        home = Home(module, [source for source in bench.sources if source.module == module.name], House(bench))
        yield from _tables(home, owners)
        yield from _strays(home)
        yield from _mapped(home, told)


@dataclass(frozen=True)
class Home:
    """A module's description, and where its files are."""

    module: Module
    sources: list[Source]
    house: House

    def find(self, rule: str, table: Table, what: str, fix: str) -> Finding:
        where, line = self.declared(table.name)
        return Finding(rule=f"data/{rule}", module=self.module.name, where=where, line=line, what=what, fix=fix)

    def declared(self, name: str) -> tuple[str, int | None]:
        """Where a table is declared, by its name; the file `models` when that is not to be seen."""
        for source in self.sources:
            for node in source.nodes:
                values = (
                    [part.value for part in node.body if _sets_table(part) and hasattr(part, "value")]
                    if isinstance(node, ast.ClassDef)
                    else node.args[:1]
                    if isinstance(node, ast.Call) and source.dotted(node.func).endswith(".Table")
                    else []
                )
                if any(isinstance(value, ast.Constant) and value.value == name for value in values):
                    return source.where, getattr(node, "lineno", None)
        return f"modules/{self.module.name}/models.py", None

    def classes(self) -> Iterator[type]:
        """The mapped classes of the module, wherever they are defined."""
        prefix = f"{self.module.name}."
        for name in sorted(sys.modules):
            if name.startswith(prefix) or name == self.module.name:
                for value in list(vars(sys.modules[name]).values()):
                    if isinstance(value, type) and value.__module__ == name and "__mapper__" in vars(value):
                        yield value


def _tables(home: Home, owners: dict[str, str]) -> Iterator[Finding]:
    name = home.module.name
    for table in home.module.metadata.tables.values():
        if table.schema != name:
            yield home.find(
                "stranger-table",
                table,
                f"{name} declares the table {table.fullname}, which is not in its schema.",
                f"Take `schema=` out, so that the table is in {name}; what another module keeps, its interface answers.",
            )
        elif table.fullname in owners:
            yield home.find(
                "stranger-table",
                table,
                f"{name} declares the table {table.fullname}, as {owners[table.fullname]} does.",
                "Declare it in one module, and let the other one ask that.",
            )
        owners.setdefault(table.fullname, name)
        for key in table.foreign_keys:
            target = key.target_fullname.rpartition(".")[0]
            owner = target.rpartition(".")[0]
            if owner != name and table.schema == name:
                yield home.find(
                    "foreign-key",
                    table,
                    f"A foreign key of {name} leads to {target}, which belongs to {owner or 'no module'}.",
                    PLAIN_ID,
                )


def _strays(home: Home) -> Iterator[Finding]:
    """Mapped classes on another MetaData than the module's: no migration knows them."""
    for mapped in home.classes():
        table = mapped.__dict__["__mapper__"].local_table
        if isinstance(table, Table) and table.metadata is not home.module.metadata:
            yield home.find(
                "stranger-table",
                table,
                f"{home.module.name} maps {mapped.__name__} on another MetaData than its own, which no migration knows.",
                f"Let {mapped.__name__} inherit the module's own `Base`.",
            )


def _mapped(home: Home, told: Collection[str]) -> Iterator[Finding]:
    for mapped in home.classes():
        mapper: Mapper[Any] = mapped.__dict__["__mapper__"]
        try:
            mapper.registry.configure()
        except (InvalidRequestError, ArgumentError, NoReferencedTableError):
            # The files have told why: a class of another module.
            if home.module.name in told:
                return
            raise
        for found in mapper.relationships:
            for owner in sorted(_schemas_of(found) - {home.module.name}):
                name = f"{mapped.__name__}.{found.key}"
                yield relationship(home.house, home.module.name, name, owner, _place(home, name, mapper))


def _schemas_of(found: RelationshipProperty[Any]) -> set[str]:
    tables = {found.mapper.local_table, found.secondary}
    for join in (found.primaryjoin, found.secondaryjoin):
        if join is not None:
            tables |= {part.table for part in visitors.iterate(join) if isinstance(part, Column)}
    return {table.schema or "public" for table in tables if isinstance(table, Table)}


def _place(home: Home, wanted: str, mapper: Mapper[Any]) -> tuple[str, int | None]:
    for source in home.sources:
        for name, node, _ in relationships_in(source):
            if name == wanted:
                return source.where, node.lineno
    return home.declared(getattr(mapper.local_table, "name", ""))
