"""Revisions as their files say: read as text, so that they can be known when no database is there and no module imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.contracts.gate import Bench

KERNEL: Final = "kernel"
_FIELDS: Final = ("revision", "down_revision", "branch_labels", "depends_on")
_REASON: Final = re.compile(r"Leaves\b.*\bbecause\b", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One file of a branch's folder. What it says in another way than as plain text is None."""

    file: Path
    where: str
    branch: str
    """Whose folder it lies in."""
    id: str | None
    down: tuple[str, ...]
    labels: tuple[str, ...]
    depends_on: tuple[str, ...]
    lines: Mapping[str, int]
    """Where its variables and functions stand."""
    tree: ast.Module = field(repr=False, compare=False)

    def line(self, name: str) -> int | None:
        return self.lines.get(name)

    def function(self, name: str) -> ast.FunctionDef | None:
        found = [node for node in self.tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        return found[-1] if found else None

    @property
    def reason(self) -> bool:
        """Whether the docstring of `downgrade` says what it leaves, and why: "Leaves …, because …"."""
        downgrade = self.function("downgrade")
        return downgrade is not None and bool(_REASON.match(ast.get_docstring(downgrade) or ""))


def folders(bench: Bench) -> dict[str, Path]:
    """Branch -> where its revisions are, the kernel's first."""
    root = bench.root
    return {
        KERNEL: root / "platform/kernel/migrations",
        **{module: root / "modules" / module / "migrations" for module in bench.facts},
    }


def read_revisions(bench: Bench) -> dict[str, list[Revision]]:
    """Branch -> its revisions by file name. Errors: SyntaxError."""
    return {branch: [_read(bench, branch, file) for file in _files(folder)] for branch, folder in folders(bench).items()}


def in_order(revisions: Sequence[Revision]) -> list[Revision]:
    """From the first revision on; of a branch that forks, one of its lines."""
    after = {revision.down: revision for revision in reversed(revisions)}
    line: list[Revision] = []
    found = after.get(())
    while found is not None and found not in line:
        line.append(found)
        found = after.get((found.id or "",))
    return line


def strays(bench: Bench) -> Iterator[str]:
    """Files that look like revisions and lie where Alembic does not look, or in nobody's folder."""
    seen = {file for folder in folders(bench).values() for file in _files(folder)}
    for place in ("migrations", "modules", "platform"):
        for file in sorted((bench.root / place).rglob("*.py")):
            if file not in seen and "migrations" in file.relative_to(bench.root).parts and _is_revision(file):
                yield bench.shown(file)


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"]


def _is_revision(file: Path) -> bool:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError:
        return False
    return {"revision", "down_revision"} <= {name for name, _ in _assignments(tree)}


def _read(bench: Bench, branch: str, file: Path) -> Revision:
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    said = dict(_assignments(tree))
    lines = {name: node.lineno for name, node in said.items()}
    lines |= {node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef)}
    values = {name: _literal(node) for name, node in said.items()}
    revision = values.get("revision")
    return Revision(
        file=file,
        where=bench.shown(file),
        branch=branch,
        id=revision if isinstance(revision, str) else None,
        down=_several(values.get("down_revision")),
        labels=_several(values.get("branch_labels")),
        depends_on=_several(values.get("depends_on")),
        lines=lines,
        tree=tree,
    )


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and target.id in _FIELDS and isinstance(value, ast.expr):
                yield target.id, value


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _several(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, tuple | list | set) else ()
