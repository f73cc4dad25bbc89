"""The layout of the house: every rule holds for the house, and is seen to fail on a planted violation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.contracts import _layout as layout
from tests.contracts._house import ROOT, copy_house, plant, ruff

Rule = Callable[[Path], list[str]]

RULES: list[Rule] = [
    layout.foreign_platform,
    layout.loose_files,
    layout.standard_library_names,
    layout.vocabulary,
    layout.registrations,
    layout.imports_through_a_source_root,
    layout.tests_behind_doors,
    layout.migrations_that_import_modules,
    layout.unpinned,
]


class Planting(NamedTuple):
    claim: str
    rule: Rule
    file: str
    line: str
    named: str


PLANTINGS = [
    Planting("platform_is_pythons_own", layout.foreign_platform, "platform/__init__.py", "", "platform/__init__.py"),
    Planting("modules_is_no_package", layout.loose_files, "modules/__init__.py", "", "modules/__init__.py"),
    Planting("a_source_root_holds_no_file", layout.loose_files, "platform/tools.py", "", "platform/tools.py"),
    Planting("tests_are_no_packages", layout.loose_files, "tests/users/__init__.py", "", "tests/users/__init__.py"),
    Planting(
        "no_package_bears_a_name_of_the_standard_library",
        layout.standard_library_names,
        "modules/calendar/__init__.py",
        "",
        "modules/calendar bears the name",
    ),
    Planting(
        "a_new_kind_of_file_is_refused",
        layout.vocabulary,
        "modules/users/utils.py",
        "",
        "modules/users/utils.py: no such kind of file",
    ),
    Planting(
        "a_folder_that_is_no_package_is_refused",
        layout.vocabulary,
        "modules/users/service_parts/accounts.py",
        "",
        "modules/users/service_parts: no such kind of file",
    ),
    Planting(
        "a_module_has_all_required_files",
        layout.vocabulary,
        "modules/returns/__init__.py",
        "",
        "modules/returns has no interface.py",
    ),
    Planting(
        "imports_name_packages_below_the_source_roots",
        layout.imports_through_a_source_root,
        "platform/app/extra.py",
        "from modules.catalog import interface",
        "platform/app/extra.py:2 imports modules.catalog.interface",
    ),
    Planting(
        "tests_see_a_neighbours_interface_and_fakes_only",
        layout.tests_behind_doors,
        "tests/ordering/test_planted.py",
        "from catalog.service import DatabaseCatalogService",
        "tests/ordering/test_planted.py:2 imports catalog.service.DatabaseCatalogService: import catalog.interface",
    ),
    Planting(
        "kernel_tests_know_no_module",
        layout.tests_behind_doors,
        "tests/kernel/test_planted.py",
        "import users.models",
        "tests/kernel/test_planted.py:2 imports users.models",
    ),
    Planting(
        "tests_of_a_module_do_not_know_app",
        layout.tests_behind_doors,
        "tests/users/test_planted.py",
        "import app.application",
        "tests/users/test_planted.py:2 imports app.application",
    ),
    Planting(
        "a_revision_imports_no_module",
        layout.migrations_that_import_modules,
        "modules/catalog/migrations/0002_planted.py",
        "from catalog.service import DatabaseCatalogService",
        "modules/catalog/migrations/0002_planted.py:2 imports catalog.service",
    ),
    Planting(
        "the_migration_environment_imports_no_module",
        layout.migrations_that_import_modules,
        "migrations/planted.py",
        "import users.models",
        "migrations/planted.py:2 imports users.models",
    ),
]

REGISTRATION_LINES = [
    ("platform/app/modules.py", "returns is not registered in platform/app/modules.py"),
    ("alembic.ini", "returns is not registered in alembic.ini: add modules/returns/migrations"),
    ("root_packages", "add it to root_packages of [importlinter]"),
    ("floor-plan", "add it to layers of [importlinter:contract:floor-plan]"),
    ("door", "add it to protected_modules of [importlinter:contract:door-returns]"),
    ("inner-layers", "add it to containers of [importlinter:contract:inner-layers]"),
    ("cycles", "add it to ancestors of [importlinter:contract:cycles]"),
]

BANNED_LINES = {
    "import modules.catalog.interface": "`modules/` is a source root",
    "from modules.catalog.interface import Product": "`modules/` is a source root",
    "import platform.kernel": "`platform/` is a source root",
    "from platform.app import main": "`platform/` is a source root",
    "import importlib\nimportlib.import_module('catalog.service')": "import-linter cannot see it",
    "from importlib import import_module": "import-linter cannot see it",
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    copy = copy_house(tmp_path)
    for name in ("tests", "migrations"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    if (ROOT / "alembic.ini").exists():
        shutil.copy2(ROOT / "alembic.ini", copy)
    return copy


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_is_in_order(rule: Rule) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize("planting", PLANTINGS, ids=lambda planting: planting.claim)
def test_a_planted_violation_is_named(house: Path, planting: Planting) -> None:
    before = planting.rule(house)

    plant(house, planting.file, planting.line)

    added = [problem for problem in planting.rule(house) if problem not in before]
    assert any(planting.named in problem for problem in added), added


@pytest.mark.parametrize(("place", "message"), REGISTRATION_LINES, ids=[place for place, _ in REGISTRATION_LINES])
def test_a_missing_registration_line_is_named(house: Path, place: str, message: str) -> None:
    plant(house, "modules/returns/__init__.py", "")

    assert any(message in problem for problem in layout.registrations(house)), place


def test_a_distribution_without_a_pin_is_named(house: Path) -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (house / "constraints.txt").write_text(pins.replace("starlette==", "# starlette=="), encoding="utf-8")

    assert layout.unpinned(house) == ["constraints.txt has no pin for starlette"]


@pytest.mark.parametrize("line", BANNED_LINES)
@pytest.mark.parametrize("file", ["modules/users/service.py", "platform/kernel/module.py", "tests/users/test_x.py"])
def test_ruff_refuses_imports_that_import_linter_cannot_see(house: Path, file: str, line: str) -> None:
    planted = plant(house, file, line)

    verdict = ruff(house, planted)

    assert verdict.code == 1, verdict.output
    assert "TID251" in verdict.output
    assert verdict.says(BANNED_LINES[line])


def test_the_composition_root_may_import_by_name(house: Path) -> None:
    plant(house, "platform/app/by_name.py", "import importlib\nimportlib.import_module('catalog.listeners')")

    assert "TID251" not in ruff(house, "platform/app/by_name.py").output
