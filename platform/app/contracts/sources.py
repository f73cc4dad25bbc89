"""Sources: the files of the project, parsed once, and the imports in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, TypeVar, cast

from app.contracts.gate import Bench

N = TypeVar("N", bound=ast.AST)

SOURCE_ROOTS: Final = ("modules", "platform")
LISTENERS: Final = "listeners"


class Import(NamedTuple):
    """One imported name, in full: `from a import b` is `a.b`."""

    name: str
    line: int


@dataclass(frozen=True)
class Source:
    """One file of Python."""

    file: str
    """Relative to the project, with slashes."""
    tree: ast.Module

    @property
    def parts(self) -> list[str]:
        return self.file.removesuffix(".py").split("/")

    @property
    def package(self) -> list[str]:
        """What relative imports count from, below the source root."""
        return self.parts[1:-1]

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Wherever they stand: in functions and under `if TYPE_CHECKING`, too."""
        return tuple(self._imports())

    def _imports(self) -> Iterator[Import]:
        for node in self.all(ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        for from_ in self.all(ast.ImportFrom):
            base = absolute(from_, self.package)
            yield from (Import(f"{base}.{alias.name}", from_.lineno) for alias in from_.names)

    def all(self, kind: type[N]) -> Sequence[N]:
        """Every node of this type."""
        return cast(list[N], self._nodes.get(kind, []))

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[ast.AST]]:
        """A walk over the tree is what costs, so there is one."""
        nodes: dict[type[ast.AST], list[ast.AST]] = {}
        for node in ast.walk(self.tree):
            nodes.setdefault(type(node), []).append(node)
        return nodes


def absolute(node: ast.ImportFrom, package: list[str]) -> str:
    """What an import is from, relative ones counted from `package`."""
    if not node.level:
        return node.module or ""
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@dataclass(frozen=True)
class Sources:
    """Files below a folder, each read once. Errors: SyntaxError with the file's name."""

    bench: Bench
    _read: dict[str, Source] = field(default_factory=dict)

    def below(self, folder: str) -> Iterator[Source]:
        for path in sorted((self.bench.root / folder).rglob("*.py")):
            yield self.of(path)

    def directly_in(self, folder: str) -> Iterator[Source]:
        for path in sorted((self.bench.root / folder).glob("*.py")):
            yield self.of(path)

    def of(self, path: Path) -> Source:
        file = path.relative_to(self.bench.root).as_posix()
        if file not in self._read:
            self._read[file] = Source(file, ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
        return self._read[file]


def file_of(root: Path, name: str) -> str:
    """The file of a module by its import name, as findings show it."""
    for source_root in SOURCE_ROOTS:
        path = root.joinpath(source_root, *name.split("."))
        for candidate in (path.with_suffix(".py") if "." in name else None, path / "__init__.py"):
            if candidate is not None and candidate.exists():
                return candidate.relative_to(root).as_posix()
    return name
