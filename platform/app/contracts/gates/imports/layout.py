"""The layout of the house: which files there may be, and where each module has to be registered."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from configparser import ConfigParser, RawConfigParser
from pathlib import Path
from typing import Final, NamedTuple

from app.contracts.finding import Finding
from app.contracts.gate import Bench
from app.contracts.gates.imports.linter import INI
from app.contracts.sources import SOURCE_ROOTS, Sources

RULES: Final = {
    "vocabulary": "Every module has the same files, and no file of another kind.",
    "registration": "Every module is listed in app/modules.py, alembic.ini and each list of importlinter.ini.",
    "loose-file": "Source roots hold packages and are none themselves; tests are no packages.",
    "standard-library-name": "No package bears the name of a module of the standard library.",
}
_LIST: Final = "platform/app/modules.py"


class Vocabulary(NamedTuple):
    """The kinds of files of a module, as the contract `inner-layers` lists them: one list for both."""

    required: frozenset[str]
    optional: frozenset[str]
    folders: frozenset[str]
    """Those that hold no code of the module."""


def layout(bench: Bench, sources: Sources) -> Iterator[Finding]:
    yield from _loose_files(bench)
    yield from _standard_library_names(bench)
    linter = ConfigParser()
    linter.read(bench.root / INI, encoding="utf-8")
    vocabulary = _vocabulary(linter)
    for module in _folders(bench.root):
        yield from _odd_files(bench, module, vocabulary)
        yield from _unlisted_module(bench, sources, module)
        yield from _unlisted_branch(bench, module)
        yield from _unlisted_contracts(module, linter)


def _folders(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "modules").iterdir() if path.is_dir() and path.name != "__pycache__")


def _loose_files(bench: Bench) -> Iterator[Finding]:
    for name in SOURCE_ROOTS:
        for path in sorted((bench.root / name).glob("*.py")):
            where = bench.shown(path)
            if path.name != "__init__.py":
                what, fix = "A file lies between the packages of a source root.", "Move it into one of the packages."
            elif name == "platform":
                what = "`platform/` is a package: Python would find it in place of its own `platform`."
                fix = "Delete it: platform/ is a source root, no package."
            else:
                what, fix = f"`{name}/` is a package.", f"Delete it: {name}/ is a source root, no package."
            yield Finding(rule="imports/loose-file", module="app", where=where, what=what, fix=fix)
    for path in sorted((bench.root / "tests").rglob("__init__.py")):
        where = bench.shown(path)
        yield Finding(
            rule="imports/loose-file",
            module=bench.module_of(where),
            where=where,
            what="A folder of tests is a package.",
            fix="Delete it: tests are no packages, so that two files may have one name.",
        )


def _standard_library_names(bench: Bench) -> Iterator[Finding]:
    packages = [path for name in SOURCE_ROOTS for path in (bench.root / name).iterdir() if path.is_dir()]
    for path in sorted([*packages, *bench.root.glob("*.py")]):
        if path.stem in sys.stdlib_module_names:
            where = bench.shown(path)
            yield Finding(
                rule="imports/standard-library-name",
                module=bench.module_of(where),
                where=where,
                what=f"`import {path.stem}` may find this instead of the standard library's {path.stem}.",
                fix="Give it another name.",
            )


def _vocabulary(linter: ConfigParser) -> Vocabulary:
    section = linter["importlinter:contract:inner-layers"]
    names = section["layers"].replace("|", " ").split()
    return Vocabulary(
        required=frozenset(name for name in names if not name.startswith("(")),
        optional=frozenset(name.strip("()") for name in names if name.startswith("(")),
        folders=frozenset(section["exhaustive_ignores"].split()),
    )


def _odd_files(bench: Bench, module: str, vocabulary: Vocabulary) -> Iterator[Finding]:
    folder = bench.root / "modules" / module
    entries = sorted(path for path in folder.iterdir() if path.name != "__pycache__")
    present = {path.stem if path.is_file() else path.name for path in entries}
    missing = [f"{name}.py" for name in sorted(vocabulary.required - present)]
    missing += [f"{name}/" for name in sorted(vocabulary.folders - present)]
    for name in missing:
        yield Finding(
            rule="imports/vocabulary",
            module=module,
            where=f"modules/{module}/{name}",
            what=f"The module {module} has no {name}.",
            fix="Add it, even if it holds no more than a docstring: the same file name has the same job in every module.",
        )
    for path in entries:
        if not _is_in(vocabulary, path):
            where = bench.shown(path)
            yield Finding(
                rule="imports/vocabulary",
                module=module,
                where=where,
                what=f"{where} is of no kind that a module's files have.",
                fix=(
                    "Put the code where it belongs; a file that outgrows its size may be a folder of the same name. A new kind"
                    f" of file is a decision: write an ADR, then list it in the contract inner-layers of {INI}."
                ),
            )


def _is_in(vocabulary: Vocabulary, path: Path) -> bool:
    kinds = vocabulary.required | vocabulary.optional
    if path.is_dir():
        return path.name in vocabulary.folders or (path.name in kinds and (path / "__init__.py").exists())
    return path.name == "__init__.py" or (path.suffix == ".py" and path.stem in kinds)


# ---- registration


def _unlisted_module(bench: Bench, sources: Sources, module: str) -> Iterator[Finding]:
    source = sources.of(bench.root / _LIST)
    imported = any(f"{found.name}.".startswith(f"{module}.module.") for found in source.imports)
    if not imported or module not in _built_in(source.tree):
        yield _unlisted(module, _LIST, f"import {module}.module in a function of its own, and add it to BUILT_IN")


def _built_in(tree: ast.Module) -> set[str]:
    """The names in BUILT_IN."""
    return {
        key.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "BUILT_IN"
        if isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _unlisted_branch(bench: Bench, module: str) -> Iterator[Finding]:
    alembic = RawConfigParser()
    alembic.read(bench.root / "alembic.ini", encoding="utf-8")
    lines = alembic.get("alembic", "version_locations", fallback="").split()
    if not any(line.endswith(f"/modules/{module}/migrations") for line in lines):
        yield _unlisted(module, "alembic.ini", f"add %(here)s/modules/{module}/migrations to version_locations")


def _unlisted_contracts(module: str, linter: ConfigParser) -> Iterator[Finding]:
    door = f"importlinter:contract:door-{module}"
    places = {
        "root_packages of [importlinter]": ("importlinter", "root_packages"),
        "layers of [importlinter:contract:floor-plan]": ("importlinter:contract:floor-plan", "layers"),
        f"protected_modules of [{door}]": (door, "protected_modules"),
        "containers of [importlinter:contract:inner-layers]": ("importlinter:contract:inner-layers", "containers"),
        "ancestors of [importlinter:contract:cycles]": ("importlinter:contract:cycles", "ancestors"),
    }
    for place, (section, option) in places.items():
        if module not in linter.get(section, option, fallback="").replace("|", " ").split():
            yield _unlisted(module, INI, f"add it to {place}")


def _unlisted(module: str, where: str, fix: str) -> Finding:
    sentence = f"{fix[0].upper()}{fix[1:]}."
    return Finding(
        rule="imports/registration",
        module=module,
        where=where,
        what=f"The module {module} is not registered here: {fix}.",
        fix=sentence,
    )
