"""The rules of the layout as functions: a root in, sentences about what is wrong out. Empty means in order."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser, RawConfigParser
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SOURCE_ROOTS = ("modules", "platform")
REQUIRED = ("interface", "module", "container", "models", "crud", "service", "schemas", "router", "fakes")
OPTIONAL = ("listeners", "settings", "cli")
FOLDERS = ("migrations", "contracts")
OPEN_TO_TESTS = ("interface", "fakes")


class Import(NamedTuple):
    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.name}"


def module_names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "modules").iterdir() if path.is_dir() and path.name != "__pycache__")


def foreign_platform(root: Path) -> list[str]:
    """`import platform` must be the standard library's, even when Python starts in the root of the house."""
    script = "import os, platform, sys; sys.exit(os.path.dirname(platform.__file__) != os.path.dirname(os.__file__))"
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=False, capture_output=True, text=True)
    return [] if done.returncode == 0 else ["`import platform` is not Python's own: remove platform/__init__.py"]


def loose_files(root: Path) -> list[str]:
    """Source roots hold packages only, and tests are no packages."""
    loose = [path for name in SOURCE_ROOTS for path in (root / name).glob("*.py")]
    found = [f"{_shown(path, root)}: a source root holds packages only, move it into one" for path in loose]
    inits = (root / "tests").rglob("__init__.py")
    return found + [f"{_shown(path, root)}: tests are no packages, delete it" for path in inits]


def standard_library_names(root: Path) -> list[str]:
    packages = [path for name in SOURCE_ROOTS for path in (root / name).iterdir() if path.is_dir()]
    return [
        f"{_shown(path, root)} bears the name of a standard-library module: rename it"
        for path in packages
        if path.name in sys.stdlib_module_names
    ]


def vocabulary(root: Path) -> list[str]:
    """Every module has the required files and no other kind of file."""
    found = []
    for module in module_names(root):
        entries = {path for path in (root / "modules" / module).iterdir() if path.name != "__pycache__"}
        present = {path.stem if path.is_file() else path.name for path in entries}
        missing = [f"{name}.py" for name in REQUIRED if name not in present]
        missing += [f"{name}/" for name in FOLDERS if name not in present]
        found += [f"modules/{module} has no {name}" for name in missing]
        found += [
            f"{_shown(path, root)}: no such kind of file in a module; see ARCHITECTURE, section 1, or write an ADR"
            for path in sorted(entries)
            if not _in_vocabulary(path)
        ]
    return found


def _in_vocabulary(path: Path) -> bool:
    if path.is_dir():
        is_package = (path / "__init__.py").exists()
        return path.name in FOLDERS or (path.name in (*REQUIRED, *OPTIONAL) and is_package)
    return path.name == "__init__.py" or (path.suffix == ".py" and path.stem in (*REQUIRED, *OPTIONAL))


def registrations(root: Path) -> list[str]:
    """Every module is named in app/modules.py, alembic.ini and each list of importlinter.ini."""
    found = []
    for module in module_names(root):
        found += _unlisted_module(root, module)
        found += _unlisted_branch(root, module)
        found += _unlisted_contracts(root, module)
    return found


def _unlisted_module(root: Path, module: str) -> list[str]:
    path = root / "platform/app/modules.py"
    names = {entry.name for entry in imports(path, root)} if path.exists() else set()
    if any(name == f"{module}.module" or name.startswith(f"{module}.module.") for name in names):
        return []
    return [f"{module} is not registered in platform/app/modules.py: import {module}.module and add it to BUILT_IN"]


def _unlisted_branch(root: Path, module: str) -> list[str]:
    alembic = RawConfigParser()
    alembic.read(root / "alembic.ini", encoding="utf-8")
    locations = alembic.get("alembic", "version_locations", fallback="")
    if f"modules/{module}/migrations" in locations:
        return []
    return [f"{module} is not registered in alembic.ini: add modules/{module}/migrations to version_locations"]


def _unlisted_contracts(root: Path, module: str) -> list[str]:
    linter = ConfigParser()
    linter.read(root / "importlinter.ini", encoding="utf-8")
    door = f"importlinter:contract:door-{module}"
    places = {
        "root_packages of [importlinter]": ("importlinter", "root_packages"),
        "layers of [importlinter:contract:floor-plan]": ("importlinter:contract:floor-plan", "layers"),
        f"protected_modules of [{door}]": (door, "protected_modules"),
        "containers of [importlinter:contract:inner-layers]": ("importlinter:contract:inner-layers", "containers"),
        "ancestors of [importlinter:contract:cycles]": ("importlinter:contract:cycles", "ancestors"),
    }
    return [
        f"{module} is not registered in importlinter.ini: add it to {place}"
        for place, (section, option) in places.items()
        if module not in linter.get(section, option, fallback="").replace("|", " ").split()
    ]


def imports(path: Path, root: Path) -> Iterator[Import]:
    """Every import of a file, wherever it stands; `from a import b` counts as `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(_shown(path, root), node.lineno, name)


def imports_through_a_source_root(root: Path) -> list[str]:
    """`modules.catalog` and `platform.kernel` would be second copies of the same code, unseen by import-linter."""
    forbidden = ("modules.", "platform.kernel.", "platform.app.")
    return [
        f"{found}: `modules/` and `platform/` are source roots, write the name below them"
        for folder in (*SOURCE_ROOTS, "migrations", "tests", "benchmarks")
        for found in _imports_below(root, folder)
        if f"{found.name}.".startswith(forbidden)
    ]


def tests_behind_doors(root: Path) -> list[str]:
    """Tests of one part know the others by interface and fakes; the whole shop is for tests/flows and tests/contracts."""
    modules = module_names(root)
    found = []
    for part in (*modules, "kernel"):
        for entry in _imports_below(root, f"tests/{part}"):
            package, _, rest = entry.name.partition(".")
            if package == "app":
                found.append(f"{entry}: tests of one part do not know app; use a fixture, or move it to tests/flows")
            elif package in modules and package != part and rest.partition(".")[0] not in OPEN_TO_TESTS:
                found.append(f"{entry}: import {package}.interface or {package}.fakes")
    return found


def migrations_that_import_modules(root: Path) -> list[str]:
    """A revision is frozen history: it must not change when a module's code does."""
    modules = module_names(root)
    folders = ["migrations", "platform/kernel/migrations", *(f"modules/{name}/migrations" for name in modules)]
    return [
        f"{entry}: a migration spells out its tables and imports no module"
        for folder in folders
        for entry in _imports_below(root, folder)
        if entry.name.partition(".")[0] in _forbidden_to_migrations(folder, modules)
    ]


def _forbidden_to_migrations(folder: str, modules: list[str]) -> list[str]:
    is_environment = folder == "migrations"  # env.py asks app for the list of modules
    return modules if is_environment else [*modules, "app"]


def _imports_below(root: Path, folder: str) -> Iterator[Import]:
    for path in sorted((root / folder).rglob("*.py")):
        yield from imports(path, root)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def unpinned(root: Path) -> list[str]:
    """Whatever an installation with the development tools brings in has its version in constraints.txt."""
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("#")}
    return [f"constraints.txt has no pin for {name}" for name in sorted(_installed_for("emporium", "dev") - pinned)]


def _installed_for(distribution: str, *extras: str) -> set[str]:
    """The names of all that a distribution requires, directly or not, on this Python and system."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [(distribution, frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        for needed in map(Requirement, metadata.requires(name) or ()):
            applies = not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *wanted})
            entry = (canonicalize_name(needed.name), frozenset(needed.extras))
            if applies and entry not in found:
                found.add(entry)
                waiting.append(entry)
    return {name for name, _ in found}
