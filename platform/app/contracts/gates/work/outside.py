"""Outside calls: a payment provider, a mail server, another service. None is made while a transaction or a connection is held.

Who is outside shows in the types (`PaymentGateway`, `MailClient`) and in the packages that speak to others. A function that
calls outside passes that on to those that call it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.sessions import blocks
from app.contracts.syntax import Source

_TYPES: Final = re.compile(r"(Gateway|Client|Mailer)\Z")
_PACKAGES: Final = (
    "aiohttp",
    "ftplib",
    "grpc",
    "http.client",
    "httpx",
    "httpx2",
    "requests",
    "smtplib",
    "socket",
    "subprocess",
    "urllib.request",
    "urllib3",
)
_CALLS_INTO: Final = tuple(f"{package}." for package in _PACKAGES)
_WAITS: Final = frozenset({"time.sleep"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_outside_calls(bench: Bench) -> Iterator[Finding]:
    for module in bench.facts:
        sources = [
            source for source in bench.sources if source.module == module and source.kind not in ("migrations", "models")
        ]
        yield from _Module(sources).findings()


class _Module:
    def __init__(self, sources: Iterable[Source]) -> None:
        # What speaks to the outside itself holds no transaction; its methods have common names.
        self._sources = [source for source in sources if "gateway" not in source.where]
        self._objects = frozenset(name for source in self._sources for name in _outside_objects(source))
        self._functions = self._calling_outside()

    def findings(self) -> Iterator[Finding]:
        for source in self._sources:
            for block, item in blocks(source, source.tree):
                for node in (part for statement in block.body for part in ast.walk(statement)):
                    if named := self._outside(source, node):
                        yield _finding(source, getattr(node, "lineno", block.lineno), named, ast.unparse(item.context_expr))

    def _outside(self, source: Source, node: ast.AST) -> str:
        """What is called outside there, directly or by a function of the module; empty: nothing."""
        match node:
            case ast.Call(func=function):
                name = source.dotted(function)
                *owners, _ = name.split(".")
                if name.startswith(_CALLS_INTO) or name in _WAITS or any(owner in self._objects for owner in owners):
                    return ast.unparse(function)
            case ast.Attribute(value=ast.Name(id="self"), attr=name) | ast.Name(id=name) if name in self._functions:
                return name
        return ""

    def _calling_outside(self) -> frozenset[str]:
        self._functions = frozenset()
        functions = [(source, node) for source in self._sources for node in source.nodes if isinstance(node, _Function)]
        while True:
            found = {node.name for source, node in functions if any(self._outside(source, part) for part in ast.walk(node))}
            if found <= self._functions:
                return self._functions
            self._functions = frozenset(found)


def _outside_objects(source: Source) -> Iterator[str]:
    """Names and attributes that hold a gateway, by their types."""
    answering = {node.name for node in source.nodes if isinstance(node, _Function) and _names_outside(source, node.returns)}
    for node in source.nodes:
        match node:
            case ast.arg(arg=name, annotation=annotation) if _names_outside(source, annotation):
                yield name
                yield f"_{name}"
            case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), annotation=annotation) if _names_outside(
                source, annotation
            ):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr=called))) if (
                called in answering or re.search(r"gateway\Z|client\Z|mailer\Z", called)
            ):
                yield name


def _names_outside(source: Source, annotation: ast.expr | None) -> bool:
    parts = [] if annotation is None else ast.walk(annotation)
    return any(isinstance(part, ast.Name | ast.Attribute) and _TYPES.search(source.dotted(part)) for part in parts)


def _finding(source: Source, line: int, named: str, block: str) -> Finding:
    return Finding(
        rule="work/outside-call-in-transaction",
        module=source.module,
        where=source.where,
        line=line,
        what=f"{named} leaves the process inside of `with {block}`.",
        fix="End the block first, so that what has to survive is committed; call outside; open another one for the outcome.",
    )
