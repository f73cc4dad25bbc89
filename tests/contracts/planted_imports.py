"""Violations of the gate `imports`."""

from __future__ import annotations

from typing import Final

from tests.contracts._hidden_imports import HIDDEN
from tests.contracts.planted_reaches import REACHES
from tests.planting import Append, Edit, Planting, Replace


def _line(claim: str, rule: str, file: str, line: str, says: str, fix: str, *, where: str = "") -> Planting:
    """One line more in a file."""
    return Planting(
        claim=claim, rule=f"imports/{rule}", edits=[Append(file=file, text=line)], where=where or f"{file}:", says=says, fix=fix
    )


def _edited(claim: str, rule: str, edit: Edit, where: str, says: str, fix: str, *, alone: bool = False) -> Planting:
    return Planting(claim=claim, rule=f"imports/{rule}", edits=[edit], where=where, says=says, fix=fix, alone=alone)


_MAIL: Final = """
[importlinter:contract:planted]
name = Nobody sends mail
type = forbidden
source_modules =
    catalog.service
forbidden_modules =
    kernel.pure
allow_indirect_imports = True
broken_contract_guidance =
    Fix: send a letter.
"""
_LINTED: Final = [
    _line(
        "ordering_cannot_reach_behind_the_door_of_catalog",
        "door",
        "modules/ordering/service/shipping.py",
        "import catalog.service",
        "ordering.service.shipping imports catalog.service, against “The door of catalog”",
        "Import from catalog.interface",
    ),
    _line(
        "an_import_in_a_function_is_seen",
        "door",
        "modules/ordering/service/refunds.py",
        "def planted() -> None:\n    from catalog.models import Product as P",
        "ordering.service.refunds imports catalog.models",
        "every other file of catalog is private",
    ),
    _line(
        "an_import_for_types_only_is_seen",
        "door",
        "modules/ordering/service/webhooks.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from users import models as m",
        "ordering.service.webhooks imports users.models",
        "Import from users.interface",
    ),
    _line(
        "another_module_cannot_import_a_container",
        "door",
        "modules/ordering/container.py",
        "from users.container import *",
        "ordering.container imports users.container",
        "Import from users.interface",
    ),
    _line(
        "app_imports_nothing_of_a_module_but_interface_and_module",
        "door",
        "platform/app/wiring.py",
        "from ordering import service",
        "app.wiring imports ordering.service",
        "Import from ordering.interface",
    ),
    _line(
        "siblings_do_not_import_each_other_not_even_interfaces",
        "floor-plan",
        "modules/catalog/service/stock.py",
        "from users.interface import UsersService",
        "catalog.service.stock imports users.interface",
        "subscribe in listeners.py",
    ),
    _line(
        "a_lower_module_does_not_import_an_upper_one",
        "floor-plan",
        "modules/users/service/addresses.py",
        "import ordering.interface",
        "users.service.addresses imports ordering.interface",
        "What must flow back up is an event",
    ),
    _line(
        "the_kernel_imports_no_module",
        "floor-plan",
        "platform/kernel/module.py",
        "import users.interface",
        "kernel.module imports users.interface",
        "Imports run downwards only",
    ),
    _line(
        "nobody_imports_app",
        "floor-plan",
        "modules/users/router/gate.py",
        "import app.application",
        "users.router.gate imports app.application",
        "Imports run downwards only",
    ),
    _line(
        "listeners_see_an_upper_modules_interface_only",
        "floor-plan",
        "modules/catalog/listeners.py",
        "import ordering.service",
        "catalog.listeners imports ordering.service",
        "may import an upper interface",
    ),
    _line(
        "the_pure_kernel_imports_no_package",
        "pure",
        "platform/kernel/pure/values.py",
        "import sqlalchemy",
        "kernel.pure.values imports sqlalchemy",
        "plain Python",
    ),
    _line(
        "the_pure_kernel_does_not_import_the_database_layer",
        "kernel-layers",
        "platform/kernel/pure/clock.py",
        "import kernel.database",
        "kernel.pure.clock imports kernel.database",
        "Move what both layers need down",
    ),
    _line(
        "the_database_layer_does_not_import_the_http_layer",
        "kernel-layers",
        "platform/kernel/database/outbox.py",
        "import kernel.http",
        "kernel.database.outbox imports kernel.http",
        "pass it in as an argument",
    ),
    _line(
        "a_new_part_of_the_kernel_takes_its_layer",
        "kernel-layers",
        "platform/kernel/tools.py",
        "",
        "kernel.tools has no place in “Kernel layers",
        "takes its place in `layers`",
        where="platform/kernel/tools.py",
    ),
    _line(
        "an_interface_imports_no_package",
        "pure",
        "modules/catalog/interface.py",
        "from pydantic import BaseModel",
        "catalog.interface imports pydantic",
        "frozen dataclasses cross a door",
    ),
    _line(
        "an_interface_imports_the_pure_layer_of_the_kernel_only",
        "pure",
        "modules/users/interface.py",
        "import kernel.database",
        "users.interface imports kernel.database",
        "frozen dataclasses cross a door",
    ),
    _line(
        "an_interface_does_not_import_another_modules_interface",
        "pure",
        "modules/ordering/interface.py",
        "import catalog.interface",
        "ordering.interface imports catalog.interface",
        "describe the value here",
    ),
    _line(
        "an_interface_does_not_import_its_own_models",
        "inner-layers",
        "modules/catalog/interface.py",
        "import catalog.models",
        "catalog.interface imports catalog.models",
        "nothing runs back up",
    ),
    _line(
        "a_service_does_not_import_its_router",
        "inner-layers",
        "modules/users/service/passwords.py",
        "import users.router",
        "users.service.passwords imports users.router",
        "nothing runs back up",
    ),
    _line(
        "schemas_and_service_stand_side_by_side",
        "inner-layers",
        "modules/users/service/accounts.py",
        "import users.schemas",
        "users.service.accounts imports users.schemas",
        "pass it in",
    ),
    _line(
        "a_fake_knows_the_interface_only",
        "inner-layers",
        "modules/users/fakes.py",
        "import users.models",
        "users.fakes imports users.models",
        "nothing runs back up",
    ),
    _line(
        "a_router_does_not_reach_crud",
        "no-step-skipped",
        "modules/catalog/router.py",
        "from catalog import crud",
        "catalog.router imports catalog.crud",
        "Call one method of the service",
    ),
    _line(
        "a_router_does_not_reach_models",
        "no-step-skipped",
        "modules/ordering/router/__init__.py",
        "import ordering.models",
        "ordering.router imports ordering.models",
        "Call one method of the service",
    ),
    _line(
        "a_service_knows_no_http",
        "no-http-inside",
        "modules/users/service/log_in.py",
        "from fastapi import HTTPException",
        "users.service.log_in imports fastapi",
        "Raise a domain error",
    ),
    _line(
        "production_code_imports_no_fake",
        "fakes",
        "modules/users/container.py",
        "import users.fakes",
        "users.container imports users.fakes",
        "Depend on the Protocol",
    ),
    _line(
        "a_module_does_not_import_the_driver",
        "driver",
        "modules/catalog/crud/stock.py",
        "import psycopg2.extras",
        "catalog.crud.stock imports psycopg2",
        "Use the Database that the container gives",
    ),
    Planting(
        claim="a_cycle_inside_a_package_is_refused",
        rule="imports/cycles",
        edits=[
            Append(file="modules/users/service/here.py", text="import users.service.there"),
            Append(file="modules/users/service/there.py", text="import users.service.here"),
        ],
        where="modules/users/service/",
        says="against “No cycles”",
        fix="do not import inside a function",
    ),
    _edited(
        "a_contract_that_nobody_mapped_is_reported_under_its_name",
        "contract",
        Append(
            file="importlinter.ini",
            text=_MAIL,
        ),
        "modules/catalog/service/",
        "against “Nobody sends mail”",
        "Send a letter",
    ),
    _edited(
        "a_contract_that_cannot_be_checked_is_reported",
        "contract",
        Append(
            file="importlinter.ini",
            text="[importlinter:contract:broken]\nname = Broken\ntype = layers\nlayers =\n    nowhere\n    kernel",
        ),
        "importlinter.ini:",
        "The contract broken cannot be checked: Missing layer 'nowhere'",
        "[importlinter:contract:broken]",
    ),
]

_RETURNS: Final = "modules/returns/__init__.py"
_LAYOUT: Final = [
    _line(
        "modules_is_no_package",
        "loose-file",
        "modules/__init__.py",
        "",
        "`modules/` is a package",
        "Delete it",
        where="modules/__init__.py",
    ),
    _line(
        "a_source_root_holds_no_file",
        "loose-file",
        "platform/tools.py",
        "",
        "between the packages",
        "Move it",
        where="platform/tools.py",
    ),
    _line(
        "tests_are_no_packages",
        "loose-file",
        "tests/users/__init__.py",
        "",
        "A folder of tests is a package",
        "Delete it",
        where="tests/users/__init__.py",
    ),
    _line(
        "no_package_bears_a_name_of_the_standard_library",
        "standard-library-name",
        "modules/calendar/__init__.py",
        "",
        "`import calendar`",
        "Give it another name",
        where="modules/calendar",
    ),
    _line(
        "a_new_kind_of_file_is_refused",
        "vocabulary",
        "modules/users/utils.py",
        "",
        "is of no kind",
        "write an ADR",
        where="modules/users/utils.py",
    ),
    _line(
        "a_folder_that_is_no_package_is_refused",
        "vocabulary",
        "modules/users/service_parts/accounts.py",
        "",
        "is of no kind",
        "a folder of the same name",
        where="modules/users/service_parts",
    ),
    _line(
        "a_module_has_all_required_files",
        "vocabulary",
        _RETURNS,
        "",
        "The module returns has no interface.py",
        "Add it",
        where="modules/returns/interface.py",
    ),
    *(
        _line(
            f"a_module_is_registered_in_{claim}",
            "registration",
            _RETURNS,
            "",
            "The module returns is not registered",
            fix,
            where=where,
        )
        for claim, where, fix in [
            ("the_module_list", "platform/app/modules.py", "add it to BUILT_IN"),
            ("alembic_ini", "alembic.ini", "Add %(here)s/modules/returns/migrations to version_locations"),
            ("the_root_packages", "importlinter.ini", "root_packages of [importlinter]"),
            ("the_floor_plan", "importlinter.ini", "layers of [importlinter:contract:floor-plan]"),
            ("a_door", "importlinter.ini", "protected_modules of [importlinter:contract:door-returns]"),
            ("the_inner_layers", "importlinter.ini", "containers of [importlinter:contract:inner-layers]"),
            ("the_cycles", "importlinter.ini", "ancestors of [importlinter:contract:cycles]"),
        ]
    ),
    _edited(
        "an_import_without_an_entry_in_the_list_is_no_registration",
        "registration",
        Replace(file="platform/app/modules.py", old='    "users": _users,\n', new=""),
        "platform/app/modules.py",
        "The module users is not registered here",
        "add it to BUILT_IN",
    ),
]

_UNSEEN: Final = [
    _line(
        "imports_name_packages_below_the_source_roots",
        "source-root",
        "platform/app/extra.py",
        "from modules.catalog import interface",
        "extra.py imports modules.catalog.interface",
        "Write catalog.interface",
    ),
    _line(
        "tests_see_a_neighbours_interface_and_fakes_only",
        "tests-behind-doors",
        "tests/ordering/test_planted_door.py",
        "from catalog.service import DatabaseCatalogService",
        "behind the door of catalog",
        "Import catalog.interface or catalog.fakes",
    ),
    _line(
        "kernel_tests_know_no_module",
        "tests-behind-doors",
        "tests/kernel/test_planted_door.py",
        "def test_it() -> None:\n    import users.models",
        "imports users.models",
        "Import users.interface or users.fakes",
    ),
    _line(
        "tests_of_a_module_do_not_know_app",
        "tests-behind-doors",
        "tests/users/test_planted_app.py",
        "import app.application",
        "the tests of users do not know app",
        "move the test to tests/flows",
    ),
    _line(
        "tests_of_a_module_do_not_use_those_of_another",
        "tests-behind-doors",
        "tests/users/test_planted_tests.py",
        "from tests.catalog.factories import Shelf",
        "belongs to other tests",
        "a file in tests/",
    ),
    _line(
        "a_revision_imports_no_module",
        "migration-imports",
        "modules/catalog/migrations/0002_planted.py",
        "from catalog.service import DatabaseCatalogService",
        "imports catalog.service",
        "Spell the tables out",
    ),
    _line(
        "a_revision_of_the_kernel_imports_no_module",
        "migration-imports",
        "platform/kernel/migrations/0002_planted.py",
        "from users import models",
        "imports users.models",
        "Spell the tables out",
    ),
    _line(
        "the_migration_environment_imports_no_module",
        "migration-imports",
        "migrations/planted.py",
        "import users.models",
        "imports users.models",
        "Spell the tables out",
    ),
]

_HIDDEN: Final = [
    _line(f"a_hidden_import_{claim}", "hidden-import", file, code, says, "Write an import statement")
    for claim, file, code, says in HIDDEN
]

_DECLARED: Final = [
    _edited(
        "a_need_that_nothing_uses_is_refused",
        "unused-need",
        Replace(file="modules/users/module.py", old="offers=UsersService,", new='offers=UsersService, needs=("catalog",),'),
        "modules/users/module.py:",
        "users lists catalog in `needs`, and no file of it imports catalog.interface",
        "Take catalog out of `needs`",
    ),
    _edited(
        "a_publisher_that_the_listeners_do_not_hear_is_refused",
        "unused-listen",
        Replace(
            file="modules/catalog/module.py",
            old='listens={"ordering": "catalog.listeners"}',
            new='listens={"ordering": "catalog.listeners", "users": "catalog.listeners"}',
        ),
        "modules/catalog/module.py:",
        "catalog.listeners does not import users.interface",
        "Take users out of `listens`",
    ),
    _line(
        "an_interface_that_is_used_is_listed_in_needs",
        "undeclared-need",
        "modules/ordering/service/base.py",
        "def late() -> None:\n    from users import interface as i",
        "ordering imports users.interface without listing users in `needs`",
        "List users in `needs` of modules/ordering/module.py",
    ),
    _line(
        "what_listeners_hear_is_listed_in_listens",
        "undeclared-need",
        "modules/users/listeners.py",
        "from ordering.interface import OrderPaid",
        "users imports ordering.interface without listing ordering in `listens`",
        "List ordering in `listens`",
    ),
]

PLANTINGS: Final[list[Planting]] = [*_LINTED, *_LAYOUT, *_UNSEEN, *_HIDDEN, *REACHES, *_DECLARED]
