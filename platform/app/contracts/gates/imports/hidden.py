"""Hidden imports: code that reaches another file without an import statement, so that import-linter cannot see it.

By name (`importlib`, `__import__`, `runpy`, `sys.modules`, a patch of a test), as text (`exec`, a script for another process),
or as an attribute of a package that another import has bound (`import catalog.interface`, then `catalog.models`).
Only `app` imports by computed names: it wires what it does not know. Tests of the whole shop (tests/flows) may do anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from textwrap import dedent
from typing import Final, NamedTuple

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.imports.behind import OPEN_TO_TESTS, private_part
from app.contracts.gates.imports.names import Names
from app.contracts.sources import SOURCE_ROOTS, Source, Sources, file_of

RULES: Final = {"hidden-import": "Imports are import statements; only `app` imports by name, and no module's inside."}
_IMPORTERS: Final = frozenset(
    {
        "__import__",
        "importlib.__import__",
        "importlib.import_module",
        "importlib.machinery.SourceFileLoader",
        "importlib.metadata.EntryPoint",
        "importlib.metadata.entry_points",
        "importlib.reload",
        "importlib.util.find_spec",
        "importlib.util.module_from_spec",
        "importlib.util.spec_from_file_location",
        "importlib.util.spec_from_loader",
        "pkgutil.resolve_name",
        "pydoc.locate",
        "runpy.run_module",
        "runpy.run_path",
    }
)
_RUNNERS: Final = frozenset({"exec", "eval", "compile"})
_PATCHERS: Final = frozenset({"setattr", "delattr", "patch", "multiple", "importorskip"})
AS_TEXT: Final = "a text that is run as code"
_LOOKING: Final = "importlib.util.find_spec"


class Sight(NamedTuple):
    """Something hidden. `target` is None when the name is computed."""

    node: ast.AST
    by: str
    target: str | None


def hidden_imports(bench: Bench, sources: Sources) -> Iterator[Finding]:
    for folder in (*SOURCE_ROOTS, "migrations", *(f"tests/{part}" for part in (*bench.facts, "kernel"))):
        for source in sources.below(folder):
            yield from _in_file(bench, source)


def _in_file(bench: Bench, source: Source) -> Iterator[Finding]:
    names = Names(source)
    for sight in [
        *_by_name(source, names),
        *_by_patch(source, names),
        *_by_text(source, names),
        *_by_attribute(bench, source, names),
    ]:
        if _is_forbidden(bench, source, sight):
            yield _finding(bench, source, sight)


def _is_forbidden(bench: Bench, source: Source, sight: Sight) -> bool:
    target = sight.target
    inside = None if target is None else private_part(bench, target)
    own = source.parts[1]
    if source.file.startswith("platform/app/"):
        return inside is not None and inside.partition(".")[2] not in ("module", "listeners")
    if source.parts[0] == "tests":
        if target is None:
            return True
        # A script for another process may well start the whole shop.
        is_app = target.partition(".")[0] == "app" and sight.by != AS_TEXT
        return is_app or (inside is not None and not inside.startswith(f"{own}."))
    # A text is one of many, and asking whether a package of others is installed is no import.
    only_ours = sight.by in (AS_TEXT, _LOOKING)
    return target is None or not only_ours or target.partition(".")[0] in (*bench.facts, "kernel", "app")


def _finding(bench: Bench, source: Source, sight: Sight) -> Finding:
    here = source.file.rpartition("/")[2]
    if sight.target is None:
        what = f"{here} imports a computed name by {sight.by}."
        fix = "Write an import statement; what is chosen at run time is passed in by the container, which `app` builds."
    else:
        what = f"{here} reaches {sight.target} by {sight.by}, where import-linter cannot see it."
        module = sight.target.partition(".")[0]
        neighbour = module in bench.facts and module != bench.module_of(source.file)
        doors = " or ".join(f"{module}.{name}" for name in (OPEN_TO_TESTS if source.parts[0] == "tests" else OPEN_TO_TESTS[:1]))
        fix = f"Write an import statement{f' and import {doors} only: the rest of {module} is private' if neighbour else ''}."
    line = getattr(sight.node, "lineno", None)
    return Finding(
        rule="imports/hidden-import", module=bench.module_of(source.file), where=source.file, line=line, what=what, fix=fix
    )


# ---- by name


def _by_name(source: Source, names: Names) -> Iterator[Sight]:
    calls = source.all(ast.Call)
    called = {id(node.func): node for node in calls}
    indexed: dict[int, ast.expr] = {id(node.value): node for node in source.all(ast.Subscript)}
    indexed |= {id(node.value): node for node in source.all(ast.Attribute)}
    for node in (*source.all(ast.Name), *source.all(ast.Attribute), *calls):
        name = names.of(node)
        if name in _IMPORTERS:
            yield Sight(node, name, _first_argument(names, called.get(id(node))))
        elif name == "sys.modules":
            use = indexed.get(id(node))
            key = names.text(use.slice) if isinstance(use, ast.Subscript) else _first_argument(names, called.get(id(use)))
            yield Sight(node, name, key)


def _first_argument(names: Names, call: ast.Call | None) -> str | None:
    if call is None:
        return None
    named = [keyword.value for keyword in call.keywords if keyword.arg in ("name", "mod_name", "path_name", "target")]
    return next((names.text(value) for value in [*call.args[:1], *named]), None)


def _by_patch(source: Source, names: Names) -> Iterator[Sight]:
    """Tests replace things by name, and name their plugins."""
    if source.parts[0] != "tests":
        return
    for node in source.all(ast.Call):
        by = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        target = _first_argument(names, node) if by in _PATCHERS else None
        if target is not None and "." in target:
            yield Sight(node, by, target)
    for assigned in source.all(ast.Assign):
        if any(getattr(target, "id", "") == "pytest_plugins" for target in assigned.targets):
            value = assigned.value
            for plugin in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
                yield Sight(plugin, "pytest_plugins", names.text(plugin))


# ---- as text


def _by_text(source: Source, names: Names) -> Iterator[Sight]:
    for call in source.all(ast.Call):
        by = names.of(call.func)
        if by in _RUNNERS:
            code = _first_argument(names, call)
            yield from [Sight(call, by, None)] if code is None else (Sight(call, by, name) for name in _imports_in(code))
    documentation = {id(node.value) for node in source.all(ast.Expr)}
    for text in source.all(ast.Constant):
        if isinstance(text.value, str) and id(text) not in documentation:
            yield from (Sight(text, AS_TEXT, name) for name in _imports_in(text.value))


def _imports_in(text: str) -> Iterator[str]:
    if "import" not in text:
        return
    try:
        source = Source("modules/text", ast.parse(dedent(text)))
    except (SyntaxError, ValueError):
        return
    yield from (found.name for found in source.imports)
    yield from (sight.target for sight in _by_name(source, Names(source)) if sight.target is not None)


# ---- as an attribute


def _by_attribute(bench: Bench, source: Source, names: Names) -> Iterator[Sight]:
    ours = {*bench.facts, "kernel", "app"}
    imported = tuple(f"{found.name}." for found in source.imports)
    for node in source.all(ast.Attribute):
        name = names.of(node)
        if name is None or name.partition(".")[0] not in ours:
            continue
        # The attribute itself is a file of ours, and no import of this file names it or something in it.
        if not any(found.startswith(f"{name}.") for found in imported) and file_of(bench.root, name) != name:
            yield Sight(node, "an attribute of its package", name)
