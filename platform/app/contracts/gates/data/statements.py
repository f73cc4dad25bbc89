"""SQL in the modules' code: whose tables it names, whether it leaves its role, and whether it stands where it belongs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.data.sql import holds_several, names_of_others, schema_is_open, switches_role
from app.contracts.sessions import session_names
from app.contracts.syntax import HOLE, Said, Source, Texts

KERNEL: Final = "kernel"
PLAIN_ID: Final = (
    "Keep the id in a plain BIGINT column, as a caller or an event brought it; the neighbour's events tell when it ends."
)
_SQL_FILES: Final = ("crud", "models", "migrations")
_FOR_TYPES: Final = frozenset({"Session", "Connection", "Row", "RowMapping"})
"""What other files take from sqlalchemy, besides its errors: types, to hand sessions on."""
_PAST_THE_HANDLE: Final = frozenset(
    {"engine", "get_bind", "raw_connection", "dbapi_connection", "driver_connection", "_engines", "role_prefix", "owned"}
)
_CONNECTS: Final = re.compile(
    r"sqlalchemy(\.\w+)*\.(create_engine|create_async_engine|engine_from_config|create_pool_from_url)\Z|psycopg2(\.|\Z)"
)
_KERNEL_ONLY: Final = re.compile(r"kernel\.database\.(ownership|engines|roles|provisioning|embedded)(\.|\Z)")
_COPIES: Final = frozenset({"kernel.database.copy.copy_rows", "kernel.database.copy.copy_query"})


def check_statements(bench: Bench) -> Iterator[Finding]:
    texts = Texts(bench.sources)
    house = House(bench)
    for source in bench.sources:
        yield from _File(source, texts, house).findings()


@dataclass(frozen=True)
class House:
    """Whose names there are."""

    bench: Bench

    @cached_property
    def schemas(self) -> frozenset[str]:
        return frozenset({*self.bench.facts, KERNEL})

    @cached_property
    def submodules(self) -> frozenset[str]:
        """`catalog.interface`, which looks like a table."""
        folders = {name: self.bench.root / "modules" / name for name in self.bench.facts}
        folders[KERNEL] = self.bench.root / "platform" / KERNEL
        return frozenset(f"{name}.{path.stem}" for name, folder in folders.items() for path in folder.iterdir())

    def others(self, module: str) -> frozenset[str]:
        return self.schemas - {module}

    def door(self, module: str, owner: str) -> str:
        """How `module` gets at what `owner` keeps."""
        copy = f"keep a copy in a table of {module} that a listener fills from {owner}'s events"
        if owner == KERNEL:
            return "Take it out: what modules may have of the kernel's tables, the container hands them (events, principals)."
        if owner in self._needs(module):
            return f"Call a method of {owner}.interface instead and join in Python, or {copy}."
        return f"{copy[0].upper()}{copy[1:]} (listeners.py), or let a module that needs both ask both."

    def _needs(self, module: str) -> frozenset[str]:
        direct = self.bench.facts[module].needs if module in self.bench.facts else ()
        return frozenset(direct).union(*map(self._needs, direct))


@dataclass(frozen=True)
class _File:
    source: Source
    texts: Texts
    house: House

    def findings(self) -> Iterator[Finding]:
        yield from self._foreign_names()
        yield from self._built_names()
        if self.source.module != KERNEL:
            yield from self._role_switches()
            yield from self._misplaced()

    @property
    def _migrates(self) -> bool:
        return self.source.kind == "migrations"

    @property
    def _others(self) -> frozenset[str]:
        return self.house.others(self.source.module)

    def _names(self, text: str) -> Iterator[str]:
        return names_of_others(text, self._others, submodules=self.house.submodules)

    # ---- what a statement names

    def _foreign_names(self) -> Iterator[Finding]:
        for said in self._said:
            told = {name for borrowed in said.borrowed for name in self._names(borrowed)}
            yield from (self._foreign(name, said.line, said.text) for name in self._names(said.text) if name not in told)
            if self.source.module != KERNEL and schema_is_open(said.text) and not any(map(schema_is_open, said.borrowed)):
                yield self._finding(
                    "foreign-sql",
                    said.line,
                    f"A statement of {self.source.module} names its schema only when it runs.",
                    f"Write the schema into the statement: `{self.source.module}.<table>`; values go in as parameters.",
                )

    def _foreign(self, name: str, line: int, text: str = "") -> Finding:
        module, owner = self.source.module, name.partition(".")[0]
        if self._migrates and re.search(rf'REFERENCES\s+"?{re.escape(owner)}"?\s*\.', text, re.IGNORECASE):
            return self._foreign_key(name, line)
        if self._migrates or self.source.kind == "models":
            return self._finding(
                "view",
                line,
                f"DDL of {module} names {name}, which belongs to {owner}.",
                f"A branch makes and changes what is in the schema {module} only; ask {owner}'s team for that change in their"
                " branch, and for what you want to read there in their interface.",
            )
        return self._finding(
            "foreign-sql", line, f"SQL of {module} names {name}, which belongs to {owner}.", self.house.door(module, owner)
        )

    def _foreign_key(self, name: str, line: int) -> Finding:
        module, owner = self.source.module, name.partition(".")[0]
        return self._finding(
            "foreign-key",
            line,
            f"A foreign key of {module} leads to {name}, which belongs to {owner}.",
            PLAIN_ID,
        )

    def _built_names(self) -> Iterator[Finding]:
        """Names that are no SQL yet: `table("products", schema="catalog")`, `text("catalog.products")`, `func.kernel.…`."""
        for node in self.source.nodes:
            if isinstance(node, ast.Call):
                yield from self._call(node, self.source.dotted(node.func))
            elif isinstance(node, ast.Attribute):
                parts = self.source.dotted(node).split(".")
                if parts[:2] == ["sqlalchemy", "func"] and len(parts) == 4 and parts[2] in self._others:
                    yield self._foreign(".".join(parts[2:]), node.lineno)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for name in _imported_by(self.source, node):
                    owner, _, rest = name.partition(".")
                    if owner in self._others and re.match(r"(models|crud)(\.|\Z)", rest):
                        yield self._foreign(name, node.lineno)

    def _call(self, node: ast.Call, name: str) -> Iterator[Finding]:
        ends = name.rpartition(".")[2]
        if ends in ("ForeignKey", "ForeignKeyConstraint", "create_foreign_key"):
            yield from self._key_targets(node)
            return
        schema, table = self._schema_argument(node), self._first_text(node)
        if schema in self._others and (self._migrates or name.startswith("sqlalchemy.")) and self.source.kind != "models":
            yield self._foreign(f"{schema}.{table or '…'}", node.lineno, "schema=")
        elif name.startswith("sqlalchemy.") or ends == "exec_driver_sql":
            owner, dot, rest = (table or "").replace('"', "").partition(".")
            if dot and owner in self._others and re.fullmatch(r"[\w.]+", rest):
                yield self._foreign(f"{owner}.{rest}", node.lineno)

    def _schema_argument(self, node: ast.Call) -> str | None:
        given = [keyword.value for keyword in node.keywords if keyword.arg == "schema"]
        return self.texts.value(self.source, given[0]) if given else None

    def _first_text(self, node: ast.Call) -> str | None:
        return self.texts.value(self.source, node.args[0]) if node.args else None

    def _key_targets(self, node: ast.Call) -> Iterator[Finding]:
        referent = [keyword.value for keyword in node.keywords if keyword.arg == "referent_schema"]
        if referent and (schema := self.texts.value(self.source, referent[0])) in self._others:
            table = self.texts.value(self.source, node.args[2]) if len(node.args) > 2 else None
            yield self._foreign_key(f"{schema}.{table or '…'}", node.lineno)
        for part in ast.walk(node):
            text = self.texts.value(self.source, part) if isinstance(part, ast.expr) else None
            found = re.fullmatch(r"(\w+)\.(\w+)\.\w+", text or "")
            if found and found[1] in self._others:
                yield self._foreign_key(f"{found[1]}.{found[2]}", node.lineno)

    # ---- whose role

    def _role_switches(self) -> Iterator[Finding]:
        for said in self._said:
            if switches_role(said.text) and not any(map(switches_role, said.borrowed)):
                yield self._role_switch(said.line, "says a statement that changes the role", _quoted(said))
            elif not self._migrates and self._is_several(said):
                yield self._role_switch(said.line, "puts several statements into one text", _quoted(said))
        for node in self.source.nodes:
            yield from self._ways_past(node)

    def _is_several(self, said: Said) -> bool:
        # Another database than the shop's, which has no roles.
        if "sqlite3" in self.source.imported.values():
            return False
        # The body of a trigger's function, declared for the comparison with what the migrations make; the guard runs no DDL.
        if self.source.kind == "models" and re.match(r"\s*CREATE\s", said.text):
            return False
        return holds_several(said.text) and not any(map(holds_several, said.borrowed))

    def _ways_past(self, node: ast.AST) -> Iterator[Finding]:
        if isinstance(node, ast.Attribute) and node.attr in _PAST_THE_HANDLE and self._on_session(node):
            yield self._role_switch(node.lineno, "reaches past its handle on the database", f"`.{node.attr}`")
        elif isinstance(node, ast.keyword) and node.arg == "cursor_factory":
            yield self._role_switch(node.value.lineno, "asks for another cursor than the guarded one", "`cursor_factory=`")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {self.source.imported.get((alias.asname or alias.name).partition(".")[0], "") for alias in node.names}
            names |= {alias.name for alias in node.names if isinstance(node, ast.Import)}
            for name in sorted(names):
                if _CONNECTS.match(name):
                    yield self._role_switch(node.lineno, "opens connections of its own", f"`{name}`")
                elif _KERNEL_ONLY.match(name):
                    yield self._role_switch(node.lineno, "takes what only the kernel switches roles with", f"`{name}`")
        elif isinstance(node, ast.Attribute) and _CONNECTS.match(name := self.source.dotted(node)):
            yield self._role_switch(node.lineno, "opens connections of its own", f"`{name}`")

    def _on_session(self, node: ast.Attribute) -> bool:
        root: ast.expr = node
        while isinstance(root, ast.Attribute | ast.Call):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        if "database" in self.source.dotted(node.value).lower():
            return True
        return isinstance(root, ast.Name) and root.id in self._sessions

    def _role_switch(self, line: int, does: str, what: str) -> Finding:
        return self._finding(
            "role-switch",
            line,
            f"{self.source.module} {does}: {what}.",
            "Take it out: each statement runs as the module's role, one statement at a time, by the session or connection that"
            " the service's `self._database` opened; only the kernel switches roles.",
        )

    # ---- where SQL stands

    def _misplaced(self) -> Iterator[Finding]:
        if self.source.kind in _SQL_FILES:
            return
        for node in self.source.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name in _imported_by(self.source, node):
                    if self._makes_sql(name):
                        yield self._misplacement(node.lineno, f"takes {name}, which makes SQL")
        for function in self.source.functions():
            names = session_names(self.source, function)
            for node in ast.walk(function):
                match node:
                    case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in names:
                        yield self._misplacement(node.lineno, f"uses the session's `{attribute}` itself")
                    case ast.Call(func=ast.Attribute(attr="exec_driver_sql")):
                        yield self._misplacement(node.lineno, "runs SQL with `exec_driver_sql`")

    def _makes_sql(self, name: str) -> bool:
        if name in _COPIES:
            return True
        top, _, rest = name.partition(".")
        return top == "sqlalchemy" and not rest.startswith("exc") and name.rpartition(".")[2] not in _FOR_TYPES

    def _misplacement(self, line: int, does: str) -> Finding:
        module, kind = self.source.module, self.source.kind or "__init__"
        return self._finding(
            "sql-outside-crud",
            line,
            f"The {kind} of {module} {does}.",
            f"Move the statement into a function of {module}.crud that takes the session, and call that.",
        )

    @cached_property
    def _said(self) -> list[Said]:
        return list(self.texts.of(self.source))

    @cached_property
    def _sessions(self) -> frozenset[str]:
        return frozenset().union(*(session_names(self.source, function) for function in self.source.functions()))

    def _finding(self, rule: str, line: int, what: str, fix: str) -> Finding:
        return Finding(rule=f"data/{rule}", module=self.source.module, where=self.source.where, line=line, what=what, fix=fix)


def _imported_by(source: Source, node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [source.imported.get(alias.asname or alias.name, "") for alias in node.names]


def _quoted(said: Said) -> str:
    text = " ".join(said.text.replace(HOLE, "…").split())
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`"
