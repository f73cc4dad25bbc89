"""Transactions: the service's block opens one and ends it; nothing else commits, and no session outlives its block."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.sessions import blocks, is_session_type, opens, session_names
from app.contracts.syntax import Source, Texts

_ENDS: Final = frozenset({"commit", "rollback", "begin", "begin_nested", "begin_twophase"})
_ENDS_OF_SESSIONS: Final = frozenset({"close", "close_all", "invalidate", "prepare", "reset"})
"""Too common to be refused of anything else."""
_SAYS: Final = re.compile(r"\s*(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
_MAKES_SESSIONS: Final = frozenset(
    {"sqlalchemy.orm.Session", "sqlalchemy.orm.sessionmaker", "sqlalchemy.orm.scoped_session", "sqlalchemy.Connection"}
)
_KEEPS: Final = frozenset({"set", "append", "put", "setdefault"})
_DEPENDS: Final = re.compile(r"fastapi(\.\w+)*\.(Depends|Security)\Z")


def check_transactions(bench: Bench) -> Iterator[Finding]:
    sources = [source for source in bench.sources if source.module != "kernel" and source.kind != "migrations"]
    texts = Texts(sources)
    for source in sources:
        file = _File(source, texts)
        yield from file.commits()
        yield from file.openings()
        yield from file.kept_sessions()
        yield from _generators(source, sources)


@dataclass(frozen=True)
class _File:
    source: Source
    texts: Texts

    # ---- commit

    def commits(self) -> Iterator[Finding]:
        for node in self.source.nodes:
            match node:
                case ast.Attribute(attr=name) if name in _ENDS and not self._is_ours(node):
                    yield self._commit(node.lineno, f"`.{name}`")
                case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str() as name), *_]) if name in _ENDS:
                    yield self._commit(node.lineno, f'getattr(…, "{name}")')
                case ast.Call(keywords=given) if any(keyword.arg == "isolation_level" for keyword in given):
                    # Another database than the shop's.
                    if not self.source.dotted(node.func).startswith("sqlite3."):
                        yield self._commit(node.lineno, "`isolation_level=`")
                case ast.Dict(keys=keys) if any(getattr(key, "value", "") == "isolation_level" for key in keys):
                    yield self._commit(node.lineno, '`"isolation_level"`')
                case ast.Call(args=[first, *_]) if self._sends_text(node):
                    if said := _SAYS.match(self.texts.value(self.source, first) or ""):
                        yield self._commit(node.lineno, f'"{said[1].upper()}"')
        yield from self._ended_sessions()

    def _ended_sessions(self) -> Iterator[Finding]:
        for function in self.source.functions():
            names = session_names(self.source, function)
            for node in ast.walk(function):
                match node:
                    case ast.Attribute(value=ast.Name(id=name), attr=ends) if name in names and ends in _ENDS_OF_SESSIONS:
                        yield self._commit(node.lineno, f"`{name}.{ends}`")

    def _is_ours(self, node: ast.Attribute) -> bool:
        """Whether it is a function of another file of the module: `crud.begin(…)`."""
        return isinstance(node.value, ast.Name) and self.source.dotted(node.value).startswith(f"{self.source.module}.")

    def _sends_text(self, call: ast.Call) -> bool:
        name = self.source.dotted(call.func)
        return name.endswith(".exec_driver_sql") or (name.startswith("sqlalchemy.") and name.endswith((".text", ".TextClause")))

    def _commit(self, line: int, what: str) -> Finding:
        return self._finding(
            "commit",
            line,
            f"The {self._kind} of {self.source.module} begins or ends a transaction itself: {what}.",
            "Delete it: the service's outermost `with self._database.transaction()` commits at its end, an error that leaves it"
            " rolls back, and `with self._database.attempt()` is the savepoint.",
        )

    # ---- transactions where they do not belong

    def openings(self) -> Iterator[Finding]:
        for node in self.source.nodes:
            if not isinstance(node, ast.Call):
                continue
            if self.source.kind != "service" and (name := opens(self.source, node)):
                yield self._opening(node.lineno, f"opens a {name} of the database" if name == "read" else f"opens `{name}()`")
            elif (made := self.source.dotted(node.func)) in _MAKES_SESSIONS:
                yield self._opening(node.lineno, f"makes a {made.rpartition('.')[2]} of its own")

    def _opening(self, line: int, does: str) -> Finding:
        return self._finding(
            "transaction-outside-service",
            line,
            f"The {self._kind} of {self.source.module} {does}.",
            "Open it in the use case, a method of the service, and pass the session on to crud; router, commands and listeners"
            " call that method.",
        )

    # ---- sessions that are kept

    def kept_sessions(self) -> Iterator[Finding]:
        for node in self.source.nodes:
            if isinstance(node, ast.ClassDef):
                yield from self._fields(node)
        for function in self.source.functions():
            names = session_names(self.source, function)
            for node in ast.walk(function):
                if how := _keeps(node, names):
                    yield self._kept(getattr(node, "lineno", function.lineno), how)
        yield from self._opened_by_hand()
        for block, item in blocks(self.source, self.source.tree):
            if isinstance(item.optional_vars, ast.Attribute | ast.Subscript):
                yield self._kept(block.lineno, f"`{ast.unparse(item.optional_vars)}`")
            for part in _within(block):
                if isinstance(part, ast.Yield | ast.YieldFrom):
                    yield self._kept(part.lineno, "a generator that yields inside of the block")

    def _opened_by_hand(self) -> Iterator[Finding]:
        in_blocks = {id(item.context_expr) for node in self.source.nodes if isinstance(node, ast.With) for item in node.items}
        for node in self.source.nodes:
            if self.source.kind == "service" and opens(self.source, node) and id(node) not in in_blocks:
                yield self._kept(getattr(node, "lineno", 1), f"`{ast.unparse(node)}` without `with … as session` of its own")

    def _fields(self, node: ast.ClassDef) -> Iterator[Finding]:
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and is_session_type(self.source, part.annotation):
                yield self._kept(part.lineno, f"`{node.name}.{ast.unparse(part.target)}`")
            elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
                for argument in [*part.args.args, *part.args.kwonlyargs]:
                    if is_session_type(self.source, argument.annotation):
                        yield self._kept(argument.lineno, f"the argument `{argument.arg}` of {node.name}")

    def _kept(self, line: int, how: str) -> Finding:
        return self._finding(
            "session-kept",
            line,
            f"The {self._kind} of {self.source.module} lets a session outlive its block: {how}.",
            "Hold the `Database` handle instead, open a block for each use case, and let only ids, values and DTOs leave it.",
        )

    @cached_property
    def _kind(self) -> str:
        return self.source.kind or "__init__"

    def _finding(self, rule: str, line: int, what: str, fix: str) -> Finding:
        return Finding(rule=f"work/{rule}", module=self.source.module, where=self.source.where, line=line, what=what, fix=fix)


def _keeps(node: ast.AST, names: frozenset[str]) -> str:
    """How a statement keeps a session; empty when it does not."""
    match node:
        case ast.Assign(targets=targets, value=value) if _holds(value, names):
            kept = [target for target in targets if isinstance(target, ast.Attribute | ast.Subscript)]
            return f"`{ast.unparse(kept[0])}`" if kept else ""
        case ast.AnnAssign(target=ast.Attribute() | ast.Subscript() as target, value=ast.expr() as value) if _holds(
            value, names
        ):
            return f"`{ast.unparse(target)}`"
        case ast.Return(value=ast.expr() as value) if _holds(value, names):
            return "it is returned"
        case ast.Call(func=ast.Attribute(attr=name), args=[*_, ast.Name(id=given)]) if name in _KEEPS and given in names:
            return f"`{ast.unparse(node.func)}(…)`"
    return ""


def _holds(value: ast.expr, names: frozenset[str]) -> bool:
    """Whether a value is a session, holds one, or will use one later."""
    match value:
        case ast.Name(id=name):
            return name in names
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            return any(_holds(part, names) for part in parts)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="connection")):
            return name in names
        case ast.Call(func=ast.Name(id="partial") | ast.Attribute(attr="partial"), args=parts):
            return any(_holds(part, names) for part in parts)
        case ast.Lambda(body=body):
            return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(body))
    return False


def _within(block: ast.With) -> Iterator[ast.AST]:
    """What stands in a block itself, not in functions that are defined there."""
    waiting: list[ast.AST] = list(block.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _generators(source: Source, sources: list[Source]) -> Iterator[Finding]:
    for node in source.nodes:
        if not isinstance(node, ast.Call) or not _DEPENDS.match(source.dotted(node.func)):
            continue
        given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "dependency")]
        for argument in given[:1]:
            name = source.dotted(argument)
            if _is_generator(name if "." in name else f"{source.name}.{name}", sources):
                yield Finding(
                    rule="work/generator-dependency",
                    module=source.module,
                    where=source.where,
                    line=node.lineno,
                    what=f"A route of {source.module} depends on the generator {name.rpartition('.')[2]}.",
                    fix="Take it out and let the use case open its own transaction: what a generator does at its end runs after"
                    " the answer was sent, and a client would hold a 201 for a commit that failed.",
                )


def _is_generator(name: str, sources: list[Source]) -> bool:
    home, _, function = name.rpartition(".")
    for source in sources:
        if source.name == home:
            for node in source.nodes:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
                    return any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node))
    return False
