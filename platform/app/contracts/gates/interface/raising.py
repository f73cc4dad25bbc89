"""What a method can raise, as far as names tell: it follows calls of the module's own functions and methods."""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import inspect
from collections.abc import Iterator, Sequence
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from app.contracts.surface import Sources, plain

Caught = tuple[type[BaseException], ...]


class Raised(NamedTuple):
    """An error, and the function that makes it."""

    error: type[BaseException]
    maker: FunctionType


class Paths:
    """Follows names, not values: an error is found where its class is called or raised, unless a `try` around it, here or in
    a caller, catches it for good. Calls through collaborators (`self._gateway.pay()`) are not followed.
    """

    def __init__(self, module: str, sources: Sources) -> None:
        self._module = module
        self._sources = sources
        self._known: dict[tuple[FunctionType, type | None], frozenset[Raised]] = {}

    def raised(self, function: FunctionType, of: type | None = None) -> frozenset[Raised]:
        """By this function, called on an object of the class `of`."""
        key = (function, of)
        if key not in self._known:
            self._known[key] = frozenset()  # recursion finds nothing new
            node = self._sources.node(function)
            if node is not None:
                self._known[key] = frozenset(_Visit(self, function, of, node).statements(node.body))
        return self._known[key]

    def follows(self, thing: object) -> bool:
        return isinstance(thing, FunctionType) and thing.__module__.partition(".")[0] == self._module


class _Visit:
    """One function's body."""

    def __init__(self, paths: Paths, function: FunctionType, of: type | None, node: ast.AST) -> None:
        self._paths = paths
        self._function = function
        self._of = of
        self._imported = dict(_imported(node))

    def statements(self, nodes: Sequence[ast.AST]) -> Iterator[Raised]:
        for node in nodes:
            yield from self._visit(node)

    def _visit(self, node: ast.AST) -> Iterator[Raised]:
        if isinstance(node, (ast.Try, ast.TryStar)):
            yield from self._tried(node)
            return
        if isinstance(node, (ast.With, ast.AsyncWith)):
            caught = tuple(error for item in node.items for error in self._suppressed(item.context_expr))
            yield from self.statements(node.items)
            yield from _uncaught(self.statements(node.body), caught)
            return
        if isinstance(node, ast.Call):
            yield from self._made(self._value(node.func))
        elif isinstance(node, ast.Raise) and node.exc is not None:
            yield from self._made(self._value(node.exc))
        elif isinstance(node, (ast.Name, ast.Attribute)):
            # Whoever names a function may call it: `map(_checked, lines)`.
            yield from self._followed(self._value(node))
        yield from self.statements(list(ast.iter_child_nodes(node)))

    def _tried(self, node: ast.Try | ast.TryStar) -> Iterator[Raised]:
        caught: Caught = ()
        for handler in node.handlers:
            if handler.type is None:
                caught += () if _raises_again(handler) else (BaseException,)
            elif not _raises_again(handler):
                caught += self._classes(handler.type)
            yield from self.statements(handler.body)
        yield from _uncaught(self.statements(node.body), caught)
        yield from self.statements([*node.orelse, *node.finalbody])

    def _suppressed(self, expression: ast.expr) -> Caught:
        if isinstance(expression, ast.Call) and self._value(expression.func) is contextlib.suppress:
            return tuple(error for argument in expression.args for error in self._classes(argument))
        return ()

    def _classes(self, expression: ast.expr) -> Caught:
        parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
        values = [self._value(part) for part in parts]
        return tuple(value for value in values if _is_error(value))

    def _made(self, value: Any) -> Iterator[Raised]:
        if _is_error(value):
            yield Raised(value, self._function)

    def _followed(self, value: Any) -> Iterator[Raised]:
        function = plain(value)
        if function is not None and self._paths.follows(function):
            yield from self._paths.raised(function, self._of)

    def _value(self, expression: ast.expr) -> Any:
        """What a name or a chain of names stands for; None when that is not known."""
        if isinstance(expression, ast.Name):
            return self._named(expression.id)
        if not isinstance(expression, ast.Attribute):
            return None
        if isinstance(expression.value, ast.Name) and expression.value.id in ("self", "cls") and self._of is not None:
            return inspect.getattr_static(self._of, expression.attr, None)
        if isinstance(expression.value, ast.Call) and _is_super(expression.value) and self._of is not None:
            return self._above(expression.attr, self._of)
        holder = self._value(expression.value)
        known = isinstance(holder, ModuleType) or inspect.isclass(holder)
        return inspect.getattr_static(holder, expression.attr, None) if known else None

    def _named(self, name: str) -> Any:
        if name in self._imported:
            return self._imported[name]
        return self._function.__globals__.get(name, getattr(builtins, name, None))

    def _above(self, name: str, of: type) -> Any:
        bases = list(of.__mro__)
        here = next((at for at, base in enumerate(bases) if self._function in map(plain, vars(base).values())), -1)
        return next((vars(base)[name] for base in bases[here + 1 :] if name in vars(base)), None)


def _imported(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Names that a function imports in its body."""
    for statement in ast.walk(node):
        if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            for alias in statement.names:
                with contextlib.suppress(ImportError, AttributeError):
                    yield alias.asname or alias.name, getattr(importlib.import_module(statement.module), alias.name)
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                with contextlib.suppress(ImportError):
                    imported = importlib.import_module(alias.name)
                    top = importlib.import_module(alias.name.partition(".")[0])
                    yield (alias.asname, imported) if alias.asname else (alias.name.partition(".")[0], top)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    return any(
        isinstance(node, ast.Raise) and (node.exc is None or (isinstance(node.exc, ast.Name) and node.exc.id == handler.name))
        for node in ast.walk(handler)
    )


def _uncaught(found: Iterator[Raised], caught: Caught) -> Iterator[Raised]:
    return (raised for raised in found if not issubclass(raised.error, caught))


def _is_error(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseException)


def _is_super(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "super"
