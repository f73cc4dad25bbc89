"""Syntax: the modules' files as trees, where names come from, and what a string says that is put together from constants."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

HOLE: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands in a text for what only shows when the code runs."""
_DEPTH: Final = 8
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of a module, or of the kernel."""

    module: str
    where: str
    name: str
    """As it is imported: `catalog.crud.products`."""
    tree: ast.Module

    @property
    def kind(self) -> str:
        """Which of the module's jobs it does: `crud` for `crud.py` and for all files of `crud/`."""
        return self.name.split(".")[1] if "." in self.name else ""

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def imported(self) -> Mapping[str, str]:
        """Local name -> where it comes from, wherever in the file it is imported."""
        return dict(self._imported())

    def _imported(self) -> Iterator[tuple[str, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                yield from ((alias.asname or alias.name, f"{base}.{alias.name}") for alias in node.names)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.where.endswith("__init__.py") else self.name.split(".")[:-1]
        parts = package[: len(package) - node.level + 1]
        return ".".join([*parts, node.module] if node.module else parts)

    def dotted(self, node: ast.AST) -> str:
        """`sa.text` as `sqlalchemy.text`, `self._database.read` as it stands; a call in between is `()`, else ``."""
        match node:
            case ast.Name(id=name):
                return self.imported.get(name, name)
            case ast.Attribute(value=value, attr=name):
                return f"{self.dotted(value)}.{name}"
            case ast.Call(func=function):
                return f"{self.dotted(function)}()"
        return ""

    @cached_property
    def constants(self) -> Mapping[str, ast.expr]:
        """What stands behind `NAME = …`, also inside of functions, for names that are set once."""
        found: dict[str, list[ast.expr | None]] = {}
        for node in self.nodes:
            for name, value in _bindings(node):
                found.setdefault(name, []).append(value)
        return {name: values[0] for name, values in found.items() if len(values) == 1 and values[0] is not None}

    def line_of(self, name: str) -> int | None:
        """Of the class or the constant at the top of the file."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node.lineno
            for bound, _ in _bindings(node):
                if bound == name:
                    return node.lineno
        return None

    def functions(self) -> Iterator[_Function]:
        """Those that stand in no other function."""
        yield from _outermost(self.tree)


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """The names that a node sets, with what it sets them to if that is plain to see."""
    match node:
        case ast.Assign(targets=targets, value=value):
            plain = len(targets) == 1 and isinstance(targets[0], ast.Name)
            for target in targets:
                names = [part.id for part in ast.walk(target) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
                yield from ((name, value if plain else None) for name in names)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.AugAssign(target=ast.Name(id=name)) | ast.arg(arg=name) | ast.NamedExpr(target=ast.Name(id=name)):
            yield name, None
        case ast.For(target=target) | ast.comprehension(target=target):
            yield from ((part.id, None) for part in ast.walk(target) if isinstance(part, ast.Name))


def _outermost(node: ast.AST) -> Iterator[_Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function):
            yield child
        else:
            yield from _outermost(child)


def read_sources(root: Path, modules: Iterable[str]) -> tuple[Source, ...]:
    """Every file of the modules and of the kernel. Errors: SyntaxError."""
    folders = [(name, root / "modules" / name) for name in modules] + [("kernel", root / "platform" / "kernel")]
    return tuple(_read(root, module, folder, path) for module, folder in folders for path in sorted(folder.rglob("*.py")))


def _read(root: Path, module: str, folder: Path, path: Path) -> Source:
    inside = path.relative_to(folder).with_suffix("").parts
    name = ".".join([module, *(inside[:-1] if inside[-1] == "__init__" else inside)])
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return Source(module=module, where=path.relative_to(root).as_posix(), name=name, tree=tree)


@dataclass(frozen=True)
class Said:
    """A text in the code: what it says, with HOLE for what is not known, and where it stands."""

    node: ast.expr
    text: str
    borrowed: tuple[str, ...] = ()
    """Texts of constants in it, each of which is told where it stands itself."""

    @property
    def line(self) -> int:
        return self.node.lineno


class Texts:
    """What the strings of some sources say."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._by_name = {source.name: source for source in sources}

    def of(self, source: Source) -> Iterator[Said]:
        """Each string that is put together in the file, whole; docstrings are none."""
        yield from self._inside(source, source.tree)
        for function in source.functions():
            yield from self._grown(source, function)

    def value(self, source: Source, node: ast.AST) -> str | None:
        """What an expression says; None when it is no text that is put together here."""
        return self._value(source, node, [], _DEPTH)

    def _grown(self, source: Source, function: _Function) -> Iterator[Said]:
        """What is put together step by step, `sql += …`, as if each step were taken."""
        steps: dict[str, list[tuple[ast.AST, ast.expr]]] = {}
        for node in ast.walk(function):
            match node:
                case (
                    ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value)
                    | ast.Assign(targets=[ast.Name(id=name)], value=value)
                ):
                    steps.setdefault(name, []).append((node, value))
        for taken in steps.values():
            if any(isinstance(node, ast.AugAssign) for node, _ in taken):
                values = [value for _, value in sorted(taken, key=lambda step: step[1].lineno)]
                parts = [self.value(source, value) for value in values]
                texts = tuple(part for part in parts if part is not None)
                if len(texts) > 1:
                    yield Said(values[-1], "".join(map(_or_hole, parts)), texts)

    def _inside(self, source: Source, node: ast.AST) -> Iterator[Said]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            if isinstance(child, ast.expr) and not isinstance(child, ast.Name | ast.Attribute):
                borrowed: list[str] = []
                text = self._value(source, child, borrowed, _DEPTH)
                if text is not None:
                    yield Said(child, text, tuple(borrowed))
                    continue
            yield from self._inside(source, child)

    def _value(self, source: Source, node: ast.AST, borrowed: list[str], depth: int) -> str | None:
        def of(part: ast.AST) -> str | None:
            return self._value(source, part, borrowed, depth - 1) if depth else None

        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.JoinedStr(values=parts):
                return "".join(_or_hole(of(part.value if isinstance(part, ast.FormattedValue) else part)) for part in parts)
            case ast.Name() | ast.Attribute():
                constant = self._constant(source, node, depth)
                borrowed.extend([] if constant is None else [constant])
                return constant
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                sides = [of(left), of(right)]
                return None if sides == [None, None] else "".join(map(_or_hole, sides))
            case ast.BinOp(left=left, op=ast.Mod(), right=right) if (pattern := of(left)) is not None:
                given = right.elts if isinstance(right, ast.Tuple) else [right]
                return _filled(pattern, "%s", [_or_hole(of(part)) for part in given])
            case ast.Call(func=ast.Attribute(value=pattern_node)) if (pattern := of(pattern_node)) is not None:
                return _called(pattern, node, of)
        return None

    def _constant(self, source: Source, node: ast.Name | ast.Attribute, depth: int) -> str | None:
        """A constant of this file, or of another one of the same sources."""
        if isinstance(node, ast.Name) and node.id in source.constants:
            return self._value(source, source.constants[node.id], [], depth - 1)
        home, _, name = source.dotted(node).rpartition(".")
        there = self._by_name.get(home)
        if there is None or name not in there.constants:
            return None
        return self._value(there, there.constants[name], [], depth - 1)


def _or_hole(text: str | None) -> str:
    return HOLE if text is None else text


def _called(text: str, call: ast.Call, of: Callable[[ast.AST], str | None]) -> str | None:
    """What a method of a text answers, when it puts texts together."""
    match call:
        case ast.Call(func=ast.Attribute(attr="format"), args=given, keywords=named):
            by_name = {keyword.arg: _or_hole(of(keyword.value)) for keyword in named if keyword.arg}
            return _formatted(text, [_or_hole(of(part)) for part in given], by_name)
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]):
            return text.join(_or_hole(of(part)) for part in parts)
    return None


def _filled(pattern: str, mark: str, values: list[str]) -> str:
    for value in values:
        pattern = pattern.replace(mark, value, 1)
    return pattern


def _formatted(pattern: str, values: list[str], by_name: Mapping[str, str]) -> str:
    for number, value in enumerate(values):
        pattern = pattern.replace(f"{{{number}}}", value)
    for name, value in by_name.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return _filled(pattern, "{}", values)
