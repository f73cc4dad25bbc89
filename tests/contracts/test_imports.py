"""Each import contract is broken on purpose in a throw-away copy, and the linter names contract, file and fix."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.contracts._house import CONTRACTS, contract_of, copy_house, guidance_of, lint_imports, plant


class Planting(NamedTuple):
    claim: str
    contract: str
    """The section `contract:<name>` of importlinter.ini that must break."""
    file: str
    line: str
    named: str
    """What the linter must print, besides the contract's name and its guidance."""


PLANTINGS = [
    Planting(
        "ordering_cannot_reach_behind_the_door_of_catalog",
        "door-catalog",
        "modules/ordering/service.py",
        "import catalog.service",
        "ordering.service -> catalog.service (l.",
    ),
    Planting(
        "another_module_cannot_import_a_container",
        "door-users",
        "modules/ordering/container.py",
        "from users.container import *",
        "ordering.container -> users.container (l.",
    ),
    Planting(
        "app_imports_nothing_of_a_module_but_interface_and_module",
        "door-ordering",
        "platform/app/wiring.py",
        "from ordering import service",
        "app.wiring -> ordering.service (l.",
    ),
    Planting(
        "a_new_file_of_a_module_is_private_by_default",
        "door-users",
        "modules/ordering/service.py",
        "import users.models",
        "ordering.service -> users.models (l.",
    ),
    Planting(
        "siblings_do_not_import_each_other_not_even_interfaces",
        "floor-plan",
        "modules/catalog/service.py",
        "from users.interface import UsersService",
        "catalog.service -> users.interface (l.",
    ),
    Planting(
        "a_lower_module_does_not_import_an_upper_one",
        "floor-plan",
        "modules/users/service.py",
        "import ordering.interface",
        "users.service -> ordering.interface (l.",
    ),
    Planting(
        "the_kernel_imports_no_module",
        "floor-plan",
        "platform/kernel/module.py",
        "import users.interface",
        "kernel.module -> users.interface (l.",
    ),
    Planting(
        "nobody_imports_app",
        "floor-plan",
        "modules/users/router.py",
        "import app.application",
        "users.router -> app.application (l.",
    ),
    Planting(
        "listeners_see_an_upper_modules_interface_only",
        "floor-plan",
        "modules/catalog/listeners.py",
        "import ordering.service",
        "catalog.listeners -> ordering.service (l.",
    ),
    Planting(
        "the_pure_kernel_imports_no_package",
        "pure",
        "platform/kernel/pure/values.py",
        "import sqlalchemy",
        "kernel.pure.values -> sqlalchemy (l.",
    ),
    Planting(
        "the_pure_kernel_does_not_import_the_database_layer",
        "kernel-layers",
        "platform/kernel/pure/values.py",
        "import kernel.database",
        "kernel.pure.values -> kernel.database (l.",
    ),
    Planting(
        "the_database_layer_does_not_import_the_http_layer",
        "kernel-layers",
        "platform/kernel/database/outbox.py",
        "import kernel.http",
        "kernel.database.outbox -> kernel.http (l.",
    ),
    Planting(
        "a_new_part_of_the_kernel_takes_its_layer",
        "kernel-layers",
        "platform/kernel/tools.py",
        "",
        "kernel.tools",
    ),
    Planting(
        "an_interface_imports_no_package",
        "pure",
        "modules/catalog/interface.py",
        "from pydantic import BaseModel",
        "catalog.interface -> pydantic (l.",
    ),
    Planting(
        "an_interface_imports_the_pure_layer_of_the_kernel_only",
        "pure",
        "modules/catalog/interface.py",
        "import kernel.database",
        "catalog.interface -> kernel.database (l.",
    ),
    Planting(
        "an_interface_does_not_import_another_modules_interface",
        "pure",
        "modules/ordering/interface.py",
        "import catalog.interface",
        "ordering.interface -> catalog.interface (l.",
    ),
    Planting(
        "an_interface_does_not_import_its_own_models",
        "inner-layers",
        "modules/catalog/interface.py",
        "import catalog.models",
        "catalog.interface -> catalog.models (l.",
    ),
    Planting(
        "a_service_does_not_import_its_router",
        "inner-layers",
        "modules/users/service.py",
        "import users.router",
        "users.service -> users.router (l.",
    ),
    Planting(
        "schemas_and_service_stand_side_by_side",
        "inner-layers",
        "modules/users/service.py",
        "import users.schemas",
        "users.service -> users.schemas (l.",
    ),
    Planting(
        "a_fake_knows_the_interface_only",
        "inner-layers",
        "modules/users/fakes.py",
        "import users.models",
        "users.fakes -> users.models (l.",
    ),
    Planting(
        "a_new_kind_of_file_fails",
        "inner-layers",
        "modules/catalog/helpers.py",
        "",
        "catalog.helpers",
    ),
    Planting(
        "a_router_does_not_reach_crud",
        "no-step-skipped",
        "modules/catalog/router.py",
        "from catalog import crud",
        "catalog.router -> catalog.crud (l.",
    ),
    Planting(
        "a_router_does_not_reach_models",
        "no-step-skipped",
        "modules/ordering/router.py",
        "import ordering.models",
        "ordering.router -> ordering.models (l.",
    ),
    Planting(
        "a_service_knows_no_http",
        "no-http-inside",
        "modules/users/service.py",
        "from fastapi import HTTPException",
        "users.service -> fastapi (l.",
    ),
    Planting(
        "production_code_imports_no_fake",
        "fakes",
        "modules/users/container.py",
        "import users.fakes",
        "users.container -> users.fakes (l.",
    ),
    Planting(
        "a_module_does_not_import_the_driver",
        "driver",
        "modules/catalog/crud.py",
        "import psycopg2.extras",
        "catalog.crud -> psycopg2 (l.",
    ),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return copy_house(tmp_path)


def test_the_copy_keeps_every_contract_until_something_is_planted(house: Path) -> None:
    verdict = lint_imports(house)

    assert verdict.code == 0, verdict.output
    assert verdict.says("0 broken")


@pytest.mark.parametrize("planting", PLANTINGS, ids=lambda planting: planting.claim)
def test_breaking_a_contract_is_refused_with_its_name_the_file_and_the_fix(house: Path, planting: Planting) -> None:
    plant(house, planting.file, planting.line)

    verdict = lint_imports(house)

    assert verdict.code == 1, verdict.output
    assert verdict.says(f"{contract_of(planting.contract)} BROKEN"), verdict.output
    assert verdict.says(planting.named), verdict.output
    assert verdict.says(guidance_of(planting.contract)), verdict.output


def test_a_cycle_inside_a_package_is_refused(house: Path) -> None:
    plant(house, "modules/users/service/__init__.py", "")
    (house / "modules/users/service.py").unlink(missing_ok=True)
    plant(house, "modules/users/service/accounts.py", "import users.service.sessions")
    plant(house, "modules/users/service/sessions.py", "import users.service.accounts")

    verdict = lint_imports(house)

    assert verdict.says(f"{contract_of('cycles')} BROKEN"), verdict.output
    assert verdict.says("users.service"), verdict.output
    assert verdict.says(guidance_of("cycles"))


def test_listeners_may_import_an_upper_modules_interface(house: Path) -> None:
    plant(house, "modules/catalog/listeners.py", "import ordering.interface")

    verdict = lint_imports(house)

    assert verdict.code == 0, verdict.output


def test_every_contract_has_a_planting_that_breaks_it() -> None:
    sections = CONTRACTS.read_text(encoding="utf-8").split("[importlinter:contract:")[1:]
    contracts = {section.partition("]")[0] for section in sections}

    assert contracts == {planting.contract for planting in PLANTINGS} | {"cycles"}
